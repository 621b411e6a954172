"""A lift, its firm and its crew on a real chain, and visits handed to the cloud as phones hand them in."""

import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from eth_utils.crypto import keccak

from cloud.chain.anchoring import wish_head
from cloud.chain.builders import contract_head
from cloud.chain.client import ChainClient
from cloud.chain.deployment import Deployment
from cloud.chain.directory import abi_of
from cloud.chain.proving import entry_proof
from cloud.directory import DirectoryFile
from cloud.mail import Bell
from cloud.maintenance.records import AgreementRecord
from cloud.maintenance.view import MaintenanceView
from cloud.store.logs import log_ids_of
from cloud.visits.room import VisitRoom
from contracts import p256
from contracts.abi import Call, encode_arguments
from contracts.act_file import act_of_call, format_act
from contracts.calls import counterevidence, crews_changes, registry_changes, service_agreements, token
from contracts.crew_signature import DUTY_MANAGER, DUTY_MECHANIC
from contracts.due import DAY_S, TERMS_TYPE, Terms, local_day
from contracts.entry import Kind, device_id
from contracts.onchain import origin_id
from contracts.person import KeyKind, PersonSignature, Purpose, sign_software
from contracts.signed_visit import SignedVisit, signed_visit_to_json
from contracts.visit import Visit
from tests.cloud.chain_site import ChainSite
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.test_chain import ChainBench, fresh_site, open_chain_bench
from tests.cloud.test_visits import directory
from tests.visits import ALIASES, LIFT, MANAGER, MECHANIC, OTHER, signed, visit_of

OFFSET_S = 8 * 3600
FIRM = 1
FIRM_ROLE = "operator"  # whose account is the firm's here
LICENCE_UNTIL_S = 2_000_000_000
BUDGET, DEPOSIT, FEE, PENALTY = 500_000, 1_000_000, 20_000, 5_000
FAR_S = 2**40
OTHER_LIFT = "urn:minglou:site:b01:lift:l2"
GATEWAY_KEY = p256.key_from_secret(77)


@dataclass
class BlockClock:
    """The chain's time, as the cloud's own."""

    seconds: int = 0

    def now_ms(self) -> int:
        return self.seconds * 1000

    def real_ms_until(self, at_ms: int) -> int:
        return max(0, at_ms - self.now_ms())


@dataclass
class Upkeep:
    """One lift under an agreement, whose visits the cloud brings to the chain."""

    chain: ChainBench
    gateway: SimulatedGateway
    room: VisitRoom
    clock: BlockClock
    terms: Terms
    sent: int = 0

    @property
    def site(self) -> ChainSite:
        return self.chain.site

    @property
    def view(self) -> MaintenanceView:
        return self.chain.upkeep.ground.view

    @property
    def agreement(self) -> AgreementRecord:
        return self.view.agreements[agreement_name(self.terms)]

    async def tell_time(self) -> int:
        """Seconds of the newest block, which the cloud's clock shows from now on."""
        self.clock.seconds = int((await self.site.rpc("eth_getBlockByNumber", "latest", False))["timestamp"], 16)
        return self.clock.seconds

    async def go_to(self, day: int, *, hour: int = 9) -> None:
        """Wait until this hour of a local day."""
        await self.site.pass_seconds(day * DAY_S - OFFSET_S + hour * 3600 - await self.tell_time())
        await self.tell_time()

    async def hand_in(
        self,
        *,
        level: int = 3,
        judged: bool = True,
        keys: tuple[p256.PrivateKey, ...] = (MECHANIC, OTHER),
        **changes: Any,
    ) -> Visit:
        """A visit that ended a moment ago, signed by all three, taken by the cloud and judged by the gateway."""
        minutes = changes.pop("minutes", 35)
        started = changes.pop("started_at_s", await self.tell_time() - minutes * 60 - 60)
        visit = visit_of(started, minutes=minutes, mechanics=keys, manager=MANAGER, **changes)
        await self.room.take(json.dumps(signed_visit_to_json(self.sign(visit, keys))).encode())
        if judged:
            await self.judge(visit, level)
        return visit

    def sign(self, visit: Visit, keys: tuple[p256.PrivateKey, ...]) -> SignedVisit:
        return signed(visit, *keys, MANAGER, contract=self.site.deployment.service_agreements, deadline=FAR_S)

    async def judge(self, visit: Visit, level: int, *, urn: str = LIFT) -> int:
        """The gateway's entry for a visit; its index."""
        index = self.gateway.log_visit(urn, level, visit.digest(), at_ms=visit.ended_at_s * 1000 + 60_000)
        await self.send_log()
        return index

    async def evidence(self, signed_one: SignedVisit, index: int) -> counterevidence.SignedVisit:
        """A mechanic's visit with its gateway's entry, as Counterevidence takes it."""
        await wish_head(self.chain.bench.store, self.gateway.origin, self.gateway.size, now_ms=0)
        view = self.chain.view
        await self.settle_until(lambda: view.head(self.gateway.origin).size == self.gateway.size)
        head = view.head(self.gateway.origin)
        async with self.chain.bench.store.read() as connection:
            (log_id,) = await log_ids_of(connection, [self.gateway.origin])
            proof = await entry_proof(connection, log_id, index, head.size)
        assert proof is not None
        logged = counterevidence.LoggedEntry(0, contract_head(head), proof)
        return counterevidence.SignedVisit(
            signed_one.visit, signed_one.contract, signed_one.signatures[0].signature, logged
        )

    async def settle(self, blocks: int) -> None:
        """So many blocks, each followed and acted upon; nothing is anchored, for which there are other tests."""
        for _ in range(blocks):
            await self.chain.follow()
            await self.chain.upkeep.step()
            await self.chain.sender.step()
            await self.site.mine()
        await self.chain.follow()

    async def settle_until(self, holds: Callable[[], bool]) -> None:
        """Let follower, wishes, sender and miner work until something is so."""
        for _ in range(60):
            if holds():
                return
            await self.settle(1)
        raise AssertionError(f"not so after 60 blocks: {await self.chain.states()}")

    async def say(self, quantity: str, value: int) -> int:
        """The lift tells its gateway something now; the entry's index."""
        index = self.gateway.log(Kind.STATUS, LIFT, quantity, value, at_ms=await self.tell_time() * 1000)
        await self.send_log()
        return index

    def act(self, call: Call, contract: str, function: str) -> bytes:
        """The file of a signed act."""
        abi = abi_of(contract)
        return format_act(act_of_call(call, chain_id=31337, contract=contract, function=function, abi=abi), abi)

    def sign_act(self, key: p256.PrivateKey, contract: str, purpose: Purpose, *body: Any) -> PersonSignature:
        """A software key's signature over an act."""
        return sign_software(
            key,
            chain_id=31337,
            contract=contract,
            purpose=purpose,
            nonce=1,
            deadline=FAR_S,
            body_digest=purpose.body_digest(*body),
        )

    async def send_log(self) -> None:
        self.sent = await self.chain.bench.send(self.gateway, self.sent)

    async def held(self) -> tuple[int, int, int]:
        """Budget, deposit and claimed sum of the agreement, as the contract has them."""
        asked = service_agreements.agreement(
            self.site.deployment.service_agreements, agreement=agreement_name(self.terms)
        )
        found = service_agreements.parse_agreement(await self.site.client.call(asked.to, asked.data))
        return found.budget, found.deposit, found.claimed

    async def balance_of_firm(self) -> int:
        account = self.site.keys[FIRM_ROLE].address
        return int(await self.site.view("Token", "balanceOf", account))


@asynccontextmanager
async def open_upkeep(folder: Path, store_url: str, url: str, **changes: Any) -> AsyncIterator[Upkeep]:
    """From an empty store and a fresh deployment to the first day of the agreement.

    Args:
        changes: of the agreement's terms.
    """
    site, terms = await agreed_site(url, **changes)
    try:
        place = folder / "directory.json"
        place.write_text(two_lifts(directory(MECHANIC, OTHER, MANAGER)))
        async with open_chain_bench(store_url, site, directory=place) as chain:
            gateway, clock = SimulatedGateway(key=GATEWAY_KEY), BlockClock()
            room = VisitRoom(
                store=chain.bench.store,
                directory=DirectoryFile(place),
                bell=Bell(),
                clock=clock,
                chain_id=31337,
                contract=site.deployment.service_agreements,
            )
            upkeep = Upkeep(chain, gateway, room, clock, terms)
            await upkeep.tell_time()
            await chain.follow()
            await upkeep.send_log()
            yield upkeep
    finally:
        await site.close()


def two_lifts(site_file: str) -> str:
    """The site's directory with its second lift."""
    document = json.loads(site_file)
    document["devices"].append({**document["devices"][0], "urn": OTHER_LIFT, "name": "l2"})
    return json.dumps(document)


_agreed: dict[str, tuple[Deployment, Terms, str]] = {}
"""By a chain's URL: what stands there, and its snapshot from the agreement's first day."""


async def agreed_site(url: str, **changes: Any) -> tuple[ChainSite, Terms]:
    """The site on the first day of its agreement, made once on each chain, unless somebody has set that back since."""
    if url in _agreed and not changes:
        deployment, terms, snapshot = _agreed[url]
        site = ChainSite(url, ChainClient([url]), deployment)
        await site.rpc("anvil_dropAllTransactions")
        if await site.rpc("evm_revert", snapshot):
            _agreed[url] = deployment, terms, await site.rpc("evm_snapshot")
            return site, terms
        await site.close()
    site = await fresh_site(url)
    await enrol(site, SimulatedGateway(key=GATEWAY_KEY))
    now_s = await block_time(site)
    terms = terms_of(site, now_s, **changes)
    await agree(site, terms)
    await site.pass_seconds(terms.starts_on * DAY_S - OFFSET_S + 9 * 3600 - await block_time(site))
    if not changes:
        _agreed[url] = site.deployment, terms, await site.rpc("evm_snapshot")
    return site, terms


async def prepare(url: str) -> None:
    """Make it stand there, for the tests that follow."""
    site, _terms = await agreed_site(url)
    await site.close()


async def block_time(site: ChainSite) -> int:
    return int((await site.rpc("eth_getBlockByNumber", "latest", False))["timestamp"], 16)


CREW = tuple(
    (ALIASES[key], p256.public_bytes(key), firm, duty)
    for key, firm, duty in ((MECHANIC, FIRM, DUTY_MECHANIC), (OTHER, FIRM, DUTY_MECHANIC), (MANAGER, 0, DUTY_MANAGER))
)
"""Alias, public key, firm and duty of each who signs."""


async def enrol(
    site: ChainSite, gateway: SimulatedGateway, people: Sequence[tuple[bytes, bytes, int, int]] = CREW
) -> None:
    """Firm, two mechanics, the site's manager, the gateway and the lift: one batch of two parties."""
    crews, at = site.deployment.crews, site.deployment.registry
    x, y = int.from_bytes(gateway.public[:32]), int.from_bytes(gateway.public[32:])
    calls: list[Call] = [
        registry_changes.set_gateway_key(at, origin=gateway.origin, x=x, y=y, key_class=1, building=7),
        registry_changes.assign_devices(
            at,
            origin_id=origin_id(gateway.origin),
            first_index=0,
            devices=[device_id(urn) for urn in (LIFT, OTHER_LIFT, gateway.urn)],
        ),
        crews_changes.set_firm(crews, firm=FIRM, name_digest=sha256(b"firm").digest(), licence_until=LICENCE_UNTIL_S),
    ]
    for alias, public, firm, duty in people:
        calls += [
            crews_changes.set_member(crews, alias=alias, firm=firm, duties=duty, licence_until=LICENCE_UNTIL_S),
            crews_changes.add_crew_key(
                crews,
                alias=alias,
                x=int.from_bytes(public[:32]),
                y=int.from_bytes(public[32:]),
                kind=KeyKind.SOFTWARE,
                relying_party=0,
            ),
        ]
    await site.change_by_calls(*calls)


def terms_of(site: ChainSite, now_s: int, **changes: Any) -> Terms:
    """Two people and the counter-signature, level 2, from tomorrow on."""
    starts_on = local_day(now_s, utc_offset_s=OFFSET_S) + 1
    fields: dict[str, Any] = {
        "device": device_id(LIFT),
        "plan": sha256(b"plan").digest(),
        "firm": FIRM,
        "starts_on": starts_on,
        "ends_on": starts_on + 500,
        "checklists": tuple(sha256(f"list {number}".encode()).digest() for number in range(4)),
        "interval_days": (15, 90, 180, 365),
        "done_on": (starts_on,) * 4,
        "grace_days": 0,
        "fees": (FEE, 30_000, 45_000, 80_000),
        "factors": (0, 0, 900, 1000, 1100),
        "penalty": PENALTY,
        "deposit": DEPOSIT,
        "two_people": True,
        "countersigned": True,
        "level": 2,
        "account": site.keys[FIRM_ROLE].address.lower(),
        "payer": site.keys["manager"].address.lower(),
    }
    return Terms(**(fields | changes))


async def agree(site: ChainSite, terms: Terms) -> None:
    """Offered by the manager, agreed to by the firm with its deposit, and given a budget."""
    address = site.deployment.service_agreements
    for role in ("manager", FIRM_ROLE):
        account = site.keys[role].address
        await site.send_call("cashier", token.mint(site.deployment.token, recipient=account, amount=10_000_000))
        await site.send_call(role, token.approve(site.deployment.token, spender=address, amount=2**200))
    digest = keccak(encode_arguments("terms", (TERMS_TYPE,), (terms.abi(),)))
    name = agreement_name(terms)
    await site.send_call("manager", service_agreements.propose(address, terms=terms))
    await site.send_call(FIRM_ROLE, service_agreements.agree(address, agreement=name, terms_digest=digest))
    await site.send_call("manager", service_agreements.add_budget(address, agreement=name, amount=BUDGET))


def line_name(terms: Terms) -> bytes:
    return keccak(encode_arguments("", ("bytes32", "bytes32", "uint256"), (terms.device, terms.plan, terms.firm)))


def agreement_name(terms: Terms) -> bytes:
    return keccak(encode_arguments("", ("bytes32", "uint256"), (line_name(terms), terms.starts_on)))
