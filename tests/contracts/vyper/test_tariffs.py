"""Tariffs: two parties and an announced delay; lines recomputed only from entries that count."""

from dataclasses import replace
from typing import Any

import pytest

from contracts.abi import Call
from contracts.bill import Line, LineKind
from contracts.calls import anchor_log, bindings_changes, registry_changes, tariffs
from contracts.calls.anchor_log import Head
from contracts.calls.tariffs import Span
from contracts.tariff import LAST_TIER, Tariff, Tier
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.month import POOL_USED, PRIOR, SINCE, USED, log_month
from tests.contracts.vyper.site import (
    CLOSING,
    CLOSING_AT,
    COMMON,
    DAY,
    ENERGY,
    METERS,
    OPENING,
    ORIGIN,
    PERIOD,
    POOL,
    POOL_METER,
    RESIDENTIAL,
    SPARE_METER,
    UNITS,
    GatewayLog,
    Site,
    name,
    reading,
    span,
)


def later(**changes: Any) -> Tariff:
    return replace(RESIDENTIAL, valid_from=20270301, **changes)


def announce(site: Site, tariff: Tariff, by: str | None = None) -> int:
    site.chain.send(by or site.manager, tariffs.announce(site.tariffs, tariff=tariff))
    return tariffs.parse_tariff_count(site.chain.view(tariffs.tariff_count(site.tariffs)))


def test_a_tariff_takes_two_parties_and_is_read_back(site: Site) -> None:
    version = announce(site, later())
    with refused("tariffs: only the committee may do this"):
        site.chain.send(site.manager, tariffs.approve(site.tariffs, version=version))
    site.chain.send(site.committee, tariffs.approve(site.tariffs, version=version))
    record = tariffs.parse_tariff(site.chain.view(tariffs.tariff(site.tariffs, version=version)))
    assert record.tariff == later() and record.approved_at == site.chain.now()
    with refused("tariffs: tariff is already decided"):
        site.chain.send(site.committee, tariffs.approve(site.tariffs, version=version))
    with refused("tariffs: no such tariff"):
        site.chain.send(site.committee, tariffs.approve(site.tariffs, version=version + 1))


def test_only_the_manager_or_the_tariffs_office_announces(site: Site) -> None:
    reason = "tariffs: only the manager or the tariffs office announces tariffs"
    for account in (site.relayer, site.operator, site.committee):
        with refused(reason):
            announce(site, later(), by=account)
    site.enact(registry_changes.set_role(site.registry, role=b"tariffs".ljust(32, b"\0"), account=site.stranger))
    announce(site, later(), by=site.stranger)


def test_a_tariff_never_reaches_into_the_past(site: Site) -> None:
    midnight = CLOSING_AT + 31 * DAY  # 1 January 2027, local
    version = announce(site, replace(RESIDENTIAL, valid_from=20270101))
    late = announce(site, replace(RESIDENTIAL, valid_from=20270101))
    site.chain.wait_until(midnight - 30 * DAY - 2)
    site.chain.send(site.committee, tariffs.approve(site.tariffs, version=version))
    site.chain.wait_until(midnight - 30 * DAY + 1)
    with refused("tariffs: tariff begins before its delay is over"):
        site.chain.send(site.committee, tariffs.approve(site.tariffs, version=late))


def test_the_committee_vetoes_until_the_first_day(site: Site) -> None:
    version = announce(site, later())
    site.chain.send(site.committee, tariffs.approve(site.tariffs, version=version))
    with refused("tariffs: only the committee may do this"):
        site.chain.send(site.manager, tariffs.veto(site.tariffs, version=version))
    site.chain.send(site.committee, tariffs.veto(site.tariffs, version=version))
    record = tariffs.parse_tariff(site.chain.view(tariffs.tariff(site.tariffs, version=version)))
    assert record.approved_at == tariffs.VETOED
    site.chain.wait_until(CLOSING_AT)
    with refused("tariffs: tariff has begun"):
        site.chain.send(site.committee, tariffs.veto(site.tariffs, version=1))


class Crooked:
    """Tiers that the Python type refuses, sent past it."""

    def __init__(self, tiers: list[tuple[int, int]], valid_to: int = 0) -> None:
        self.tiers, self.valid_to = tiers, valid_to

    def abi(self) -> tuple[Any, ...]:
        return (*RESIDENTIAL.abi()[:4], self.valid_to, *RESIDENTIAL.abi()[5:6], self.tiers)


@pytest.mark.parametrize(
    ("tiers", "valid_to", "reason"),
    [
        ([(10, 1), (10, 1), (LAST_TIER, 1)], 0, "tariffs: tiers do not rise or a price is out of range"),
        ([(LAST_TIER, 2**64)], 0, "tariffs: tiers do not rise or a price is out of range"),
        ([(10, 1)], 0, "tariffs: the last tier must be open"),
        ([], 0, "tariffs: the last tier must be open"),
        ([(LAST_TIER, 1)], 20261020, "tariffs: tariff ends before it begins"),
    ],
)
def test_a_malformed_tariff_is_refused(site: Site, tiers: list[tuple[int, int]], valid_to: int, reason: str) -> None:
    crooked: Any = Crooked(tiers, valid_to)
    with refused(reason):
        site.chain.send(site.manager, tariffs.announce(site.tariffs, tariff=crooked))


class Month:
    """The month's entries without its bills."""

    def __init__(self, site: Site) -> None:
        site.chain.wait_until(CLOSING_AT + 3600)
        self.site, self.indexes = site, log_month(site)

    def span(self, meter: bytes, from_date: int, to_date: int) -> Span:
        size = self.site.heads[ORIGIN].size
        return span(self.site.log, size, self.indexes[meter, from_date], self.indexes[meter, to_date])

    def own_line(self, unit_index: int = 0, **changes: Any) -> Line:
        return replace(self.site.line(METERS[unit_index], 0, 0, since=SINCE), **changes)

    def ask(
        self,
        line: Line | None = None,
        *,
        unit_index: int = 0,
        before: list[Span] | None = None,
        during: list[Span] | None = None,
        head: Head | None = None,
        origin_id: bytes | None = None,
    ) -> int:
        site, meter = self.site, METERS[unit_index]
        call = tariffs.right_charge(
            site.tariffs,
            period=PERIOD,
            unit_index=unit_index,
            line=line or self.own_line(unit_index),
            origin_id=origin_id or site.log.origin_id,
            head=head or site.heads[ORIGIN],
            before=[self.span(meter, SINCE, OPENING)] if before is None else before,
            during=[self.span(meter, OPENING, CLOSING)] if during is None else during,
        )
        return tariffs.parse_right_charge(site.chain.view(call))


def test_yearly_tiers_count_from_the_years_usage(site: Site) -> None:
    month = Month(site)
    for index in range(3):
        assert month.ask(unit_index=index) == RESIDENTIAL.charge(used=USED[index], prior=PRIOR[index])


def test_tiers_may_begin_with_the_period(site: Site) -> None:
    month = Month(site)
    assert month.ask(month.own_line(since=OPENING), before=[]) == RESIDENTIAL.charge(used=USED[0])


def test_a_pools_cost_is_shared_without_a_fen_lost(site: Site) -> None:
    month = Month(site)
    line = Line(kind=LineKind.SHARED, subject=POOL, quantity=ENERGY, tariff=2, since=0, usage=POOL_USED, amount=0)
    during = [month.span(POOL_METER, OPENING, CLOSING)]
    parts = [month.ask(line, unit_index=index, before=[], during=during) for index in range(3)]
    assert sum(parts) == COMMON.charge(used=POOL_USED)


def test_a_swapped_meter_is_counted_on_both_sides_of_the_swap(site: Site) -> None:
    swap = 20261115
    commitment = name("swap")
    site.enact(
        bindings_changes.end_binding(
            site.bindings, subject=UNITS[0], device=METERS[0], to_date=swap, commitment=commitment
        ),
        bindings_changes.bind(
            site.bindings, subject=UNITS[0], device=SPARE_METER, role=1, from_date=swap, commitment=commitment
        ),
    )
    month = Month(site)
    log = site.log
    old_end, new_start = log.read(METERS[0], swap, 3_800_000), log.read(SPARE_METER, swap, 12)
    new_end = log.read(SPARE_METER, CLOSING, 100_012)
    site.accept(log)
    size = log.tree.size
    opening = month.indexes[METERS[0], OPENING]
    during = [span(log, size, opening, old_end), span(log, size, new_start, new_end)]
    used = (3_800_000 - log.entries[opening].value) + 100_000
    line = month.own_line(subject=SPARE_METER)
    before = [span(log, size, month.indexes[METERS[0], SINCE], opening)]
    assert month.ask(line, before=before, during=during) == RESIDENTIAL.charge(used=used, prior=PRIOR[0])
    with refused("tariffs: line is another meter's"):
        month.ask(month.own_line(), before=before, during=during)
    with refused("tariffs: spans do not join"):
        month.ask(line, before=before, during=[during[1], during[1]])
    with refused("tariffs: spans do not reach the boundary"):
        month.ask(month.own_line(), before=before, during=during[:1])
    with refused("tariffs: meter does not count for the unit or pool"):
        whole = span(log, size, opening, month.indexes[METERS[0], CLOSING])
        month.ask(month.own_line(), before=before, during=[whole])


def test_an_entry_must_be_logged_under_the_accepted_head(site: Site) -> None:
    month = Month(site)
    head = site.heads[ORIGIN]
    with refused("tariffs: head is not the accepted one"):
        month.ask(head=Head(head.size, name("root"), head.accepted_at))
    with refused("tariffs: head is not the accepted one"):
        month.ask(origin_id=site.neighbour.origin_id)
    good = month.span(METERS[0], OPENING, CLOSING)
    altered = replace(good.closing, entry=replace(good.closing.entry, value=1_000_001))
    with refused("tariffs: entry is not in the accepted log"):
        month.ask(during=[replace(good, closing=altered)])
    beyond = replace(good.closing, index=good.closing.index + head.size)
    with refused("tariffs: entry is not in the accepted log"):
        month.ask(during=[replace(good, closing=beyond)])


def test_a_neighbours_meter_and_a_neighbours_gateway_prove_nothing(site: Site) -> None:
    month = Month(site)
    # A genuine entry of the neighbour's meter.
    with refused("tariffs: line is another meter's"):
        month.ask(during=[month.span(METERS[1], OPENING, CLOSING)])
    with refused("tariffs: meter does not count for the unit or pool"):
        month.ask(month.own_line(subject=METERS[1]), during=[month.span(METERS[1], OPENING, CLOSING)])
    # A genuine entry about this meter in the log of the neighbour's gateway.
    other = site.neighbour
    for date, value in ((SINCE, 0), (OPENING, 0), (CLOSING, 1)):
        other.read(METERS[0], date, value)
    site.accept(other)
    during = [span(other, 3, 1, 2)]
    with refused("tariffs: device does not write to this log"):
        month.ask(
            before=[span(other, 3, 0, 1)], during=during, head=site.heads[other.origin], origin_id=other.origin_id
        )


def test_a_register_that_falls_is_no_answer(site: Site) -> None:
    month = Month(site)
    fallen = site.log.read(METERS[0], CLOSING, 5)
    site.accept(site.log)
    month.indexes[METERS[0], CLOSING] = fallen
    with refused("tariffs: register falls"):
        month.ask()


def test_a_line_needs_its_tariff_in_force(site: Site) -> None:
    month = Month(site)
    version = announce(site, later())
    for number in (0, version, 99):
        with refused("tariffs: tariff is not in force for the line"):
            month.ask(month.own_line(tariff=number))
    with refused("tariffs: tariff is not in force for the line"):
        month.ask(month.own_line(quantity="1-0:2.8.0"))
    for since in (20251231, CLOSING):
        with refused("tariffs: tiers count from another day"):
            month.ask(month.own_line(since=since))


def test_a_tariff_of_another_category_is_refused(site: Site) -> None:
    shops = Tariff(
        quantity=ENERGY,
        category=1,
        by_year=False,
        valid_from=20261020,
        valid_to=0,
        document=name("shops"),
        tiers=(Tier(up_to=LAST_TIER, price=1),),
    )
    version = announce(site, shops)
    site.chain.send(site.committee, tariffs.approve(site.tariffs, version=version))
    month = Month(site)
    with refused("tariffs: tariff is for another category of units"):
        month.ask(month.own_line(tariff=version, since=0), before=[])


def test_after_a_fork_the_gateways_entries_answer_nothing(site: Site) -> None:
    month = Month(site)
    forked = GatewayLog(ORIGIN, site.log.key)
    forked.append(reading(METERS[0], ENERGY, 1))
    forked.fill(site.log.tree.size)
    call: Call = anchor_log.report_two_roots(site.anchor_log, origin=ORIGIN, a=site.log.signed(), b=forked.signed())
    site.chain.send(site.stranger, call)
    with refused("tariffs: the gateway's log forked; open challenges go to the owner"):
        month.ask()
