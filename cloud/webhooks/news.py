"""What can be told, read from what is stored anyway: final events of the contracts, forks, and notices.

Each source is an ordered list; a hook remembers how far it was told. An event of the chain is told once it is final, so
nothing that was told is ever taken back.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.chain.parsers import PARSERS
from cloud.store import tables

__all__ = ["CHAIN", "SOURCES", "News", "Source"]

CHAIN = "chain"
_LOGS_OF_BLOCK = 2**24  # more than a block can hold
_SAFE_INTEGER_END = 2**53


@dataclass(frozen=True, slots=True, kw_only=True)
class News:
    """One thing that happened."""

    source: str
    position: int
    kind: str  # `usage_fees.PeriodClosed`, `fork`, `notice`
    at_ms: int
    body: Mapping[str, Any]

    @property
    def message_id(self) -> str:
        """The same whenever and to whomever it is told."""
        return f"{self.source}-{self.position}"

    def to_json(self) -> bytes:
        """The message that a receiver gets."""
        return json.dumps(
            {"type": self.kind, "at_ms": self.at_ms, "data": dict(self.body)}, ensure_ascii=False, sort_keys=True
        ).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """An ordered list of news: what follows a position, and where it ends now."""

    name: str
    read: Callable[[AsyncConnection, int, int], Awaitable[Sequence[News]]]  # after, limit
    end: Callable[[AsyncConnection], Awaitable[int]]
    numbered: str | None = None  # the table whose own numbers are the positions


async def _read_chain(connection: AsyncConnection, after: int, limit: int) -> Sequence[News]:
    event, block = tables.chain_events.c, tables.chain_blocks.c
    number, index = divmod(after, _LOGS_OF_BLOCK)
    final = select(func.coalesce(func.max(tables.chain_cursor.c.final_number), -1)).scalar_subquery()
    query = (
        select(tables.chain_events, block.timestamp)
        .join(tables.chain_blocks, block.number == event.block_number)
        .where(event.block_number <= final)
        .where((event.block_number > number) | ((event.block_number == number) & (event.log_index > index)))
        .order_by(event.block_number, event.log_index)
        .limit(limit)
    )
    return [_chain_news(row) for row in await connection.execute(query)]


async def _end_of_chain(connection: AsyncConnection) -> int:
    final = (await connection.execute(select(func.max(tables.chain_cursor.c.final_number)))).scalar_one()
    return ((final or 0) + 1) * _LOGS_OF_BLOCK - 1


def _chain_news(row: Any) -> News:
    topics = tuple(row.topics[at : at + 32] for at in range(0, len(row.topics), 32))
    parse = PARSERS.get(row.contract)
    event = parse(topics, row.data) if parse else None
    body: dict[str, Any] = {
        "block_number": row.block_number,
        "block_hash": row.block_hash,
        "log_index": row.log_index,
        "transaction": row.transaction_hash,
    }
    if event is None:
        body["topics"], body["raw"] = [topic.hex() for topic in topics], row.data.hex()
    else:
        body["event"] = {field.name: _plain(getattr(event, field.name)) for field in fields(event)}
    name = type(event).__name__ if event is not None else "unknown"
    return News(
        source=CHAIN,
        position=row.block_number * _LOGS_OF_BLOCK + row.log_index,
        kind=f"{row.contract}.{name}",
        at_ms=row.timestamp * 1000,
        body=body,
    )


def _plain(value: Any) -> Any:
    """JSON as in all our files: bytes in hex, large integers as decimal strings."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= _SAFE_INTEGER_END:
        return str(value)
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


async def _read_forks(connection: AsyncConnection, after: int, limit: int) -> Sequence[News]:
    fork = tables.forks.c
    query = (
        select(fork.fork_id, fork.kind, fork.held_note, fork.other_note, fork.found_at_ms, tables.logs.c.origin)
        .join(tables.logs, tables.logs.c.log_id == fork.log_id)
        .where(fork.fork_id > after)
        .order_by(fork.fork_id)
        .limit(limit)
        .execution_options(every_shard="forks are rare, and told of every site")
    )
    return [
        News(
            source="fork",
            position=row.fork_id,
            kind="fork",
            at_ms=row.found_at_ms,
            body={"origin": row.origin, "kind": row.kind, "held": row.held_note, "other": row.other_note},
        )
        for row in await connection.execute(query)
    ]


async def _end_of_forks(connection: AsyncConnection) -> int:
    query = select(func.max(tables.forks.c.fork_id)).execution_options(every_shard="the newest of all sites")
    return (await connection.execute(query)).scalar_one() or 0


async def _read_notices(connection: AsyncConnection, after: int, limit: int) -> Sequence[News]:
    notice = tables.notices.c
    query = select(tables.notices).where(notice.notice_id > after).order_by(notice.notice_id).limit(limit)
    return [
        News(source="notice", position=row.notice_id, kind="notice", at_ms=row.at_ms, body={"says": row.says})
        for row in await connection.execute(query)
    ]


async def _end_of_notices(connection: AsyncConnection) -> int:
    return (await connection.execute(select(func.max(tables.notices.c.notice_id)))).scalar_one() or 0


SOURCES: tuple[Source, ...] = (
    Source(name=CHAIN, read=_read_chain, end=_end_of_chain),
    Source(name="fork", read=_read_forks, end=_end_of_forks, numbered="forks"),
    Source(name="notice", read=_read_notices, end=_end_of_notices, numbered="notices"),
)
