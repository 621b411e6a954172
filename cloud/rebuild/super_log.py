"""The super-log's tree from the checkpoints in their order, held against every root that was ever signed."""

from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.errors import RebuildError
from cloud.store import Store, insert_rows, tables
from contracts.checkpoint import SignedCheckpoint, open_checkpoint
from contracts.errors import ContractsError
from contracts.superlog import audit_leaf_of, superlog_leaf
from contracts.tree import Frontier, Node, leaf_hash

__all__ = ["rebuild_super_log"]

_LEAVES_AT_ONCE = 5_000
_LACKING = (
    "super-log: behind place {} a checkpoint is missing or stands twice in the segments, or a head of the audit log in "
    "audit-log.heads beside them; restore them from another copy"
)


async def rebuild_super_log(fresh: Store) -> int:
    """Append what the fresh store's super-log lacks; its size.

    Raises:
        RebuildError: a checkpoint is missing from the order, or a signed root is not that of the rebuilt tree.
    """
    frontier = await _stored_frontier(fresh)
    while True:
        leaves = await _leaves(fresh, frontier.size)
        if not leaves:
            return frontier.size
        await _append(fresh, frontier, leaves)


async def _append(fresh: Store, frontier: Frontier, leaves: "list[bytes]") -> None:
    """Append, stopping at each signed size to compare roots."""
    signed = await _signed_roots(fresh, frontier.size, frontier.size + len(leaves))
    rows, at = list[Node](), 0
    for size in [*sorted(signed), frontier.size + len(leaves)]:
        part = leaves[at : at + size - frontier.size]
        rows += [(0, frontier.size + number, leaf) for number, leaf in enumerate(part)]
        frontier.extend(part, on_node=rows.append)
        at += len(part)
        if frontier.size in signed and frontier.root() != signed[frontier.size]:
            raise RebuildError(
                f"super-log: the checkpoints do not give the root that was signed at size {frontier.size}; "
                "a segment is missing or was changed: restore it from another copy"
            )
    async with fresh.write() as connection:
        await insert_rows(connection, tables.super_nodes, rows)
        await connection.execute(delete(tables.super_head))
        head = {"size": frontier.size, "peaks": frontier.to_bytes()}
        await connection.execute(insert(tables.super_head).values(one=1, **head))


async def _leaves(fresh: Store, start: int) -> "list[bytes]":
    column, head, end = tables.checkpoints.c, tables.audit_heads.c, start + _LEAVES_AT_ONCE
    query = (
        select(column.note, column.public_key, column.super_index)
        .where(column.super_index >= start, column.super_index < end)
        .execution_options(every_shard="checkpoints of all logs make one order")
    )
    heads = select(head.note, head.super_index).where(head.super_index >= start, head.super_index < end)
    async with fresh.read() as connection:
        found = [(row.super_index, _leaf(row.note, row.public_key)) for row in await connection.execute(query)]
        found += [(row.super_index, leaf_hash(audit_leaf_of(row.note))) for row in await connection.execute(heads)]
        if not found and await _are_more(connection, start):
            raise RebuildError(_LACKING.format(start))
    found.sort()
    if [place for place, _leaf in found] != list(range(start, start + len(found))):
        raise RebuildError(_LACKING.format(start))
    return [leaf for _place, leaf in found]


def _leaf(note: str, public: bytes) -> bytes:
    return leaf_hash(superlog_leaf(_opened(note, public)))


async def _are_more(connection: AsyncConnection, start: int) -> bool:
    """Whether something has a place behind this one."""
    column = tables.checkpoints.c
    query = (
        select(column.super_index)
        .where(column.super_index >= start)
        .limit(1)
        .execution_options(every_shard="checkpoints of all logs make one order")
    )
    return (await connection.execute(query)).first() is not None


def _opened(note: str, public: bytes) -> SignedCheckpoint:
    try:
        return open_checkpoint(note, public)
    except ContractsError as error:
        raise RebuildError(f"super-log: {error}") from error


async def _stored_frontier(fresh: Store) -> Frontier:
    async with fresh.read() as connection:
        peaks = (await connection.execute(select(tables.super_head.c.peaks))).scalar_one_or_none()
    return Frontier() if peaks is None else Frontier.from_bytes(peaks)


async def _signed_roots(fresh: Store, above: int, up_to: int) -> dict[int, bytes]:
    column = tables.super_notes.c
    query = select(column.size, column.root).where(column.size > above, column.size <= up_to)
    async with fresh.read() as connection:
        return {row.size: row.root for row in await connection.execute(query)}
