"""A lift's public page: what its module said, who inspected it, since when there are records."""

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import func, select

from cloud.directory import DirectoryDevice
from cloud.questions.ground import title
from cloud.questions.visits import VisitQuestions
from cloud.store import tables
from cloud.web.answers import Lift, LiftState, LiftSummary, Title

__all__ = ["LiftQuestions"]

MODE, TRIPS = "lift.mode", "lift.trips"
# Codes of the lift module's profile: normal 0, inspection 1, fire 2, fault 3, out_of_service 4.
_STATES = {
    0: LiftState.IN_SERVICE,
    1: LiftState.INSPECTION,
    2: LiftState.STOPPED,
    3: LiftState.STOPPED,
    4: LiftState.STOPPED,
}
_NORMAL, _INSPECTION = 0, 1
_DAY_MS = 86_400_000
_SILENT_MS = 3 * 3_600_000  # three of the module's hourly messages
_MONTH_MS = 30 * 86_400_000


class LiftQuestions(VisitQuestions):
    """Lifts, for everybody."""

    async def lifts(self) -> Sequence[LiftSummary]:
        async with self.store.glance() as connection:
            return [await self._lift_summary(connection, device) for device in self.directory.of_kind("lift")]

    async def lift(self, name: str) -> Lift | None:
        device = next((one for one in self.directory.of_kind("lift") if one.name == name), None)
        if device is None:
            return None
        column = tables.entries.c
        async with self.store.read() as connection:
            summary = await self._lift_summary(connection, device)
            logs = await self.logs_of(connection, device.device)
            first = select(func.min(column.observed_at_ms)).where(column.log_id.in_(logs))
            since = (await connection.execute(first.where(column.device == device.device))).scalar_one_or_none()
            mode = await self.latest_entry(connection, device.device, column.quantity == MODE)
            inspection = await self.latest_entry(
                connection, device.device, column.quantity == MODE, column.value == _INSPECTION
            )
            begun, ended = await self._inspection_span(connection, device, inspection)
            total, month = await self._trips(connection, device)
            return Lift(
                summary=summary,
                place=_place(device),
                records_since_ms=since,
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
        if (
            mode is not None
            and last is not None
            and self.cloud.settings.clock.now_ms() - last.observed_at_ms <= _SILENT_MS
        ):
            state = _STATES.get(mode.value, LiftState.UNKNOWN)
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
        told = sorted((_own_time_ms(row), row.value) for row in await connection.execute(query))
        last = max(at_ms for at_ms, mode in told if mode == _INSPECTION)
        in_service = max((at_ms for at_ms, mode in told if mode == _NORMAL and at_ms < last), default=-1)
        begun = min(at_ms for at_ms, mode in told if mode == _INSPECTION and at_ms > in_service)
        return begun, min((at_ms for at_ms, mode in told if mode == _NORMAL and at_ms > last), default=None)

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


def _own_time_ms(row: Any) -> int:
    """When the module says it was; when the gateway heard it, where the module has no clock."""
    told = json.loads(row.detail).get("meter_at_ms") if row.detail else None
    return told if isinstance(told, int) else int(row.observed_at_ms)


def _place(device: DirectoryDevice) -> Title:
    building = device.origin.split("/")[-2] if device.origin.count("/") >= 2 else ""
    return Title(zh=building, en=building)
