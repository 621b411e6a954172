"""What a meter counted day by day: what was read, what is shared out over a gap, and what nothing tells."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from cloud.questions.days import days_between
from cloud.web.answers import DayKind
from cloud.web.chart import HEIGHT, day_chart

FIRST = date(2026, 11, 1)
READ, SPREAD, DOUBTFUL = DayKind.READ, DayKind.SPREAD, DayKind.DOUBTFUL


def at(number: int) -> date:
    """A midnight, counted from the first one."""
    return FIRST + timedelta(days=number)


def told(values: dict[int, int], last: int) -> list[tuple[int | None, DayKind]]:
    points = days_between({at(number): value for number, value in values.items()}, FIRST, at(last))
    assert [point.day for point in points] == [at(number) for number in range(last)]
    return [(point.usage, point.how) for point in points]


def test_a_day_read_at_both_midnights_is_their_difference() -> None:
    assert told({0: 100, 1: 130, 2: 130}, 2) == [(30, READ), (0, READ)]


def test_a_gaps_days_share_evenly_what_they_used_together_and_say_so() -> None:
    assert told({0: 100, 3: 110, 4: 120}, 4) == [(3, SPREAD), (3, SPREAD), (4, SPREAD), (10, READ)]


def test_days_before_the_first_and_after_the_last_reading_are_not_made_up() -> None:
    missing = (None, DayKind.MISSING)
    assert told({1: 100, 2: 105}, 4) == [missing, (5, READ), missing, missing]


def test_readings_outside_the_line_tell_of_its_first_and_last_day() -> None:
    assert told({-1: 100, 1: 110, 2: 120, 4: 140}, 3) == [(5, SPREAD), (10, READ), (10, SPREAD)]


def test_a_single_reading_that_cannot_be_right_does_not_count() -> None:
    assert told({0: 100, 1: 900, 2: 120}, 2) == [(10, DOUBTFUL), (10, DOUBTFUL)]
    assert told({0: 100, 1: 3, 2: 121}, 2) == [(10, DOUBTFUL), (11, DOUBTFUL)]


def test_a_register_that_fell_tells_nothing_of_that_day_and_the_rest_stands() -> None:
    assert told({0: 100, 1: 110, 2: 5, 3: 9}, 3) == [(10, READ), (None, DayKind.RESET), (4, READ)]


@given(st.dictionaries(st.integers(1, 39), st.integers(0, 10**9), max_size=20), st.integers(0, 10**9))
def test_days_of_a_register_that_never_falls_add_up_to_what_it_counted(steps: dict[int, int], start: int) -> None:
    values, value = {0: start}, start
    for number in sorted(steps):
        value += steps[number]
        values[number] = value
    values[40] = value
    days = told(values, 40)
    assert sum(usage or 0 for usage, _ in days) == value - start
    assert all(usage is not None and usage >= 0 for usage, _ in days)


def test_bars_stay_within_the_chart_and_each_unusual_kind_is_explained_once() -> None:
    values = {at(number): value for number, value in {0: 0, 1: 50, 3: 70, 4: 10, 5: 20, 6: 900, 7: 40}.items()}
    chart = day_chart(days_between(values, FIRST, at(9)))
    assert chart is not None
    assert all(0 <= bar.y < HEIGHT and 0 < bar.x < chart.width for bar in chart.bars)
    assert chart.kinds == (SPREAD, DOUBTFUL, DayKind.RESET, DayKind.MISSING)
    assert day_chart(days_between({at(0): 1, at(1): 2}, FIRST, at(1))) is None, "one bar is no chart"
