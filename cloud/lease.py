"""Which process has a duty that is one's alone: taken over when it dies, fenced when it only slept.

The lock is the operating system's on a SQLite file's sibling, or PostgreSQL's advisory lock on a session of its own:
both end with the process. A process that was merely asleep may wake up without its lock and in the middle of a step; so
each holder begins a *term*, kept in the database, and what it fences is stored only while its term lasts. Who sends to
the chain broadcasts no signed bytes that were not stored so.
"""

import asyncio
import fcntl
import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import insert, select, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from cloud.errors import CloudError
from cloud.store import Store, tables

__all__ = ["Lease", "LeaseLost"]


class LeaseLost(CloudError):
    """Another process has this duty now; whatever was about to be stored is dropped."""


class _Lock(Protocol):
    async def take(self) -> bool:
        """Whether this process holds it, now."""
        ...

    async def release(self) -> None: ...


class Lease:
    """The right to one duty, by its name: `chain` is to follow blocks and to send."""

    def __init__(self, store: Store, *, holder: str = "", name: str = "chain") -> None:
        self._store, self._name = store, name
        self._holder = holder or f"process {os.getpid()}"
        self._lock = _lock_of(store.url, name)
        self._taking = asyncio.Lock()
        self.term: int | None = None

    async def hold(self) -> bool:
        """Whether this process may write; takes over where nobody else does."""
        async with self._taking:
            if not await self._lock.take():
                self.term = None
                return False
            if self.term is None:
                self.term = await self._begin_term()
            return True

    async def fence(self, connection: AsyncConnection) -> None:
        """Inside a write transaction: let it pass only while our term lasts. Raises `LeaseLost`."""
        column = tables.chain_leases.c
        ours = (column.name == self._name) & (column.term == self.term)
        # An update, so that on PostgreSQL the next holder's term waits for our commit.
        held = await connection.execute(update(tables.chain_leases).where(ours).values(holder=self._holder))
        if self.term is None or held.rowcount != 1:
            self.term = None
            raise LeaseLost(f"another process has the duty {self._name!r} now; this one waits until that one ends")

    async def release(self) -> None:
        """Let another process go on."""
        self.term = None
        await self._lock.release()

    async def _begin_term(self) -> int:
        column = tables.chain_leases.c
        async with self._store.write() as connection:
            query = select(column.term).where(column.name == self._name)
            last = (await connection.execute(query)).scalar_one_or_none()
            values = {"term": (last or 0) + 1, "holder": self._holder}
            if last is None:
                await connection.execute(insert(tables.chain_leases).values(name=self._name, **values))
            else:
                await connection.execute(update(tables.chain_leases).where(column.name == self._name).values(**values))
        return (last or 0) + 1


class _FileLock:
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    async def take(self) -> bool:
        if self._file is not None:
            return True
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(file)
            return False
        self._file = file
        return True

    async def release(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class _AdvisoryLock:
    """PostgreSQL's, on a connection that nothing else uses: it lasts as long as that session."""

    def __init__(self, url: str, key: int) -> None:
        self._engine: AsyncEngine = create_async_engine(
            url, poolclass=NullPool, isolation_level="AUTOCOMMIT", hide_parameters=True
        )
        self._key = key
        self._session: AsyncConnection | None = None

    async def take(self) -> bool:
        try:
            if self._session is None:
                self._session = await self._engine.connect()
                taken = await self._session.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": self._key})
                if not taken.scalar_one():
                    await self.release()
                    return False
            else:
                await self._session.execute(text("SELECT 1"))  # the session, and with it the lock, still lives
        except (SQLAlchemyError, OSError):
            await self.release()
            return False
        return True

    async def release(self) -> None:
        if self._session is not None:
            with suppress(SQLAlchemyError, OSError):
                await self._session.close()
            self._session = None


class _NoLock:
    """A database in memory belongs to its process."""

    async def take(self) -> bool:
        return True

    async def release(self) -> None:
        return None


def _lock_of(url: str, name: str) -> Any:
    parsed = make_url(url)
    if parsed.get_backend_name() == "postgresql":
        return _AdvisoryLock(url, int.from_bytes(sha256(f"minglou {name}".encode()).digest()[:8], signed=True))
    if not parsed.database or parsed.database == ":memory:":
        return _NoLock()
    return _FileLock(Path(f"{parsed.database}.{name}.lock"))
