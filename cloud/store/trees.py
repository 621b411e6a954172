"""The stored Merkle trees: gateways' logs, super-log and audit log, read so that a proof costs one or two queries.

`contracts.tree` walks a tree through a synchronous `NodeReader`. Here a walk runs twice: once over zeros, to learn
which complete subtrees it touches, and once over what the database gave for exactly those.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeVar

from sqlalchemy import Table, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.errors import StoreError
from cloud.store import tables
from cloud.store.months import entries_at
from contracts.tree import HASH_BYTES, NodeReader, node_hash

__all__ = ["STORED_LEVEL", "AuditTree", "LogTree", "NodeKey", "StoredTree", "SuperTree", "WholeTree", "walk"]

Result = TypeVar("Result")
NodeKey = tuple[int, int]

STORED_LEVEL = 5
"""Subtrees of 2^5 leaves and more have rows of their own; smaller ones are recomputed from at most 32 leaf hashes,
which keeps the rows of interior nodes at 1/16 of the entries."""

_ROWS_AT_ONCE = 400


class StoredTree(Protocol):
    """A tree whose complete subtrees can be fetched by (level, index)."""

    async def read(self, connection: AsyncConnection, wanted: set[NodeKey]) -> dict[NodeKey, bytes]: ...


async def walk(connection: AsyncConnection, tree: StoredTree, compute: Callable[[NodeReader], Result]) -> Result:
    """`compute` over the stored nodes of `tree`; it is called twice and must be pure.

    Raises:
        StoreError: a node that must be there is missing: rebuild the tree from its entries.
    """
    wanted: set[NodeKey] = set()

    def record(level: int, index: int) -> bytes:
        wanted.add((level, index))
        return bytes(HASH_BYTES)

    compute(record)
    found = await tree.read(connection, wanted)
    missing = wanted - found.keys()
    if missing:
        raise StoreError(
            f"stored tree {tree}: nodes {sorted(missing)[:4]} are missing; restore the database or rebuild the tree"
        )
    return compute(lambda level, index: found[level, index])


@dataclass(frozen=True, slots=True)
class LogTree:
    """One gateway's log: leaf hashes beside the entries, larger subtrees in `nodes`."""

    log_id: int

    async def read(self, connection: AsyncConnection, wanted: set[NodeKey]) -> dict[NodeKey, bytes]:
        high = {key for key in wanted if key[0] >= STORED_LEVEL}
        found = await self._read_high(connection, high)
        low = wanted - high
        for block in sorted({index << level >> STORED_LEVEL for level, index in low}):
            leaves = await self.leaf_hashes(connection, block << STORED_LEVEL, (block + 1) << STORED_LEVEL)
            found.update(_within_block(block, leaves, low))
        return found

    async def leaf_hashes(self, connection: AsyncConnection, start: int, end: int) -> list[bytes]:
        """The stored leaf hashes of entries start..end-1, as far as they exist."""
        column = tables.entries.c
        here = await entries_at(connection, self.log_id, start, end)
        query = select(column.leaf_hash).where(here).order_by(column.entry_index)
        return list((await connection.execute(query)).scalars())

    async def _read_high(self, connection: AsyncConnection, wanted: set[NodeKey]) -> dict[NodeKey, bytes]:
        column = tables.nodes.c
        found: dict[NodeKey, bytes] = {}
        for keys in _portions(wanted):
            query = select(column.level, column.node_index, column.hash).where(
                column.log_id == self.log_id, tuple_(column.level, column.node_index).in_(keys)
            )
            for row in await connection.execute(query):
                found[row.level, row.node_index] = row.hash
        return found


class WholeTree:
    """A tree of which every complete subtree has a row, its leaves (level 0) too."""

    table: ClassVar[Table]

    def __repr__(self) -> str:
        return self.table.name

    async def read(self, connection: AsyncConnection, wanted: set[NodeKey]) -> dict[NodeKey, bytes]:
        column = self.table.c
        found: dict[NodeKey, bytes] = {}
        for keys in _portions(wanted):
            query = select(column.level, column.node_index, column.hash).where(
                tuple_(column.level, column.node_index).in_(keys)
            )
            for row in await connection.execute(query):
                found[row.level, row.node_index] = row.hash
        return found


class SuperTree(WholeTree):
    """The super-log."""

    table = tables.super_nodes


class AuditTree(WholeTree):
    """The audit log, as far as its newest signed head reaches."""

    table = tables.audit_nodes


def _portions(keys: Iterable[NodeKey]) -> Iterable[list[NodeKey]]:
    ordered = sorted(keys)
    for at in range(0, len(ordered), _ROWS_AT_ONCE):
        yield ordered[at : at + _ROWS_AT_ONCE]


def _within_block(block: int, leaves: list[bytes], wanted: set[NodeKey]) -> dict[NodeKey, bytes]:
    """The wanted subtrees below `STORED_LEVEL` of one block of up to 32 leaves, those that are complete."""
    found: dict[NodeKey, bytes] = {}
    row, first = leaves, block << STORED_LEVEL
    for level in range(STORED_LEVEL):
        found.update({(level, first + at): node for at, node in enumerate(row) if (level, first + at) in wanted})
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)]
        first >>= 1
    return found
