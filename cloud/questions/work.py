"""What is to be done, for whoever does it or looks after it: devices by what is due first, and what people wrote."""

from collections.abc import Sequence
from datetime import date
from typing import Any

from sqlalchemy import select

from cloud.directory import Directory, DirectoryDevice, DirectoryFirm
from cloud.identity.roles import Role
from cloud.maintenance.clock import standing_of
from cloud.maintenance.notes import NOTES_MS
from cloud.maintenance.packs import pack_named
from cloud.maintenance.visited import read_done
from cloud.questions.devices import DeviceQuestions, due_work
from cloud.questions.ground import title
from cloud.store import tables
from cloud.visits.arrivals import Came, came_since
from cloud.web.answers import Person
from cloud.web.device_answers import CalibrationDue, FaultNote, Work, WorkOrder, WorkRow
from contracts.work_order import Cause, Order, State, source_of

__all__ = ["STATE_NAMES", "WorkQuestions", "cause_of", "rescue_s_of"]

_CAUSES = {"lift.entrapment": "entrapment", "lift.stopped": "stopped", "lift.mode": "fault"}
STATE_NAMES = {
    State.REPORTED: "reported",
    State.ACCEPTED: "accepted",
    State.DONE: "done",
    State.CONFIRMED: "confirmed",
    State.LAPSED: "lapsed",
    State.WITHDRAWN: "withdrawn",
}
_EVERYBODYS = frozenset({Role.MANAGER, Role.COMMITTEE, Role.REGULATOR})
_FIRMS = frozenset({Role.CREW, Role.FIRM})
_NOTES_SHOWN = 50
_STATES = ("overdue", "warning", "in_time")


class WorkQuestions(DeviceQuestions):
    """A firm's people see the devices that their firm maintains; the site's officers see all."""

    async def work(self, viewer: Person) -> Work | None:
        if viewer.role not in _EVERYBODYS | _FIRMS:
            return None
        firm = self._firm_named(viewer.grant.firm if viewer.grant else None) if viewer.role in _FIRMS else None
        devices = self._served(viewer, firm)
        async with self.store.read() as connection:
            found = await self._rows(connection, devices)
            orders = [order for one in devices for order in await self._orders(connection, one) if order.is_open]
            notes = await self._notes(connection, devices)
        return Work(
            firm=title(firm.title) if firm else None,
            is_known=viewer.role in _EVERYBODYS or firm is not None,
            today=self.today(),
            rows=tuple(sorted(found, key=lambda row: (_STATES.index(row.state), row.first.due, row.name))),
            orders=tuple(sorted(orders, key=lambda order: (order.cause != "entrapment", order.seen_at_ms))),
            notes=tuple(notes),
            calibrations=self._calibrations(devices),
        )

    async def order(self, viewer: Person, name: bytes) -> WorkOrder | None:
        """One order, open or closed, on a device whose work the viewer sees."""
        if viewer.role not in _EVERYBODYS | _FIRMS or self.maintenance is None:
            return None
        reported = self.maintenance.reports.get(name)
        firm = self._firm_named(viewer.grant.firm if viewer.grant else None)
        served = self._served(viewer, firm) if reported else ()
        device = next((one for one in served if reported and one.device == reported[0]), None)
        if device is None:
            return None
        async with self.store.read() as connection:
            found = await self._orders(connection, device)
        return next((order for order in found if order.name == name.hex()), None)

    async def _orders(self, connection: Any, device: DirectoryDevice) -> list[WorkOrder]:
        """Every order on a device, the newest first."""
        held = self.maintenance.orders(device.device) if self.maintenance else ()
        if not held:
            return []
        came = await came_since(
            connection, device.device, min(_seen_at_s(order) for _, order, _ in held), self.maintenance
        )
        return [self._order(device, name, order, at, came) for name, order, at in held]

    def _order(
        self, device: DirectoryDevice, name: bytes, order: Order, transaction: str, came: Sequence[Came]
    ) -> WorkOrder:
        seen_at_ms = _seen_at_s(order) * 1000
        arrived = next((one for one in came if one.at_ms >= seen_at_ms and _is_for(order, one)), None)
        cause = cause_of(device.device, order)
        firm = self.directory.firm_numbered(order.firm) if order.firm else None
        return WorkOrder(
            name=name.hex(),
            device=title(device.title),
            device_name=device.name,
            device_kind=device.kind,
            place=self.place_of(device),
            cause=cause,
            state=STATE_NAMES[order.state],
            seen_at_ms=seen_at_ms,
            firm=title(firm.title) if firm else None,
            promise_at_ms=order.promise_at * 1000 or None,
            done_at_ms=order.done_at * 1000 or None,
            is_unheard=bool(order.escalated & Cause.NOT_ACCEPTED),
            is_missed=bool(order.escalated & Cause.PROMISE_MISSED),
            reopened=order.reopened,
            transaction=transaction,
            rescue_s=rescue_s_of(self.directory, device) if cause == "entrapment" else None,
            arrived_after_s=None if arrived is None else (arrived.at_ms - seen_at_ms) // 1000,
            arrival_shown=arrived is not None and arrived.is_shown,
            arrival_transaction=None if arrived is None else arrived.transaction,
        )

    def _firm_named(self, name: str | None) -> DirectoryFirm | None:
        """The firm that a letter of access names: by its number or one of its names."""
        for firm in self.directory.firms:
            if name in (str(firm.number), firm.title.zh, firm.title.en):
                return firm
        return None

    def _served(self, viewer: Person, firm: DirectoryFirm | None) -> Sequence[DirectoryDevice]:
        """What somebody may see the work on. Flats' meters are their owners' and the manager's."""
        common = [one for one in self.directory.devices if one.unit is None or viewer.role is Role.MANAGER]
        if viewer.role in _EVERYBODYS:
            return common
        return [one for one in common if firm is not None and self.firm_of(one) == firm]

    async def _rows(self, connection: Any, devices: Sequence[DirectoryDevice]) -> list[WorkRow]:
        cared_for = [one for one in devices if one.packs]
        done = await read_done(connection, cared_for, self.directory.timezone, now_s=self.now_ms() // 1000)
        found = []
        for device in cared_for:
            since_ms = None if device.serviced_since else await self.first_seen_ms(connection, device)
            due = self.due_of(device, done.get(device.device, ()), since_ms)
            firm = self.firm_of(device)
            if due:
                found.append(
                    WorkRow(
                        name=device.name,
                        title=title(device.title),
                        place=self.place_of(device),
                        kind=device.kind,
                        firm=title(firm.title) if firm else None,
                        due=tuple(map(due_work, due)),
                        state=standing_of(due)[0].value,
                    )
                )
        return found

    def _calibrations(self, devices: Sequence[DirectoryDevice]) -> tuple[CalibrationDue, ...]:
        """The days on which calibrations end: whole batches of meters share one."""
        ends: dict[tuple[date, str], list[DirectoryDevice]] = {}
        for device in devices:
            if device.calibration_until is not None:
                ends.setdefault((device.calibration_until, device.kind), []).append(device)
        return tuple(
            CalibrationDue(until=until, today=self.today(), kind=kind, titles=tuple(title(one.title) for one in some))
            for (until, kind), some in sorted(ends.items())
        )

    async def _notes(self, connection: Any, devices: Sequence[DirectoryDevice]) -> list[FaultNote]:
        """The newest first; what is older than 90 days is shown to nobody, and deleted."""
        column, named = tables.fault_notes.c, {one.device: one for one in devices}
        query = (
            select(tables.fault_notes)
            .where(column.device.in_(named), column.received_at_ms >= self.now_ms() - NOTES_MS)
            .order_by(column.received_at_ms.desc())
            .limit(_NOTES_SHOWN)
        )
        return [
            FaultNote(
                at_ms=row.received_at_ms,
                device=title(named[row.device].title),
                name=named[row.device].name,
                place=row.place,
                says=row.says,
            )
            for row in await connection.execute(query)
        ]


def _seen_at_s(order: Order) -> int:
    return order.seen_at or order.reported_at


def _is_for(order: Order, came: Came) -> bool:
    """Whoever comes after an order was closed came for something else."""
    return not order.is_closed or came.at_ms <= order.done_at * 1000


def cause_of(device: bytes, order: Order) -> str:
    """What the machine said; its quantity stands in the order's source as a hash alone."""
    for quantity, cause in _CAUSES.items():
        if order.source == source_of(device, quantity):
            return cause
    return "fault" if order.seen_at else "person"


def rescue_s_of(directory: Directory, device: DirectoryDevice) -> int | None:
    """How soon somebody must be with trapped people there, by the device's pack."""
    pack = pack_named(device.packs[0]) if device.packs else None
    building = directory.building_named(device.building)
    return pack.rescue_s.get(building.area if building else "built-up") if pack else None
