"""Many rows in few steps.

On SQLite `executemany` steps once a row and takes Python's global lock again after each step; beside a busy event loop
that costs a thread switch a row. One INSERT with many rows of VALUES is one step. Statements exist in powers of two
only, so that their text is cached. On PostgreSQL the rows go through COPY.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from itertools import chain
from typing import Any

from sqlalchemy import Table
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

__all__ = ["copy_binary", "insert_rows"]

_PARAMETERS_MAX = 32_766  # of one statement (SQLite 3.32 and later)
_ROWS_MAX = 1_024
# Signature, no flags, no extension; and the end. Source: PostgreSQL, COPY, Binary Format.
_COPY_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_TRAILER = b"\xff\xff"


async def insert_rows(connection: AsyncConnection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert `rows`, each a tuple in the table's column order. Raises `IntegrityError` on a key that exists."""
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        await _copy_rows(connection, table, rows)
        return
    at = 0
    step = _rows_at_once(table)
    while at < len(rows):
        while step > len(rows) - at:
            step //= 2
        parameters = tuple(chain.from_iterable(rows[at : at + step]))
        await connection.exec_driver_sql(_statement(table, step), parameters)
        at += step


async def copy_binary(connection: AsyncConnection, table: Table, rows: Iterable[bytes]) -> None:
    """Insert rows that are encoded already, by PostgreSQL's COPY: pieces of any number of binary rows in the table's
    column order, without header and trailer. Raises `IntegrityError` on a key that exists.
    """

    async def stream() -> AsyncIterator[bytes]:
        yield _COPY_HEADER
        for piece in rows:
            yield piece
        yield _COPY_TRAILER

    async with _copying(connection, table) as (driver, columns):
        await driver.copy_to_table(table.name, source=stream(), columns=columns, format="binary")


async def _copy_rows(connection: AsyncConnection, table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    async with _copying(connection, table) as (driver, columns):
        await driver.copy_records_to_table(table.name, records=rows, columns=columns)


@asynccontextmanager
async def _copying(connection: AsyncConnection, table: Table) -> AsyncIterator[tuple[Any, list[str]]]:
    """asyncpg's own connection inside the present transaction, and the table's columns."""
    from asyncpg.exceptions import IntegrityConstraintViolationError  # not without PostgreSQL

    # A transaction begins with its first statement, and COPY goes past SQLAlchemy.
    await connection.exec_driver_sql("SELECT 1")
    driver: Any = (await connection.get_raw_connection()).driver_connection
    try:
        yield driver, [column.name for column in table.columns]
    except IntegrityConstraintViolationError as error:
        raise IntegrityError(f"COPY {table.name}", None, error) from error


@lru_cache(maxsize=512)
def _statement(table: Table, rows: int) -> str:
    columns = [column.name for column in table.columns]
    groups = ",".join(["(" + ",".join(["?"] * len(columns)) + ")"] * rows)
    # Names come from our own table definitions, values from placeholders only.
    return f"INSERT INTO {table.name} ({','.join(columns)}) VALUES {groups}"  # noqa: S608


def _rows_at_once(table: Table) -> int:
    rows = _ROWS_MAX
    while rows * len(table.columns) > _PARAMETERS_MAX:
        rows //= 2
    return rows
