# pragma version 0.4.3
# pragma nonreentrancy on
# pragma optimize codesize
"""
@title Counterevidence
@license Apache-2.0
@notice What a site's own gateways say against the plain reading of ServiceAgreements' logbook: days on which a device's
        gateway was silent, so that no visit could be proven, and visits that one mechanic cannot both have made. Anyone
        brings it, as entries under accepted heads; nobody can make it.

        Silence. Two neighbouring entries of a device's log with whole days between them show that the gateway logged nothing
        on those days. They are not counted when days since a visit are. An entry of such a day shows that it was not
        silent after all, for a clock may have been wrong for a moment; that is final.

        Life. A claim for overdue days is settled only after an entry of a later day shows that the gateway was there again,
        so that whoever has to show its silence, or a visit that it logged late, has the time for it.

        Overlap. Two visits at two devices for more than ten minutes at once, whose records one mechanic signed and the gateways
        logged. Nobody can say which is false, so both days count and pay nothing, whatever else was recorded.

        Invariants
        - A day is silent only while no entry of it was shown, lived only by an entry, voided only by two records that one key
          signed. A gateway checks that a record is signed, but not whose key that is; so the key is Crews' own here.
        - Nothing is ever taken back but silence, by an entry. So what stands depends on what was shown, not on the order.
        - The events alone rebuild the state.

        Limits. Two aliases of one person do not meet, and a key that has ended shows nothing any more. Records at another site
        lie under other heads: who compares sites reads the crews' public keys and the records.
"""

import entry_proof
import p256
import person

initializes: p256
initializes: person[p256 := p256]


interface Registry:
    def contract_named(name: bytes32) -> address: view
    def assignment(device: bytes32, number: uint256) -> Assignment: view


interface AnchorLog:
    def accepted(origin_id: bytes32, head: Head) -> (bool, bool): view


interface Crews:
    def crew_key_of(alias: bytes32) -> CrewKey: view


NAME_ANCHOR_LOG: constant(bytes32) = 0x616e63686f725f6c6f6700000000000000000000000000000000000000000000
NAME_CREWS: constant(bytes32) = 0x6372657773000000000000000000000000000000000000000000000000000000
QUANTITY_VISIT: constant(bytes32) = 0x7669736974000000000000000000000000000000000000000000000000000000
PURPOSE_VISIT: constant(bytes32) = QUANTITY_VISIT
KIND_VISIT: constant(uint256) = 4
DAY: constant(uint256) = 86400
CLOCK_TOLERANCE: constant(uint256) = 600  # seconds between clocks, and between two visits, that must not matter
SILENCE_MAX: constant(uint256) = 366  # days that one pair of entries shows
WORDS_MAX: constant(uint256) = 8  # of 256 days, that one question looks at

REGISTRY: immutable(Registry)
ANCHOR_LOG: immutable(AnchorLog)
CREWS: immutable(Crews)
UTC_OFFSET: immutable(int256)


struct Assignment:
    origin_id: bytes32
    first_index: uint256
    last_index: uint256
    block: uint256


struct Head:
    size: uint256
    root: bytes32
    accepted_at: uint256


struct CrewKey:
    alias: bytes32
    firm: uint256
    duties: uint256
    licence_until: uint256
    x: uint256
    y: uint256
    kind: uint256
    rp_id_hash: bytes32
    origin: String[128]
    since: uint256


struct Visit:
    device: bytes32
    plan: bytes32
    visit_class: uint256
    checklist: bytes32
    started_at: uint256
    ended_at: uint256
    presence: bytes32
    mechanics: bytes32[2]
    manager: bytes32
    salt: bytes32


struct Logged:
    assignment: uint256  # which of the device's assignments in the Registry holds the index
    head: Head  # accepted last for that log
    proof: entry_proof.EntryProof


struct SignedVisit:
    visit: Visit
    contract: address  # for which it was signed
    signature: person.PersonSignature  # the mechanic's
    logged: Logged


# By device, day // 256: a bit for each day.
silences: HashMap[bytes32, HashMap[uint256, uint256]]
lives: HashMap[bytes32, HashMap[uint256, uint256]]
# By line (device, plan and firm), day // 256.
voids: HashMap[bytes32, HashMap[uint256, uint256]]


event SilenceShown:
    device: indexed(bytes32)
    first_day: uint256
    last_day: uint256


event LifeShown:
    device: indexed(bytes32)
    day: uint256


event OverlapShown:
    mechanic: indexed(bytes32)
    line_a: indexed(bytes32)
    line_b: indexed(bytes32)
    day_a: uint256
    day_b: uint256
    digest_a: bytes32
    digest_b: bytes32


@deploy
def __init__(registry: address, utc_offset_seconds: int256, verifier: address):
    """
    @notice For the registry's site.
    @param utc_offset_seconds What local time is ahead of UTC, as in ServiceAgreements.
    @param verifier Where P-256 signatures are verified; see p256.vy.
    """
    p256.__init__(verifier)
    assert abs(utc_offset_seconds) < convert(DAY, int256), "counterevidence: offset is a day or more"
    REGISTRY = Registry(registry)
    ANCHOR_LOG = AnchorLog(staticcall Registry(registry).contract_named(NAME_ANCHOR_LOG))
    CREWS = Crews(staticcall Registry(registry).contract_named(NAME_CREWS))
    UTC_OFFSET = utc_offset_seconds


@external
def report_silence(device: bytes32, before: Logged, after: Logged):
    """
    @notice The device's gateway logged nothing on the whole days between two neighbouring entries. Anyone may report it.
    @param before An entry in the device's range of a log.
    @param after The next entry; or the first one in the device's next range, where `before` is the last in the one before.
    """
    earlier: Assignment = self._check_entry(device, before)
    later: Assignment = self._check_entry(device, after)
    is_next: bool = False
    if before.assignment == after.assignment:
        is_next = before.proof.index + 1 == after.proof.index
    else:
        is_next = before.assignment + 1 == after.assignment
        is_next = is_next and before.proof.index == earlier.last_index and after.proof.index == later.first_index
    assert is_next, "counterevidence: entries are no neighbours"
    first_day: uint256 = self._day(before.proof.entry.observed_at // 1000) + 1
    last_day: uint256 = self._day(after.proof.entry.observed_at // 1000) - 1
    assert first_day <= last_day, "counterevidence: no whole day lies between"
    assert last_day < first_day + SILENCE_MAX, "counterevidence: more than a year lies between"
    for i: uint256 in range(3):
        word: uint256 = first_day // 256 + i
        if word <= last_day // 256:
            self.silences[device][word] |= self._days_in(word, first_day, last_day)
    log SilenceShown(device=device, first_day=first_day, last_day=last_day)


@external
def report_life(device: bytes32, logged: Logged):
    """
    @notice The device's gateway logged something on a day. Anyone may report it.
    """
    self._check_entry(device, logged)
    day: uint256 = self._day(logged.proof.entry.observed_at // 1000)
    self.lives[device][day // 256] |= 1 << (day % 256)
    log LifeShown(device=device, day=day)


@external
def report_overlap(mechanic: bytes32, a: SignedVisit, b: SignedVisit):
    """
    @notice One mechanic signed the records of two visits at two devices for more than ten minutes at once. Anyone may report
            it; neither day counts any more.
    """
    assert a.visit.device != b.visit.device, "counterevidence: visits were at one device"
    start: uint256 = max(a.visit.started_at, b.visit.started_at)
    assert min(a.visit.ended_at, b.visit.ended_at) > start + CLOCK_TOLERANCE, "counterevidence: visits do not overlap"
    key: CrewKey = staticcall CREWS.crew_key_of(mechanic)
    line_a: bytes32 = empty(bytes32)
    line_b: bytes32 = empty(bytes32)
    digest_a: bytes32 = empty(bytes32)
    digest_b: bytes32 = empty(bytes32)
    day_a: uint256 = 0
    day_b: uint256 = 0
    line_a, day_a, digest_a = self._check_visit(mechanic, key, a)
    line_b, day_b, digest_b = self._check_visit(mechanic, key, b)
    self.voids[line_a][day_a // 256] |= 1 << (day_a % 256)
    self.voids[line_b][day_b // 256] |= 1 << (day_b % 256)
    log OverlapShown(
        mechanic=mechanic,
        line_a=line_a,
        line_b=line_b,
        day_a=day_a,
        day_b=day_b,
        digest_a=digest_a,
        digest_b=digest_b,
    )


# --- Views ---


@external
@view
def is_silent(device: bytes32, day: uint256) -> bool:
    """
    @notice Whether the device's gateway was shown to have logged nothing on a day.
    """
    return ((self.silences[device][day // 256] & ~self.lives[device][day // 256]) >> (day % 256)) & 1 == 1


@external
@view
def lived(device: bytes32, first_day: uint256, last_day: uint256) -> bool:
    """
    @notice Whether an entry of one of these days was shown; of more than 2,048 days the first are looked at.
    """
    if first_day > last_day:
        return False
    for i: uint256 in range(WORDS_MAX):
        word: uint256 = first_day // 256 + i
        if word > last_day // 256:
            break
        if self.lives[device][word] & self._days_in(word, first_day, last_day) != 0:
            return True
    return False


@external
@view
def is_void(line: bytes32, day: uint256) -> bool:
    """
    @notice Whether a visit of this day is contradicted by another one of its mechanic.
    @param line Keccak-256 of device, plan and firm.
    """
    return (self.voids[line][day // 256] >> (day % 256)) & 1 == 1


# --- Internal ---


@internal
@view
def _check_entry(device: bytes32, logged: Logged) -> Assignment:
    """
    @notice The entry stands under the accepted head of a log that the device is or was assigned to, in its range.
    """
    assignment: Assignment = staticcall REGISTRY.assignment(device, logged.assignment)
    index: uint256 = logged.proof.index
    assert index >= assignment.first_index and index <= assignment.last_index, "counterevidence: device is not assigned to this index"
    is_accepted: bool = False
    is_ended: bool = False
    is_accepted, is_ended = staticcall ANCHOR_LOG.accepted(assignment.origin_id, logged.head)
    assert is_accepted, "counterevidence: head is not the accepted one"
    assert entry_proof._is_logged(logged.proof, logged.head.size, logged.head.root), "counterevidence: entry is not in the log"
    observed: uint256 = logged.proof.entry.observed_at // 1000
    assert observed <= logged.head.accepted_at + CLOCK_TOLERANCE, "counterevidence: entry is from the future"
    return assignment


@internal
@view
def _check_visit(mechanic: bytes32, key: CrewKey, signed: SignedVisit) -> (bytes32, uint256, bytes32):
    """
    @notice The mechanic's key signed the record, and the device's gateway logged it.
    @return Line, the local day that it counts for as in ServiceAgreements, and the record's digest.
    """
    visit: Visit = signed.visit
    assert mechanic != empty(bytes32) and mechanic in visit.mechanics, "counterevidence: mechanic is not in the record"
    digest: bytes32 = sha256(abi_encode(visit))
    person_digest: bytes32 = sha256(
        abi_encode(
            person.TAG,
            chain.id,
            signed.contract,
            PURPOSE_VISIT,
            sha256(abi_encode(key.x, key.y)),
            signed.signature.nonce,
            signed.signature.deadline,
            digest,
        )
    )
    person_key: person.PersonKey = person.PersonKey(
        unit=mechanic, index=0, x=key.x, y=key.y, kind=key.kind, rp_id_hash=key.rp_id_hash, origin=key.origin
    )
    assert person._is_signed_by(person_key, person_digest, signed.signature), "counterevidence: mechanic's signature does not match the record"
    self._check_entry(visit.device, signed.logged)
    entry: entry_proof.Entry = signed.logged.proof.entry
    is_its: bool = entry.kind == KIND_VISIT and entry.device == visit.device
    is_its = is_its and entry.quantity == QUANTITY_VISIT and entry.detail == digest
    assert is_its, "counterevidence: entry is not this visit's"
    day: uint256 = self._day(visit.ended_at)
    if entry.value == 0:
        day = self._day(entry.observed_at // 1000)
    return keccak256(abi_encode(visit.device, visit.plan, key.firm)), day, digest


@internal
@pure
def _days_in(word: uint256, first_day: uint256, last_day: uint256) -> uint256:
    """
    @notice The bits of the days from the first to the last that stand in a word.
    """
    start: uint256 = max(first_day, 256 * word) % 256
    end: uint256 = min(last_day, 256 * word + 255) % 256
    return (max_value(uint256) << start) & (max_value(uint256) >> (255 - end))


@internal
@view
def _day(time: uint256) -> uint256:
    return convert(unsafe_add(convert(time, int256), UTC_OFFSET), uint256) // DAY
