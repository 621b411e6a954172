# pragma version 0.4.3
# pragma nonreentrancy on
# pragma optimize codesize
"""
@title WorkOrders
@license Apache-2.0
@notice Repair requests of one site: reported, accepted with a promise, done with evidence, confirmed or lapsed,
        reopened, paid. What is wrong and where, photographs and receipts stay off the chain; here are their digests.

        How it moves. An owner reports with the unit's key, or the machine itself does: a gateway's entry that says so,
        such as a lift's fault. The manager accepts for a firm, with escrow where it costs money (his own, or drawn from
        a budget that owners resolved); a firm accepts by itself what its standing contract covers. Somebody of that
        firm signs on the spot that they have come, and later that it is done. The owner, or the machine by a later
        entry, confirms or reopens; silence confirms when the window is over.

        Invariants
        - Tokens held = escrow of orders that are accepted or done.
        - Escrow goes to the payee once the work is confirmed or the window is over, or back to where it came from; to
          nobody else.
        - Who reports has a key of the unit, or an entry under an accepted head of the gateway that the device belongs to.
        - Only a key of the accepting firm, licensed on that day, says done; only the unit's key, or the machine's entry
          seen after it was done, confirms or reopens; where a machine reported, the committee may reopen too. No signature
          serves twice.
        - Who says that they have come has the duty and a licence; where a firm accepted, they are of that firm. Once for
          each person and round, at a time at which the order waited, and brought while that is young.
        - An order is reopened a bounded number of times; then the committee may refuse the work instead.
        - Anyone may put on record that an order was not accepted in time or that its promise was missed; a promise is
          kept once somebody of the firm came in time.
        - The events alone rebuild the state.
"""

from ethereum.ercs import IERC20

import entry_proof
import p256
import person
import tokens

initializes: p256
initializes: person[p256 := p256]


interface Registry:
    def manager() -> address: view
    def committee() -> address: view
    def contract_named(name: bytes32) -> address: view
    def is_assigned(device: bytes32, origin_id: bytes32, index: uint256) -> bool: view


interface Roll:
    def person_key(key_id: bytes32) -> person.PersonKey: view


interface Crews:
    def crew_key(key_id: bytes32) -> CrewKey: view
    def firm(number: uint256) -> Firm: view


interface AnchorLog:
    def accepted(origin_id: bytes32, head: Head) -> (bool, bool): view


interface ReserveFund:
    def draw(resolution: uint256, amount: uint256): nonpayable
    def put_back(resolution: uint256, amount: uint256): nonpayable


FAULTS_MAX: constant(uint256) = 8
KIND_STATUS: constant(uint256) = 2
PRICE_END: constant(uint256) = 2**64
LANE: constant(uint256) = 2**40 - 1
# A gateway's clock may be ahead by so much (DESIGN section 4: otherwise the entry is time-suspect), a phone's off by it.
CLOCK_SECONDS: constant(uint256) = 600

REPORTED: constant(uint256) = 1
ACCEPTED: constant(uint256) = 2
DONE: constant(uint256) = 3
CONFIRMED: constant(uint256) = 4
LAPSED: constant(uint256) = 5
WITHDRAWN: constant(uint256) = 6

# Duties in Crews. A firm sends mechanics and installers; the site itself has none, and sends its manager.
HANDS: constant(uint256) = 5
SITE_MANAGER: constant(uint256) = 2

NOT_ACCEPTED: constant(uint256) = 1
PROMISE_MISSED: constant(uint256) = 2

NAME_ROLL: constant(bytes32) = 0x726f6c6c00000000000000000000000000000000000000000000000000000000
NAME_CREWS: constant(bytes32) = 0x6372657773000000000000000000000000000000000000000000000000000000
NAME_ANCHOR_LOG: constant(bytes32) = 0x616e63686f725f6c6f6700000000000000000000000000000000000000000000
NAME_TOKEN: constant(bytes32) = 0x746f6b656e000000000000000000000000000000000000000000000000000000
NAME_RESERVE_FUND: constant(bytes32) = 0x726573657276655f66756e640000000000000000000000000000000000000000
PURPOSE_REPORT: constant(bytes32) = 0x776f726b2e7265706f7274000000000000000000000000000000000000000000
PURPOSE_WITHDRAW: constant(bytes32) = 0x776f726b2e776974686472617700000000000000000000000000000000000000
PURPOSE_ACCEPT: constant(bytes32) = 0x776f726b2e616363657074000000000000000000000000000000000000000000
PURPOSE_ARRIVE: constant(bytes32) = 0x776f726b2e617272697665000000000000000000000000000000000000000000
PURPOSE_DONE: constant(bytes32) = 0x776f726b2e646f6e650000000000000000000000000000000000000000000000
PURPOSE_CONFIRM: constant(bytes32) = 0x776f726b2e636f6e6669726d0000000000000000000000000000000000000000
PURPOSE_REOPEN: constant(bytes32) = 0x776f726b2e72656f70656e000000000000000000000000000000000000000000

REGISTRY: immutable(Registry)
ROLL: immutable(Roll)
CREWS: immutable(Crews)
ANCHOR_LOG: immutable(AnchorLog)
TOKEN: immutable(IERC20)
FUND: immutable(ReserveFund)
TERMS: immutable(Terms)


struct Terms:
    accept_within: uint256  # seconds from the report
    promise_max: uint256  # seconds ahead that a promise may be
    confirm_within: uint256  # seconds in which done work may be reopened; silence then confirms
    redo_within: uint256  # seconds promised for reopened work
    give_up_after: uint256  # seconds after a missed promise until the order may be given to somebody else
    report_within: uint256  # seconds in which a machine's entry, or an arrival, may still be brought
    reopens_max: uint256
    price_max: uint256  # fen that the manager alone may draw from a budget for one order


struct Fault:
    quantity: bytes32
    faulty: uint256  # bit v: value v says that something is wrong
    sound: uint256  # bit v: value v says that all is well


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


struct Firm:
    exists: bool
    licence_until: uint256
    name_digest: bytes32


struct Order:
    state: uint256  # 1 reported, 2 accepted, 3 done, 4 confirmed, 5 lapsed, 6 withdrawn
    escalated: uint256  # bits: 1 not accepted in time, 2 promise missed
    reopened: uint256  # times since it was accepted
    round: uint256  # rises whenever it is reopened or released, so that no signature serves twice
    reported_at: uint256  # Unix seconds
    promise_at: uint256
    done_at: uint256  # said so, or seen to be well again by the machine
    seen_at: uint256  # the machine's entry; zero for an owner's report
    price: uint256  # fen in escrow
    source: bytes32  # unit; for the machine's report SHA-256(device || quantity)
    firm: uint256
    budget: uint256  # that the escrow was drawn from, zero for the payer's own money
    payee: address


struct Arrival:
    arrived_at: uint256  # Unix seconds; zero while nobody has come in this round
    firm: uint256  # of whoever came


struct StoredOrder:
    # Lanes from the right: state 4, escalated 4, reopened 8, round 16, reported 40, promise 40, done 40, seen 40, price 64.
    # A round takes days, so that 2^16 of them never come.
    lanes: uint256
    source: bytes32
    work: uint256  # lanes from the right: payee 160, firm 24, budget 64


orders: HashMap[bytes32, StoredOrder]
payers: HashMap[bytes32, address]  # of escrow that is not drawn from a budget
# The first who came, of the accepting firm where there is one, by order. Lanes from the right: arrived 40, round 16, firm 24.
arrivals: HashMap[bytes32, uint256]
has_come: HashMap[bytes32, bool]  # by Keccak-256 of order, round and person
faults: HashMap[bytes32, Fault]
last_orders: public(HashMap[bytes32, bytes32])  # the machine's last order by its source
escrowed: public(uint256)


event FaultKnown:
    quantity: indexed(bytes32)
    faulty: uint256
    sound: uint256


event ReportedByOwner:
    order: indexed(bytes32)
    unit: indexed(bytes32)
    device: indexed(bytes32)
    report: bytes32
    key_id: bytes32


event ReportedByMachine:
    order: indexed(bytes32)
    device: indexed(bytes32)
    quantity: bytes32
    value: int256
    seen_at: uint256
    detail: bytes32


event Accepted:
    order: indexed(bytes32)
    firm: indexed(uint256)
    promise_at: uint256
    price: uint256
    payee: address
    budget: uint256
    payer: address
    crew: bytes32


event Arrived:
    order: indexed(bytes32)
    crew: indexed(bytes32)
    firm: uint256
    arrived_at: uint256
    arrival: bytes32


event WorkDone:
    order: indexed(bytes32)
    crew: indexed(bytes32)
    evidence: bytes32


event Closed:
    order: indexed(bytes32)
    state: uint256
    done_at: uint256
    by: bytes32


event Reopened:
    order: indexed(bytes32)
    reason: bytes32
    promise_at: uint256
    by: bytes32


event Escalated:
    order: indexed(bytes32)
    cause: uint256


event Released:
    order: indexed(bytes32)
    document: bytes32


event PaidOut:
    order: indexed(bytes32)
    payee: indexed(address)
    amount: uint256


event Refunded:
    order: indexed(bytes32)
    budget: indexed(uint256)
    amount: uint256


@deploy
def __init__(registry: address, terms: Terms, faults: DynArray[Fault, FAULTS_MAX], verifier: address):
    """
    @notice Repairs of the registry's site. Roll, Crews, AnchorLog, token and fund are those of the registry's directory.
    @param terms The site's rules, from its data pack; see the struct.
    @param faults Which values of which quantities are a machine's report, and which its confirmation.
    @param verifier Where P-256 signatures are verified; see p256.vy.
    """
    p256.__init__(verifier)
    assert terms.price_max < PRICE_END and terms.reopens_max < 256, "work_orders: terms are out of range"
    REGISTRY = Registry(registry)
    ROLL = Roll(staticcall Registry(registry).contract_named(NAME_ROLL))
    CREWS = Crews(staticcall Registry(registry).contract_named(NAME_CREWS))
    ANCHOR_LOG = AnchorLog(staticcall Registry(registry).contract_named(NAME_ANCHOR_LOG))
    TOKEN = IERC20(staticcall Registry(registry).contract_named(NAME_TOKEN))
    FUND = ReserveFund(staticcall Registry(registry).contract_named(NAME_RESERVE_FUND))
    TERMS = terms
    for fault: Fault in faults:
        assert fault.faulty & fault.sound == 0, "work_orders: a value is faulty and sound"
        self.faults[fault.quantity] = fault
        log FaultKnown(quantity=fault.quantity, faulty=fault.faulty, sound=fault.sound)


# --- Reports ---


@external
def report(device: bytes32, report: bytes32, signature: person.PersonSignature) -> bytes32:
    """
    @notice An owner reports what is broken. Anyone may relay it.
    @param device SHA-256 of the device's URN; zero for what has none.
    @param report Salted digest of words, place and photographs.
    @return The order's name, SHA-256(unit || device || report).
    """
    key: person.PersonKey = self._owner(PURPOSE_REPORT, sha256(abi_encode(device, report)), signature)
    order: bytes32 = sha256(abi_encode(key.unit, device, report))
    self._open(order, key.unit, 0)
    log ReportedByOwner(order=order, unit=key.unit, device=device, report=report, key_id=signature.key_id)
    return order


@external
def report_by_machine(origin_id: bytes32, head: Head, proof: entry_proof.EntryProof) -> bytes32:
    """
    @notice A gateway's entry that says that something is wrong. Anyone may bring it; one open order for each fault.
    @return The order's name, the entry's leaf hash.
    """
    source: bytes32 = self._check_entry(origin_id, head, proof)
    entry: entry_proof.Entry = proof.entry
    assert self._says(self.faults[entry.quantity].faulty, entry.value), "work_orders: entry reports no fault"
    seen_at: uint256 = entry.observed_at // 1000
    assert block.timestamp <= seen_at + TERMS.report_within, "work_orders: entry is too old"
    last: bytes32 = self.last_orders[source]
    if last != empty(bytes32):
        previous: Order = self._order(last)
        assert previous.state >= CONFIRMED, "work_orders: fault is reported already"
        assert seen_at > previous.done_at, "work_orders: fault is older than its last repair"
    order: bytes32 = entry_proof._leaf_hash(entry)
    self._open(order, source, seen_at)
    self.last_orders[source] = order
    log ReportedByMachine(
        order=order,
        device=entry.device,
        quantity=entry.quantity,
        value=entry.value,
        seen_at=seen_at,
        detail=entry.detail,
    )
    return order


@external
def withdraw(order: bytes32, signature: person.PersonSignature):
    """
    @notice The owner takes back a report that nobody has accepted. Anyone may relay it.
    """
    found: Order = self._in_state(order, REPORTED)
    self._reporter(found, PURPOSE_WITHDRAW, sha256(abi_encode(order, found.round)), signature)
    self._close(order, found, WITHDRAWN, signature.key_id)


# --- Work ---


@external
def accept(order: bytes32, firm: uint256, promise_at: uint256, price: uint256, payee: address, budget: uint256):
    """
    @notice The manager gives an order to a firm, with a promise and, where it costs money, escrow. He may also give an
            order that a firm accepted by itself to another one, with no later promise unless that one was missed.
    @param firm Its number; 0 for the site's own people.
    @param budget Resolution whose budget this contract draws from; 0 for the caller's own money.
    """
    assert msg.sender == staticcall REGISTRY.manager(), "work_orders: only the manager accepts for a firm"
    found: Order = self._order(order)
    self._check_promise(promise_at)
    if found.state == ACCEPTED and found.price == 0:
        is_kept: bool = promise_at <= found.promise_at or block.timestamp > found.promise_at
        assert is_kept, "work_orders: promise is later than the one that stands"
        # Whoever comes now has missed nothing.
        found.escalated = found.escalated & NOT_ACCEPTED
    else:
        assert found.state == REPORTED, "work_orders: order is not open"
    if firm != 0:
        assert (staticcall CREWS.firm(firm)).licence_until >= block.timestamp, "work_orders: firm has no licence in force"
    assert price < PRICE_END and budget < PRICE_END, "work_orders: price or budget is out of range"
    assert price == 0 or payee != empty(address), "work_orders: nobody to pay"
    found.state = ACCEPTED
    found.promise_at = promise_at
    found.price = price
    found.firm = firm
    found.budget = budget
    found.payee = payee
    self._store(order, found)
    log Accepted(
        order=order,
        firm=firm,
        promise_at=promise_at,
        price=price,
        payee=payee,
        budget=budget,
        payer=msg.sender,
        crew=empty(bytes32),
    )
    if price != 0:
        self.escrowed += price
        if budget == 0:
            self.payers[order] = msg.sender
            tokens._take(TOKEN, price)
        else:
            assert price <= TERMS.price_max, "work_orders: price is above what may be drawn"
            extcall FUND.draw(budget, price)


@external
def accept_as_firm(order: bytes32, promise_at: uint256, signature: person.PersonSignature):
    """
    @notice A firm accepts what its standing contract covers, signed by one of its people. Anyone may relay it.
    """
    found: Order = self._in_state(order, REPORTED)
    self._check_promise(promise_at)
    crew: CrewKey = self._crew(PURPOSE_ACCEPT, sha256(abi_encode(order, promise_at, found.round)), signature)
    found.state = ACCEPTED
    found.promise_at = promise_at
    found.firm = crew.firm
    self._store(order, found)
    log Accepted(
        order=order,
        firm=crew.firm,
        promise_at=promise_at,
        price=0,
        payee=empty(address),
        budget=0,
        payer=empty(address),
        crew=crew.alias,
    )


@external
def arrive(order: bytes32, arrival: bytes32, at: uint256, signature: person.PersonSignature):
    """
    @notice Somebody says on the spot that they have come. Anyone may relay it; also when the work is done since, for a phone
            may have had no network.
    @param arrival Digest of what was scanned there, salted (`contracts/arrival.py`).
    @param at Unix seconds, by the display whose code was scanned or by the phone.
    """
    found: Order = self._order(order)
    assert found.state != 0, "work_orders: order is unknown"
    crew: CrewKey = self._crew(PURPOSE_ARRIVE, sha256(abi_encode(order, arrival, at, found.round)), signature)
    needed: uint256 = HANDS
    if found.promise_at != 0:  # until somebody accepts, everyone comes who may do such work
        assert crew.firm == found.firm, "work_orders: another firm accepted the order"
        if found.firm == 0:
            needed = SITE_MANAGER
    assert crew.duties & needed != 0, "work_orders: person has not the duty"
    begins: uint256 = found.seen_at
    if begins == 0:
        begins = found.reported_at
    ends: uint256 = block.timestamp
    if found.state >= DONE:
        ends = found.done_at
    arrived_at: uint256 = self._between(begins, ends, at)
    person_in_round: bytes32 = keccak256(abi_encode(order, found.round, crew.alias))
    assert not self.has_come[person_in_round], "work_orders: person has come already"
    self.has_come[person_in_round] = True
    first: Arrival = self._arrival(order, found.round)
    is_accepting: bool = found.promise_at != 0 and first.firm != crew.firm
    if first.arrived_at == 0 or is_accepting or arrived_at < first.arrived_at:
        self.arrivals[order] = arrived_at | (found.round << 40) | (crew.firm << 56)
    log Arrived(order=order, crew=crew.alias, firm=crew.firm, arrived_at=arrived_at, arrival=arrival)


@external
def finish(order: bytes32, evidence: bytes32, signature: person.PersonSignature):
    """
    @notice Somebody of the accepting firm says that it is done. Anyone may relay it.
    @param evidence Salted digest of photographs, parts and receipts.
    """
    found: Order = self._in_state(order, ACCEPTED)
    assert evidence != empty(bytes32), "work_orders: evidence is missing"
    body: bytes32 = sha256(abi_encode(order, evidence, found.round))
    crew: CrewKey = self._crew(PURPOSE_DONE, body, signature)
    assert crew.firm == found.firm, "work_orders: another firm accepted the order"
    found.state = DONE
    found.done_at = block.timestamp
    self._store(order, found)
    log WorkDone(order=order, crew=crew.alias, evidence=evidence)


# --- Its end ---


@external
def confirm(order: bytes32, signature: person.PersonSignature):
    """
    @notice The owner says that it is well done, and the firm is paid. Anyone may relay it.
    """
    found: Order = self._in_state(order, DONE)
    self._reporter(found, PURPOSE_CONFIRM, sha256(abi_encode(order, found.round)), signature)
    self._close(order, found, CONFIRMED, signature.key_id)


@external
def reopen(order: bytes32, reason: bytes32, signature: person.PersonSignature):
    """
    @notice The owner says that it is not done, within the window. Anyone may relay it.
    @param reason Salted digest of words and photographs.
    """
    found: Order = self._in_state(order, DONE)
    self._reporter(found, PURPOSE_REOPEN, sha256(abi_encode(order, reason, found.round)), signature)
    self._reopen(order, found, reason, signature.key_id)


@external
def object(order: bytes32, reason: bytes32):
    """
    @notice The committee says, within the window, that what a machine reported is not done: its gateway may be silent, or log
            a value only when that changes.
    @param reason Digest of words and photographs.
    """
    assert msg.sender == staticcall REGISTRY.committee(), "work_orders: only the committee speaks for a machine"
    found: Order = self._in_state(order, DONE)
    assert found.seen_at != 0, "work_orders: an owner reported it"
    self._reopen(order, found, reason, empty(bytes32))


@external
def judge_by_machine(order: bytes32, origin_id: bytes32, head: Head, proof: entry_proof.EntryProof):
    """
    @notice What the machine says later of a fault that it reported: all is well, or still wrong although done. Anyone may
            bring it.
    """
    found: Order = self._order(order)
    source: bytes32 = self._check_entry(origin_id, head, proof)
    assert found.seen_at != 0 and found.source == source, "work_orders: entry is not about this order"
    entry: entry_proof.Entry = proof.entry
    leaf: bytes32 = entry_proof._leaf_hash(entry)
    known: Fault = self.faults[entry.quantity]
    seen_at: uint256 = entry.observed_at // 1000
    if found.state == REPORTED:
        assert seen_at >= found.seen_at and leaf != order, "work_orders: entry is older than the fault"
        assert self._says(known.sound, entry.value), "work_orders: entry does not say that all is well"
        # A fault from before this moment is no new one.
        found.done_at = seen_at
        self._close(order, found, WITHDRAWN, leaf)
    else:
        assert found.state == DONE, "work_orders: order is not done"
        assert seen_at > found.done_at, "work_orders: entry is older than the work"
        if self._says(known.faulty, entry.value):
            self._reopen(order, found, leaf, leaf)
        else:
            assert self._says(known.sound, entry.value), "work_orders: entry does not say that all is well"
            self._close(order, found, CONFIRMED, leaf)


@external
def lapse(order: bytes32):
    """
    @notice Nobody objected in time: the work counts as confirmed, and the firm is paid. Anyone may trigger it.
    """
    found: Order = self._in_state(order, DONE)
    assert block.timestamp > found.done_at + TERMS.confirm_within, "work_orders: window is open"
    self._close(order, found, LAPSED, empty(bytes32))


@external
def refuse(order: bytes32, document: bytes32):
    """
    @notice Where work was reopened as often as it may be and is still not done, the committee refuses it within the window:
            escrow goes back, and somebody else may accept.
    """
    assert msg.sender == staticcall REGISTRY.committee(), "work_orders: only the committee refuses work"
    found: Order = self._in_state(order, DONE)
    assert found.reopened >= TERMS.reopens_max, "work_orders: work can still be reopened"
    assert block.timestamp <= found.done_at + TERMS.confirm_within, "work_orders: window is over"
    self._release(order, found, document)


@external
def release(order: bytes32):
    """
    @notice A promise missed for long frees the order: escrow goes back, and somebody else may accept. Anyone may trigger it.
    """
    found: Order = self._in_state(order, ACCEPTED)
    assert block.timestamp > found.promise_at + TERMS.give_up_after, "work_orders: firm may still come"
    self._release(order, found, empty(bytes32))


@external
def escalate(order: bytes32):
    """
    @notice Put on record that an order was not accepted in time, or that its promise was missed: nobody of the firm came, or
            nobody was said to until now. Anyone may; once for each.
    """
    found: Order = self._order(order)
    cause: uint256 = 0
    if found.state == REPORTED:
        assert block.timestamp > found.reported_at + TERMS.accept_within, "work_orders: there is still time"
        cause = NOT_ACCEPTED
    else:
        assert found.state == ACCEPTED, "work_orders: order waits for nobody"
        assert block.timestamp > found.promise_at, "work_orders: there is still time"
        first: Arrival = self._arrival(order, found.round)
        is_firms: bool = first.arrived_at != 0 and first.firm == found.firm
        assert not is_firms or first.arrived_at > found.promise_at, "work_orders: firm came in time"
        cause = PROMISE_MISSED
    assert found.escalated & cause == 0, "work_orders: order is escalated"
    found.escalated = found.escalated | cause
    self._store(order, found)
    log Escalated(order=order, cause=cause)


# --- Views ---


@external
@view
def order(order: bytes32) -> (Order, Arrival):
    """
    @notice How an order stands, and who came first; zeros where there is none.
    """
    found: Order = self._order(order)
    return found, self._arrival(order, found.round)


@external
@view
def terms() -> Terms:
    """
    @notice What was fixed at deployment.
    """
    return TERMS


@external
@view
def fault(quantity: bytes32) -> (uint256, uint256):
    """
    @notice Which values of a quantity are a machine's report, and which its confirmation.
    """
    return self.faults[quantity].faulty, self.faults[quantity].sound


# --- Internal: orders ---


@internal
def _open(order: bytes32, source: bytes32, seen_at: uint256):
    assert self.orders[order].lanes == 0, "work_orders: order is known"
    self.orders[order].lanes = REPORTED | (block.timestamp << 32) | (seen_at << 152)
    self.orders[order].source = source


@internal
def _close(order: bytes32, found: Order, state: uint256, by: bytes32):
    """
    @notice The order's last state; what is in escrow goes to the payee.
    """
    price: uint256 = found.price
    closed: Order = found
    closed.state = state
    closed.price = 0
    self._store(order, closed)
    log Closed(order=order, state=state, done_at=found.done_at, by=by)
    if price != 0:
        self.escrowed -= price
        log PaidOut(order=order, payee=found.payee, amount=price)
        tokens._give(TOKEN, found.payee, price)


@internal
def _reopen(order: bytes32, found: Order, reason: bytes32, by: bytes32):
    assert block.timestamp <= found.done_at + TERMS.confirm_within, "work_orders: window is over"
    assert found.reopened < TERMS.reopens_max, "work_orders: reopened too often"
    again: Order = found
    again.state = ACCEPTED
    again.reopened += 1
    again.round += 1
    again.promise_at = block.timestamp + TERMS.redo_within
    again.escalated = found.escalated & NOT_ACCEPTED
    self._store(order, again)
    log Reopened(order=order, reason=reason, promise_at=again.promise_at, by=by)


@internal
def _release(order: bytes32, found: Order, document: bytes32):
    """
    @notice Back to the start, escrow to where it came from; the times that it was reopened begin anew.
    """
    self._store(
        order,
        Order(
            state=REPORTED,
            escalated=0,
            reopened=0,
            round=found.round + 1,
            reported_at=block.timestamp,
            promise_at=0,
            done_at=0,
            seen_at=found.seen_at,
            price=0,
            source=found.source,
            firm=0,
            budget=0,
            payee=empty(address),
        ),
    )
    log Released(order=order, document=document)
    if found.price != 0:
        self.escrowed -= found.price
        log Refunded(order=order, budget=found.budget, amount=found.price)
        if found.budget == 0:
            tokens._give(TOKEN, self.payers[order], found.price)
        else:
            # Where a token says no, the fund finds no allowance.
            extcall TOKEN.approve(FUND.address, found.price, default_return_value=True)
            extcall FUND.put_back(found.budget, found.price)


@internal
@view
def _check_promise(promise_at: uint256):
    assert promise_at > block.timestamp, "work_orders: promise is in the past"
    assert promise_at <= block.timestamp + TERMS.promise_max, "work_orders: promise is too far away"


@internal
def _store(order: bytes32, found: Order):
    self.orders[order].lanes = (
        found.state
        | (found.escalated << 4)
        | (found.reopened << 8)
        | (found.round << 16)
        | (found.reported_at << 32)
        | (found.promise_at << 72)
        | (found.done_at << 112)
        | (found.seen_at << 152)
        | (found.price << 192)
    )
    self.orders[order].work = convert(found.payee, uint256) | (found.firm << 160) | (found.budget << 184)


@internal
@view
def _order(order: bytes32) -> Order:
    stored: StoredOrder = self.orders[order]
    lanes: uint256 = stored.lanes
    return Order(
        state=lanes & 15,
        escalated=(lanes >> 4) & 15,
        reopened=(lanes >> 8) & 255,
        round=(lanes >> 16) & (2**16 - 1),
        reported_at=(lanes >> 32) & LANE,
        promise_at=(lanes >> 72) & LANE,
        done_at=(lanes >> 112) & LANE,
        seen_at=(lanes >> 152) & LANE,
        price=lanes >> 192,
        source=stored.source,
        firm=(stored.work >> 160) & (2**24 - 1),
        budget=(stored.work >> 184) & (2**64 - 1),
        payee=convert(stored.work & (2**160 - 1), address),
    )


@internal
@view
def _arrival(order: bytes32, round: uint256) -> Arrival:
    lanes: uint256 = self.arrivals[order]
    if (lanes >> 40) & (2**16 - 1) != round:
        return empty(Arrival)
    return Arrival(arrived_at=lanes & LANE, firm=lanes >> 56)


@internal
@view
def _between(begins: uint256, ends: uint256, at: uint256) -> uint256:
    """
    @notice When somebody came, between the fault and its repair: a clock that is a little off makes nobody early or late.
    """
    assert at + CLOCK_SECONDS >= begins, "work_orders: arrival is older than the fault"
    assert at <= ends + CLOCK_SECONDS, "work_orders: nobody waited at that time"
    assert block.timestamp <= at + TERMS.report_within, "work_orders: arrival is too old"
    return min(max(at, begins), ends)


@internal
@view
def _in_state(order: bytes32, state: uint256) -> Order:
    found: Order = self._order(order)
    assert found.state == state, "work_orders: order is in another state"
    return found


# --- Internal: who speaks ---


@internal
@view
def _owner(purpose: bytes32, body: bytes32, signature: person.PersonSignature) -> person.PersonKey:
    assert block.timestamp <= signature.deadline, "work_orders: signature's deadline has passed"
    key: person.PersonKey = staticcall ROLL.person_key(signature.key_id)
    assert key.unit != empty(bytes32), "work_orders: key is not in force"
    digest: bytes32 = person._digest(purpose, body, signature)
    assert person._is_signed_by(key, digest, signature), "work_orders: owner's signature does not match"
    return key


@internal
@view
def _reporter(found: Order, purpose: bytes32, body: bytes32, signature: person.PersonSignature):
    key: person.PersonKey = self._owner(purpose, body, signature)
    assert found.seen_at == 0 and key.unit == found.source, "work_orders: another unit reported it"


@internal
@view
def _crew(purpose: bytes32, body: bytes32, signature: person.PersonSignature) -> CrewKey:
    assert block.timestamp <= signature.deadline, "work_orders: signature's deadline has passed"
    crew: CrewKey = staticcall CREWS.crew_key(signature.key_id)
    assert crew.alias != empty(bytes32), "work_orders: crew key is not in force"
    assert crew.licence_until >= block.timestamp, "work_orders: licence is over"
    key: person.PersonKey = person.PersonKey(
        unit=crew.alias,
        index=0,
        x=crew.x,
        y=crew.y,
        kind=crew.kind,
        rp_id_hash=crew.rp_id_hash,
        origin=crew.origin,
    )
    digest: bytes32 = person._digest(purpose, body, signature)
    assert person._is_signed_by(key, digest, signature), "work_orders: crew's signature does not match"
    return crew


@internal
@view
def _check_entry(origin_id: bytes32, head: Head, proof: entry_proof.EntryProof) -> bytes32:
    """
    @notice The entry is logged under the accepted head, by the gateway that the device belongs to, at a time that can be.
    @return What it speaks of.
    """
    is_accepted: bool = False
    is_ended: bool = False
    is_accepted, is_ended = staticcall ANCHOR_LOG.accepted(origin_id, head)
    assert is_accepted, "work_orders: head is not the accepted one"
    assert entry_proof._is_logged(proof, head.size, head.root), "work_orders: entry is not in the log"
    entry: entry_proof.Entry = proof.entry
    assert staticcall REGISTRY.is_assigned(entry.device, origin_id, proof.index), "work_orders: device belongs to another log"
    assert entry.kind == KIND_STATUS, "work_orders: entry is no status"
    assert entry.observed_at // 1000 <= head.accepted_at + CLOCK_SECONDS, "work_orders: entry is from the future"
    return sha256(concat(entry.device, entry.quantity))


@internal
@pure
def _says(mask: uint256, said: int256) -> bool:
    return said >= 0 and said < 256 and (mask >> convert(said, uint256)) & 1 == 1
