"""One group of judged batches into the store, in one transaction that any number of processes may race for.

Each log's row is locked before anything is written and compared with the head that its batch was judged upon: size,
peaks and whether it is frozen. So no two processes can continue one log, whichever of them a gateway talks to. Rows are
locked in the order of their numbers, so two groups never wait for each other.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import bindparam, insert, literal, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.chain.intents import add_intent
from cloud.ingest.judgement import Continuation, LogHead
from cloud.ingest.oddities import Oddity
from cloud.ingest.overlap import Fork
from cloud.ingest.quota import Bucket
from cloud.ingest.rows import write_content
from cloud.ingest.sealing import SealedGroup, keep_or_seal_again, seal_parts
from cloud.store import Store, insert_rows, tables
from cloud.store.months import month_of
from cloud.store.upsert import count_up, insert_new_rows
from contracts.tree import Frontier

__all__ = ["adopt_logs", "freeze_log", "read_heads", "seal_ahead", "write_group"]

_LOGS = tables.logs.c
_ASKED_AT_ONCE = 4_096
_MOVE_HEAD = (
    update(tables.logs)
    .where(_LOGS.log_id == bindparam("of_log"))
    .values(
        size=bindparam("new_size"), peaks=bindparam("new_peaks"), last_seen_at_ms=bindparam("now_ms"),
        quota_level=bindparam("new_level"), quota_at_ms=bindparam("new_level_at_ms"),
    )
)  # fmt: skip


async def adopt_logs(connection: AsyncConnection) -> None:
    """Name logs that an older version of this program has opened beside this one."""
    known = select(tables.origins.c.log_id).where(tables.origins.c.log_id == _LOGS.log_id)
    unnamed = select(_LOGS.origin, _LOGS.log_id).where(~known.exists())
    await connection.execute(
        insert(tables.origins).from_select(["origin", "log_id"], unnamed),
        execution_options={"every_shard": "once at start"},
    )


async def read_heads(connection: AsyncConnection, origins: Iterable[str], full: Bucket) -> dict[str, LogHead]:
    """Those of these logs' heads that are stored, by origin.

    Args:
        full: the bucket of a log that has none yet.
    """
    ordered, found = sorted(origins), dict[str, LogHead]()
    names = tables.origins.c
    for at in range(0, len(ordered), _ASKED_AT_ONCE):
        numbers = select(names.log_id).where(names.origin.in_(ordered[at : at + _ASKED_AT_ONCE]))
        query = select(tables.logs).where(_LOGS.log_id.in_(list((await connection.execute(numbers)).scalars())))
        for row in await connection.execute(query):
            found[row.origin] = LogHead(
                log_id=row.log_id,
                origin=row.origin,
                frontier=Frontier.from_bytes(row.peaks),
                token_digest=row.token_digest,
                frozen=row.frozen,
                bucket=full if row.quota_level is None else Bucket(row.quota_level, row.quota_at_ms),
            )
    return found


async def write_group(
    store: Store,
    continuations: Sequence[Continuation],
    oddities: Sequence[Oddity],
    *,
    seen: Collection[int],
    now_ms: int,
    ahead: SealedGroup | None = None,
) -> set[int]:
    """Store what continues its log as it stands; the numbers of logs that have moved meanwhile, of which nothing was
    stored.

    Args:
        seen: numbers of all logs whose gateways were heard.
        ahead: the continuations as they were sealed before, where they were.
    """
    ahead = ahead or await seal_ahead(store, continuations)
    month = month_of(now_ms)
    await store.prepare_month(month)
    async with store.write(lock=None) as connection:
        await _open_logs(connection, continuations, now_ms)
        moved = await _moved(connection, continuations, seen)
        parts = [part for part in continuations if part.head.log_id not in moved]
        await write_content(connection, await keep_or_seal_again(connection, ahead, parts), month=month)
        await insert_rows(connection, tables.checkpoints, [_checkpoint_row(part, now_ms) for part in parts])
        await _move_heads(connection, parts, seen, now_ms)
        await _note_oddities(connection, [one for one in oddities if one.log_id not in moved], now_ms)
    return moved


async def seal_ahead(store: Store, continuations: Sequence[Continuation]) -> SealedGroup:
    """What `write_group` can be given, so that no transaction waits for it."""
    async with store.read() as connection:
        return await seal_parts(connection, continuations)


async def freeze_log(store: Store, head: LogHead, fork: Fork, says: str, *, now_ms: int) -> None:
    """Stop taking this log, keep both checkpoints, and put the report to the contract into the outbox: one
    transaction.
    """
    async with store.write() as connection:
        await connection.execute(update(tables.logs).where(_LOGS.log_id == head.log_id).values(frozen=says))
        report = {"held_note": fork.held_note, "other_note": fork.other_note, "material": fork.material}
        kept = await connection.execute(
            insert(tables.forks).values(log_id=head.log_id, kind=fork.kind, found_at_ms=now_ms, **report)
        )
        (fork_id,) = kept.inserted_primary_key or (0,)
        if fork.kind != "unproven":
            await add_intent(connection, f"fork:{head.origin}", "fork", {"fork_id": fork_id}, now_ms=now_ms)


async def _open_logs(connection: AsyncConnection, continuations: Sequence[Continuation], now_ms: int) -> None:
    """An empty row for each log that begins, unless another process was quicker; which then shows as moved."""
    opened = {part.before.origin: part.before for part in continuations if not part.before.is_stored}
    if not opened:
        return
    names = [{"origin": origin, "log_id": head.log_id} for origin, head in sorted(opened.items())]
    await insert_new_rows(connection, tables.origins, names)
    # A log that an older version of this program opened has another number, and a row by that.
    column = tables.origins.c
    query = select(column.origin, column.log_id).where(column.origin.in_(sorted(opened)))
    numbers = {row.origin: row.log_id for row in await connection.execute(query)}
    rows = [
        {
            "log_id": head.log_id, "origin": origin, "size": 0, "peaks": head.frontier.to_bytes(),
            "token_digest": head.token_digest, "opened_at_ms": now_ms, "last_seen_at_ms": now_ms,
        }
        for origin, head in sorted(opened.items()) if numbers.get(origin) == head.log_id
    ]  # fmt: skip
    await insert_new_rows(connection, tables.logs, rows)


async def _moved(connection: AsyncConnection, continuations: Sequence[Continuation], seen: Collection[int]) -> set[int]:
    """Lock the rows of these logs; the numbers of those that are not what their batches were judged upon."""
    query = select(_LOGS.log_id, _LOGS.origin, _LOGS.peaks, _LOGS.frozen).where(_LOGS.log_id.in_(sorted(seen)))
    rows = await connection.execute(query.order_by(_LOGS.log_id).with_for_update())
    stored = {row.log_id: (row.origin, row.peaks, row.frozen) for row in rows}
    judged_upon: dict[int, Any] = {}
    for part in continuations:
        head = part.before
        judged_upon.setdefault(head.log_id, (head.origin, head.frontier.to_bytes(), head.frozen))
    frozen = {log_id for log_id, (_origin, _peaks, says) in stored.items() if says is not None}
    return frozen | {log_id for log_id, head in judged_upon.items() if stored.get(log_id) != head}


async def _move_heads(
    connection: AsyncConnection, parts: Sequence[Continuation], seen: Collection[int], now_ms: int
) -> None:
    latest = {part.head.log_id: part.head for part in parts}
    moves = [
        {
            "of_log": head.log_id, "new_size": head.size, "new_peaks": head.frontier.to_bytes(), "now_ms": now_ms,
            "new_level": head.bucket.level, "new_level_at_ms": head.bucket.at_ms,
        }
        for head in latest.values()
    ]  # fmt: skip
    if moves:
        await connection.execute(_MOVE_HEAD, moves)
    only_heard = sorted(set(seen) - latest.keys())
    if only_heard:
        heard = update(tables.logs).where(_LOGS.log_id.in_(only_heard))
        await connection.execute(heard.values(last_seen_at_ms=literal(now_ms)))


async def _note_oddities(connection: AsyncConnection, oddities: Sequence[Oddity], now_ms: int) -> None:
    rows = [
        {
            "log_id": one.log_id, "kind": one.kind, "count": 1, "says": one.says, "first_at_ms": now_ms,
            "last_at_ms": now_ms,
        }
        for one in sorted(oddities, key=lambda one: (one.log_id, one.kind))
    ]  # fmt: skip
    await count_up(connection, tables.anomalies, rows, last=("says", "last_at_ms"))


def _checkpoint_row(part: Continuation, now_ms: int) -> tuple[Any, ...]:
    content = part.content
    return (
        part.head.log_id, part.head.size, content.checkpoint.root, content.parts.note, part.public, now_ms, None
    )  # fmt: skip
