"""What copies acknowledged: kept for each log and copy, the newest only, for the mail to carry on.

The cloud cannot make one: the notes are signed by the copies' own keys, and the gateway checks them against the keys in
its own settings. What the cloud checks here is for people: that a copy does not hold another history than it does.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.store import Store, log_id_of, tables
from contracts.checkpoint import Checkpoint
from contracts.clock import Clock
from contracts.copy_note import CopyKeeper, open_acknowledgement
from contracts.errors import CopyError
from contracts.mail import CopiedNews

__all__ = ["NOTES_AT_ONCE", "Acknowledgements", "Taken", "acknowledgements_of"]

NOTES_AT_ONCE = 500
_log = logging.getLogger("cloud.copies")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What became of the notes of one request."""

    taken: int
    refused: Sequence[str]


class Acknowledgements:
    """Takes the notes of the copies that the settings name."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock

    async def take(self, keeper: CopyKeeper, notes: Sequence[str]) -> Taken:
        """Keep each note that is this keeper's, of a log that is held, newer than the last, and of the same history."""
        taken, refused = 0, list[str]()
        async with self._store.write() as connection:
            for note in notes:
                says = await self._take(connection, keeper, note)
                taken += says is None
                refused += [] if says is None else [says]
        for says in refused:
            _log.warning("cloud: copy %s: %s", keeper.name, says)
        return Taken(taken=taken, refused=refused)

    async def _take(self, connection: AsyncConnection, keeper: CopyKeeper, note: str) -> str | None:
        """None where it was kept, or was already; else why not."""
        try:
            held = open_acknowledgement(note, keeper)
        except CopyError as error:
            return str(error)
        log_id = await log_id_of(connection, held.origin)
        root = None if log_id is None else await _root(connection, log_id, held)
        if log_id is None or root is None:
            return f"{held.origin}: no checkpoint of size {held.size} is held here"
        if root != held.root:
            says = f"copy {keeper.name} holds another history of {held.origin} at size {held.size} than this cloud"
            await self._store_notice(connection, says)
            return says
        column = tables.acknowledgements.c
        at = (column.log_id == log_id) & (column.keeper == keeper.name)
        known = (await connection.execute(select(column.size).where(at))).scalar_one_or_none()
        if known is not None and known >= held.size:
            return None
        await connection.execute(delete(tables.acknowledgements).where(at))
        row = {"log_id": log_id, "keeper": keeper.name, "size": held.size, "note": note}
        await connection.execute(insert(tables.acknowledgements).values(**row, received_at_ms=self._clock.now_ms()))
        return None

    async def _store_notice(self, connection: AsyncConnection, says: str) -> None:
        column = tables.notices.c
        said = await connection.execute(select(column.notice_id).where(column.says == says).limit(1))
        if said.scalar_one_or_none() is None:
            await connection.execute(insert(tables.notices).values(at_ms=self._clock.now_ms(), says=says))


async def acknowledgements_of(connection: Any, log_id: int) -> Sequence[CopiedNews]:
    """The newest acknowledgement of each copy of a log."""
    column = tables.acknowledgements.c
    query = select(column.keeper, column.note).where(column.log_id == log_id).order_by(column.keeper)
    return [CopiedNews(copy=row.keeper, note=row.note) for row in await connection.execute(query)]


async def _root(connection: AsyncConnection, log_id: int, held: Checkpoint) -> bytes | None:
    column = tables.checkpoints.c
    query = select(column.root).where(column.log_id == log_id, column.size == held.size)
    root: bytes | None = (await connection.execute(query)).scalar_one_or_none()
    return root
