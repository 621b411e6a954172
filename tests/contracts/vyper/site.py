"""A small site on a development chain: three units, a gateway with a real log, two meters and a common one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from contracts import p256
from contracts.abi import Call
from contracts.bill import Bill, BillTree, Line, LineKind
from contracts.calls import (
    anchor_log,
    bindings,
    bindings_changes,
    crews,
    crews_changes,
    registry,
    registry_changes,
    roll,
    roll_changes,
    tariffs,
    token,
    usage_fees,
)
from contracts.calls.anchor_log import NO_HEAD, Head, SignedHead
from contracts.calls.bindings import Binding
from contracts.calls.charges import EntryProof, Span
from contracts.calls.registry_events import Announced, parse_event
from contracts.checkpoint import Checkpoint
from contracts.entry import Entry, Kind, encode_entry
from contracts.person import PersonSignature, Purpose, key_id_of, sign_software
from contracts.tariff import Counting, Tariff, Terms
from contracts.tree import MemoryTree, consistency_path, inclusion_path, leaf_hash
from contracts.vyper.compile import artifact
from tests.contracts.vyper import site_contracts as terms
from tests.contracts.vyper.chain import Chain, Receipt
from tests.contracts.vyper.site_contracts import Parties, creation

# What constructors were given, for tests to read beside the rest.
CONTRACTS, SITE, SUPER_LOG, PRECOMPILE = terms.CONTRACTS, terms.SITE, terms.SUPER_LOG, terms.PRECOMPILE
DAY, OFFSET, WINDOW = terms.DAY, terms.OFFSET, terms.WINDOW
BOND_FLOOR, DEPOSIT = terms.BOND_FLOOR, terms.DEPOSIT
created_address = terms.created_address

START = 1_788_220_800  # 2026-09-01T00:00:00Z
ORIGIN = "minglou.example/cuiyuan/b07/e0"
NEIGHBOUR = "minglou.example/cuiyuan/b08/e0"
ENERGY = "1-0:1.8.0"
OPENING, CLOSING = 20261101, 20261201
PERIOD = OPENING * 10**8 + CLOSING
CLOSING_AT = 1_796_083_200 - OFFSET  # 2026-12-01T00:00 in Asia/Shanghai
FOREVER = 2**63
SECP256R1_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def word(number: int) -> bytes:
    return number.to_bytes(32)


def name(text: str) -> bytes:
    """A 32-byte name: alias, device or pool."""
    return sha256(text.encode()).digest()


UNITS = tuple(name(f"unit {index}") for index in range(3))
AREAS = (8930, 12050, 7777)
METERS = tuple(name(f"meter {index}") for index in range(3))
SPARE_METER = name("meter that replaces meter 0")
POOL = name("common")
POOL_METER = name("common meter")
LIFT = name("lift")


def key_of(secret: int) -> p256.PrivateKey:
    return p256.key_from_secret(secret)


FIRM = 1
INSTALLER = name("installer")
INSTALLER_KEY = key_of(2000)
BUILDING = 7
LICENCE_UNTIL = 2_000_000_000
OWNER_KEYS = tuple(key_of(1000 + index) for index in range(3))
GATEWAY_KEY = key_of(7)
NEIGHBOUR_KEY = key_of(8)


def coordinates(key: p256.PrivateKey) -> tuple[int, int]:
    public = p256.public_bytes(key)
    return int.from_bytes(public[:32]), int.from_bytes(public[32:])


@dataclass
class GatewayLog:
    """A gateway: its entries, its tree and its key."""

    origin: str
    key: p256.PrivateKey
    entries: list[Entry] = field(default_factory=list)
    tree: MemoryTree = field(default_factory=MemoryTree)

    @property
    def origin_id(self) -> bytes:
        return sha256(self.origin.encode()).digest()

    def append(self, entry: Entry) -> int:
        self.entries.append(entry)
        self.tree.append(leaf_hash(encode_entry(entry)))
        return len(self.entries) - 1

    def read(self, device: bytes, date: int, value: int, quantity: str = ENERGY) -> int:
        """Log a boundary entry; returns its index."""
        return self.append(reading(device, f"{quantity}*{date}", value))

    def fill(self, size: int) -> None:
        """Other entries, until the log has this size."""
        while len(self.entries) < size:
            self.append(reading(LIFT, ENERGY, len(self.entries)))

    def signed(self, size: int | None = None) -> SignedHead:
        size = self.tree.size if size is None else size
        root = self.tree.root(size)
        return sign_head(self.key, self.origin, size, root)

    def consistency(self, old_size: int, size: int | None = None) -> list[bytes]:
        size = self.tree.size if size is None else size
        return consistency_path(self.tree.node, old_size, size) if 0 < old_size <= size else []

    def proof(self, index: int, size: int) -> EntryProof:
        return EntryProof(self.entries[index], index, tuple(inclusion_path(self.tree.node, index, size)))


def sign_head(key: p256.PrivateKey, origin: str, size: int, root: bytes) -> SignedHead:
    body = Checkpoint(origin=origin, size=size, root=root).body()
    signature = p256.sign(key, body.encode())
    return SignedHead(size, root, int.from_bytes(signature[:32]), int.from_bytes(signature[32:]))


def reading(device: bytes, quantity: str, value: int) -> Entry:
    return Entry(
        kind=Kind.READING,
        device=device,
        observed_at_ms=1_793_460_000_000,
        quantity=quantity,
        value=value,
        detail_digest=bytes(32),
        salt=bytes(range(16)),
    )


RESIDENTIAL = Tariff(
    terms=Terms.tiered(
        quantity=ENERGY,
        counting=Counting.YEAR,
        tiers=((2_760_000, 53_800_000), (4_800_000, 58_800_000), (None, 83_800_000)),
        document=name("price decision"),
    ),
    valid_from=20261020,
)
COMMON = Tariff(
    terms=Terms.tiered(quantity=ENERGY, tiers=((None, 55_800_000),), document=name("price decision, common areas")),
    valid_from=20261020,
)


BINDING = name("binding")


def cost(tariff: Tariff, *, used: int, prior: int = 0) -> int:
    """Fen by a tariff of one season and one register."""
    return tariff.terms.seasons[0].charge(used=[used], prior=prior)


ON_CHALLENGES = (Purpose.CHALLENGE, Purpose.DEMAND)


class Site:
    """The deployed contracts, the parties, and shorthand for what they do."""

    def __init__(self, chain: Chain, **others: str) -> None:
        """Others stand in the directory under these names: an assembly, for a site that has votes."""
        self.chain, self._others = chain, others
        accounts = chain.accounts
        self.deployer, self.manager, self.committee, self.operator, self.relayer, self.stranger = accounts[:6]
        self.log = GatewayLog(ORIGIN, GATEWAY_KEY)
        self.neighbour = GatewayLog(NEIGHBOUR, NEIGHBOUR_KEY)
        self.heads: dict[str, Head] = {}
        self._deploy()

    def _deploy(self) -> None:
        """All contracts; the Registry comes first and is told where the others will be."""
        nonce = int(self.chain.rpc("eth_getTransactionCount", self.deployer, "latest"), 16)
        at = {one: created_address(self.deployer, nonce + number) for number, one in enumerate(CONTRACTS)}
        parties = Parties(deployer=self.deployer, manager=self.manager, committee=self.committee, relayer=self.relayer)
        for one, contract in CONTRACTS.items():
            code = artifact(contract).bytecode
            address = self.chain.deploy(self.deployer, creation(one, code, at | self._others, parties))
            assert address == at[one], one
            setattr(self, one, address)

    registry: str
    roll: str
    crews: str
    bindings: str
    token: str
    anchor_log: str
    tariffs: str
    charges: str
    usage_fees: str
    challenges: str
    counterevidence: str

    # --- Two parties ---

    def announce(self, *calls: Call, by: str | None = None) -> int:
        receipt = self.chain.send(by or self.manager, registry.announce(self.registry, calls=calls))
        return announced(receipt)

    def approved(self, *calls: Call) -> int:
        """A batch that both parties signed and whose delay has not begun to pass."""
        number = self.announce(*calls)
        self.chain.send(self.committee, registry.approve(self.registry, number=number))
        return number

    def enact_batch(self, number: int, *calls: Call) -> Receipt:
        return self.chain.send(self.stranger, registry.enact(self.registry, number=number, calls=calls))

    def enact(self, *calls: Call) -> Receipt:
        """The whole way of a batch: announced, approved, waited for, enacted."""
        number = self.approved(*calls)
        self.chain.wait(7 * DAY)
        return self.enact_batch(number, *calls)

    def set_up(self) -> None:
        """Enrol everything that the tests use, with all delays really waited for."""
        chain = self.chain
        codes = [name(f"code {index}") for index in range(3)]
        letters = [sha256(code).digest() for code in codes]
        chain.send(self.committee, roll.post_letters(self.roll, units=UNITS, digests=letters))
        devices = [*METERS, SPARE_METER, POOL_METER, LIFT]
        rp = sha256(b"localhost").digest()
        batches: list[list[Call]] = [
            [
                self.units_change(
                    roll_changes.NewUnit(alias=alias, area_centi_m2=area, head=index, building=BUILDING, floor=index)
                    for index, (alias, area) in enumerate(zip(UNITS, AREAS, strict=True))
                ),
                roll_changes.add_pool(self.roll, pool=POOL),
                registry_changes.set_role(self.registry, role=registry.OPERATOR, account=self.operator),
                roll_changes.set_relying_party(self.roll, number=0, rp_id_hash=rp, origin=WEB_ORIGIN),
                crews_changes.set_relying_party(self.crews, number=0, rp_id_hash=rp, origin=WEB_ORIGIN),
                self.gateway_change(ORIGIN, GATEWAY_KEY),
                self.gateway_change(NEIGHBOUR, NEIGHBOUR_KEY),
                registry_changes.assign_devices(
                    self.registry, origin_id=self.log.origin_id, first_index=0, devices=devices
                ),
            ],
            [
                *[
                    self.owner_key_change(alias, key, code)
                    for alias, key, code in zip(UNITS, OWNER_KEYS, codes, strict=True)
                ],
                crews_changes.set_firm(
                    self.crews, firm=FIRM, name_digest=name("lift and meter firm"), licence_until=LICENCE_UNTIL
                ),
                self.member_change(INSTALLER, crews.Duty.INSTALLER),
                self.crew_key_change(INSTALLER, INSTALLER_KEY),
            ],
            [self.binding_change(alias, meter) for alias, meter in zip(UNITS, METERS, strict=True)]
            + [self.binding_change(POOL, POOL_METER, role=2)],
        ]
        numbers = [self.approved(*calls) for calls in batches]
        for tariff in (RESIDENTIAL, COMMON):
            chain.send(self.manager, tariffs.announce(self.tariffs, tariff=tariff))
        for version in (1, 2):
            chain.send(self.committee, tariffs.approve(self.tariffs, version=version))
        chain.wait(7 * DAY)
        for number, calls in zip(numbers, batches, strict=True):
            self.enact_batch(number, *calls)
        for account in (self.operator, self.stranger):
            chain.send(self.deployer, token.mint(self.token, recipient=account, amount=100_000_000))
            chain.send(account, token.approve(self.token, spender=self.usage_fees, amount=2**200))
        chain.send(self.operator, usage_fees.post_bond(self.usage_fees, amount=2 * BOND_FLOOR))

    # --- Inner calls ---

    def units_change(self, units: Iterable[roll_changes.NewUnit]) -> Call:
        return roll_changes.add_units(self.roll, units=list(units))

    def gateway_change(self, origin: str, key: p256.PrivateKey, key_class: int = 1) -> Call:
        x, y = coordinates(key)
        return registry_changes.set_gateway_key(
            self.registry, origin=origin, x=x, y=y, key_class=key_class, building=BUILDING
        )

    def owner_key_change(self, alias: bytes, key: p256.PrivateKey, code: bytes = bytes(32), kind: int = 2) -> Call:
        x, y = coordinates(key)
        return roll_changes.add_owner_key(self.roll, unit=alias, x=x, y=y, kind=kind, relying_party=0, letter_code=code)

    def member_change(self, alias: bytes, duties: int, *, firm: int = FIRM, licence_until: int = LICENCE_UNTIL) -> Call:
        return crews_changes.set_member(self.crews, alias=alias, firm=firm, duties=duties, licence_until=licence_until)

    def crew_key_change(self, alias: bytes, key: p256.PrivateKey, kind: int = 2) -> Call:
        x, y = coordinates(key)
        return crews_changes.add_crew_key(self.crews, alias=alias, x=x, y=y, kind=kind, relying_party=0)

    def binding_change(
        self, subject: bytes, device: bytes, *, role: int = 1, from_date: int = 20260901, commitment: bytes = BINDING
    ) -> Call:
        return bindings_changes.bind(
            self.bindings, subject=subject, device=device, role=role, from_date=from_date, commitment=commitment
        )

    # --- Logs ---

    def accept(self, log: GatewayLog, size: int | None = None, by: str | None = None) -> Receipt:
        previous = self.heads.get(log.origin, NO_HEAD)
        receipt = self.chain.send(by or self.stranger, self.accept_call(log, size))
        signed = log.signed(size)
        if signed.size > previous.size:
            self.heads[log.origin] = Head(signed.size, signed.root, self.chain.now())
        return receipt

    def accept_call(self, log: GatewayLog, size: int | None = None) -> Call:
        previous = self.heads.get(log.origin, NO_HEAD)
        signed = log.signed(size)
        return anchor_log.accept(
            self.anchor_log,
            origin=log.origin,
            previous=previous,
            size=signed.size,
            root=signed.root,
            r=signed.r,
            s=signed.s,
            proof=log.consistency(previous.size, signed.size),
        )

    # --- Bills ---

    def line(self, meter: bytes, usage: int, amount: int, since: int = 20260901) -> Line:
        return Line(
            kind=LineKind.OWN,
            subject=meter,
            quantity=ENERGY,
            tariff=1,
            since=since,
            from_date=OPENING,
            to_date=CLOSING,
            usage=usage,
            amount=amount,
        )

    def bill(self, unit_index: int, *lines: Line, period: int = PERIOD) -> Bill:
        return Bill(
            chain_id=31337,
            contract=self.usage_fees,
            site=SITE,
            period=period,
            unit_index=unit_index,
            lines=lines,
            salt=bytes(range(16)).ljust(32, b"\0"),
        )

    def close(self, bills: list[Bill]) -> tuple[BillTree, Receipt]:
        tree = BillTree.of_bills(bills)
        receipt = self.chain.send(
            self.operator,
            usage_fees.close_period(
                self.usage_fees,
                period=bills[0].period,
                root=tree.root.hash,
                sums=tree.root.sums,
                unit_count=tree.unit_count,
            ),
        )
        return tree, receipt

    # --- People ---

    def sign(
        self,
        unit_index: int,
        purpose: Purpose,
        *body: object,
        contract: str | None = None,
        nonce: int = 1,
        deadline: int = FOREVER,
        key: p256.PrivateKey | None = None,
    ) -> PersonSignature:
        return sign_software(
            key or OWNER_KEYS[unit_index],
            chain_id=31337,
            contract=contract or (self.challenges if purpose in ON_CHALLENGES else self.usage_fees),
            purpose=purpose,
            nonce=nonce,
            deadline=deadline,
            body_digest=purpose.body_digest(*body),
        )

    def attest(self, *devices: bytes, numbers: Sequence[int] = (), key: p256.PrivateKey | None = None) -> Receipt:
        """The installer signs the commitments of these bindings as they stand now."""
        numbers = numbers or [0] * len(devices)
        signature = self.sign(
            0,
            Purpose.ATTEST_BINDINGS,
            list(devices),
            list(numbers),
            [self.binding(device, number).commitment for device, number in zip(devices, numbers, strict=True)],
            contract=self.bindings,
            key=key or INSTALLER_KEY,
        )
        call = bindings.attest(self.bindings, devices=devices, numbers=numbers, signature=signature)
        return self.chain.send(self.stranger, call)

    def binding(self, device: bytes, number: int = 0) -> Binding:
        call = bindings.binding(self.bindings, device=device, number=number)
        return bindings.parse_binding(self.chain.view(call))

    def balance(self, account: str) -> int:
        return token.parse_balance_of(self.chain.view(token.balance_of(self.token, account=account)))


WEB_ORIGIN = "http://localhost:8600"


def announced(receipt: Receipt) -> int:
    for log in receipt.logs:
        event = parse_event(log.topics, log.data)
        if isinstance(event, Announced):
            return event.number
    raise AssertionError("nothing was announced")


def key_id(key: p256.PrivateKey) -> bytes:
    return key_id_of(p256.public_bytes(key))


def span(log: GatewayLog, size: int, opening: int, closing: int) -> Span:
    """A span between two logged boundary entries, proven under the head of this size."""
    first, last = log.entries[opening], log.entries[closing]
    return Span(
        int(first.quantity.rpartition("*")[2]),
        int(last.quantity.rpartition("*")[2]),
        log.proof(opening, size),
        log.proof(closing, size),
    )
