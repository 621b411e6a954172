"""Retention over a whole store: log by log and kind by kind, in pieces that are a transaction each.

How far it has come stands in the store, so it may be stopped at any moment and goes on there. Of all processes on a
database one does it at a time.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

from sqlalchemy import and_, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.lease import Lease
from cloud.months import month_end_ms, month_of
from cloud.retention.copies import Awaited, Waited, acknowledged_by
from cloud.retention.holds import Holds, read_holds
from cloud.retention.kinds import is_kind, needed
from cloud.retention.periods import KINDS, Periods
from cloud.store import Store, tables
from cloud.store.erasing import RETENTION_LOCK, Erasure, erase_range
from cloud.store.months import entries_at
from cloud.store.upsert import put
from contracts.clock import Clock

__all__ = ["Retention", "Retired"]

ENTRIES_AT_ONCE = 10_000
_CHECKPOINTS_AT_ONCE = 500
_BULK = "readings"
"""The kind that is nearly all: when its time is over, whatever else is left of a month leaves its partition."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retired:
    """What one run did."""

    entries: int
    partitions: Sequence[str] = ()
    says: Sequence[str] = ()  # of copies that are behind


@dataclass(slots=True)
class _Mark:
    """How far one kind of one log's data is."""

    log_id: int
    origin: str
    data: str
    end: int
    reached: int
    month: int


class Retention:
    """Erases what was kept long enough.

    Args:
        copies: the names of the copies that the settings name: what is due waits for them, for a while.
    """

    def __init__(
        self, store: Store, periods: Periods, clock: Clock, *, chain_id: int | None, copies: Sequence[str] = ()
    ) -> None:
        self._store, self._periods, self._clock, self._chain_id = store, periods, clock, chain_id
        self._copies = copies
        self._waited = Waited()
        self._lease = Lease(store, name=RETENTION_LOCK)

    async def step(self) -> bool:
        """For the worker: all that is due, unless another process does it."""
        await self.run()
        return False

    async def run(self, on_progress: Callable[[str, int], None] = lambda _data, _entries: None) -> Retired | None:
        """Erase all that is due; None where another process does it.

        Args:
            on_progress: takes the kind of data and how many of its entries have gone by now.
        """
        if not await self._lease.hold():
            return None
        try:
            holds, self._waited = await self._holds(), Waited()
            erased = 0
            for kind in KINDS:
                if holds.is_known or kind.name not in ("readings", "boundaries"):
                    erased += await self._erase_kind(kind.name, holds, on_progress)
            return Retired(entries=erased, partitions=await self._drop_partitions(), says=await self._say())
        finally:
            await self._lease.release()

    async def close(self) -> None:
        """Let another process do it."""
        await self._lease.release()

    async def _say(self) -> Sequence[str]:
        """What copies missed is told to people for good; what waits for one, to whoever asks: its alert says it too."""
        missed = self._waited.says_what_was_missed(self._periods.copies_wait_days)
        for line in missed:
            await self._store.notice(line, at_ms=self._clock.now_ms())
        return (*missed, *self._waited.says_what_waits())

    def _due(self, data: str) -> int:
        return self._periods.last_due(data, month_of(self._clock.now_ms()))

    async def _holds(self) -> Holds:
        now_ms = self._clock.now_ms()
        return await read_holds(self._store, self._chain_id, now_ms=now_ms, boundaries_due=self._due("boundaries"))

    async def _erase_kind(self, data: str, holds: Holds, on_progress: Callable[[str, int], None]) -> int:
        erased, due = 0, self._due(data)
        for mark in await _marks(self._store, data, due) if due else ():
            erased += await self._erase_in_log(mark, due, holds)
            on_progress(data, erased)
            await asyncio.sleep(0)
        return erased

    async def _erase_in_log(self, mark: _Mark, due: int, holds: Holds) -> int:
        """One log, piece after piece; the mark stays in front of what is still needed, and is tried again."""
        erased, start, is_clear = 0, mark.end, True
        awaited = await self._awaited(mark)
        kept = self._periods.months[mark.data]
        why = Erasure(cause="retention", says=f"{mark.data}: kept {kept} months", now_ms=self._clock.now_ms())
        while (end := (piece := await _next_piece(self._store, mark.log_id, start, due, awaited)).end) is not None:
            still = needed(mark.data, mark.log_id, start, end, holds)
            chosen = is_kind(mark.data) if still is None else and_(is_kind(mark.data), not_(still))
            is_clear = is_clear and not await self._holds_any(mark, start, end, still)
            gone = await erase_range(self._store, mark.log_id, start, end, chosen, why, moves_all=mark.data == _BULK)
            self._waited.go_on_without(awaited.without(end) if gone else (), mark.origin)
            erased, start = erased + gone, end
            mark.end, mark.reached = start if is_clear else mark.end, max(mark.reached, start)
            await _keep(self._store, mark)
        self._waited.wait(() if piece.waits is None else awaited.without(piece.waits), mark.origin)
        mark.month = due if is_clear and piece.waits is None else mark.month
        await _keep(self._store, mark)
        return erased

    async def _awaited(self, mark: _Mark) -> Awaited:
        overdue = self._periods.last_overdue(mark.data, self._clock.now_ms())
        sizes = await acknowledged_by(self._store, mark.log_id, self._copies)
        return Awaited(sizes=sizes, overdue_ms=month_end_ms(overdue))

    async def _holds_any(self, mark: _Mark, start: int, end: int, still: Any) -> bool:
        if still is None:
            return False
        async with self._store.read() as connection:
            here = await entries_at(connection, mark.log_id, start, end)
            query = select(tables.entries.c.entry_index).where(here, is_kind(mark.data), still).limit(1)
            return (await connection.execute(query)).first() is not None

    async def _drop_partitions(self) -> Sequence[str]:
        """PostgreSQL's partitions from which everything has gone."""
        due = self._due(_BULK)
        return await self._store.drop_empty_months(due) if due else ()


async def _marks(store: Store, data: str, due: int) -> list[_Mark]:
    """The logs that have something to look at."""
    column, logs = tables.retained.c, tables.logs.c
    ours = and_(column.log_id == logs.log_id, column.data == data)
    query = (
        select(logs.log_id, logs.origin, column.end_index, column.reached_index, column.month)
        .select_from(tables.logs.outerjoin(tables.retained, ours))
        .where(logs.opened_at_ms < month_end_ms(due), or_(column.month.is_(None), column.month < due))
        .order_by(logs.log_id)
        .execution_options(every_shard="retention goes through all logs")
    )
    async with store.read() as connection:
        rows = (await connection.execute(query)).all()
    return [_Mark(row[0], row[1], data, row[2] or 0, row[3] or 0, row[4] or 0) for row in rows]


@dataclass(frozen=True, slots=True)
class _Piece:
    """What can be erased next."""

    end: int | None = None  # None where there is nothing, or it waits for a copy:
    waits: int | None = None  # the size that it has not acknowledged


async def _next_piece(store: Store, log_id: int, start: int, due: int, awaited: Awaited) -> _Piece:
    """It ends at a checkpoint that arrived in a month that is due."""
    column = tables.checkpoints.c
    query = (
        select(column.size, column.received_at_ms)
        .where(column.log_id == log_id, column.size > start)
        .order_by(column.size)
        .limit(_CHECKPOINTS_AT_ONCE)
    )
    async with store.read() as connection:
        rows = (await connection.execute(query)).all()
    are_due = list(takewhile(lambda row: row.received_at_ms < month_end_ms(due), rows))
    ends = [row.size for row in takewhile(lambda row: awaited.let_go(row.size, row.received_at_ms), are_due)]
    if not ends:
        return _Piece(waits=are_due[0].size if are_due else None)
    fitting = [end for end in ends if end - start <= ENTRIES_AT_ONCE]
    return _Piece(end=max(fitting) if fitting else ends[0])


async def _keep(store: Store, mark: _Mark) -> None:
    async with store.write(RETENTION_LOCK) as connection:
        await _put_mark(connection, mark)


async def _put_mark(connection: AsyncConnection, mark: _Mark) -> None:
    values = {"end_index": mark.end, "reached_index": mark.reached, "month": mark.month}
    await put(connection, tables.retained, {"log_id": mark.log_id, "data": mark.data, **values})
