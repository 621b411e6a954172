"""What simulated devices say is a pure function of (seed, device, time)."""

from datetime import date, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.simulated.calendar import day_start_ms
from devices.simulated.consumption import COMMON_SHAPE, WATER_SHAPE, Consumption, Shape, flat_shape
from devices.simulated.display import Reports
from devices.simulated.lift.schedule import LiftSchedule, visit_round
from devices.simulated.schedule import AccessController, Numbered, Schedule

ZONE = ZoneInfo("Asia/Shanghai")
NOW_MS = day_start_ms(date(2026, 11, 22), ZONE) + 37_000_123
HOUR_MS = 3_600_000
SCHEDULES = [
    LiftSchedule(7, "l1", ZONE, 12),
    LiftSchedule(7, "l1", ZONE, 12, model="B"),
    AccessController(7, "gate", ZONE),
    Reports(ZONE, 300, visits_ms=(NOW_MS - 5 * HOUR_MS,), often_from_ms=NOW_MS + 40 * HOUR_MS),
]
times = st.integers(day_start_ms(date(2026, 1, 1), ZONE), day_start_ms(date(2026, 12, 31), ZONE))
SHARED = Consumption(7, "shared", ZONE, flat_shape(8930))


@given(times, times)
def test_a_register_never_falls(first_ms: int, second_ms: int) -> None:
    low, high = sorted((first_ms, second_ms))
    assert SHARED.at(low) <= SHARED.at(high)


@given(st.lists(times, min_size=1, max_size=5))
def test_a_new_register_agrees_whatever_was_asked_before(asked: list[int]) -> None:
    fresh = Consumption(7, "shared", ZONE, flat_shape(8930))
    for at_ms in asked:
        SHARED.at(at_ms)
    assert [SHARED.at(at_ms) for at_ms in asked[:1]] == [fresh.at(at_ms) for at_ms in asked[:1]]


@given(st.dates(date(2025, 1, 2), date(2026, 12, 1)))
def test_the_freeze_is_the_register_at_midnight(day: date) -> None:
    assert SHARED.at_midnight(day) == SHARED.at(day_start_ms(day, ZONE))
    assert 0 <= SHARED.valley_at_midnight(day) <= SHARED.at_midnight(day)
    assert SHARED.valley_at(day_start_ms(day, ZONE)) == SHARED.valley_at_midnight(day)


def test_a_day_that_is_an_hour_longer_uses_no_more() -> None:
    """Where clocks go back the day has 25 hours; its register still meets the next midnight."""
    berlin = ZoneInfo("Europe/Berlin")
    register = Consumption(7, "a", berlin, flat_shape(8930))
    day = date(2026, 10, 25)
    assert day_start_ms(day + timedelta(days=1), berlin) - day_start_ms(day, berlin) == 25 * HOUR_MS
    last_ms = day_start_ms(day + timedelta(days=1), berlin)
    assert register.at(last_ms - 1) <= register.at(last_ms) == register.at_midnight(day + timedelta(days=1))


@pytest.mark.parametrize(
    ("shape", "low", "high"),
    [(flat_shape(8930), 4_000, 14_000), (COMMON_SHAPE, 50_000, 75_000), (WATER_SHAPE, 150, 550)],
)
def test_a_day_uses_what_such_a_place_uses(shape: Shape, low: int, high: int) -> None:
    register = Consumption(7, "a", ZONE, shape)
    days = [date(2026, 3, 1) + timedelta(days=offset) for offset in range(60)]
    used = [register.at_midnight(later) - register.at_midnight(earlier) for earlier, later in pairwise(days)]
    assert low < min(used) < max(used) < high
    assert len(set(used)) > 50


def test_seeds_and_devices_differ() -> None:
    registers = [Consumption(seed, name, ZONE, flat_shape(8930)).at(NOW_MS) for seed in (7, 8) for name in "ab"]
    assert len(set(registers)) == 4


@pytest.mark.parametrize(
    "schedule",
    SCHEDULES,
)
def test_messages_are_numbered_without_a_gap_and_in_order(schedule: Schedule) -> None:
    events = list(islice(Numbered(schedule, ZONE).from_time(NOW_MS), 300))
    assert [event.number for event in events] == list(range(events[0].number, events[0].number + 300))
    assert all(earlier.at_ms <= later.at_ms for earlier, later in pairwise(events))
    again = list(islice(Numbered(schedule, ZONE).from_number(events[40].number), 260))
    assert again == events[40:]


@pytest.mark.parametrize(
    "schedule",
    SCHEDULES,
)
def test_the_count_of_a_day_is_what_the_day_has(schedule: Schedule) -> None:
    for offset in range(60):
        day = date(2026, 9, 1) + timedelta(days=offset)
        assert schedule.count(day) == len(schedule.contents(day))


@pytest.mark.parametrize("model", ["A", "B"])
def test_a_lift_is_inspected_every_fortnight_and_comes_back_to_normal(model: str) -> None:
    lift = LiftSchedule(7, "l1", ZONE, 12, model=model)
    days = [lift.contents(date(2026, 9, 1) + timedelta(days=offset)) for offset in range(28)]
    modes = [[content["mode"] for _, content in day] for day in days]
    inspected = [day for day in modes if "inspection" in day]
    assert len(inspected) == 2
    assert all(day[-1] == "normal" for day in inspected)


@pytest.mark.parametrize("model", ["A", "B"])
def test_a_lift_is_visited_when_its_building_says_and_its_counters_remember_it(model: str) -> None:
    visit_ms = day_start_ms(date(2026, 9, 15), ZONE) + (9 * 60 + 40) * 60_000
    visited, neglected = (LiftSchedule(7, "l1", ZONE, 12, visits, model) for visits in ((visit_ms,), ()))
    done = visit_round(7, "l1", 12, visit_ms)
    worked = [at_ms for at_ms, content in visited.contents(date(2026, 9, 15)) if content["mode"] == "inspection"]
    assert worked
    assert done.start_ms <= min(worked) <= max(worked) <= done.end_ms
    for offset, is_more in ((-1, False), (0, True), (1, True)):
        day = date(2026, 9, 15) + timedelta(days=offset)
        last, plain = (int(str(lift.contents(day)[-1][1]["door_cycles"])) for lift in (visited, neglected))
        assert (last != plain) is is_more
        assert not any(content["mode"] == "inspection" for _, content in neglected.contents(day))


@pytest.mark.parametrize("model", ["A", "B"])
def test_a_lifts_counters_never_fall(model: str) -> None:
    events = list(islice(Numbered(LiftSchedule(7, "l1", ZONE, 12, model=model), ZONE).from_time(NOW_MS), 700))
    for name in ("trips", "door_cycles", *(("alarms", "supply_drops", "inspection_runs") if model == "B" else ())):
        counts = [int(str(event.content[name])) for event in events if name in event.content]
        assert counts == sorted(counts)
        assert counts[-1] > counts[0]


def test_a_visit_over_midnight_belongs_to_both_its_days() -> None:
    visit_ms = day_start_ms(date(2026, 9, 16), ZONE) - 20 * 60_000
    lift = LiftSchedule(7, "l1", ZONE, 12, (visit_ms,), "B")
    days = [lift.contents(date(2026, 9, day)) for day in (15, 16)]
    assert all(any(content["mode"] == "inspection" for _, content in day) for day in days)
    assert [len(day) for day in days] == [lift.count(date(2026, 9, day)) for day in (15, 16)]
    assert [at_ms for day in days for at_ms, _ in day] == sorted(at_ms for day in days for at_ms, _ in day)


def test_a_display_reports_hourly_but_about_signed_visits_and_when_the_month_is_over() -> None:
    midnight_ms = day_start_ms(date(2026, 9, 15), ZONE)
    visit_ms, over_ms = midnight_ms + 14 * HOUR_MS, midnight_ms + 48 * HOUR_MS
    display = Reports(ZONE, 300, visits_ms=(visit_ms,), often_from_ms=over_ms)
    quiet, visited, often = (
        [at_ms for at_ms, _ in display.contents(date(2026, 9, day))] for day in (14, 15, 17)
    )  # fmt: skip
    assert len(quiet) == 24 and len(often) == 288
    about = [at_ms for at_ms in visited if visit_ms - HOUR_MS <= at_ms < visit_ms + 8 * HOUR_MS]
    assert len(about) == 9 * 12 and len(visited) == 9 * 12 + 15
    assert Reports(ZONE, 300).count(date(2026, 9, 14)) == 288, "a display like those in real buildings"
