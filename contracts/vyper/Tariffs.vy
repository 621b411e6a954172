# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Tariffs
@license Apache-2.0
@notice Prices of one site, and what a metered bill line should say by them: the contract recomputes a line from the meter's
        boundary entries under a gateway's accepted head.

        Invariants
        - A tariff needs manager (or the tariffs office) and committee, and begins no earlier than the announced delay
          after the second signature: never in the past. It never changes after that; the committee may veto it until
          it begins.
        - An entry counts only if it is logged under the accepted head, the Registry assigns its device to that origin
          at that index, and binds it to the unit or pool over all the days it is used for.
        - Spans join without a day missing or counted twice; a register that falls is refused.
        - Amounts are exact integers: nanofen until one rounding, half up, to the fen. Yearly tiers charge the difference
          of two rounded running costs, so a year's bills add up exactly.
"""

import calendar
import entry_proof


interface Registry:
    def manager() -> address: view
    def committee() -> address: view
    def has_role(role: bytes32, account: address) -> bool: view
    def is_assigned(device: bytes32, origin_id: bytes32, index: uint256) -> bool: view
    def contract_named(name: bytes32) -> address: view


interface Roll:
    def unit_at(index: uint256) -> bytes32: view
    def unit(alias: bytes32) -> Unit: view
    def total_area() -> uint256: view


interface Bindings:
    def is_bound(device: bytes32, subject: bytes32, role: uint256, from_date: uint256, to_date: uint256) -> bool: view


interface AnchorLog:
    def accepted(origin_id: bytes32, head: Head) -> (bool, bool): view


NAME_ROLL: constant(bytes32) = 0x726f6c6c00000000000000000000000000000000000000000000000000000000
NAME_BINDINGS: constant(bytes32) = 0x62696e64696e6773000000000000000000000000000000000000000000000000
DAY: constant(uint256) = 86400
DEVELOPMENT_CHAIN: constant(uint256) = 31337
TIERS_MAX: constant(uint256) = 8
LAST_TIER: constant(uint256) = 2**64 - 1
NANOFEN: constant(uint256) = 10**9

ROLE_TARIFFS: constant(bytes32) = 0x7461726966667300000000000000000000000000000000000000000000000000
KIND_OWN: constant(uint256) = 1
KIND_SHARED: constant(uint256) = 2

REGISTRY: immutable(Registry)
ROLL: immutable(Roll)
BINDINGS: immutable(Bindings)
ANCHOR_LOG: immutable(AnchorLog)
UTC_OFFSET: immutable(int256)
TARIFF_DELAY: immutable(uint256)


struct Unit:
    index: uint256
    area_centi_m2: uint256
    area_before: uint256
    category: uint256
    head: uint256
    building: uint256
    floor: int256
    exists: bool


struct Head:
    size: uint256
    root: bytes32
    accepted_at: uint256


struct Tier:
    up_to: uint256  # base units (Wh, mL) since the tiers began to count; the last one has 2^64 - 1
    price: uint256  # nanofen (10^-9 fen) per base unit


struct Tariff:
    quantity: bytes32
    category: uint256  # of units that it applies to
    by_year: bool  # tiers count from `since` of the line; otherwise from the period's opening
    valid_from: uint256  # boundary date
    valid_to: uint256  # boundary date, zero while open
    document: bytes32  # digest of the published decision and its price components
    approved_at: uint256  # zero until the committee agrees
    tiers: DynArray[Tier, TIERS_MAX]


struct Line:
    kind: uint256  # 1 own use, 2 shared, 3 other
    subject: bytes32  # device at closing, pool, or digest of the right to charge
    quantity: bytes32
    tariff: uint256
    since: uint256  # boundary date from which yearly tiers count, else zero
    usage: uint256  # base units
    amount: uint256  # fen


struct Span:
    from_date: uint256
    to_date: uint256
    opening: entry_proof.EntryProof
    closing: entry_proof.EntryProof


tariff_count: public(uint256)
tariffs: HashMap[uint256, Tariff]


event TariffAnnounced:
    version: indexed(uint256)
    quantity: bytes32
    category: uint256
    by_year: bool
    valid_from: uint256
    valid_to: uint256
    document: bytes32
    tiers: DynArray[Tier, TIERS_MAX]


event TariffApproved:
    version: indexed(uint256)


event TariffVetoed:
    version: indexed(uint256)


@deploy
def __init__(registry: address, anchor_log: address, utc_offset_seconds: int256, tariff_delay: uint256):
    """
    @notice Tariffs of the registry's site.
    @param utc_offset_seconds Local time minus UTC, for the midnights of boundary dates.
    @param tariff_delay Seconds between a tariff's second signature and its first day; at least 30 days in production.
    """
    if chain.id != DEVELOPMENT_CHAIN:
        assert tariff_delay >= 30 * DAY, "tariffs: tariff delay is below 30 days"
    REGISTRY = Registry(registry)
    ROLL = Roll(staticcall Registry(registry).contract_named(NAME_ROLL))
    BINDINGS = Bindings(staticcall Registry(registry).contract_named(NAME_BINDINGS))
    ANCHOR_LOG = AnchorLog(anchor_log)
    UTC_OFFSET = utc_offset_seconds
    TARIFF_DELAY = tariff_delay


@external
def announce(
    quantity: bytes32,
    category: uint256,
    by_year: bool,
    valid_from: uint256,
    valid_to: uint256,
    document: bytes32,
    tiers: DynArray[Tier, TIERS_MAX],
) -> uint256:
    """
    @notice Put a tariff before the public. Manager or the tariffs office; the committee approves.
    @return The tariff's version.
    """
    known: bool = msg.sender == staticcall REGISTRY.manager() or staticcall REGISTRY.has_role(ROLE_TARIFFS, msg.sender)
    assert known, "tariffs: only the manager or the tariffs office announces tariffs"
    assert valid_to == 0 or calendar._days(valid_to) > calendar._days(valid_from), "tariffs: tariff ends before it begins"
    below: uint256 = 0
    for tier: Tier in tiers:
        assert tier.up_to > below and tier.price < 2**64, "tariffs: tiers do not rise or a price is out of range"
        below = tier.up_to
    assert below == LAST_TIER, "tariffs: the last tier must be open"
    version: uint256 = self.tariff_count + 1
    self.tariff_count = version
    self.tariffs[version] = Tariff(
        quantity=quantity,
        category=category,
        by_year=by_year,
        valid_from=valid_from,
        valid_to=valid_to,
        document=document,
        approved_at=0,
        tiers=tiers,
    )
    log TariffAnnounced(
        version=version,
        quantity=quantity,
        category=category,
        by_year=by_year,
        valid_from=valid_from,
        valid_to=valid_to,
        document=document,
        tiers=tiers,
    )
    return version


@external
def approve(version: uint256):
    """
    @notice The committee agrees; the tariff's first day must still be the whole delay away.
    """
    self._only_committee()
    assert version != 0 and version <= self.tariff_count, "tariffs: no such tariff"
    assert self.tariffs[version].approved_at == 0, "tariffs: tariff is already decided"
    begins_at: uint256 = calendar._midnight(self.tariffs[version].valid_from, UTC_OFFSET)
    assert begins_at >= block.timestamp + TARIFF_DELAY, "tariffs: tariff begins before its delay is over"
    self.tariffs[version].approved_at = block.timestamp
    log TariffApproved(version=version)


@external
def veto(version: uint256):
    """
    @notice The committee takes its agreement back, or refuses it for ever, before the tariff begins.
    """
    self._only_committee()
    begins_at: uint256 = calendar._midnight(self.tariffs[version].valid_from, UTC_OFFSET)
    assert block.timestamp < begins_at, "tariffs: tariff has begun"
    self.tariffs[version].approved_at = max_value(uint256)
    log TariffVetoed(version=version)


@external
@view
def right_charge(
    period: uint256,
    unit_index: uint256,
    line: Line,
    origin_id: bytes32,
    head: Head,
    before: DynArray[Span, 2],
    during: DynArray[Span, 2],
) -> uint256:
    """
    @notice What a metered bill line should say, recomputed from boundary entries under one accepted head.
    @param before From the line's `since` to the opening, for tariffs by year; two spans where a meter was swapped.
    @param during From the opening to the closing; two spans where a meter was swapped.
    """
    is_head: bool = False
    ended: bool = False
    is_head, ended = staticcall ANCHOR_LOG.accepted(origin_id, head)
    assert not ended, "tariffs: the gateway's log forked; open challenges go to the owner"
    assert is_head, "tariffs: head is not the accepted one"
    opening: uint256 = period // 10**8
    closing: uint256 = period % 10**8
    tariff: Tariff = self.tariffs[line.tariff]
    in_force: bool = tariff.approved_at != 0 and tariff.approved_at != max_value(uint256)
    in_force = in_force and tariff.valid_from <= opening and (tariff.valid_to == 0 or tariff.valid_to >= closing)
    assert in_force and tariff.quantity == line.quantity, "tariffs: tariff is not in force for the line"
    alias: bytes32 = staticcall ROLL.unit_at(unit_index)
    unit: Unit = staticcall ROLL.unit(alias)
    subject: bytes32 = line.subject
    role: uint256 = 2
    if line.kind == KIND_OWN:
        assert tariff.category == unit.category, "tariffs: tariff is for another category of units"
        assert len(during) != 0 and during[len(during) - 1].closing.entry.device == line.subject, "tariffs: line is another meter's"
        subject = alias
        role = 1
    used: uint256 = self._usage(origin_id, head, subject, role, line.quantity, opening, closing, during)
    prior: uint256 = 0
    if tariff.by_year and line.since != opening:
        # The tier year begins on 1 January; a meter bound later in the year begins with its binding.
        assert line.since >= opening // 10000 * 10000 + 101 and line.since < opening, "tariffs: tiers count from another day"
        prior = self._usage(origin_id, head, subject, role, line.quantity, line.since, opening, before)
    cost: uint256 = self._fen(tariff, prior + used) - self._fen(tariff, prior)
    if line.kind == KIND_OWN:
        return cost
    # Telescoping shares: they add up to the pool exactly and each can be checked alone.
    total: uint256 = staticcall ROLL.total_area()
    return cost * (unit.area_before + unit.area_centi_m2) // total - cost * unit.area_before // total


@external
@view
def tariff(version: uint256) -> Tariff:
    """
    @notice A tariff; `approved_at` is zero until the committee agrees and the largest number after its veto.
    """
    return self.tariffs[version]


@external
@view
def utc_offset_seconds() -> int256:
    """
    @notice Local time minus UTC.
    """
    return UTC_OFFSET


@external
@view
def tariff_delay() -> uint256:
    """
    @notice Seconds between a tariff's second signature and its first day.
    """
    return TARIFF_DELAY


@internal
@view
def _usage(
    origin_id: bytes32,
    head: Head,
    subject: bytes32,
    role: uint256,
    quantity: bytes32,
    from_date: uint256,
    to_date: uint256,
    spans: DynArray[Span, 2],
) -> uint256:
    """
    @notice What the subject's meters counted from one boundary date to another, without a day missing or twice.
    """
    usage: uint256 = 0
    date: uint256 = from_date
    for span: Span in spans:
        assert span.from_date == date and span.to_date > date, "tariffs: spans do not join"
        device: bytes32 = span.opening.entry.device
        bound: bool = staticcall BINDINGS.is_bound(device, subject, role, span.from_date, span.to_date)
        assert bound, "tariffs: meter does not count for the unit or pool"
        opened: uint256 = self._register(origin_id, head, span.opening, device, quantity, span.from_date)
        closed: uint256 = self._register(origin_id, head, span.closing, device, quantity, span.to_date)
        assert closed >= opened, "tariffs: register falls"
        usage += closed - opened
        date = span.to_date
    assert date == to_date, "tariffs: spans do not reach the boundary"
    return usage


@internal
@view
def _register(
    origin_id: bytes32,
    head: Head,
    proof: entry_proof.EntryProof,
    device: bytes32,
    quantity: bytes32,
    date: uint256,
) -> uint256:
    assert entry_proof._is_logged(proof, head.size, head.root), "tariffs: entry is not in the accepted log"
    assigned: bool = staticcall REGISTRY.is_assigned(device, origin_id, proof.index)
    assert assigned, "tariffs: device does not write to this log"
    return entry_proof._register(proof.entry, device, quantity, date)


@internal
@pure
def _fen(tariff: Tariff, usage: uint256) -> uint256:
    """
    @notice Price of so much usage, counted from the first tier; rounded half up to the fen.
    """
    nanofen: uint256 = 0
    below: uint256 = 0
    for tier: Tier in tariff.tiers:
        upper: uint256 = min(usage, tier.up_to)
        nanofen += (upper - below) * tier.price
        below = upper
    return (nanofen + NANOFEN // 2) // NANOFEN


@internal
@view
def _only_committee():
    assert msg.sender == staticcall REGISTRY.committee(), "tariffs: only the committee may do this"
