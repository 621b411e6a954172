"""WorkOrders as a state machine beside a Python model: escrow is conserved, and each step is taken by who may."""

import os
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from contracts.calls import work_orders
from contracts.calls import work_orders_events as events
from contracts.work_order import Cause, Order, OrderBook, State, Trigger, WorkOrderError, source_of, triggers
from tests.contracts.vyper.chain import Chain
from tests.contracts.vyper.fund_site import UNITS
from tests.contracts.vyper.predicted import Predicted, require, run_paths
from tests.contracts.vyper.site import DAY, LIFT, name
from tests.contracts.vyper.work_site import FAULT, NORMAL, TERMS, WorkSite, undone

EXAMPLES = int(os.environ.get("MINGLOU_SEEDS", "16"))
BUDGET = 60_000
CLOCK_S = 600  # by which a phone's clock may be off
LIFTS_FAULT = source_of(LIFT, "lift.mode")
OWNERS = st.integers(0, 1)
FIRMS = st.sampled_from([1, 1, 1, 2])


# What may happen next, and from what its arguments are drawn. One rule draws among all of them, for hypothesis leaves
# out many rules of an example, and an order needs several in a row.
ACTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "a_report": {"owner": OWNERS},
    "a_machines_report": {},
    "somebody_withdraws": {"owner": OWNERS},
    "accept": {"firm": FIRMS, "price": st.sampled_from([0, 700, 9_000, 20_001]), "from_fund": st.booleans()},
    "accept_as_firm": {"firm": FIRMS},
    "somebody_comes": {"firm": FIRMS},
    "finish": {"firm": FIRMS},
    "somebody_confirms": {"owner": OWNERS},
    "reopen": {"owner": OWNERS},
    "the_machine_judges": {"value": st.sampled_from([NORMAL, NORMAL, FAULT])},
    "anyone_triggers": {"trigger": st.sampled_from(Trigger)},
    "somebody_looks_after_all_that_is_late": {"days": st.sampled_from([3, 8])},
    "somebody_refuses": {"by": st.sampled_from(["committee", "committee", "manager", "stranger"])},
    "an_order_is_never_done_well": {"by": st.sampled_from(["committee", "manager"])},
    "some_days": {"days": st.sampled_from([1, 3])},
}


class Work(Predicted):
    """Calls in any order; each is predicted, and its refusal too."""

    site: WorkSite

    def __init__(self) -> None:
        super().__init__()
        self._undone = undone(self.site)
        next(self._undone)
        self.orders: dict[bytes, Order] = {}
        self.have_come: set[tuple[bytes, int, int]] = set()  # order, round, firm: each has one mechanic
        self.budget = self.site.budget(BUDGET)
        self.drawn = self.paid = 0
        self.manager_had = self.site.held(self.site.manager)

    @initialize()
    def begin(self) -> None:
        """An order of each sort on its way: chance alone rarely goes so far."""
        machines = self.report_by_machine()
        assert machines is not None
        self.judge(machines, NORMAL)
        self.wait(1)
        self.withdraw(self.report(1), 1)
        self.confirm(self.bring_on(self.report(0), 300), 0)
        unheard = self.bring_on(self.report(1), 500)
        self.wait(TERMS.confirm_within // DAY + 1)
        self.trigger(unheard, Trigger.LAPSE)
        self.judge(self.bring_on(self.report_by_machine(), 0), NORMAL)
        self.wait(1)
        self.bring_on(self.report(0), 700)
        self.an_order_is_never_done_well("committee")
        self.bring_on(self.report(1), 0)
        self.judge(self.bring_on(self.report_by_machine(), 900), FAULT)

    def bring_on(self, order: bytes | None, price: int) -> bytes:
        """To done."""
        assert order is not None
        promise_at = self.now + DAY
        self.site.accept(order, promise_at=promise_at, price=price, payee=self.site.firm, budget=0)
        self.manager_had -= price
        self.change(
            order, state=State.ACCEPTED, firm=1, promise_at=promise_at, price=price, payee=self.site.firm
        )  # fmt: skip
        self.come(order, 1)
        self.site.finish(order)
        self.change(order, state=State.DONE, done_at=self.now)
        return order

    def teardown(self) -> None:
        assert self.site.book().orders.keys() == self.orders.keys()
        for order, told in self.site.book().orders.items():
            assert lower(told) == lower(self.orders[order]) == lower(self.site.order(order))
        for _ in self._undone:
            pass

    def any_order(self, data: st.DataObject, *states: State, whose: bytes | None = None) -> bytes:
        """An order, more often than not in one of these states."""
        fitting = [
            order for order, found in self.orders.items() if found.state in states and whose in (None, found.source)
        ]
        return data.draw(st.sampled_from(fitting * 4 + list(self.orders)))

    def change(self, order: bytes, **changes: Any) -> None:
        self.orders[order] = replace(self.orders[order], **changes)

    @rule(data=st.data(), action=st.sampled_from(sorted(ACTIONS)))
    def something_happens(self, data: st.DataObject, action: str) -> None:
        arguments = {name: data.draw(strategy) for name, strategy in ACTIONS[action].items()}
        act = getattr(self, action)
        if "data" in act.__code__.co_varnames[: act.__code__.co_argcount]:
            arguments["data"] = data
        act(**arguments)

    # --- Reports ---

    def a_report(self, owner: int) -> None:
        self.report(owner)

    def report(self, owner: int) -> bytes:
        with self.expected("report", True):
            order = self.site.report(owner)
        self.orders[order] = Order(state=State.REPORTED, reported_at=self.now, source=UNITS[owner])
        return order

    def a_machines_report(self) -> None:
        self.report_by_machine()

    def report_by_machine(self) -> bytes | None:
        seen_at = self.now
        before = [order for order in self.orders.values() if order.source == LIFTS_FAULT]
        known = bool(before) and not (before[-1].is_closed and seen_at > before[-1].done_at)
        with self.expected("report_by_machine", not known):
            order = self.site.report_by_machine()
        if known:
            return None
        self.orders[order] = Order(state=State.REPORTED, reported_at=self.now, seen_at=seen_at, source=LIFTS_FAULT)
        return order

    def somebody_withdraws(self, data: st.DataObject, owner: int) -> None:
        self.withdraw(self.any_order(data, State.REPORTED, whose=UNITS[owner]), owner)

    def withdraw(self, order: bytes, owner: int) -> None:
        succeeds = self.orders[order].state is State.REPORTED and self.orders[order].source == UNITS[owner]
        with self.expected("withdraw", succeeds):
            self.site.withdraw(order, owner)
        if succeeds:
            self.change(order, state=State.WITHDRAWN)

    # --- Work ---

    def accept(self, data: st.DataObject, firm: int, price: int, from_fund: bool) -> None:
        order = self.any_order(data, State.REPORTED, State.REPORTED)
        found = self.orders[order]
        is_standing = found.state is State.ACCEPTED and found.promise_at > self.now + DAY // 24
        promise_at = found.promise_at if is_standing else self.now + 2 * DAY
        budget = self.budget if from_fund and price else 0
        succeeds = (found.state is State.REPORTED or (found.state is State.ACCEPTED and found.price == 0)) and not (
            budget and price > min(TERMS.price_max, BUDGET - self.drawn)
        )
        payee = self.site.firm
        with self.expected("accept", succeeds):
            self.site.accept(order, firm=firm, promise_at=promise_at, price=price, payee=payee, budget=budget)
        if succeeds:
            self.change(
                order,
                state=State.ACCEPTED,
                escalated=found.escalated & Cause.NOT_ACCEPTED,
                firm=firm,
                promise_at=promise_at,
                price=price,
                payee=payee,
                budget=budget,
            )
            self.drawn += price if budget else 0
            self.manager_had -= 0 if budget else price

    def accept_as_firm(self, data: st.DataObject, firm: int) -> None:
        order = self.any_order(data, State.REPORTED)
        succeeds = self.orders[order].state is State.REPORTED
        promise_at = self.now + DAY
        with self.expected("accept_as_firm", succeeds):
            self.site.accept_as_firm(order, firm, promise_at - self.now)
        if succeeds:
            promise_at = self.site.order(order).promise_at
            self.change(order, state=State.ACCEPTED, firm=firm, promise_at=promise_at)

    def somebody_comes(self, data: st.DataObject, firm: int) -> None:
        self.come(self.any_order(data, State.REPORTED, State.ACCEPTED), firm)

    def come(self, order: bytes, firm: int) -> None:
        found, at = self.orders[order], self.now
        person = (order, found.round, firm)
        ends_at = found.done_at if found.state >= State.DONE else at
        is_theirs = not found.promise_at or firm == found.firm
        succeeds = is_theirs and person not in self.have_come and at <= ends_at + CLOCK_S
        with self.expected("arrive", succeeds):
            self.site.arrive(order, firm, at=at)
        if succeeds:
            self.have_come.add(person)
            self.orders[order] = found.with_arrival(firm, min(at, ends_at))

    def finish(self, data: st.DataObject, firm: int) -> None:
        order = self.any_order(data, State.ACCEPTED, State.ACCEPTED)
        succeeds = self.orders[order].state is State.ACCEPTED and self.orders[order].firm == firm
        with self.expected("finish", succeeds):
            self.site.finish(order, firm)
        if succeeds:
            self.change(order, state=State.DONE, done_at=self.now)

    # --- Ends ---

    def somebody_confirms(self, data: st.DataObject, owner: int) -> None:
        self.confirm(self.any_order(data, State.DONE, whose=UNITS[owner]), owner)

    def confirm(self, order: bytes, owner: int) -> None:
        succeeds = self.orders[order].state is State.DONE and self.orders[order].source == UNITS[owner]
        with self.expected("confirm", succeeds):
            self.site.confirm(order, owner)
        if succeeds:
            self.pay_out(order, State.CONFIRMED)

    def reopen(self, data: st.DataObject, owner: int) -> None:
        order = self.any_order(data, State.DONE)
        succeeds = self.can_reopen(order) and self.orders[order].source == UNITS[owner]
        with self.expected("reopen", succeeds):
            self.site.reopen(order, owner)
        if succeeds:
            self.again(order)

    def the_machine_judges(self, data: st.DataObject, value: int) -> None:
        machines = [order for order, found in self.orders.items() if found.seen_at]
        self.judge(data.draw(st.sampled_from(machines)), value)

    def judge(self, order: bytes, value: int) -> None:
        found, seen_at = self.orders[order], self.now + 60
        if found.state is State.REPORTED:
            succeeds = value == NORMAL
        elif value == FAULT:
            succeeds = self.can_reopen(order)
        else:
            succeeds = found.state is State.DONE
        with self.expected(f"judge {value}", succeeds):
            self.site.judge(order, value, at=seen_at)
        if succeeds and found.state is State.REPORTED:
            self.change(order, state=State.WITHDRAWN, done_at=seen_at)
        elif succeeds and value == FAULT:
            self.again(order)
        elif succeeds:
            self.pay_out(order, State.CONFIRMED)

    def anyone_triggers(self, data: st.DataObject, trigger: Trigger) -> None:
        self.trigger(data.draw(st.sampled_from(list(self.orders))), trigger)

    def somebody_looks_after_all_that_is_late(self, days: int) -> None:
        self.wait(days)
        for order in [*self.orders]:
            for trigger in triggers(self.orders[order], TERMS, self.now):
                self.trigger(order, trigger)

    def trigger(self, order: bytes, trigger: Trigger) -> None:
        found = self.orders[order]
        succeeds = trigger in triggers(found, TERMS, self.now)
        with self.expected(str(trigger), succeeds):
            call = getattr(work_orders, trigger)(self.site.orders, order=order)
            self.site.send(self.site.stranger, call)
        if not succeeds:
            return
        if trigger is Trigger.LAPSE:
            self.pay_out(order, State.LAPSED)
        elif trigger is Trigger.RELEASE:
            self.give_back(order)
        else:
            cause = Cause.NOT_ACCEPTED if found.state is State.REPORTED else Cause.PROMISE_MISSED
            self.change(order, escalated=found.escalated | cause)

    def somebody_refuses(self, data: st.DataObject, by: str) -> None:
        self.refuse(self.any_order(data, State.DONE), by)

    def refuse(self, order: bytes, by: str) -> None:
        found = self.orders[order]
        in_time = self.now <= found.done_at + TERMS.confirm_within
        worn = found.reopened >= TERMS.reopens_max
        succeeds = by == "committee" and found.state is State.DONE and worn and in_time
        with self.expected("refuse", succeeds):
            call = work_orders.refuse(self.site.orders, order=order, document=name("expert's report"))
            self.site.send(getattr(self.site, by), call)
        if succeeds:
            self.give_back(order)

    def an_order_is_never_done_well(self, by: str) -> None:
        """Chance alone rarely reopens one order as often as it may be."""
        done = [order for order, found in self.orders.items() if found.state is State.DONE and not found.seen_at]
        if not done or not self.can_reopen(done[0]):
            return
        order, owner = done[0], UNITS.index(self.orders[done[0]].source)
        while self.can_reopen(order):
            with self.expected("reopen", True):
                self.site.reopen(order, owner)
            self.again(order)
            with self.expected("finish", True):
                self.site.finish(order, self.orders[order].firm)
            self.change(order, state=State.DONE, done_at=self.now)
        self.refuse(order, by)

    # Sums of these waits end hours away from every edge.
    def some_days(self, days: int) -> None:
        self.wait(days)

    def wait(self, days: int) -> None:
        self.site.chain.wait(days * DAY + 3607)

    # --- What holds ---

    @property
    def now(self) -> int:
        return self.site.chain.now()

    def can_reopen(self, order: bytes) -> bool:
        found = self.orders[order]
        in_time = self.now <= found.done_at + TERMS.confirm_within
        return found.state is State.DONE and found.reopened < TERMS.reopens_max and in_time

    def again(self, order: bytes) -> None:
        found = self.orders[order]
        self.change(
            order,
            state=State.ACCEPTED,
            reopened=found.reopened + 1,
            round=found.round + 1,
            promise_at=self.now + TERMS.redo_within,
            escalated=found.escalated & Cause.NOT_ACCEPTED,
            arrived_at=0,
            arrived_firm=0,
        )

    def pay_out(self, order: bytes, state: State) -> None:
        self.paid += self.orders[order].price
        self.change(order, state=state, price=0)

    def give_back(self, order: bytes) -> None:
        found = self.orders[order]
        if found.budget:
            self.drawn -= found.price
        else:
            self.manager_had += found.price
        self.orders[order] = Order(
            state=State.REPORTED,
            round=found.round + 1,
            reported_at=self.now,
            seen_at=found.seen_at,
            source=found.source,
        )

    @invariant()
    def every_fen_is_where_the_model_has_it(self) -> None:
        site = self.site
        escrow = sum(order.price for order in self.orders.values())
        assert site.held(site.orders) == site.escrowed() == escrow
        assert site.held(site.firm) == self.paid and site.held(site.manager) == self.manager_had
        assert site.purse().fund == 1_000_000 - self.drawn


def lower(order: Order) -> Order:
    return replace(order, payee=order.payee.lower())


NEEDED = (
    "report",
    "report_by_machine",
    "withdraw",
    "accept",
    "accept_as_firm",
    "arrive",
    "finish",
    "confirm",
    "reopen",
)
NEEDED += ("judge 0", "judge 3", "escalate", "release", "lapse", "refuse")


@pytest.mark.slow
@pytest.mark.timeout(3600)  # in soak, with many examples
def test_escrow_is_conserved_and_each_step_is_taken_by_who_may(chain: Chain) -> None:
    snapshot = chain.snapshot()
    Work.site = WorkSite(chain)
    run_paths(Work, examples=EXAMPLES, steps=40)
    chain.revert_to(snapshot)
    require(Work, NEEDED, times=3)


def test_a_book_refuses_what_no_contract_can_say() -> None:
    book = OrderBook()
    with pytest.raises(WorkOrderError, match="never reported"):
        book.apply(events.WorkDone(name("order"), name("mechanic"), name("photographs")), 1)
    reported = events.ReportedByOwner(name("order"), UNITS[0], LIFT, name("report"), name("key"))
    book.apply(reported, 1)
    with pytest.raises(WorkOrderError, match="reported twice"):
        book.apply(reported, 2)
