"""A small site with repairs: owners, two firms with a mechanic each, a lift whose gateway logs its mode, and a fund."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

from contracts import p256
from contracts.abi import Call
from contracts.calls import (
    anchor_log,
    crews,
    crews_changes,
    registry_changes,
    reserve_fund,
    roll,
    roll_changes,
    token,
    work_orders,
)
from contracts.calls import work_orders_events as events
from contracts.calls.anchor_log import NO_HEAD, Head
from contracts.calls.charges import EntryProof
from contracts.calls.crews import Duty
from contracts.entry import Entry, Kind
from contracts.person import PersonSignature, Purpose, sign_software
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
from tests.contracts.vyper.site import DAY, LICENCE_UNTIL, LIFT, ORIGIN, GatewayLog, coordinates, name
from tests.contracts.vyper.small_site import WORK_TERMS

HOUR = 3600
TERMS = WORK_TERMS
OWNERS = tuple(p256.key_from_secret(3000 + index) for index in range(2))
MECHANICS = {1: p256.key_from_secret(3100), 2: p256.key_from_secret(3101), 0: p256.key_from_secret(3102)}
GATEWAY = p256.key_from_secret(3200)
FAULT, NORMAL, INSPECTION = 3, 0, 1
PRICE = 5_000
SCAN = name("a display's code")


class WorkSite:
    """The deployed contracts, the parties, and shorthand for what they do."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.fund_site = site = FundSite(chain)
        site.deposit(1, (0,), (1_000_000,))
        self.token, self.orders = site.token, site.work_orders
        self.manager, self.committee = site.manager, site.committee
        self.firm, self.relayer, self.stranger = site.firm, site.relayer, site.stranger
        self.log, self.head = GatewayLog(ORIGIN, GATEWAY), NO_HEAD
        codes = [name(f"code {index}") for index in range(len(OWNERS))]
        letters = [sha256(code).digest() for code in codes]
        chain.send(self.committee, roll.post_letters(site.roll, units=UNITS[: len(OWNERS)], digests=letters))
        site.enact(
            *[self.owner_call(unit, key, code) for unit, key, code in zip(UNITS, OWNERS, codes, strict=False)],
            *[call for firm, key in MECHANICS.items() for call in self.crew_calls(firm, key)],
            self.gateway_call(),
            registry_changes.assign_devices(site.registry, origin_id=self.log.origin_id, first_index=0, devices=[LIFT]),
        )
        chain.send(self.manager, token.approve(self.token, spender=self.orders, amount=2**200))
        self.logs: list[tuple[events.Event, int]] = []
        self.steps: list[int] = []  # gas of each transaction
        self.reports = 0

    def owner_call(self, unit: bytes, key: p256.PrivateKey, code: bytes) -> Call:
        x, y = coordinates(key)
        return roll_changes.add_owner_key(
            self.fund_site.roll, unit=unit, x=x, y=y, kind=2, relying_party=0, letter_code=code
        )

    def crew_calls(self, firm: int, key: p256.PrivateKey) -> list[Call]:
        """A firm with one of its people; firm 0 is the site itself, with its manager's man."""
        crews_at, alias, (x, y) = self.fund_site.crews, name(f"mechanic {firm}"), coordinates(key)
        duties = Duty.MECHANIC if firm else Duty.SITE_MANAGER
        calls = [
            crews_changes.set_member(crews_at, alias=alias, firm=firm, duties=duties, licence_until=LICENCE_UNTIL),
            crews_changes.add_crew_key(crews_at, alias=alias, x=x, y=y, kind=2, relying_party=0),
        ]
        if firm:
            digest = name(f"firm {firm}")
            calls.insert(
                0, crews_changes.set_firm(crews_at, firm=firm, name_digest=digest, licence_until=LICENCE_UNTIL)
            )
        return calls

    def gateway_call(self) -> Call:
        x, y = coordinates(GATEWAY)
        return registry_changes.set_gateway_key(
            self.fund_site.registry, origin=ORIGIN, x=x, y=y, key_class=1, building=0
        )

    def end_firm(self, firm: int) -> None:
        """The committee ends a firm's licence at once."""
        self.chain.send(self.committee, crews.end_firm(self.fund_site.crews, firm=firm))

    def deploy(self, terms: Terms, faults: Sequence[Fault] = (LIFT_FAULT,)) -> str:
        return self.chain.deploy(self.manager, self.fund_site.work_creation(terms, faults))

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

    def arrive(self, order: bytes, firm: int = 1, *, at: int | None = None) -> Receipt:
        """One of a firm's people says that they have come, now."""
        at = self.chain.now() if at is None else at
        signature = self.sign(MECHANICS[firm], Purpose.ARRIVE_WORK, order, SCAN, at, self.order(order).round)
        call = work_orders.arrive(self.orders, order=order, arrival=SCAN, at=at, signature=signature)
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
        signed, previous = self.log.signed(), self.head
        size = signed.size
        call = anchor_log.accept(
            self.fund_site.anchor_log,
            origin=ORIGIN,
            previous=previous,
            size=size,
            root=signed.root,
            r=signed.r,
            s=signed.s,
            proof=self.log.consistency(previous.size, size),
        )
        self.chain.send(self.stranger, call)
        head = self.head = Head(size, signed.root, self.chain.now())
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
    kept = (site.log, site.head, site.logs, site.reports, fund.logs, fund.resolutions)
    site.log, site.head, site.logs, fund.logs = GatewayLog(ORIGIN, GATEWAY), NO_HEAD, [*site.logs], [*fund.logs]
    yield site
    site.log, site.head, site.logs, site.reports, fund.logs, fund.resolutions = kept
    site.chain.revert_to(snapshot)
