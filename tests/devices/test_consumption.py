"""What simulated devices say is a pure function of (seed, device, time)."""

from datetime import date, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.simulated.calendar import day_start_ms
from devices.simulated.consumption import COMMON_SHAPE, WATER_SHAPE, Consumption, Shape, flat_shape
from devices.simulated.schedule import VISIT_DOOR_CYCLES, VISIT_STAGES, AccessController, Lift, Numbered, Schedule

ZONE = ZoneInfo("Asia/Shanghai")
NOW_MS = day_start_ms(date(2026, 11, 22), ZONE) + 37_000_123
HOUR_MS = 3_600_000
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


@pytest.mark.parametrize("schedule", [Lift(7, "l1", ZONE, 12), AccessController(7, "gate", ZONE)])
def test_messages_are_numbered_without_a_gap_and_in_order(schedule: Schedule) -> None:
    events = list(islice(Numbered(schedule, ZONE).from_time(NOW_MS), 300))
    assert [event.number for event in events] == list(range(events[0].number, events[0].number + 300))
    assert all(earlier.at_ms <= later.at_ms for earlier, later in pairwise(events))
    again = list(islice(Numbered(schedule, ZONE).from_number(events[40].number), 260))
    assert again == events[40:]


@pytest.mark.parametrize("schedule", [Lift(7, "l1", ZONE, 12), AccessController(7, "gate", ZONE)])
def test_the_count_of_a_day_is_what_the_day_has(schedule: Schedule) -> None:
    for offset in range(60):
        day = date(2026, 9, 1) + timedelta(days=offset)
        assert schedule.count(day) == len(schedule.contents(day))


def test_a_lift_is_inspected_every_fortnight_and_comes_back_to_normal() -> None:
    lift = Lift(7, "l1", ZONE, 12)
    days = [lift.contents(date(2026, 9, 1) + timedelta(days=offset)) for offset in range(28)]
    modes = [[content["mode"] for _, content in day] for day in days]
    inspected = [day for day in modes if "inspection" in day]
    assert len(inspected) == 2
    assert all(day[-1] == "normal" and day.count("inspection") >= 5 for day in inspected)


def test_a_lift_is_visited_when_its_building_says_and_its_doors_remember_it() -> None:
    day_ms = day_start_ms(date(2026, 9, 15), ZONE)
    visit_ms = day_ms + (9 * 60 + 40) * 60_000
    visited, neglected = Lift(7, "l1", ZONE, 12, (visit_ms,)), Lift(7, "l1", ZONE, 12, ())
    told = [row for row in visited.contents(date(2026, 9, 15)) if visit_ms <= row[0] < visit_ms + 3_600_000]
    stages = [(row[0] - visit_ms, row[1]["mode"]) for row in told if (row[0] - day_ms) % 3_600_000]
    assert stages == [(minute * 60_000, mode) for minute, mode, _ in VISIT_STAGES]
    for offset, more in ((-1, 0), (0, VISIT_DOOR_CYCLES), (1, VISIT_DOOR_CYCLES)):
        day = date(2026, 9, 15) + timedelta(days=offset)
        last, plain = (lift.contents(day)[-1][1]["door_cycles"] for lift in (visited, neglected))
        assert int(str(last)) - int(str(plain)) == more
        assert not any(content["mode"] == "inspection" for _, content in neglected.contents(day))


def test_a_lifts_counters_never_fall() -> None:
    events = list(islice(Numbered(Lift(7, "l1", ZONE, 12), ZONE).from_time(NOW_MS), 500))
    for earlier, later in pairwise(events):
        assert int(str(earlier.content["trips"])) <= int(str(later.content["trips"]))
        assert int(str(earlier.content["door_cycles"])) <= int(str(later.content["door_cycles"]))
