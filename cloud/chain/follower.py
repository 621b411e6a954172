"""Follows the chain block by block: by hash, with a parent check, into `chain_blocks` and `chain_events`.

A reorganisation takes back the blocks above the common ancestor with their events; listeners rebuild what they derived
from them. A chain that contradicts what was *final* stops everything: nothing is changed, nothing is sent, and the
error says what to do. Only where the settings say so (a development chain that loses its state) is everything above the
ancestor treated as not having happened yet: then the outbox sends the same signed bytes again.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.chain.client import Block, ChainClient, EventLog
from cloud.chain.deployment import Deployment
from cloud.chain.errors import FinalityLost
from cloud.chain.events import StoredEvent, read_events
from cloud.errors import ChainError
from cloud.lease import Lease, LeaseLost
from cloud.store import Store, insert_rows, tables
from contracts.clock import Clock

__all__ = ["BlockEvents", "ChainListener", "Follower"]

_log = logging.getLogger("cloud.chain")
_BLOCKS_AT_ONCE = 64
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
        resends_lost: bool = False,
        lease: Lease | None = None,
        chain_id: int | None = None,
    ) -> None:
        """`chain_id`: of the chain that the node must serve; None believes it."""
        self._store, self._client, self._clock = store, client, clock
        self._chain_id, self._is_right_chain = chain_id, chain_id is None
        self._deployment = deployment
        self._names = deployment.addresses
        self._listeners = listeners
        self._depth = finality_depth
        self._resends_lost = resends_lost
        self._lease = lease
        self._term: int | None = None
        self.followed: tuple[int, str] = (deployment.from_block - 1, NO_BLOCK)
        self.final: tuple[int, str] = (deployment.from_block - 1, NO_BLOCK)
        self.head_number = self.followed[0]
        self._has_row = False
        self._was_near_head = False

    @property
    def has_caught_up(self) -> bool:
        """Whether the chain was once followed to its newest blocks, here or by another process on the database.

        A final block is among the newest when it becomes known, for nothing below it is noted as final. A young chain
        may have none, and then it is enough that this process reached its head.
        """
        return self.final[1] != NO_BLOCK or self._was_near_head

    async def load(self) -> None:
        """Take up where the store left off and hand all stored events to the listeners."""
        async with self._store.read() as connection:
            row = (await connection.execute(select(tables.chain_cursor))).one_or_none()
        if row is not None:
            self._has_row = True
            self.followed = (row.followed_number, row.followed_hash)
            self.final = (row.final_number, row.final_hash)
        self._is_right_chain = self._chain_id is None
        await self._rebuild()

    async def step(self) -> bool:
        """Follow up to 64 blocks; whether anything changed.

        Raises:
            ChainError: the node does not answer, or answers nonsense; nothing has changed then.
        """
        if self._lease is not None and not await self._lease.hold():
            return await self._read_along()
        if self._lease is not None and self._term != self._lease.term:
            await self.load()  # another process has written since
            self._term = self._lease.term
        try:
            return await self._step()
        except LeaseLost:
            return False

    async def _step(self) -> bool:
        await self._check_chain()
        latest = await self._client.latest()
        self.head_number = latest.number
        changed = await self._retreat(latest)
        fetched = await self._fetch(latest)
        if fetched is None:
            return True  # the chain moved under us; the next step finds the ancestor
        final = await self._final_block(latest, fetched)
        if fetched or changed or final is not None:
            await self._advance(fetched, final)
            changed = True
        self._was_near_head |= self.followed[0] >= latest.number - _BLOCKS_AT_ONCE
        return changed

    async def _check_chain(self) -> None:
        if self._is_right_chain:
            return
        found = await self._client.chain_id()
        if found != self._chain_id:
            raise ChainError(f"the node serves chain {found}, the settings name {self._chain_id}; correct [chain] rpc")
        self._is_right_chain = True

    async def _read_along(self) -> bool:
        """Another process follows: take from the store what it has written; whether there was anything."""
        async with self._store.read() as connection:
            row = (await connection.execute(select(tables.chain_cursor))).one_or_none()
        if row is None:
            return False
        now = (row.followed_number, row.followed_hash), (row.final_number, row.final_hash)
        self.head_number = row.followed_number
        if now == (self.followed, self.final):
            return False
        await self.load()
        return True

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[AsyncConnection]:
        async with self._store.write() as connection:
            if self._lease is not None:
                await self._lease.fence(connection)
            yield connection

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
        is_shorter = ancestor[0] < was_final
        if is_shorter and not self._resends_lost:
            raise FinalityLost(
                f"block {was_final} was final with hash {self.final[1]}, and the endpoints' chain, now at block "
                f"{latest.number}, does not hold it. Nothing is sent or taken back. "
                "If nodes are behind or restored from a backup, bring them back; if the chain has really lost those "
                'blocks, restart with [chain] lost_finality = "resend", and everything is sent again'
            )
        async with self._write() as connection:
            await connection.execute(
                delete(tables.chain_events).where(tables.chain_events.c.block_number > ancestor[0])
            )
            await connection.execute(delete(tables.chain_blocks).where(tables.chain_blocks.c.number > ancestor[0]))
            await self._reopen_done(connection, ancestor[0])
            if is_shorter:
                await self._take_back_final(connection, ancestor[0])
            self.followed = ancestor
            self.final = ancestor if is_shorter else self.final
            await self._write_cursor(connection)
        if is_shorter:
            says = (
                f"chain came back shorter (was final at {was_final}, now {ancestor[0]}); sending again by business key"
            )
            _log.error("cloud: %s", says)
            await self._store.notice(says, at_ms=self._clock.now_ms())
        else:
            _log.info("cloud: chain reorganised above block %d", ancestor[0])
        await self._rebuild()
        return True

    async def _reopen_done(self, connection: AsyncConnection, ancestor: int) -> None:
        """What a block that is gone called done may not be so any more."""
        column = tables.intents.c
        await connection.execute(
            update(tables.intents)
            .where(column.state == "done", column.block_number > ancestor)
            .values(state="pending", block_number=None, says="the block that showed it done was taken back")
        )

    async def _take_back_final(self, connection: AsyncConnection, ancestor: int) -> None:
        """What was final above the ancestor is on its way again: the very same transactions, whose nonces are free."""
        attempt, intent = tables.attempts.c, tables.intents.c
        again = (attempt.block_number > ancestor) & (
            attempt.state.in_(("mined", "failed")) | ((attempt.state == "final") & (attempt.purpose == "act"))
        )
        says = "the chain came back shorter"
        await connection.execute(
            update(tables.intents)
            .where(intent.intent_id.in_(select(attempt.intent_id).where(again)))
            .values(state="sent", block_number=None, says=says)
        )
        await connection.execute(
            update(tables.attempts).where(again).values(state="signed", block_number=None, block_hash=None)
        )
        await connection.execute(
            update(tables.intents)
            .where(intent.state == "final", intent.block_number > ancestor)
            .values(state="pending", block_number=None, says=says)
        )

    async def _ancestor(self, below: int) -> tuple[int, str]:
        """The last followed block that is still in the chain; not looked for below what must not be taken back."""
        column = tables.chain_blocks.c
        query = select(column.number, column.hash).where(column.number <= below).order_by(column.number)
        if not self._resends_lost:
            query = query.where(column.number >= self.final[0])
        async with self._store.read() as connection:
            rows = (await connection.execute(query)).all()
        held, gone = 0, len(rows)  # rows before `held` are in the chain, those from `gone` on are not
        while held < gone:
            middle = (held + gone) // 2
            block = await self._client.block(rows[middle].number)
            is_held = block is not None and block.hash == rows[middle].hash
            held, gone = (middle + 1, gone) if is_held else (held, middle)
        return (rows[held - 1].number, rows[held - 1].hash) if held else (self._deployment.from_block - 1, NO_BLOCK)

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
            logs = await self._client.logs(block, list(self._names))
            fetched.append(BlockEvents(block=block, events=tuple(self._event(block, log) for log in logs)))
            parent = block.hash
        return fetched

    def _event(self, block: Block, log: EventLog) -> StoredEvent:
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

    async def _final_block(self, latest: Block, fetched: Sequence[BlockEvents]) -> tuple[int, str] | None:
        """The newest final block among those followed: by the chain's tag, or by depth where the settings say so.

        Only if it is the block that we follow at its height: between two answers the chain may have moved.
        """
        if self._depth is None:
            block = await self._client.finalized()
        else:
            number = latest.number - self._depth
            block = await self._client.block(number) if number >= self._deployment.from_block else None
        if block is None or block.number <= self.final[0]:
            return None
        followed = {one.block.number: one.block.hash for one in fetched}
        if block.number in followed:
            is_ours = followed[block.number] == block.hash
        else:
            query = select(tables.chain_blocks.c.hash).where(tables.chain_blocks.c.number == block.number)
            async with self._store.read() as connection:
                is_ours = (await connection.execute(query)).scalar_one_or_none() == block.hash
        return (block.number, block.hash) if is_ours else None

    async def _advance(self, fetched: Sequence[BlockEvents], final: tuple[int, str] | None) -> None:
        async with self._write() as connection:
            await insert_rows(
                connection,
                tables.chain_blocks,
                [(one.block.number, one.block.hash, one.block.parent_hash, one.block.timestamp) for one in fetched],
            )
            await insert_rows(connection, tables.chain_events, [_row(event) for one in fetched for event in one.events])
            if fetched:
                self.followed = (fetched[-1].block.number, fetched[-1].block.hash)
            if final is not None:
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
