"""The rule for stores that are spread over machines (docs/decisions/0015), checked on statements as they are issued.

A statement on tables of one log's rows pins each of them to logs: by `log_id = …`, `log_id IN (…)`, or a join over
`log_id` with a table that is pinned. What truly asks all logs says so with the execution option `every_shard`. Not run
on Citus: this checks what Citus needs to route a statement to one machine, not that it does. On PostgreSQL, moreover,
what asks for entries by their place names their months, so that one partition is read.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Column, Table
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.dml import Insert
from sqlalchemy.sql.elements import BinaryExpression, ClauseElement

from cloud.store.tables import metadata

SHARD = "log_id"
SHARDED = {name for name, table in metadata.tables.items() if SHARD in table.primary_key.columns} | {"forks"}
# `IS NULL` is what is asked of a log that nobody holds: it finds nothing, on whatever machine.
_PINS = (operators.eq, operators.in_op, operators.is_)


def unpinned_tables(statement: ClauseElement, parameters: Any = None) -> set[str]:
    """Names of the sharded tables in a statement that no shard column leads to."""
    if isinstance(statement, Insert):
        return _unpinned_insert(statement, parameters)
    named = {part.name for part in visitors.iterate(statement) if isinstance(part, Table)} & SHARDED
    pinned: set[str] = set()
    joined: list[tuple[str, str]] = []
    for part in visitors.iterate(statement):
        if isinstance(part, BinaryExpression) and part.operator in _PINS and _is_shard(part.left):
            if _is_shard(part.right):
                joined.append((part.left.table.name, part.right.table.name))
            elif not isinstance(part.right, Column):
                pinned.add(part.left.table.name)
    for _ in joined:
        pinned |= {name for pair in joined if pinned & set(pair) for name in pair}
    return named - pinned


def names_no_month(statement: ClauseElement) -> bool:
    """Whether a statement picks entries by their place and leaves open which month's partition holds them."""
    columns = {part.name for part in visitors.iterate(statement) if isinstance(part, Column) and _is_of_entries(part)}
    return not isinstance(statement, Insert) and "received_month" not in columns and _has_place(statement)


def _has_place(statement: ClauseElement) -> bool:
    compared = [part.left for part in visitors.iterate(statement) if isinstance(part, BinaryExpression)]
    return any(isinstance(left, Column) and left.name == "entry_index" and _is_of_entries(left) for left in compared)


def _is_of_entries(column: Column[Any]) -> bool:
    return column.table is not None and getattr(column.table, "name", "") == "entries"


def _is_shard(column: Any) -> bool:
    return isinstance(column, Column) and column.name == SHARD and column.table.name in SHARDED


def _unpinned_insert(statement: Insert, parameters: Any) -> set[str]:
    given = set(parameters[0]) if parameters else set()
    given |= {getattr(column, "name", column) for column in (statement._values or {})}
    given |= {getattr(name, "name", name) for name in (statement._select_names or ())}
    return {statement.table.name} & SHARDED if SHARD not in given else set()


@contextmanager
def watched_statements() -> Iterator[list[str]]:
    """Watch what the package `cloud` asks the store in this process; the list fills with what breaks the rule."""
    broken: list[str] = []
    known: set[Any] = set()
    execute = AsyncConnection.execute

    async def watched(self: Any, statement: Any, parameters: Any = None, **options: Any) -> Any:
        if sys._getframe(1).f_globals["__name__"].startswith("cloud."):
            look(self, statement, parameters, options)
        return await execute(self, statement, parameters, **options)

    def look(connection: Any, statement: Any, parameters: Any, options: Any) -> None:
        is_postgres, cached = connection.dialect.name == "postgresql", statement._generate_cache_key()
        key = None if cached is None else (is_postgres, cached.key)
        said = {**statement.get_execution_options(), **(options.get("execution_options") or {})}
        if "every_shard" in said or (key is not None and key in known):
            return
        known.add(key)
        if is_postgres and names_no_month(statement):
            broken.append(f"asks every month's partition for a place; use entries_at: {statement}")
        names = unpinned_tables(statement, parameters if isinstance(parameters, list) else None)
        if names:
            broken.append(f"names no shard of {sorted(names)}: {statement}")

    AsyncConnection.execute = watched  # type: ignore[assignment, method-assign]
    try:
        yield broken
    finally:
        AsyncConnection.execute = execute  # type: ignore[method-assign]
