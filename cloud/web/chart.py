"""The day chart, one bar a day, and the bars of a comparison: server-made SVG, so that they print and need no script.

Bars carry no words; of days the same figures stand in a table beside them, for those who hear the page and for the
script that draws them larger (static/chart-view.js).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from cloud.web.answers import DayKind, DayPoint, SameDays

HEIGHT = 200
_TOP = 8
_SLOT = 10  # a day's place; its bar is two narrower
_LENGTH = 100


def labelled(days: Sequence[date]) -> tuple[date, date, date]:
    """First, middle and last day: what stands under the bars, which leave a place for a day without a figure."""
    return days[0], days[len(days) // 2], days[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One day's bar in the chart's own units, whole ones: they make a small page."""

    point: DayPoint
    x: int
    y: int

    @property
    def outline(self) -> str:
        """The bar as a piece of an SVG path. A day without a figure is a band from top to bottom, which no bar is."""
        if self.point.usage is None:
            return f"M{self.x - 1} {HEIGHT}V0h{_SLOT}V{HEIGHT}"
        return f"M{self.x} {HEIGHT}V{self.y}h{_SLOT - 2}V{HEIGHT}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DayChart:
    """Bars and the line that one reads them against."""

    bars: tuple[Bar, ...]
    highest: int
    mean: int
    mean_y: int
    height: int = HEIGHT

    @property
    def width(self) -> int:
        return _SLOT * len(self.bars)

    @property
    def outlines(self) -> Mapping[DayKind, str]:
        """All bars of each kind as one SVG path."""
        found: dict[DayKind, str] = {}
        for bar in self.bars:
            found[bar.point.how] = found.get(bar.point.how, "") + bar.outline
        return found

    @property
    def labelled_days(self) -> tuple[date, ...]:
        """What stands under the bars."""
        return labelled([bar.point.day for bar in self.bars])

    @property
    def kinds(self) -> tuple[DayKind, ...]:
        """What some days are that is not plain, in the order in which the page explains it."""
        found = {bar.point.how for bar in self.bars}
        return tuple(kind for kind in DayKind if kind in found and kind is not DayKind.READ)

    @property
    def new_meters(self) -> tuple[Bar, ...]:
        """Days from which on another meter counts."""
        return tuple(bar for bar in self.bars if bar.point.is_new_meter)


def day_chart(points: Sequence[DayPoint]) -> DayChart | None:
    """Lay out the bars; None where fewer than two days have a figure."""
    known = [point.usage for point in points if point.usage is not None]
    if len(known) < 2:
        return None
    highest = max(max(known), 1)
    mean = sum(known) // len(known)
    bars = (
        Bar(point=point, x=_SLOT * at + 1, y=0 if point.usage is None else _y(point.usage, highest))
        for at, point in enumerate(points)
    )
    return DayChart(bars=tuple(bars), highest=max(known), mean=mean, mean_y=_y(mean, highest))


def _y(usage: int, highest: int) -> int:
    """A day on which little was used still has a line."""
    return HEIGHT - max(2, (HEIGHT - _TOP) * usage // highest)


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """One bar of a comparison."""

    whose: str  # own, year, building
    usage: int | None
    length: int  # of 100


def beside(same: SameDays) -> list[Beside]:
    """One's own days, those of a year ago, and the building's middle, on one scale."""
    found = {"own": same.usage, "year": same.last_year, "building": same.median}
    most = max(usage or 0 for usage in found.values()) or 1
    return [Beside(whose=whose, usage=usage, length=_LENGTH * (usage or 0) // most) for whose, usage in found.items()]


def change_percent(same: SameDays) -> int | None:
    """How much more or less than a year ago, in whole percent; None beside nothing."""
    return round(Fraction(100 * (same.usage - same.last_year), same.last_year)) if same.last_year else None
