"""What is primary and no segment holds: carried over from the present store, as it stands."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Table, delete, select, tuple_
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.rebuild import DERIVED
from cloud.segments.notes import NotesFile
from cloud.store import Store, insert_rows, tables

__all__ = ["carry_over", "primary_tables", "read_after", "restore_audit_heads", "restore_notes"]

_ROWS_AT_ONCE = 4_000


def primary_tables() -> list[Table]:
    """Every table that is not derived."""
    return [table for table in tables.metadata.sorted_tables if table.name not in DERIVED]


async def carry_over(present: Store, fresh: Store) -> dict[str, int]:
    """Copy every primary table, whatever the fresh store has of it; rows by table."""
    counts = {}
    for table in primary_tables():
        after: Sequence[Any] | None = None
        counts[table.name] = 0
        async with fresh.write() as connection:
            await connection.execute(delete(table).execution_options(every_shard="a fresh copy of the whole table"))
            while True:
                async with present.read() as reading:
                    rows = await read_after(reading, table, list(table.columns), after, _ROWS_AT_ONCE)
                if not rows:
                    break
                await insert_rows(connection, table, rows)
                counts[table.name] += len(rows)
                after = key_of(table, rows[-1])
    return counts


async def restore_notes(fresh: Store, notes: NotesFile) -> int:
    """The super-log's signed notes from beside the segments, where no present store has them; how many."""
    found = notes.read()
    async with fresh.write() as connection:
        await connection.execute(delete(tables.super_notes))
        columns = [column.name for column in tables.super_notes.columns]
        values = [{"size": n.size, "root": n.root, "note": n.note, "signed_at_ms": n.signed_at_ms} for n in found]
        await insert_rows(connection, tables.super_notes, [tuple(row[name] for name in columns) for row in values])
    return len(found)


async def restore_audit_heads(fresh: Store, heads: NotesFile) -> None:
    """The audit log's heads in the super-log, likewise: the super-log cannot be computed again without them."""
    values = [
        {"size": n.size, "note": n.note, "signed_at_ms": n.signed_at_ms, "super_index": n.super_index}
        for n in heads.read()
    ]
    async with fresh.write() as connection:
        await connection.execute(delete(tables.audit_heads))
        columns = [column.name for column in tables.audit_heads.columns]
        await insert_rows(connection, tables.audit_heads, [tuple(row[name] for name in columns) for row in values])


def key_of(table: Table, row: Sequence[Any]) -> tuple[Any, ...]:
    """The values of the primary key in a row of all columns."""
    names = [column.name for column in table.columns]
    return tuple(row[names.index(column.name)] for column in table.primary_key.columns)


async def read_after(
    connection: AsyncConnection, table: Table, columns: Sequence[Any], after: Sequence[Any] | None, count: int
) -> list[tuple[Any, ...]]:
    """The next rows in the order of the primary key."""
    key = list(table.primary_key.columns)
    query = select(*columns).order_by(*key).limit(count)
    if after is not None:
        query = query.where(tuple_(*key) > tuple_(*after) if len(key) > 1 else key[0] > after[0])
    rows = await connection.execute(query.execution_options(every_shard="the whole table, in order"))
    return [tuple(row) for row in rows]
