"""One transaction's worth of erasing: entries become rows of kind 0 with nothing but their place and leaf hash.

What was derived from them goes with them; that and why they were erased is recorded. On PostgreSQL a row moves into the
partition of what is left of its year by the same UPDATE, so that a month's partition empties and is dropped whole.
"""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.retention.holds import Holds
from cloud.segments.rows import ERASED_KIND, NOTHING
from cloud.store import Store, insert_rows, tables
from cloud.store.months import entries_at, left_of, months_at
from contracts.entry import Kind
from contracts.quantities import VISIT_VERDICT

__all__ = ["RETENTION_LOCK", "Erasure", "erase_range", "is_kind", "needed"]

RETENTION_LOCK = "retention"
_ENTRIES = tables.entries.c
_BOUNDARIES = tables.boundaries.c
_IS_BOUNDARY = _ENTRIES.quantity.contains("*")
_IS_VERDICT = _ENTRIES.quantity == VISIT_VERDICT
_KINDS: dict[str, ColumnElement[bool]] = {
    "access": _ENTRIES.kind == int(Kind.ACCESS),
    "readings": and_(_ENTRIES.kind == int(Kind.READING), ~_IS_BOUNDARY),
    "status": and_(_ENTRIES.kind == int(Kind.STATUS), ~_IS_VERDICT),
    "visits": or_(_ENTRIES.kind == int(Kind.VISIT), and_(_ENTRIES.kind == int(Kind.STATUS), _IS_VERDICT)),
    "boundaries": and_(_ENTRIES.kind == int(Kind.READING), _IS_BOUNDARY),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """Why something is erased."""

    cause: str  # "retention" or "request"
    says: str  # in words, without a person's name
    now_ms: int


def is_kind(name: str) -> ColumnElement[bool]:
    """The condition on entries that are kept equally long."""
    return _KINDS[name]


def needed(name: str, log_id: int, start: int, end: int, holds: Holds) -> ColumnElement[bool] | None:
    """The condition on a log's entries of one kind that are still needed; None where nothing can be."""
    if name == "readings" and holds.readings:
        return or_(*(_ENTRIES.observed_at_ms.between(first, last) for first, last in holds.reading_times()))
    if name == "boundaries" and holds.boundaries:
        days = or_(*(_BOUNDARIES.boundary_date.between(first, last) for first, last in holds.boundaries))
        here = and_(_BOUNDARIES.log_id == log_id, _BOUNDARIES.entry_index >= start, _BOUNDARIES.entry_index < end)
        return _ENTRIES.entry_index.in_(select(_BOUNDARIES.entry_index).where(here, days))
    return None


async def erase_range(
    store: Store, log_id: int, start: int, end: int, chosen: ColumnElement[bool], why: Erasure, *, moves_all: bool
) -> int:
    """Erase what is chosen of a log's entries `start` to `end` - 1; how many were still there.

    Args:
        moves_all: what is not erased leaves its month's partition too.
    """
    async with store.read() as connection:
        months = await months_at(connection, log_id, start, end)
    for month in months:
        await store.prepare_month(left_of(month))
    async with store.write(RETENTION_LOCK) as connection:
        here = await entries_at(connection, log_id, start, end)
        goes = and_(here, _ENTRIES.kind != ERASED_KIND, chosen)
        place = _ENTRIES.entry_index
        found = (await connection.execute(select(func.count(), func.min(place), func.max(place)).where(goes))).one()
        count, first, last = found
        if count:
            await connection.execute(
                update(tables.entries).where(goes).values(**NOTHING, received_month=-func.abs(_ENTRIES.received_month))
            )
            await _erase_derived(connection, log_id, first, last, here)
            await _record(connection, log_id, first, last + 1, count, why)
        if moves_all:
            stays = and_(here, _ENTRIES.received_month > 0)
            await connection.execute(
                update(tables.entries).where(stays).values(received_month=-_ENTRIES.received_month)
            )
    return int(count)


async def _erase_derived(
    connection: AsyncConnection, log_id: int, first: int, last: int, here: ColumnElement[bool]
) -> None:
    """What was looked up or handed in for entries that are erased now."""
    erased = select(_ENTRIES.entry_index).where(here, _ENTRIES.kind == ERASED_KIND)
    boundary = and_(_BOUNDARIES.log_id == log_id, _BOUNDARIES.entry_index.between(first, last))
    await connection.execute(delete(tables.boundaries).where(boundary, _BOUNDARIES.entry_index.in_(erased)))
    column = tables.visits.c
    visit = and_(column.entry_log_id == log_id, column.entry_index.between(first, last))
    await connection.execute(delete(tables.visits).where(visit, column.entry_index.in_(erased)))


async def _record(connection: AsyncConnection, log_id: int, first: int, end: int, count: int, why: Erasure) -> None:
    column = tables.erasures.c
    last = select(func.max(column.number)).where(column.log_id == log_id)
    number = ((await connection.execute(last)).scalar_one() or 0) + 1
    row = (log_id, number, first, end, count, why.cause, why.says, why.now_ms, 0)
    await insert_rows(connection, tables.erasures, [row])
