"""Demo time: linear between its ends, real afterwards, the same in every process, and its own inverse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.clock import DemoClock, SystemClock, clock_from_settings
from contracts.errors import ClockError

DAY_MS = 86_400_000
MONTH_MS = 30 * DAY_MS
AHEAD_MS = st.sampled_from((0, 7, 3 * DAY_MS))
START_MS, END_MS = 1_764_000_000_000, 1_764_000_060_000


def demo_at(real_ms: int, ahead_ms: int = 0) -> DemoClock:
    return DemoClock(
        real_start_ms=START_MS,
        real_end_ms=END_MS,
        demo_start_ms=END_MS - MONTH_MS,
        ahead_ms=ahead_ms,
        real_now_ms=lambda: real_ms,
    )


def test_a_month_passes_in_a_minute_and_then_time_is_real() -> None:
    assert demo_at(START_MS).now_ms() == END_MS - MONTH_MS
    assert demo_at(START_MS + 30_000).now_ms() == END_MS - MONTH_MS // 2
    assert demo_at(END_MS).now_ms() == END_MS
    assert demo_at(END_MS + 5).now_ms() == END_MS + 5
    assert demo_at(START_MS - 7).now_ms() == END_MS - MONTH_MS - 7
    assert demo_at(START_MS).rate == 43_200


def test_a_demo_that_was_left_alone_goes_on_days_later() -> None:
    assert demo_at(END_MS + 5, ahead_ms=3 * DAY_MS).now_ms() == END_MS + 5 + 3 * DAY_MS
    assert demo_at(END_MS + 5, ahead_ms=3 * DAY_MS).real_ms_until(END_MS + 3 * DAY_MS + 12) == 7


@given(st.integers(START_MS - 10_000, END_MS + 10_000), st.integers(0, 5_000), AHEAD_MS)
def test_demo_time_never_runs_backwards(real_ms: int, later_ms: int, ahead_ms: int) -> None:
    assert demo_at(real_ms, ahead_ms).now_ms() <= demo_at(real_ms + later_ms, ahead_ms).now_ms()


@given(st.integers(START_MS - 10_000, END_MS + 10_000), st.integers(END_MS - 2 * MONTH_MS, END_MS + 10_000), AHEAD_MS)
def test_waiting_as_long_as_told_reaches_the_time_and_a_millisecond_less_does_not(
    real_ms: int, at_ms: int, ahead_ms: int
) -> None:
    wait_ms = demo_at(real_ms, ahead_ms).real_ms_until(at_ms)
    assert wait_ms >= 0
    assert demo_at(real_ms + wait_ms, ahead_ms).now_ms() >= at_ms
    if wait_ms:
        assert demo_at(real_ms + wait_ms - 1, ahead_ms).now_ms() < at_ms


def test_settings_make_the_clock_that_they_describe() -> None:
    assert clock_from_settings(None) == clock_from_settings({"kind": "system"}) == SystemClock()
    settings = {"kind": "demo", "real_start_ms": START_MS, "real_end_ms": END_MS, "demo_start_ms": END_MS - MONTH_MS}
    clock = clock_from_settings(settings)
    assert isinstance(clock, DemoClock)
    assert clock.demo_start_ms == END_MS - MONTH_MS
    assert SystemClock().real_ms_until(0) == 0


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"kind": "lunar"},
        {"kind": "system", "real_start_ms": 1},
        {"kind": "demo", "real_start_ms": 1, "real_end_ms": 2},
        {"kind": "demo", "real_start_ms": 1, "real_end_ms": 2, "demo_start_ms": 0, "more": 1},
        {"kind": "demo", "real_start_ms": 1, "real_end_ms": "2", "demo_start_ms": 0},
        {"kind": "demo", "real_start_ms": 1, "real_end_ms": True, "demo_start_ms": 0},
        {"kind": "demo", "real_start_ms": 2, "real_end_ms": 2, "demo_start_ms": 0},
        {"kind": "demo", "real_start_ms": 1, "real_end_ms": 2, "demo_start_ms": 3},
        {"kind": "demo", "real_start_ms": 1, "real_end_ms": 2, "demo_start_ms": 0, "ahead_ms": -1},
    ],
)
def test_settings_that_describe_no_clock_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ClockError, match="clock"):
        clock_from_settings(settings)
