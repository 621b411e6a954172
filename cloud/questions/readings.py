"""One entry with its story, its evidence, and the days around it."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy import select

from cloud.errors import SettingsError
from cloud.questions.ground import Ground, day_of, title
from cloud.store import tables
from cloud.store.readings import open_entries
from cloud.web.answers import DayPoint, Person, Reading, Title

__all__ = ["ReadingQuestions"]

_DAYS_MAX = 40


class ReadingQuestions(Ground):
    """Readings and evidence."""

    async def reading(self, viewer: Person | None, origin: str, index: int) -> Reading | None:
        async with self.store.read() as connection:
            row = await self.entry(connection, origin, index)
            if row is None or not self.may_see(viewer, row.kind, row.device, row.observed_at_ms):
                return None
            reference = await self.reference(connection, row)
            _state, received_ms, anchored_ms = await self.progress(connection, row.log_id, index)
        await self.note_tenants_look(viewer, row.device, f"/readings/{origin}/{index}")
        named = self.directory.device_of(row.device)
        return Reading(
            ref=reference,
            kind=row.kind,
            device=row.device.hex(),
            device_kind=named.kind if named else "gateway",
            device_title=title(named.title) if named else Title(zh="网关", en="Gateway"),
            urn=named.urn if named else None,
            detail=json.loads(row.detail) if row.detail else None,
            logged_at_ms=received_ms,
            anchored_at_ms=anchored_ms,
        )

    async def evidence_file(self, viewer: Person | None, origin: str, index: int) -> bytes | None:
        async with self.store.read() as connection:
            row = await self.entry(connection, origin, index)
        if row is None or not self.may_see(viewer, row.kind, row.device, row.observed_at_ms):
            return None
        await self.note_tenants_look(viewer, row.device, f"/readings/{origin}/{index}/evidence.json")
        named = self.directory.device_of(row.device)
        return await self.cloud.evidence.evidence(origin, index, urn=named.urn if named else None)

    async def day_series(self, viewer: Person | None, origin: str, index: int) -> Sequence[DayPoint]:
        """Differences of neighbouring boundary entries; a day whose boundary is missing has no use."""
        async with self.store.read() as connection:
            row = await self.entry(connection, origin, index)
            if row is None or row.kind != 1 or not self.may_see(viewer, row.kind, row.device, row.observed_at_ms):
                return ()
            register = row.quantity.partition("*")[0]
            column = tables.boundaries.c
            query = (
                select(column.boundary_date, column.device, column.leaf_hash, column.sealed_by, column.value)
                .where(column.log_id.in_(await self.logs_of(connection, row.device)))
                .where(column.device == row.device, column.register == register)
                .order_by(column.boundary_date.desc())
                .limit(_DAYS_MAX + 1)
            )
            found = open_entries(connection, (await connection.execute(query)).all())
            values = {day_of(one.boundary_date): one.value for one in found}
        if viewer is not None and viewer.since_ms:
            moved_in = datetime.fromtimestamp(viewer.since_ms / 1000, self.directory.timezone).date()
            values = {day: value for day, value in values.items() if day >= moved_in}
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

    async def trust_file(self) -> bytes:
        path = self.cloud.settings.trust_file
        if path is None:
            raise SettingsError("[cloud] trust_file is not set; `minglou chain deploy --trust FILE` writes one")
        return _read(path)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(
            f"trust file {path} cannot be read: {error}; write it with `minglou chain deploy --trust`"
        ) from error
