# pragma version 0.4.3
# pragma nonreentrancy on
# pragma optimize codesize
"""
@title UsageFees
@license Apache-2.0
@notice The money of one site's bills: each period's bill tree, prepaid balances, mandates, payment, credit notes and the
        bond that answers for wrong bills. Which line is wrong, Challenges.vy finds; it can only ever lower a bill.

        Invariants
        - Tokens held = prepaid balances + deposits of open challenges + bond + collected fees.
        - A unit's balance falls only by its own signed withdrawal, move, moving-out or deposit, or by a bill within the
          mandate that its key signed, after the challenge window, once per bill. The operator moves only what is
          collected, and the bond while no window or challenge is open.
        - A period closes over all units of the roll, after its last day, begins where the last one ended, and never
          crosses 1 January. Another root for it is a visible correction with its own document and a new window, and
          only while nobody has paid or challenged a bill of it.
        - A bill is paid once: by debit, by anyone's tokens, or by a cashier's signed receipt that anyone presents.
        - Challenges.vy takes off a bill at most what it asks for, and gives back from the bond only what was paid. What the
          bond cannot pay stays owed, and until it is paid the operator takes out neither bond nor fees.
        - Nothing is paid into an account that somebody who moves out will be given.
        - A bill that waits for a silent gateway is not debited; whoever wants to pay it still can.
        - There is no way to cut a service off (Civil Code, article 944).
        - The events alone rebuild the state.
"""

from ethereum.ercs import IERC20

import bill_tree
import calendar
import marks
import p256
import person

initializes: marks
initializes: p256
initializes: person[p256 := p256]


interface Registry:
    def has_role(role: bytes32, account: address) -> bool: view
    def site() -> bytes32: view
    def contract_named(name: bytes32) -> address: view


interface Roll:
    def unit_count() -> uint256: view
    def total_area() -> uint256: view
    def person_key(key_id: bytes32) -> person.PersonKey: view


interface Crews:
    def key_on_duty(key_id: bytes32, duty: uint256) -> person.PersonKey: view


interface Tariffs:
    def utc_offset_seconds() -> int256: view


NAME_ROLL: constant(bytes32) = 0x726f6c6c00000000000000000000000000000000000000000000000000000000
NAME_CREWS: constant(bytes32) = 0x6372657773000000000000000000000000000000000000000000000000000000
NAME_TARIFFS: constant(bytes32) = 0x7461726966667300000000000000000000000000000000000000000000000000
NAME_CHALLENGES: constant(bytes32) = 0x6368616c6c656e67657300000000000000000000000000000000000000000000
NAME_TOKEN: constant(bytes32) = 0x746f6b656e000000000000000000000000000000000000000000000000000000
DAY: constant(uint256) = 86400
DEVELOPMENT_CHAIN: constant(uint256) = 31337
LANE: constant(uint256) = 2**64 - 1
BOND_MASK: constant(uint256) = 2**96 - 1
TIME_MASK: constant(uint256) = 2**48 - 1
TOUCHED: constant(uint256) = 2**255
DUTY_CASHIER: constant(uint256) = 16
# Nonces are milliseconds since 1970; clocks may differ, but not by more.
NONCE_AHEAD: constant(uint256) = 366 * DAY

ROLE_OPERATOR: constant(bytes32) = 0x6f70657261746f72000000000000000000000000000000000000000000000000
PURPOSE_WITHDRAW: constant(bytes32) = 0x666565732e776974686472617700000000000000000000000000000000000000
PURPOSE_MOVE: constant(bytes32) = 0x666565732e6d6f76650000000000000000000000000000000000000000000000
PURPOSE_MANDATE: constant(bytes32) = 0x666565732e6d616e646174650000000000000000000000000000000000000000
PURPOSE_LEAVE: constant(bytes32) = 0x666565732e6c6561766500000000000000000000000000000000000000000000
PURPOSE_RECEIPT: constant(bytes32) = 0x666565732e726563656970740000000000000000000000000000000000000000

VERDICT_KEPT: constant(uint256) = 1
VERDICT_WON: constant(uint256) = 2
VERDICT_OVERTURNED: constant(uint256) = 3
VERDICT_LOWERED: constant(uint256) = 4

REASON_DEPOSIT: constant(uint256) = 1
REASON_COMPENSATION: constant(uint256) = 2
REASON_ALREADY_PAID: constant(uint256) = 3
REASON_NOTE: constant(uint256) = 4
REASON_MISSING_NOTE: constant(uint256) = 5
REASON_OWED: constant(uint256) = 6

REGISTRY: immutable(Registry)
ROLL: immutable(Roll)
CREWS: immutable(Crews)
TARIFFS: immutable(address)
CHALLENGES: immutable(address)
TOKEN: immutable(IERC20)
SITE: immutable(bytes32)
UTC_OFFSET: immutable(int256)
CHALLENGE_WINDOW: immutable(uint256)
ANSWER_WINDOW: immutable(uint256)
BOND_FLOOR: immutable(uint256)
DEPOSIT: immutable(uint256)


struct Period:
    root: bytes32
    sums: uint256
    unit_count: uint256
    closed_at: uint256
    window_end: uint256
    total_area: uint256
    corrections: uint256


struct StoredPeriod:
    root: bytes32
    sums: uint256
    # From the right: unit count 32, closed at 48, window end 48, total area 64, corrections 16; top bit: a bill of it
    # was paid or challenged.
    lanes: uint256


struct Leaving:
    date: uint256  # boundary date of the final reading
    reading: bytes32  # leaf hash of the final boundary entry
    to: address


periods: HashMap[uint256, StoredPeriod]
reductions: HashMap[uint256, HashMap[uint256, uint256]]
# Lanes from the right: nonce 64, cap 64, balance 128.
accounts: HashMap[uint256, uint256]
leaving: HashMap[uint256, Leaving]
# Credit notes by digest: unit index + 1 << 64 | amount.
notes: HashMap[bytes32, uint256]
# Lanes from the right: bond 96, last closing date 32, open challenges 64, end of the last window 64.
purse: uint256
collected: public(uint256)
# What the bond could not pay yet, by unit.
owed: public(HashMap[uint256, uint256])
owed_to_all: uint256


event BondChanged:
    bond: uint256


event PeriodClosed:
    period: indexed(uint256)
    root: bytes32
    sums: uint256
    unit_count: uint256
    window_end: uint256
    total_area: uint256


event PeriodSuperseded:
    period: indexed(uint256)
    old_root: bytes32
    root: bytes32
    sums: uint256
    window_end: uint256
    document: bytes32


event ToppedUp:
    unit_index: indexed(uint256)
    amount: uint256
    payer: address


event Withdrawn:
    unit_index: indexed(uint256)
    amount: uint256
    to: address
    key_id: bytes32


event Moved:
    unit_index: indexed(uint256)
    to_index: indexed(uint256)
    amount: uint256
    key_id: bytes32


event MandateSet:
    unit_index: indexed(uint256)
    cap: uint256
    key_id: bytes32


event LeavingAnnounced:
    unit_index: indexed(uint256)
    date: uint256
    reading: bytes32
    to: address
    key_id: bytes32


event AccountClosed:
    unit_index: indexed(uint256)
    period: indexed(uint256)
    amount: uint256
    to: address


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


event ReceiptPresented:
    period: indexed(uint256)
    unit_index: indexed(uint256)
    amount: uint256
    receipt: bytes32
    key_id: bytes32


event ChallengeHeld:
    period: indexed(uint256)
    unit_index: indexed(uint256)


event ChallengeSettled:
    period: indexed(uint256)
    unit_index: indexed(uint256)
    verdict: uint256
    reduction: uint256
    is_last: bool


event SilenceSet:
    period: indexed(uint256)
    unit_index: indexed(uint256)
    silent: bool


event CreditNoted:
    unit_index: indexed(uint256)
    note: indexed(bytes32)
    amount: uint256


event Credited:
    unit_index: indexed(uint256)
    amount: uint256
    reason: uint256


event Owed:
    unit_index: indexed(uint256)
    amount: uint256


event Collected:
    amount: uint256
    to: address


@deploy
def __init__(
    registry: address,
    challenge_window: uint256,
    answer_window: uint256,
    bond_floor: uint256,
    deposit: uint256,
    verifier: address,
):
    """
    @notice Fees of the registry's site; the other contracts are those of its directory. The smallest unit of the
            directory's token is the fen.
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
    assert challenge_window < 2**32 and answer_window < 2**32, "usage_fees: window is out of range"
    REGISTRY = Registry(registry)
    ROLL = Roll(staticcall Registry(registry).contract_named(NAME_ROLL))
    CREWS = Crews(staticcall Registry(registry).contract_named(NAME_CREWS))
    TARIFFS = staticcall Registry(registry).contract_named(NAME_TARIFFS)
    CHALLENGES = staticcall Registry(registry).contract_named(NAME_CHALLENGES)
    TOKEN = IERC20(staticcall Registry(registry).contract_named(NAME_TOKEN))
    SITE = staticcall Registry(registry).site()
    UTC_OFFSET = staticcall Tariffs(TARIFFS).utc_offset_seconds()
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
    self._check_owes_nothing()
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
    total_area: uint256 = staticcall ROLL.total_area()
    window_end: uint256 = block.timestamp + CHALLENGE_WINDOW
    lanes: uint256 = unit_count | (block.timestamp << 32) | (window_end << 80) | (total_area << 128)
    self.periods[period] = StoredPeriod(root=root, sums=sums, lanes=lanes)
    self.purse = (purse & BOND_MASK) | (closing << 96) | (purse & (LANE << 128)) | (window_end << 192)
    log PeriodClosed(
        period=period, root=root, sums=sums, unit_count=unit_count, window_end=window_end, total_area=total_area
    )


@external
def supersede(period: uint256, root: bytes32, sums: uint256, document: bytes32):
    """
    @notice The operator corrects a whole period in public, with a new window. Once a bill of it is paid or challenged,
            what is wrong is corrected bill by bill, by challenges and credit notes.
    @param document SHA-256 of the notice that says what was corrected and why.
    """
    self._only_operator()
    stored: StoredPeriod = self.periods[period]
    closed: Period = self._closed(period)
    assert stored.lanes & TOUCHED == 0, "usage_fees: a bill of the period is paid or challenged"
    assert block.timestamp <= closed.window_end, "usage_fees: window is over"
    assert root != closed.root and document != empty(bytes32), "usage_fees: a correction has another root and a document"
    assert closed.corrections < 16, "usage_fees: period was corrected too often"
    window_end: uint256 = block.timestamp + CHALLENGE_WINDOW
    lanes: uint256 = (stored.lanes & ~(TIME_MASK << 80)) | (window_end << 80)
    self.periods[period] = StoredPeriod(root=root, sums=sums, lanes=lanes + (1 << 192))
    self.purse = (self.purse & (2**192 - 1)) | (max(window_end, self.purse >> 192) << 192)
    log PeriodSuperseded(
        period=period, old_root=closed.root, root=root, sums=sums, window_end=window_end, document=document
    )


# --- Accounts ---


@external
def top_up(unit_index: uint256, amount: uint256):
    """
    @notice Add to a unit's prepaid balance. Anyone may.
    """
    self._check_open(unit_index)
    self._add_balance(unit_index, amount)
    log ToppedUp(unit_index=unit_index, amount=amount, payer=msg.sender)
    self._take(amount)


@external
def withdraw(amount: uint256, to: address, signature: person.PersonSignature):
    """
    @notice The owner takes from the unit's balance. Anyone may relay it.
    """
    unit_index: uint256 = self._signed(PURPOSE_WITHDRAW, abi_encode(amount, to), signature)
    self._take_balance(unit_index, amount)
    log Withdrawn(unit_index=unit_index, amount=amount, to=to, key_id=signature.key_id)
    self._give(to, amount)


@external
def set_mandate(cap: uint256, signature: person.PersonSignature):
    """
    @notice The owner allows debits of bills up to the cap; zero stops them. Anyone may relay it.
    """
    unit_index: uint256 = self._signed(PURPOSE_MANDATE, abi_encode(cap), signature)
    assert cap <= LANE, "usage_fees: cap is out of range"
    account: uint256 = self.accounts[unit_index]
    self.accounts[unit_index] = ((account >> 128) << 128) | (cap << 64) | (account & LANE)
    log MandateSet(unit_index=unit_index, cap=cap, key_id=signature.key_id)


@external
def move(to_index: uint256, amount: uint256, signature: person.PersonSignature):
    """
    @notice The owner moves from the unit's balance to another unit's. Anyone may relay it.
    """
    unit_index: uint256 = self._signed(PURPOSE_MOVE, abi_encode(to_index, amount), signature)
    self._check_open(to_index)
    self._take_balance(unit_index, amount)
    self._add_balance(to_index, amount)
    log Moved(unit_index=unit_index, to_index=to_index, amount=amount, key_id=signature.key_id)


@external
def leave(date: uint256, reading: bytes32, to: address, signature: person.PersonSignature):
    """
    @notice The owner moves out: after the bill that reaches the final reading's day is paid, the rest of the balance
            goes to the address. A later announcement replaces it; date zero takes it back.
    @param date Boundary date of the final reading.
    @param reading Leaf hash of the final boundary entry that owner and operator agreed on.
    """
    unit_index: uint256 = self._signed(PURPOSE_LEAVE, abi_encode(date, reading, to), signature)
    if date != 0:
        assert calendar._days(date) != 0 and to != empty(address), "usage_fees: nobody to pay the balance to"
    self.leaving[unit_index] = Leaving(date=date, reading=reading, to=to)
    log LeavingAnnounced(unit_index=unit_index, date=date, reading=reading, to=to, key_id=signature.key_id)


@external
def close_account(unit_index: uint256, period: uint256):
    """
    @notice Pay out the balance of who moved out, once the last bill is paid; the mandate ends. Anyone may trigger it.
    @param period The closed period whose last day is the final reading's, or that holds it.
    """
    found: Leaving = self.leaving[unit_index]
    assert found.date != 0, "usage_fees: nobody moves out"
    self._closed(period)
    holds: bool = period // 10**8 < found.date and found.date <= period % 10**8
    assert holds, "usage_fees: period does not hold the final reading"
    paid: bool = marks._has(period, unit_index, marks.PAID)
    assert paid, "usage_fees: last bill is not paid"
    account: uint256 = self.accounts[unit_index]
    self.accounts[unit_index] = account & LANE
    self.leaving[unit_index] = empty(Leaving)
    log AccountClosed(unit_index=unit_index, period=period, amount=account >> 128, to=found.to)
    self._give(found.to, account >> 128)


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
            Bills that are paid, under challenge, above the mandate or above the balance, or that wait for a silent gateway, are
            left for later.
    @param bills All bills of the block, so that one path proves them.
    @param path Siblings of the block's top, from below.
    """
    closed: Period = self._closed(period)
    assert block.timestamp > closed.window_end, "usage_fees: window is open"
    assert first_index % 64 == 0 and first_index < closed.unit_count, "usage_fees: block is not aligned"
    assert len(bills) == min(closed.unit_count - first_index, 64), "usage_fees: block is incomplete"
    blocks: uint256 = (closed.unit_count + 63) // 64
    top: bill_tree.Node = bill_tree._block_top(self, SITE, period, first_index, bills)
    top = bill_tree._climb(top, first_index // 64, blocks, path)
    assert top.hash == closed.root and top.sums == closed.sums, "usage_fees: bills are not in the period's tree"
    word: uint256 = marks.words[period][first_index // 64]
    amounts: DynArray[uint256, 64] = []
    sum: uint256 = 0
    index: uint256 = first_index
    bit: uint256 = 1
    waiting: uint256 = marks._waiting(word)
    for bill: bill_tree.Bill in bills:
        taken: uint256 = 0
        if waiting & bit == 0:
            due: uint256 = bill.amounts >> 192
            if (word >> marks.LOWERED) & bit != 0:
                due -= min(due, self.reductions[period][index])
            account: uint256 = self.accounts[index]
            if due <= (account >> 64) & LANE and due <= account >> 128:
                self.accounts[index] = unsafe_sub(account, due << 128)
                word = word | bit
                taken = due
                sum += due
        amounts.append(taken)
        index = unsafe_add(index, 1)
        bit = bit << 1
    marks.words[period][first_index // 64] = word
    self.collected += sum
    log Debited(period=period, first_index=first_index, paid_bits=word & LANE, amounts=amounts)


@external
def pay(period: uint256, unit_index: uint256, bill: bill_tree.Bill, path: DynArray[bill_tree.Node, 32]):
    """
    @notice Pay a bill as it stands. Anyone may, at any time.
    """
    due: uint256 = self._mark_paid(period, unit_index, bill, path)
    self.collected += due
    log Paid(period=period, unit_index=unit_index, amount=due, payer=msg.sender)
    self._take(due)


@external
def present_receipt(
    period: uint256,
    unit_index: uint256,
    bill: bill_tree.Bill,
    path: DynArray[bill_tree.Node, 32],
    amount: uint256,
    receipt: bytes32,
    signature: person.PersonSignature,
):
    """
    @notice A cashier's signed receipt for a bill that was paid off chain; anyone, first of all the owner, presents it.
            What was paid above what the bill stands at now, up to the bill as it was posted, comes back from the bond.
    @param receipt SHA-256 of the receipt.
    @param signature The cashier's, over period, unit index, amount and receipt.
    """
    assert block.timestamp <= signature.deadline, "usage_fees: signature's deadline has passed"
    self._check_cashier(signature, sha256(abi_encode(period, unit_index, amount, receipt)))
    due: uint256 = self._mark_paid(period, unit_index, bill, path)
    assert amount >= due, "usage_fees: receipt is for less than the bill"
    log ReceiptPresented(
        period=period, unit_index=unit_index, amount=amount, receipt=receipt, key_id=signature.key_id
    )
    # What was paid beyond the bill as it was posted is between the payer and the cashier.
    paid: uint256 = min(amount, bill.amounts >> 192)
    if paid > due:
        self._credit_from_bond(unit_index, paid - due, REASON_ALREADY_PAID)


@external
def claim(unit_index: uint256):
    """
    @notice Pay from the bond what it could not pay when a unit won it. Anyone may trigger it.
    """
    owed: uint256 = self.owed[unit_index]
    assert owed != 0, "usage_fees: nothing is owed to the unit"
    self.owed[unit_index] = 0
    self.owed_to_all -= owed
    self._credit_from_bond(unit_index, owed, REASON_OWED)


@external
def credit(unit_index: uint256, amount: uint256, note: bytes32):
    """
    @notice The operator gives a credit note: from what is collected to the unit's balance, at once.
    @param note SHA-256 of the note; the bill's credit line names it.
    """
    self._only_operator()
    self._check_unit(unit_index)
    assert amount != 0 and amount <= self.collected, "usage_fees: less was collected"
    assert self.notes[note] == 0, "usage_fees: credit note was given"
    self.notes[note] = ((unit_index + 1) << 64) | amount
    self.collected -= amount
    self._add_balance(unit_index, amount)
    log CreditNoted(unit_index=unit_index, note=note, amount=amount)
    log Credited(unit_index=unit_index, amount=amount, reason=REASON_NOTE)


@external
def collect(amount: uint256, to: address):
    """
    @notice The operator takes what was paid.
    """
    self._only_operator()
    self._check_owes_nothing()
    assert amount <= self.collected, "usage_fees: less was collected"
    self.collected -= amount
    log Collected(amount=amount, to=to)
    self._give(to, amount)


# --- What Challenges.vy may do ---


@external
def hold(period: uint256, unit_index: uint256):
    """
    @notice A challenge begins: the deposit leaves the balance, and the bill waits.
    """
    self._only_challenges()
    account: uint256 = self.accounts[unit_index]
    assert account >> 128 >= DEPOSIT, "usage_fees: balance does not cover the deposit"
    self.accounts[unit_index] = account - (DEPOSIT << 128)
    marks._set(period, unit_index, marks.HELD, True)
    # Until the time to answer is over, another answer may still win the bond.
    purse: uint256 = self.purse + (1 << 128)
    self.purse = (purse & (2**192 - 1)) | (max(purse >> 192, block.timestamp + ANSWER_WINDOW) << 192)
    self._touch(period)
    log ChallengeHeld(period=period, unit_index=unit_index)


@external
def settle(period: uint256, unit_index: uint256, verdict: uint256, total: uint256, reduction: uint256, is_last: bool):
    """
    @notice A line was decided.
    @param verdict 1 the bill was right, its deposit is collected; 2 it was wrong: the deposit returns, the bond pays
            as much again; 3 a first answer had kept the deposit wrongly: the bond pays both; 4 no deposit moves.
    @param total What the bill asks for: more than that cannot be taken off.
    @param is_last Whether no other challenge of the bill is open, so that it can be paid again.
    """
    self._only_challenges()
    if verdict == VERDICT_KEPT or verdict == VERDICT_WON:
        self.purse -= 1 << 128
        if is_last:
            marks._set(period, unit_index, marks.HELD, False)
    log ChallengeSettled(
        period=period, unit_index=unit_index, verdict=verdict, reduction=reduction, is_last=is_last
    )
    if verdict == VERDICT_KEPT:
        self.collected += DEPOSIT
    elif verdict == VERDICT_WON:
        self._add_balance(unit_index, DEPOSIT)
        log Credited(unit_index=unit_index, amount=DEPOSIT, reason=REASON_DEPOSIT)
        self._credit_from_bond(unit_index, DEPOSIT, REASON_COMPENSATION)
    elif verdict == VERDICT_OVERTURNED:
        self._credit_from_bond(unit_index, 2 * DEPOSIT, REASON_COMPENSATION)
    if reduction != 0:
        self._reduce(period, unit_index, total, reduction)


@external
def set_silent(period: uint256, unit_index: uint256, silent: bool):
    """
    @notice A gateway that the bill rests on fell silent, or caught up: meanwhile nothing is debited. Whoever wants to pay still can.
    """
    self._only_challenges()
    marks._set(period, unit_index, marks.SILENT, silent)
    log SilenceSet(period=period, unit_index=unit_index, silent=silent)


@external
def credit_missing(unit_index: uint256, amount: uint256):
    """
    @notice A bill names a credit note that was never given: the bond gives it.
    """
    self._only_challenges()
    self._credit_from_bond(unit_index, amount, REASON_MISSING_NOTE)


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
def status(period: uint256, unit_index: uint256) -> (bool, bool, uint256):
    """
    @notice Whether a bill is paid, whether it is under challenge, and by how much it was reduced.
    """
    is_paid: bool = marks._has(period, unit_index, marks.PAID)
    return is_paid, marks._has(period, unit_index, marks.HELD), self.reductions[period][unit_index]


@external
@view
def note(digest: bytes32) -> (uint256, uint256):
    """
    @notice Unit index + 1 and amount of a credit note; zeros where none was given.
    """
    word: uint256 = self.notes[digest]
    return word >> 64, word & LANE


@external
@view
def moving_out(unit_index: uint256) -> Leaving:
    """
    @notice The final reading that a unit's account waits for; zeros where nobody moves out.
    """
    return self.leaving[unit_index]


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
    @notice Where tariffs are announced.
    """
    return TARIFFS


@external
@view
def terms() -> (uint256, uint256, uint256, uint256):
    """
    @notice Challenge window and answer window (seconds), bond floor and deposit (fen).
    """
    return CHALLENGE_WINDOW, ANSWER_WINDOW, BOND_FLOOR, DEPOSIT


# --- Internal: money ---


@internal
def _mark_paid(
    period: uint256, unit_index: uint256, bill: bill_tree.Bill, path: DynArray[bill_tree.Node, 32]
) -> uint256:
    """
    @notice Set the bill's paid mark; returns what it stands at.
    """
    self._check_bill(period, unit_index, bill, path)
    assert not marks._has(period, unit_index, marks.PAID), "usage_fees: bill is already paid"
    assert not marks._has(period, unit_index, marks.HELD), "usage_fees: bill is challenged"
    total: uint256 = bill.amounts >> 192
    marks._set(period, unit_index, marks.PAID, True)
    self._touch(period)
    return total - min(total, self.reductions[period][unit_index])


@internal
def _touch(period: uint256):
    if self.periods[period].lanes & TOUCHED == 0:
        self.periods[period].lanes |= TOUCHED


@internal
def _reduce(period: uint256, unit_index: uint256, total: uint256, amount: uint256):
    """
    @notice Take so much off a bill, never more than it asks for; what was paid already comes back from the bond.
    """
    old: uint256 = self.reductions[period][unit_index]
    new: uint256 = max(old, min(total, old + amount))
    self.reductions[period][unit_index] = new
    marks._set(period, unit_index, marks.LOWERED, True)
    self._touch(period)
    if marks._has(period, unit_index, marks.PAID) and new != old:
        self._credit_from_bond(unit_index, new - old, REASON_ALREADY_PAID)


@internal
def _credit_from_bond(unit_index: uint256, amount: uint256, reason: uint256):
    bond: uint256 = self._bond()
    credited: uint256 = min(amount, bond)
    self._set_bond(bond - credited)
    self._add_balance(unit_index, credited)
    log Credited(unit_index=unit_index, amount=credited, reason=reason)
    if credited != amount:
        self.owed[unit_index] += amount - credited
        self.owed_to_all += amount - credited
        log Owed(unit_index=unit_index, amount=amount - credited)


# --- Internal: reading and checking ---


@internal
@view
def _period(period: uint256) -> Period:
    stored: StoredPeriod = self.periods[period]
    return Period(
        root=stored.root,
        sums=stored.sums,
        unit_count=stored.lanes & (2**32 - 1),
        closed_at=(stored.lanes >> 32) & TIME_MASK,
        window_end=(stored.lanes >> 80) & TIME_MASK,
        total_area=(stored.lanes >> 128) & LANE,
        corrections=(stored.lanes >> 192) & (2**16 - 1),
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
        hash=bill_tree._leaf_hash(self, SITE, period, unit_index, bill), sums=bill.amounts
    )
    top: bill_tree.Node = bill_tree._climb(leaf, unit_index, closed.unit_count, path)
    assert top.hash == closed.root and top.sums == closed.sums, "usage_fees: bill is not in the period's tree"
    return closed


@internal
def _signed(purpose: bytes32, act: Bytes[96], signature: person.PersonSignature) -> uint256:
    """
    @notice The unit whose key signed the act: its index and these words. A unit's nonces rise, so that nothing signed
            happens twice.
    """
    assert block.timestamp <= signature.deadline, "usage_fees: signature's deadline has passed"
    key: person.PersonKey = staticcall ROLL.person_key(signature.key_id)
    assert key.unit != empty(bytes32), "usage_fees: key is not in force"
    body: bytes32 = sha256(concat(convert(key.index, bytes32), act))
    digest: bytes32 = person._digest(purpose, body, signature)
    assert person._is_signed_by(key, digest, signature), "usage_fees: owner's signature does not match"
    account: uint256 = self.accounts[key.index]
    assert signature.nonce > account & LANE, "usage_fees: signature was used"
    # A nonce beyond all others would freeze the account for whoever has the unit next.
    assert signature.nonce <= (block.timestamp + NONCE_AHEAD) * 1000, "usage_fees: nonce is too far ahead"
    self.accounts[key.index] = ((account >> 64) << 64) | signature.nonce
    return key.index


@internal
@view
def _check_cashier(signature: person.PersonSignature, body: bytes32):
    key: person.PersonKey = staticcall CREWS.key_on_duty(signature.key_id, DUTY_CASHIER)
    assert key.unit != empty(bytes32), "usage_fees: receipt is no cashier's"
    digest: bytes32 = person._digest(PURPOSE_RECEIPT, body, signature)
    assert person._is_signed_by(key, digest, signature), "usage_fees: cashier's signature does not match"


@internal
def _add_balance(unit_index: uint256, amount: uint256):
    assert amount < 2**120, "usage_fees: amount out of range"
    self.accounts[unit_index] += amount << 128


@internal
def _take_balance(unit_index: uint256, amount: uint256):
    account: uint256 = self.accounts[unit_index]
    assert amount <= account >> 128, "usage_fees: balance is smaller"
    self.accounts[unit_index] = account - (amount << 128)


@internal
@view
def _check_unit(unit_index: uint256):
    assert unit_index < staticcall ROLL.unit_count(), "usage_fees: unit is not on the roll"


@internal
@view
def _check_open(unit_index: uint256):
    """
    @notice While somebody moves out, nothing is paid in that would go with them: the next owner takes the announcement back.
    """
    self._check_unit(unit_index)
    assert self.leaving[unit_index].date == 0, "usage_fees: account is being closed"


@internal
@view
def _check_owes_nothing():
    assert self.owed_to_all == 0, "usage_fees: the bond owes more than it held"


@internal
@view
def _only_challenges():
    assert msg.sender == CHALLENGES, "usage_fees: only the contract of challenges may do this"


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
