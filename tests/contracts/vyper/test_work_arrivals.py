"""Arrivals in WorkOrders: who came and when, once for each person and round, and what that does to a promise."""

from collections.abc import Callable
from typing import Any

import pytest

from contracts.calls import crews, crews_changes, work_orders
from contracts.calls import work_orders_events as events
from contracts.calls.crews import Duty
from contracts.p256 import PrivateKey
from contracts.person import PersonSignature, Purpose, sign_software
from contracts.work_order import Cause, State, Trigger, triggers
from tests.contracts.vyper.chain import Receipt
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.fund_site import CHAIN_ID, FOREVER
from tests.contracts.vyper.site import DAY, LICENCE_UNTIL, coordinates, key_of, name
from tests.contracts.vyper.work_site import HOUR, MECHANICS, NORMAL, OWNERS, SCAN, TERMS, WorkSite

CLOCK_S = 600  # by which a phone's clock may be off
ALIAS = name("mechanic 1")
Bring = Callable[..., Receipt]


@pytest.fixture
def bring(work: WorkSite) -> Bring:
    """What anyone may hand in: a signature, and the call's own words beside it."""

    def brought(order: bytes, at: int, signature: PersonSignature, arrival: bytes = SCAN) -> Receipt:
        call = work_orders.arrive(work.orders, order=order, arrival=arrival, at=at, signature=signature)
        return work.send(work.stranger, call)

    return brought


def here(work: WorkSite, order: bytes, at: int, key: PrivateKey = MECHANICS[1], **changes: Any) -> PersonSignature:
    """A person's word that they are there, in the order's first round unless that is named."""
    round_ = changes.pop("round", 0)
    return work.sign(key, Purpose.ARRIVE_WORK, order, SCAN, at, round_, **changes)


def enrol(work: WorkSite, alias: bytes, key: PrivateKey, *, firm: int, duties: int) -> None:
    """One more person of a firm."""
    x, y = coordinates(key)
    at = work.fund_site.crews
    work.fund_site.enact(
        crews_changes.set_member(at, alias=alias, firm=firm, duties=duties, licence_until=LICENCE_UNTIL),
        crews_changes.add_crew_key(at, alias=alias, x=x, y=y, kind=2, relying_party=0),
    )


def came(work: WorkSite, order: bytes) -> tuple[int, int]:
    """Who came first, as contract and events agree."""
    found, told = work.order(order), work.book().order(order)
    assert (told.arrived_at, told.arrived_firm) == (found.arrived_at, found.arrived_firm)
    return found.arrived_at, found.arrived_firm


# --- What is put on record ---


def test_somebody_who_came_is_on_record_with_the_time_that_they_signed(work: WorkSite) -> None:
    order = work.report()
    assert came(work, order) == (0, 0)
    work.accept(order)
    at = work.chain.now() + HOUR
    work.chain.wait(2 * HOUR)
    work.arrive(order, at=at)
    assert work.logs[-1][0] == events.Arrived(order, ALIAS, 1, at, SCAN)
    assert came(work, order) == (at, 1) and work.order(order).state is State.ACCEPTED
    work.finish(order)
    work.confirm(order)
    assert came(work, order) == (at, 1)


def test_each_person_comes_once_in_a_round_and_the_first_stands(work: WorkSite, bring: Bring) -> None:
    colleague = key_of(3400)
    enrol(work, name("colleague"), colleague, firm=1, duties=Duty.MECHANIC)
    order = work.report()
    work.accept(order)
    begins = work.chain.now()
    work.chain.wait(HOUR)
    signature = here(work, order, begins + 900)
    bring(order, begins + 900, signature)
    with refused("work_orders: person has come already"):
        bring(order, begins + 900, signature)
    with refused("work_orders: person has come already"):
        work.arrive(order, at=begins + 60)
    bring(order, begins + 1200, here(work, order, begins + 1200, colleague))
    assert came(work, order) == (begins + 900, 1)
    assert [event.crew for event, _ in work.logs if isinstance(event, events.Arrived)] == [ALIAS, name("colleague")]


def test_who_was_there_before_but_is_heard_of_later_came_first(work: WorkSite, bring: Bring) -> None:
    colleague = key_of(3400)
    enrol(work, name("colleague"), colleague, firm=1, duties=Duty.INSTALLER)
    order = work.report()
    work.accept(order)
    begins = work.chain.now()
    work.chain.wait(HOUR)
    work.arrive(order, at=begins + 900)
    bring(order, begins + 300, here(work, order, begins + 300, colleague))
    assert came(work, order) == (begins + 300, 1)


# --- Forgeries ---


def test_an_arrival_counts_only_as_it_was_signed(work: WorkSite, bring: Bring) -> None:
    order, other = work.report(), work.report()
    work.accept(order)
    work.accept(other)
    at = work.chain.now()
    signature = here(work, order, at)
    for named, when, scan in ((other, at, SCAN), (order, at - 1, SCAN), (order, at, name("another code"))):
        with refused("work_orders: crew's signature does not match"):
            bring(named, when, signature, scan)
    body = Purpose.ARRIVE_WORK.body_digest(order, SCAN, at, 0)
    for chain_id, contract in ((CHAIN_ID + 1, work.orders), (CHAIN_ID, work.fund_site.fund)):
        elsewhere = sign_software(
            MECHANICS[1], chain_id=chain_id, contract=contract, purpose=Purpose.ARRIVE_WORK, nonce=1, deadline=FOREVER,
            body_digest=body,
        )  # fmt: skip
        with refused("work_orders: crew's signature does not match"):
            bring(order, at, elsewhere)
    done = work.sign(MECHANICS[1], Purpose.FINISH_WORK, order, SCAN, 0)
    with refused("work_orders: crew's signature does not match"):
        bring(order, at, done)
    with refused("work_orders: signature's deadline has passed"):
        bring(order, at, here(work, order, at, deadline=at - 1))
    with refused("work_orders: order is unknown"):
        work.arrive(name("no order"))
    assert came(work, order) == came(work, other) == (0, 0)
    bring(order, at, signature)


def test_an_arrival_is_a_licensed_crew_members_whose_key_is_in_force(work: WorkSite, bring: Bring) -> None:
    first, second = work.report(), work.report()
    at = work.chain.now()
    with refused("work_orders: crew key is not in force"):
        bring(first, at, here(work, first, at, OWNERS[0]))
    for firm, order in ((1, first), (2, second)):
        work.accept(order, firm=firm)
    at = work.chain.now()
    work.chain.send(work.committee, crews.end_member(work.fund_site.crews, alias=ALIAS))
    work.end_firm(2)
    work.chain.wait(1)
    with refused("work_orders: crew key is not in force"):
        bring(first, at, here(work, first, at))
    with refused("work_orders: licence is over"):
        bring(second, at, here(work, second, at, MECHANICS[2]))


# --- Whose coming counts ---


def test_once_a_firm_accepted_only_its_own_people_come(work: WorkSite) -> None:
    order = work.report()
    work.accept(order)
    for firm in (2, 0):
        with refused("work_orders: another firm accepted the order"):
            work.arrive(order, firm)
    work.arrive(order, 1)


def test_before_anybody_accepts_every_mechanic_comes_and_the_sites_manager_does_not(work: WorkSite) -> None:
    order = work.report()
    with refused("work_orders: person has not the duty"):
        work.arrive(order, 0)
    work.arrive(order, 2)
    first, firm = came(work, order)
    assert firm == 2
    work.chain.wait(60)
    work.accept(order)
    assert came(work, order) == (first, 2)
    work.arrive(order, 1)
    assert came(work, order)[0] > first and came(work, order)[1] == 1, "the accepting firm's own coming stands"


def test_the_sites_own_people_come_where_no_firm_was_called(work: WorkSite) -> None:
    order = work.report()
    work.accept(order, firm=0)
    work.arrive(order, 0)
    assert came(work, order)[0] and came(work, order)[1] == 0


def test_a_firms_cashier_does_not_come(work: WorkSite, bring: Bring) -> None:
    cashier = key_of(3401)
    enrol(work, name("cashier"), cashier, firm=1, duties=Duty.CASHIER)
    order = work.report()
    work.accept(order)
    at = work.chain.now()
    with refused("work_orders: person has not the duty"):
        bring(order, at, here(work, order, at, cashier))


# --- When ---


def test_nobody_comes_before_the_fault_or_ahead_of_time(work: WorkSite) -> None:
    early, late = work.report(), work.report()
    begins = work.order(early).reported_at
    with refused("work_orders: arrival is older than the fault"):
        work.arrive(early, at=begins - CLOCK_S - 1)
    work.arrive(early, at=begins - CLOCK_S)
    assert came(work, early) == (begins, 1), "a clock that is behind makes nobody early"
    with refused("work_orders: nobody waited at that time"):
        work.arrive(late, at=work.chain.now() + CLOCK_S + HOUR)
    work.arrive(late, at=work.chain.now() + CLOCK_S)
    assert came(work, late) == (work.chain.now(), 1), "one that is ahead makes nobody late"
    with refused("execution reverted"):
        work.arrive(work.report(), at=2**256 - 1)


def test_of_a_machines_fault_time_counts_from_when_it_was_seen(work: WorkSite) -> None:
    seen_at = work.chain.now() - HOUR
    order = work.report_by_machine(at=seen_at)
    work.arrive(order, at=seen_at + 120)
    assert came(work, order) == (seen_at + 120, 1)


def test_an_arrival_that_is_brought_late_counts_while_it_is_young(work: WorkSite) -> None:
    """A phone in a machine room may have had no network until the work was done, or the lift itself was well."""
    freed, worked = work.report_by_machine(), work.report()
    work.accept(worked)
    at = work.chain.now()
    work.chain.wait(HOUR)
    work.judge(freed, NORMAL)
    work.finish(worked)
    assert work.order(freed).state is State.WITHDRAWN and work.order(worked).state is State.DONE
    for order in (freed, worked):
        done_at = work.order(order).done_at
        with refused("work_orders: nobody waited at that time"):
            work.arrive(order, at=done_at + CLOCK_S + 1)
        work.arrive(order, at=at + 60)
        assert came(work, order) == (at + 60, 1)
    old = work.report()
    work.chain.wait(TERMS.report_within + HOUR)
    with refused("work_orders: arrival is too old"):
        work.arrive(old, at=work.order(old).reported_at + 60)


def test_nobody_comes_to_an_order_that_its_owner_took_back(work: WorkSite) -> None:
    order = work.report()
    at = work.chain.now()
    work.withdraw(order)
    for when in (at, at + HOUR):
        with refused("work_orders: nobody waited at that time"):
            work.arrive(order, at=when)


# --- Promises and rounds ---


def test_a_promise_is_kept_by_coming_in_time_and_missed_by_coming_late(work: WorkSite) -> None:
    kept, late = work.report(), work.report()
    work.accept(kept)
    work.accept(late)
    work.arrive(kept)
    work.chain.wait(DAY + HOUR)
    work.arrive(late)
    with refused("work_orders: firm came in time"):
        work.send(work.stranger, work_orders.escalate(work.orders, order=kept))
    work.send(work.stranger, work_orders.escalate(work.orders, order=late))
    assert work.order(late).escalated == Cause.PROMISE_MISSED
    assert triggers(work.order(kept), TERMS, work.chain.now()) == ()


def test_another_firms_coming_keeps_no_promise(work: WorkSite) -> None:
    order = work.report()
    work.arrive(order, 2)
    work.accept_as_firm(order, 1)
    work.chain.wait(DAY + HOUR)
    assert triggers(work.order(order), TERMS, work.chain.now()) == (Trigger.ESCALATE,)
    work.send(work.stranger, work_orders.escalate(work.orders, order=order))
    assert work.order(order).escalated == Cause.PROMISE_MISSED


def test_who_came_but_never_finishes_loses_the_order_all_the_same(work: WorkSite) -> None:
    order = work.report()
    work.accept(order)
    work.arrive(order)
    work.chain.wait(DAY + TERMS.give_up_after + HOUR)
    work.send(work.stranger, work_orders.release(work.orders, order=order))
    assert work.order(order).state is State.REPORTED and came(work, order) == (0, 0)


def test_a_new_round_needs_a_new_arrival(work: WorkSite, bring: Bring) -> None:
    order = work.report()
    work.accept(order)
    at = work.chain.now()
    signature = here(work, order, at)
    bring(order, at, signature)
    unheard = here(work, order, at + 1)
    work.chain.wait(HOUR)
    work.finish(order)
    work.reopen(order)
    assert came(work, order) == (0, 0)
    for when, earlier in ((at, signature), (at + 1, unheard)):
        with refused("work_orders: crew's signature does not match"):
            bring(order, when, earlier)
    work.arrive(order)
    assert came(work, order)[0] > at
