"""Watches the wall clock against the monotonic one: steps are logged, and a clock that was never set is said so."""

import time
from collections.abc import Callable

STEP_MIN_MS = 2_000
UNSET_BEFORE_MS = 1_735_689_600_000  # 2025-01-01: no gateway ran before; a board without a battery starts in 1970


class ClockWatch:
    """Compares how far both clocks moved between two looks.

    Args:
        now_ms: the wall clock, UTC ms.
        monotonic: seconds that never step.
    """

    def __init__(self, now_ms: Callable[[], int], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._now_ms = now_ms
        self._monotonic = monotonic
        self._wall_ms = now_ms()
        self._at = monotonic()

    @property
    def is_unset(self) -> bool:
        """Whether the clock cannot be right, so that entries are qualified by a `clock.step` that says so."""
        return self._now_ms() < UNSET_BEFORE_MS

    def step_ms(self) -> int:
        """How far the wall clock stepped since the last look; 0 for less than two seconds."""
        wall_ms, at = self._now_ms(), self._monotonic()
        step = round((wall_ms - self._wall_ms) - (at - self._at) * 1000)
        self._wall_ms, self._at = wall_ms, at
        return step if abs(step) >= STEP_MIN_MS else 0
