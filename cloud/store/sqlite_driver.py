"""aiosqlite with one visit of its thread a statement, where SQLAlchemy makes four: cursor, execute, fetch, close.

Each visit costs a wake-up of the thread, one of the event loop, and Python's lock twice: some 0.4 ms, where SQLite
finds a row by its key in 0.05 ms. So there is a second kind of connection, without a thread, for questions that an
index answers at once.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from typing import Any, TypeVar

import aiosqlite

__all__ = ["OneVisitConnection", "connect", "connect_in_place"]

_ROWS_AT_ONCE = 256  # at least, of what an answer has; a longer one is fetched as it is asked for

Found = TypeVar("Found")
Row = Any


class OneVisitConnection(aiosqlite.Connection):
    """A connection whose cursors run a statement and fetch what it finds at once."""

    def cursor(self) -> "_Cursor":  # type: ignore[override]  # ours is there without being awaited
        """A cursor, made in the thread when it first runs something."""
        return _Cursor(self)

    async def visit(self, task: Callable[..., Found], *arguments: Any) -> Found:
        """Run a function in the connection's thread."""
        found: Found = await self._execute(task, *arguments)  # type: ignore[no-untyped-call]
        return found


class _InPlaceConnection:
    """A connection that answers in the event loop's own thread, while everything else waits."""

    def __init__(self, database: str, options: dict[str, Any]) -> None:
        self._connection: sqlite3.Connection | None = sqlite3.connect(database, isolation_level=None, **options)

    @property
    def _conn(self) -> sqlite3.Connection:
        if self._connection is None:
            raise ValueError("no active connection")
        return self._connection

    def __await__(self) -> Generator[Any, None, "_InPlaceConnection"]:
        yield from asyncio.sleep(0).__await__()
        return self

    def cursor(self) -> "_Cursor":
        return _Cursor(self)

    async def visit(self, task: Callable[..., Found], *arguments: Any) -> Found:
        return task(*arguments)

    async def create_function(self, *arguments: Any, **options: Any) -> None:
        self._conn.create_function(*arguments, **options)

    async def commit(self) -> None:
        self._conn.commit()

    async def rollback(self) -> None:
        self._conn.rollback()

    async def close(self) -> None:
        self.stop()

    def stop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Cursor:
    """What SQLAlchemy's asyncio adapter asks of a cursor (PEP 249, awaited)."""

    def __init__(self, connection: OneVisitConnection | _InPlaceConnection) -> None:
        self._connection = connection
        self._open: sqlite3.Cursor | None = None  # while there may be more rows than were fetched
        self._rows: list[Row] = []
        self._rowcount = -1
        self.description: Any = None
        self.lastrowid: int | None = None
        self.arraysize = 1

    async def __aenter__(self) -> "_Cursor":
        return self

    @property
    def rowcount(self) -> int:
        """Rows that the statement changed; -1 where it changes none."""
        return self._rowcount if self._open is None else self._open.rowcount

    async def execute(self, statement: str, parameters: Iterable[Any] = ()) -> "_Cursor":
        """Run a statement, and fetch its first rows."""
        await self._connection.visit(self._execute, statement, parameters)
        return self

    async def executemany(self, statement: str, rows: Iterable[Iterable[Any]]) -> "_Cursor":
        """Run a statement for each row."""
        await self._connection.visit(self._execute_many, statement, rows)
        return self

    async def fetchone(self) -> Row | None:
        """The next row."""
        rows = await self.fetchmany(1)
        return rows[0] if rows else None

    async def fetchmany(self, size: int | None = None) -> list[Row]:
        """The next rows, at most so many."""
        wanted = self.arraysize if size is None else size
        if len(self._rows) < wanted and self._open is not None:
            self._rows += await self._connection.visit(self._fetch, max(wanted, _ROWS_AT_ONCE))
        taken, self._rows = self._rows[:wanted], self._rows[wanted:]
        return taken

    async def fetchall(self) -> list[Row]:
        """All rows that are left."""
        if self._open is not None:
            self._rows += await self._connection.visit(self._fetch, None)
        taken, self._rows = self._rows, []
        return taken

    async def __aiter__(self) -> AsyncIterator[Row]:
        while (row := await self.fetchone()) is not None:
            yield row

    async def close(self) -> None:
        """Let go of rows that nobody fetched."""
        if self._open is not None:
            await self._connection.visit(self._close)

    # -- in the connection's thread, where it has one -----------------------------------------------------------------

    def _execute(self, statement: str, parameters: Iterable[Any]) -> None:
        self._open = self._connection._conn.execute(statement, tuple(parameters))
        self.description, self.lastrowid = self._open.description, self._open.lastrowid
        self._rows = self._fetch(_ROWS_AT_ONCE)

    def _execute_many(self, statement: str, rows: Iterable[Iterable[Any]]) -> None:
        self._open = self._connection._conn.executemany(statement, [tuple(row) for row in rows])
        self._close()

    def _fetch(self, count: int | None) -> list[Row]:
        """The next `count` rows, or all; the last ones close the cursor, which ends the statement."""
        assert self._open is not None
        found = self._open.fetchall() if count is None else self._open.fetchmany(count)
        if count is None or len(found) < count:
            self._close()
        return found

    def _close(self) -> None:
        held, self._open = self._open, None
        assert held is not None
        self._rowcount = held.rowcount
        held.close()


def connect(database: str, **options: Any) -> OneVisitConnection:
    """A connection to a database file, as `aiosqlite.connect` makes it; its thread ends with the process."""
    connection = OneVisitConnection(lambda: sqlite3.connect(database, **options), 64)
    connection._thread.daemon = True  # as SQLAlchemy does with aiosqlite's own
    return connection


def connect_in_place(database: str, **options: Any) -> _InPlaceConnection:
    """A connection without a thread of its own, to a file that is there."""
    return _InPlaceConnection(database, options)
