"""What all answers stand on: the cloud, who may see which device, and how far up an entry has come."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from sqlalchemy import bindparam, select

from cloud.billing.usage import BoundaryEntry
from cloud.chain.view import ChainView
from cloud.directory import Directory, DirectoryDevice, Words
from cloud.identity.audit import Act
from cloud.identity.roles import HOUSEHOLD, Role
from cloud.maintenance.view import MaintenanceView
from cloud.service import Cloud
from cloud.store import log_id_of, tables
from cloud.store.erasing import ERASED_KIND
from cloud.store.logs import log_ids_of
from cloud.store.months import entries_at, held_in_months
from cloud.store.readings import open_entries, open_entry
from cloud.visits.letters import gateway_of
from cloud.visits.swaps import SwapRoom
from cloud.web.answers import Person, ReadingRef, Title
from contracts.entry import Kind
from contracts.quantities import unit_of

__all__ = ["Ground", "day_of", "title"]

_EPOCH_DEVICE = "gateway"
_SHARES = HOUSEHOLD | {Role.MANAGER, Role.COMMITTEE}


def title(words: Words) -> Title:
    """A directory's name as pages take it."""
    return Title(zh=words.zh or words.en, en=words.en or words.zh)


def _covering() -> tuple[Any, Any]:
    """Size and place in the super-log of the first checkpoint that covers an entry, as columns beside it."""
    column, entry = tables.checkpoints.c, tables.entries.c
    first = (
        select(column.size, column.super_index)
        .where(column.log_id == entry.log_id, column.size > entry.entry_index)
        .order_by(column.size)
        .limit(1)
        .correlate(tables.entries)
    )
    return (
        first.with_only_columns(column.size).scalar_subquery().label("covering_size"),
        first.with_only_columns(column.super_index).scalar_subquery().label("super_index"),
    )


_ENTRY = tables.entries.c
# Made once: making a statement costs more than running it.
_REFERRED = select(
    _ENTRY.entry_index,
    _ENTRY.observed_at_ms,
    _ENTRY.quantity,
    _ENTRY.value,
    _ENTRY.device,
    _ENTRY.leaf_hash,
    _ENTRY.sealed_by,
    *_covering(),
).where(
    _ENTRY.log_id == bindparam("log_id"),
    _ENTRY.entry_index.in_(bindparam("indexes", expanding=True)),
    _ENTRY.kind != ERASED_KIND,
)
_REFERRED_IN_MONTHS = _REFERRED.where(_ENTRY.received_month.in_(bindparam("months", expanding=True)))


def day_of(number: int) -> date:
    """The date of YYYYMMDD."""
    return date(number // 10_000, number // 100 % 100, number % 100)


class Ground:
    """Shared by the parts of `StoreQuestions`."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.store = cloud.store

    @property
    def directory(self) -> Directory:
        return self.cloud.directory.read()

    @property
    def view(self) -> ChainView | None:
        return self.cloud.chain.view if self.cloud.chain else None

    @property
    def maintenance(self) -> MaintenanceView | None:
        """What the maintenance contracts say; None without a chain."""
        return self.cloud.chain.maintenance if self.cloud.chain else None

    def swap_room(self) -> SwapRoom | None:
        """Meter swaps; None without a chain that could hold them."""
        chain = self.cloud.chain
        return None if chain is None else SwapRoom(self.store, chain.view, chain.deployment)

    def today(self) -> date:
        """The site's own date."""
        return datetime.fromtimestamp(self.cloud.settings.clock.now_ms() / 1000, self.directory.timezone).date()

    async def note_look(self, viewer: Person, unit: bytes | None, what: str) -> None:
        """Somebody who is not a household's owner looks at its data: kept before it is shown."""
        account = viewer.grant.account if viewer.grant else None
        now_ms = self.cloud.settings.clock.now_ms()
        await self.cloud.identity.audit.write(
            Act.LOOKED, at_ms=now_ms, account=account, role=viewer.role.value, unit=unit, what=what
        )

    async def note_tenants_look(self, viewer: Person | None, device: bytes, what: str) -> None:
        """A tenant's look at a flat's reading, which its owner is told of."""
        named = self.directory.device_of(device)
        if viewer is not None and viewer.role is Role.TENANT and named is not None and named.unit is not None:
            await self.note_look(viewer, named.unit, what)

    def may_see(self, viewer: Person | None, kind: int, device: bytes, observed_at_ms: int) -> bool:
        """Whether an entry's content is the viewer's to see. A tenant sees nothing of who lived there before."""
        named = self.directory.device_of(device)
        device_kind = named.kind if named else None
        if device_kind == "lift" or kind in (Kind.VISIT, Kind.GATEWAY, Kind.BEACON):
            return True
        if viewer is None or named is None:
            return False
        if self._is_shared(named):
            return viewer.role in _SHARES
        if named.unit is not None:
            unit = self.directory.unit_of(named.unit)
            is_theirs = viewer.role in HOUSEHOLD and unit is not None and unit.name in viewer.units
            return is_theirs and observed_at_ms >= viewer.since_ms
        return viewer.role is Role.MANAGER

    @staticmethod
    def _is_shared(named: DirectoryDevice) -> bool:
        """A common meter: everybody who shares its cost may look at it."""
        return named.pool is not None

    def is_mine(self, viewer: Person | None, door: str) -> bool:
        """Whether a unit's page is the viewer's: its owner's or tenant's, nobody else's."""
        return viewer is not None and viewer.role in HOUSEHOLD and door in viewer.units

    async def entry(self, connection: Any, origin: str, index: int) -> Any:
        """One entry's row with its origin; None where none is held, or where it was erased."""
        query = (
            select(tables.entries, tables.logs.c.origin)
            .join(tables.logs, tables.logs.c.log_id == tables.entries.c.log_id)
            .where(await entries_at(connection, await log_id_of(connection, origin), index))
            .where(tables.entries.c.kind != ERASED_KIND)
        )
        return open_entry(connection, (await connection.execute(query)).one_or_none())

    async def reference(self, connection: Any, row: Any) -> ReadingRef:
        """A row as pages refer to it. `row` has the columns of entries and `origin`."""
        state, _received_ms, _anchored_ms = await self.progress(connection, row.log_id, row.entry_index)
        return ReadingRef(
            origin=row.origin,
            index=row.entry_index,
            observed_at_ms=row.observed_at_ms,
            quantity=row.quantity,
            value=row.value,
            unit=unit_of(row.quantity) or "",
            state=state,
        )

    async def reference_at(self, connection: Any, origin: str, index: int) -> ReadingRef | None:
        """The reference of one entry by its place."""
        row = await self.entry(connection, origin, index)
        return None if row is None else await self.reference(connection, row)

    async def references(
        self, connection: Any, entries: Iterable[BoundaryEntry]
    ) -> Mapping[tuple[str, int], ReadingRef]:
        """The references of many boundary entries by origin and index, with a few questions for each log."""
        places: dict[tuple[str, int], set[int]] = {}
        for entry in entries:
            places.setdefault((entry.origin, entry.log_id), set()).add(entry.index)
        found: dict[tuple[str, int], ReadingRef] = {}
        for (origin, log_id), indexes in places.items():
            asked: dict[str, Any] = {"log_id": log_id, "indexes": sorted(indexes)}
            months = await held_in_months(connection, log_id, min(indexes), max(indexes) + 1)
            query = _REFERRED if months is None else _REFERRED_IN_MONTHS
            asked |= {} if months is None else {"months": months}
            for row in open_entries(connection, (await connection.execute(query, asked)).all()):
                found[origin, row.entry_index] = ReadingRef(
                    origin=origin,
                    index=row.entry_index,
                    observed_at_ms=row.observed_at_ms,
                    quantity=row.quantity,
                    value=row.value,
                    unit=unit_of(row.quantity) or "",
                    state="recorded" if row.covering_size is None else self._state_of(row.super_index),
                )
        return found

    def _state_of(self, place: int | None) -> str:
        """How far a checkpoint has come that has this place in the super-log."""
        anchor = self.view.first_anchor(place) if self.view and place is not None else None
        if self.view is None or anchor is None:
            return "logged"
        return "final" if anchor.block_number <= self.view.final[0] else "anchored"

    async def progress(self, connection: Any, log_id: int, index: int) -> tuple[str, int | None, int | None]:
        """How far an entry has come (its state), when its checkpoint arrived, and when it was anchored."""
        column = tables.checkpoints.c
        query = (
            select(column.super_index, column.received_at_ms)
            .where(column.log_id == log_id, column.size > index)
            .order_by(column.size)
            .limit(1)
        )
        checkpoint = (await connection.execute(query)).one_or_none()
        if checkpoint is None:
            return "recorded", None, None
        place = checkpoint.super_index
        anchor = self.view.first_anchor(place) if self.view and place is not None else None
        anchored_ms = None if anchor is None else anchor.block_time_s * 1000
        return self._state_of(place), checkpoint.received_at_ms, anchored_ms

    async def logs_of(self, connection: Any, device: bytes) -> list[int]:
        """The logs that may hold entries of a device: those that the Registry gave it to, and its gateway's."""
        named = self.directory.device_of(device)
        given = self.view.origins_of(device) if self.view else ()
        return await log_ids_of(connection, given, gateway=gateway_of(named.origin) if named else None)

    async def latest_entry(self, connection: Any, device: bytes, *conditions: Any) -> Any:
        """A device's last entry (by its own time) that meets the conditions, or None."""
        column = tables.entries.c
        query = (
            select(tables.entries, tables.logs.c.origin)
            .join(tables.logs, tables.logs.c.log_id == column.log_id)
            .where(column.log_id.in_(await self.logs_of(connection, device)), column.device == device, *conditions)
            .order_by(column.observed_at_ms.desc(), column.entry_index.desc())
            .limit(1)
        )
        return open_entry(connection, (await connection.execute(query)).one_or_none())
