"""A small site on a development chain: three units, a gateway with a real log, two meters and a common one."""

from dataclasses import dataclass, field
from hashlib import sha256

from contracts import p256
from contracts.abi import Call
from contracts.bill import Bill, BillTree, Line, LineKind
from contracts.calls import anchor_log, registry, registry_changes, tariffs, token, usage_fees
from contracts.calls.anchor_log import NO_HEAD, Head, SignedHead
from contracts.calls.registry_events import Announced, parse_event
from contracts.calls.tariffs import EntryProof, Span
from contracts.checkpoint import Checkpoint
from contracts.entry import Entry, Kind, encode_entry
from contracts.person import PersonSignature, Purpose, key_id_of, sign_software
from contracts.tariff import LAST_TIER, Tariff, Tier
from contracts.tree import MemoryTree, consistency_path, inclusion_path, leaf_hash
from contracts.vyper.compile import artifact
from tests.contracts.vyper.chain import Chain, Receipt

DAY = 86400
START = 1_788_220_800  # 2026-09-01T00:00:00Z
OFFSET = 8 * 3600
PRECOMPILE = "0x0000000000000000000000000000000000000100"
SITE = sha256(b"cuiyuan").digest()
ORIGIN = "minglou.example/cuiyuan/b07/e0"
NEIGHBOUR = "minglou.example/cuiyuan/b08/e0"
SUPER_LOG = sha256(b"minglou.example/log\n\x01" + bytes(32)).digest()
ENERGY = "1-0:1.8.0"
OPENING, CLOSING = 20261101, 20261201
PERIOD = OPENING * 10**8 + CLOSING
CLOSING_AT = 1_796_083_200 - OFFSET  # 2026-12-01T00:00 in Asia/Shanghai
BOND_FLOOR = 1_000_000
DEPOSIT = 500
WINDOW = 7 * DAY
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
    quantity=ENERGY,
    category=0,
    by_year=True,
    valid_from=20261020,
    valid_to=0,
    document=name("price decision"),
    tiers=(
        Tier(up_to=2_760_000, price=53_800_000),
        Tier(up_to=4_800_000, price=58_800_000),
        Tier(up_to=LAST_TIER, price=83_800_000),
    ),
)
COMMON = Tariff(
    quantity=ENERGY,
    category=0,
    by_year=False,
    valid_from=20261020,
    valid_to=0,
    document=name("price decision, common areas"),
    tiers=(Tier(up_to=LAST_TIER, price=55_800_000),),
)


class Site:
    """The deployed contracts, the parties, and shorthand for what they do."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        accounts = chain.accounts
        self.deployer, self.manager, self.committee, self.operator, self.relayer, self.stranger = accounts[:6]
        self.log = GatewayLog(ORIGIN, GATEWAY_KEY)
        self.neighbour = GatewayLog(NEIGHBOUR, NEIGHBOUR_KEY)
        self.heads: dict[str, Head] = {}
        self._deploy()

    def _deploy(self) -> None:
        chain = self.chain
        code = {name: artifact(name).bytecode for name in ("Token", "Registry", "AnchorLog", "Tariffs", "UsageFees")}
        deploy = chain.deploy
        self.token = deploy(
            self.deployer, token.deploy(code["Token"], name="Test yuan", symbol="TCNY", minter=self.deployer)
        )
        self.registry = deploy(
            self.deployer,
            registry.deploy(
                code["Registry"],
                site=SITE,
                manager=self.manager,
                committee=self.committee,
                witness_delay=7 * DAY,
                recovery_delay=30 * DAY,
                verifier=PRECOMPILE,
            ),
        )
        self.anchor_log = deploy(
            self.deployer,
            anchor_log.deploy(
                code["AnchorLog"],
                registry=self.registry,
                relayer=self.relayer,
                super_log=SUPER_LOG,
                verifier=PRECOMPILE,
            ),
        )
        self.tariffs = deploy(
            self.deployer,
            tariffs.deploy(
                code["Tariffs"],
                registry=self.registry,
                anchor_log=self.anchor_log,
                utc_offset_seconds=OFFSET,
                tariff_delay=30 * DAY,
            ),
        )
        self.usage_fees = deploy(
            self.deployer,
            usage_fees.deploy(
                code["UsageFees"],
                registry=self.registry,
                tariffs=self.tariffs,
                token=self.token,
                challenge_window=WINDOW,
                answer_window=WINDOW,
                bond_floor=BOND_FLOOR,
                deposit=DEPOSIT,
                verifier=PRECOMPILE,
            ),
        )

    # --- Two parties ---

    def announce(self, *calls: bytes, by: str | None = None) -> int:
        receipt = self.chain.send(by or self.manager, registry.announce(self.registry, calls=calls))
        return announced(receipt)

    def enact(self, *calls: bytes) -> Receipt:
        """The whole way of a batch: announced, approved, waited for, enacted."""
        number = self.announce(*calls)
        self.chain.send(self.committee, registry.approve(self.registry, number=number))
        self.chain.wait(7 * DAY)
        return self.chain.send(self.stranger, registry.enact(self.registry, number=number, calls=calls))

    def set_up(self) -> None:
        """Enrol everything that the tests use, with all delays really waited for."""
        chain, changes = self.chain, registry_changes
        codes = [name(f"code {index}") for index in range(3)]
        letters = [sha256(code).digest() for code in codes]
        chain.send(self.committee, registry.post_letters(self.registry, units=UNITS, digests=letters))
        devices = [*METERS, SPARE_METER, POOL_METER, LIFT]
        batches: list[list[bytes]] = [
            [
                changes.add_units(
                    units=[
                        changes.NewUnit(alias=alias, area_centi_m2=area)
                        for alias, area in zip(UNITS, AREAS, strict=True)
                    ]
                ),
                changes.add_pool(pool=POOL),
                changes.set_role(role=registry.OPERATOR, account=self.operator),
                changes.set_relying_party(number=0, rp_id_hash=sha256(b"localhost").digest(), origin=WEB_ORIGIN),
                gateway_change(ORIGIN, GATEWAY_KEY),
                gateway_change(NEIGHBOUR, NEIGHBOUR_KEY),
                changes.assign_devices(origin_id=self.log.origin_id, first_index=0, devices=devices),
            ],
            [owner_key_change(alias, key, code) for alias, key, code in zip(UNITS, OWNER_KEYS, codes, strict=True)],
            [
                changes.bind(subject=alias, device=meter, role=1, from_date=20260901, commitment=name("binding"))
                for alias, meter in zip(UNITS, METERS, strict=True)
            ]
            + [changes.bind(subject=POOL, device=POOL_METER, role=2, from_date=20260901, commitment=name("binding"))],
        ]
        numbers = []
        for calls in batches:
            number = self.announce(*calls)
            chain.send(self.committee, registry.approve(self.registry, number=number))
            numbers.append(number)
        for tariff in (RESIDENTIAL, COMMON):
            chain.send(self.manager, tariffs.announce(self.tariffs, tariff=tariff))
        for version in (1, 2):
            chain.send(self.committee, tariffs.approve(self.tariffs, version=version))
        chain.wait(7 * DAY)
        for number, calls in zip(numbers, batches, strict=True):
            chain.send(self.stranger, registry.enact(self.registry, number=number, calls=calls))
        for account in (self.operator, self.stranger):
            chain.send(self.deployer, token.mint(self.token, recipient=account, amount=100_000_000))
            chain.send(account, token.approve(self.token, spender=self.usage_fees, amount=2**200))
        chain.send(self.operator, usage_fees.post_bond(self.usage_fees, amount=2 * BOND_FLOOR))

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
            contract=contract or self.usage_fees,
            purpose=purpose,
            nonce=nonce,
            deadline=deadline,
            body_digest=purpose.body_digest(*body),
        )

    def balance(self, account: str) -> int:
        return token.parse_balance_of(self.chain.view(token.balance_of(self.token, account=account)))


WEB_ORIGIN = "http://localhost:8600"


def announced(receipt: Receipt) -> int:
    for log in receipt.logs:
        event = parse_event(log.topics, log.data)
        if isinstance(event, Announced):
            return event.number
    raise AssertionError("nothing was announced")


def gateway_change(origin: str, key: p256.PrivateKey, key_class: int = 1) -> bytes:
    x, y = coordinates(key)
    return registry_changes.set_gateway_key(origin=origin, x=x, y=y, key_class=key_class)


def owner_key_change(alias: bytes, key: p256.PrivateKey, code: bytes = bytes(32), kind: int = 2) -> bytes:
    x, y = coordinates(key)
    return registry_changes.add_owner_key(unit=alias, x=x, y=y, kind=kind, relying_party=0, letter_code=code)


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
