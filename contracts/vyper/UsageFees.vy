# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title UsageFees
@license Apache-2.0
@notice What units owe for proven usage at one site: each period's bill tree, prepaid balances, payment, and the challenge
        of a bill line, which Tariffs.vy recomputes from the meter's boundary entries.

        Invariants
        - Tokens held = prepaid balances + deposits of open challenges + bond + collected fees.
        - A unit's balance falls only by its own signed withdrawal or deposit, or by a bill within the mandate that its
          key signed, after the challenge window, once per bill. The operator moves only what is collected, and the bond
          while no window or challenge is open.
        - A period closes over all units of the roll, after its last day, begins where the last one ended, and never
          crosses 1 January.
        - A line can be challenged once, by the unit's key alone. Who was billed never pays more than was billed; a right
          answer keeps the deposit; a wrong bill or silence costs the bond the deposit's amount and all that was overpaid.
        - There is no way to cut a service off.
"""

from ethereum.ercs import IERC20

import bill_tree
import calendar
import entry_proof
import p256
import person

initializes: p256
initializes: person[p256 := p256]


interface Registry:
    def has_role(role: bytes32, account: address) -> bool: view
    def site() -> bytes32: view
    def contract_named(name: bytes32) -> address: view


interface Roll:
    def unit_count() -> uint256: view
    def person_key(key_id: bytes32) -> person.PersonKey: view


interface Tariffs:
    def utc_offset_seconds() -> int256: view
    def right_charge(
        period: uint256,
        unit_index: uint256,
        line: Line,
        origin_id: bytes32,
        head: Head,
        before: DynArray[Span, 2],
        during: DynArray[Span, 2],
    ) -> uint256: view


DAY: constant(uint256) = 86400
NAME_ROLL: constant(bytes32) = 0x726f6c6c00000000000000000000000000000000000000000000000000000000
DEVELOPMENT_CHAIN: constant(uint256) = 31337
LINES_MAX: constant(uint256) = 24
LANE: constant(uint256) = 2**64 - 1
BOND_MASK: constant(uint256) = 2**96 - 1

ROLE_OPERATOR: constant(bytes32) = 0x6f70657261746f72000000000000000000000000000000000000000000000000
PURPOSE_CHALLENGE: constant(bytes32) = 0x666565732e6368616c6c656e6765000000000000000000000000000000000000
PURPOSE_WITHDRAW: constant(bytes32) = 0x666565732e776974686472617700000000000000000000000000000000000000
PURPOSE_MANDATE: constant(bytes32) = 0x666565732e6d616e646174650000000000000000000000000000000000000000

KIND_OWN: constant(uint256) = 1
KIND_SHARED: constant(uint256) = 2
KIND_OTHER: constant(uint256) = 3

STATE_OPEN: constant(uint256) = 1
STATE_ANSWERED: constant(uint256) = 2
STATE_REVERSED: constant(uint256) = 3

REASON_DEPOSIT: constant(uint256) = 1
REASON_COMPENSATION: constant(uint256) = 2
REASON_ALREADY_PAID: constant(uint256) = 3

REGISTRY: immutable(Registry)
ROLL: immutable(Roll)
TARIFFS: immutable(Tariffs)
TOKEN: immutable(IERC20)
SITE: immutable(bytes32)
UTC_OFFSET: immutable(int256)
CHALLENGE_WINDOW: immutable(uint256)
ANSWER_WINDOW: immutable(uint256)
BOND_FLOOR: immutable(uint256)
DEPOSIT: immutable(uint256)


struct Head:
    size: uint256
    root: bytes32
    accepted_at: uint256


struct Period:
    root: bytes32
    sums: uint256
    unit_count: uint256
    closed_at: uint256
    window_end: uint256


struct StoredPeriod:
    root: bytes32
    sums: uint256
    lanes: uint256  # unit count, closed at, window end


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


struct Challenge:
    state: uint256
    amount: uint256  # of the line as billed
    charge: uint256  # of the line as it stands
    deadline: uint256
    line_digest: bytes32


struct StoredChallenge:
    lanes: uint256  # state, amount, charge, deadline
    line_digest: bytes32


periods: HashMap[uint256, StoredPeriod]
# One word for 64 bills. Lanes of one bit per bill: paid, under challenge, corrected.
marks: HashMap[uint256, HashMap[uint256, uint256]]
reductions: HashMap[uint256, HashMap[uint256, uint256]]
open_lines: HashMap[uint256, HashMap[uint256, uint256]]
challenges: HashMap[uint256, HashMap[uint256, HashMap[uint256, StoredChallenge]]]
# Lanes from the right: nonce 64, cap 64, balance 128.
accounts: HashMap[uint256, uint256]
# Lanes from the right: bond 96, last closing date 32, open challenges 64, end of the last window 64.
purse: uint256
collected: public(uint256)


event BondChanged:
    bond: uint256


event PeriodClosed:
    period: indexed(uint256)
    root: bytes32
    sums: uint256
    unit_count: uint256
    window_end: uint256


event ToppedUp:
    unit_index: indexed(uint256)
    amount: uint256
    payer: address


event Withdrawn:
    unit_index: indexed(uint256)
    amount: uint256
    to: address
    key_id: bytes32


event MandateSet:
    unit_index: indexed(uint256)
    cap: uint256
    key_id: bytes32


event Debited:
    period: indexed(uint256)
    first_index: uint256
    paid_bits: uint256
    amounts: DynArray[uint256, 64]


event Paid:
    period: indexed(uint256)
    unit_index: indexed(uint256)
    amount: uint256
    payer: address


event ChallengeOpened:
    period: indexed(uint256)
    unit_index: indexed(uint256)
    line: uint256
    amount: uint256
    deadline: uint256
    key_id: bytes32


event Answered:
    period: indexed(uint256)
    unit_index: indexed(uint256)
    line: uint256
    charge: uint256
    by: address


event Reversed:
    period: indexed(uint256)
    unit_index: indexed(uint256)
    line: uint256


event Credited:
    unit_index: indexed(uint256)
    amount: uint256
    reason: uint256


event Collected:
    amount: uint256
    to: address


@deploy
def __init__(
    registry: address,
    tariffs: address,
    token: address,
    challenge_window: uint256,
    answer_window: uint256,
    bond_floor: uint256,
    deposit: uint256,
    verifier: address,
):
    """
    @notice Fees of the registry's site.
    @param token ERC-20 whose smallest unit is the fen.
    @param challenge_window Seconds in which a closed period can be challenged; at least 7 days in production.
    @param answer_window Seconds in which a challenge must be answered; at least 7 days in production.
    @param bond_floor Fen below which the site cannot close a period.
    @param deposit Fen that a challenge sets aside.
    @param verifier Where P-256 signatures are verified; see p256.vy.
    """
    p256.__init__(verifier)
    if chain.id != DEVELOPMENT_CHAIN:
        assert challenge_window >= 7 * DAY, "usage_fees: challenge window is below 7 days"
        assert answer_window >= 7 * DAY, "usage_fees: answer window is below 7 days"
    assert deposit < 2**64 and bond_floor < 2**96, "usage_fees: deposit or bond floor is out of range"
    REGISTRY = Registry(registry)
    ROLL = Roll(staticcall Registry(registry).contract_named(NAME_ROLL))
    TARIFFS = Tariffs(tariffs)
    TOKEN = IERC20(token)
    SITE = staticcall Registry(registry).site()
    UTC_OFFSET = staticcall Tariffs(tariffs).utc_offset_seconds()
    CHALLENGE_WINDOW = challenge_window
    ANSWER_WINDOW = answer_window
    BOND_FLOOR = bond_floor
    DEPOSIT = deposit


# --- Bond and periods ---


@external
def post_bond(amount: uint256):
    """
    @notice Add to the bond that answers for wrong bills. Anyone may.
    """
    self._set_bond(self._bond() + amount)
    self._take(amount)


@external
def withdraw_bond(amount: uint256, to: address):
    """
    @notice The operator takes bond back while nobody can challenge and nothing is under challenge.
    """
    self._only_operator()
    assert (self.purse >> 128) & LANE == 0, "usage_fees: a challenge is open"
    assert block.timestamp > self.purse >> 192, "usage_fees: window is open"
    bond: uint256 = self._bond()
    assert amount <= bond, "usage_fees: bond is smaller"
    self._set_bond(bond - amount)
    self._give(to, amount)


@external
def close_period(period: uint256, root: bytes32, sums: uint256, unit_count: uint256):
    """
    @notice The operator posts the root of the period's bill tree, one leaf for each unit of the roll.
    @param period Opening date * 10^8 + closing date.
    @param sums Sums of all bills: total, own use, shared, other.
    """
    self._only_operator()
    purse: uint256 = self.purse
    assert purse & BOND_MASK >= BOND_FLOOR, "usage_fees: bond is too small"
    opening: uint256 = period // 10**8
    closing: uint256 = period % 10**8
    assert calendar._days(closing) > calendar._days(opening), "usage_fees: period ends before it begins"
    assert closing <= (opening // 10000 + 1) * 10000 + 101, "usage_fees: period crosses 1 January"
    assert block.timestamp >= calendar._midnight(closing, UTC_OFFSET), "usage_fees: period is not over"
    # The closing of one period is the opening of the next: no day is billed twice or left out.
    last_closing: uint256 = (purse >> 96) & (2**32 - 1)
    assert last_closing == 0 or opening == last_closing, "usage_fees: period does not begin where the last one ended"
    assert unit_count == staticcall ROLL.unit_count() and unit_count != 0, "usage_fees: one bill for each unit of the roll"
    window_end: uint256 = block.timestamp + CHALLENGE_WINDOW
    self.periods[period] = StoredPeriod(
        root=root, sums=sums, lanes=unit_count | (block.timestamp << 64) | (window_end << 128)
    )
    self.purse = (purse & BOND_MASK) | (closing << 96) | (purse & (LANE << 128)) | (window_end << 192)
    log PeriodClosed(period=period, root=root, sums=sums, unit_count=unit_count, window_end=window_end)


# --- Accounts ---


@external
def top_up(unit_index: uint256, amount: uint256):
    """
    @notice Add to a unit's prepaid balance. Anyone may.
    """
    assert unit_index < staticcall ROLL.unit_count(), "usage_fees: unit is not on the roll"
    self._add_balance(unit_index, amount)
    log ToppedUp(unit_index=unit_index, amount=amount, payer=msg.sender)
    self._take(amount)


@external
def withdraw(amount: uint256, to: address, signature: person.PersonSignature):
    """
    @notice The owner takes from the unit's balance. Anyone may relay it.
    """
    key: person.PersonKey = self._key(signature)
    self._check_signed(key, PURPOSE_WITHDRAW, sha256(abi_encode(key.index, amount, to)), signature)
    self._take_nonce(key.index, signature.nonce)
    account: uint256 = self.accounts[key.index]
    assert amount <= account >> 128, "usage_fees: balance is smaller"
    self.accounts[key.index] = account - (amount << 128)
    log Withdrawn(unit_index=key.index, amount=amount, to=to, key_id=signature.key_id)
    self._give(to, amount)


@external
def set_mandate(cap: uint256, signature: person.PersonSignature):
    """
    @notice The owner allows debits of bills up to the cap; zero stops them. Anyone may relay it.
    """
    key: person.PersonKey = self._key(signature)
    self._check_signed(key, PURPOSE_MANDATE, sha256(abi_encode(key.index, cap)), signature)
    self._take_nonce(key.index, signature.nonce)
    assert cap <= LANE, "usage_fees: cap is out of range"
    account: uint256 = self.accounts[key.index]
    self.accounts[key.index] = ((account >> 128) << 128) | (cap << 64) | (account & LANE)
    log MandateSet(unit_index=key.index, cap=cap, key_id=signature.key_id)


# --- Payment ---


@external
def debit(
    period: uint256,
    first_index: uint256,
    bills: DynArray[bill_tree.Bill, 64],
    path: DynArray[bill_tree.Node, 32],
):
    """
    @notice Take the bills of an aligned block of units from their balances, after the window. Anyone may trigger it.
            Bills that are paid, under challenge, above the mandate or above the balance are left for later.
    @param bills All bills of the block, so that one path proves them.
    @param path Siblings of the block's top, from below.
    """
    closed: Period = self._closed(period)
    assert block.timestamp > closed.window_end, "usage_fees: window is open"
    assert first_index % 64 == 0 and first_index < closed.unit_count, "usage_fees: block is not aligned"
    assert len(bills) == min(closed.unit_count - first_index, 64), "usage_fees: block is incomplete"
    blocks: uint256 = (closed.unit_count + 63) // 64
    top: bill_tree.Node = bill_tree._block_top(SITE, period, first_index, bills)
    top = bill_tree._climb(top, first_index // 64, blocks, path)
    assert top.hash == closed.root and top.sums == closed.sums, "usage_fees: bills are not in the period's tree"
    marks: uint256 = self.marks[period][first_index // 64]
    amounts: DynArray[uint256, 64] = []
    sum: uint256 = 0
    index: uint256 = first_index
    bit: uint256 = 1
    for bill: bill_tree.Bill in bills:
        taken: uint256 = 0
        if (marks | (marks >> 64)) & bit == 0:
            due: uint256 = bill.amounts >> 192
            if (marks >> 128) & bit != 0:
                due -= min(due, self.reductions[period][index])
            account: uint256 = self.accounts[index]
            if due <= (account >> 64) & LANE and due <= account >> 128:
                self.accounts[index] = unsafe_sub(account, due << 128)
                marks = marks | bit
                taken = due
                sum += due
        amounts.append(taken)
        index = unsafe_add(index, 1)
        bit = bit << 1
    self.marks[period][first_index // 64] = marks
    self.collected += sum
    log Debited(period=period, first_index=first_index, paid_bits=marks & LANE, amounts=amounts)


@external
def pay(period: uint256, unit_index: uint256, bill: bill_tree.Bill, path: DynArray[bill_tree.Node, 32]):
    """
    @notice Pay a bill as it stands. Anyone may, at any time.
    """
    self._check_bill(period, unit_index, bill, path)
    marks: uint256 = self.marks[period][unit_index // 64]
    bit: uint256 = 1 << (unit_index % 64)
    assert marks & bit == 0, "usage_fees: bill is already paid"
    assert (marks >> 64) & bit == 0, "usage_fees: bill is challenged"
    total: uint256 = bill.amounts >> 192
    due: uint256 = total - min(total, self.reductions[period][unit_index])
    self.marks[period][unit_index // 64] = marks | bit
    self.collected += due
    log Paid(period=period, unit_index=unit_index, amount=due, payer=msg.sender)
    self._take(due)


@external
def collect(amount: uint256, to: address):
    """
    @notice The operator takes what was paid.
    """
    self._only_operator()
    assert amount <= self.collected, "usage_fees: less was collected"
    self.collected -= amount
    log Collected(amount=amount, to=to)
    self._give(to, amount)


# --- Challenges ---


@external
def open_challenge(
    period: uint256,
    unit_index: uint256,
    bill: bill_tree.Bill,
    path: DynArray[bill_tree.Node, 32],
    lines: DynArray[Line, LINES_MAX],
    number: uint256,
    signature: person.PersonSignature,
):
    """
    @notice The unit's key challenges one line of its bill; the deposit comes from its balance. Anyone may relay it.
    @param lines All lines of the bill, whose digest the leaf carries.
    @param number Place of the challenged line, from 0.
    """
    closed: Period = self._check_bill(period, unit_index, bill, path)
    assert block.timestamp <= closed.window_end, "usage_fees: window is over"
    self._check_lines(bill, lines)
    assert number < len(lines), "usage_fees: no such line"
    line: Line = lines[number]
    assert line.kind == KIND_OWN or line.kind == KIND_SHARED, "usage_fees: only metered lines are recomputed"
    assert line.amount <= bill.amounts >> 192, "usage_fees: line is larger than its bill"
    assert self.challenges[period][unit_index][number].lanes == 0, "usage_fees: line was challenged"
    key: person.PersonKey = self._key(signature)
    assert key.index == unit_index, "usage_fees: key belongs to another unit"
    body: bytes32 = sha256(abi_encode(period, unit_index, number, bill.lines_digest))
    self._check_signed(key, PURPOSE_CHALLENGE, body, signature)
    account: uint256 = self.accounts[unit_index]
    assert account >> 128 >= DEPOSIT, "usage_fees: balance does not cover the deposit"
    self.accounts[unit_index] = account - (DEPOSIT << 128)
    deadline: uint256 = block.timestamp + ANSWER_WINDOW
    self._store_challenge(period, unit_index, number, STATE_OPEN, line.amount, line.amount, deadline)
    self.challenges[period][unit_index][number].line_digest = sha256(abi_encode(line))
    self.open_lines[period][unit_index] += 1
    self.marks[period][unit_index // 64] |= 1 << (64 + unit_index % 64)
    self.purse += 1 << 128
    log ChallengeOpened(
        period=period,
        unit_index=unit_index,
        line=number,
        amount=line.amount,
        deadline=deadline,
        key_id=signature.key_id,
    )


@external
def answer(
    period: uint256,
    unit_index: uint256,
    number: uint256,
    line: Line,
    origin_id: bytes32,
    head: Head,
    before: DynArray[Span, 2],
    during: DynArray[Span, 2],
):
    """
    @notice Answer a challenge with boundary entries under one accepted head. Anyone may; the contract recomputes the
            line and corrects it at once. Later answers count only where they lower the charge further: of two entries
            for one boundary the owner pays by the lower.
    @param before From the line's `since` to the opening, for tariffs by year; two spans where a meter was swapped.
    @param during From the opening to the closing; two spans where a meter was swapped.
    """
    found: Challenge = self._challenge(period, unit_index, number)
    assert found.state == STATE_OPEN or found.state == STATE_ANSWERED, "usage_fees: nothing to answer"
    assert block.timestamp <= found.deadline, "usage_fees: answer is too late"
    assert sha256(abi_encode(line)) == found.line_digest, "usage_fees: line is not the challenged one"
    right: uint256 = staticcall TARIFFS.right_charge(period, unit_index, line, origin_id, head, before, during)
    charge: uint256 = min(right, found.amount)
    if found.state == STATE_ANSWERED:
        assert charge < found.charge, "usage_fees: answer does not lower the charge"
    log Answered(period=period, unit_index=unit_index, line=number, charge=charge, by=msg.sender)
    self._settle(period, unit_index, number, found, STATE_ANSWERED, charge)


@external
def correct_sum(
    period: uint256,
    unit_index: uint256,
    bill: bill_tree.Bill,
    path: DynArray[bill_tree.Node, 32],
    lines: DynArray[Line, LINES_MAX],
):
    """
    @notice A bill that asks for more than its lines add up to falls to their sum at once. Anyone may show it.
    """
    self._check_bill(period, unit_index, bill, path)
    self._check_lines(bill, lines)
    sum: uint256 = 0
    for line: Line in lines:
        sum += line.amount
    total: uint256 = bill.amounts >> 192
    assert sum < total, "usage_fees: bill asks for no more than its lines"
    # Beside the places of the lines there is one for their sum.
    assert self.challenges[period][unit_index][LINES_MAX].lanes == 0, "usage_fees: sum was corrected"
    self._store_challenge(period, unit_index, LINES_MAX, STATE_ANSWERED, total, sum, block.timestamp)
    log Answered(period=period, unit_index=unit_index, line=LINES_MAX, charge=sum, by=msg.sender)
    self._reduce(period, unit_index, total - sum)


@external
def reverse(period: uint256, unit_index: uint256, number: uint256):
    """
    @notice A challenge that nobody answered in time reverses the line. Anyone may trigger it.
    """
    found: Challenge = self._challenge(period, unit_index, number)
    assert found.state == STATE_OPEN, "usage_fees: no challenge is open"
    assert block.timestamp > found.deadline, "usage_fees: there is still time to answer"
    log Reversed(period=period, unit_index=unit_index, line=number)
    self._settle(period, unit_index, number, found, STATE_REVERSED, 0)


# --- Views ---


@external
@view
def period(period: uint256) -> Period:
    """
    @notice A closed period; zeros while it is not.
    """
    return self._period(period)


@external
@view
def account(unit_index: uint256) -> (uint256, uint256, uint256):
    """
    @notice A unit's balance, the cap of its mandate, and the last nonce it used.
    """
    word: uint256 = self.accounts[unit_index]
    return word >> 128, (word >> 64) & LANE, word & LANE


@external
@view
def challenge(period: uint256, unit_index: uint256, number: uint256) -> Challenge:
    """
    @notice State of a line's challenge: 0 none, 1 open, 2 answered, 3 reversed.
    """
    return self._challenge(period, unit_index, number)


@external
@view
def status(period: uint256, unit_index: uint256) -> (bool, bool, uint256):
    """
    @notice Whether a bill is paid, whether it is under challenge, and by how much it was reduced.
    """
    marks: uint256 = self.marks[period][unit_index // 64] >> (unit_index % 64)
    return marks & 1 == 1, (marks >> 64) & 1 == 1, self.reductions[period][unit_index]


@external
@view
def funds() -> (uint256, uint256, uint256, uint256):
    """
    @notice Bond, deposits of open challenges, their number, and the end of the last challenge window.
    """
    count: uint256 = (self.purse >> 128) & LANE
    return self._bond(), count * DEPOSIT, count, self.purse >> 192


@external
@view
def tariffs() -> address:
    """
    @notice Where tariffs are announced and challenged lines recomputed.
    """
    return TARIFFS.address


@external
@view
def terms() -> (uint256, uint256, uint256, uint256):
    """
    @notice Challenge window and answer window (seconds), bond floor and deposit (fen).
    """
    return CHALLENGE_WINDOW, ANSWER_WINDOW, BOND_FLOOR, DEPOSIT


# --- Internal: settling ---


@internal
def _settle(
    period: uint256, unit_index: uint256, number: uint256, found: Challenge, state: uint256, charge: uint256
):
    """
    @notice Write the line's charge down and move deposit and compensation.
    """
    self._store_challenge(period, unit_index, number, state, found.amount, charge, found.deadline)
    if found.state == STATE_OPEN:
        self.purse -= 1 << 128
        open_lines: uint256 = self.open_lines[period][unit_index] - 1
        self.open_lines[period][unit_index] = open_lines
        if open_lines == 0:
            self.marks[period][unit_index // 64] &= ~(convert(1, uint256) << (64 + unit_index % 64))
        if charge == found.amount:
            self.collected += DEPOSIT
            return
        self._add_balance(unit_index, DEPOSIT)
        log Credited(unit_index=unit_index, amount=DEPOSIT, reason=REASON_DEPOSIT)
        self._credit_from_bond(unit_index, DEPOSIT, REASON_COMPENSATION)
    elif found.charge == found.amount:
        # The first answer had kept the deposit; this one shows that the challenge was right.
        self._credit_from_bond(unit_index, 2 * DEPOSIT, REASON_COMPENSATION)
    self._reduce(period, unit_index, found.charge - charge)


@internal
def _reduce(period: uint256, unit_index: uint256, amount: uint256):
    """
    @notice Take so much off a bill; what was paid already comes back from the bond.
    """
    self.reductions[period][unit_index] += amount
    marks: uint256 = self.marks[period][unit_index // 64]
    self.marks[period][unit_index // 64] = marks | (1 << (128 + unit_index % 64))
    if (marks >> (unit_index % 64)) & 1 == 1:
        self._credit_from_bond(unit_index, amount, REASON_ALREADY_PAID)


@internal
def _credit_from_bond(unit_index: uint256, amount: uint256, reason: uint256):
    bond: uint256 = self._bond()
    credited: uint256 = min(amount, bond)
    self._set_bond(bond - credited)
    self._add_balance(unit_index, credited)
    log Credited(unit_index=unit_index, amount=credited, reason=reason)


@internal
def _store_challenge(
    period: uint256,
    unit_index: uint256,
    number: uint256,
    state: uint256,
    amount: uint256,
    charge: uint256,
    deadline: uint256,
):
    lanes: uint256 = state | (amount << 64) | (charge << 128) | (deadline << 192)
    self.challenges[period][unit_index][number].lanes = lanes


# --- Internal: reading and checking ---


@internal
@view
def _challenge(period: uint256, unit_index: uint256, number: uint256) -> Challenge:
    stored: StoredChallenge = self.challenges[period][unit_index][number]
    return Challenge(
        state=stored.lanes & LANE,
        amount=(stored.lanes >> 64) & LANE,
        charge=(stored.lanes >> 128) & LANE,
        deadline=stored.lanes >> 192,
        line_digest=stored.line_digest,
    )


@internal
@view
def _period(period: uint256) -> Period:
    stored: StoredPeriod = self.periods[period]
    return Period(
        root=stored.root,
        sums=stored.sums,
        unit_count=stored.lanes & LANE,
        closed_at=(stored.lanes >> 64) & LANE,
        window_end=stored.lanes >> 128,
    )


@internal
@view
def _closed(period: uint256) -> Period:
    closed: Period = self._period(period)
    assert closed.unit_count != 0, "usage_fees: period is not closed"
    return closed


@internal
@view
def _check_bill(
    period: uint256, unit_index: uint256, bill: bill_tree.Bill, path: DynArray[bill_tree.Node, 32]
) -> Period:
    closed: Period = self._closed(period)
    leaf: bill_tree.Node = bill_tree.Node(
        hash=bill_tree._leaf_hash(SITE, period, unit_index, bill), sums=bill.amounts
    )
    top: bill_tree.Node = bill_tree._climb(leaf, unit_index, closed.unit_count, path)
    assert top.hash == closed.root and top.sums == closed.sums, "usage_fees: bill is not in the period's tree"
    return closed


@internal
@pure
def _check_lines(bill: bill_tree.Bill, lines: DynArray[Line, LINES_MAX]):
    """
    @notice The digest is SHA-256 over the lines' words, without the offset and length that the ABI puts before them.
    """
    encoded: Bytes[LINES_MAX * 224 + 64] = abi_encode(lines)
    digest: bytes32 = sha256(slice(encoded, 64, len(lines) * 224))
    assert digest == bill.lines_digest, "usage_fees: lines are not the bill's"


@internal
@view
def _key(signature: person.PersonSignature) -> person.PersonKey:
    assert block.timestamp <= signature.deadline, "usage_fees: signature's deadline has passed"
    key: person.PersonKey = staticcall ROLL.person_key(signature.key_id)
    assert key.unit != empty(bytes32), "usage_fees: key is not in force"
    return key


@internal
@view
def _check_signed(key: person.PersonKey, purpose: bytes32, body: bytes32, signature: person.PersonSignature):
    digest: bytes32 = person._digest(purpose, body, signature)
    assert person._is_signed_by(key, digest, signature), "usage_fees: owner's signature does not match"


@internal
def _take_nonce(unit_index: uint256, nonce: uint256):
    """
    @notice A unit's nonces rise, so that no signed act happens twice.
    """
    account: uint256 = self.accounts[unit_index]
    assert nonce > account & LANE and nonce <= LANE, "usage_fees: signature was used"
    self.accounts[unit_index] = ((account >> 64) << 64) | nonce


@internal
def _add_balance(unit_index: uint256, amount: uint256):
    assert amount < 2**120, "usage_fees: amount out of range"
    self.accounts[unit_index] += amount << 128


@internal
@view
def _bond() -> uint256:
    return self.purse & BOND_MASK


@internal
def _set_bond(bond: uint256):
    assert bond <= BOND_MASK, "usage_fees: amount out of range"
    self.purse = ((self.purse >> 96) << 96) | bond
    log BondChanged(bond=bond)


@internal
@view
def _only_operator():
    assert staticcall REGISTRY.has_role(ROLE_OPERATOR, msg.sender), "usage_fees: only the operator may do this"


@internal
def _take(amount: uint256):
    self._check_moved(extcall TOKEN.transferFrom(msg.sender, self, amount, default_return_value=True))


@internal
def _give(to: address, amount: uint256):
    self._check_moved(extcall TOKEN.transfer(to, amount, default_return_value=True))


@internal
@pure
def _check_moved(moved: bool):
    assert moved, "usage_fees: token refused the transfer"
