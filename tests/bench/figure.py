"""One measured figure, and the small statistics that groups share.

A group is a module `tests/bench/<group>.py` with `def figures() -> dict[str, Figure]`. It measures and states; the
bars stand in one table (`bars.py`), and `run.py` compares, keeps history and writes `results.json`. A figure that was
not measured is left out of the mapping, never guessed.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


class FigureError(Exception):
    """A figure cannot be a figure: no number, or too few runs behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured number under its key in BENCH's table."""

    value: float
    unit: str  # s, ms, ratio, gas, entries/s, messages/s, MB, count ...
    note: str = ""  # how it was taken, and the absolute numbers behind a ratio
    seed: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise FigureError(f"value {self.value!r} is not a number; leave the figure out when nothing was measured")
        if not math.isfinite(self.value):
            raise FigureError(f"value {self.value} is not finite; leave the figure out when nothing was measured")


def median(samples: Sequence[float], *, at_least: int = 5) -> float:
    """Median of at least `at_least` runs; fewer are refused, for one run proves nothing."""
    if len(samples) < at_least:
        raise FigureError(f"{len(samples)} runs are too few for a figure; take at least {at_least}")
    return statistics.median(samples)


def percentile(samples: Sequence[float], percent: float) -> float:
    """Nearest-rank percentile of `samples`, `percent` above 0 and at most 100."""
    if not samples or not 0 < percent <= 100:
        raise FigureError(f"no {percent} percentile of {len(samples)} samples")
    ordered = sorted(samples)
    return ordered[math.ceil(len(ordered) * percent / 100) - 1]


def seconds_of(action: Callable[[], object], *, runs: int = 5) -> list[float]:
    """Wall seconds of each of `runs` calls of `action`."""
    taken = []
    for _ in range(runs):
        started = time.perf_counter()
        action()
        taken.append(time.perf_counter() - started)
    return taken
