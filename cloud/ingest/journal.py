"""Where logs are held, as ingest asks and tells: the store itself, or the replicated log of `cloud.ingest_log`."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.errors import IngestRefused
from cloud.ingest.judgement import Content, Continuation, LogHead
from cloud.ingest.oddities import Oddity
from cloud.ingest.overlap import Fork, compare_with_held
from cloud.ingest.quota import Bucket
from cloud.ingest.sealing import SealedGroup
from cloud.ingest.writer import freeze_log, read_heads, seal_ahead, write_group
from cloud.store import Store, log_id_of, tables

__all__ = ["Appended", "Journal", "StoreJournal"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """What became of a group, by the numbers of its logs; what is named in neither is durable."""

    moved: Collection[int] = ()  # another process has continued them meanwhile: judge again
    failed: Mapping[int, str] = field(default_factory=dict)  # why; maybe it is held all the same: let it be sent again


class Journal(Protocol):
    """What holds the logs. Batches are judged upon its heads; what it appends is acknowledged."""

    async def heads(self, origins: Collection[str], full: Bucket) -> Mapping[str, LogHead]:
        """The newest heads of those of these logs of which anything is held, by origin.

        Args:
            full: the quota of a log that has used none yet.
        """
        ...

    async def newest_checkpoint(self, origin: str) -> tuple[int, str | None]:
        """Size and checkpoint note of a log: (0, None) where nothing is held."""
        ...

    async def compare(self, content: Content, head: LogHead) -> Fork | None:
        """Compare a batch that begins before `head` with what is held: None where all of it is the same.

        Raises:
            IngestRefused: 422 wrong_root where it was damaged on the way; 503 busy where it cannot be told now.
        """
        ...

    async def prepare(self, continuations: Sequence[Continuation]) -> SealedGroup | None:
        """What `append` takes of a group beside itself, made while the group before it may still be under way."""
        ...

    async def append(
        self,
        continuations: Sequence[Continuation],
        oddities: Sequence[Oddity],
        *,
        seen: Collection[int],
        now_ms: int,
        ahead: SealedGroup | None,
    ) -> Appended:
        """Make a group durable: each log's continuations in their order, all of a log or none that is acknowledged.

        Args:
            seen: numbers of all logs whose gateways were heard.
            ahead: what `prepare` made of it, where it did.
        """
        ...

    async def freeze(self, head: LogHead, fork: Fork, content: Content, says: str, *, now_ms: int) -> bool:
        """Take nothing more of this log, and keep what proves the fork; False where the log has moved meanwhile."""
        ...


class StoreJournal:
    """The logs as the store holds them: an append is one transaction."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def heads(self, origins: Collection[str], full: Bucket) -> Mapping[str, LogHead]:
        async with self._store.read() as connection:
            return await read_heads(connection, origins, full)

    async def newest_checkpoint(self, origin: str) -> tuple[int, str | None]:
        column = tables.checkpoints.c
        async with self._store.read() as connection:
            log_id = await log_id_of(connection, origin)
            query = select(column.size, column.note).where(column.log_id == log_id)
            row = (await connection.execute(query.order_by(column.size.desc()).limit(1))).one_or_none()
        return (0, None) if row is None else (row.size, row.note)

    async def compare(self, content: Content, head: LogHead) -> Fork | None:
        async with self._store.read() as connection:
            stored = await _stored_size(connection, head.log_id)
            if stored < min(head.size, content.end):
                # The rest of it is not in the store yet: let that be written first.
                says = "an earlier batch of this log is being written; try again"
                raise IngestRefused(503, "busy", says, size=stored, retry_after=1)
            return await compare_with_held(connection, content, head)

    async def prepare(self, continuations: Sequence[Continuation]) -> SealedGroup | None:
        return await seal_ahead(self._store, continuations)

    async def append(
        self,
        continuations: Sequence[Continuation],
        oddities: Sequence[Oddity],
        *,
        seen: Collection[int],
        now_ms: int,
        ahead: SealedGroup | None,
    ) -> Appended:
        moved = await write_group(self._store, continuations, oddities, seen=seen, now_ms=now_ms, ahead=ahead)
        return Appended(moved=moved)

    async def freeze(self, head: LogHead, fork: Fork, content: Content, says: str, *, now_ms: int) -> bool:
        await freeze_log(self._store, head, fork, says, now_ms=now_ms)
        await self._store.notice(f"gateway {head.origin} frozen: {says}", at_ms=now_ms)
        return True


async def _stored_size(connection: AsyncConnection, log_id: int) -> int:
    query = select(tables.logs.c.size).where(tables.logs.c.log_id == log_id)
    return int((await connection.execute(query)).scalar_one_or_none() or 0)
