"""What meters counted day by day, for the chart beside a reading or a line.

A day's use is the difference of two midnight readings. Where one is missing, the days between the readings around it
share evenly what those say: the sum is a fact, the single day is not, and each day says which of the two it is.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import bindparam, select

from cloud.billing.usage import Bindings, Registers, Subject, meters_of
from cloud.errors import BillingError
from cloud.questions.ground import Ground, day_of
from cloud.store import tables
from cloud.store.readings import open_entries
from cloud.web.answers import DayKind, DayPoint, Person
from contracts.entry import Kind

__all__ = ["MeterDays", "days_between"]

_DAYS_MAX = 40  # around a reading
_LINE_DAYS_MAX = 92  # of a line: a quarter
_AFTER = timedelta(days=_DAYS_MAX // 2)  # a reading stands in the middle of its days where there are later ones
_COLUMN = tables.boundaries.c
_LAST_DAYS = (
    select(_COLUMN.boundary_date, _COLUMN.device, _COLUMN.leaf_hash, _COLUMN.sealed_by, _COLUMN.value)
    .where(_COLUMN.log_id.in_(bindparam("logs", expanding=True)))
    .where(_COLUMN.device == bindparam("device"), _COLUMN.register == bindparam("register"))
    .where(_COLUMN.boundary_date <= bindparam("until"))
    .order_by(_COLUMN.boundary_date.desc())
    .limit(_DAYS_MAX + 1)
)


class MeterDays(Ground):
    """Days of one register."""

    async def days_of(
        self, connection: Any, viewer: Person | None, device: bytes, register: str, observed_at_ms: int
    ) -> Sequence[DayPoint]:
        """Days around a reading of one meter, at most 40. Nothing where the viewer may not see what it said."""
        if not self.may_see(viewer, Kind.READING, device, observed_at_ms):
            return ()
        until = self._local_day(observed_at_ms) + _AFTER
        asked = {
            "logs": await self.logs_of(connection, device),
            "device": device,
            "register": register,
            "until": int(until.strftime("%Y%m%d")),
        }
        rows = open_entries(connection, (await connection.execute(_LAST_DAYS, asked)).all())
        values: dict[date, int] = {}
        for row in rows:  # two values for one midnight: the lower one, as bills take it
            day = day_of(row.boundary_date)
            values[day] = min(row.value, values.get(day, row.value))
        values = self._theirs(viewer, values)
        return days_between(values, min(values), max(values))[-_DAYS_MAX:] if values else ()

    def days_in(
        self,
        registers: Registers,
        bindings: Bindings,
        subject: Subject,
        viewer: Person,
        register: str,
        days: tuple[int, int],
    ) -> Sequence[DayPoint]:
        """A line's own days, of what was read for it already: meter after meter where one took another's place."""
        try:
            meters = meters_of(registers, bindings, subject, register=register, from_date=days[0], to_date=days[1])
        except BillingError:
            return ()
        points: list[DayPoint] = []
        for first, last, device, _ in meters:
            held = {day_of(day): registers.at(device, register, day) for day in registers.days(device, register)}
            values = {day: min(entry.value for entry in entries) for day, entries in held.items()}
            found = days_between(self._theirs(viewer, values), day_of(first), day_of(last))
            points += _marked(found) if points else found
        return points[-_LINE_DAYS_MAX:]

    def _theirs(self, viewer: Person | None, values: Mapping[date, int]) -> dict[date, int]:
        """The values that are the viewer's to see: a tenant's begin when they moved in."""
        if viewer is None or not viewer.since_ms:
            return dict(values)
        moved_in = self._local_day(viewer.since_ms)
        return {day: value for day, value in values.items() if day >= moved_in}

    def _local_day(self, at_ms: int) -> date:
        return datetime.fromtimestamp(at_ms / 1000, self.directory.timezone).date()


def days_between(values: Mapping[date, int], first: date, last: date) -> list[DayPoint]:
    """Each day from the first up to the last boundary, by one meter's readings.

    Args:
        values: what the register showed at the beginning of which day, also before the first and after the last one.
    """
    points = sorted(values.items())
    believed = _believed(points)
    doubted = {day for day, _ in points} - {day for day, _ in believed}
    known = {point.day: point for pair in pairwise(believed) for point in _days_of(*pair, doubted)}
    days = (first + timedelta(days=at) for at in range((last - first).days))
    return [known.get(day) or DayPoint(day=day, usage=None, how=DayKind.MISSING) for day in days]


def _believed(points: Sequence[tuple[date, int]]) -> list[tuple[date, int]]:
    """Without a single reading that lies outside its neighbours although these never fall: a slip, no use."""
    kept = list(points[:1])
    for at in range(1, len(points)):
        is_inner = at + 1 < len(points)
        if is_inner and kept[-1][1] <= points[at + 1][1] and not kept[-1][1] <= points[at][1] <= points[at + 1][1]:
            continue
        kept.append(points[at])
    return kept


def _days_of(opening: tuple[date, int], closing: tuple[date, int], doubted: set[date]) -> Iterator[DayPoint]:
    """The days between two readings that follow each other."""
    (begins, before), (ends, after) = opening, closing
    count, used = (ends - begins).days, after - before
    days = [begins + timedelta(days=at) for at in range(count)]
    how = DayKind.READ if count == 1 else DayKind.DOUBTFUL if doubted & set(days) else DayKind.SPREAD
    for at, day in enumerate(days):
        if used < 0:
            yield DayPoint(day=day, usage=None, how=DayKind.RESET)
        else:  # parts that telescope add up to what was used
            yield DayPoint(day=day, usage=used * (at + 1) // count - used * at // count, how=how)


def _marked(points: Sequence[DayPoint]) -> list[DayPoint]:
    """Days of a meter that took another's place."""
    first, *others = points
    return [DayPoint(day=first.day, usage=first.usage, how=first.how, is_new_meter=True), *others]
