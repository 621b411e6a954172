"""When each price of a tariff held, by the clock on the wall, and how much of a register's count fell there."""

from datetime import UTC, datetime
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.tariff import Window
from contracts.time_of_use import TOLERANCE_MS, TimedReading, TimeOfUseError, price_calendar, time_of_use

SHANGHAI, BERLIN = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin")
DAY_AND_NIGHT = (Window(0, 480, 1320), Window(1, 1320, 480))  # 8 to 22 and, over midnight, 22 to 8
HOUR, MINUTE = 3_600_000, 60_000


def ms(text: str, zone: ZoneInfo) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=zone).timestamp()) * 1000


def local(at_ms: int, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, zone):%d %H:%M}"


def test_the_price_changes_by_the_sites_own_clock_and_a_window_may_pass_midnight() -> None:
    calendar = price_calendar(DAY_AND_NIGHT, SHANGHAI, 20261101, 20261103)
    assert [(local(at, SHANGHAI), register) for at, register in calendar.changes] == [
        ("01 00:00", 1), ("01 08:00", 0), ("01 22:00", 1), ("02 08:00", 0), ("02 22:00", 1),
    ]  # fmt: skip
    assert local(calendar.end_ms, SHANGHAI) == "03 00:00"
    assert calendar.minutes(2) == [2 * 14 * 60, 2 * 10 * 60]


@pytest.mark.parametrize(("day", "hours"), [(20260329, 9), (20261025, 11), (20260330, 10)])
def test_a_night_of_changed_clocks_has_an_hour_less_or_more(day: int, hours: int) -> None:
    calendar = price_calendar(DAY_AND_NIGHT, BERLIN, day, day + 1)
    assert calendar.minutes(2) == [14 * 60, hours * 60]
    assert [local(at, BERLIN)[3:] for at, _ in calendar.changes] == ["00:00", "08:00", "22:00"]


def test_a_price_inside_the_hour_that_is_repeated_holds_twice_and_inside_the_skipped_one_never() -> None:
    windows = (Window(0, 0, 150), Window(1, 150, 170), Window(0, 170, 0))  # 02:30 to 02:50
    twice = price_calendar(windows, BERLIN, 20261025, 20261026)
    assert twice.minutes(2) == [25 * 60 - 40, 40]
    assert [register for _, register in twice.changes] == [0, 1, 0, 1, 0]
    assert price_calendar(windows, BERLIN, 20260329, 20260330).minutes(2) == [23 * 60, 0]


@pytest.mark.parametrize(
    ("zone", "day"), [("America/Sao_Paulo", 20181104), ("Asia/Kathmandu", 20260101), ("Australia/Lord_Howe", 20261004)]
)
def test_every_minute_of_a_day_has_the_price_that_the_clock_on_the_wall_says(zone: str, day: int) -> None:
    """Against the slow way: minute by minute. Sao Paulo's day began at one; Lord Howe skips half an hour."""
    where = ZoneInfo(zone)
    windows = (Window(0, 30, 150), Window(1, 150, 1410), Window(2, 1410, 30))
    calendar = price_calendar(windows, where, day, day + 1)
    for (start, register), (end, _) in pairwise((*calendar.changes, (calendar.end_ms, 0))):
        for at in range(start, end, MINUTE):
            wall = datetime.fromtimestamp(at / 1000, where)
            assert wall.day == day % 100
            minute = wall.hour * 60 + wall.minute
            expected = 0 if 30 <= minute < 150 else 1 if 150 <= minute < 1410 else 2
            assert register == expected, wall
    before = datetime.fromtimestamp(calendar.start_ms / 1000 - 1, where)
    assert (before.month, before.day) != (day // 100 % 100, day % 100)


def hourly(calendar_start: int, values: list[int], *, late_ms: int = 3_000) -> list[TimedReading]:
    return [TimedReading(calendar_start + (at + 1) * HOUR + late_ms, value) for at, value in enumerate(values)]


def test_readings_at_the_change_of_price_say_what_fell_where() -> None:
    calendar = price_calendar(DAY_AND_NIGHT, SHANGHAI, 20261101, 20261102)
    values = [1_000 + 10 * hour for hour in range(1, 8)] + [2_000 + 100 * hour for hour in range(16)]
    used, told = time_of_use(
        calendar, opening=1_000, closing=9_000, readings=hourly(calendar.start_ms, values), registers=2
    )
    eight, ten = 2_000, 3_400
    assert used == [ten - eight, (eight - 1_000) + (9_000 - ten)]
    assert [(one.value, one.is_between) for one in told] == [(eight, False), (ten, False)]


def test_a_gap_over_a_change_of_price_is_bridged_by_time_with_both_readings_named() -> None:
    calendar = price_calendar(DAY_AND_NIGHT, SHANGHAI, 20261101, 20261102)
    around = [
        TimedReading(calendar.start_ms + hour * HOUR, value) for hour, value in ((6, 600), (10, 1_400), (22, 5_000))
    ]
    used, told = time_of_use(calendar, opening=0, closing=5_100, readings=around, registers=2)
    assert (told[0].value, told[0].readings) == (1_000, tuple(around[:2]))
    assert told[0].is_between and not told[1].is_between
    assert used == [5_000 - 1_000, 1_000 + 100]


@pytest.mark.parametrize(("off_ms", "is_between"), [(TOLERANCE_MS, False), (TOLERANCE_MS + 1, True)])
def test_a_reading_within_five_minutes_stands_for_the_change(off_ms: int, is_between: bool) -> None:
    calendar = price_calendar((Window(0, 0, 720), Window(1, 720, 0)), SHANGHAI, 20261101, 20261102)
    for sign in (-1, 1):
        noon = TimedReading(calendar.start_ms + 12 * HOUR + sign * off_ms, 500)
        _, (told,) = time_of_use(calendar, opening=0, closing=1_000, readings=[noon], registers=2)
        assert told.is_between is is_between


def test_readings_that_fall_or_pass_a_boundary_entry_are_refused() -> None:
    calendar = price_calendar(DAY_AND_NIGHT, SHANGHAI, 20261101, 20261102)
    for values in ([500, 400], [1_001], [-1]):
        with pytest.raises(TimeOfUseError, match="fall"):
            time_of_use(calendar, opening=0, closing=1_000, readings=hourly(calendar.start_ms, values), registers=2)


@given(st.integers(0, 2**32), st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/New_York"]))
def test_the_parts_are_never_below_zero_and_add_up_to_what_the_boundary_entries_say(seed: int, zone: str) -> None:
    rng = Random(seed)
    day = rng.choice([20260308, 20260328, 20261024, 20261031, 20260601])
    last = int(f"{datetime.fromtimestamp(ms(str(day), UTC) / 1000 + 86_400 * rng.randrange(1, 9), UTC):%Y%m%d}")  # type: ignore[arg-type]
    edges = sorted(rng.sample(range(1440), 4))
    windows = [Window(at % 3, edge, edges[(at + 1) % 4]) for at, edge in enumerate(edges)]
    calendar = price_calendar(windows, ZoneInfo(zone), day, last)
    times = sorted(rng.sample(range(calendar.start_ms, calendar.end_ms, 30_000), rng.randrange(60)))
    values = sorted(rng.randrange(10**6) for _ in range(len(times) + 2))
    readings = [TimedReading(at, value) for at, value in zip(times, values[1:-1], strict=True)]
    used, told = time_of_use(calendar, opening=values[0], closing=values[-1], readings=readings, registers=3)
    assert min(used) >= 0 and sum(used) == values[-1] - values[0]
    assert sum(calendar.minutes(3)) == (calendar.end_ms - calendar.start_ms) // MINUTE
    named = sorted({reading for one in told for reading in one.readings} & set(readings))
    again, _ = time_of_use(calendar, opening=values[0], closing=values[-1], readings=named, registers=3)
    assert again == used, "the readings that are named are all that it takes"
