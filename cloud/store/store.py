"""Connections to the store: many readers, writers that exclude each other where they must.

SQLite through aiosqlite is the embedded default, PostgreSQL through asyncpg what a city runs. Nothing above this room
knows the driver: statements are SQLAlchemy Core, and what is many rows goes through `cloud.store.bulk`.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, func, insert, select, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool

from cloud.store import tables
from cloud.store.erasing import RETENTION_LOCK
from cloud.store.key_record import KEYS_LOCK, meet
from cloud.store.months import Partition, add_partition, drop_if_empty, months_later, partitions
from cloud.store.sealing import SEALER, Sealer
from cloud.store.sqlite_driver import connect, connect_in_place

__all__ = ["Store", "sqlite_url"]

_BUSY_TIMEOUT_MS = 15_000
_CACHE_KIB = 64_000
_GLANCES = 8
_GLANCE_TIMEOUT_MS = 1_000  # a reader of a WAL waits only while somebody brings a file back after a crash
_POSTGRES_WRITERS = 6
_MIGRATING = "migration"
_MONTHS = "months"
_MONTHS_AHEAD = 3
_RETRY_SECONDS = 0.2
# How long a migration may keep others waiting for a table's lock, before it lets them pass and asks again.
_LOCK_TIMEOUT = "1s"
_LOCK_TRIES = 120
_LOCK_NOT_AVAILABLE = "55P03"
_IN_USE = (_LOCK_NOT_AVAILABLE, "40P01")  # a deadlock is a lock that is not available either


def sqlite_url(path: Path) -> str:
    """The store URL of a SQLite file."""
    return f"sqlite+aiosqlite:///{path}"


def _lock_number(word: str) -> int:
    """The number under which PostgreSQL knows a lock: 63 bits of the word's hash."""
    return int.from_bytes(hashlib.sha256(f"minglou {word}".encode()).digest()[:8]) >> 1


def newest_revision() -> str:
    """The last migration's name: files are numbered in order."""
    versions = Path(__file__).parent / "migrations" / "versions"
    return max(path.name for path in versions.glob("[0-9]*_*.py")).partition("_")[0]


def _engine(url: str, *, pool_size: int, **options: Any) -> AsyncEngine:
    return create_async_engine(
        url,
        poolclass=AsyncAdaptedQueuePool,
        pool_size=pool_size,
        max_overflow=0,
        hide_parameters=True,  # an error message must not carry households' readings into a log file
        pool_timeout=30,
        **options,
    )


def _sqlite_engines(url: str) -> tuple[AsyncEngine, AsyncEngine]:
    driver = {"async_creator_fn": connect}
    writer, reader = (_engine(url, pool_size=size, connect_args=driver) for size in (1, 8))
    _set_sqlite_up(writer, "BEGIN IMMEDIATE")
    _set_sqlite_up(reader, "BEGIN")
    return writer, reader


def _sqlite_glancer(url: str) -> AsyncEngine:
    """For `Store.glance`: connections without threads, which change nothing and wait for nobody for long."""
    engine = _engine(url, pool_size=_GLANCES, connect_args={"async_creator_fn": connect_in_place})

    @event.listens_for(engine.sync_engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        cursor = connection.cursor()
        for pragma in (f"busy_timeout={_GLANCE_TIMEOUT_MS}", "query_only=ON", f"cache_size=-{_CACHE_KIB // _GLANCES}"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _on_begin(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN")

    return engine


def _postgres_engines(url: str) -> tuple[AsyncEngine, AsyncEngine]:
    settings = {"server_settings": {"application_name": "minglou", "jit": "off"}}
    writer = _engine(url, pool_size=_POSTGRES_WRITERS, connect_args=settings, isolation_level="READ COMMITTED")
    reader = _engine(url, pool_size=8, connect_args=settings, isolation_level="REPEATABLE READ")
    return writer, reader.execution_options(postgresql_readonly=True)


def _give_way(connection: Connection) -> None:
    """Wait for no lock longer than others may be kept waiting behind it. Means nothing outside of a transaction."""
    connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")


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


def _lend_keys(engine: AsyncEngine, sealer: Sealer | None) -> None:
    @event.listens_for(engine.sync_engine, "connect")
    def _on_connect(_connection: Any, record: Any) -> None:
        record.info[SEALER] = sealer


class Store:
    """The cloud's database.

    Writers exclude each other: on SQLite all of them, because it has one writer; on PostgreSQL those that name the
    same lock, in whatever process they run.
    """

    def __init__(self, url: str, sealer: Sealer | None = None) -> None:
        """`sealer` holds the keys of what belongs to households; without it, what was sealed is not read."""
        self.url = url
        self.is_postgres = make_url(url).get_backend_name() == "postgresql"
        self._writer, self._reader = _postgres_engines(url) if self.is_postgres else _sqlite_engines(url)
        self._glancer = self._reader if self.is_postgres else _sqlite_glancer(url)
        self._questioner = self._glancer
        if self.is_postgres:  # the same connections
            self._questioner = self._reader.execution_options(isolation_level="AUTOCOMMIT")
        for engine in {self._writer, self._reader, self._glancer}:
            _lend_keys(engine, sealer)
        self.sealer = sealer
        self._writing = asyncio.Lock()
        self._prepared: dict[bool, int] = {}  # the last month, and the last one of which something is left

    @asynccontextmanager
    async def write(self, lock: str | None = "store") -> AsyncIterator[AsyncConnection]:
        """One durable transaction: commits at the end of the block, rolls back on any exception.

        Args:
            lock: what no other writer with the same word may do at the same time, in any process. None where the
                statements lock the rows they rely on by themselves.
        """
        if not self.is_postgres:
            async with self._writing, self._writer.begin() as connection:
                yield connection
            return
        async with self._writer.begin() as connection:
            if lock is not None:
                await connection.execute(select(func.pg_advisory_xact_lock(_lock_number(lock))))
            yield connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """One snapshot for reading."""
        async with self._reader.connect() as connection:
            yield connection

    @asynccontextmanager
    async def glance(self) -> AsyncIterator[AsyncConnection]:
        """One snapshot for a few questions that an index answers, such as a page's; anything longer is for `read`.

        SQLite answers them in the event loop's own thread, because waking another takes longer than the answer.
        """
        async with self._glancer.connect() as connection:
            yield connection

    @asynccontextmanager
    async def question(self) -> AsyncIterator[AsyncConnection]:
        """For one question that an index answers: it is its own snapshot, and PostgreSQL is not told to begin one first
        and to end it afterwards, which takes as long as the answer does, each.
        """
        async with self._questioner.connect() as connection:
            yield connection

    async def let_writers_finish(self) -> None:
        """Return when every transaction that was storing entries has ended; those that begin later see what stands now.

        Whoever stores entries locks rows of `logs` before asking for keys; whoever seals them later holds the lock of
        retention. On SQLite there is one writer.
        """
        async with self.write(RETENTION_LOCK) as connection:
            if self.is_postgres:
                await connection.execute(text("LOCK TABLE logs IN EXCLUSIVE MODE"))

    async def prepare_month(self, month: int) -> None:
        """See to it that PostgreSQL has a partition for entries of this month. Before the transaction that stores
        them, for making one is a transaction of its own.

        Args:
            month: YYYYMM of their arrival; negative for what is left of them.
        """
        if not self.is_postgres or self._prepared.get(month < 0) == month:
            return
        async with self.write(_MONTHS) as connection:
            await add_partition(connection, month)
        self._prepared[month < 0] = month

    async def prepare_months_from(self, month: int) -> None:
        """The same for a month and those that follow, so that ingest finds them there when they begin."""
        if self.is_postgres:
            async with self.write(_MONTHS) as connection:
                for ahead in range(_MONTHS_AHEAD):
                    await add_partition(connection, months_later(month, ahead))

    async def drop_empty_months(self, last: int) -> Sequence[str]:
        """Drop PostgreSQL's partitions of months up to `last` that hold nothing any more; their names.

        One that is in use stays until the next time.
        """
        dropped = list[str]()
        if self.is_postgres:
            async with self.read() as connection:
                past = [one for one in await partitions(connection) if one.first >= 0 and one.last <= last]
            for one in past:
                dropped += [one.name] if await self._drop_if_empty(one) else []
            self._prepared.clear()
        return tuple(dropped)

    async def _drop_if_empty(self, partition: Partition) -> bool:
        try:
            async with self.write(_MONTHS) as connection:
                await connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'"))
                return await drop_if_empty(connection, partition)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in _IN_USE:
                raise
            return False

    async def migrate(self, turn: AbstractAsyncContextManager[Any] | None = None) -> None:
        """Bring the schema to the newest revision, and let the store and its key store meet.

        Args:
            turn: held meanwhile, where a process has several stores: Alembic can do one at a time.

        Raises:
            StoreError: the key store is missing, or another one than what stands here was sealed under.
        """
        if await self._revision() != newest_revision():
            await self._migrate(turn)
        if self.sealer is not None:
            async with self.write(KEYS_LOCK) as connection:
                await meet(connection, self.sealer)

    async def _migrate(self, turn: AbstractAsyncContextManager[Any] | None) -> None:
        from cloud.store.migration import upgrade  # Alembic costs a second of import: only who migrates pays.

        # Alembic manages its own transactions, so this connection must not be inside begin().
        async with self._writing, self._writer.connect() as connection:
            await self._wait_to_migrate(connection)
            try:
                async with turn or nullcontext():
                    await self._upgrade(connection, upgrade)
            finally:
                await self._end_migrating(connection)

    async def _upgrade(self, connection: AsyncConnection, upgrade: Callable[[Connection], None]) -> None:
        """Each revision is a transaction; one that would have to wait for a table's lock lets the others pass first.

        What a revision does outside of a transaction, such as building an index beside everybody, may wait as it likes.
        """
        if self.is_postgres:
            event.listen(connection.sync_connection, "begin", _give_way)
        for tries_left in reversed(range(_LOCK_TRIES)):
            try:
                await connection.run_sync(upgrade)
                await connection.commit()
                return
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE or not tries_left:
                    raise
                await connection.rollback()
                await asyncio.sleep(_RETRY_SECONDS)

    async def _wait_to_migrate(self, connection: AsyncConnection) -> None:
        """On PostgreSQL one process migrates. Asked again and again: a statement that waits would hold a snapshot, for
        which building an index without locks would wait in turn.
        """
        if not self.is_postgres:
            return
        ask = select(func.pg_try_advisory_lock(_lock_number(_MIGRATING)))
        while not (await connection.execute(ask)).scalar_one():
            await connection.commit()
            await asyncio.sleep(_RETRY_SECONDS)
        await connection.commit()

    async def _end_migrating(self, connection: AsyncConnection) -> None:
        if self.is_postgres:
            await connection.rollback()
            await connection.execute(select(func.pg_advisory_unlock(_lock_number(_MIGRATING))))
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
        await self._glancer.dispose()
        if self.sealer is not None:
            self.sealer.close()

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
