"""Many rows in few statements.

`executemany` steps SQLite once a row and takes Python's global lock again after each step; beside a busy event loop
that costs a thread switch a row. One INSERT with many rows of VALUES is one step. Statements exist in powers of two
only, so that their text is cached.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Table
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["insert_rows"]

# SQLite takes at most 32,766 parameters a statement (3.32 and later), asyncpg 32,767.
_PARAMETERS_MAX = 32_766
_ROWS_MAX = 1_024


@lru_cache(maxsize=512)
def _statement(table: Table, rows: int, dialect: str) -> str:
    columns = [column.name for column in table.columns]
    if dialect == "sqlite":
        groups = ",".join(["(" + ",".join(["?"] * len(columns)) + ")"] * rows)
    else:
        numbers = iter(range(1, rows * len(columns) + 1))
        groups = ",".join("(" + ",".join(f"${next(numbers)}" for _ in columns) + ")" for _ in range(rows))
    # Names come from our own table definitions, values from placeholders only.
    return f"INSERT INTO {table.name} ({','.join(columns)}) VALUES {groups}"  # noqa: S608


def _rows_at_once(table: Table) -> int:
    rows = _ROWS_MAX
    while rows * len(table.columns) > _PARAMETERS_MAX:
        rows //= 2
    return rows


async def insert_rows(connection: AsyncConnection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert `rows`, each a tuple in the table's column order. Raises the driver's IntegrityError on a key that
    exists.
    """
    dialect: Dialect = connection.dialect
    at = 0
    step = _rows_at_once(table)
    while at < len(rows):
        while step > len(rows) - at:
            step //= 2
        parameters = tuple(chain.from_iterable(rows[at : at + step]))
        await connection.exec_driver_sql(_statement(table, step, dialect.name), parameters)
        at += step
