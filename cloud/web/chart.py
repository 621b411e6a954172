"""The day chart: one bar a day as server-made SVG, so that it prints and needs no script.

The bars carry no words; the same figures stand in a table beside them for those who hear the page.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from cloud.web.answers import DayPoint

WIDTH = 600
HEIGHT = 100
_BASE = 100
_TOP = 4
_GAP_SHARE = 0.28


def labelled(days: Sequence[date]) -> tuple[date, date, date]:
    """First, middle and last day: what stands under the bars, which leave a place for a day without a figure."""
    return days[0], days[len(days) // 2], days[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One day's bar in the chart's own units."""

    day: date
    usage: int | None
    suspect: bool
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DayChart:
    """Bars and the two lines that one reads them against."""

    bars: tuple[Bar, ...]
    highest: int
    mean: int
    mean_y: float
    total: int
    width: int = WIDTH
    height: int = HEIGHT

    @property
    def labelled_days(self) -> tuple[date, ...]:
        """What stands under the bars."""
        return labelled([bar.day for bar in self.bars])


def day_chart(points: Sequence[DayPoint]) -> DayChart | None:
    """Lay out the bars; None where fewer than two days have a figure."""
    known = [point.usage for point in points if point.usage is not None]
    if len(known) < 2:
        return None
    highest = max(max(known), 1)
    mean = sum(known) // len(known)
    slot = WIDTH / len(points)
    return DayChart(
        bars=tuple(_bar(point, position, slot, highest) for position, point in enumerate(points)),
        highest=max(known),
        mean=mean,
        mean_y=_y(mean, highest),
        total=sum(known),
    )


def _bar(point: DayPoint, position: int, slot: float, highest: int) -> Bar:
    usage = max(point.usage, 0) if point.usage is not None else 0
    y = _y(usage, highest)
    return Bar(
        day=point.day,
        usage=point.usage,
        suspect=point.suspect,
        x=round(position * slot + slot * _GAP_SHARE / 2, 2),
        y=y,
        width=round(slot * (1 - _GAP_SHARE), 2),
        height=round(max(_BASE - y, 1.5 if point.usage is not None else 0), 2),
    )


def _y(usage: int, highest: int) -> float:
    return round(_BASE - (_BASE - _TOP) * max(usage, 0) / highest, 2)
