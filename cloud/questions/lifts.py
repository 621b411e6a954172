"""A lift's public page: what its module said, who looks after it, since when there are records."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from cloud.directory import DirectoryDevice
from cloud.identity.throttle import count_within
from cloud.maintenance.availability import IN_SERVICE, INSPECTION, MODE, own_time_ms
from cloud.maintenance.clock import standing_of
from cloud.maintenance.visited import read_done
from cloud.questions.devices import SILENT_MS, DeviceQuestions
from cloud.questions.ground import title
from cloud.store import tables
from cloud.web.answers import Person
from cloud.web.device_answers import Lift, LiftState, LiftSummary, Scanned
from contracts.label import PLACE_NAMES, Place, label_digest

__all__ = ["LiftQuestions"]

TRIPS = "lift.trips"
_DAY_MS = 86_400_000
_MONTH_MS = 30 * 86_400_000
_HOUR_MS = 3_600_000
_REPORTS_AN_HOUR = 5
_KEPT_MS = 60_000


class LiftQuestions(DeviceQuestions):
    """Lifts, for everybody."""

    _overdue: tuple[int, Mapping[str, int]] | None = None  # when it was asked for last, and the answer

    async def lifts(self, viewer: Person | None = None) -> Sequence[LiftSummary]:
        doors = viewer.units if viewer is not None else ()
        theirs = {unit.building for door in doors if (unit := self.directory.unit_named(door)) is not None}
        lifts = [
            device
            for device in self.directory.of_kind("lift")
            if viewer is None or device.building is None or device.building in theirs
        ]
        async with self.store.glance() as connection:
            return [await self._lift_summary(connection, device) for device in lifts]

    async def lift(self, name: str) -> Lift | None:
        device = next((one for one in self.directory.of_kind("lift") if one.name == name), None)
        return None if device is None else await self._lift(device)

    async def overdue_days(self) -> Mapping[str, int]:
        """Lifts whose visit is overdue, by name, and by how many days; kept for a minute, for anybody may ask."""
        kept, now_ms = self._overdue, self.now_ms()
        if kept is not None and 0 <= now_ms - kept[0] < _KEPT_MS:
            return kept[1]
        lifts = self.directory.of_kind("lift")
        found: dict[str, int] = {}
        async with self.store.read() as connection:
            done = await read_done(connection, lifts, self.directory.timezone, now_s=now_ms // 1000)
            for lift in lifts:
                since_ms = None if lift.serviced_since else await self.first_seen_ms(connection, lift)
                _due, days = standing_of(self.due_of(lift, done.get(lift.device, ()), since_ms))
                found |= {lift.name: days} if days else {}
        self._overdue = (now_ms, found)
        return found

    async def scanned(self, code: str) -> Scanned | None:
        """What a label's code leads to; None for one that nothing here carries."""
        found = self._labelled(code)
        if found is None:
            return None
        device, place, is_revoked = found
        if device.kind == "lift":
            return Scanned(place=place, is_revoked=is_revoked, lift=await self._lift(device))
        return Scanned(place=place, is_revoked=is_revoked, device=await self.public_device(device))

    async def may_report(self, who: bytes) -> bool:
        """Count one more report from an address; whether it is still within the limit."""
        async with self.store.write(None) as connection:
            number, _ends = await count_within(connection, b"fault\0" + who, _HOUR_MS, self.now_ms())
        return number <= _REPORTS_AN_HOUR

    async def report_fault(self, code: str, says: str) -> bool:
        """Keep what somebody wrote at the device that carries a code; False where nothing common does any more."""
        found = self._labelled(code)
        if found is None or found[2] or found[0].unit is not None:
            return False
        await self.note_fault(found[0], found[1], says)
        return True

    def _labelled(self, code: str) -> tuple[DirectoryDevice, str, bool] | None:
        """The device that carries a code, where on it, and whether the code was revoked since."""
        digest = label_digest(code)
        held = self.maintenance.label_of(digest) if self.maintenance else None
        if held is None:  # not on chain yet
            found = self.directory.label_of(digest)
            return None if found is None else (*found, False)
        named, place, is_revoked = held
        device = self.directory.device_of(named)
        return None if device is None else (device, PLACE_NAMES[Place(place)], is_revoked)

    async def _lift(self, device: DirectoryDevice) -> Lift:
        column = tables.entries.c
        async with self.store.read() as connection:
            summary = await self._lift_summary(connection, device)
            since_ms = await self.first_seen_ms(connection, device)
            mode = await self.latest_entry(connection, device.device, column.quantity == MODE)
            inspection = await self.latest_entry(
                connection, device.device, column.quantity == MODE, column.value.in_(INSPECTION)
            )
            begun, ended = await self._inspection_span(connection, device, inspection)
            total, month = await self._trips(connection, device)
            return Lift(
                summary=summary,
                place=self.place_of(device),
                care=await self.care_of(connection, device, summary.state, since_ms),
                records_since_ms=since_ms,
                last_inspection_from_ms=begun,
                last_inspection_to_ms=ended,
                visits=await self.visits_of(connection, device.device),
                trips_total=total,
                trips_30_days=month,
                last_status=await self.reference(connection, mode) if mode else None,
                last_inspection=await self.reference(connection, inspection) if inspection else None,
            )

    async def _lift_summary(self, connection: Any, device: DirectoryDevice) -> LiftSummary:
        mode = await self.latest_entry(connection, device.device, tables.entries.c.quantity == MODE)
        last = await self.latest_entry(connection, device.device)
        state = LiftState.UNKNOWN
        if mode is not None and last is not None and self.now_ms() - last.observed_at_ms <= SILENT_MS:
            state = _state(mode.value)
        return LiftSummary(
            name=device.name,
            title=title(device.title),
            state=state,
            last_seen_at_ms=last.observed_at_ms if last else None,
        )

    async def _inspection_span(
        self, connection: Any, device: DirectoryDevice, inspection: Any
    ) -> tuple[int | None, int | None]:
        """From when to when, by the lift's own time, it was last on inspection before it went back into service."""
        if inspection is None:
            return None, None
        column = tables.entries.c
        query = select(column.observed_at_ms, column.value, column.detail).where(
            column.log_id.in_(await self.logs_of(connection, device.device)),
            column.device == device.device,
            column.quantity == MODE,
            column.observed_at_ms.between(inspection.observed_at_ms - _DAY_MS, inspection.observed_at_ms + _DAY_MS),
        )
        told = sorted((own_time_ms(row), row.value) for row in await connection.execute(query))
        last = max(at_ms for at_ms, mode in told if mode in INSPECTION)
        in_service = max((at_ms for at_ms, mode in told if mode == IN_SERVICE and at_ms < last), default=-1)
        begun = min(at_ms for at_ms, mode in told if mode in INSPECTION and at_ms > in_service)
        return begun, min((at_ms for at_ms, mode in told if mode == IN_SERVICE and at_ms > last), default=None)

    async def _trips(self, connection: Any, device: DirectoryDevice) -> tuple[int | None, int | None]:
        column = tables.entries.c
        last = await self.latest_entry(connection, device.device, column.quantity == TRIPS)
        if last is None:
            return None, None
        query = (
            select(column.value)
            .where(
                column.log_id.in_(await self.logs_of(connection, device.device)),
                column.device == device.device,
                column.quantity == TRIPS,
                column.observed_at_ms >= last.observed_at_ms - _MONTH_MS,
            )
            .order_by(column.observed_at_ms)
            .limit(1)
        )
        first = (await connection.execute(query)).scalar_one()
        return last.value, last.value - first


def _state(mode: int) -> LiftState:
    """What a mode is to people who wait for the lift: fire and faults stop it."""
    if mode == IN_SERVICE:
        return LiftState.IN_SERVICE
    return LiftState.INSPECTION if mode in INSPECTION else LiftState.STOPPED
