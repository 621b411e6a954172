"""The time that entries, chain and pages go by: the system's, or a demo's compressed month.

Everything that needs the time is given a `Clock`. The demo clock is a pure function of the real time, so that separate
processes that read one setting agree to the millisecond without talking.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from contracts.errors import ClockError

_DEMO_SETTINGS = ("real_start_ms", "real_end_ms", "demo_start_ms", "ahead_ms")


class Clock(Protocol):
    """What tells the time, in milliseconds since 1970 UTC, and how long to wait for a time to come."""

    def now_ms(self) -> int: ...

    def real_ms_until(self, at_ms: int) -> int:
        """Real milliseconds to wait until `now_ms()` reaches `at_ms`; 0 when it already has."""
        ...


def _system_now_ms() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class SystemClock:
    """The machine's own UTC clock."""

    def now_ms(self) -> int:
        return _system_now_ms()

    def real_ms_until(self, at_ms: int) -> int:
        return max(0, at_ms - _system_now_ms())


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoClock:
    """Demo time runs linearly from `demo_start_ms` at `real_start_ms` to `real_end_ms` at `real_end_ms`.

    From then on it *is* the real time. Before the start it runs at the real pace, ending at `demo_start_ms`. It never
    runs backwards while the real clock does not, and jumps only where somebody who stopped a demo and starts it again
    says that days have gone by meanwhile: from its end on it is `ahead_ms` ahead of the real time.
    """

    real_start_ms: int
    real_end_ms: int
    demo_start_ms: int
    ahead_ms: int = 0
    real_now_ms: Callable[[], int] = _system_now_ms

    def __post_init__(self) -> None:
        if not self.demo_start_ms <= self.real_start_ms < self.real_end_ms or self.ahead_ms < 0:
            raise ClockError(
                f"demo clock: needs demo_start_ms <= real_start_ms < real_end_ms, and ahead_ms >= 0, got "
                f"{self.demo_start_ms}, {self.real_start_ms}, {self.real_end_ms}, {self.ahead_ms}; "
                "correct the [clock] settings"
            )

    @property
    def rate(self) -> float:
        """Demo milliseconds in one real millisecond between start and end."""
        return (self.real_end_ms - self.demo_start_ms) / (self.real_end_ms - self.real_start_ms)

    def now_ms(self) -> int:
        return self.at_real_ms(self.real_now_ms())

    def at_real_ms(self, real_ms: int) -> int:
        """The demo time at one real time."""
        if real_ms >= self.real_end_ms:
            return real_ms + self.ahead_ms
        since_start_ms = real_ms - self.real_start_ms
        if since_start_ms <= 0:
            return self.demo_start_ms + since_start_ms
        demo_span_ms = self.real_end_ms - self.demo_start_ms
        return self.demo_start_ms + since_start_ms * demo_span_ms // (self.real_end_ms - self.real_start_ms)

    def real_ms_until(self, at_ms: int) -> int:
        return max(0, self._real_ms_of(at_ms) - self.real_now_ms())

    def _real_ms_of(self, demo_ms: int) -> int:
        """The first real millisecond at which the demo time is `demo_ms` or later."""
        if demo_ms >= self.real_end_ms:
            return max(self.real_end_ms, demo_ms - self.ahead_ms)
        since_start_ms = demo_ms - self.demo_start_ms
        if since_start_ms <= 0:
            return self.real_start_ms + since_start_ms
        demo_span_ms = self.real_end_ms - self.demo_start_ms
        real_span_ms = self.real_end_ms - self.real_start_ms
        return self.real_start_ms - (-since_start_ms * real_span_ms // demo_span_ms)


def clock_from_settings(table: Mapping[str, object] | None) -> Clock:
    """The clock that a `[clock]` table describes; the system's where the table is absent.

    Raises:
        ClockError: an unknown kind, an unknown, missing or non-integer setting.
    """
    if table is None:
        return SystemClock()
    kind = table.get("kind")
    given = set(table) - {"kind"}
    if kind == "system" and not given:
        return SystemClock()
    if kind == "demo" and given | {"ahead_ms"} == set(_DEMO_SETTINGS):
        real_start_ms, real_end_ms, demo_start_ms, ahead_ms = (_integer(table, name, 0) for name in _DEMO_SETTINGS)
        return DemoClock(
            real_start_ms=real_start_ms, real_end_ms=real_end_ms, demo_start_ms=demo_start_ms, ahead_ms=ahead_ms
        )
    raise ClockError(
        f'[clock] has kind {kind!r} with {sorted(given)}; write kind = "system" alone, '
        f'or kind = "demo" with {", ".join(_DEMO_SETTINGS)}'
    )


def _integer(table: Mapping[str, object], name: str, default: int) -> int:
    value = table.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ClockError(f"[clock] {name} is {value!r}; write milliseconds since 1970 as a whole number")
    return value
