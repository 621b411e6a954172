"""A lift under an agreement, on real parts: a chain, a cloud, a gateway, a display and a lift's module, each a process
or a client of its own, and the crew's three phones, which are the app in Chromium.

The chain begins twelve days ago, so that the two parties' public delays are over when the visit is made: today.
"""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from contracts.abi import Call
from contracts.calls import service_agreements, work_orders
from contracts.due import DAY_S, Terms, local_day
from contracts.entry import device_id
from contracts.pack import read_pack
from contracts.quantities import LIFT_ENTRAPMENT
from contracts.visit import VisitClass
from contracts.work_order import Order, source_of
from devices.simulated.display import Display, DisplaySettings
from devices.simulated.lift.schedule import HOUR_MS, LiftSchedule, visit_round
from devices.simulated.publisher import Link
from edge.credentials import hash_password
from provisioning.demo.anvil import anvil_command
from tests.bundles import ANNEX_A
from tests.cloud.chain_site import ChainSite, secret_of
from tests.cloud.maintenance_site import (
    FIRM,
    OFFSET_S,
    agree,
    agreement_name,
    block_time,
    enrol,
    line_name,
    terms_of,
)
from tests.cloud.served import ServedCloud, serving
from tests.crew import site as crew_site
from tests.crew.phone import CrewPhone
from tests.crew.site import CODES, NO_LIMITS, write_directory
from tests.edge.site import ORIGIN, PASSWORD, Site
from tests.end_to_end.lift_line import LiftLine
from tests.processes import free_port, is_listening, running, wait_until
from tests.provisioning.conftest import DEMO
from tests.provisioning.parties import Party, open_party
from tests.visits import LIFT

DISPLAY = "urn:minglou:site:b01:display:d1"
BEGAN_DAYS_AGO = 12
VISITED_HOURS_AGO = 3
SEED, FLOORS = 7, 12
ZONE = ZoneInfo("Asia/Shanghai")
PACK = read_pack(ANNEX_A)
PEOPLE = (("王师傅", "mechanic"), ("李师傅", "mechanic"), ("赵经理", "manager"))
ENROLMENT = "alias => import('/static/crew/keys.js').then((keys) => keys.enrolment(alias))"
CHAIN_SECONDS = 240  # that one question or one party's act may take on a busy machine


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrolledGateway:
    """What the Registry must know of the real gateway."""

    public: bytes
    origin: str = ORIGIN
    urn: str = "urn:minglou:site:b01:gateway:g1"


@dataclass(frozen=True, slots=True)
class AppSite:
    """The served cloud as a crew's phone knows it."""

    url: str


@dataclass
class Upkeep:
    """All of it, running."""

    chain: ChainSite
    phones: Sequence[CrewPhone]
    cloud: ServedCloud
    edge: Site
    gateway: ExitStack  # its process, which `gateway_lives_on` ends and begins anew
    display: Display
    lift: LiftLine
    visited_ms: tuple[int, int]  # from when to when the crew was really there
    terms: Terms
    asking: "Asking"

    def became(self, digest: str) -> dict[str, Any]:
        """What the cloud says became of a visit."""
        answer: dict[str, Any] = self.cloud.get(f"/v1/visits/{digest}").json()
        return answer

    def wait_for(self, digest: str, word: str, *, seconds: float = 90) -> dict[str, Any]:
        """Until `state` or `chain` of the cloud's answer is this word; the building goes on meanwhile."""
        found: dict[str, Any] = {}

        def has_come() -> bool:
            found.update(self.became(digest))
            return word in (found["state"], found["chain"])

        self.wait_until(has_come, seconds=seconds, what=f"the visit is {word}")
        return found

    def step(self) -> None:
        """The lift and the display say what is due."""
        now_ms = int(time.time() * 1000)
        self.lift.step(now_ms)
        self.display.step(now_ms)

    def wait_until(self, holds: Callable[[], bool], *, what: str, seconds: float = 90) -> None:
        """The building goes on meanwhile."""

        def is_so() -> bool:
            self.step()
            return holds()

        wait_until(is_so, seconds=seconds, what=what)

    def page(self) -> dict[str, Any]:
        """What everybody may know of the lift."""
        answer: dict[str, Any] = self.cloud.get("/v1/devices/b07-l1/public").json()
        return answer

    def entrapment_order(self) -> bytes:
        """The machine's last order for trapped people, as WorkOrders has it; zero where there is none."""
        at, source = self.chain.deployment.work_orders, source_of(device_id(LIFT), LIFT_ENTRAPMENT)
        return work_orders.parse_last_orders(self._call(work_orders.last_orders(at, source=source)))

    def order(self, name: bytes) -> Order:
        """How WorkOrders itself has it."""
        return work_orders.parse_order(self._call(work_orders.order(self.chain.deployment.work_orders, order=name)))

    def agreement(self) -> Any:
        """The agreement's money, as ServiceAgreements has it."""
        address = self.chain.deployment.service_agreements
        call = service_agreements.agreement(address, agreement=agreement_name(self.terms))
        return service_agreements.parse_agreement(self._call(call))

    def pass_days(self, days: int) -> None:
        """On the chain, by which the cloud counts days."""
        self.asking.ask(self.chain.pass_seconds(days * DAY_S))

    def gateway_lives_on(self, days: int) -> None:
        """The gateway begins anew with a clock that is so many days ahead."""
        self.gateway.close()
        then_ms = int(time.time() * 1000) - 2000
        self.edge.clock = (
            f'[clock]\nkind = "demo"\nreal_start_ms = {then_ms}\nreal_end_ms = {then_ms + 1000}\n'
            f"demo_start_ms = {then_ms}\nahead_ms = {days * DAY_S * 1000}\n"
        )
        self.gateway.enter_context(_gateway(self.edge, self.chain, self.cloud))

    def _call(self, call: Call) -> bytes:
        answer: bytes = self.asking.ask(self.chain.client.call(call.to, call.data))
        return answer

    def kept(self, ended_at_s: int) -> Any:
        """What ServiceAgreements itself keeps of the day on which a visit ended."""
        slot = local_day(ended_at_s, utc_offset_s=OFFSET_S) % service_agreements.RING
        address = self.chain.deployment.service_agreements
        call = service_agreements.visit(address, line=line_name(self.terms), slot=slot)
        return service_agreements.parse_visit(self._call(call), slot=slot)

    def balance_of_firm(self) -> int:
        return int(self.asking.ask(self.chain.view("Token", "balanceOf", self.terms.account)))


class Asking:
    """A loop in a thread of its own, for what asks the chain: Playwright's holds this one."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="asking")
        self._thread.start()

    def ask(self, question: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(question, self._loop).result(CHAIN_SECONDS)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def upkeep(folder: Path, phones: Sequence[CrewPhone]) -> Iterator[Upkeep]:
    """Everything running; each phone's new key enrolled by both parties, the agreement in force, the display paired."""
    port, began_s = free_port(), int(time.time()) - BEGAN_DAYS_AGO * DAY_S
    start_ms = (int(time.time()) - VISITED_HOURS_AGO * 3600) * 1000
    visited_ms = (start_ms, visit_round(SEED, "l1", FLOORS, start_ms).end_ms)
    with ExitStack() as stack:
        asking = Asking()
        stack.callback(asking.close)
        command = anvil_command(port, genesis_s=began_s)
        stack.enter_context(running(command, name="anvil", output_dir=folder, ready=lambda: is_listening(port)))
        chain: ChainSite = asking.ask(ChainSite.deploy(f"http://127.0.0.1:{port}"))
        stack.callback(lambda: asking.ask(chain.close()))
        cloud = stack.enter_context(_cloud(folder / "cloud", chain))
        site = AppSite(f"http://localhost:{cloud.port}")
        keys = [_new_key(phone, number, site, folder) for number, phone in enumerate(phones)]
        edge = Site(directory=folder / "gateway")
        approved = _approved_by_both(folder, cloud, chain.url, keys)
        terms: Terms = asking.ask(_agreed(chain, EnrolledGateway(public=edge_key(edge)), approved))
        asking.ask(chain.rpc("evm_setIntervalMining", 1))  # a block a second: the chain's time is the building's
        gateway = stack.enter_context(ExitStack())
        gateway.enter_context(_gateway(edge, chain, cloud))
        display = stack.enter_context(_display(edge, folder / "display", site.url))
        lift = stack.enter_context(_lift(edge, folder / "lift", start_ms))
        yield Upkeep(chain, phones, cloud, edge, gateway, display, lift, visited_ms, terms, asking)


def edge_key(edge: Site) -> bytes:
    """The gateway's public key, made where it does not stand yet."""
    edge.directory.mkdir(parents=True, exist_ok=True)
    return edge.public


def _new_key(phone: CrewPhone, number: int, site: AppSite, folder: Path) -> Path:
    """The file by which the phone's new key comes to the office."""
    phone.site = site  # type: ignore[assignment]  # as far as it is used here
    phone.sign_in(number)
    (person,) = phone.make_people(PEOPLE[number], enrolled=False)
    path = folder / f"key-{number}.json"
    path.write_text(json.dumps(phone.page.evaluate(ENROLMENT, person["alias"])))
    return path


def _approved_by_both(folder: Path, cloud: ServedCloud, rpc: str, keys: Sequence[Path]) -> Party:
    """Manager and committee add the keys, one announces, the other approves: `minglou provision`, each by itself."""
    deployment = (cloud.folder / "deployment.json").read_text()
    manager, committee = (
        open_party(
            folder / f"of-{role}", role=role, secret=bytes.fromhex(secret_of(role).removeprefix("0x")), rpc=rpc,
            deployment=deployment, site=DEMO.read_text("utf-8"),
        )
        for role in ("manager", "committee")
    )  # fmt: skip
    for path, (_, duty) in zip(keys, PEOPLE, strict=True):
        for party in (manager, committee):
            assert party.add(path, f"the {duty}", firm=FIRM if duty == "mechanic" else 0, duty=duty) == 0
    assert manager.changes("announce") == committee.changes("approve") == 0
    return manager


async def _agreed(chain: ChainSite, gateway: EnrolledGateway, party: Party) -> Terms:
    """Gateway, the phones' keys and agreement, through all delays; the chain then stands at the present."""
    await enrol(chain, gateway, [])  # type: ignore[arg-type]  # of a gateway it takes key, origin and URN
    assert await asyncio.to_thread(party.changes, "enact", "--as", party.role) == 0
    lists = tuple(PACK.list_digest(each) for each in VisitClass if each)
    terms = terms_of(chain, await block_time(chain), plan=PACK.digest(), checklists=lists)
    await agree(chain, terms)
    await chain.rpc("evm_setTime", int(time.time()))
    await chain.mine()
    assert local_day(await block_time(chain), utc_offset_s=OFFSET_S) >= terms.starts_on
    return terms


@contextmanager
def _cloud(folder: Path, chain: ChainSite) -> Iterator[ServedCloud]:
    folder.mkdir()
    more = f'[maintenance]\ncontract = "{chain.deployment.service_agreements}"\n{NO_LIMITS}'
    write_our_directory(folder)
    named = (folder / "directory.json").read_text()
    with serving(folder, chain, directory=named, more=more) as cloud:
        yield cloud


def write_our_directory(folder: Path) -> None:
    """The crew tests' directory, with this gateway's lift and display; whose keys serve is the chain's to say."""
    write_directory(folder, [])
    path = folder / "directory.json"
    text = path.read_text()
    for theirs, ours in (
        (crew_site.ORIGIN, ORIGIN),
        (crew_site.LIFT, LIFT),
        (crew_site.DISPLAY, DISPLAY),
        (device_id(crew_site.LIFT).hex(), device_id(LIFT).hex()),
    ):
        text = text.replace(json.dumps(theirs), json.dumps(ours))
    path.write_text(text)


@contextmanager
def _gateway(edge: Site, chain: ChainSite, cloud: ServedCloud) -> Iterator[None]:
    edge.uplink = cloud.url
    edge.users |= {name: hash_password(PASSWORD) for name in ("l1", "d1")}
    edge.tables = [
        f'[[device]]\nurn="{LIFT}"\nprofile="lift-monitor-json"\nmqtt="endpoint"\ntopic="t/l1"\nusername="l1"\n',
        f'[[device]]\nurn="{DISPLAY}"\nprofile="display-json"\nmqtt="endpoint"\ntopic="t/d1"\nusername="d1"\n'
        f'of=["{LIFT}"]\n',
        f'[maintenance]\ncontract="{chain.deployment.service_agreements}"\n',
    ]
    with edge.running():
        yield


@contextmanager
def _display(edge: Site, state_dir: Path, base: str) -> Iterator[Display]:
    """The display's own client, stepped until it is paired and knows the time."""
    settings = DisplaySettings(link=_link(edge, "d1"), base=base, code=CODES["display"], report_seconds=300)
    display = Display(settings, ZONE, state_dir)

    def is_ready() -> bool:
        now_ms = int(time.time() * 1000)
        display.step(now_ms)
        return display.is_paired and bool(display.shown(now_ms))

    display.start(now_ms=int(time.time() * 1000), begin_ms=int(time.time() * 1000) - 4 * HOUR_MS)
    try:
        wait_until(is_ready, seconds=60, what="the display is paired")
        yield display
    finally:
        display.stop()


@contextmanager
def _lift(edge: Site, state_dir: Path, start_ms: int) -> Iterator[LiftLine]:
    """The lift's module, which tells what the crew does to the machine from `start_ms` on."""

    def schedule(kind: Callable[..., LiftSchedule], **options: Any) -> LiftSchedule:
        return kind(SEED, "l1", ZONE, FLOORS, [start_ms], model="B", **options)

    lift = LiftLine(_link(edge, "l1"), ZONE, state_dir / "l1.json", schedule)
    lift.start(start_ms - 2 * HOUR_MS)
    try:
        yield lift
    finally:
        lift.stop()


def _link(edge: Site, name: str) -> Link:
    url = f"mqtt://127.0.0.1:{edge.endpoint_port}"
    return Link(name=name, url=url, topic=f"t/{name}", username=name, password=PASSWORD)
