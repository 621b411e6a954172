"""INSERT … ON CONFLICT, which SQLite and PostgreSQL spell alike and SQLAlchemy keeps in each dialect."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["count_up", "insert_into", "insert_new", "insert_new_rows", "put"]


def insert_into(connection: AsyncConnection, table: Table) -> Any:
    """An INSERT that may say what is to happen where the key exists."""
    dialect: Any = postgresql if connection.dialect.name == "postgresql" else sqlite
    return dialect.insert(table)


async def insert_new(connection: AsyncConnection, table: Table, values: Mapping[str, Any]) -> bool:
    """Insert one row unless its key exists; whether it was inserted."""
    result = await connection.execute(insert_into(connection, table).values(dict(values)).on_conflict_do_nothing())
    return bool(result.rowcount)


async def insert_new_rows(connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert those of the rows whose key does not exist."""
    if rows:
        await connection.execute(insert_into(connection, table).on_conflict_do_nothing(), [dict(row) for row in rows])


async def put(connection: AsyncConnection, table: Table, values: Mapping[str, Any]) -> None:
    """Insert one row, or change the one of the same key to these values."""
    key = list(table.primary_key.columns)
    changed = {name: value for name, value in values.items() if name not in {column.name for column in key}}
    statement = insert_into(connection, table).values(dict(values))
    await connection.execute(statement.on_conflict_do_update(index_elements=key, set_=changed))


async def count_up(
    connection: AsyncConnection, table: Table, rows: Sequence[Mapping[str, Any]], *, last: Sequence[str]
) -> None:
    """Insert rows, or add their `count` to those of the same key and take over the columns `last`."""
    if not rows:
        return
    statement = insert_into(connection, table)
    changed = {"count": table.c.count + statement.excluded.count, **{name: statement.excluded[name] for name in last}}
    await connection.execute(
        statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=changed),
        [dict(row) for row in rows],
    )
