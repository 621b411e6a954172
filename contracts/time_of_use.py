"""Time of use from one register's readings: when each price of a tariff held, and how much was counted meanwhile.

For a meter without tariff registers. What it counted over a line's days is the difference of two boundary entries, as
ever; its readings between them only say when. Where the price changes, the register's value is what the nearest
reading says that was made within five minutes of it; where there is none, what lies between the readings before and
after it by time. So the parts add up to the difference exactly, and each can be done again from the entries named.

`contracts/js/timeofuse.js` gives the same numbers (shared vectors).
"""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import pairwise
from typing import NamedTuple

from contracts.errors import ContractsError
from contracts.tariff import Window

__all__ = ["TOLERANCE_MS", "PriceCalendar", "TimeOfUseError", "TimedReading", "Told", "price_calendar", "time_of_use"]

TOLERANCE_MS = 5 * 60_000
"""How far from a change of price a reading may have been made to stand for it: pollers go round many meters."""

_DAY_MS = 86_400_000
_MINUTE_MS = 60_000


class TimeOfUseError(ContractsError):
    """Readings from which no time of use can be told."""


class TimedReading(NamedTuple):
    """A register's value at an instant, and which entry says so."""

    at_ms: int
    value: int
    entry: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PriceCalendar:
    """Which of a tariff's registers would count from when on, between two midnights of the site."""

    changes: tuple[tuple[int, int], ...]  # (UTC milliseconds, register); the first is the first midnight
    end_ms: int

    @property
    def start_ms(self) -> int:
        return self.changes[0][0]

    def minutes(self, registers: int) -> list[int]:
        """How long each register counts, in minutes of time that really passed: a day may have 23 or 25 hours."""
        minutes = [0] * registers
        for (start, register), (end, _) in pairwise((*self.changes, (self.end_ms, 0))):
            minutes[register] += (end - start) // _MINUTE_MS
        return minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """The register's value where the price changes: of one reading, or by time between two."""

    at_ms: int
    value: int
    readings: tuple[TimedReading, ...]

    @property
    def is_between(self) -> bool:
        return len(self.readings) > 1


def price_calendar(windows: Sequence[Window], zone: tzinfo, from_date: int, to_date: int) -> PriceCalendar:
    """The changes of price from one boundary date (YYYYMMDD) to another. Windows are minutes by the clock on the wall:
    an hour that the clocks repeat is priced alike both times, one that they skip is nobody's. Without windows there is
    one price.
    """
    first, last = _day(from_date), _day(to_date)
    low, high = _utc_ms(first) - 2 * _DAY_MS, _utc_ms(last) + 2 * _DAY_MS
    shifts = list(_clock_changes(zone, low, high))
    offsets = {_offset_ms(zone, at) for at in (low, *shifts)}
    start_ms, end_ms = (_midnight(zone, day, offsets, shifts) for day in (first, last))
    days = [_utc_ms(first) + number * _DAY_MS for number in range((last - first).days + 1)]
    edges = (day + window.first * _MINUTE_MS - offset for day in days for window in windows for offset in offsets)
    instants = sorted({start_ms, *(at for at in (*edges, *shifts) if start_ms < at < end_ms)})
    changes: list[tuple[int, int]] = []
    for at in instants:
        register = _register_at(windows, zone, at) if windows else 0
        if not changes or changes[-1][1] != register:
            changes.append((at, register))
    return PriceCalendar(changes=tuple(changes), end_ms=end_ms)


def time_of_use(
    calendar: PriceCalendar, *, opening: int, closing: int, readings: Sequence[TimedReading], registers: int
) -> tuple[list[int], list[Told]]:
    """What was counted while each register's price held, and what is told of the register where the price changes.

    Args:
        opening: the register at the calendar's beginning, by its boundary entry; `closing` at its end.
        readings: made between, in the order of their times; as few as the nearest ones do.
        registers: how many the tariff has.

    Raises:
        TimeOfUseError: readings are not in order, or fall.
    """
    points = [
        TimedReading(calendar.start_ms, opening),
        *readings,
        TimedReading(calendar.end_ms, closing),
    ]
    for one, two in pairwise(points):
        if two.at_ms < one.at_ms or two.value < one.value:
            raise TimeOfUseError(
                f"readings fall or are not in order: {one.value} at {one.at_ms}, {two.value} at {two.at_ms}"
            )
    times = [point.at_ms for point in points]
    told = [_told(points, times, at) for at, _ in calendar.changes[1:]]
    values = [opening, *(one.value for one in told), closing]
    used = [0] * registers
    for (_, register), (before, after) in zip(calendar.changes, pairwise(values), strict=True):
        used[register] += after - before
    return used, told


def _told(points: Sequence[TimedReading], times: Sequence[int], at_ms: int) -> Told:
    place = bisect_left(times, at_ms, 1, len(points) - 1)
    before, after = points[place - 1], points[place]
    nearest = before if at_ms - before.at_ms <= after.at_ms - at_ms else after
    if abs(nearest.at_ms - at_ms) <= TOLERANCE_MS:
        return Told(at_ms=at_ms, value=nearest.value, readings=(nearest,))
    part = (after.value - before.value) * (at_ms - before.at_ms) // (after.at_ms - before.at_ms)
    return Told(at_ms=at_ms, value=before.value + part, readings=(before, after))


def _register_at(windows: Sequence[Window], zone: tzinfo, at_ms: int) -> int:
    minute = (at_ms + _offset_ms(zone, at_ms)) // _MINUTE_MS % 1440
    for window in windows:
        length = (window.end - window.first) % 1440 or 1440
        if (minute - window.first) % 1440 < length:
            return window.register
    raise TimeOfUseError(f"no window holds at minute {minute} of the day")


def _midnight(zone: tzinfo, day: date, offsets: set[int], shifts: Sequence[int]) -> int:
    """The first instant of a local date, which may not be midnight where the clocks skip that."""
    candidates = sorted((*(_utc_ms(day) - offset for offset in offsets), *shifts))
    return next(at for at in candidates if (at + _offset_ms(zone, at)) // _DAY_MS >= _utc_ms(day) // _DAY_MS)


def _clock_changes(zone: tzinfo, low: int, high: int) -> Iterator[int]:
    """The instants at which the zone's clocks are changed, to the minute."""
    for start, end in pairwise(range(low, high + 1, _DAY_MS)):
        if _offset_ms(zone, start) != _offset_ms(zone, end):
            before, after = start // _MINUTE_MS, end // _MINUTE_MS
            while after - before > 1:
                middle = (before + after) // 2
                if _offset_ms(zone, middle * _MINUTE_MS) == _offset_ms(zone, start):
                    before = middle
                else:
                    after = middle
            yield after * _MINUTE_MS


def _offset_ms(zone: tzinfo, at_ms: int) -> int:
    offset = datetime.fromtimestamp(at_ms / 1000, zone).utcoffset()
    assert offset is not None, "an aware instant has an offset"
    return offset // timedelta(milliseconds=1)


def _day(number: int) -> date:
    return date(number // 10_000, number // 100 % 100, number % 100)


def _utc_ms(day: date) -> int:
    """Midnight of a date as if it were UTC's."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000
