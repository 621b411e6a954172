"""One transaction's worth of erasing: entries become rows of kind 0 with nothing but their place and leaf hash.

What was derived from them goes with them; that and why they were erased is recorded. On PostgreSQL a row moves into the
partition of what is left of its year by the same UPDATE, so that a month's partition empties and is dropped whole.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import ColumnElement, and_, delete, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.store import tables
from cloud.store.bulk import insert_rows
from cloud.store.months import entries_at, left_of, months_at
from cloud.store.readings import CLEAR
from cloud.store.upsert import insert_new_rows
from contracts.entry import Kind

if TYPE_CHECKING:
    from cloud.store.store import Store

__all__ = [
    "AT_ONCE", "ERASED_KIND", "NOTHING", "RETENTION_LOCK", "Erasure", "erase_range", "erase_sealed_by", "logs_with",
    "span_of",
]  # fmt: skip

RETENTION_LOCK = "retention"
AT_ONCE = 10_000
"""How many of a log's places one transaction looks at."""

ERASED_KIND = 0
NOTHING = {
    "kind": ERASED_KIND, "device": b"", "observed_at_ms": 0, "quantity": "", "value": 0, "detail_digest": b"",
    "salt": b"", "detail": None, "sealed_by": CLEAR,
}  # fmt: skip
"""What stands in the other columns of an erased entry's row: as little as they take."""

_VISITS_AT_ONCE = 1000
_ENTRIES, _BOUNDARIES = tables.entries.c, tables.boundaries.c


@dataclass(frozen=True, slots=True, kw_only=True)
class Erasure:
    """Why something is erased."""

    cause: str  # "retention" or "request"
    says: str  # in words, without a person's name
    now_ms: int


async def logs_with(store: "Store", devices: Collection[bytes], tags: Collection[int] | None = None) -> Sequence[int]:
    """The logs that hold entries of these devices, whoever wrote them down; with `tags`, entries sealed by these keys.

    A meter is heard by gateways that no directory and no Registry names for it: a neighbour's while its own was away.
    """
    query = select(_ENTRIES.log_id).where(_ENTRIES.device.in_(sorted(devices))).distinct()
    if tags is not None:
        query = query.where(_ENTRIES.sealed_by.in_(sorted(tags)))
    query = query.execution_options(every_shard="any gateway's log may hold what a device told")
    async with store.read() as connection:
        return sorted((await connection.execute(query)).scalars())


async def span_of(store: "Store", log_id: int, theirs: ColumnElement[bool]) -> tuple[int, int]:
    """The first place of a log's entries for which a condition holds, and the one behind the last; 0, 0 for none."""
    place = _ENTRIES.entry_index
    async with store.read() as connection:
        query = select(func.min(place), func.max(place)).where(_ENTRIES.log_id == log_id, theirs)
        first, last = (await connection.execute(query)).one()
    return (0, 0) if first is None else (first, last + 1)


async def erase_sealed_by(store: "Store", device: bytes, tag: int, why: Erasure) -> int:
    """Erase whatever one key of one device has sealed; how many entries."""
    theirs, erased = and_(_ENTRIES.device == device, _ENTRIES.sealed_by == tag), 0
    for log_id in await logs_with(store, [device], [tag]):
        first, end_of_all = await span_of(store, log_id, theirs)
        for start in range(first, end_of_all, AT_ONCE):
            end = min(end_of_all, start + AT_ONCE)
            erased += await erase_range(store, log_id, start, end, theirs, why, moves_all=False)
    return erased


async def erase_range(
    store: "Store", log_id: int, start: int, end: int, chosen: ColumnElement[bool], why: Erasure, *, moves_all: bool
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
            visits = await _visits_judged_by(connection, goes)
            await connection.execute(
                update(tables.entries).where(goes).values(**NOTHING, received_month=-func.abs(_ENTRIES.received_month))
            )
            await _erase_derived(connection, log_id, first, last, here)
            for at in range(0, len(visits), _VISITS_AT_ONCE):
                await _erase_visits(connection, log_id, visits[at : at + _VISITS_AT_ONCE], why.now_ms)
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
    """What was looked up for entries that are erased now."""
    erased = select(_ENTRIES.entry_index).where(here, _ENTRIES.kind == ERASED_KIND)
    boundary = and_(_BOUNDARIES.log_id == log_id, _BOUNDARIES.entry_index.between(first, last))
    await connection.execute(delete(tables.boundaries).where(boundary, _BOUNDARIES.entry_index.in_(erased)))


async def _visits_judged_by(
    connection: AsyncConnection, goes: ColumnElement[bool]
) -> Sequence[tuple[int, bytes, bytes]]:
    """Place, device and digest of the visits that these entries judge: an erased one names no visit any more."""
    query = select(_ENTRIES.entry_index, _ENTRIES.device, _ENTRIES.detail_digest)
    return [tuple(row) for row in await connection.execute(query.where(goes, _ENTRIES.kind == int(Kind.VISIT)))]


async def _erase_visits(
    connection: AsyncConnection, log_id: int, judged: Sequence[tuple[int, bytes, bytes]], now_ms: int
) -> None:
    """Visits with what is kept of them, noted for `cloud.visits.files`, whose sweep takes the photographs away.

    Where a visit's entry stands is looked up late, so that one without a place is known by its device and digest.
    """
    column = tables.visits.c
    placed = and_(column.entry_log_id == log_id, column.entry_index.in_([place for place, _, _ in judged]))
    named = tuple_(column.device, column.digest).in_([(device, digest) for _, device, digest in judged])
    gone = or_(placed, and_(column.entry_index.is_(None), named))
    digests = (await connection.execute(select(tables.visits.c.digest).where(gone))).scalars().all()
    if not digests:
        return
    flags = select(tables.visit_flags.c.flag_id).where(tables.visit_flags.c.digest.in_(digests))
    await connection.execute(delete(tables.flag_words).where(tables.flag_words.c.flag_id.in_(flags)))
    for table in (tables.visit_flags, tables.visit_files, tables.visit_signers):
        await connection.execute(delete(table).where(table.c.digest.in_(digests)))
    await connection.execute(delete(tables.visits).where(tables.visits.c.digest.in_(digests)))
    rows = [{"digest": digest, "erased_at_ms": now_ms} for digest in digests]
    await insert_new_rows(connection, tables.erased_visits, rows)


async def _record(connection: AsyncConnection, log_id: int, first: int, end: int, count: int, why: Erasure) -> None:
    column = tables.erasures.c
    last = select(func.max(column.number)).where(column.log_id == log_id)
    number = ((await connection.execute(last)).scalar_one() or 0) + 1
    row = (log_id, number, first, end, count, why.cause, why.says, why.now_ms, 0)
    await insert_rows(connection, tables.erasures, [row])
