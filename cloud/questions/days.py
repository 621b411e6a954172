"""What a meter counted day by day, for the chart beside a reading or a line."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, select

from cloud.billing.usage import Registers
from cloud.questions.ground import Ground, day_of
from cloud.store import tables
from cloud.store.readings import open_entries
from cloud.web.answers import DayPoint, Person
from contracts.entry import Kind

__all__ = ["MeterDays"]

_DAYS_MAX = 40
_COLUMN = tables.boundaries.c
_LAST_DAYS = (
    select(_COLUMN.boundary_date, _COLUMN.device, _COLUMN.leaf_hash, _COLUMN.sealed_by, _COLUMN.value)
    .where(_COLUMN.log_id.in_(bindparam("logs", expanding=True)))
    .where(_COLUMN.device == bindparam("device"), _COLUMN.register == bindparam("register"))
    .order_by(_COLUMN.boundary_date.desc())
    .limit(_DAYS_MAX + 1)
)


class MeterDays(Ground):
    """Days of one register of one meter."""

    async def days_of(
        self, connection: Any, viewer: Person | None, device: bytes, register: str, observed_at_ms: int
    ) -> Sequence[DayPoint]:
        """Differences of neighbouring boundary entries; a day whose boundary is missing has no use. Nothing where the
        viewer may not see what the meter said at that time.
        """
        if not self.may_see(viewer, Kind.READING, device, observed_at_ms):
            return ()
        place = {"logs": await self.logs_of(connection, device), "device": device, "register": register}
        found = open_entries(connection, (await connection.execute(_LAST_DAYS, place)).all())
        return self._shown(viewer, {day_of(one.boundary_date): one.value for one in found})

    def days_in(
        self, registers: Registers, viewer: Person | None, device: bytes, register: str, observed_at_ms: int
    ) -> Sequence[DayPoint]:
        """The same of what was read already, where that reaches to the newest day."""
        if not self.may_see(viewer, Kind.READING, device, observed_at_ms):
            return ()
        days = registers.days(device, register)[-_DAYS_MAX - 1 :]
        return self._shown(viewer, {day_of(day): registers.at(device, register, day)[-1].value for day in days})

    def _shown(self, viewer: Person | None, values: Mapping[date, int]) -> Sequence[DayPoint]:
        """Differences of neighbouring values, as far as they are the viewer's to see."""
        if viewer is not None and viewer.since_ms:
            moved_in = datetime.fromtimestamp(viewer.since_ms / 1000, self.directory.timezone).date()
            values = {day: value for day, value in values.items() if day >= moved_in}
        return _differences(values)


def _differences(values: Mapping[date, int]) -> Sequence[DayPoint]:
    if len(values) < 2:
        return ()
    first, last = min(values), max(values)
    points: list[DayPoint] = []
    for offset in range(min((last - first).days, _DAYS_MAX)):
        day = last - timedelta(days=offset + 1)
        opening, closing = values.get(day), values.get(day + timedelta(days=1))
        usage = None if opening is None or closing is None else closing - opening
        points.append(DayPoint(day=day, usage=usage, suspect=usage is not None and usage < 0))
    return points[::-1]
