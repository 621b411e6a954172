"""One entry with its story, its evidence, and the days around it."""

import json
from collections.abc import Sequence
from pathlib import Path

from cloud.errors import SettingsError
from cloud.questions.days import MeterDays
from cloud.questions.ground import title
from cloud.web.answers import DayPoint, Person, Reading, Title
from contracts.entry import Kind

__all__ = ["ReadingQuestions"]


class ReadingQuestions(MeterDays):
    """Readings and evidence."""

    async def reading(self, viewer: Person | None, origin: str, index: int) -> Reading | None:
        async with self.store.glance() as connection:
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

    async def look_file(self, viewer: Person, index: int) -> bytes | None:
        if viewer.grant is None or viewer.grant.unit is None:
            return None
        return await self.cloud.evidence.look(viewer.grant.unit, index, from_ms=viewer.since_ms)

    async def evidence_file(self, viewer: Person | None, origin: str, index: int) -> bytes | None:
        async with self.store.glance() as connection:
            row = await self.entry(connection, origin, index)
        if row is None or not self.may_see(viewer, row.kind, row.device, row.observed_at_ms):
            return None
        await self.note_tenants_look(viewer, row.device, f"/readings/{origin}/{index}/evidence.json")
        return await self.evidence_of(viewer, origin, index)

    async def evidence_of(self, viewer: Person | None, origin: str, index: int) -> bytes | None:
        """The same for whoever has noted the look at something larger."""
        async with self.store.glance() as connection:
            row = await self.entry(connection, origin, index)
        if row is None or not self.may_see(viewer, row.kind, row.device, row.observed_at_ms):
            return None
        named = self.directory.device_of(row.device)
        return await self.cloud.evidence.evidence(origin, index, urn=named.urn if named else None)

    async def day_series(self, viewer: Person | None, origin: str, index: int) -> Sequence[DayPoint]:
        async with self.store.glance() as connection:
            row = await self.entry(connection, origin, index)
            if row is None or row.kind != Kind.READING:
                return ()
            register = row.quantity.partition("*")[0]
            return await self.days_of(connection, viewer, row.device, register, row.observed_at_ms)

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
