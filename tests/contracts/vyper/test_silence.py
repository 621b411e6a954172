"""A gateway that fell silent: bills that rest on it wait until it, or whoever took over its meters, catches up."""

from dataclasses import replace

from contracts.abi import Call
from contracts.bill import Line
from contracts.calls import challenges, charges, registry_changes, usage_fees
from contracts.calls.anchor_log import NO_HEAD, Head
from contracts.calls.challenges_events import GatewayHeard, SilenceCleared, SilenceFlagged
from contracts.calls.usage_fees_events import SilenceSet
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.month import Month, close_month
from tests.contracts.vyper.site import (
    CLOSING_AT,
    DAY,
    METERS,
    ORIGIN,
    PERIOD,
    POOL_METER,
    WINDOW,
    GatewayLog,
    Site,
    name,
    reading,
)
from tests.contracts.vyper.test_challenge import events
from tests.contracts.vyper.test_challenge_kinds import closed, credit, standing

HOURS = 3600


def flag(
    month: Month,
    unit_index: int = 0,
    number: int = 0,
    *,
    device: bytes | None = None,
    log: GatewayLog | None = None,
    head: Head | None = None,
    lines: tuple[Line, ...] | None = None,
) -> Call:
    site, bill = month.site, month.bills[unit_index]
    log = log or site.log
    return challenges.flag_silence(
        site.challenges,
        period=PERIOD,
        unit_index=unit_index,
        bill=bill,
        path=month.path(unit_index),
        lines=bill.lines if lines is None else lines,
        number=number,
        device=device or METERS[unit_index],
        origin_id=log.origin_id,
        head=head or site.heads[log.origin],
    )


def clear(site: Site, unit_index: int = 0, log: GatewayLog | None = None) -> Call:
    origin_id = (log or site.log).origin_id
    return challenges.clear_silence(site.challenges, period=PERIOD, unit_index=unit_index, origin_id=origin_id)


def speak(site: Site, log: GatewayLog, observed_at: int) -> Call:
    """The gateway logs another entry; the call shows it under the accepted head."""
    index = log.append(replace(reading(name("lift"), "1-0:1.8.0", 1), observed_at_ms=observed_at * 1000))
    site.accept(log)
    head = site.heads[log.origin]
    return challenges.hear(site.challenges, origin_id=log.origin_id, head=head, proof=log.proof(index, head.size))


def paid(month: Month) -> list[bool]:
    return [month.status(unit_index).is_paid for unit_index in range(3)]


def test_bills_of_a_silent_gateway_are_not_debited_until_it_catches_up(site: Site) -> None:
    month = close_month(site, padding=0)
    site.chain.wait(48 * HOURS + 1)
    told = events(site.chain.send(site.stranger, flag(month)))
    assert SilenceFlagged(PERIOD, 0, METERS[0], site.log.origin_id, site.stranger.lower()) in told
    assert SilenceSet(PERIOD, 0, True) in told
    asked = challenges.silent_meter(site.challenges, period=PERIOD, unit_index=0)
    assert challenges.parse_silent_meter(site.chain.view(asked)) == METERS[0]
    site.chain.wait(WINDOW)
    balance = month.account(0).balance
    month.debit()
    assert paid(month) == [False, True, True] and month.account(0).balance == balance
    with refused("challenges: gateway's log does not reach the period's end"):
        site.chain.send(site.stranger, clear(site))
    spoken = events(site.chain.send(site.stranger, speak(site, site.log, CLOSING_AT + 60)))
    assert GatewayHeard(site.log.origin_id, CLOSING_AT + 60, site.stranger.lower()) in spoken
    heard = challenges.heard(site.challenges, origin_id=site.log.origin_id)
    assert challenges.parse_heard(site.chain.view(heard)) == CLOSING_AT + 60
    cleared = events(site.chain.send(site.stranger, clear(site)))
    assert SilenceCleared(PERIOD, 0, site.log.origin_id, site.stranger.lower()) in cleared
    month.debit()
    assert paid(month) == [True, True, True]
    with refused("challenges: bill waits for no gateway"):
        site.chain.send(site.stranger, clear(site))


def test_a_gateway_is_silent_after_forty_eight_hours_and_not_where_it_reaches_the_periods_end(site: Site) -> None:
    month = close_month(site, padding=0)
    accepted_at = site.heads[ORIGIN].accepted_at
    # A transaction comes a second or two after the time that was waited for.
    site.chain.wait_until(accepted_at + 48 * HOURS - 60)
    with refused("challenges: gateway was heard of within 48 hours"):
        site.chain.send(site.stranger, flag(month))
    silent = charges.is_silent(site.charges, origin_id=site.log.origin_id, head=site.heads[ORIGIN])
    assert not charges.parse_is_silent(site.chain.view(silent))
    hear = speak(site, site.log, CLOSING_AT)
    site.chain.send(site.stranger, hear)
    with refused("challenges: gateway was heard later"):
        site.chain.send(site.stranger, hear)
    site.chain.wait(48 * HOURS + 1)
    with refused("challenges: gateway's log reaches the period's end"):
        site.chain.send(site.stranger, flag(month))


def test_an_entry_that_claims_a_later_time_than_the_chain_reaches_no_further(site: Site) -> None:
    close_month(site, padding=0)
    site.chain.send(site.stranger, speak(site, site.log, CLOSING_AT + 400 * DAY))
    heard = challenges.heard(site.challenges, origin_id=site.log.origin_id)
    assert challenges.parse_heard(site.chain.view(heard)) == site.heads[ORIGIN].accepted_at


def test_only_a_line_that_rests_on_the_gateway_makes_its_bill_wait(site: Site) -> None:
    month = closed(site, standing(40), credit(5, METERS[0]))
    site.accept(neighbour_log(site))
    site.chain.wait(48 * HOURS + 1)
    elsewhere = "challenges: line rests on another gateway"
    for call, reason in (
        (flag(month, device=METERS[1]), elsewhere),
        (flag(month, log=site.neighbour), elsewhere),
        (flag(month, number=2, device=name("contract")), elsewhere),
        (flag(month, number=3), elsewhere),
        (flag(month, number=1), elsewhere),
        (flag(month, number=4), "challenges: no such line"),
        (flag(month, lines=month.bills[0].lines[:1]), "challenges: lines are not the bill's"),
        (flag(month, head=NO_HEAD), "charges: head is not the accepted one"),
    ):
        with refused(reason):
            site.chain.send(site.stranger, call)
    site.chain.send(site.stranger, flag(month, number=1, device=POOL_METER))
    with refused("challenges: bill waits for a gateway already"):
        site.chain.send(site.stranger, flag(month))
    with refused(elsewhere):
        site.chain.send(site.stranger, clear(site, log=site.neighbour))


def neighbour_log(site: Site) -> GatewayLog:
    site.neighbour.fill(3)
    return site.neighbour


def test_whoever_wants_to_pay_a_waiting_bill_still_can(site: Site) -> None:
    month = close_month(site, padding=0)
    site.chain.wait(48 * HOURS + 1)
    site.chain.send(site.stranger, flag(month))
    pay = usage_fees.pay(site.usage_fees, period=PERIOD, unit_index=0, bill=month.bills[0], path=month.path(0))
    site.chain.send(site.stranger, pay)
    assert month.status(0).is_paid


def test_a_meter_that_another_gateway_took_over_waits_for_that_one(site: Site) -> None:
    """The next epoch of a forked log, or another box: whichever the meter writes to now."""
    month = close_month(site, padding=0)
    site.chain.wait(48 * HOURS + 1)
    site.chain.send(site.stranger, flag(month))
    site.enact(
        registry_changes.end_assignment(site.registry, device=METERS[0], last_index=2_000),
        registry_changes.assign_devices(
            site.registry, origin_id=site.neighbour.origin_id, first_index=0, devices=[METERS[0]]
        ),
    )
    site.chain.send(site.stranger, speak(site, neighbour_log(site), CLOSING_AT + 5 * DAY))
    with refused("challenges: line rests on another gateway"):
        site.chain.send(site.stranger, clear(site))
    site.chain.send(site.stranger, clear(site, log=site.neighbour))
    month.debit()
    assert paid(month) == [True, True, True]


def test_a_challenge_and_a_silence_each_hold_the_bill_by_themselves(site: Site) -> None:
    month = close_month(site, padding=0)
    site.chain.wait(48 * HOURS + 1)
    site.chain.send(site.stranger, flag(month))
    month.open(0)
    month.answer(0)
    site.chain.wait(WINDOW)
    month.debit()
    assert paid(month)[0] is False and not month.status(0).is_challenged
    site.chain.send(site.stranger, speak(site, site.log, CLOSING_AT + 60))
    site.chain.send(site.stranger, clear(site))
    month.debit()
    assert paid(month)[0]
