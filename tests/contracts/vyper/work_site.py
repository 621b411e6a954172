"""A small site with repairs: owners, two firms with a mechanic each, a lift whose gateway logs its mode, and a fund."""

from collections.abc import Iterator, Sequence
from typing import Any

from contracts import p256
from contracts.abi import Call, padded
from contracts.calls import reserve_fund, token, work_orders
from contracts.calls import work_orders_events as events
from contracts.calls.anchor_log import Head
from contracts.calls.tariffs import EntryProof
from contracts.entry import Entry, Kind
from contracts.person import PersonSignature, Purpose, sign_software
from contracts.vyper.compile import artifact
from contracts.work_order import (
    LIFT_FAULT,
    NO_DEVICE,
    NOBODY,
    Fault,
    Order,
    OrderBook,
    Terms,
    machines_order,
    owners_order,
)
from tests.contracts.vyper.chain import Chain, Receipt
from tests.contracts.vyper.fund_site import CHAIN_ID, FOREVER, UNITS, FundSite
from tests.contracts.vyper.site import DAY, LIFT, ORIGIN, PRECOMPILE, GatewayLog, coordinates, key_id, name

HOUR = 3600
TERMS = Terms(
    accept_within=DAY,
    promise_max=30 * DAY,
    confirm_within=7 * DAY,
    redo_within=2 * DAY,
    give_up_after=5 * DAY,
    report_within=7 * DAY,
    reopens_max=2,
    price_max=20_000,
)
OWNERS = tuple(p256.key_from_secret(3000 + index) for index in range(2))
MECHANICS = {1: p256.key_from_secret(3100), 2: p256.key_from_secret(3101), 0: p256.key_from_secret(3102)}
GATEWAY = p256.key_from_secret(3200)
FAULT, NORMAL, INSPECTION = 3, 0, 1
PRICE = 5_000


class WorkSite:
    """The deployed contracts, the parties, and shorthand for what they do."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.fund_site = FundSite(chain)
        self.fund_site.deposit(1, (0,), (1_000_000,))
        self.stand_in, self.token = self.fund_site.stand_in, self.fund_site.token
        self.manager, self.committee = self.fund_site.manager, self.fund_site.committee
        self.firm, self.relayer, self.stranger = self.fund_site.firm, self.fund_site.relayer, self.fund_site.stranger
        tell = self.stand_in.tell
        for part, address in (
            ("crews", self.stand_in.address),
            ("anchor_log", self.stand_in.address),
            ("reserve_fund", self.fund_site.fund),
        ):
            tell("set_contract", padded(part), address)
        self.orders = self.deploy(TERMS)
        for unit, key in zip(UNITS, OWNERS, strict=False):
            tell("set_owner", key_id(key), unit, *coordinates(key))
        for number, key in MECHANICS.items():
            tell("set_crew", key_id(key), name(f"mechanic {number}"), number, FOREVER, *coordinates(key))
        for number in (1, 2):
            tell("set_firm", number, FOREVER)
        self.log = GatewayLog(ORIGIN, GATEWAY)
        tell("assign", LIFT, self.log.origin_id)
        chain.send(self.manager, token.approve(self.token, spender=self.orders, amount=2**200))
        self.logs: list[tuple[events.Event, int]] = []
        self.steps: list[int] = []  # gas of each transaction
        self.reports = 0

    def deploy(self, terms: Terms, faults: Sequence[Fault] = (LIFT_FAULT,)) -> str:
        creation = work_orders.deploy(
            artifact("WorkOrders").bytecode,
            registry=self.stand_in.address,
            terms=terms,
            faults=faults,
            verifier=PRECOMPILE,
        )
        return self.chain.deploy(self.manager, creation)

    def send(self, sender: str, call: Call) -> Receipt:
        """Mine a transaction and keep what is said."""
        receipt = self.chain.send(sender, call)
        self.steps.append(receipt.gas_used)
        at = self.chain.now()
        for log in receipt.logs:
            if log.address.lower() == self.orders.lower():
                event = events.parse_event(log.topics, log.data)
                assert event is not None
                self.logs.append((event, at))
        return receipt

    def sign(
        self, key: p256.PrivateKey, purpose: Purpose, *body: Any, deadline: int = FOREVER, nonce: int = 1
    ) -> PersonSignature:
        return sign_software(
            key,
            chain_id=CHAIN_ID,
            contract=self.orders,
            purpose=purpose,
            nonce=nonce,
            deadline=deadline,
            body_digest=purpose.body_digest(*body),
        )

    # --- An order's way ---

    def report(self, owner: int = 0, device: bytes = NO_DEVICE) -> bytes:
        """An owner reports something; returns the order's name."""
        self.reports += 1
        report = name(f"tap {self.reports}")
        signature = self.sign(OWNERS[owner], Purpose.REPORT_WORK, device, report)
        self.send(self.relayer, work_orders.report(self.orders, device=device, report=report, signature=signature))
        return owners_order(UNITS[owner], device, report)

    def accept(self, order: bytes, by: str | None = None, **changes: Any) -> Receipt:
        """The manager accepts for firm 1 within a day, without a price."""
        fields: dict[str, Any] = {
            "firm": 1,
            "promise_at": self.chain.now() + DAY,
            "price": 0,
            "payee": NOBODY,
            "budget": 0,
        }
        call = work_orders.accept(self.orders, order=order, **(fields | changes))
        return self.send(by or self.manager, call)

    def accept_paid(self, order: bytes, price: int = PRICE, budget: int = 0, **changes: Any) -> Receipt:
        return self.accept(order, price=price, payee=self.firm, budget=budget, **changes)

    def accept_as_firm(self, order: bytes, firm: int = 1, seconds: int = DAY) -> Receipt:
        promise_at = self.chain.now() + seconds
        body = (order, promise_at, self.order(order).round)
        signature = self.sign(MECHANICS[firm], Purpose.ACCEPT_WORK, *body)
        call = work_orders.accept_as_firm(self.orders, order=order, promise_at=promise_at, signature=signature)
        return self.send(self.relayer, call)

    def finish(self, order: bytes, firm: int = 1) -> Receipt:
        body = (order, name("photographs"), self.order(order).round)
        signature = self.sign(MECHANICS[firm], Purpose.FINISH_WORK, *body)
        call = work_orders.finish(self.orders, order=order, evidence=name("photographs"), signature=signature)
        return self.send(self.relayer, call)

    def confirm(self, order: bytes, owner: int = 0) -> Receipt:
        signature = self.sign(OWNERS[owner], Purpose.CONFIRM_WORK, order, self.order(order).round)
        return self.send(self.relayer, work_orders.confirm(self.orders, order=order, signature=signature))

    def reopen(self, order: bytes, owner: int = 0) -> Receipt:
        body = (order, name("still drips"), self.order(order).round)
        signature = self.sign(OWNERS[owner], Purpose.REOPEN_WORK, *body)
        call = work_orders.reopen(self.orders, order=order, reason=name("still drips"), signature=signature)
        return self.send(self.relayer, call)

    def withdraw(self, order: bytes, owner: int = 0) -> Receipt:
        signature = self.sign(OWNERS[owner], Purpose.WITHDRAW_WORK, order, self.order(order).round)
        return self.send(self.relayer, work_orders.withdraw(self.orders, order=order, signature=signature))

    def done(self, price: int = 0) -> bytes:
        """An order that was reported, accepted and done."""
        order = self.report()
        if price:
            self.accept_paid(order, price)
        else:
            self.accept(order)
        self.finish(order)
        return order

    # --- The machine ---

    def mode(self, value: int, *, at: int | None = None, device: bytes = LIFT, kind: Kind = Kind.STATUS) -> Entry:
        """The lift's mode as its gateway logs it, now."""
        entry = Entry(
            kind=kind,
            device=device,
            observed_at_ms=(self.chain.now() if at is None else at) * 1000,
            quantity="lift.mode",
            value=value,
            detail_digest=bytes(32),
            salt=len(self.log.entries).to_bytes(16),
        )
        self.log.append(entry)
        return entry

    def proof(self) -> tuple[Head, EntryProof]:
        """The log's last entry under a head that was just accepted."""
        size = self.log.tree.size
        head = Head(size, self.log.tree.root(size), self.chain.now())
        self.stand_in.tell("accept", self.log.origin_id, head.root)
        return head, self.log.proof(size - 1, size)

    def report_by_machine(self, value: int = FAULT, **changes: Any) -> bytes:
        entry = self.mode(value, **changes)
        head, proof = self.proof()
        call = work_orders.report_by_machine(self.orders, origin_id=self.log.origin_id, head=head, proof=proof)
        self.send(self.stranger, call)
        return machines_order(entry)

    def judge(self, order: bytes, value: int, **changes: Any) -> Receipt:
        self.mode(value, **changes)
        head, proof = self.proof()
        call = work_orders.judge_by_machine(
            self.orders, order=order, origin_id=self.log.origin_id, head=head, proof=proof
        )
        return self.send(self.stranger, call)

    # --- What stands ---

    def order(self, order: bytes) -> Order:
        return work_orders.parse_order(self.chain.view(work_orders.order(self.orders, order=order)))

    def escrowed(self) -> int:
        return work_orders.parse_escrowed(self.chain.view(work_orders.escrowed(self.orders)))

    def held(self, account: str) -> int:
        return self.fund_site.held(account)

    def budget(self, amount: int) -> int:
        """A budget that this contract may draw from."""
        return self.fund_site.open(self.fund_site.budget(amount, payee=self.orders, is_drawn=True))

    def purse(self) -> reserve_fund.Purse:
        return self.fund_site.purse(1)

    def book(self) -> OrderBook:
        """What the events so far give."""
        book = OrderBook()
        for event, at in self.logs:
            book.apply(event, at)
        return book


def undone(site: WorkSite) -> Iterator[WorkSite]:
    """The site, put back afterwards."""
    fund = site.fund_site
    snapshot = site.chain.snapshot()
    kept = (site.log, site.logs, site.reports, fund.logs, fund.resolutions)
    site.log, site.logs, fund.logs = GatewayLog(ORIGIN, GATEWAY), [*site.logs], [*fund.logs]
    yield site
    site.log, site.logs, site.reports, fund.logs, fund.resolutions = kept
    site.chain.revert_to(snapshot)
