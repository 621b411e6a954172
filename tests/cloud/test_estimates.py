"""Missing and unbelievable readings are bridged by a named rule from signed entries, and the line says so."""

from collections.abc import Callable
from datetime import date, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from cloud.billing.estimation import estimate_line, estimate_usage, trusted_points
from cloud.billing.period_columns import reckon_period
from cloud.billing.reckoning import DraftLine
from cloud.billing.usage import BoundaryEntry, Registers
from cloud.chain.records import UnitRecord
from cloud.chain.view import ChainView
from cloud.directory import EMPTY
from cloud.errors import BillingError
from cloud.store import Store
from contracts.bill import LineKind
from tests.cloud.billing_site import TOTAL, BillingSite, bind, plain, tariff

Run = Callable[[Any], Any]

METER, OTHER = b"m" * 32, b"n" * 32
UNIT = b"u" * 32
FIRST, LAST = 20261101, 20261201


def held(values: dict[int, int], register: str = TOTAL, into: Registers | None = None) -> Registers:
    registers = into or Registers()
    registers.name(METER, register)
    for index, (day, value) in enumerate(values.items()):
        registers.add(METER, register, day, BoundaryEntry(origin="o", log_id=1, index=index, value=value))
    return registers


def test_a_missing_closing_takes_its_days_part_of_what_a_later_entry_says() -> None:
    (estimate,) = estimate_line(held({FIRST: 1_000, 20261204: 1_331}), METER, [TOTAL], FIRST, LAST, ())
    assert (estimate.rule, estimate.usage) == ("between", 331 * 30 // 33)
    assert [point.day for point in estimate.inputs] == [FIRST, 20261204]


def test_all_registers_of_a_line_reach_the_same_later_day_as_an_answer_on_chain_does() -> None:
    registers = held({FIRST: 0, LAST: 500, 20261203: 640}, "1-0:1.8.1")
    held({FIRST: 0, 20261202: 310, 20261203: 330}, "1-0:1.8.2", registers)
    found = estimate_line(registers, METER, ["1-0:1.8.1", "1-0:1.8.2"], FIRST, LAST, ())
    assert [(one.rule, one.usage) for one in found] == [("between", 640 * 30 // 32), ("between", 330 * 30 // 32)]


def test_without_a_later_entry_the_mean_of_the_month_before_goes_on() -> None:
    days = {int(f"{date(2026, 10, 20) + timedelta(days=at):%Y%m%d}"): 1_000 + 100 * at for at in range(32)}
    estimate = estimate_usage(held(days), METER, TOTAL, FIRST, LAST, ())
    assert (estimate.rule, estimate.usage) == ("mean", 3_000), "19 days are counted, 11 go on at 100 a day"
    assert [point.day for point in estimate.inputs] == [20261020, FIRST, 20261120]


def test_before_the_first_entry_the_mean_after_it_holds() -> None:
    estimate = estimate_usage(held({LAST: 5_000, 20261211: 5_500}), METER, TOTAL, FIRST, LAST, ())
    assert (estimate.rule, estimate.usage) == ("mean-after", 50 * 30)


@pytest.mark.parametrize("seed", range(50))
def test_lines_that_meet_in_missing_boundaries_add_up_to_what_was_counted(seed: int) -> None:
    rng = Random(seed)
    edges = [20260901, 20261001, FIRST, LAST, 20270101]
    values = {edges[0]: rng.randrange(10**6)}
    values[edges[-1]] = values[edges[0]] + rng.randrange(10**6)
    for inside in rng.sample(range(1, 29), 4):  # entries between lines' ends do not change where lines join
        values[20261100 + inside] = values[edges[0]] + (values[edges[-1]] - values[edges[0]]) // 2
    registers = held(dict(sorted(values.items())))
    usages = [estimate_usage(registers, METER, TOTAL, *line, edges).usage for line in pairwise(edges)]
    assert min(usages) >= 0 and sum(usages) == values[edges[-1]] - values[edges[0]]


@pytest.mark.parametrize(
    ("values", "suspect"), [([1, 2, 9, 3, 4], [9]), ([5, 1, 2, 3], [5]), ([1, 1, 2], []), ([3, 2, 1], [3, 2])]
)
def test_of_values_that_fall_the_longest_row_is_believed(values: list[int], suspect: list[int]) -> None:
    registers = held({20261101 + at: value for at, value in enumerate(values)})
    kept, others = trusted_points(registers, METER, TOTAL)
    assert [point.value for point in others] == suspect
    assert sorted(point.value for point in kept) == [point.value for point in kept]


def test_too_few_entries_are_no_ground_for_an_estimate() -> None:
    with pytest.raises(BillingError, match="too few boundary entries"):
        estimate_usage(held({FIRST: 7}), METER, TOTAL, FIRST, LAST, ())


def billed(run: Run, store: Store, entries: dict[int, int], *, swap: int = 0) -> tuple[list[DraftLine], list[str]]:
    """The lines of one unit with one meter, or two, from their boundary values."""
    site = BillingSite(ChainView(31337))
    unit = UnitRecord(alias=UNIT, index=0, area_centi_m2=100, category=0)
    site.view.roll.append(unit)
    site.view.units[UNIT] = unit
    tariff(site.view, plain(0))
    bind(site.view, METER, UNIT, 1, 20260101, swap)
    if swap:
        bind(site.view, OTHER, UNIT, 1, swap)
        site.entry(OTHER, TOTAL, swap, 0)
        site.entry(OTHER, TOTAL, LAST, 40_000)
    for day, value in entries.items():
        site.entry(METER, TOTAL, day, value)

    async def scenario() -> tuple[list[DraftLine], list[str]]:
        await site.write(store)
        async with store.read() as connection:
            found = await reckon_period(connection, view=site.view, directory=EMPTY, period=FIRST * 10**8 + LAST)
        await store.close()
        return list(found.apart.get(0, ())), list(found.problems)

    answer: tuple[list[DraftLine], list[str]] = run(scenario())
    return answer


def test_a_line_whose_closing_is_missing_is_marked_estimated_with_rule_and_entries(run: Run, store: Store) -> None:
    (one,), problems = billed(run, store, {20261001: 0, FIRST: 100_000, 20261203: 132_000})
    assert not problems
    assert (one.line.kind, one.line.usage) == (LineKind.ESTIMATED, 30_000)
    assert one.line.amount == plain(0).seasons[0].charge(used=[30_000])
    (estimate,) = one.derivation["estimates"]
    assert estimate["rule"] == "between"
    assert [(point["date"], point["value"]) for point in estimate["inputs"]] == [
        ("2026-11-01", "100000"), ("2026-12-03", "132000"),
    ]  # fmt: skip


def test_a_register_that_fell_is_no_closing(run: Run, store: Store) -> None:
    (one,), _ = billed(
        run, store, {20261001: 0, 20261015: 50_000, FIRST: 100_000, LAST: 7, 20261211: 140_000, 20261212: 141_000}
    )
    assert (one.line.kind, one.line.usage) == (LineKind.ESTIMATED, 30_000)
    assert [point["value"] for point in one.derivation["estimates"][0]["suspect"]] == ["7"]


def test_a_swap_whose_last_reading_is_missing_is_estimated_for_the_old_meter_alone(run: Run, store: Store) -> None:
    (one,), _ = billed(run, store, {20261001: 0, FIRST: 31_000}, swap=20261116)
    assert (one.line.kind, one.line.subject, one.line.usage) == (LineKind.ESTIMATED, OTHER, 15_000 + 40_000)
    rules = [(one["device"], one["rule"]) for one in one.derivation["estimates"]]
    assert rules == [(METER.hex(), "mean"), (OTHER.hex(), "read")]


def test_a_meter_never_heard_is_a_problem_in_words_and_no_line(run: Run, store: Store) -> None:
    lines, problems = billed(run, store, {20261110: 5})
    assert not lines
    assert "too few boundary entries" in problems[0]
