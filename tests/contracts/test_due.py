"""Due dates, fees and overdue days, by the definition and at its edges."""

import random
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from contracts.due import (
    DoneDay,
    DueError,
    Terms,
    date_of,
    day_number,
    due_on,
    fee,
    local_day,
    overdue_days,
    penalty,
    visit_day,
)
from contracts.visit import VisitClass
from tests.contracts.js.make_due import random_terms

START = day_number(date(2026, 9, 1))


def terms(**changes: Any) -> Terms:
    fields = {"interval_days": (15, 90, 180, 365), "done_on": (START,) * 4, "grace_days": 0, "penalty": 5_000}
    fields |= {"fees": (20_000, 30_000, 45_000, 80_001), "factors": (0, 800, 950, 1000, 1100)}
    return random_terms(random.Random(1), START, **(fields | changes))


def test_the_sixteenth_day_after_a_visit_is_the_first_overdue_one() -> None:
    rules = terms()
    assert due_on(rules, [], VisitClass.HALF_MONTH, today=START) == START + 15
    for through, overdue in ((15, 0), (16, 1), (17, 2)):
        assert overdue_days(rules, [], VisitClass.HALF_MONTH, from_day=START, through_day=START + through) == overdue


def test_a_visit_on_an_overdue_day_does_not_undo_that_day() -> None:
    done = [DoneDay(START + 16, VisitClass.HALF_MONTH)]
    assert overdue_days(terms(), done, VisitClass.HALF_MONTH, from_day=START, through_day=START + 31) == 1
    assert due_on(terms(), done, VisitClass.HALF_MONTH, today=START + 16) == START + 31


def test_grace_is_forgiven_but_not_due_later() -> None:
    rules = terms(grace_days=3)
    assert due_on(rules, [], VisitClass.HALF_MONTH, today=START) == START + 15
    assert overdue_days(rules, [], VisitClass.HALF_MONTH, from_day=START, through_day=START + 18) == 0
    assert overdue_days(rules, [], VisitClass.HALF_MONTH, from_day=START, through_day=START + 19) == 1


def test_a_yearly_visit_is_also_a_half_months_and_not_the_reverse() -> None:
    done = [DoneDay(START + 15, VisitClass.YEAR), DoneDay(START + 30, VisitClass.HALF_MONTH)]
    assert due_on(terms(), done, VisitClass.HALF_MONTH, today=START + 30) == START + 45
    assert due_on(terms(), done, VisitClass.YEAR, today=START + 30) == START + 380


def test_a_class_without_interval_is_never_due() -> None:
    rules = terms(interval_days=(15, 0, 0, 0))
    assert due_on(rules, [], VisitClass.QUARTER, today=START) is None
    assert overdue_days(rules, [], VisitClass.QUARTER, from_day=START, through_day=START + 800) == 0
    with pytest.raises(DueError, match="never due"):
        overdue_days(rules, [], VisitClass.REPAIR, from_day=START, through_day=START)


def test_fees_follow_class_and_level_in_whole_fen() -> None:
    rules = terms()
    assert fee(rules, VisitClass.HALF_MONTH, 0) == 0
    assert fee(rules, VisitClass.YEAR, 2) == 76_000  # 76,000.95 fen, cut
    assert fee(rules, VisitClass.YEAR, 4) == 88_001
    assert fee(rules, VisitClass.REPAIR, 4) == 0
    assert penalty(rules, 3) == 15_000


def test_a_visit_near_midnight_counts_for_the_local_day() -> None:
    midnight = START * 86_400 - 28_800
    assert local_day(midnight - 1, utc_offset_s=28_800) == START - 1
    assert local_day(midnight, utc_offset_s=28_800) == START
    assert date_of(START) == date(2026, 9, 1)
    late = 1000 * (midnight + 90_000)
    assert visit_day(level=1, ended_at_s=midnight, observed_at_ms=late, utc_offset_s=28_800) == START
    assert visit_day(level=0, ended_at_s=midnight, observed_at_ms=late, utc_offset_s=28_800) == START + 1


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"device": bytes(32)}, "not zero"),
        ({"firm": 0}, "above zero"),
        ({"fees": (1, 2, 3)}, "one value for each"),
        ({"factors": (1, 2, 3, 4)}, "5 factors"),
        ({"ends_on": START - 1}, "empty or over ten years"),
        ({"ends_on": START + 3661}, "empty or over ten years"),
        ({"grace_days": 31}, "out of range"),
        ({"interval_days": (15, 90, 180, 732)}, "out of range"),
        ({"done_on": (START + 1, 0, 0, 0)}, "out of range"),
        ({"penalty": 2**32}, "out of range"),
        ({"fees": (2, 1, 3, 4)}, "must not fall"),
        ({"factors": (0, 2, 1, 3, 4)}, "must not fall"),
        ({"factors": (0, 1, 2, 3, 2001)}, "must not fall"),
    ],
)
def test_terms_that_the_contract_would_refuse_are_refused(change: dict[str, Any], says: str) -> None:
    with pytest.raises(DueError, match=says):
        replace(terms(), **change)
