"""How a device is looked after, for everybody: what is due, who maintains it, how much it was in service."""

import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import func, select

from cloud.directory import DirectoryDevice, DirectoryFirm
from cloud.maintenance.availability import own_time_ms, share_of
from cloud.maintenance.clock import DueRow, rows, standing_of
from cloud.maintenance.packs import intervals_of, pack_named
from cloud.maintenance.visited import read_done
from cloud.questions.ground import title
from cloud.questions.visits import VisitQuestions
from cloud.store import tables
from cloud.store.upsert import insert_new
from cloud.visits.arrivals import Came, came_since
from cloud.web.answers import Title
from cloud.web.device_answers import Availability, DeviceCare, DueWork, Entrapment, LiftState, PublicDevice, Word
from contracts.due import DoneDay, date_of, day_number
from contracts.visit import CLASS_NAMES, VisitClass
from contracts.work_order import Order

__all__ = ["SILENT_MS", "DeviceQuestions", "due_work"]

SILENT_MS = 3 * 3_600_000  # three of a module's hourly messages
_SPANS_DAYS = (30, 365)
_ENTRAPMENTS_SHOWN = 10
_TRAPPED = ("lift.trapped", "lift.entrapment")  # the module's own word, and its gateway's
_YEAR_MS = 365 * 86_400_000
_RESCUE_S = 86_400  # who comes later came for something else
_WORDS = {
    LiftState.IN_SERVICE: Word.IN_SERVICE,
    LiftState.STOPPED: Word.STOPPED,
    LiftState.INSPECTION: Word.INSPECTION,
    LiftState.UNKNOWN: Word.UNKNOWN,
}


class DeviceQuestions(VisitQuestions):
    """Devices, for everybody."""

    async def device(self, name: str) -> PublicDevice | None:
        """A device that is neither a lift nor a household's, by its public name."""
        found = self.directory.device_named(name)
        if found is None or found.kind == "lift" or found.unit is not None:
            return None
        return await self.public_device(found)

    async def public_device(self, device: DirectoryDevice) -> PublicDevice:
        """Any device but a lift. Of a flat's meter nothing is asked that tells of the flat."""
        if device.unit is not None:
            return PublicDevice(
                name=None, kind=device.kind, title=title(self.directory.title), place=None,
                care=self._households(device), visits=(), records_since_ms=None, last_seen_at_ms=None,
                is_household=True,
            )  # fmt: skip
        async with self.store.read() as connection:
            last = await self.latest_entry(connection, device.device)
            since_ms = await self.first_seen_ms(connection, device)
            is_heard = last is not None and self.now_ms() - last.observed_at_ms <= SILENT_MS
            state = LiftState.IN_SERVICE if is_heard else LiftState.UNKNOWN
            return PublicDevice(
                name=device.name,
                kind=device.kind,
                title=title(device.title),
                place=self.place_of(device),
                care=await self.care_of(connection, device, state, since_ms),
                visits=await self.visits_of(connection, device.device),
                records_since_ms=since_ms,
                last_seen_at_ms=last.observed_at_ms if last else None,
                is_household=False,
            )

    def _households(self, device: DirectoryDevice) -> DeviceCare:
        return DeviceCare(
            word=Word.UNKNOWN, overdue_days=0, due=(), firm=None, telephone=None, inspection_until=None,
            calibration_until=device.calibration_until, today=self.today(),
        )  # fmt: skip

    async def care_of(
        self, connection: Any, device: DirectoryDevice, state: LiftState, since_ms: int | None
    ) -> DeviceCare:
        """How a device is looked after.

        Args:
            state: what it does now.
            since_ms: the first entry about it.
        """
        done = await read_done(connection, [device], self.directory.timezone, now_s=self.now_ms() // 1000)
        due = self.due_of(device, done.get(device.device, ()), since_ms)
        _standing, overdue = standing_of(due)
        word = _WORDS[state]
        if overdue and word in (Word.IN_SERVICE, Word.UNKNOWN):
            word = Word.OVERDUE
        firm = self.firm_of(device)
        return DeviceCare(
            word=word,
            overdue_days=overdue,
            due=tuple(map(due_work, due)),
            firm=title(firm.title) if firm else None,
            telephone=firm.telephone if firm else None,
            inspection_until=device.inspection_until,
            calibration_until=device.calibration_until,
            today=self.today(),
            availability=await self._availability(connection, device) if device.kind == "lift" else (),
            entrapments=await self._entrapments(connection, device) if device.kind == "lift" else (),
            orders_open=sum(not order.is_closed for order in self.orders_of(device)),
        )

    def due_of(self, device: DirectoryDevice, done: Sequence[DoneDay], since_ms: int | None) -> tuple[DueRow, ...]:
        """Every class that is due for a device, by its agreements or its pack; none where neither is known."""
        today = day_number(self.today())
        pack = pack_named(device.packs[0]) if device.packs else None
        agreed = self.maintenance.agreements_of(device.device, today) if self.maintenance else ()
        if not agreed and pack is None:
            return ()
        since = today if since_ms is None else day_number(self._local(since_ms))
        if device.serviced_since is not None:
            since = day_number(device.serviced_since)
        intervals = intervals_of(pack) if pack else {}
        if self.maintenance is None or not agreed:
            return rows(device.device, intervals, done, since=since, today=today)
        silent, view = self.maintenance.silent_days(device.device), self.maintenance
        first: dict[VisitClass, DueRow] = {}
        for one in agreed:  # each counts its own visits; a page shows of each class what must be done first
            counted = view.done_days(one)
            for row in rows(
                device.device, intervals, counted, since=since, today=today, terms=one.terms, silent=silent
            ):
                known = first.get(row.visit_class)
                first[row.visit_class] = row if known is None or row.due_on < known.due_on else known
        return tuple(first[visit_class] for visit_class in sorted(first))

    def firm_of(self, device: DirectoryDevice) -> DirectoryFirm | None:
        """Who maintains it: by the agreement in force, else by the site's directory."""
        today = day_number(self.today())
        agreed = self.maintenance.agreement_of(device.device, today) if self.maintenance else None
        return self.directory.firm_numbered(agreed.terms.firm if agreed else device.firm)

    def orders_of(self, device: DirectoryDevice) -> Sequence[Order]:
        """Work orders on a device, the newest first."""
        return [order for _name, order, _at in self.maintenance.orders(device.device)] if self.maintenance else ()

    async def first_seen_ms(self, connection: Any, device: DirectoryDevice) -> int | None:
        """When the first entry about it was observed that any log holds."""
        column = tables.entries.c
        logs = await self.logs_of(connection, device.device)
        first = select(func.min(column.observed_at_ms)).where(column.log_id.in_(logs), column.device == device.device)
        found: int | None = (await connection.execute(first)).scalar_one_or_none()
        return found

    async def _availability(self, connection: Any, device: DirectoryDevice) -> tuple[Availability, ...]:
        column, today = tables.device_days.c, day_number(self.today())
        query = select(tables.device_days).where(
            column.device == device.device, column.day >= today - max(_SPANS_DAYS), column.day < today
        )
        known = (await connection.execute(query)).all()
        found = []
        for days in _SPANS_DAYS:
            share = share_of(row for row in known if row.day >= today - days)
            found.append(
                Availability(
                    days=days,
                    known_days=share.days,
                    available_permille=share.available_permille,
                    silent_permille=share.silent_permille,
                )
            )
        return tuple(found)

    async def _entrapments(self, connection: Any, device: DirectoryDevice) -> tuple[Entrapment, ...]:
        """Of a year, newest first, with the first crew that came."""
        column = tables.entries.c
        query = select(column.observed_at_ms, column.value, column.detail).where(
            column.log_id.in_(await self.logs_of(connection, device.device)),
            column.device == device.device,
            column.quantity.in_(_TRAPPED),
            column.observed_at_ms >= self.now_ms() - _YEAR_MS,
        )
        told = sorted((own_time_ms(row), row.value) for row in await connection.execute(query))
        found = _stretches(told)[-_ENTRAPMENTS_SHOWN:]
        came = await came_since(connection, device.device, found[0].at_ms // 1000, self.maintenance) if found else ()
        return tuple(_with_arrival(one, came) for one in reversed(found))

    def place_of(self, device: DirectoryDevice) -> Title:
        """The building that it is in."""
        name = device.building or (device.origin.split("/")[-2] if device.origin.count("/") >= 2 else "")
        building = self.directory.building_named(name)
        return title(building.title) if building else Title(zh=name, en=name)

    async def note_fault(self, device: DirectoryDevice, place: str, says: str) -> None:
        """Keep what somebody at a device wrote, for those who look after it."""
        row = {
            "note_id": secrets.token_bytes(16),
            "device": device.device,
            "place": place,
            "says": says,
            "received_at_ms": self.now_ms(),
        }
        async with self.store.write(None) as connection:
            await insert_new(connection, tables.fault_notes, row)

    def now_ms(self) -> int:
        """The site's clock."""
        return self.cloud.settings.clock.now_ms()

    def _local(self, at_ms: int) -> date:
        return datetime.fromtimestamp(at_ms / 1000, self.directory.timezone).date()


def due_work(row: DueRow) -> DueWork:
    """A row of the clock as pages show it."""
    return DueWork(
        visit_class=CLASS_NAMES[row.visit_class],
        last=None if row.last_day is None else date_of(row.last_day),
        due=date_of(row.due_on),
        warn=date_of(row.warn_on),
        overdue_days=row.overdue_days,
        state=row.due.value,
        source=row.source.value,
    )


def _stretches(told: Sequence[tuple[int, int]]) -> list[Entrapment]:
    """From (instant in ms, 1 while somebody is trapped), oldest first."""
    found: list[Entrapment] = []
    for at_ms, is_trapped in told:
        is_open = bool(found) and found[-1].freed_at_ms is None
        if is_trapped and not is_open:
            found.append(Entrapment(at_ms=at_ms, freed_at_ms=None, arrived_after_s=None, arrival_shown=False))
        elif not is_trapped and is_open:
            found[-1] = replace(found[-1], freed_at_ms=at_ms)
    return found


def _with_arrival(one: Entrapment, came: Sequence[Came]) -> Entrapment:
    """With the first crew that came within a day."""
    for first in came:
        after_s = (first.at_ms - one.at_ms) // 1000
        if 0 <= after_s <= _RESCUE_S:
            return replace(
                one, arrived_after_s=after_s, arrival_shown=first.is_shown, arrival_transaction=first.transaction
            )
    return one
