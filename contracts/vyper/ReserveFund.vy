# pragma version 0.4.3
# pragma nonreentrancy on
# pragma optimize codesize
"""
@title ReserveFund
@license Apache-2.0
@notice The owners' maintenance fund and the income of their common parts. One purse for the whole site (number 0) and one
        for each building (its number + 1); in each, the fund, which belongs to the households, and the income that is
        not in the fund yet. A household's account is what was deposited for its unit, and its share by area of all
        that the purse was credited and spent: shares are telescoping, so nothing loops over units and no fen is lost.

        How money leaves. A passed resolution of the purse's owners opens a budget after the public delay: who is paid,
        how much at most, until when, by which document. Within it manager and committee together pay invoices, each
        with the digests of its documents; or, where the resolution says so, the payee is a contract that draws. In an
        emergency the two parties may spend without a resolution, under a cap; owners ratify it later.

        Invariants
        - Tokens held = sum of all purses' funds and incomes, plus what was sent here without a call.
        - A purse's fund = sum of its households' accounts, to the fen, also after the roll has grown.
        - A purse falls only within a budget that a resolution on the right matter opened for it, or by emergency
          spending of both parties; never by one of them alone. A decision is carried out once.
        - Unratified emergency spending never exceeds the cap; once its deadline is over it stops further such spending
          until owners ratify it or it is paid back.
        - More than half of net income goes to the fund; costs are the manager's word, under a cap, in public.
        - The events alone rebuild the state.

        Its limit: the Assembly and the Roll are fixed at deployment. A successor gets the money as any payee does.
"""

from ethereum.ercs import IERC20

import calendar
import tokens


interface Registry:
    def manager() -> address: view
    def committee() -> address: view
    def contract_named(name: bytes32) -> address: view


interface Roll:
    def unit(alias: bytes32) -> Unit: view
    def unit_at(index: uint256) -> bytes32: view
    def unit_count() -> uint256: view


interface Assembly:
    def outcome(number: uint256) -> Outcome: view


DAY: constant(uint256) = 86400
DEVELOPMENT_CHAIN: constant(uint256) = 31337
UNITS_MAX: constant(uint256) = 64
EPOCHS_MAX: constant(uint256) = 64
EMERGENCIES_MAX: constant(uint256) = 8
BASIS: constant(uint256) = 10000
LANE: constant(uint256) = 2**64 - 1
MONEY: constant(uint256) = 2**96 - 1

STATE_PASSED: constant(uint256) = 4
MATTER_USE: constant(uint256) = 5
MATTER_RAISE: constant(uint256) = 6
MATTER_BUSINESS: constant(uint256) = 8

POT_FUND: constant(uint256) = 0
POT_INCOME: constant(uint256) = 1

# First word of an execution payload, whose SHA-256 the Assembly keeps with the resolution.
ACTION_BUDGET: constant(bytes32) = 0x66756e642e627564676574000000000000000000000000000000000000000000
ACTION_RAISE: constant(bytes32) = 0x66756e642e726169736500000000000000000000000000000000000000000000
ACTION_MOVE: constant(bytes32) = 0x66756e642e6d6f76650000000000000000000000000000000000000000000000
ACTION_RATIFY: constant(bytes32) = 0x66756e642e726174696679000000000000000000000000000000000000000000

NAME_ROLL: constant(bytes32) = 0x726f6c6c00000000000000000000000000000000000000000000000000000000
NAME_ASSEMBLY: constant(bytes32) = 0x617373656d626c79000000000000000000000000000000000000000000000000
NAME_TOKEN: constant(bytes32) = 0x746f6b656e000000000000000000000000000000000000000000000000000000

DISCLOSE_FUND: constant(uint256) = 0
DISCLOSE_INCOME: constant(uint256) = 1
DISCLOSE_RECONCILIATION: constant(uint256) = 2

REGISTRY: immutable(Registry)
ROLL: immutable(Roll)
ASSEMBLY: immutable(Assembly)
TOKEN: immutable(IERC20)
TERMS: immutable(Terms)


struct Terms:
    public_delay: uint256  # seconds between a resolution's result and its execution
    share_bp: uint256  # ten-thousandths of net income that go to the fund, more than half
    cost_bp: uint256  # ten-thousandths of gross income that may be kept as cost
    review_above: uint256  # fen; payments from larger budgets need a price review
    emergency_cap: uint256  # fen that may stand unratified in one purse
    ratify_within: uint256  # seconds
    first_rates: uint256[2]  # fen per m2 first collected: for the site's purse, for a building's
    notice_below_bp: uint256  # ten-thousandths of the first amount below which owners must top up
    utc_offset_seconds: int256
    since: uint256  # boundary date on which the first disclosure periods begin
    months: uint256[3]  # length of a disclosure's period: fund, income, reconciliation
    grace_days: uint256[3]  # from its end until it is overdue


struct Unit:
    index: uint256
    area_centi_m2: uint256
    area_before: uint256
    category: uint256
    head: uint256
    building: uint256
    floor: int256
    exists: bool


struct Outcome:
    state: uint256  # 0 none, 1 notice, 2 open, 3 counting, 4 passed, 5 failed
    matter: uint256
    payload: bytes32
    decided_at: uint256
    building: uint256  # 0 whole site, else the building's number + 1: the purse's number


struct Budget:
    purse: uint256
    pot: uint256  # 0 fund, 1 income
    amount: uint256  # fen
    payee: address
    is_drawn: bool  # the payee is a contract that draws by itself
    until: uint256  # Unix seconds; no payment after it
    document: bytes32  # digest of what was decided: project, contract, offers


struct StoredBudget:
    money: uint256  # lanes from the right: amount 96, spent 96, purse 32
    rest: uint256  # lanes from the right: payee 160, until 64, pot 8, drawn 8, stopped 8


struct Order:
    budget: uint256  # the resolution's number; 0 for emergency spending
    purse: uint256
    amount: uint256
    payee: address
    invoice: bytes32  # digests of documents
    evidence: bytes32  # of the works; of the emergency
    review: bytes32  # price review, zero where none is needed
    until: uint256  # Unix seconds; cannot be approved later


struct Household:
    deposited: uint256
    credited: uint256
    spent: uint256


entered: public(uint256)  # units of the roll that have a place here
# Lanes from the right: area 64, area before 64, building's purse 32, area before in its building 64.
places: HashMap[uint256, uint256]
areas: public(HashMap[uint256, uint256])  # of a purse's units, 0.01 m2
# Lanes from the right: fund 128, income 128.
purses: HashMap[uint256, uint256]
# While the roll stood still, in one word. Lanes from the right: area 64, credited 96, spent 96.
epochs: HashMap[uint256, HashMap[uint256, uint256]]
epoch_count: public(HashMap[uint256, uint256])
deposits: HashMap[uint256, HashMap[uint256, uint256]]
accounted: public(uint256)  # sum of all purses
budgets: HashMap[uint256, StoredBudget]
# By payload, for the same words may have passed twice.
executed: public(HashMap[bytes32, bool])
orders: HashMap[uint256, bytes32]  # digest of the order and who proposed it
order_count: public(uint256)
# Lanes from the right: amount 96, purse 32, deadline 64. Zero once ratified or paid back.
emergencies: HashMap[uint256, uint256]
open_emergencies: HashMap[uint256, DynArray[uint256, EMERGENCIES_MAX]]
called_rates: public(HashMap[uint256, uint256])  # fen per m2 called in since the first amount
# For each kind, from the right: boundary date on which its next period begins 32, that it was flagged 1, empty 31.
disclosures: uint256
noticed_at: public(HashMap[uint256, uint256])


event Entered:
    index: indexed(uint256)
    building_purse: indexed(uint256)
    area_centi_m2: uint256


event Deposited:
    purse: indexed(uint256)
    payer: indexed(address)
    indexes: DynArray[uint256, UNITS_MAX]
    amounts: DynArray[uint256, UNITS_MAX]


event Credited:
    purse: indexed(uint256)
    amount: uint256
    document: bytes32
    payer: address


event IncomeRecorded:
    purse: indexed(uint256)
    source: indexed(bytes32)
    gross: uint256
    cost: uint256
    to_fund: uint256
    document: bytes32
    payer: address


event IncomeMoved:
    resolution: indexed(uint256)
    purse: indexed(uint256)
    amount: uint256
    document: bytes32


event BudgetOpened:
    resolution: indexed(uint256)
    purse: indexed(uint256)
    pot: uint256
    amount: uint256
    payee: address
    is_drawn: bool
    until: uint256
    document: bytes32


event BudgetStopped:
    resolution: indexed(uint256)


event OrderProposed:
    number: indexed(uint256)
    budget: indexed(uint256)
    purse: uint256
    amount: uint256
    payee: address
    invoice: bytes32
    evidence: bytes32
    review: bytes32
    until: uint256
    by: address


event Spent:
    number: indexed(uint256)
    budget: indexed(uint256)
    purse: uint256
    amount: uint256
    payee: address
    invoice: bytes32
    evidence: bytes32
    review: bytes32


event Drawn:
    budget: indexed(uint256)
    amount: uint256


event PutBack:
    budget: indexed(uint256)
    amount: uint256


event EmergencyRatified:
    number: indexed(uint256)
    resolution: indexed(uint256)


event EmergencyRepaid:
    number: indexed(uint256)
    payer: address


event Raised:
    resolution: indexed(uint256)
    purse: indexed(uint256)
    rate: uint256
    due_at: uint256
    document: bytes32


event TopUpDue:
    purse: indexed(uint256)
    fund: uint256
    first_amount: uint256


event Disclosed:
    kind: indexed(uint256)
    opening: uint256
    closing: uint256
    document: bytes32
    accounted: uint256
    held: uint256
    by: address


event DisclosureOverdue:
    kind: indexed(uint256)
    opening: uint256
    closing: uint256


@deploy
def __init__(registry: address, terms: Terms):
    """
    @notice Purses of the registry's site. Roll, Assembly and token are those of the registry's directory.
    @param terms The site's rules, from its data pack; see the struct.
    """
    if chain.id != DEVELOPMENT_CHAIN:
        assert terms.public_delay >= 3 * DAY, "reserve_fund: public delay is below 3 days"
    assert terms.share_bp > BASIS // 2 and terms.share_bp <= BASIS, "reserve_fund: fund's share is not more than half"
    assert terms.cost_bp < BASIS and terms.notice_below_bp < BASIS, "reserve_fund: a ratio is out of range"
    assert terms.emergency_cap <= MONEY, "reserve_fund: emergency cap is out of range"
    # A later day is not in every month.
    assert calendar._days(terms.since) != 0 and terms.since % 100 <= 28, "reserve_fund: disclosures begin after the 28th"
    disclosures: uint256 = 0
    for kind: uint256 in range(3):
        assert terms.months[kind] >= 1 and terms.months[kind] <= 12, "reserve_fund: a disclosure's period is 1 to 12 months"
        disclosures = disclosures | (terms.since << (64 * kind))
    REGISTRY = Registry(registry)
    ROLL = Roll(staticcall Registry(registry).contract_named(NAME_ROLL))
    ASSEMBLY = Assembly(staticcall Registry(registry).contract_named(NAME_ASSEMBLY))
    TOKEN = IERC20(staticcall Registry(registry).contract_named(NAME_TOKEN))
    TERMS = terms
    self.disclosures = disclosures


# --- The roll ---


@external
def enter(count: uint256):
    """
    @notice Give the next units of the roll, in its order, their places among the households. Anyone may; once a unit.
    """
    first: uint256 = self.entered
    assert count <= UNITS_MAX, "reserve_fund: at most 64 units at once"
    assert count != 0 and first + count <= staticcall ROLL.unit_count(), "reserve_fund: roll has no more units"
    site_area: uint256 = self.areas[0]
    for i: uint256 in range(count, bound=UNITS_MAX):
        index: uint256 = first + i
        unit: Unit = staticcall ROLL.unit(staticcall ROLL.unit_at(index))
        purse: uint256 = unit.building + 1
        building_area: uint256 = self.areas[purse]
        self.places[index] = unit.area_centi_m2 | (site_area << 64) | (purse << 128) | (building_area << 160)
        self.areas[purse] = building_area + unit.area_centi_m2
        site_area += unit.area_centi_m2
        log Entered(index=index, building_purse=purse, area_centi_m2=unit.area_centi_m2)
    self.areas[0] = site_area
    self.entered = first + count


# --- Money in ---


@external
def deposit(purse: uint256, indexes: DynArray[uint256, UNITS_MAX], amounts: DynArray[uint256, UNITS_MAX]):
    """
    @notice Pay in for units, into the site's purse or that of their building. Anyone may.
    """
    assert len(indexes) == len(amounts) and len(indexes) != 0, "reserve_fund: one amount for each unit"
    sum: uint256 = 0
    place: uint256 = 0
    for index: uint256 in indexes:
        building: uint256 = (self.places[index] >> 128) & (2**32 - 1)
        assert building != 0, "reserve_fund: unit is not entered"
        assert purse == 0 or purse == building, "reserve_fund: unit is in another building"
        self.deposits[purse][index] += amounts[place]
        sum += amounts[place]
        place += 1
    self._add_fund(purse, sum)
    log Deposited(purse=purse, payer=msg.sender, indexes=indexes, amounts=amounts)
    tokens._take(TOKEN, sum)


@external
def credit(purse: uint256, amount: uint256, document: bytes32):
    """
    @notice Pay in for all units of a purse, by area: interest, a refund, a grant. Anyone may.
    """
    self._accrue(purse, amount, 0)
    self._add_fund(purse, amount)
    log Credited(purse=purse, amount=amount, document=document, payer=msg.sender)
    tokens._take(TOKEN, amount)


@external
def record_income(purse: uint256, source: bytes32, gross: uint256, cost: uint256, document: bytes32):
    """
    @notice Pay in what common parts earned, net of its cost. Anyone may; only the manager keeps a cost, under the cap.
    @param source ASCII name, such as `advertising` or `parking`.
    @param document Digest of contracts and receipts, of the cost too.
    """
    assert cost == 0 or msg.sender == staticcall REGISTRY.manager(), "reserve_fund: only the manager keeps a cost"
    assert gross <= MONEY, "reserve_fund: amount is out of range"
    assert cost * BASIS <= gross * TERMS.cost_bp, "reserve_fund: cost is above its cap"
    net: uint256 = gross - cost
    to_fund: uint256 = (net * TERMS.share_bp + BASIS - 1) // BASIS
    self._accrue(purse, to_fund, 0)
    self._add_fund(purse, to_fund)
    self._add_income(purse, net - to_fund)
    log IncomeRecorded(
        purse=purse, source=source, gross=gross, cost=cost, to_fund=to_fund, document=document, payer=msg.sender
    )
    tokens._take(TOKEN, net)


@external
def credit_surplus():
    """
    @notice Tokens that were sent here without a call go to the site's fund. Anyone may trigger it.
    """
    surplus: uint256 = staticcall TOKEN.balanceOf(self) - self.accounted
    assert surplus != 0, "reserve_fund: there is no surplus"
    self._accrue(0, surplus, 0)
    self._add_fund(0, surplus)
    log Credited(purse=0, amount=surplus, document=empty(bytes32), payer=self)


# --- Resolutions ---


@external
def open_budget(resolution: uint256, budget: Budget):
    """
    @notice Carry out a resolution that gives a budget. Anyone may, after the public delay.
    """
    matter: uint256 = MATTER_USE
    if budget.pot == POT_INCOME:
        matter = MATTER_BUSINESS
    assert budget.pot <= POT_INCOME, "reserve_fund: no such pot"
    assert budget.amount <= MONEY and budget.until <= LANE, "reserve_fund: budget is out of range"
    assert budget.payee != empty(address) and budget.payee != self, "reserve_fund: budget has no payee"
    payload: bytes32 = sha256(abi_encode(ACTION_BUDGET, chain.id, self, budget))
    self._execute(resolution, matter, budget.purse, payload)
    self.budgets[resolution] = StoredBudget(
        money=budget.amount | (budget.purse << 192),
        rest=convert(budget.payee, uint256)
        | (budget.until << 160)
        | (budget.pot << 224)
        | (convert(budget.is_drawn, uint256) << 232),
    )
    log BudgetOpened(
        resolution=resolution,
        purse=budget.purse,
        pot=budget.pot,
        amount=budget.amount,
        payee=budget.payee,
        is_drawn=budget.is_drawn,
        until=budget.until,
        document=budget.document,
    )


@external
def stop_budget(resolution: uint256):
    """
    @notice The committee ends a budget at once; what is not spent stays in the purse.
    """
    assert msg.sender == staticcall REGISTRY.committee(), "reserve_fund: only the committee may stop a budget"
    rest: uint256 = self.budgets[resolution].rest
    assert rest != 0, "reserve_fund: there is no such budget"
    assert rest >> 240 == 0, "reserve_fund: budget is stopped"
    self.budgets[resolution].rest = rest | (1 << 240)
    log BudgetStopped(resolution=resolution)


@external
def move_income(resolution: uint256, purse: uint256, amount: uint256, document: bytes32):
    """
    @notice Carry out a resolution that moves a purse's income into its fund. Anyone may, after the public delay.
    """
    payload: bytes32 = sha256(abi_encode(ACTION_MOVE, chain.id, self, purse, amount, document))
    self._execute(resolution, MATTER_BUSINESS, purse, payload)
    self._sub_income(purse, amount)
    self._accrue(purse, amount, 0)
    self._add_fund(purse, amount)
    log IncomeMoved(resolution=resolution, purse=purse, amount=amount, document=document)


@external
def raise_fund(resolution: uint256, purse: uint256, rate: uint256, due_at: uint256, document: bytes32):
    """
    @notice Carry out a resolution that calls in more from every unit. Anyone may, after the public delay. It is a claim:
            nothing here takes money from anyone.
    @param rate Fen per m2.
    """
    payload: bytes32 = sha256(abi_encode(ACTION_RAISE, chain.id, self, purse, rate, due_at, document))
    self._execute(resolution, MATTER_RAISE, purse, payload)
    self.called_rates[purse] += rate
    log Raised(resolution=resolution, purse=purse, rate=rate, due_at=due_at, document=document)


@external
def ratify(resolution: uint256, number: uint256):
    """
    @notice Carry out a resolution that agrees with emergency spending. Anyone may, after the public delay.
    @param number The order's.
    """
    emergency: uint256 = self._emergency(number)
    purse: uint256 = (emergency >> 96) & (2**32 - 1)
    amount: uint256 = emergency & MONEY
    payload: bytes32 = sha256(abi_encode(ACTION_RATIFY, chain.id, self, purse, number, amount))
    self._execute(resolution, MATTER_USE, purse, payload)
    self._close_emergency(purse, number)
    log EmergencyRatified(number=number, resolution=resolution)


# --- Payments ---


@external
def propose(order: Order) -> uint256:
    """
    @notice Manager or committee asks for a payment from a budget, or in an emergency; the other one approves.
    @return The order's number.
    """
    self._other_party()
    assert order.invoice != empty(bytes32) and order.evidence != empty(bytes32), "reserve_fund: documents are missing"
    number: uint256 = self.order_count + 1
    self.order_count = number
    self.orders[number] = sha256(abi_encode(order, msg.sender))
    log OrderProposed(
        number=number,
        budget=order.budget,
        purse=order.purse,
        amount=order.amount,
        payee=order.payee,
        invoice=order.invoice,
        evidence=order.evidence,
        review=order.review,
        until=order.until,
        by=msg.sender,
    )
    return number


@external
def approve(number: uint256, order: Order):
    """
    @notice The other party agrees, and the payee is paid at once.
    """
    proposer: address = self._other_party()
    digest: bytes32 = self.orders[number]
    assert digest != empty(bytes32), "reserve_fund: no order waits under this number"
    assert digest == sha256(abi_encode(order, proposer)), "reserve_fund: order is not what the other party proposed"
    assert block.timestamp <= order.until, "reserve_fund: order has expired"
    self.orders[number] = empty(bytes32)
    if order.budget == 0:
        self._spend_in_emergency(number, order)
    else:
        budget: StoredBudget = self._spend(order.budget, order.amount)
        assert order.purse == budget.money >> 192, "reserve_fund: budget is another purse's"
        assert order.payee == self._payee(budget.rest), "reserve_fund: budget is for another payee"
        assert (budget.rest >> 232) & 1 == 0, "reserve_fund: budget is drawn by its payee"
        if budget.money & MONEY > TERMS.review_above:
            assert order.review != empty(bytes32), "reserve_fund: price review is missing"
    log Spent(
        number=number,
        budget=order.budget,
        purse=order.purse,
        amount=order.amount,
        payee=order.payee,
        invoice=order.invoice,
        evidence=order.evidence,
        review=order.review,
    )
    tokens._give(TOKEN, order.payee, order.amount)


@external
def draw(resolution: uint256, amount: uint256):
    """
    @notice The contract that a budget names as its payee takes a part.
    """
    budget: StoredBudget = self._spend(resolution, amount)
    assert msg.sender == self._payee(budget.rest) and (budget.rest >> 232) & 1 == 1, "reserve_fund: only the named contract draws"
    log Drawn(budget=resolution, amount=amount)
    tokens._give(TOKEN, msg.sender, amount)


@external
def put_back(resolution: uint256, amount: uint256):
    """
    @notice The payee of a budget returns a part that it did not need, at any time.
    """
    budget: StoredBudget = self.budgets[resolution]
    assert msg.sender == self._payee(budget.rest), "reserve_fund: only the payee puts back"
    assert amount <= (budget.money >> 96) & MONEY, "reserve_fund: budget has spent less"
    self.budgets[resolution].money = budget.money - (amount << 96)
    purse: uint256 = budget.money >> 192
    if (budget.rest >> 224) & 1 == POT_FUND:
        self._accrue(purse, amount, 0)
        self._add_fund(purse, amount)
    else:
        self._add_income(purse, amount)
    log PutBack(budget=resolution, amount=amount)
    tokens._take(TOKEN, amount)


@external
def repay(number: uint256):
    """
    @notice Pay emergency spending back in full, so that it needs no resolution. Anyone may.
    """
    emergency: uint256 = self._emergency(number)
    purse: uint256 = (emergency >> 96) & (2**32 - 1)
    amount: uint256 = emergency & MONEY
    self._close_emergency(purse, number)
    self._accrue(purse, amount, 0)
    self._add_fund(purse, amount)
    log EmergencyRepaid(number=number, payer=msg.sender)
    tokens._take(TOKEN, amount)


# --- What must be said in public ---


@external
def disclose(kind: uint256, document: bytes32):
    """
    @notice Manager or committee publishes the report on the next period of its kind, once that is over.
    @param kind 0 fund, 1 income, 2 reconciliation with the bank.
    @param document Digest of the published report.
    """
    self._other_party()
    assert document != empty(bytes32), "reserve_fund: report is missing"
    opening: uint256 = 0
    closing: uint256 = 0
    due_at: uint256 = 0
    opening, closing, due_at = self._due(kind)
    assert block.timestamp >= calendar._midnight(closing, TERMS.utc_offset_seconds), "reserve_fund: period is not over"
    lane: uint256 = 64 * kind
    self.disclosures = (self.disclosures & ~(LANE << lane)) | (closing << lane)
    log Disclosed(
        kind=kind,
        opening=opening,
        closing=closing,
        document=document,
        accounted=self.accounted,
        held=staticcall TOKEN.balanceOf(self),
        by=msg.sender,
    )


@external
def flag_overdue(kind: uint256):
    """
    @notice Put on record that a report is overdue. Anyone may; once for each period.
    """
    opening: uint256 = 0
    closing: uint256 = 0
    due_at: uint256 = 0
    opening, closing, due_at = self._due(kind)
    assert block.timestamp > due_at, "reserve_fund: report is not overdue"
    bit: uint256 = 1 << (64 * kind + 32)
    assert self.disclosures & bit == 0, "reserve_fund: report is flagged"
    self.disclosures = self.disclosures | bit
    log DisclosureOverdue(kind=kind, opening=opening, closing=closing)


@external
def notify_top_up(purse: uint256):
    """
    @notice Put on record that a fund fell below the share of its first amount at which owners must top up. Anyone may;
            at most every 30 days.
    """
    fund: uint256 = self.purses[purse] & (2**128 - 1)
    first_amount: uint256 = self._first_amount(purse)
    assert fund * BASIS < first_amount * TERMS.notice_below_bp, "reserve_fund: fund is large enough"
    assert block.timestamp >= self.noticed_at[purse] + 30 * DAY, "reserve_fund: owners were told"
    self.noticed_at[purse] = block.timestamp
    log TopUpDue(purse=purse, fund=fund, first_amount=first_amount)


# --- Views ---


@external
@view
def terms() -> Terms:
    """
    @notice What was fixed at deployment.
    """
    return TERMS


@external
@view
def parts() -> (address, address, address):
    """
    @notice Roll, Assembly and token that it works with.
    """
    return ROLL.address, ASSEMBLY.address, TOKEN.address


@external
@view
def purse(purse: uint256) -> (uint256, uint256, uint256):
    """
    @notice A purse's fund and income, and the first amount that its units owed to it.
    """
    word: uint256 = self.purses[purse]
    return word & (2**128 - 1), word >> 128, self._first_amount(purse)


@external
@view
def place(index: uint256) -> (uint256, uint256, uint256, uint256):
    """
    @notice A unit's area, the area before it on the site, its building's purse (0 while not entered), the area before it
            in the building.
    """
    word: uint256 = self.places[index]
    return word & LANE, (word >> 64) & LANE, (word >> 128) & (2**32 - 1), word >> 160


@external
@view
def epoch(purse: uint256, number: uint256) -> (uint256, uint256, uint256):
    """
    @notice While the roll stood still: area, and what was credited and spent by area.
    """
    word: uint256 = self.epochs[purse][number]
    return word & LANE, (word >> 64) & MONEY, word >> 160


@external
@view
def household(purse: uint256, index: uint256, first_epoch: uint256) -> Household:
    """
    @notice A unit's account: deposited + credited - spent, which is below zero where it was spent for and did not pay.
    @param first_epoch Shares of 64 epochs from here; a roll that grew more often is read in parts.
    """
    place: uint256 = self.places[index]
    area: uint256 = place & LANE
    before: uint256 = (place >> 64) & LANE
    if purse != 0:
        before = place >> 160
        if purse != (place >> 128) & (2**32 - 1):
            area = 0
    found: Household = Household(deposited=self.deposits[purse][index], credited=0, spent=0)
    count: uint256 = self.epoch_count[purse]
    for i: uint256 in range(EPOCHS_MAX):
        if first_epoch + i >= count:
            break
        word: uint256 = self.epochs[purse][first_epoch + i]
        total: uint256 = word & LANE
        # Units that came later stand behind the area of this epoch: their share is nothing.
        start: uint256 = min(before, total)
        end: uint256 = min(before + area, total)
        found.credited += self._share((word >> 64) & MONEY, start, end, total)
        found.spent += self._share(word >> 160, start, end, total)
    return found


@external
@view
def budget(resolution: uint256) -> (Budget, uint256, bool):
    """
    @notice A budget without its document, what was spent of it, and whether the committee stopped it.
    """
    stored: StoredBudget = self.budgets[resolution]
    found: Budget = Budget(
        purse=stored.money >> 192,
        pot=(stored.rest >> 224) & 1,
        amount=stored.money & MONEY,
        payee=self._payee(stored.rest),
        is_drawn=(stored.rest >> 232) & 1 == 1,
        until=(stored.rest >> 160) & LANE,
        document=empty(bytes32),
    )
    return found, (stored.money >> 96) & MONEY, stored.rest >> 240 == 1


@external
@view
def emergency(number: uint256) -> (uint256, uint256, uint256):
    """
    @notice Amount, purse and deadline of emergency spending that is not ratified; zeros otherwise.
    """
    word: uint256 = self.emergencies[number]
    return word & MONEY, (word >> 96) & (2**32 - 1), word >> 128


@external
@view
def unratified(purse: uint256) -> (DynArray[uint256, EMERGENCIES_MAX], uint256, bool):
    """
    @notice Emergency spending of a purse that is not ratified: numbers, sum, and whether one is past its deadline.
    """
    sum: uint256 = 0
    is_late: bool = False
    sum, is_late = self._unratified(purse)
    return self.open_emergencies[purse], sum, is_late


@external
@view
def due(kind: uint256) -> (uint256, uint256, uint256, bool):
    """
    @notice The next report of a kind: opening and closing date of its period, the last second in time, whether flagged.
    """
    opening: uint256 = 0
    closing: uint256 = 0
    due_at: uint256 = 0
    opening, closing, due_at = self._due(kind)
    return opening, closing, due_at, (self.disclosures >> (64 * kind + 32)) & 1 == 1


# --- Internal: resolutions ---


@internal
def _execute(resolution: uint256, matter: uint256, purse: uint256, payload: bytes32):
    outcome: Outcome = staticcall ASSEMBLY.outcome(resolution)
    assert outcome.state == STATE_PASSED, "reserve_fund: resolution has not passed"
    assert outcome.matter == matter, "reserve_fund: resolution is on another matter"
    assert outcome.building == purse, "reserve_fund: resolution is another purse's"
    assert outcome.payload == payload, "reserve_fund: resolution says something else"
    assert block.timestamp >= outcome.decided_at + TERMS.public_delay, "reserve_fund: public delay is not over"
    assert not self.executed[payload], "reserve_fund: resolution is carried out"
    self.executed[payload] = True


# --- Internal: spending ---


@internal
def _spend(resolution: uint256, amount: uint256) -> StoredBudget:
    """
    @notice Take a part of a budget out of its purse's books.
    """
    budget: StoredBudget = self.budgets[resolution]
    assert budget.rest != 0, "reserve_fund: there is no such budget"
    assert budget.rest >> 240 == 0, "reserve_fund: budget is stopped"
    assert block.timestamp <= (budget.rest >> 160) & LANE, "reserve_fund: budget has lapsed"
    assert amount <= (budget.money & MONEY) - ((budget.money >> 96) & MONEY), "reserve_fund: budget is smaller"
    self.budgets[resolution].money = budget.money + (amount << 96)
    purse: uint256 = budget.money >> 192
    if (budget.rest >> 224) & 1 == POT_FUND:
        self._sub_fund(purse, amount)
    else:
        self._sub_income(purse, amount)
    return budget


@internal
def _spend_in_emergency(number: uint256, order: Order):
    sum: uint256 = 0
    is_late: bool = False
    sum, is_late = self._unratified(order.purse)
    assert not is_late, "reserve_fund: earlier emergency spending is not ratified"
    assert order.amount <= TERMS.emergency_cap and sum + order.amount <= TERMS.emergency_cap, "reserve_fund: emergency spending is above its cap"
    assert len(self.open_emergencies[order.purse]) < EMERGENCIES_MAX, "reserve_fund: too much emergency spending stands open"
    assert order.amount != 0, "reserve_fund: nothing to pay"
    self.open_emergencies[order.purse].append(number)
    deadline: uint256 = block.timestamp + TERMS.ratify_within
    self.emergencies[number] = order.amount | (order.purse << 96) | (deadline << 128)
    self._sub_fund(order.purse, order.amount)


@internal
@view
def _unratified(purse: uint256) -> (uint256, bool):
    sum: uint256 = 0
    is_late: bool = False
    for number: uint256 in self.open_emergencies[purse]:
        word: uint256 = self.emergencies[number]
        sum += word & MONEY
        is_late = is_late or block.timestamp > word >> 128
    return sum, is_late


@internal
@view
def _emergency(number: uint256) -> uint256:
    word: uint256 = self.emergencies[number]
    assert word != 0, "reserve_fund: no emergency spending waits under this number"
    return word


@internal
def _close_emergency(purse: uint256, number: uint256):
    self.emergencies[number] = 0
    kept: DynArray[uint256, EMERGENCIES_MAX] = []
    for other: uint256 in self.open_emergencies[purse]:
        if other != number:
            kept.append(other)
    self.open_emergencies[purse] = kept


@internal
@pure
def _payee(rest: uint256) -> address:
    return convert(rest & (2**160 - 1), address)


# --- Internal: books ---


@internal
def _accrue(purse: uint256, credited: uint256, spent: uint256):
    """
    @notice Share by area among all units of the roll. Where the roll grew since the last time, a new epoch begins: who
            came later has no part in what was before.
    """
    assert self.entered == staticcall ROLL.unit_count(), "reserve_fund: units of the roll are not entered"
    area: uint256 = self.areas[purse]
    assert area != 0, "reserve_fund: there is no such purse"
    count: uint256 = self.epoch_count[purse]
    word: uint256 = 0
    if count != 0:
        word = self.epochs[purse][count - 1]
    if word & LANE != area:
        word = area
        count += 1
        self.epoch_count[purse] = count
    assert ((word >> 64) & MONEY) + credited <= MONEY, "reserve_fund: amount is out of range"
    assert (word >> 160) + spent <= MONEY, "reserve_fund: amount is out of range"
    self.epochs[purse][count - 1] = word + (credited << 64) + (spent << 160)


@internal
def _add_fund(purse: uint256, amount: uint256):
    assert amount <= MONEY, "reserve_fund: amount is out of range"
    self.purses[purse] += amount
    self.accounted += amount


@internal
def _sub_fund(purse: uint256, amount: uint256):
    word: uint256 = self.purses[purse]
    assert amount <= word & (2**128 - 1), "reserve_fund: fund is smaller"
    self._accrue(purse, 0, amount)
    self.purses[purse] = word - amount
    self.accounted -= amount


@internal
def _add_income(purse: uint256, amount: uint256):
    assert amount <= MONEY, "reserve_fund: amount is out of range"
    self.purses[purse] += amount << 128
    self.accounted += amount


@internal
def _sub_income(purse: uint256, amount: uint256):
    word: uint256 = self.purses[purse]
    assert amount <= word >> 128, "reserve_fund: income is smaller"
    self.purses[purse] = word - (amount << 128)
    self.accounted -= amount


@internal
@pure
def _share(pool: uint256, start: uint256, end: uint256, total: uint256) -> uint256:
    """
    @notice Telescoping share (DESIGN section 7).
    """
    return pool * end // total - pool * start // total


@internal
@view
def _first_amount(purse: uint256) -> uint256:
    rate: uint256 = TERMS.first_rates[0]
    if purse != 0:
        rate = TERMS.first_rates[1]
    return rate * self.areas[purse] // 100


@internal
@view
def _due(kind: uint256) -> (uint256, uint256, uint256):
    """
    @notice Opening, closing and last second in time of the next report of a kind.
    """
    assert kind <= DISCLOSE_RECONCILIATION, "reserve_fund: no such report"
    opening: uint256 = (self.disclosures >> (64 * kind)) & (2**32 - 1)
    months: uint256 = opening // 100 % 100 - 1 + TERMS.months[kind]
    closing: uint256 = (opening // 10000 + months // 12) * 10000 + (months % 12 + 1) * 100 + opening % 100
    due_at: uint256 = calendar._midnight(closing, TERMS.utc_offset_seconds) + TERMS.grace_days[kind] * DAY
    return opening, closing, due_at


@internal
@view
def _other_party() -> address:
    """
    @notice The caller must be manager or committee; gives the other one.
    """
    manager: address = staticcall REGISTRY.manager()
    committee: address = staticcall REGISTRY.committee()
    if msg.sender == manager:
        return committee
    assert msg.sender == committee, "reserve_fund: only manager or committee"
    return manager
