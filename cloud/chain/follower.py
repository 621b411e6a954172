"""Follows the chain block by block: by hash, with a parent check, into `chain_blocks` and `chain_events`.

A reorganisation takes back the blocks above the common ancestor with their events; listeners rebuild what they derived
from them. A chain that contradicts what was *final* (a lost development chain, a restored node) is said in one line,
and everything above the ancestor is treated as never having happened, so that the outbox sends it again by its business
keys.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.chain.client import Block, ChainClient, EventLog
from cloud.chain.deployment import Deployment
from cloud.chain.events import StoredEvent, read_events
from cloud.errors import ChainError
from cloud.store import Store, insert_rows, tables
from contracts.clock import Clock

__all__ = ["BlockEvents", "ChainListener", "Follower"]

_log = logging.getLogger("cloud.chain")
_BLOCKS_AT_ONCE = 64
_TOPIC_BYTES = 32
NO_BLOCK = "0x" + "00" * 32


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockEvents:
    """One followed block."""

    block: Block
    events: tuple[StoredEvent, ...]


class ChainListener(Protocol):
    """Who derives things from events. Called after the follower's transaction has committed, in the order of blocks."""

    def follow(self, blocks: Sequence[BlockEvents]) -> None:
        """Take in new blocks."""
        ...

    def rebuild(self, events: Sequence[StoredEvent]) -> None:
        """Forget everything and take in these events, all that there are."""
        ...

    def finalized(self, number: int, block_hash: str) -> None:
        """Blocks up to this one will not be taken back."""
        ...


class Follower:
    """One deployment's events. `step` is called again and again by one worker."""

    def __init__(
        self,
        *,
        store: Store,
        client: ChainClient,
        deployment: Deployment,
        clock: Clock,
        listeners: Sequence[ChainListener],
        finality_depth: int | None,
    ) -> None:
        self._store, self._client, self._clock = store, client, clock
        self._deployment = deployment
        self._names = deployment.addresses
        self._listeners = listeners
        self._depth = finality_depth
        self.followed: tuple[int, str] = (deployment.from_block - 1, NO_BLOCK)
        self.final: tuple[int, str] = (deployment.from_block - 1, NO_BLOCK)
        self.head_number = self.followed[0]
        self._has_row = False

    async def load(self) -> None:
        """Take up where the store left off and hand all stored events to the listeners."""
        async with self._store.read() as connection:
            row = (await connection.execute(select(tables.chain_cursor))).one_or_none()
        if row is not None:
            self._has_row = True
            self.followed = (row.followed_number, row.followed_hash)
            self.final = (row.final_number, row.final_hash)
        await self._rebuild()

    async def step(self) -> bool:
        """Follow up to 64 blocks; whether anything changed.

        Raises:
            ChainError: the node does not answer, or answers nonsense; nothing has changed then.
        """
        latest = await self._client.latest()
        self.head_number = latest.number
        changed = await self._retreat(latest)
        fetched = await self._fetch(latest)
        if fetched is None:
            return True  # the chain moved under us; the next step finds the ancestor
        final = await self._final_block(latest)
        if not fetched and not changed and (final is None or final[0] <= self.final[0]):
            return False
        await self._advance(fetched, final)
        return True

    async def _retreat(self, latest: Block) -> bool:
        """Take back followed blocks that are no longer in the chain; whether there were any."""
        number, followed_hash = self.followed
        if followed_hash == NO_BLOCK:
            return False
        if number <= latest.number:
            block = latest if number == latest.number else await self._client.block(number)
            if block is not None and block.hash == followed_hash:
                return False
        ancestor = await self._ancestor(min(number, latest.number))
        was_final = self.final[0]
        async with self._store.write() as connection:
            await connection.execute(
                delete(tables.chain_events).where(tables.chain_events.c.block_number > ancestor[0])
            )
            await connection.execute(delete(tables.chain_blocks).where(tables.chain_blocks.c.number > ancestor[0]))
            self.followed = ancestor
            if ancestor[0] < was_final:
                self.final = ancestor
                await self._take_back_intents(connection, ancestor[0])
            await self._write_cursor(connection)
        if ancestor[0] < was_final:
            says = (
                f"chain came back shorter (was final at {was_final}, now {ancestor[0]}); sending again by business key"
            )
            _log.error("cloud: %s", says)
            await self._store.notice(says, at_ms=self._clock.now_ms())
        else:
            _log.info("cloud: chain reorganised above block %d", ancestor[0])
        await self._rebuild()
        return True

    async def _take_back_intents(self, connection: AsyncConnection, ancestor: int) -> None:
        """What was done above the ancestor is to be done again; transactions stay signed where a pool may still hold
        them.
        """

        column = tables.intents.c
        above = select(tables.attempts.c.intent_id).where(tables.attempts.c.block_number > ancestor)
        await connection.execute(
            update(tables.intents)
            .where(column.state.in_(("mined", "final", "done", "sent")))
            .where((column.block_number > ancestor) | column.intent_id.in_(above) | (column.state == "sent"))
            .values(state="pending", block_number=None, says="the chain came back shorter")
        )
        await connection.execute(
            update(tables.attempts)
            .where((tables.attempts.c.block_number > ancestor) | (tables.attempts.c.state == "signed"))
            .values(state="lost", block_number=None, block_hash=None)
        )

    async def _ancestor(self, below: int) -> tuple[int, str]:
        """The last followed block that is still in the chain."""
        column = tables.chain_blocks.c
        query = select(column.number, column.hash).where(column.number <= below).order_by(column.number.desc())
        async with self._store.read() as connection:
            rows = (await connection.execute(query)).all()
        for row in rows:
            block = await self._client.block(row.number)
            if block is not None and block.hash == row.hash:
                return row.number, row.hash
        return self._deployment.from_block - 1, NO_BLOCK

    async def _fetch(self, latest: Block) -> list[BlockEvents] | None:
        """The next blocks, each the child of the one before; None where they do not connect."""
        first = self.followed[0] + 1
        numbers = range(first, min(latest.number, first + _BLOCKS_AT_ONCE - 1) + 1)
        found = await asyncio.gather(*(self._client.block(number) for number in numbers))
        parent = self.followed[1]
        fetched: list[BlockEvents] = []
        for block in found:
            if block is None or (parent != NO_BLOCK and block.parent_hash != parent):
                return fetched or None
            logs = await self._client.logs(block.hash, list(self._names)) if block.has_logs else []
            fetched.append(BlockEvents(block=block, events=tuple(self._event(block, log) for log in logs)))
            parent = block.hash
        return fetched

    def _event(self, block: Block, log: EventLog) -> StoredEvent:
        if log.address not in self._names or any(len(topic) != _TOPIC_BYTES for topic in log.topics):
            raise ChainError(
                f"the node answered with an event of {log.address}, which was not asked for; use another endpoint"
            )
        return StoredEvent(
            block_number=block.number,
            block_hash=block.hash,
            block_time_s=block.timestamp,
            log_index=log.log_index,
            transaction_hash=log.transaction_hash,
            contract=self._names[log.address],
            topics=log.topics,
            data=log.data,
        )

    async def _final_block(self, latest: Block) -> tuple[int, str] | None:
        """The newest final block among those followed: by the chain's tag, or by depth where the settings say so."""
        if self._depth is None:
            block = await self._client.block("finalized")
        else:
            number = latest.number - self._depth
            block = await self._client.block(number) if number >= self._deployment.from_block else None
        return None if block is None else (block.number, block.hash)

    async def _advance(self, fetched: Sequence[BlockEvents], final: tuple[int, str] | None) -> None:
        async with self._store.write() as connection:
            await insert_rows(
                connection,
                tables.chain_blocks,
                [(one.block.number, one.block.hash, one.block.parent_hash, one.block.timestamp) for one in fetched],
            )
            await insert_rows(connection, tables.chain_events, [_row(event) for one in fetched for event in one.events])
            if fetched:
                self.followed = (fetched[-1].block.number, fetched[-1].block.hash)
            if final is not None and self.final[0] < final[0] <= self.followed[0]:
                self.final = final
            await self._write_cursor(connection)
        for listener in self._listeners:
            listener.follow(fetched)
            listener.finalized(*self.final)

    async def _write_cursor(self, connection: AsyncConnection) -> None:

        values = {
            "followed_number": self.followed[0],
            "followed_hash": self.followed[1],
            "final_number": self.final[0],
            "final_hash": self.final[1],
        }
        if self._has_row:
            await connection.execute(update(tables.chain_cursor).values(values))
        else:
            await connection.execute(insert(tables.chain_cursor).values(one=1, **values))
            self._has_row = True

    async def _rebuild(self) -> None:
        events = await read_events(self._store)
        for listener in self._listeners:
            listener.rebuild(events)
            listener.finalized(*self.final)


def _row(event: StoredEvent) -> tuple[object, ...]:
    return (
        event.block_number,
        event.log_index,
        event.block_hash,
        event.transaction_hash,
        event.contract,
        b"".join(event.topics),
        event.data,
    )
