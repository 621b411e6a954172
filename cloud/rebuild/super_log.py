"""The super-log's tree from the checkpoints in their order, held against every root that was ever signed."""

from sqlalchemy import delete, insert, select

from cloud.errors import RebuildError
from cloud.store import Store, insert_rows, tables
from contracts.checkpoint import SignedCheckpoint, open_checkpoint
from contracts.errors import ContractsError
from contracts.superlog import superlog_leaf
from contracts.tree import Frontier, Node, leaf_hash

__all__ = ["rebuild_super_log"]

_LEAVES_AT_ONCE = 5_000


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
    column = tables.checkpoints.c
    query = (
        select(column.note, column.public_key, column.super_index)
        .where(column.super_index >= start)
        .order_by(column.super_index)
        .limit(_LEAVES_AT_ONCE)
        .execution_options(every_shard="checkpoints of all logs make one order")
    )
    async with fresh.read() as connection:
        rows = (await connection.execute(query)).all()
    if [row.super_index for row in rows] != list(range(start, start + len(rows))):
        raise RebuildError(f"super-log: behind place {start} a checkpoint is missing or stands twice in the segments")
    return [leaf_hash(superlog_leaf(_opened(row.note, row.public_key))) for row in rows]


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
