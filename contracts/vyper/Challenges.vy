# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Challenges
@license Apache-2.0
@notice Where the lines of UsageFees' bills are disputed: opened by the unit's key, answered by anyone with what the
        contract can recompute (Charges.vy), judged by the arbiter where it cannot, lost by silence.

        Invariants
        - A line can be challenged once, by the unit's key alone, within the window; an estimated line also later.
        - A charge only ever falls: the lowest of all answers stands, and nobody pays more than was billed.
        - A right answer keeps the deposit; a wrong bill or silence costs the bond as much as the deposit, and all that
          was overpaid. Whoever challenges without a reason pays the deposit, the honest pay nothing.
        - The arbiter judges only what Charges.vy cannot recompute, and only until the deadline; silence reverses the
          line all the same. An estimate that he lets stand still falls by any later reading.
        - No two lines of a bill charge for the same thing and day: the later one falls whoever shows it.
        - A bill that its owner cannot see is demanded; if nobody shows it in time, nothing is owed.
        - A bill that rests on a gateway which fell silent before the period's end is not debited until that gateway, or the one
          that its meter writes to by then, is shown to have caught up.
        - This contract holds no money. UsageFees.vy moves it, within its own bounds.
        - The events alone rebuild the state.
"""

import bill_tree
import entry_proof
import line_proof
import p256
import person

initializes: p256
initializes: person[p256 := p256]


interface Registry:
    def has_role(role: bytes32, account: address) -> bool: view
    def site() -> bytes32: view
    def contract_named(name: bytes32) -> address: view


interface Roll:
    def person_key(key_id: bytes32) -> person.PersonKey: view


interface UsageFees:
    def period(period: uint256) -> Period: view
    def status(period: uint256, unit_index: uint256) -> (bool, bool, uint256): view
    def note(digest: bytes32) -> (uint256, uint256): view
    def terms() -> (uint256, uint256, uint256, uint256): view
    def hold(period: uint256, unit_index: uint256): nonpayable
    def credit_missing(unit_index: uint256, amount: uint256): nonpayable
    def set_silent(period: uint256, unit_index: uint256, silent: bool): nonpayable
    def settle(
        period: uint256, unit_index: uint256, verdict: uint256, total: uint256, reduction: uint256, is_last: bool
    ): nonpayable


interface Charges:
    def right_amount(bounds: line_proof.Bounds, line: line_proof.Line, proof: line_proof.LineProof) -> uint256: view
    def is_for_arbiter(line: line_proof.Line, terms: Bytes[line_proof.TERMS_BYTES]) -> bool: view
    def rests_on(line: line_proof.Line, device: bytes32, origin_id: bytes32) -> bool: view
    def writes_to(device: bytes32, origin_id: bytes32) -> bool: view
    def is_silent(gateway: line_proof.GatewayLog) -> bool: view
    def heard_at(gateway: line_proof.GatewayLog, proof: entry_proof.EntryProof) -> uint256: view
    def midnight(date: uint256) -> uint256: view


NAME_ROLL: constant(bytes32) = 0x726f6c6c00000000000000000000000000000000000000000000000000000000
NAME_USAGE_FEES: constant(bytes32) = 0x75736167655f6665657300000000000000000000000000000000000000000000
NAME_CHARGES: constant(bytes32) = 0x6368617267657300000000000000000000000000000000000000000000000000
LANE: constant(uint256) = 2**64 - 1
LINES_MAX: constant(uint256) = line_proof.LINES_MAX
# Beside the places of the lines there is one for their sum and one for the bill itself.
PLACE_SUM: constant(uint256) = 24
PLACE_BILL: constant(uint256) = 25

ROLE_ARBITER: constant(bytes32) = 0x6172626974657200000000000000000000000000000000000000000000000000
PURPOSE_CHALLENGE: constant(bytes32) = 0x666565732e6368616c6c656e6765000000000000000000000000000000000000
PURPOSE_DEMAND: constant(bytes32) = 0x666565732e64656d616e64000000000000000000000000000000000000000000

STATE_NONE: constant(uint256) = 0
STATE_OPEN: constant(uint256) = 1
STATE_ANSWERED: constant(uint256) = 2
STATE_REVERSED: constant(uint256) = 3

VERDICT_KEPT: constant(uint256) = 1
VERDICT_WON: constant(uint256) = 2
VERDICT_OVERTURNED: constant(uint256) = 3
VERDICT_LOWERED: constant(uint256) = 4

REGISTRY: immutable(Registry)
ROLL: immutable(Roll)
USAGE_FEES: immutable(UsageFees)
CHARGES: immutable(Charges)
SITE: immutable(bytes32)
ANSWER_WINDOW: immutable(uint256)


struct Period:
    root: bytes32
    sums: uint256
    unit_count: uint256
    closed_at: uint256
    window_end: uint256
    total_area: uint256
    corrections: uint256


struct Challenge:
    state: uint256
    amount: uint256  # of the line as billed
    charge: uint256  # of the line as it stands
    deadline: uint256
    total: uint256  # of the bill
    line_digest: bytes32


struct StoredChallenge:
    lanes: uint256  # from the right: state 8, deadline 56, amount 64, charge 64, total 64
    line_digest: bytes32


challenges: HashMap[uint256, HashMap[uint256, HashMap[uint256, StoredChallenge]]]
open_lines: HashMap[uint256, HashMap[uint256, uint256]]
# The meter whose silent gateway a bill waits for, by period and unit; and until when each log was shown to reach.
silent_meters: HashMap[uint256, HashMap[uint256, bytes32]]
heard: public(HashMap[bytes32, uint256])
corrected_notes: HashMap[uint256, HashMap[uint256, HashMap[bytes32, bool]]]


event ChallengeOpened:
    period: indexed(uint256)
    unit_index: indexed(uint256)
    line: uint256
    amount: uint256
    deadline: uint256
    key_id: bytes32
    total: uint256
    line_digest: bytes32


event Answered:
    period: indexed(uint256)
    unit_index: indexed(uint256)
    line: uint256
    charge: uint256
    by: address


event Judged:
    period: indexed(uint256)
    unit_index: indexed(uint256)
    line: uint256
    charge: uint256
    by: address
    reason: bytes32


event Reversed:
    period: indexed(uint256)
    unit_index: indexed(uint256)
    line: uint256


event BillShown:
    period: indexed(uint256)
    unit_index: indexed(uint256)
    by: address


event SumCorrected:
    period: indexed(uint256)
    unit_index: indexed(uint256)
    total: uint256
    sum: uint256
    by: address


event DoubleCorrected:
    period: indexed(uint256)
    unit_index: indexed(uint256)
    first: uint256
    second: uint256
    amount: uint256
    by: address


event MissingNoteCredited:
    period: indexed(uint256)
    unit_index: indexed(uint256)
    note: bytes32
    amount: uint256
    by: address


event SilenceFlagged:
    period: indexed(uint256)
    unit_index: indexed(uint256)
    device: bytes32
    origin_id: bytes32
    by: address


event GatewayHeard:
    origin_id: indexed(bytes32)
    until: uint256
    by: address


event SilenceCleared:
    period: indexed(uint256)
    unit_index: indexed(uint256)
    origin_id: bytes32
    by: address


@deploy
def __init__(registry: address, verifier: address):
    """
    @notice Challenges of the bills of the registry's site; the windows are those of UsageFees.
    @param verifier Where P-256 signatures are verified; see p256.vy.
    """
    p256.__init__(verifier)
    REGISTRY = Registry(registry)
    ROLL = Roll(staticcall Registry(registry).contract_named(NAME_ROLL))
    USAGE_FEES = UsageFees(staticcall Registry(registry).contract_named(NAME_USAGE_FEES))
    CHARGES = Charges(staticcall Registry(registry).contract_named(NAME_CHARGES))
    SITE = staticcall Registry(registry).site()
    challenge_window: uint256 = 0
    answer_window: uint256 = 0
    bond_floor: uint256 = 0
    deposit: uint256 = 0
    challenge_window, answer_window, bond_floor, deposit = staticcall USAGE_FEES.terms()
    ANSWER_WINDOW = answer_window


@external
def open_challenge(
    period: uint256,
    unit_index: uint256,
    bill: bill_tree.Bill,
    path: DynArray[bill_tree.Node, 32],
    lines: DynArray[line_proof.Line, LINES_MAX],
    number: uint256,
    signature: person.PersonSignature,
):
    """
    @notice The unit's key challenges one line of its bill; the deposit comes from its balance. Anyone may relay it.
    @param lines All lines of the bill, whose digest the leaf carries.
    @param number Place of the challenged line, from 0.
    """
    closed: Period = self._check_bill(period, unit_index, bill, path)
    assert line_proof._digest(lines) == bill.lines_digest, "challenges: lines are not the bill's"
    assert number < len(lines), "challenges: no such line"
    line: line_proof.Line = lines[number]
    # An estimate is corrected whenever the meter was read at last.
    in_time: bool = block.timestamp <= closed.window_end or line.kind == line_proof.KIND_ESTIMATED
    assert in_time, "challenges: window is over"
    assert line.kind != line_proof.KIND_CREDIT, "challenges: a credit line asks for nothing"
    total: uint256 = bill.amounts >> 192
    body: bytes32 = sha256(abi_encode(period, unit_index, number, bill.lines_digest))
    self._check_owner(unit_index, PURPOSE_CHALLENGE, body, signature)
    # A line may say more than its whole bill: no more than that was asked for.
    amount: uint256 = min(line.amount, total)
    self._open(period, unit_index, number, amount, total, sha256(abi_encode(line)), signature.key_id)


@external
def answer(
    period: uint256, unit_index: uint256, number: uint256, line: line_proof.Line, proof: line_proof.LineProof
):
    """
    @notice Answer a challenge with what the line rests on. Anyone may; the contract recomputes the line and corrects it
            at once. Later answers count only where they lower the charge further: of two entries for one boundary the
            owner pays by the lower.
    """
    found: Challenge = self._answerable(period, unit_index, number, line)
    closed: Period = staticcall USAGE_FEES.period(period)
    bounds: line_proof.Bounds = line_proof.Bounds(
        period=period, unit_index=unit_index, unit_count=closed.unit_count, total_area=closed.total_area
    )
    right: uint256 = staticcall CHARGES.right_amount(bounds, line, proof)
    charge: uint256 = self._lower(found, right)
    log Answered(period=period, unit_index=unit_index, line=number, charge=charge, by=msg.sender)
    self._settle(period, unit_index, number, found, STATE_ANSWERED, charge)


@external
def judge(
    period: uint256,
    unit_index: uint256,
    number: uint256,
    line: line_proof.Line,
    terms: Bytes[line_proof.TERMS_BYTES],
    charge: uint256,
    reason: bytes32,
):
    """
    @notice The arbiter's word on a line that the contract cannot recompute.
    @param terms Price terms of the line's version; empty where the right itself states the amount.
    @param reason SHA-256 of the published reasons.
    """
    assert staticcall REGISTRY.has_role(ROLE_ARBITER, msg.sender), "challenges: only the arbiter may do this"
    found: Challenge = self._answerable(period, unit_index, number, line)
    assert staticcall CHARGES.is_for_arbiter(line, terms), "challenges: the contract recomputes such a line"
    stands: uint256 = self._lower(found, charge)
    log Judged(period=period, unit_index=unit_index, line=number, charge=stands, by=msg.sender, reason=reason)
    self._settle(period, unit_index, number, found, STATE_ANSWERED, stands)


@external
def reverse(period: uint256, unit_index: uint256, number: uint256):
    """
    @notice A challenge that nobody answered in time reverses the line, a demand that nobody met the whole bill.
            Anyone may trigger it.
    """
    found: Challenge = self._challenge(period, unit_index, number)
    assert found.state == STATE_OPEN, "challenges: no challenge is open"
    assert block.timestamp > found.deadline, "challenges: there is still time to answer"
    log Reversed(period=period, unit_index=unit_index, line=number)
    self._settle(period, unit_index, number, found, STATE_REVERSED, 0)


@external
def demand(period: uint256, unit_index: uint256, signature: person.PersonSignature):
    """
    @notice The unit's key demands to see its bill: leaf and lines must be shown on chain, or nothing is owed.
    """
    closed: Period = staticcall USAGE_FEES.period(period)
    assert unit_index < closed.unit_count, "challenges: period has no such bill"
    assert block.timestamp <= closed.window_end, "challenges: window is over"
    is_paid: bool = False
    is_held: bool = False
    reduction: uint256 = 0
    is_paid, is_held, reduction = staticcall USAGE_FEES.status(period, unit_index)
    assert not is_paid, "challenges: bill is paid"
    self._check_owner(unit_index, PURPOSE_DEMAND, sha256(abi_encode(period, unit_index)), signature)
    self._open(period, unit_index, PLACE_BILL, LANE, LANE, empty(bytes32), signature.key_id)


@external
def show(
    period: uint256,
    unit_index: uint256,
    bill: bill_tree.Bill,
    path: DynArray[bill_tree.Node, 32],
    lines: DynArray[line_proof.Line, LINES_MAX],
):
    """
    @notice Meet a demand with the bill and its lines. Anyone may.
    """
    found: Challenge = self._challenge(period, unit_index, PLACE_BILL)
    assert found.state == STATE_OPEN, "challenges: no challenge is open"
    assert block.timestamp <= found.deadline, "challenges: answer is too late"
    self._check_bill(period, unit_index, bill, path)
    assert line_proof._digest(lines) == bill.lines_digest, "challenges: lines are not the bill's"
    log BillShown(period=period, unit_index=unit_index, by=msg.sender)
    self._settle(period, unit_index, PLACE_BILL, found, STATE_ANSWERED, found.charge)


@external
def correct_sum(
    period: uint256,
    unit_index: uint256,
    bill: bill_tree.Bill,
    path: DynArray[bill_tree.Node, 32],
    lines: DynArray[line_proof.Line, LINES_MAX],
):
    """
    @notice A bill that asks for more than its lines add up to falls to their sum at once. Anyone may show it.
    """
    self._check_bill(period, unit_index, bill, path)
    assert line_proof._digest(lines) == bill.lines_digest, "challenges: lines are not the bill's"
    sum: uint256 = 0
    for line: line_proof.Line in lines:
        if line.kind != line_proof.KIND_CREDIT:
            sum += line.amount
    total: uint256 = bill.amounts >> 192
    assert sum < total, "challenges: bill asks for no more than its lines"
    assert self.challenges[period][unit_index][PLACE_SUM].lanes == 0, "challenges: sum was corrected"
    self._store(period, unit_index, PLACE_SUM, STATE_ANSWERED, block.timestamp, total, sum, total)
    log SumCorrected(period=period, unit_index=unit_index, total=total, sum=sum, by=msg.sender)
    extcall USAGE_FEES.settle(period, unit_index, VERDICT_LOWERED, total, total - sum, False)


@external
def correct_double(
    period: uint256,
    unit_index: uint256,
    bill: bill_tree.Bill,
    path: DynArray[bill_tree.Node, 32],
    lines: DynArray[line_proof.Line, LINES_MAX],
    first: uint256,
    second: uint256,
):
    """
    @notice A bill that charges the same thing twice for a day loses the second of the two lines at once, though each of them
            may be right by itself. Anyone may show it.
    @param first Place of the line that stays.
    @param second Place of the later line.
    """
    self._check_bill(period, unit_index, bill, path)
    assert line_proof._digest(lines) == bill.lines_digest, "challenges: lines are not the bill's"
    assert first < second and second < len(lines), "challenges: no such line"
    line: line_proof.Line = lines[second]
    assert line_proof._is_double(lines[first], line), "challenges: lines do not charge the same twice"
    found: Challenge = self._challenge(period, unit_index, second)
    assert found.state != STATE_REVERSED, "challenges: line was reversed"
    if found.state == STATE_NONE:
        found.total = bill.amounts >> 192
        found.amount = min(line.amount, found.total)
        found.charge = found.amount
    log DoubleCorrected(
        period=period, unit_index=unit_index, first=first, second=second, amount=found.charge, by=msg.sender
    )
    self._settle(period, unit_index, second, found, STATE_REVERSED, 0)


@external
def correct_note(
    period: uint256,
    unit_index: uint256,
    bill: bill_tree.Bill,
    path: DynArray[bill_tree.Node, 32],
    lines: DynArray[line_proof.Line, LINES_MAX],
    number: uint256,
):
    """
    @notice A bill names a credit note that was never given to its unit, or gave less: the bond gives the difference at
            once. Anyone may show it.
    """
    self._check_bill(period, unit_index, bill, path)
    assert line_proof._digest(lines) == bill.lines_digest, "challenges: lines are not the bill's"
    assert number < len(lines), "challenges: no such line"
    line: line_proof.Line = lines[number]
    assert line.kind == line_proof.KIND_CREDIT, "challenges: line is no credit"
    owner: uint256 = 0
    given: uint256 = 0
    owner, given = staticcall USAGE_FEES.note(line.subject)
    if owner != unit_index + 1:
        given = 0
    assert given < line.amount, "challenges: credit was given"
    assert not self.corrected_notes[period][unit_index][line.subject], "challenges: credit was corrected"
    self.corrected_notes[period][unit_index][line.subject] = True
    missing: uint256 = line.amount - given
    log MissingNoteCredited(
        period=period, unit_index=unit_index, note=line.subject, amount=missing, by=msg.sender
    )
    extcall USAGE_FEES.credit_missing(unit_index, missing)


# --- Silence ---


@external
def flag_silence(
    period: uint256,
    unit_index: uint256,
    bill: bill_tree.Bill,
    path: DynArray[bill_tree.Node, 32],
    lines: DynArray[line_proof.Line, LINES_MAX],
    number: uint256,
    device: bytes32,
    gateway: line_proof.GatewayLog,
):
    """
    @notice A line rests on a gateway that has been silent for 48 hours and does not reach the period's end: the bill waits
            until it catches up. Anyone may show it, without a deposit.
    @param device The line's meter, or one of its pool's.
    @param gateway The log that the meter writes to, and its accepted head.
    """
    self._check_bill(period, unit_index, bill, path)
    assert line_proof._digest(lines) == bill.lines_digest, "challenges: lines are not the bill's"
    assert number < len(lines), "challenges: no such line"
    rests: bool = staticcall CHARGES.rests_on(lines[number], device, gateway.origin_id)
    assert rests, "challenges: line rests on another gateway"
    assert staticcall CHARGES.is_silent(gateway), "challenges: gateway was heard of within 48 hours"
    assert not self._reaches(period, gateway.origin_id), "challenges: gateway's log reaches the period's end"
    assert self.silent_meters[period][unit_index] == empty(bytes32), "challenges: bill waits for a gateway already"
    self.silent_meters[period][unit_index] = device
    log SilenceFlagged(
        period=period, unit_index=unit_index, device=device, origin_id=gateway.origin_id, by=msg.sender
    )
    extcall USAGE_FEES.set_silent(period, unit_index, True)


@external
def hear(gateway: line_proof.GatewayLog, proof: entry_proof.EntryProof):
    """
    @notice Show until when a gateway's accepted log reaches, by any of its entries. Anyone may; once serves all its bills.
    """
    until: uint256 = staticcall CHARGES.heard_at(gateway, proof)
    assert until > self.heard[gateway.origin_id], "challenges: gateway was heard later"
    self.heard[gateway.origin_id] = until
    log GatewayHeard(origin_id=gateway.origin_id, until=until, by=msg.sender)


@external
def clear_silence(period: uint256, unit_index: uint256, origin_id: bytes32):
    """
    @notice The gateway caught up, or the meter writes to another one that did: the bill waits no longer. Anyone may show it.
    """
    device: bytes32 = self.silent_meters[period][unit_index]
    assert device != empty(bytes32), "challenges: bill waits for no gateway"
    assert staticcall CHARGES.writes_to(device, origin_id), "challenges: line rests on another gateway"
    assert self._reaches(period, origin_id), "challenges: gateway's log does not reach the period's end"
    self.silent_meters[period][unit_index] = empty(bytes32)
    log SilenceCleared(period=period, unit_index=unit_index, origin_id=origin_id, by=msg.sender)
    extcall USAGE_FEES.set_silent(period, unit_index, False)


@external
@view
def silent_meter(period: uint256, unit_index: uint256) -> bytes32:
    """
    @notice The meter whose silent gateway a bill waits for; zero while it waits for none.
    """
    return self.silent_meters[period][unit_index]


@external
@view
def challenge(period: uint256, unit_index: uint256, number: uint256) -> Challenge:
    """
    @notice State of a line's challenge: 0 none, 1 open, 2 answered, 3 reversed. Place 24 is the sum, 25 the bill.
    """
    return self._challenge(period, unit_index, number)


@external
@view
def contracts() -> (address, address):
    """
    @notice Where the money is, and where lines are recomputed.
    """
    return USAGE_FEES.address, CHARGES.address


# --- Internal ---


@internal
@view
def _reaches(period: uint256, origin_id: bytes32) -> bool:
    return self.heard[origin_id] >= staticcall CHARGES.midnight(period % 10**8)



@internal
def _open(
    period: uint256,
    unit_index: uint256,
    number: uint256,
    amount: uint256,
    total: uint256,
    line_digest: bytes32,
    key_id: bytes32,
):
    assert self.challenges[period][unit_index][number].lanes == 0, "challenges: line was challenged"
    deadline: uint256 = block.timestamp + ANSWER_WINDOW
    self._store(period, unit_index, number, STATE_OPEN, deadline, amount, amount, total)
    self.challenges[period][unit_index][number].line_digest = line_digest
    self.open_lines[period][unit_index] += 1
    log ChallengeOpened(
        period=period,
        unit_index=unit_index,
        line=number,
        amount=amount,
        deadline=deadline,
        key_id=key_id,
        total=total,
        line_digest=line_digest,
    )
    extcall USAGE_FEES.hold(period, unit_index)


@internal
def _settle(
    period: uint256, unit_index: uint256, number: uint256, found: Challenge, state: uint256, charge: uint256
):
    """
    @notice Write the line's charge down; UsageFees moves deposit and compensation.
    """
    self._store(period, unit_index, number, state, found.deadline, found.amount, charge, found.total)
    verdict: uint256 = VERDICT_LOWERED
    is_last: bool = False
    if found.state == STATE_OPEN:
        open_lines: uint256 = self.open_lines[period][unit_index] - 1
        self.open_lines[period][unit_index] = open_lines
        is_last = open_lines == 0
        verdict = VERDICT_WON
        if charge == found.amount:
            verdict = VERDICT_KEPT
    elif found.state == STATE_ANSWERED and found.charge == found.amount:
        # The first answer had kept the deposit; this one shows that the challenge was right.
        verdict = VERDICT_OVERTURNED
    extcall USAGE_FEES.settle(period, unit_index, verdict, found.total, found.charge - charge, is_last)


@internal
def _store(
    period: uint256,
    unit_index: uint256,
    number: uint256,
    state: uint256,
    deadline: uint256,
    amount: uint256,
    charge: uint256,
    total: uint256,
):
    lanes: uint256 = state | (deadline << 8) | (amount << 64) | (charge << 128) | (total << 192)
    self.challenges[period][unit_index][number].lanes = lanes


@internal
@view
def _challenge(period: uint256, unit_index: uint256, number: uint256) -> Challenge:
    stored: StoredChallenge = self.challenges[period][unit_index][number]
    return Challenge(
        state=stored.lanes & 255,
        amount=(stored.lanes >> 64) & LANE,
        charge=(stored.lanes >> 128) & LANE,
        deadline=(stored.lanes >> 8) & (2**56 - 1),
        total=stored.lanes >> 192,
        line_digest=stored.line_digest,
    )


@internal
@view
def _answerable(period: uint256, unit_index: uint256, number: uint256, line: line_proof.Line) -> Challenge:
    found: Challenge = self._challenge(period, unit_index, number)
    assert found.state == STATE_OPEN or found.state == STATE_ANSWERED, "challenges: nothing to answer"
    # An estimate that stood is lowered whenever the meter was read at last.
    in_time: bool = block.timestamp <= found.deadline
    if found.state == STATE_ANSWERED:
        in_time = in_time or line.kind == line_proof.KIND_ESTIMATED
    assert in_time, "challenges: answer is too late"
    assert sha256(abi_encode(line)) == found.line_digest, "challenges: line is not the challenged one"
    return found


@internal
@pure
def _lower(found: Challenge, right: uint256) -> uint256:
    charge: uint256 = min(right, found.amount)
    if found.state == STATE_ANSWERED:
        assert charge < found.charge, "challenges: answer does not lower the charge"
    return charge


@internal
@view
def _check_bill(
    period: uint256, unit_index: uint256, bill: bill_tree.Bill, path: DynArray[bill_tree.Node, 32]
) -> Period:
    closed: Period = staticcall USAGE_FEES.period(period)
    assert closed.unit_count != 0, "challenges: period is not closed"
    leaf: bill_tree.Node = bill_tree.Node(
        hash=bill_tree._leaf_hash(USAGE_FEES.address, SITE, period, unit_index, bill), sums=bill.amounts
    )
    top: bill_tree.Node = bill_tree._climb(leaf, unit_index, closed.unit_count, path)
    assert top.hash == closed.root and top.sums == closed.sums, "challenges: bill is not in the period's tree"
    return closed


@internal
@view
def _check_owner(unit_index: uint256, purpose: bytes32, body: bytes32, signature: person.PersonSignature):
    assert block.timestamp <= signature.deadline, "challenges: signature's deadline has passed"
    key: person.PersonKey = staticcall ROLL.person_key(signature.key_id)
    assert key.unit != empty(bytes32), "challenges: key is not in force"
    assert key.index == unit_index, "challenges: key belongs to another unit"
    digest: bytes32 = person._digest(purpose, body, signature)
    assert person._is_signed_by(key, digest, signature), "challenges: owner's signature does not match"
