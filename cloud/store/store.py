"""Connections to the store: many readers, one writer at a time.

SQLite through aiosqlite is the embedded default. Nothing above this file knows the driver: statements are SQLAlchemy
Core, and the one hot insert (`cloud.store.bulk`) asks the dialect for its placeholder style, so PostgreSQL through
asyncpg can follow.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import event, insert, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from cloud.store import tables

__all__ = ["Store", "sqlite_url"]

_BUSY_TIMEOUT_MS = 15_000
_CACHE_KIB = 64_000


def sqlite_url(path: Path) -> str:
    """The store URL of a SQLite file."""
    return f"sqlite+aiosqlite:///{path}"


def newest_revision() -> str:
    """The last migration's name: files are numbered in order."""
    versions = Path(__file__).parent / "migrations" / "versions"
    return max(path.name for path in versions.glob("[0-9]*_*.py")).partition("_")[0]


def _engine(url: str, *, begin: str, pool_size: int) -> AsyncEngine:
    sqlite = make_url(url).get_backend_name() == "sqlite"
    engine = create_async_engine(
        url,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=pool_size,
        max_overflow=0,
        hide_parameters=True,  # an error message must not carry households' readings into a log file
        pool_timeout=30,
    )
    if sqlite:
        _set_sqlite_up(engine, begin)
    return engine


def _set_sqlite_up(engine: AsyncEngine, begin: str) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        # The driver's own implicit BEGIN would come too late (at the first write) and as a deferred one.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
        cursor.execute("PRAGMA journal_mode=WAL")
        # An answer to a gateway lets it prune: what was answered must be on disk, so NORMAL is not enough.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute(f"PRAGMA cache_size=-{_CACHE_KIB}")
        cursor.execute("PRAGMA wal_autocheckpoint=4000")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _on_begin(connection: Any) -> None:
        connection.exec_driver_sql(begin)


class Store:
    """The cloud's database. `write()` transactions are serialised here, so that a writer never meets a locked
    database.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._writer = _engine(url, begin="BEGIN IMMEDIATE", pool_size=1)
        self._reader = _engine(url, begin="BEGIN", pool_size=8)
        self._writing = asyncio.Lock()

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncConnection]:
        """One durable transaction: commits at the end of the block, rolls back on any exception."""
        async with self._writing, self._writer.begin() as connection:
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One snapshot for reading."""
        async with self._reader.connect() as connection:
            yield connection

    async def migrate(self) -> None:
        """Bring the schema to the newest revision; does nothing where it is there already."""
        if await self._revision() == newest_revision():
            return
        from cloud.store.migration import upgrade  # Alembic costs a second of import: only who migrates pays.

        # Alembic manages its own transaction, so this connection must not be inside BEGIN IMMEDIATE's begin() block.
        async with self._writing, self._writer.connect() as connection:
            await connection.run_sync(upgrade)
            await connection.commit()

    async def _revision(self) -> str | None:
        """The schema's revision; None in an empty database."""
        try:
            async with self.read() as connection:
                found = await connection.exec_driver_sql("SELECT version_num FROM alembic_version")
                return str(found.scalar_one())
        except DBAPIError:
            return None

    async def close(self) -> None:
        await self._writer.dispose()
        await self._reader.dispose()

    async def notice(self, says: str, *, at_ms: int) -> None:
        """Keep one line that people should see (status, manager's page)."""
        try:
            async with self.write() as connection:
                await connection.execute(insert(tables.notices).values(at_ms=at_ms, says=says))
        except IntegrityError:
            return  # The same line at the same millisecond says nothing new.

    async def latest_notices(self, count: int) -> list[str]:
        """The last `count` lines, oldest first."""
        query = select(tables.notices.c.says).order_by(tables.notices.c.notice_id.desc()).limit(count)
        async with self.read() as connection:
            return [row.says for row in await connection.execute(query)][::-1]
