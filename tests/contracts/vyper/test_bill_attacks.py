"""What an operator tries with the lines of a bill, and an owner with the answers to them."""

from dataclasses import replace

import pytest

from contracts.abi import Call
from contracts.bill import Bill, Line, LineKind
from contracts.calls import challenges, roll_changes, tariffs
from contracts.calls.challenges_events import DoubleCorrected
from contracts.person import Purpose
from contracts.tariff import Basis, Component, Season, Tariff, Terms
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.lines import Month as Entries
from tests.contracts.vyper.lines import in_force
from tests.contracts.vyper.month import PRIOR, SINCE, USED, Month, close_month, fund, log_month, month_bills
from tests.contracts.vyper.site import (
    BOND_FLOOR,
    CLOSING,
    CLOSING_AT,
    DEPOSIT,
    METERS,
    OPENING,
    PERIOD,
    RESIDENTIAL,
    SPARE_METER,
    UNITS,
    WINDOW,
    Site,
    cost,
    name,
    span,
)
from tests.contracts.vyper.test_challenge import bond, events
from tests.contracts.vyper.test_challenge_kinds import AsPosted, appoint_arbiter, closed, judge, post, standing

WASTE = Terms(
    quantity="fee.waste",
    basis=Basis.HEADS,
    document=name("council's decision"),
    seasons=(Season(components=(Component(name="waste", price=300 * 10**9),)),),
)


def open_on(site: Site, month_path: tuple, bill: Bill, posted: AsPosted) -> Call:  # type: ignore[type-arg]
    signature = site.sign(0, Purpose.CHALLENGE, PERIOD, 0, 0, bill.lines_digest)
    return challenges.open_challenge(
        site.challenges,
        period=PERIOD,
        unit_index=0,
        bill=posted,  # type: ignore[arg-type]  # the leaf as the operator posted it
        path=month_path,
        lines=bill.lines,
        number=0,
        signature=signature,
    )


def test_a_line_written_larger_than_its_bill_is_challenged_all_the_same(site: Site) -> None:
    """Otherwise a bill of 9,999.99 over one line of 10,000.00 could be corrected by nobody."""
    site.chain.wait_until(CLOSING_AT + 3600)
    indexes = log_month(site)
    fund(site, 0)
    right = cost(RESIDENTIAL, used=USED[0], prior=PRIOR[0])
    line = site.line(METERS[0], USED[0], 1_000_000, since=SINCE)
    bill, total = site.bill(0, line), 999_999
    posted = AsPosted(bill, (total, 0))
    tree = post(site, [bill, site.bill(1), site.bill(2)], posted)
    site.chain.send(site.stranger, open_on(site, tree.path(0), bill, posted))
    month = Month(site, [bill], tree, None, indexes)  # type: ignore[arg-type]  # nobody asks for its receipt
    month.answer(0)
    assert month.challenge(0).charge == right
    assert month.status(0).reduction == total - right


def double(month: Month, first: int, second: int, *, lines: tuple[Line, ...] | None = None) -> Call:
    bill = month.bills[0]
    return challenges.correct_double(
        month.site.challenges,
        period=PERIOD,
        unit_index=0,
        bill=bill,
        path=month.path(0),
        lines=bill.lines if lines is None else lines,
        first=first,
        second=second,
    )


def test_what_a_bill_charges_twice_is_charged_once_whoever_shows_it(site: Site) -> None:
    """Each of the two lines is right by itself, so that no challenge of either would help."""
    again = site.line(METERS[0], USED[0], 7_000, since=SINCE)
    part = replace(again, kind=LineKind.ESTIMATED, from_date=20261110, to_date=20261120, amount=500)
    month = closed(
        site, again, part, standing(40, tariff=9, quantity="fee.area"), standing(40, tariff=8, quantity="fee.area")
    )
    balance, held = month.account(0).balance, bond(site)
    found = events(site.chain.send(site.stranger, double(month, 0, 2)))
    assert DoubleCorrected(PERIOD, 0, 0, 2, 7_000, site.stranger.lower()) in found
    assert (month.status(0).reduction, month.challenge(0, 2).charge) == (7_000, 0)
    assert (month.account(0).balance, bond(site)) == (balance, held)
    site.chain.send(site.stranger, double(month, 0, 3))
    site.chain.send(site.stranger, double(month, 4, 5))
    assert month.status(0).reduction == 7_000 + 500 + 40
    with refused("challenges: line was reversed"):
        site.chain.send(site.stranger, double(month, 0, 2))


def test_a_challenged_double_pays_its_deposit_back(site: Site) -> None:
    """While it is open, the deposit and as much again; after an answer that was right about the one line, both."""
    again = site.line(METERS[0], USED[0], cost(RESIDENTIAL, used=USED[0], prior=PRIOR[0]), since=SINCE)
    month = closed(site, again)
    balance = month.account(0).balance
    snapshot = site.chain.snapshot()
    month.open(0, 2)
    site.chain.send(site.stranger, double(month, 0, 2))
    assert month.account(0).balance == balance + DEPOSIT and not month.status(0).is_challenged
    site.chain.revert_to(snapshot)
    month.open(0, 2)
    month.answer(0, 2)
    assert month.account(0).balance == balance - DEPOSIT
    site.chain.send(site.stranger, double(month, 0, 2))
    assert month.account(0).balance == balance + DEPOSIT
    assert bond(site) == 2 * BOND_FLOOR - 2 * DEPOSIT


def test_lines_for_different_things_or_days_are_no_double(site: Site) -> None:
    first_half = site.line(SPARE_METER, 10, 100, since=SINCE)
    month = closed(
        site,
        replace(first_half, to_date=20261115),
        replace(first_half, from_date=20261115),
        replace(first_half, subject=METERS[0], quantity="1-0:2.8.0"),
        standing(500),
        standing(700),
        replace(standing(5, subject=METERS[0], tariff=1, quantity=first_half.quantity), kind=LineKind.CREDIT),
    )
    for first, second in ((2, 3), (0, 2), (0, 4), (5, 6), (0, 7)):
        with refused("challenges: lines do not charge the same twice"):
            site.chain.send(site.stranger, double(month, first, second))
    for first, second in ((0, 0), (3, 2), (0, 8)):
        with refused("challenges: no such line"):
            site.chain.send(site.stranger, double(month, first, second))
    with refused("challenges: lines are not the bill's"):
        site.chain.send(site.stranger, double(month, 0, 1, lines=month.bills[0].lines[:2]))


@pytest.mark.parametrize("days", [(OPENING, 20261199), (20261131, CLOSING)])
def test_days_that_no_calendar_has_are_not_charged_for(site: Site, days: tuple[int, int]) -> None:
    """November to its 99th would be three months' fee."""
    version = in_force(site, WASTE)
    site.enact(roll_changes.set_residents(site.roll, unit=UNITS[0], from_date=20260101, count=3))
    month = Entries(site)
    line = standing(0, tariff=version, subject=WASTE.document, quantity="fee.waste")
    assert month.ask(line, before=[], during=[], terms=WASTE) == 900
    with refused("calendar: no such date"):
        month.ask(replace(line, from_date=days[0], to_date=days[1]), before=[], during=[], terms=WASTE)


def test_another_meter_of_the_unit_does_not_stand_in_for_the_lines_own(site: Site) -> None:
    """A unit with two meters: what the smaller one counted answers nothing about the larger one's line."""
    site.enact(site.binding_change(UNITS[0], SPARE_METER))
    month = Entries(site)
    log = site.log
    small = [log.read(SPARE_METER, date, value) for date, value in ((SINCE, 0), (OPENING, 5), (20261115, 7))]
    middle = log.read(METERS[0], 20261115, log.entries[month.indexes[METERS[0], CLOSING]].value - 1)
    site.accept(log)
    size = log.tree.size
    own = [
        span(log, size, month.indexes[METERS[0], first], month.indexes[METERS[0], last])
        for first, last in ((SINCE, OPENING), (OPENING, CLOSING))
    ]
    assert month.ask(before=own[:1], during=own[1:]) == cost(RESIDENTIAL, used=USED[0], prior=PRIOR[0])
    reason = "charges: line's own meter counted on these days"
    with refused(reason):
        month.ask(before=[span(log, size, small[0], small[1])], during=own[1:])
    last_days = span(log, size, middle, month.indexes[METERS[0], CLOSING])
    with refused(reason):
        month.ask(before=own[:1], during=[span(log, size, small[1], small[2]), last_days])


def test_a_line_by_a_tariff_that_was_replaced_finds_no_proof(site: Site) -> None:
    cheaper = Tariff(terms=replace(RESIDENTIAL.terms, document=name("price cut")), valid_from=OPENING)
    announced = tariffs.announce(site.tariffs, tariff=cheaper, replaces=1)
    site.chain.send(site.manager, announced)
    version = tariffs.parse_tariff_count(site.chain.view(tariffs.tariff_count(site.tariffs)))
    site.chain.send(site.committee, tariffs.approve(site.tariffs, version=version))
    month = Entries(site)
    with refused("charges: tariff is not in force for the line"):
        month.ask()
    right = cost(RESIDENTIAL, used=USED[0], prior=PRIOR[0])
    assert month.ask(month.own_line(tariff=version), terms=cheaper.terms) == right


def estimated(site: Site) -> Month:
    """A closed month whose second bill is an estimate of 5,000 fen too much; nothing was read since."""
    site.chain.wait_until(CLOSING_AT + 3600)
    indexes = log_month(site)
    bills = month_bills(site, padding=0)
    guess = replace(bills[1].lines[0], kind=LineKind.ESTIMATED, amount=bills[1].lines[0].amount + 5_000)
    bills[1] = site.bill(1, guess)
    fund(site, 1)
    tree, receipt = site.close(bills)
    return Month(site, bills, tree, receipt, indexes)


def test_an_estimate_that_nothing_measures_yet_is_the_arbiters_and_a_later_reading_still_lowers_it(site: Site) -> None:
    """Otherwise who silences a meter's radio owes nothing: no reading can answer in time."""
    appoint_arbiter(site)
    month = estimated(site)
    balance, amount = month.account(1).balance, month.bills[1].lines[0].amount
    month.open(1)
    site.chain.send(site.stranger, judge(month, 0, amount, unit_index=1))
    assert month.account(1).balance == balance - DEPOSIT and month.challenge(1).charge == amount
    site.chain.wait(4 * WINDOW)
    later = site.log.read(METERS[1], 20261211, 1_000_000 + PRIOR[1] + 160_000)
    site.accept(site.log)
    size = site.log.tree.size
    during = [span(site.log, size, month.indexes[METERS[1], OPENING], later)]
    month.answer(1, before=[month.span(METERS[1], SINCE, OPENING)], during=during)
    assert month.challenge(1).charge == cost(RESIDENTIAL, used=160_000 * 30 // 40, prior=PRIOR[1])
    assert month.account(1).balance == balance + DEPOSIT


def test_silence_about_an_estimate_reverses_it_all_the_same(site: Site) -> None:
    month = estimated(site)
    month.open(1)
    site.chain.wait(WINDOW + 1)
    with refused("challenges: answer is too late"):
        month.answer(1)
    site.chain.send(site.stranger, challenges.reverse(site.challenges, period=PERIOD, unit_index=1, number=0))
    assert month.status(1).reduction == month.bills[1].lines[0].amount


def test_a_measured_line_is_settled_once_its_time_is_over(site: Site) -> None:
    month = close_month(site)
    month.open(1)
    month.answer(1)
    site.chain.wait(WINDOW + 1)
    with refused("challenges: answer is too late"):
        month.answer(1)
