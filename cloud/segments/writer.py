"""Follows the stored logs into segments: behind ingest, never in its way.

Each step looks which logs grew and writes what is between their checkpoints, one frame for each; a log's frames of one
step share one flush. Where it was interrupted it goes on from what the files themselves hold.
"""

import asyncio
from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.errors import ArchiveError
from cloud.segments.archive import Archive, LogFiles
from cloud.segments.notes import AUDIT_HEADS, SUPER_NOTES, NotesFile, stored_note
from cloud.segments.rows import slot_of
from cloud.store import Store, tables
from cloud.store.erasing import ERASED_KIND
from cloud.store.months import entries_at
from cloud.store.readings import open_entries
from contracts.errors import ContractsError
from contracts.segment import Frame, encode_frame, encode_slots, verify_frame
from contracts.tree import Frontier

__all__ = ["SegmentWriter"]

_FRAMES_AT_ONCE = 64  # of one log, in one step
_LOGS_AT_ONCE = 64
_ERASURES_AT_ONCE = 200  # of one log
_LAST_ERASURE = (
    select(func.max(tables.erasures.c.number))
    .where(tables.erasures.c.log_id == tables.logs.c.log_id)
    .scalar_subquery()  # one look at the key's index for each log: there are ever more erasures, and not more logs
)
_LOGS = select(
    tables.logs.c.log_id, tables.logs.c.origin, tables.logs.c.size, _LAST_ERASURE.label("last_erasure")
).execution_options(every_shard="whichever log grew, or lost entries, is to be written")


class SegmentWriter:
    """Writes what is stored into an archive. One of them for each folder."""

    def __init__(self, store: Store, archive: Archive) -> None:
        self._store, self._archive = store, archive
        self._notes = NotesFile(archive.folder / SUPER_NOTES)
        self._audit_heads = NotesFile(archive.folder / AUDIT_HEADS)
        self._sizes: dict[str, int] = {}
        self._followed: dict[int, int] = {}  # by log: the number of the last erasure that its files have followed
        self.entries = 0  # written since the start

    async def prepare(self) -> None:
        """Read the files' ends anew. Raises `ArchiveError` while another process writes them."""
        self._archive.lock()
        self._archive.forget()
        self._sizes.clear()
        self._followed.clear()

    async def step(self) -> bool:
        """Write what some logs grew by; whether there may be more.

        Raises:
            ArchiveError: the disk is full or a file damaged; what is not written stays in the store.
        """
        async with self._store.read() as connection:
            logs = (await connection.execute(_LOGS)).all()
        written = 0
        for log in (await self._grown(logs))[:_LOGS_AT_ONCE]:
            written += await self._write_log(log)
            await asyncio.sleep(0)
        await self._write_notes()
        await self._write_audit_heads()
        self.entries += written
        return await self._erase(logs) or written > 0

    async def _grown(self, logs: Sequence[Any]) -> list[Any]:
        for log in logs:
            if log.origin not in self._sizes:
                self._sizes[log.origin] = await asyncio.to_thread(self._held, log.origin)
        return [log for log in logs if log.size > self._sizes[log.origin]]

    def _held(self, origin: str) -> int:
        return self._archive.log(origin).size

    async def _write_log(self, log: Any) -> int:
        """Write what one log grew by, as far as its checkpoints have their place in the super-log; how many entries."""
        start = self._sizes[log.origin]
        column = tables.checkpoints.c
        query = (
            select(tables.checkpoints)
            .where(column.log_id == log.log_id, column.size > start)
            .order_by(column.size)
            .limit(_FRAMES_AT_ONCE)
        )
        async with self._store.read() as connection:
            found = (await connection.execute(query)).all()
            checkpoints = list(takewhile(lambda row: row.super_index is not None, found))
            end = checkpoints[-1].size if checkpoints else start
            rows = await _entries(connection, log.log_id, start, end)
        if len(rows) != end - start:
            raise ArchiveError(f"{log.origin}: entries {start} to {end} are not all in the store; restore the database")
        self._sizes[log.origin] = await asyncio.to_thread(self._append, log.origin, start, checkpoints, rows)
        return end - start

    def _append(self, origin: str, start: int, checkpoints: Sequence[Any], rows: Sequence[Any]) -> int:
        files = self._archive.log(origin)
        frontier, at = files.frontier, start
        for checkpoint in checkpoints:
            frame = _frame(frontier, checkpoint, rows[at - start : checkpoint.size - start])
            try:
                # A frame that could not be verified later must not be written: the store is then what is wrong.
                frontier = verify_frame(frame, checkpoint.public_key).frontier
            except ContractsError as error:
                raise ArchiveError(f"the store's own entries do not hold: {error}; restore the database") from error
            files.append(encode_frame(frame), frame, frontier)
            at = checkpoint.size
        files.flush()
        return at

    async def _erase(self, logs: Sequence[Any]) -> bool:
        """Let the files follow what was erased in the store; whether there was anything.

        What this writer read before something was erased it has appended by now, and whatever it reads from now on is
        erased already.
        """
        behind = [log for log in logs if log.last_erasure != self._followed.get(log.log_id)]
        for log in behind:
            self._followed[log.log_id] = await self._follow_erasures(log.log_id, self._archive.log(log.origin))
        return bool(behind)

    async def _follow_erasures(self, log_id: int, files: LogFiles) -> int:
        """Erase in one log's files what their own note says that they have not followed; the last erasure's number.

        Every folder does so for itself, however long its process was off. A note that does not stand in the store
        belongs to another one: to one that was lost, or is older now. Then all erasures are followed again.
        """
        column = tables.erasures.c
        noted = await asyncio.to_thread(files.erased_up_to)
        number = noted.partition(" ")[0]
        last = int(number) if number.isdecimal() else 0
        query = select(tables.erasures).where(column.log_id == log_id).order_by(column.number).limit(_ERASURES_AT_ONCE)
        async with self._store.read() as connection:
            erasures = (await connection.execute(query.where(column.number >= last))).all()
            if noted and erasures and _says(erasures[0]) == noted:
                erasures = erasures[1:]
            elif noted:
                erasures = (await connection.execute(query)).all()
            if not erasures:
                return last
            places = set[int]()
            for one in erasures:
                here = await entries_at(connection, log_id, one.first_index, one.end_index)
                erased = select(tables.entries.c.entry_index).where(here, tables.entries.c.kind == ERASED_KIND)
                places.update((await connection.execute(erased)).scalars())
        await asyncio.to_thread(files.erase, places)
        await asyncio.to_thread(files.note_erased, _says(erasures[-1]))
        return int(erasures[-1].number)

    async def _write_notes(self) -> None:
        """The super-log's signed notes, which cannot be computed again: their time and their cosignatures."""
        column = tables.super_notes.c
        held = await asyncio.to_thread(self._notes.last)
        query = select(tables.super_notes).where(column.size >= held.size).order_by(column.size)
        async with self._store.read() as connection:
            rows = (await connection.execute(query)).all()
        rows = [row for row in rows if (row.size, row.note) != (held.size, held.note)]
        if rows:
            new = [stored_note(row.note, row.signed_at_ms) for row in rows]
            await asyncio.to_thread(self._notes.append, new)

    async def _write_audit_heads(self) -> None:
        """The audit log's heads in the super-log: without them nobody could compute its tree again."""
        column = tables.audit_heads.c
        held = await asyncio.to_thread(self._audit_heads.last)
        query = select(tables.audit_heads).where(column.super_index > held.order)
        async with self._store.read() as connection:
            rows = (await connection.execute(query.order_by(column.super_index))).all()
        if rows:
            new = [stored_note(row.note, row.signed_at_ms, row.super_index) for row in rows]
            await asyncio.to_thread(self._audit_heads.append, new)


async def _entries(connection: AsyncConnection, log_id: int, start: int, end: int) -> Sequence[Any]:
    here = await entries_at(connection, log_id, start, end)
    query = select(tables.entries).where(here).order_by(tables.entries.c.entry_index)
    return open_entries(connection, (await connection.execute(query)).all())


def _says(erasure: Any) -> str:
    """An erasure's number, and what tells it from another store's erasure of that number."""
    parts = (erasure.number, erasure.first_index, erasure.end_index, erasure.entries, erasure.erased_at_ms)
    return " ".join(str(part) for part in parts)


def _frame(frontier: Frontier, checkpoint: Any, rows: Sequence[Any]) -> Frame:
    slots, details = [], list[bytes | None]()
    for row in rows:
        slot, detail = slot_of(row)
        slots.append(slot)
        details.append(detail)
    return Frame(
        start=frontier.size,
        peaks=frontier.peaks,
        note=checkpoint.note,
        public=checkpoint.public_key,
        super_index=checkpoint.super_index,
        received_at_ms=checkpoint.received_at_ms,
        slots=encode_slots(slots),
        details=tuple(details),
    )
