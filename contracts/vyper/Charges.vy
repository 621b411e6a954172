# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Charges
@license Apache-2.0
@notice What a bill line should say, recomputed from boundary entries, the terms in force, the roll and the tables of
        keys. It holds nothing and moves nothing: whoever must believe a line asks it, a contract or a person.

        Invariants
        - An entry counts only if it is logged under a gateway's accepted head, the Registry assigns its device to that
          origin at that index, and it is bound to the unit or pool over all the days it is used for.
        - Spans join without a day missing or counted twice; a register that falls is refused. Of a unit's meters only those
          before and after the line's own one stand in for it.
        - The terms are those of the line's version, in force over all of the line's days, which lie in one season.
        - Shares telescope over a running sum of keys: they add up to the pool exactly and each can be checked alone.
        - What it cannot recompute it refuses, and names as a matter for the arbiter.
"""

import bill_tree
import calendar
import entry_proof
import line_proof
import pricing
import tree


interface Registry:
    def is_assigned(device: bytes32, origin_id: bytes32, index: uint256) -> bool: view
    def contract_named(name: bytes32) -> address: view


interface Roll:
    def unit_at(index: uint256) -> bytes32: view
    def unit(alias: bytes32) -> Unit: view
    def residents(alias: bytes32, date: uint256) -> uint256: view
    def pool_keys_at(pool: bytes32, date: uint256) -> PoolKeys: view


interface Bindings:
    def is_bound(device: bytes32, subject: bytes32, role: uint256, from_date: uint256, to_date: uint256) -> bool: view


interface AnchorLog:
    def accepted(origin_id: bytes32, head: line_proof.Head) -> (bool, bool): view


interface Tariffs:
    def tariff(version: uint256) -> Version: view
    def volumes(pool: bytes32, period: uint256) -> bytes32: view
    def utc_offset_seconds() -> int256: view


struct Unit:
    index: uint256
    area_centi_m2: uint256
    area_before: uint256
    category: uint256
    head: uint256
    building: uint256
    floor: int256
    exists: bool


struct PoolKeys:
    root: bytes32
    total: uint256
    kind: uint256
    unit_count: uint256
    valid_from: uint256


struct Version:
    digest: bytes32
    valid_from: uint256
    valid_to: uint256
    approved_at: uint256
    needs_resolution: bool


struct Table:
    pool: bytes32
    root: bytes32
    sum: uint256
    unit_count: uint256


NAME_ROLL: constant(bytes32) = 0x726f6c6c00000000000000000000000000000000000000000000000000000000
NAME_BINDINGS: constant(bytes32) = 0x62696e64696e6773000000000000000000000000000000000000000000000000
NAME_ANCHOR_LOG: constant(bytes32) = 0x616e63686f725f6c6f6700000000000000000000000000000000000000000000
NAME_TARIFFS: constant(bytes32) = 0x7461726966667300000000000000000000000000000000000000000000000000
VETOED: constant(uint256) = 2**64 - 1
KEY_TAG: constant(bytes32) = 0x6d696e676c6f752f6b65792f3100000000000000000000000000000000000000  # minglou/key/1
# Only a range that is still open holds this index.
LAST_INDEX: constant(uint256) = 2**48 - 1
SILENCE: constant(uint256) = 48 * 3600  # seconds without a new accepted head before a gateway is silent
ROLE_OWN: constant(uint256) = 1
ROLE_POOL: constant(uint256) = 2

REGISTRY: immutable(Registry)
ROLL: immutable(Roll)
BINDINGS: immutable(Bindings)
ANCHOR_LOG: immutable(AnchorLog)
TARIFFS: immutable(Tariffs)


@deploy
def __init__(registry: address):
    """
    @notice Recomputation for the registry's site; the other contracts are those of its directory.
    """
    REGISTRY = Registry(registry)
    ROLL = Roll(staticcall Registry(registry).contract_named(NAME_ROLL))
    BINDINGS = Bindings(staticcall Registry(registry).contract_named(NAME_BINDINGS))
    ANCHOR_LOG = AnchorLog(staticcall Registry(registry).contract_named(NAME_ANCHOR_LOG))
    TARIFFS = Tariffs(staticcall Registry(registry).contract_named(NAME_TARIFFS))


@external
@view
def right_amount(bounds: line_proof.Bounds, line: line_proof.Line, proof: line_proof.LineProof) -> uint256:
    """
    @notice What a line should say, in fen. Refuses a proof that does not reach from the line's first day to its last.
    @param bounds The bill that the line stands on: period, unit, and the roll as it was when the period was closed.
    """
    from_date: uint256 = line.span // 10**8
    to_date: uint256 = line.span % 10**8
    opening: uint256 = bounds.period // 10**8
    inside: bool = from_date >= opening and to_date <= bounds.period % 10**8 and from_date < to_date
    assert inside, "charges: line is not within its period"
    # Refuses days that no calendar has: a 99th of November lies before December, and would be charged for.
    days: uint256 = self._days(from_date, to_date)
    terms: pricing.Terms = self._terms(line, proof.terms, from_date, to_date)
    season: pricing.Season = pricing._season(terms, from_date, to_date)
    if line.kind == line_proof.KIND_STANDING:
        return self._standing(bounds.unit_index, line, terms, season, from_date, to_date)
    metered: bool = line.kind == line_proof.KIND_OWN or line.kind == line_proof.KIND_SHARED
    metered = metered or line.kind == line_proof.KIND_ESTIMATED
    assert metered and terms.basis == pricing.BASIS_METER, "charges: the arbiter judges such a line"
    self._check_heads(proof.logs)
    alias: bytes32 = staticcall ROLL.unit_at(bounds.unit_index)
    subject: bytes32 = line.subject
    role: uint256 = ROLE_POOL
    residents: uint256 = 0
    if line.kind != line_proof.KIND_SHARED:
        subject = alias
        role = ROLE_OWN
        self._check_category(alias, terms.category)
        if season.extra != 0:
            residents = staticcall ROLL.residents(alias, from_date)
    # An estimate may be measured later: then the days of the line have their part of what was counted until then.
    reach: uint256 = to_date
    if line.kind == line_proof.KIND_ESTIMATED and len(proof.during) != 0:
        reach = max(to_date, proof.during[len(proof.during) - 1].to_date)
    used: DynArray[uint256, pricing.REGISTERS_MAX] = []
    for register: uint256 in range(pricing.REGISTERS_MAX):
        if register == len(terms.registers):
            break
        counted: uint256 = self._usage(
            subject, role, line, terms.registers[register], register, from_date, reach, proof.logs, proof.during
        )
        if reach != to_date:
            counted = counted * days // self._days(from_date, reach)
        used.append(counted)
    prior: uint256 = 0
    if terms.counting != pricing.COUNT_NONE and line.since != from_date:
        # Tiers begin with the period or the year; those of a meter bound later begin with its binding.
        first: uint256 = opening
        if terms.counting == pricing.COUNT_YEAR:
            first = from_date // 10000 * 10000 + 101
        assert line.since >= first and line.since < from_date, "charges: tiers count from another day"
        prior = self._prior(subject, role, line, from_date, proof.logs, proof.before)
    cost: uint256 = pricing._charge(season, residents, prior, used)
    if line.kind == line_proof.KIND_SHARED:
        return self._share(cost, bounds, line.subject, terms.key, from_date, to_date, proof.key)
    return cost


@external
@view
def is_for_arbiter(line: line_proof.Line, terms: Bytes[pricing.TERMS_BYTES]) -> bool:
    """
    @notice Whether something in the line cannot be recomputed on chain: a stated count, a right without a tariff,
            prices by interval, an estimate, while nothing measures it yet, or a pool shared by volumes that other units' meters
            counted.
    """
    if line.kind == line_proof.KIND_INTERVAL or line.kind == line_proof.KIND_ESTIMATED:
        return True
    if line.kind == line_proof.KIND_STANDING and line.tariff == 0:
        return True
    if line.kind != line_proof.KIND_STANDING and line.kind != line_proof.KIND_SHARED:
        return False
    found: pricing.Terms = self._terms(line, terms, line.span // 10**8, line.span % 10**8)
    if line.kind == line_proof.KIND_SHARED:
        return found.key == pricing.KEY_VOLUME
    return found.basis == pricing.BASIS_COUNT or found.basis == pricing.BASIS_ONCE


# --- Silence ---


@external
@view
def rests_on(line: line_proof.Line, device: bytes32, origin_id: bytes32) -> bool:
    """
    @notice Whether a line counts what this gateway hears: the line's meter, or one of its pool's, writes to that log now.
    """
    last: uint256 = line.span % 10**8
    bound: bool = device == line.subject and line.kind != line_proof.KIND_STANDING and line.kind != line_proof.KIND_CREDIT
    if line.kind == line_proof.KIND_SHARED:
        bound = staticcall BINDINGS.is_bound(device, line.subject, ROLE_POOL, last - 1, last)
    return bound and self._writes_to(device, origin_id)


@external
@view
def writes_to(device: bytes32, origin_id: bytes32) -> bool:
    """
    @notice Whether the device writes to this log now.
    """
    return self._writes_to(device, origin_id)


@external
@view
def is_silent(gateway: line_proof.GatewayLog) -> bool:
    """
    @notice Whether the gateway's accepted head is older than 48 hours.
    """
    is_head: bool = False
    ended: bool = False
    is_head, ended = staticcall ANCHOR_LOG.accepted(gateway.origin_id, gateway.head)
    assert is_head, "charges: head is not the accepted one"
    return block.timestamp > gateway.head.accepted_at + SILENCE


@external
@view
def heard_at(gateway: line_proof.GatewayLog, proof: entry_proof.EntryProof) -> uint256:
    """
    @notice Unix seconds at which the gateway observed an entry that its accepted head holds; no later than that was accepted.
    """
    self._check_heads([gateway])
    assert entry_proof._is_logged(proof, gateway.head.size, gateway.head.root), "charges: entry is not in the accepted log"
    return min(proof.entry.observed_at // 1000, gateway.head.accepted_at)


@external
@view
def midnight(date: uint256) -> uint256:
    """
    @notice Unix seconds at which a boundary date begins at the site.
    """
    return calendar._midnight(date, staticcall TARIFFS.utc_offset_seconds())


# --- Terms ---


@internal
@view
def _terms(
    line: line_proof.Line, encoded: Bytes[pricing.TERMS_BYTES], from_date: uint256, to_date: uint256
) -> pricing.Terms:
    """
    @notice The terms of the line's version, which must be in force over all its days.
    """
    assert self._is_in_force(line.tariff, sha256(encoded), from_date, to_date), "charges: tariff is not in force for the line"
    terms: pricing.Terms = pricing._terms(encoded)
    assert terms.quantity == line.quantity, "charges: tariff is for another quantity"
    return terms


@internal
@view
def _is_in_force(version: uint256, digest: bytes32, from_date: uint256, to_date: uint256) -> bool:
    found: Version = staticcall TARIFFS.tariff(version)
    if found.digest != digest or found.approved_at == 0 or found.approved_at == VETOED:
        return False
    return found.valid_from <= from_date and (found.valid_to == 0 or found.valid_to >= to_date)


@internal
@view
def _check_category(alias: bytes32, category: uint256) -> Unit:
    unit: Unit = staticcall ROLL.unit(alias)
    assert unit.category == category, "charges: tariff is for another category of units"
    return unit


@internal
@view
def _standing(
    unit_index: uint256,
    line: line_proof.Line,
    terms: pricing.Terms,
    season: pricing.Season,
    from_date: uint256,
    to_date: uint256,
) -> uint256:
    """
    @notice A charge by floor area or by residents; its right is the document of the terms.
    """
    recomputed: bool = terms.basis == pricing.BASIS_AREA or terms.basis == pricing.BASIS_HEADS
    assert recomputed, "charges: the arbiter judges such a line"
    assert line.subject == terms.document, "charges: the right is another one"
    alias: bytes32 = staticcall ROLL.unit_at(unit_index)
    unit: Unit = self._check_category(alias, terms.category)
    count: uint256 = unit.area_centi_m2
    if terms.basis == pricing.BASIS_HEADS:
        count = staticcall ROLL.residents(alias, from_date)
    return pricing._standing(season, terms.basis, count, from_date, to_date)


# --- Entries ---


@internal
@view
def _writes_to(device: bytes32, origin_id: bytes32) -> bool:
    return staticcall REGISTRY.is_assigned(device, origin_id, LAST_INDEX)



@internal
@view
def _check_heads(logs: DynArray[line_proof.GatewayLog, 3]):
    for gateway: line_proof.GatewayLog in logs:
        is_head: bool = False
        ended: bool = False
        is_head, ended = staticcall ANCHOR_LOG.accepted(gateway.origin_id, gateway.head)
        assert not ended, "charges: the gateway's log forked; open challenges go to the owner"
        assert is_head, "charges: head is not the accepted one"


@internal
@view
def _usage(
    subject: bytes32,
    role: uint256,
    line: line_proof.Line,
    quantity: bytes32,
    register: uint256,
    from_date: uint256,
    to_date: uint256,
    logs: DynArray[line_proof.GatewayLog, 3],
    spans: DynArray[line_proof.Span, 6],
) -> uint256:
    """
    @notice What one register of the subject's meters counted from one boundary date to another, without a day missing
            or twice. An own line is named after the meter that counted last.
    """
    usage: uint256 = 0
    date: uint256 = from_date
    device: bytes32 = empty(bytes32)
    for span: line_proof.Span in spans:
        if span.register != register:
            continue
        assert span.from_date == date and span.to_date > date, "charges: spans do not join"
        usage += self._counted(subject, role, line.subject, quantity, span, logs)
        date = span.to_date
        device = span.closing.entry.device
    assert date == to_date, "charges: spans do not reach the boundary"
    assert device == line.subject or line.kind != line_proof.KIND_OWN, "charges: line is another meter's"
    return usage


@internal
@view
def _prior(
    subject: bytes32,
    role: uint256,
    line: line_proof.Line,
    to_date: uint256,
    logs: DynArray[line_proof.GatewayLog, 3],
    spans: DynArray[line_proof.Span, 3],
) -> uint256:
    """
    @notice What the total register counted in the tiers' time before the line.
    """
    usage: uint256 = 0
    date: uint256 = line.since
    for span: line_proof.Span in spans:
        assert span.from_date == date and span.to_date > date, "charges: spans do not join"
        usage += self._counted(subject, role, line.subject, line.quantity, span, logs)
        date = span.to_date
    assert date == to_date, "charges: spans do not reach the boundary"
    return usage


@internal
@view
def _counted(
    subject: bytes32,
    role: uint256,
    own: bytes32,
    quantity: bytes32,
    span: line_proof.Span,
    logs: DynArray[line_proof.GatewayLog, 3],
) -> uint256:
    device: bytes32 = span.opening.entry.device
    bound: bool = staticcall BINDINGS.is_bound(device, subject, role, span.from_date, span.to_date)
    assert bound, "charges: meter does not count for the unit or pool"
    if role == ROLE_OWN and device != own:
        # Another meter of the unit counts for the line only where it went before the line's own or came after it.
        beside: bool = staticcall BINDINGS.is_bound(own, subject, role, span.to_date - 1, span.to_date)
        assert not beside, "charges: line's own meter counted on these days"
    assert span.gateway < len(logs), "charges: span names no log"
    gateway: line_proof.GatewayLog = logs[span.gateway]
    opened: uint256 = self._register(gateway, span.opening, device, quantity, span.from_date)
    closed: uint256 = self._register(gateway, span.closing, device, quantity, span.to_date)
    assert closed >= opened, "charges: register falls"
    return closed - opened


@internal
@view
def _register(
    gateway: line_proof.GatewayLog,
    proof: entry_proof.EntryProof,
    device: bytes32,
    quantity: bytes32,
    date: uint256,
) -> uint256:
    assert entry_proof._is_logged(proof, gateway.head.size, gateway.head.root), "charges: entry is not in the accepted log"
    assigned: bool = staticcall REGISTRY.is_assigned(device, gateway.origin_id, proof.index)
    assert assigned, "charges: device does not write to this log"
    return entry_proof._register(proof.entry, device, quantity, date)


# --- Shares ---


@internal
@view
def _share(
    cost: uint256,
    bounds: line_proof.Bounds,
    pool: bytes32,
    kind: uint256,
    from_date: uint256,
    to_date: uint256,
    proof: line_proof.KeyProof,
) -> uint256:
    """
    @notice One unit's part of a pool.
    """
    before: uint256 = bounds.unit_index
    key: uint256 = 1
    sum: uint256 = bounds.unit_count
    table: Table = empty(Table)
    if kind == pricing.KEY_AREA:
        unit: Unit = staticcall ROLL.unit(staticcall ROLL.unit_at(bounds.unit_index))
        before = unit.area_before
        key = unit.area_centi_m2
        sum = bounds.total_area
    elif kind != pricing.KEY_EQUAL:
        if kind == pricing.KEY_VOLUME:
            posted: bytes32 = staticcall TARIFFS.volumes(pool, bounds.period)
            assert posted == sha256(proof.table), "charges: volumes are not those of the period"
            table = abi_decode(proof.table, Table)
        else:
            table = self._table(pool, from_date, to_date)
        # A unit that joined the roll after the table has no part.
        if bounds.unit_index >= table.unit_count:
            return 0
        key = proof.key
        sum = table.sum
        before = self._before(bounds.unit_index, table, proof)
    return cost * (before + key) // sum - cost * before // sum


@internal
@view
def _table(pool: bytes32, from_date: uint256, to_date: uint256) -> Table:
    """
    @notice The roll's table of keys for the pool, which must be one over all the line's days.
    """
    found: PoolKeys = staticcall ROLL.pool_keys_at(pool, from_date)
    last: PoolKeys = staticcall ROLL.pool_keys_at(pool, to_date)
    same: bool = found.kind != 0 and (last.valid_from == found.valid_from or last.valid_from == to_date)
    assert same, "charges: no table of keys holds over the line's days"
    return Table(pool=pool, root=found.root, sum=found.total, unit_count=found.unit_count)


@internal
@pure
def _before(index: uint256, table: Table, proof: line_proof.KeyProof) -> uint256:
    """
    @notice Sum of the keys before this unit's, from its place in the sum tree.
    """
    inner: uint256 = tree._bit_length(index ^ (table.unit_count - 1))
    assert len(proof.path) == inner + tree._ones(index >> inner), "charges: path has the wrong length"
    node: bill_tree.Node = bill_tree.Node(
        hash=sha256(slice(abi_encode(empty(bytes32), KEY_TAG, index, proof.key, proof.salt), 31, 129)), sums=proof.key
    )
    before: uint256 = 0
    turns: uint256 = index
    step: uint256 = 0
    for sibling: bill_tree.Node in proof.path:
        if step >= inner or turns & 1 == 1:
            before += sibling.sums
            node = bill_tree._parent(sibling, node)
        else:
            node = bill_tree._parent(node, sibling)
        turns = turns >> 1
        step += 1
    assert node.hash == table.root and node.sums == table.sum, "charges: key is not in the table"
    return before


@internal
@pure
def _days(from_date: uint256, to_date: uint256) -> uint256:
    return calendar._days(to_date) - calendar._days(from_date)
