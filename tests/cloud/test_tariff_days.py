"""Prices that change within a period: each day is charged by the version in force on it, and nothing goes unsaid."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloud.billing.period_columns import PeriodColumns, reckon_period
from cloud.chain.records import TariffRecord
from cloud.chain.tariff_days import priced_days, tariff_days, unpriced_days
from cloud.chain.view import ChainView
from cloud.directory import EMPTY, Directory
from cloud.store import Store
from contracts.bill import Line
from contracts.quantities import COLD_WATER
from contracts.standing import standing_charge
from contracts.tariff import Basis, Counting, Terms
from tests.cloud.billing_site import RATES, TOTAL, BillingSite, bind, by_time, fee, plain
from tests.cloud.test_corrections import METER, one_flat

Run = Callable[[Any], Any]

FIRST, CHANGE, LAST = 20261001, 20261016, 20261101
PERIOD = FIRST * 10**8 + LAST
ENTRIES = {20260101: 0, FIRST: 900_000, CHANGE: 960_000, LAST: 1_100_000}


def price(fen_per_kwh: int, counting: Counting = Counting.YEAR) -> Terms:
    """Two steps, the second one from 1,000 kWh on."""
    tiers = [(1_000_000, fen_per_kwh * 10**6), (None, 2 * fen_per_kwh * 10**6)]
    return Terms.tiered(quantity=TOTAL, tiers=tiers, counting=counting)


def announce(
    view: ChainView, terms: Terms, first: int, last: int = 0, *, replaces: int = 0, approved: bool = True
) -> int:
    version = len(view.tariffs) + 1
    announced: Any = SimpleNamespace(valid_from=first, valid_to=last, terms=terms.encode())
    view.tariffs[version] = TariffRecord(
        version=version, announced=announced, terms=terms, approved=approved, replaces=replaces
    )
    return version


def flat(entries: Mapping[int, int] = ENTRIES) -> BillingSite:
    """One flat without any tariff."""
    site = one_flat()
    site.view.tariffs.clear()
    for day, value in entries.items():
        site.entry(METER, TOTAL, day, value)
    return site


def billed(run: Run, store: Store, site: BillingSite, directory: Directory = EMPTY) -> tuple[list[Line], list[str]]:
    """The flat's lines and what could not be computed."""
    from cloud.billing.bill_block import lines_of

    async def scenario() -> PeriodColumns:
        await site.write(store)
        async with store.read() as connection:
            found = await reckon_period(connection, view=site.view, directory=directory, period=PERIOD)
        await store.close()
        return found

    found: PeriodColumns = run(scenario())
    (content,) = found.contents([bytes(16)], 0)
    return lines_of(content), list(found.problems)


@pytest.mark.parametrize("counting", [Counting.YEAR, Counting.PERIOD])
def test_a_tariff_that_replaces_another_within_the_period_prices_its_own_days(
    run: Run, store: Store, counting: Counting
) -> None:
    site = flat()
    old = announce(site.view, price(50, counting), 20251201)
    announce(site.view, price(40, counting), CHANGE, replaces=old)
    (before, after), problems = billed(run, store, site)
    since = {Counting.YEAR: 20260101, Counting.PERIOD: FIRST}[counting]
    assert [(one.tariff, one.from_date, one.to_date, one.usage) for one in (before, after)] == [
        (1, FIRST, CHANGE, 60_000), (2, CHANGE, LAST, 140_000),
    ]  # fmt: skip
    assert before.since == since and after.since == since, "steps go on through a change of price"
    known = ENTRIES[since]
    for one in (before, after):
        season = site.view.tariffs[one.tariff].terms.seasons[0]
        assert one.amount == season.charge(used=[one.usage], prior=ENTRIES[one.from_date] - known)
    assert not problems


def test_a_fee_that_changes_within_the_period_is_charged_by_its_days(run: Run, store: Store) -> None:
    site = flat()
    announce(site.view, price(50), 20251201)
    old = announce(site.view, fee(Basis.AREA, 10**12), 20251201)
    announce(site.view, fee(Basis.AREA, 2 * 10**12), CHANGE, replaces=old)
    (_, before, after), problems = billed(run, store, site)
    for one, days in ((before, (FIRST, CHANGE)), (after, (CHANGE, LAST))):
        terms = site.view.tariffs[one.tariff].terms
        assert (one.from_date, one.to_date) == days
        assert one.amount == standing_charge(terms, count=100, from_date=days[0], to_date=days[1])
    assert not problems


def test_days_without_a_tariff_are_a_problem_in_words_and_the_others_are_billed(run: Run, store: Store) -> None:
    site = flat()
    announce(site.view, price(50), 20251201, CHANGE)
    (line,), (problem,) = billed(run, store, site)
    assert (line.from_date, line.to_date, line.usage) == (FIRST, CHANGE, 60_000)
    assert f"no tariff for {TOTAL} is valid from 2026-10-16 to 2026-11-01" in problem


def test_a_change_at_a_midnight_that_nobody_heard_is_estimated_and_adds_up(run: Run, store: Store) -> None:
    site = flat({day: value for day, value in ENTRIES.items() if day != CHANGE})
    old = announce(site.view, price(50), 20251201)
    announce(site.view, price(40), CHANGE, replaces=old)
    lines, problems = billed(run, store, site)
    assert sum(one.usage for one in lines) == 200_000 and [one.kind for one in lines] == [5, 5]
    assert not problems


def test_days_of_what_is_priced_otherwise_do_not_move_a_meters_estimate(run: Run, store: Store) -> None:
    """A fee, another category's price and another quantity's, each from a day on which the meter was heard."""
    known = {day: value for day, value in ENTRIES.items() if day != CHANGE}
    site = flat({**known, 20261006: 1_050_000, 20261008: 1_060_000, 20261010: 1_070_000})
    old = announce(site.view, price(50), 20251201)
    announce(site.view, price(40), CHANGE, replaces=old)
    announce(site.view, fee(Basis.AREA, 10**12), 20261006)
    announce(site.view, plain(1), 20261008)
    announce(site.view, Terms.tiered(quantity=COLD_WATER, tiers=[(None, 10**6)]), 20261010)
    lines, problems = billed(run, store, site)
    usages = [one.usage for one in lines if one.quantity == TOTAL]
    assert usages == [200_000 * 15 // 31, 200_000 - 200_000 * 15 // 31] and not problems


def test_a_tariff_by_name_holds_only_where_it_is_in_force(run: Run, store: Store) -> None:
    site = flat()
    announce(site.view, price(50), 20251201)
    vetoed = announce(site.view, price(10), 20251201, approved=False)
    named: Any = SimpleNamespace(device=METER, tariff="cheap", quantity=TOTAL)
    directory = replace(EMPTY, devices=(named,), tariffs={"cheap": vetoed})
    (line,), problems = billed(run, store, site, directory)
    assert line.tariff == 1 and not problems


def test_a_meter_without_a_register_that_its_tariff_needs_is_a_problem_in_words(run: Run, store: Store) -> None:
    site = flat()
    announce(site.view, by_time(counting=Counting.YEAR, category=0), 20251201)
    for day in (FIRST, LAST):
        site.entry(METER, RATES[0], day, ENTRIES[day])
    lines, (problem,) = billed(run, store, site)
    assert not lines and f"needs {RATES[1]}, {RATES[2]}, and no meter has it" in problem


def test_a_meter_that_was_never_heard_is_a_problem_in_words(run: Run, store: Store) -> None:
    site = flat()
    announce(site.view, price(50), 20251201)
    bind(site.view, b"s" * 32, site.view.roll[0].alias, 1, 20260101)
    (line,), (problem,) = billed(run, store, site)
    assert line.usage == 200_000 and "is bound and was never heard" in problem


def number(days: int) -> int:
    return int((date(2026, 9, 20) + timedelta(days=days)).strftime("%Y%m%d"))


spans = st.tuples(st.integers(0, 60), st.integers(0, 60), st.booleans(), st.integers(0, 4))


@given(st.lists(spans, max_size=6))
@settings(max_examples=60, deadline=None)
def test_every_day_is_priced_once_by_a_version_in_force_or_said_to_be_unpriced(versions: Any) -> None:
    view = ChainView(31337)
    for first, length, ends, replaces in versions:
        older = replaces if replaces <= len(view.tariffs) else 0
        announce(view, price(50), number(first), number(first + length + 1) if ends else 0, replaces=older)
    held = tariff_days(view.tariffs, PERIOD)
    priced = priced_days(held)
    pieces = sorted([*((one.first, one.last) for one in priced), *unpriced_days(priced, PERIOD)])
    assert pieces[0][0] == FIRST and pieces[-1][1] == LAST
    assert all(one[1] == two[0] for one, two in pairwise(pieces)), "no day twice, none left out"
    for one in priced:
        assert any(two.record is one.record and two.first <= one.first and one.last <= two.last for two in held)
        assert not any(
            two.record.version > one.record.version and two.first < one.last and one.first < two.last for two in held
        ), "the latest version wins its days"
