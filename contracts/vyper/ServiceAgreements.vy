# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title ServiceAgreements
@license Apache-2.0
@notice A logbook of visits, and agreements that pay for them and charge for what is missing.

        A *visit* is a fact: its crew signed the record, and the gateway that the device is assigned to logged the record's
        digest (entry of kind 4), proven against the gateway's accepted head. Anyone may bring one; nobody can make one.
        An *agreement* is between the user unit (the Registry's manager) and one firm about one device on one plan from one
        day on. Both agree to the same terms: how often each class of visit is due, what each costs and how much less or
        more by what the gateway saw of it, who must sign, what an overdue day costs.

        Invariants
        - Money is conserved: this contract's tokens are the sum of all budgets, deposits and claims. A budget pays this
          agreement's visits and goes back to its payer; a deposit pays overdue days and goes back to the firm.
        - A day holds the best level of each class with each set of signatures, and pays for the one visit that earns most. So
          what a day is worth depends on which visits were proven, not on who brought them, when, or in which order, and
          another visit never takes from it: relayers can delay or leave out, and anyone can bring what they left out.
        - A day is overdue if it begins later than interval and grace after the last visit of that class or a higher one that
          had the signatures and the level that the agreement asks for; days on which the device's gateway was silent
          (Counterevidence) are neither counted nor overdue, for nobody could prove a visit then. A claim for overdue days is counted again from the visits known
          then whenever anyone asks, and moves money only after 30 days: a visit proven by then leaves no penalty standing.
          It waits until the gateway was there again. Days that nobody looked at for a year cost nothing any more.
        - A visit that another one of its mechanic contradicts counts nothing on its day and pays nothing.
        - A visit's day is the one in which it ended if the gateway saw it (level 1 and more), else the one in which the gateway
          logged it: who backdates a visit that nobody saw gains nothing.
        - Level 4 needs a gateway key in a token or attested; a key in a file is worth level 3 at most.
        - A day's slot is used again after 1,464 days, so digests stay in storage for four years, and in events for ever.
          No place, no name, no text.

        Who keeps what for the four years that the law asks: the chain the digest of the day's best visit (160 of its bits;
        every visit's in the events) and the day; the firm, the cloud and every mirror the record, its signatures and the
        filled checklist, which the digest binds.
"""

import crew_signature
import p256
import tokens
import tree
from ethereum.ercs import IERC20

initializes: p256
initializes: crew_signature[p256 := p256]


interface Registry:
    def manager() -> address: view
    def contract_named(name: bytes32) -> address: view
    def key_in_force(origin_id: bytes32) -> GatewayKey: view
    def gateway_key(origin_id: bytes32, key_id: bytes32) -> KeyRange: view
    def assignment(device: bytes32, number: uint256) -> Assignment: view


interface AnchorLog:
    def accepted(origin_id: bytes32, head: Head) -> (bool, bool): view


interface Counterevidence:
    def is_silent(device: bytes32, day: uint256) -> bool: view
    def lived(device: bytes32, first_day: uint256, last_day: uint256) -> bool: view
    def is_void(line: bytes32, day: uint256) -> bool: view


interface Crews:
    def crew_commitment(alias: bytes32, firm: uint256) -> (bytes32, uint256): view


NAME_ANCHOR_LOG: constant(bytes32) = 0x616e63686f725f6c6f6700000000000000000000000000000000000000000000
NAME_CREWS: constant(bytes32) = 0x6372657773000000000000000000000000000000000000000000000000000000
NAME_COUNTEREVIDENCE: constant(bytes32) = 0x636f756e74657265766964656e63650000000000000000000000000000000000
NAME_TOKEN: constant(bytes32) = 0x746f6b656e000000000000000000000000000000000000000000000000000000

DAY: constant(uint256) = 86400
CLASSES: constant(uint256) = 4  # half-month, quarter, half-year, year; a repair is class 0
LEVELS: constant(uint256) = 5
SIGNERS_MAX: constant(uint256) = 3
DUTY_MECHANIC: constant(uint256) = 1
DUTY_MANAGER: constant(uint256) = 2
KEY_CLASS_FILE: constant(uint256) = 1
PURPOSE_VISIT: constant(bytes32) = 0x7669736974000000000000000000000000000000000000000000000000000000
PURPOSE_COUNTERSIGN: constant(bytes32) = 0x76697369742e636f756e7465727369676e000000000000000000000000000000
QUANTITY_VISIT: constant(bytes32) = 0x7669736974000000000000000000000000000000000000000000000000000000
KIND_VISIT: constant(uint256) = 4

CLOCK_TOLERANCE: constant(uint256) = 600  # seconds between clocks that must not matter
MEMORY: constant(uint256) = 60 * DAY  # how long a gateway keeps what it saw
PROVISIONAL_DAYS: constant(uint256) = 30
PROVISIONAL: constant(uint256) = PROVISIONAL_DAYS * DAY
# After it a claim falls that no sign of the gateway's life has followed.
CLAIM_FALLS: constant(uint256) = 366 * DAY
AFTERMATH: constant(uint256) = 90  # days after an agreement's end in which visits and claims are still settled
INTERVAL_MAX: constant(uint256) = 731
# Days before those looked at in which the last visit is searched: an interval, grace, and a silence between.
WALK_MAX: constant(uint256) = 1000
GRACE_MAX: constant(uint256) = 30
TERM_MAX: constant(uint256) = 3660  # days
FACTOR_MAX: constant(uint256) = 2000
DAYS_MAX: constant(uint256) = 64  # that one call looks at
# Days back that a claim may reach, so that the visits before them are still in the ring.
CLAIM_REACH: constant(uint256) = 366

AGREED: constant(uint256) = 1 << 201

# A rank from the right: level 3 bits, two mechanics 1, site manager 1, class 3.
TWO_MECHANICS: constant(uint256) = 8
COUNTERSIGNED: constant(uint256) = 16
# Before the preimages of leaves and nodes (RFC 9162 section 2.1).
LEAF: constant(bytes1) = 0x00
NODE: constant(bytes1) = 0x01
PATH_MAX: constant(uint256) = 32  # a gateway logs no more than four thousand million entries before its next epoch
# Days whose slots a line of visits uses in turn: a little more than four years.
RING: constant(uint256) = 1464
# A repair's slot is that of the ten minutes in which it ended, behind the ring.
REPAIRS: constant(uint256) = 2**16
REPAIR_SECONDS: constant(uint256) = 600
# Lanes of a slot from the right: day 16 bits; sixteen places of 3 bits, one for each class (from half-month; repairs use
# the last class's in slots of their own) and set of signatures, with the best level seen plus 1; fen paid 32. The rest are
# the first 160 bits of the digest of the best, by class, then signatures, then level.
DAY_MASK: constant(uint256) = 2**16 - 1
SEEN_LANE: constant(uint256) = 16
PAID_LANE: constant(uint256) = 64
PAID_MASK: constant(uint256) = 2**32 - 1
DIGEST_LANE: constant(uint256) = 96
RANK_LANE: constant(uint256) = 16  # in events

REGISTRY: immutable(Registry)
ANCHOR_LOG: immutable(AnchorLog)
CREWS: immutable(Crews)
COUNTER: immutable(Counterevidence)
TOKEN: immutable(IERC20)
UTC_OFFSET: immutable(int256)


struct GatewayKey:
    x: uint256
    y: uint256


struct KeyRange:
    key_class: uint256
    from_block: uint256
    to_block: uint256


struct Assignment:
    origin_id: bytes32
    first_index: uint256
    last_index: uint256
    block: uint256


struct Head:
    size: uint256
    root: bytes32
    accepted_at: uint256


struct Terms:
    device: bytes32
    plan: bytes32  # SHA-256 of the data pack
    firm: uint256  # its number in Crews
    starts_on: uint256  # days since 1970 in local time
    ends_on: uint256  # the last day
    checklists: bytes32[CLASSES]  # SHA-256 of each class's cumulative list
    intervals: uint256[CLASSES]  # days; 0: this class is not due
    done_on: uint256[CLASSES]  # day of the last visit of each class before the agreement
    grace: uint256  # days
    fees: uint256[CLASSES]  # fen, not falling from class to class
    factors: uint256[LEVELS]  # permille of the fee by corroboration level, not falling
    penalty: uint256  # fen for an overdue day of one class
    deposit: uint256  # fen that the firm puts down when it agrees
    two_people: bool
    countersigned: bool
    level: uint256  # that a visit needs to count and to pay
    account: address  # the firm's: agrees, gets the fees and its deposit back
    payer: address  # gets back what is left of the budget


struct Agreement:
    line: bytes32  # device, plan and firm, hashed
    account: address
    payer: address
    rule: uint256  # from the right: four fees of 32 bits, five factors of 11, end day 16, two people 1, countersigned 1, agreed 1, start day 16, level 3
    clock: uint256  # from the right: four intervals of 16 bits, four done_on, four claimed_through, grace 8, penalty 32, claims 16
    purse: uint256  # from the right: budget 96 bits, deposit 96, claimed 64
    device: bytes32


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


struct Claim:
    visit_class: uint256
    from_day: uint256
    through_day: uint256
    days: uint256
    claimed_at: uint256  # Unix seconds; zero when there is none or it is settled


agreements: HashMap[bytes32, Agreement]
proposals: HashMap[bytes32, bytes32]
last_day: HashMap[bytes32, uint256]  # of the last agreement between the same parties about the same device and plan
endings: HashMap[bytes32, uint256]  # lanes: day, parties
claims: HashMap[bytes32, HashMap[uint256, uint256]]  # lanes of 40 bits: class, from, through, days, claimed at
# By line (device, plan and firm) and day.
visits: HashMap[bytes32, HashMap[uint256, uint256]]


event Proposed:
    agreement: indexed(bytes32)
    device: indexed(bytes32)
    line: indexed(bytes32)
    terms_digest: bytes32
    terms: Terms


event Retracted:
    agreement: indexed(bytes32)


event Agreed:
    agreement: indexed(bytes32)
    deposit: uint256


event EndAsked:
    agreement: indexed(bytes32)
    day: uint256
    by: address


event EndSet:
    agreement: indexed(bytes32)
    day: uint256


event BudgetAdded:
    agreement: indexed(bytes32)
    amount: uint256
    giver: address


event DepositAdded:
    agreement: indexed(bytes32)
    amount: uint256
    giver: address


event VisitRecorded:
    line: indexed(bytes32)
    digest: indexed(bytes32)
    lanes: uint256  # from the right: day 16 bits, rank 8


event FeesPaid:
    agreement: indexed(bytes32)
    days: DynArray[uint256, DAYS_MAX]
    amount: uint256
    returned: uint256  # from the deposit to the budget, for visits that were contradicted after they were paid


event DaysLookedAt:
    agreement: indexed(bytes32)
    visit_class: uint256
    from_day: uint256
    through_day: uint256
    overdue: uint256
    number: uint256  # of the claim, if any day is overdue
    by: address


event ClaimCounted:
    agreement: indexed(bytes32)
    number: uint256
    days: uint256
    settled: bool


event Closed:
    agreement: indexed(bytes32)
    deposit: uint256
    budget: uint256


@deploy
def __init__(registry: address, utc_offset_seconds: int256, verifier: address):
    """
    @notice Agreements of the registry's site, in the token of its directory, an ERC-20 whose smallest unit is the fen.
    @param utc_offset_seconds What local time is ahead of UTC, negative west of Greenwich; days begin at local midnight.
    @param verifier Where P-256 signatures are verified; see p256.vy.
    """
    p256.__init__(verifier)
    assert abs(utc_offset_seconds) < convert(DAY, int256), "service_agreements: offset is a day or more"
    REGISTRY = Registry(registry)
    ANCHOR_LOG = AnchorLog(staticcall Registry(registry).contract_named(NAME_ANCHOR_LOG))
    CREWS = Crews(staticcall Registry(registry).contract_named(NAME_CREWS))
    COUNTER = Counterevidence(staticcall Registry(registry).contract_named(NAME_COUNTEREVIDENCE))
    TOKEN = IERC20(staticcall Registry(registry).contract_named(NAME_TOKEN))
    UTC_OFFSET = utc_offset_seconds


# --- Two parties ---


@external
def propose(terms: Terms) -> bytes32:
    """
    @notice The manager offers terms to a firm. Another offer of the same agreement replaces it until the firm agrees.
    @return The agreement's name.
    """
    self._only_manager()
    offer: Terms = terms
    self._check_terms(offer)
    line: bytes32 = self._line(offer.device, offer.plan, offer.firm)
    agreement: bytes32 = keccak256(abi_encode(line, offer.starts_on))
    assert self.agreements[agreement].rule & AGREED == 0, "service_agreements: agreement stands already"
    digest: bytes32 = keccak256(abi_encode(offer))
    self.proposals[agreement] = digest
    self.agreements[agreement] = Agreement(
        line=line,
        account=offer.account,
        payer=offer.payer,
        rule=self._rule(offer),
        clock=self._clock(offer),
        purse=offer.deposit << 96,
        device=offer.device,
    )
    log Proposed(agreement=agreement, device=offer.device, line=line, terms_digest=digest, terms=offer)
    return agreement


@external
def retract(agreement: bytes32):
    """
    @notice The manager takes an offer back.
    """
    self._only_manager()
    assert self.proposals[agreement] != empty(bytes32), "service_agreements: nothing is proposed"
    self.proposals[agreement] = empty(bytes32)
    self.agreements[agreement] = empty(Agreement)
    log Retracted(agreement=agreement)


@external
def agree(agreement: bytes32, terms_digest: bytes32):
    """
    @notice The firm agrees to what was offered and puts down its deposit.
    @param terms_digest Keccak-256 of the ABI-encoded terms, so that nobody agrees to others than he read.
    """
    assert terms_digest != empty(bytes32) and self.proposals[agreement] == terms_digest, "service_agreements: these terms are not proposed"
    offer: Agreement = self.agreements[agreement]
    assert msg.sender == offer.account, "service_agreements: only the firm's account agrees"
    starts_on: uint256 = self._starts_on(offer.rule)
    assert starts_on >= self._today(), "service_agreements: agreement begins in the past"
    assert starts_on > self.last_day[offer.line], "service_agreements: agreement overlaps the last one"
    self.last_day[offer.line] = self._ends_on(offer.rule)
    self.proposals[agreement] = empty(bytes32)
    self.agreements[agreement].rule = offer.rule | AGREED
    deposit: uint256 = offer.purse >> 96
    log Agreed(agreement=agreement, deposit=deposit)
    tokens._take(TOKEN, deposit)


@external
def end(agreement: bytes32, day: uint256):
    """
    @notice Manager and firm, each for himself, name an earlier last day; it holds when both named the same.
    """
    rule: uint256 = self._standing(agreement)
    party: uint256 = 1
    if msg.sender != self.agreements[agreement].account:
        self._only_manager()
        party = 2
    assert day >= self._today() and day < self._ends_on(rule), "service_agreements: day is not from today to the end"
    asked: uint256 = self.endings[agreement]
    if asked >> 2 == day:
        party |= asked & 3
    self.endings[agreement] = (day << 2) | party
    log EndAsked(agreement=agreement, day=day, by=msg.sender)
    if party == 3:
        self.agreements[agreement].rule = rule ^ ((self._ends_on(rule) ^ day) << 183)
        # A later agreement keeps its days.
        line: bytes32 = self.agreements[agreement].line
        if self.last_day[line] == self._ends_on(rule):
            self.last_day[line] = day
        log EndSet(agreement=agreement, day=day)


# --- Visits ---


@external
@reentrant
def record_visit(
    visit: Visit,
    logged: uint256,
    salt: bytes32,
    path: DynArray[bytes32, PATH_MAX],
    signatures: DynArray[crew_signature.CrewSignature, SIGNERS_MAX],
    client_data: Bytes[crew_signature.CLIENT_DATA_MAX],
):
    """
    @notice Record a visit that its crew signed and a gateway logged. Anyone may relay it. It calls nothing but views of the
            site's own contracts, before it writes; so it needs no lock.
    @param logged Lanes from the right: the entry's observed_at 48 bits (ms), level 8, index in the log 48; number of the
           device's assignment that holds it 16; the accepted head's size 48 and time 40; the mechanics' firm 24.
    @param salt The entry's.
    @param path From the entry to the accepted head's root.
    @param signatures The mechanics', then the site manager's if the record names one.
    @param client_data What their passkeys' answers hold from the origin on, one after another; see crew_signature.vy.
    """
    digest: bytes32 = sha256(abi_encode(visit))
    firm: uint256 = logged >> 208
    rank: uint256 = self._people(visit.mechanics, visit.manager, len(signatures))
    self._check_signature(visit.mechanics[0], firm, DUTY_MECHANIC, digest, visit.ended_at, signatures[0], client_data, 0)
    start: uint256 = crew_signature._client_data_length(signatures[0].lanes)
    if rank & TWO_MECHANICS != 0:
        # One of the two must be qualified; the other may be learning.
        self._check_signature(visit.mechanics[1], firm, 0, digest, visit.ended_at, signatures[1], client_data, start)
        start += crew_signature._client_data_length(signatures[1].lanes)
    if rank & COUNTERSIGNED != 0:
        last: crew_signature.CrewSignature = signatures[len(signatures) - 1]
        self._check_signature(visit.manager, 0, DUTY_MANAGER, digest, visit.ended_at, last, client_data, start)
    root: bytes32 = self._root(self._leaf(visit.device, digest, logged, salt), logged, path)
    level: uint256 = self._proven_level(visit.device, logged, root)
    day: uint256 = self._visit_day(visit.visit_class, visit.started_at, visit.ended_at, logged, level)
    line: bytes32 = self._line(visit.device, visit.plan, firm)
    slot: uint256 = day % RING
    if visit.visit_class == 0:
        slot = REPAIRS + visit.ended_at // REPAIR_SECONDS
    rank = rank | level | (visit.visit_class << 5)
    self._enter(line, slot, day, rank, digest)
    log VisitRecorded(line=line, digest=digest, lanes=day | (rank << RANK_LANE))


# --- Money ---


@external
def add_budget(agreement: bytes32, amount: uint256):
    """
    @notice Add to what visits are paid from. Anyone may.
    """
    self._standing(agreement)
    self._set_purse(agreement, self._budget(agreement) + amount, self._deposit(agreement), self._claimed(agreement))
    log BudgetAdded(agreement=agreement, amount=amount, giver=msg.sender)
    tokens._take(TOKEN, amount)


@external
def add_deposit(agreement: bytes32, amount: uint256):
    """
    @notice Add to what overdue days are paid from. Anyone may.
    """
    self._standing(agreement)
    self._set_purse(agreement, self._budget(agreement), self._deposit(agreement) + amount, self._claimed(agreement))
    log DepositAdded(agreement=agreement, amount=amount, giver=msg.sender)
    tokens._take(TOKEN, amount)


@external
def pay_fees(agreement: bytes32, days: DynArray[uint256, DAYS_MAX]):
    """
    @notice Pay the firm for the visits of these days what is not paid yet; what was paid for a visit that is contradicted goes
            from its deposit back to the budget. Anyone may.
    """
    rule: uint256 = self._standing(agreement)
    line: bytes32 = self.agreements[agreement].line
    amount: uint256 = 0
    returned: uint256 = 0
    for day: uint256 in days:
        assert day >= self._starts_on(rule) and day <= self._ends_on(rule), "service_agreements: day is not the agreement's"
        word: uint256 = self.visits[line][day % RING]
        if word & DAY_MASK != day:
            continue
        done: uint256 = 0
        fee: uint256 = 0
        done, fee = self._done(line, day, rule)
        paid: uint256 = (word >> PAID_LANE) & PAID_MASK
        if fee > paid:
            amount += fee - paid
        else:
            returned += paid - fee
        self.visits[line][day % RING] = word & ~(PAID_MASK << PAID_LANE) | (fee << PAID_LANE)
    assert amount + returned != 0, "service_agreements: nothing to pay"
    budget: uint256 = self._budget(agreement) + returned
    deposit: uint256 = self._deposit(agreement)
    assert returned <= deposit, "service_agreements: deposit does not cover what was paid"
    assert amount <= budget, "service_agreements: budget does not cover it"
    self._set_purse(agreement, budget - amount, deposit - returned, self._claimed(agreement))
    log FeesPaid(agreement=agreement, days=days, amount=amount, returned=returned)
    tokens._give(TOKEN, self.agreements[agreement].account, amount)


@external
def close(agreement: bytes32):
    """
    @notice Ninety days after the end: the deposit goes back to the firm and the rest of the budget to the payer. Anyone may.
    """
    rule: uint256 = self._standing(agreement)
    assert self._today() > self._ends_on(rule) + AFTERMATH, "service_agreements: 90 days after the end are not over"
    assert self._claimed(agreement) == 0, "service_agreements: a claim is open"
    budget: uint256 = self._budget(agreement)
    deposit: uint256 = self._deposit(agreement)
    self._set_purse(agreement, 0, 0, 0)
    log Closed(agreement=agreement, deposit=deposit, budget=budget)
    tokens._give(TOKEN, self.agreements[agreement].account, deposit)
    tokens._give(TOKEN, self.agreements[agreement].payer, budget)


# --- Overdue ---


@external
def claim_overdue(agreement: bytes32, visit_class: uint256, through_day: uint256):
    """
    @notice Look at the days of one class since the last look, and claim the penalty for the overdue ones. Anyone may; a claim
            stays provisional. Days that no visit is missing from are done with, for visits only ever add up; so are days more
            than a year ago that nobody looked at.
    @param through_day The last day to look at, at most 64 after the last one looked at.
    """
    rule: uint256 = self._standing(agreement)
    self._check_class(visit_class)
    clock: uint256 = self.agreements[agreement].clock
    lane: uint256 = 128 + 16 * (visit_class - 1)
    today: uint256 = self._today()
    from_day: uint256 = max(((clock >> lane) & (2**16 - 1)) + 1, today - CLAIM_REACH)
    assert through_day >= from_day, "service_agreements: days were looked at before, or are over a year ago"
    assert through_day <= min(today, self._ends_on(rule)), "service_agreements: day has not begun or is past the end"
    overdue: uint256 = self._overdue_days(agreement, visit_class, from_day, through_day)
    number: uint256 = clock >> 232
    clock = (clock & ~((2**16 - 1) << lane)) | (through_day << lane)
    if overdue != 0:
        penalty: uint256 = overdue * self._penalty(clock)
        deposit: uint256 = self._deposit(agreement)
        assert penalty <= deposit, "service_agreements: deposit does not cover so many days"
        self._set_purse(agreement, self._budget(agreement), deposit - penalty, self._claimed(agreement) + penalty)
        self.claims[agreement][number] = (
            visit_class | (from_day << 40) | (through_day << 80) | (overdue << 120) | (block.timestamp << 160)
        )
        clock += 1 << 232
    self.agreements[agreement].clock = clock
    log DaysLookedAt(
        agreement=agreement,
        visit_class=visit_class,
        from_day=from_day,
        through_day=through_day,
        overdue=overdue,
        number=number,
        by=msg.sender,
    )


@external
def count_claim(agreement: bytes32, number: uint256):
    """
    @notice Count a claim's overdue days again from the visits known now. What is no longer overdue goes back to the deposit;
            what is overdue still goes to the budget once 30 days have passed, and as many since a day after those claimed on
            which the gateway lived. A claim that no such day follows within a year falls. Anyone may.
    """
    claim: Claim = self._claim(agreement, number)
    assert claim.claimed_at != 0, "service_agreements: no such claim is open"
    # Never more than was claimed, however late it is counted and whatever the ring has lost by then.
    overdue: uint256 = min(
        claim.days, self._overdue_days(agreement, claim.visit_class, claim.from_day, claim.through_day)
    )
    settled: bool = overdue == 0
    if not settled and block.timestamp >= claim.claimed_at + PROVISIONAL:
        settled = staticcall COUNTER.lived(
            self.agreements[agreement].device, claim.through_day + 1, self._today() - PROVISIONAL_DAYS
        )
        if not settled and block.timestamp >= claim.claimed_at + CLAIM_FALLS:
            overdue = 0
            settled = True
    assert settled or overdue != claim.days, "service_agreements: claim stands as counted"
    penalty: uint256 = self._penalty(self.agreements[agreement].clock)
    released: uint256 = (claim.days - overdue) * penalty
    budget: uint256 = self._budget(agreement)
    claimed: uint256 = self._claimed(agreement) - released
    if settled:
        budget += overdue * penalty
        claimed -= overdue * penalty
        self.claims[agreement][number] = 0
    else:
        self.claims[agreement][number] = (self.claims[agreement][number] & ~((2**40 - 1) << 120)) | (overdue << 120)
    self._set_purse(agreement, budget, self._deposit(agreement) + released, claimed)
    log ClaimCounted(agreement=agreement, number=number, days=overdue, settled=settled)


# --- Views ---


@external
@view
def proposal(agreement: bytes32) -> bytes32:
    """
    @notice Keccak-256 of the terms that wait for the firm; zero if none do.
    """
    return self.proposals[agreement]


@external
@view
def agreement(agreement: bytes32) -> Agreement:
    """
    @notice An agreement as it is packed; zeros while there is none. `contracts/calls/service_agreements.py` unpacks it.
    """
    return self.agreements[agreement]


@external
@view
def visit(line: bytes32, slot: uint256) -> uint256:
    """
    @notice What stands in a slot, in its lanes: of day modulo 1464, or of a repair; zero if nothing does.
    @param line Keccak-256 of device, plan and firm.
    """
    return self.visits[line][slot]


@external
@view
def claim(agreement: bytes32, number: uint256) -> Claim:
    """
    @notice A claim that is not settled; zeros otherwise.
    """
    return self._claim(agreement, number)


@external
@view
def overdue_days(agreement: bytes32, visit_class: uint256, from_day: uint256, through_day: uint256) -> uint256:
    """
    @notice How many of these days, at most 64, are overdue for the class by the visits known now.
    """
    self._check_class(visit_class)
    assert from_day <= through_day, "service_agreements: days end before they begin"
    return self._overdue_days(agreement, visit_class, from_day, through_day)


# --- Internal: a visit ---


@internal
@pure
def _people(mechanics: bytes32[2], manager: bytes32, signatures: uint256) -> uint256:
    """
    @notice Who signs, as bits of the rank; more people are better.
    """
    rank: uint256 = 0
    signers: uint256 = 1
    if mechanics[1] != empty(bytes32):
        assert mechanics[1] != mechanics[0], "service_agreements: one mechanic stands twice"
        rank = TWO_MECHANICS
        signers = 2
    if manager != empty(bytes32):
        assert manager not in mechanics, "service_agreements: a mechanic counter-signs"
        rank |= COUNTERSIGNED
        signers += 1
    assert signatures == signers, "service_agreements: not one signature for each person"
    return rank


@internal
@view
def _check_signature(
    alias: bytes32,
    firm: uint256,
    duty: uint256,
    digest: bytes32,
    ended_at: uint256,
    signature: crew_signature.CrewSignature,
    client_data: Bytes[crew_signature.CLIENT_DATA_MAX],
    start: uint256,
):
    """
    @notice The person served this firm (0: the site), with this duty and a licence, and signed.
    """
    commitment: bytes32 = empty(bytes32)
    firm_licence_until: uint256 = 0
    commitment, firm_licence_until = staticcall CREWS.crew_commitment(alias, firm)
    assert firm_licence_until >= ended_at, "service_agreements: firm's licence had ended"
    if duty != 0:
        assert crew_signature._duties(signature.lanes) & duty != 0, "service_agreements: person has not this duty"
        assert crew_signature._licence_until(signature.lanes) >= ended_at, "service_agreements: person's licence had ended"
    assert block.timestamp <= crew_signature._deadline(signature.lanes), "service_agreements: signature's deadline has passed"
    purpose: bytes32 = PURPOSE_COUNTERSIGN if duty == DUTY_MANAGER else PURPOSE_VISIT
    assert crew_signature._is_signed(purpose, digest, firm, commitment, signature, client_data, start), "service_agreements: signature does not match the visit"


@internal
@pure
def _leaf(device: bytes32, digest: bytes32, logged: uint256, salt: bytes32) -> bytes32:
    """
    @notice The leaf hash of the gateway's entry for this visit: SHA-256(0x00 || seven ABI words).
    """
    observed_at: uint256 = logged & (2**48 - 1)
    level: uint256 = (logged >> 48) & 255
    assert level < LEVELS, "service_agreements: no such level"
    return sha256(
        concat(LEAF, abi_encode(KIND_VISIT, device, observed_at, QUANTITY_VISIT, level, digest, salt))
    )


@internal
@pure
def _root(leaf: bytes32, logged: uint256, path: DynArray[bytes32, PATH_MAX]) -> bytes32:
    """
    @notice The root of the tree in which the leaf hash stands at its index (RFC 9162 section 2.1.3.2), to be compared with a
            known one: as `tree._is_included`, but nobody need bring the root.
    """
    index: uint256 = (logged >> 56) & (2**48 - 1)
    size: uint256 = (logged >> 120) & (2**48 - 1)
    assert index < size, "service_agreements: index is not in the log"
    inner: uint256 = tree._bit_length(index ^ (size - 1))
    # Above the inner part the path has a sibling for each one bit of the index.
    length: uint256 = inner
    border: uint256 = index >> inner
    for i: uint256 in range(PATH_MAX):
        if border == 0:
            break
        border &= border - 1
        length += 1
    assert len(path) == length, "service_agreements: path has another length"
    hash: bytes32 = leaf
    lefts: uint256 = index | (max_value(uint256) << inner)
    for sibling: bytes32 in path:
        if lefts & 1 == 1:
            hash = sha256(concat(NODE, sibling, hash))
        else:
            hash = sha256(concat(NODE, hash, sibling))
        lefts = lefts >> 1
    return hash


@internal
@view
def _proven_level(device: bytes32, logged: uint256, root: bytes32) -> uint256:
    """
    @notice The level that the device's gateway logged for the visit, as far as its key can vouch for it.
    @param root To which the entry and its path lead.
    """
    assignment: Assignment = staticcall REGISTRY.assignment(device, (logged >> 104) & (2**16 - 1))
    index: uint256 = (logged >> 56) & (2**48 - 1)
    assert index >= assignment.first_index and index <= assignment.last_index, "service_agreements: device is not assigned to this index"
    accepted_at: uint256 = (logged >> 168) & (2**40 - 1)
    assert (logged & (2**48 - 1)) // 1000 <= accepted_at + CLOCK_TOLERANCE, "service_agreements: entry's time is after its head's"
    is_accepted: bool = False
    is_ended: bool = False
    is_accepted, is_ended = staticcall ANCHOR_LOG.accepted(
        assignment.origin_id, Head(size=(logged >> 120) & (2**48 - 1), root=root, accepted_at=accepted_at)
    )
    assert is_accepted, "service_agreements: entry is not under the accepted head"
    level: uint256 = (logged >> 48) & 255
    if level == LEVELS - 1 and not self._is_protected(assignment.origin_id):
        return LEVELS - 2
    return level


@internal
@view
def _is_protected(origin_id: bytes32) -> bool:
    """
    @notice Whether the origin's key in force is held by more than a file.
    """
    key: GatewayKey = staticcall REGISTRY.key_in_force(origin_id)
    validity: KeyRange = staticcall REGISTRY.gateway_key(origin_id, sha256(abi_encode(key.x, key.y)))
    return validity.key_class > KEY_CLASS_FILE


@internal
@view
def _visit_day(visit_class: uint256, started_at: uint256, ended_at: uint256, logged: uint256, level: uint256) -> uint256:
    """
    @notice The local day that the visit counts for.
    """
    observed: uint256 = (logged & (2**48 - 1)) // 1000
    assert visit_class <= CLASSES, "service_agreements: no such class"
    assert started_at <= ended_at and ended_at - started_at <= DAY, "service_agreements: visit's times are no stretch of a day"
    assert ended_at <= observed + CLOCK_TOLERANCE, "service_agreements: visit ended after it was logged"
    if level == 0:
        return self._day(observed)
    assert ended_at + MEMORY >= observed, "service_agreements: visit is older than gateways remember"
    return self._day(ended_at)


@internal
def _enter(line: bytes32, slot: uint256, day: uint256, rank: uint256, digest: bytes32):
    """
    @notice Keep the visit if its slot is free or holds a day of the ring's last round, or if none of its class with its
            signatures was seen as well on that day.
    """
    word: uint256 = self.visits[line][slot]
    lane: uint256 = unsafe_add(SEEN_LANE, unsafe_mul(3, unsafe_sub(rank >> 3, 4) & 15))
    seen: uint256 = unsafe_add(rank & 7, 1)
    kept: uint256 = day
    if word & DAY_MASK >= day or (slot >= REPAIRS and word != 0):
        is_better: bool = word & DAY_MASK == day and (word >> lane) & 7 < seen
        assert is_better, "service_agreements: day has a visit that is as good"
        kept = word & ~(7 << lane)
        if (word & (2**PAID_LANE - 1)) >> unsafe_add(lane, 3) != 0:
            # The digest stays that of a better visit.
            self.visits[line][slot] = kept | (seen << lane)
            return
        kept = kept & (2**DIGEST_LANE - 1)
    self.visits[line][slot] = ((convert(digest, uint256) >> DIGEST_LANE) << DIGEST_LANE) | kept | (seen << lane)


# --- Internal: overdue ---


@internal
@view
def _overdue_days(agreement: bytes32, visit_class: uint256, from_day: uint256, through_day: uint256) -> uint256:
    """
    @notice Days that begin later than interval and grace after the last visit before them, silent days left out.
    """
    assert through_day < from_day + DAYS_MAX, "service_agreements: more than 64 days at once"
    kept: Agreement = self.agreements[agreement]
    interval: uint256 = (kept.clock >> (16 * (visit_class - 1))) & (2**16 - 1)
    if interval == 0:
        return 0
    allowed: uint256 = interval + ((kept.clock >> 192) & 255)
    done_on: uint256 = (kept.clock >> (64 + 16 * (visit_class - 1))) & (2**16 - 1)
    # Back to the last visit: days since it on which the gateway could see one.
    elapsed: uint256 = 0
    for i: uint256 in range(WALK_MAX):
        day: uint256 = from_day - min(from_day, i + 1)
        if day <= done_on or elapsed > allowed or self._is_done(kept.line, day, kept.rule, visit_class):
            break
        if not staticcall COUNTER.is_silent(kept.device, day):
            elapsed += 1
    overdue: uint256 = 0
    for i: uint256 in range(DAYS_MAX):
        day: uint256 = from_day + i
        if day > through_day:
            break
        if day > done_on and not staticcall COUNTER.is_silent(kept.device, day):
            elapsed += 1
            if elapsed > allowed:
                overdue += 1
        if self._is_done(kept.line, day, kept.rule, visit_class):
            elapsed = 0
    return overdue


@internal
@view
def _is_done(line: bytes32, day: uint256, rule: uint256, visit_class: uint256) -> bool:
    done: uint256 = 0
    fee: uint256 = 0
    done, fee = self._done(line, day, rule)
    return done >= visit_class


@internal
@view
def _done(line: bytes32, day: uint256, rule: uint256) -> (uint256, uint256):
    """
    @notice The highest class of the day's visits that have the signatures and the level that the agreement asks for, and the
            most fen that one of them earns: its class's fee by its level's factor. Zeros if there is none, or if one is
            contradicted by another visit of its mechanic.
    """
    done: uint256 = 0
    most: uint256 = 0
    word: uint256 = self.visits[line][day % RING]
    if word & DAY_MASK != day or staticcall COUNTER.is_void(line, day):
        return done, most
    asked: uint256 = (rule >> 199) & 3
    for place: uint256 in range(16):
        seen: uint256 = (word >> (SEEN_LANE + 3 * place)) & 7
        if seen > rule >> 218 and place & asked == asked:
            done = place // 4 + 1
            fee: uint256 = (rule >> (32 * (place // 4))) & (2**32 - 1)
            most = max(most, fee * ((rule >> (128 + 11 * (seen - 1))) & (2**11 - 1)) // 1000)
    return done, most


@internal
@view
def _claim(agreement: bytes32, number: uint256) -> Claim:
    word: uint256 = self.claims[agreement][number]
    return Claim(
        visit_class=word & (2**40 - 1),
        from_day=(word >> 40) & (2**40 - 1),
        through_day=(word >> 80) & (2**40 - 1),
        days=(word >> 120) & (2**40 - 1),
        claimed_at=word >> 160,
    )


@internal
@pure
def _penalty(clock: uint256) -> uint256:
    return (clock >> 200) & (2**32 - 1)


# --- Internal: terms ---


@internal
@pure
def _check_terms(terms: Terms):
    assert terms.device != empty(bytes32) and terms.plan != empty(bytes32) and terms.firm != 0, "service_agreements: device, plan or firm is missing"
    assert terms.account != empty(address) and terms.payer != empty(address), "service_agreements: an account is missing"
    assert terms.starts_on != 0 and terms.ends_on >= terms.starts_on and terms.ends_on <= terms.starts_on + TERM_MAX, "service_agreements: term is empty or over ten years"
    is_in_range: bool = terms.ends_on < 2**16 and terms.grace <= GRACE_MAX and terms.penalty < 2**32 and terms.deposit < 2**64 and terms.firm < 2**24 and terms.level < LEVELS
    is_rising: bool = terms.factors[LEVELS - 1] <= FACTOR_MAX
    for i: uint256 in range(CLASSES):
        is_in_range = is_in_range and terms.fees[i] < 2**31 and terms.intervals[i] <= INTERVAL_MAX
        is_in_range = is_in_range and terms.done_on[i] <= terms.starts_on
        # What is more work, or better seen, is never worth less.
        is_rising = is_rising and terms.factors[i] <= terms.factors[i + 1]
        if i != 0:
            is_rising = is_rising and terms.fees[i - 1] <= terms.fees[i]
    assert is_in_range, "service_agreements: a number is out of range"
    assert is_rising, "service_agreements: fees or factors fall, or over 2000"


@internal
@pure
def _rule(terms: Terms) -> uint256:
    rule: uint256 = (terms.ends_on << 183) | (terms.starts_on << 202) | (terms.level << 218)
    for i: uint256 in range(CLASSES):
        rule |= terms.fees[i] << (32 * i)
    for i: uint256 in range(LEVELS):
        rule |= terms.factors[i] << (128 + 11 * i)
    if terms.two_people:
        rule |= 1 << 199
    if terms.countersigned:
        rule |= 1 << 200
    return rule


@internal
@pure
def _clock(terms: Terms) -> uint256:
    clock: uint256 = (terms.grace << 192) | (terms.penalty << 200)
    for i: uint256 in range(CLASSES):
        clock |= terms.intervals[i] << (16 * i)
        clock |= terms.done_on[i] << (64 + 16 * i)
        # No day before the first one can be claimed.
        clock |= (terms.starts_on - 1) << (128 + 16 * i)
    return clock


@internal
@pure
def _ends_on(rule: uint256) -> uint256:
    return (rule >> 183) & (2**16 - 1)


@internal
@pure
def _starts_on(rule: uint256) -> uint256:
    return (rule >> 202) & (2**16 - 1)


@internal
@pure
def _line(device: bytes32, plan: bytes32, firm: uint256) -> bytes32:
    return keccak256(abi_encode(device, plan, firm))


@internal
@pure
def _check_class(visit_class: uint256):
    assert visit_class != 0 and visit_class <= CLASSES, "service_agreements: no such class"


@internal
@view
def _standing(agreement: bytes32) -> uint256:
    rule: uint256 = self.agreements[agreement].rule
    assert rule & AGREED != 0, "service_agreements: no such agreement"
    return rule


@internal
@view
def _only_manager():
    assert msg.sender == staticcall REGISTRY.manager(), "service_agreements: only the manager may do this"


@internal
@view
def _today() -> uint256:
    return self._day(block.timestamp)


@internal
@view
def _day(time: uint256) -> uint256:
    return convert(unsafe_add(convert(time, int256), UTC_OFFSET), uint256) // DAY


# --- Internal: money ---


@internal
@view
def _budget(agreement: bytes32) -> uint256:
    return self.agreements[agreement].purse & (2**96 - 1)


@internal
@view
def _deposit(agreement: bytes32) -> uint256:
    return (self.agreements[agreement].purse >> 96) & (2**96 - 1)


@internal
@view
def _claimed(agreement: bytes32) -> uint256:
    return self.agreements[agreement].purse >> 192


@internal
def _set_purse(agreement: bytes32, budget: uint256, deposit: uint256, claimed: uint256):
    assert budget < 2**96 and deposit < 2**96 and claimed < 2**64, "service_agreements: a number is out of range"
    self.agreements[agreement].purse = budget | (deposit << 96) | (claimed << 192)
