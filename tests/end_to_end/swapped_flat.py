"""One flat, its owner, its meter and a spare one, on real parts: chain, cloud, gateway, a building on a serial line.

The chain begins fifty days ago, so that all public delays are over when the installer comes: today. Days that have yet
to come pass when building and gateway are started again with a clock that is ahead.
"""

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from contracts import p256
from contracts.abi import padded
from contracts.calls import crews_changes, registry_changes
from contracts.calls.bindings_changes import bind
from contracts.calls.roll_changes import NewUnit, add_owner_key, add_units
from contracts.entry import device_id
from contracts.onchain import origin_id
from contracts.person import KeyKind
from contracts.tariff import Terms
from devices.dlt645.meter import CLOCK_MARGIN_MS
from edge.calendar_days import LocalDays
from provisioning.demo.anvil import anvil_command
from tests.cloud.chain_site import ChainSite
from tests.cloud.served import ServedCloud, serving
from tests.edge.house import House, urn
from tests.edge.site import GATEWAY, ORIGIN, Site
from tests.end_to_end.upkeep import NO_LIMITS, Asking, edge_key
from tests.meter_swaps import REGISTER
from tests.processes import free_port, is_listening, running
from tests.visits import ALIASES, MECHANIC

OLD, NEW = "000000000001", "000000000002"
OPENED = 1_230  # Wh that the new meter comes with
DOOR, UNIT = "b01-0101", hashlib.sha256(b"flat 0101").digest()
OWNER = p256.key_from_secret(7)
OWNERS_LINK = hashlib.sha256(b"the owner's link").digest()
PRICE = Terms.tiered(quantity=REGISTER, tiers=[(None, 53_800_000)])
DAYS = LocalDays(ZoneInfo("Asia/Shanghai"))
DAY_S, BEGAN_DAYS_AGO, FAR_S = 86_400, 50, 2_000_000_000
MECHANIC_AND_INSTALLER = 1 | 4  # the duties' bits in Crews


def number_of(day: date) -> int:
    return int(f"{day:%Y%m%d}")


@dataclass
class Flat:
    """All of it, running."""

    chain: ChainSite
    cloud: ServedCloud
    edge: Site
    house: House
    opening: date  # from which day on the old meter counts, and the bill begins
    asking: Asking

    def read(self, address: str, quantity: str = REGISTER) -> list[tuple[int, str]]:
        """Value and index of every entry of one register that the cloud holds, as its programs are told."""
        device, found, start = device_id(urn(address)).hex(), [], 0
        while True:
            answer = self.cloud.get(
                f"/v1/logs/{ORIGIN}/entries", self.cloud.program_token, **{"from": start, "count": 500}
            )
            entries = answer.json()["entries"] if answer.status_code == 200 else []
            found += [
                (int(one["value"]), one["index"])
                for one in entries
                if (one["device"], one["quantity"]) == (device, quantity)
            ]
            start += len(entries)
            if len(entries) < 500:
                return found

    def batches(self) -> int:
        """How many batches the Registry knows."""
        return int(self.asking.ask(self.chain.view("Registry", "batch_count")))

    def counted(self, address: str) -> dict[str, int]:
        """What the gateway says of one device."""
        devices = self.edge.status()["devices"]
        return next(one for one in devices if one["urn"] == urn(address))  # type: ignore[no-any-return]

    @contextmanager
    def living(self, *, ahead: timedelta = timedelta()) -> Iterator[None]:
        """Building and gateway, until the block ends; their clocks are ahead of ours."""
        self.house.clock = self.edge.clock = clock_ahead(ahead)
        with self.house.running(), self.edge.running():
            yield


def clock_ahead(ahead: timedelta) -> str:
    """A `[clock]` table that is ahead of the real time; none where it is not."""
    if not ahead:
        return ""
    now_ms = int(time.time() * 1000)
    return (
        f'[clock]\nkind="demo"\nreal_start_ms={now_ms - 2000}\nreal_end_ms={now_ms - 1000}\n'
        f"demo_start_ms={now_ms - 2000}\nahead_ms={int(ahead.total_seconds() * 1000)}\n"
    )


def leave_the_days_end() -> None:
    """Wait for midnight in a day's last minutes: no freeze is read in them, and the opening one is asked for here."""
    now_ms = int(time.time() * 1000)
    midnight_ms = DAYS.start_ms(DAYS.day_of(now_ms) + timedelta(days=1))
    if midnight_ms - now_ms < CLOCK_MARGIN_MS + 180_000:
        time.sleep((midnight_ms - now_ms) / 1000 + 5)


@contextmanager
def swapped_flat(folder: Path) -> Iterator[Flat]:
    """Everything enrolled, the cloud and the chain running; building and gateway live in `living`."""
    leave_the_days_end()
    opening = DAYS.day_of(int(time.time() * 1000))
    port = free_port()
    with ExitStack() as stack:
        asking = Asking()
        stack.callback(asking.close)
        command = anvil_command(port, genesis_s=int(time.time()) - BEGAN_DAYS_AGO * DAY_S)
        stack.enter_context(running(command, name="anvil", output_dir=folder, ready=lambda: is_listening(port)))
        chain: ChainSite = asking.ask(ChainSite.deploy(f"http://127.0.0.1:{port}"))
        stack.callback(lambda: asking.ask(chain.close()))
        edge = Site(directory=folder / "gateway")
        asking.ask(enrolled(chain, edge_key(edge), opening))
        (folder / "cloud").mkdir()
        more = f'[maintenance]\ncontract = "{chain.deployment.service_agreements}"\n{NO_LIMITS}'
        cloud = stack.enter_context(serving(folder / "cloud", chain, directory=directory(), more=more))
        asking.ask(chain.rpc("evm_setIntervalMining", 1))  # a block a second, so that what was sent becomes final
        house = House(directory=folder / "house", clock="", addresses=[OLD])
        edge.uplink, edge.tables = cloud.url, tables(chain, house)
        yield Flat(chain=chain, cloud=cloud, edge=edge, house=house, opening=opening, asking=asking)


def tables(chain: ChainSite, house: House) -> list[str]:
    """The gateway's bus, with the flat's meter and the spare one."""
    bus = f'[[serial]]\nname="bus1"\nport="{house.link}"\nbaud=115200\nparity="even"\nreply_timeout_seconds=0.2\n'
    meters = [
        f'[[device]]\nurn="{urn(address)}"\nprofile="dlt645-2007-single-phase"\nbus="bus1"\naddress="{address}"\n'
        f"poll_seconds=1\nspare={str(address == NEW).lower()}\n"
        for address in (OLD, NEW)
    ]
    return [bus, *meters, f'[maintenance]\ncontract="{chain.deployment.service_agreements}"\n']


async def enrolled(chain: ChainSite, gateway: bytes, opening: date) -> None:
    """Flat, owner, gateway, both meters, the old one's binding, the installer, the price; then it is today."""
    at, letter = chain.deployment, hashlib.sha256(b"letter").digest()
    await chain.send("manager", "Tariffs", "announce", PRICE.encode(), number_of(opening), 0, 0)
    await chain.send("committee", "Tariffs", "approve", 1, 0)
    flat = NewUnit(alias=UNIT, area_centi_m2=8_930, head=0)
    await chain.change_by_calls(add_units(at.roll, units=[flat]))
    await chain.send("committee", "Roll", "post_letters", [UNIT], [hashlib.sha256(letter).digest()])
    x, y = halves(p256.public_bytes(OWNER))
    crew_x, crew_y = halves(p256.public_bytes(MECHANIC))
    gateway_x, gateway_y = halves(gateway)
    await chain.change_by_calls(
        add_owner_key(at.roll, unit=UNIT, x=x, y=y, kind=KeyKind.SOFTWARE, relying_party=0, letter_code=letter),
        registry_changes.set_role(at.registry, role=padded("operator"), account=chain.keys["operator"].address),
        registry_changes.set_gateway_key(
            at.registry, origin=ORIGIN, x=gateway_x, y=gateway_y, key_class=1, building=1
        ),
        registry_changes.assign_devices(
            at.registry, origin_id=origin_id(ORIGIN), first_index=0,
            devices=[device_id(one) for one in (urn(OLD), urn(NEW), GATEWAY)],
        ),
        bind(
            at.bindings, subject=UNIT, device=device_id(urn(OLD)), role=1, from_date=number_of(opening),
            commitment=hashlib.sha256(b"as it was hung up").digest(),
        ),
        crews_changes.set_firm(at.crews, firm=1, name_digest=hashlib.sha256(b"firm").digest(), licence_until=FAR_S),
        crews_changes.set_member(
            at.crews, alias=ALIASES[MECHANIC], firm=1, duties=MECHANIC_AND_INSTALLER, licence_until=FAR_S
        ),
        crews_changes.add_crew_key(
            at.crews, alias=ALIASES[MECHANIC], x=crew_x, y=crew_y, kind=KeyKind.SOFTWARE, relying_party=0
        ),
    )  # fmt: skip
    operator = chain.keys["operator"].address
    await chain.send("cashier", "Token", "mint", operator, 1_000_000)
    await chain.send("operator", "Token", "approve", at.usage_fees, 1_000_000)
    await chain.send("operator", "UsageFees", "post_bond", 200_000)
    await chain.rpc("evm_setTime", int(time.time()))
    await chain.mine()


def halves(public: bytes) -> tuple[int, int]:
    return int.from_bytes(public[:32]), int.from_bytes(public[32:])


def directory() -> str:
    """directory.json as provisioning writes it: the spare meter is the flat's as well."""

    def words(text: str) -> dict[str, str]:
        return {"zh": text, "en": text}

    def meter(address: str) -> dict[str, Any]:
        return {
            "urn": urn(address), "device": device_id(urn(address)).hex(), "kind": "meter", "origin": ORIGIN, "floor": 1,
            "title": words(address), "quantity": REGISTER, "counts_for": {"unit": UNIT.hex()}, "tariff": "flat",
            "name": f"m{address[-1]}", "building": "b01", "packs": ["meter-swap"],
        }  # fmt: skip

    site = {"name": "site", "host": "test.minglou.example", "title": words("翠苑"), "timezone": "Asia/Shanghai"}
    unit = {"index": 0, "name": DOOR, "building": "b01", "floor": 1, "alias": UNIT.hex(), "area_centi_m2": 8_930}
    link = {"role": "owner", "unit": UNIT.hex(), "title": words("owner")}
    crew = {
        "alias": ALIASES[MECHANIC].hex(), "public": p256.public_bytes(MECHANIC).hex(), "kind": "software",
        "firm": words("安心"), "firm_number": 1, "duty": "mechanic",
    }  # fmt: skip
    return json.dumps(
        {
            "format": "minglou-directory/1",
            "site": site | {"site_id": "00" * 32},
            "gateways": [{"urn": GATEWAY, "origin": ORIGIN, "building": "b01"}],
            "units": [unit | {"title": words("101")}],
            "devices": [meter(OLD), meter(NEW)],
            "sign_in": [link | {"token_sha256": hashlib.sha256(OWNERS_LINK).hexdigest()}],
            "crew": [crew],
            "pools": [],
            "tariffs": [{"name": "flat", "version": 1}],
        }
    )
