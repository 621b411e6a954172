"""The audit log's Merkle tree, derived from its entries: behind them, and complete wherever a head is signed."""

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.errors import StoreError
from cloud.store import Store, insert_rows, tables
from cloud.store.trees import AuditTree
from contracts.tree import Frontier, Node, leaf_hash

__all__ = ["LOCK", "catch_up", "covered_size", "grow_tree", "grown_size", "signed_size"]

LOCK = "identity"
"""Whoever writes an entry or grows the tree holds it: entries have one order."""

_ENTRIES_AT_ONCE = 5_000


async def grow_tree(connection: AsyncConnection, size: int, *, at_most: int = _ENTRIES_AT_ONCE) -> bool:
    """Append to the stored tree what it lacks of `size` entries; whether `at_most` of them were not enough.

    Raises:
        StoreError: an entry is missing.
    """
    frontier = await _frontier(connection)
    end = min(size, frontier.size + at_most)
    if frontier.size < end:
        leaves = await _leaves(connection, frontier.size, end)
        rows: list[Node] = [(0, frontier.size + at, leaf) for at, leaf in enumerate(leaves)]
        frontier.extend(leaves, on_node=rows.append)
        await insert_rows(connection, tables.audit_nodes, rows)
    return end < size


async def catch_up(store: Store) -> None:
    """Bring the tree to where the newest signed head reaches: it lacks something only where it was never kept."""
    is_behind = True
    while is_behind:
        async with store.write(LOCK) as connection:
            is_behind = await grow_tree(connection, await signed_size(connection))


async def signed_size(connection: AsyncConnection) -> int:
    """How many entries the newest signed head covers; 0 before the first."""
    return (await connection.execute(select(func.max(tables.audit_notes.c.size)))).scalar_one() or 0


async def grown_size(connection: AsyncConnection) -> int:
    """How many entries the stored tree holds."""
    column = tables.audit_nodes.c
    last = (await connection.execute(select(func.max(column.node_index)).where(column.level == 0))).scalar_one()
    return 0 if last is None else last + 1


async def covered_size(connection: AsyncConnection) -> int:
    """How many entries are both signed for and in the tree, which an older version's heads may be ahead of."""
    return min(await signed_size(connection), await grown_size(connection))


async def _leaves(connection: AsyncConnection, start: int, end: int) -> list[bytes]:
    column = tables.audit_entries.c
    query = select(column.entry_index, column.body).where(column.entry_index >= start, column.entry_index < end)
    rows = (await connection.execute(query.order_by(column.entry_index))).all()
    if len(rows) != end - start:
        raise StoreError(f"audit log: of entries {start} to {end} some are missing; bring back the newest backup")
    return [leaf_hash(row.body.encode()) for row in rows]


async def _frontier(connection: AsyncConnection) -> Frontier:
    """The stored tree's right edge: its peaks stand for the one-bits of its size, largest first."""
    size = await grown_size(connection)
    keys = [(level, (size >> level) - 1) for level in reversed(range(size.bit_length())) if size >> level & 1]
    found = await AuditTree().read(connection, set(keys))
    return Frontier(size, [found[key] for key in keys])
