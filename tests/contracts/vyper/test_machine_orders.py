"""Orders that a machine reports: its own entries, what it says later, and the committee where it says nothing."""

from dataclasses import replace

from contracts.calls import work_orders
from contracts.entry import Kind
from contracts.work_order import State, source_of
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.site import DAY, LIFT, name
from tests.contracts.vyper.work_site import (
    FAULT,
    HOUR,
    INSPECTION,
    NORMAL,
    PRICE,
    TERMS,
    WorkSite,
)


def test_the_lift_reports_its_fault_and_later_confirms_the_repair(work: WorkSite) -> None:
    order = work.report_by_machine()
    assert work.order(order).source == source_of(LIFT, "lift.mode") and work.order(order).seen_at > 0
    last = work_orders.last_orders(work.orders, source=source_of(LIFT, "lift.mode"))
    assert work_orders.parse_last_orders(work.chain.view(last)) == order
    work.accept_paid(order)
    work.finish(order)
    with refused("work_orders: another unit reported it"):
        work.confirm(order)
    with refused("work_orders: entry is older than the work"):
        work.judge(order, NORMAL, at=work.chain.now() - 1)
    work.chain.wait(HOUR)
    with refused("work_orders: entry does not say that all is well"):
        work.judge(order, INSPECTION)
    work.judge(order, NORMAL)
    assert work.order(order).state is State.CONFIRMED and work.held(work.firm) == PRICE
    with refused("work_orders: fault is older than its last repair"):
        work.report_by_machine(at=work.order(order).done_at)
    work.chain.wait(HOUR)
    assert work_orders.parse_last_orders(work.chain.view(last)) != work.report_by_machine()


def test_a_fault_seen_after_the_repair_reopens_it(work: WorkSite) -> None:
    order = work.report_by_machine()
    work.accept(order)
    with refused("work_orders: order is not done"):
        work.judge(order, FAULT)
    work.finish(order)
    work.chain.wait(HOUR)
    work.judge(order, FAULT)
    found = work.order(order)
    assert (found.state, found.reopened) == (State.ACCEPTED, 1)


def test_the_committee_objects_where_the_machine_says_nothing(work: WorkSite) -> None:
    """A gateway that is silent, or a mode that is logged only when it changes, would confirm by silence."""
    order = work.report_by_machine()
    work.accept_paid(order)
    work.finish(order)
    objection = work_orders.object_to(work.orders, order=order, reason=name("still stands"))
    with refused("work_orders: only the committee speaks for a machine"):
        work.send(work.manager, objection)
    work.send(work.committee, objection)
    assert (work.order(order).state, work.order(order).reopened) == (State.ACCEPTED, 1)
    with refused("work_orders: order is in another state"):
        work.send(work.committee, objection)
    while work.order(order).reopened < TERMS.reopens_max:
        work.finish(order)
        work.send(work.committee, objection)
    work.finish(order)
    with refused("work_orders: reopened too often"):
        work.send(work.committee, objection)
    work.chain.wait(TERMS.confirm_within + 1)
    with refused("work_orders: window is over"):
        work.send(work.committee, objection)
    owners = work.done()
    with refused("work_orders: an owner reported it"):
        work.send(work.committee, work_orders.object_to(work.orders, order=owners, reason=name("no")))


def test_a_fault_that_goes_away_by_itself_closes_its_report(work: WorkSite) -> None:
    order = work.report_by_machine()
    with refused("work_orders: entry is older than the fault"):
        work.judge(order, NORMAL, at=work.chain.now() - DAY)
    with refused("work_orders: entry does not say that all is well"):
        work.judge(order, INSPECTION)
    work.judge(order, NORMAL)
    assert work.order(order).state is State.WITHDRAWN
    with refused("work_orders: fault is older than its last repair"):
        work.report_by_machine(at=work.order(order).done_at)


def test_an_entry_counts_only_as_proven_and_in_time(work: WorkSite) -> None:
    origin_id = work.log.origin_id
    entry_call = work_orders.report_by_machine
    work.mode(FAULT)
    head, proof = work.proof()
    with refused("work_orders: head is not the accepted one"):
        wrong = replace(head, root=name("another root"))
        work.send(work.stranger, entry_call(work.orders, origin_id=origin_id, head=wrong, proof=proof))
    with refused("work_orders: entry is not in the log"):
        forged = replace(proof, entry=replace(proof.entry, salt=bytes(range(16))))
        work.send(work.stranger, entry_call(work.orders, origin_id=origin_id, head=head, proof=forged))
    with refused("work_orders: entry reports no fault"):
        work.report_by_machine(NORMAL)
    for value in (-1, 256, INSPECTION):
        with refused("work_orders: entry reports no fault"):
            work.report_by_machine(value)
    with refused("work_orders: entry is no status"):
        work.report_by_machine(kind=Kind.GATEWAY)
    with refused("work_orders: device belongs to another log"):
        work.report_by_machine(device=name("a neighbour's lift"))
    with refused("work_orders: entry is from the future"):
        work.report_by_machine(at=work.chain.now() + HOUR)
    with refused("work_orders: entry is too old"):
        work.report_by_machine(at=work.chain.now() - TERMS.report_within - HOUR)
    order = work.report_by_machine()
    with refused("work_orders: fault is reported already"):
        work.report_by_machine()
    with refused("work_orders: entry is not about this order"):
        work.judge(work.report(), NORMAL)
    with refused("work_orders: entry is not about this order"):
        work.judge(name("no order"), NORMAL)
    assert work.order(order).state is State.REPORTED
