"""One snapshot of a store, written to a file and read back from it: SQLite's own backup, PostgreSQL's own programs."""

import asyncio
import os
import shutil
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from cloud.errors import BackupError
from cloud.store import Store

__all__ = [
    "Snapshot",
    "check_loadable",
    "clear",
    "database_of_its_own",
    "dump",
    "dump_name",
    "is_empty",
    "load",
    "run_program",
    "snapshot_of",
    "to_the_end",
]

_PARTS = ("", "-wal", "-shm", "-journal")
"""What the files of one SQLite database are called behind its own name. A journal holds commits, and is replayed into
whatever file is found beside it: a restored one too."""


class Snapshot:
    """The store as it was at one moment, for a dump and for whoever compares with it; reads like a store."""

    def __init__(self, store: Store, connection: AsyncConnection) -> None:
        self.url = store.url
        self.is_postgres = store.is_postgres
        self.connection = connection

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """The same moment each time."""
        yield self.connection

    async def revision(self) -> str:
        """The schema's."""
        return str((await self.connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one())


@asynccontextmanager
async def snapshot_of(store: Store) -> AsyncIterator[Snapshot]:
    """A moment of the store that stays until the block ends, while others go on writing.

    Raises:
        BackupError: there is no such store, or it is not a cloud's.
    """
    if not store.is_postgres and not _sqlite_file(store.url).exists():
        raise BackupError(f"{_sqlite_file(store.url)} does not exist; correct [store] url")
    try:
        async with store.read() as connection:
            snapshot = Snapshot(store, connection)
            await snapshot.revision()  # SQLite's snapshot begins with the first row that is read
            yield snapshot
    except DBAPIError as error:
        raise BackupError(f"the database cannot be read ({type(error.orig).__name__}); correct [store] url") from error


def dump_name(url: str) -> str:
    """What the dump's file is called."""
    return "store.dump" if make_url(url).get_backend_name() == "postgresql" else "store.sqlite3"


async def dump(snapshot: Snapshot, path: Path, programs: Path | None) -> None:
    """Write the snapshot to a file.

    Args:
        programs: the folder of pg_dump, where it is not on PATH.

    Raises:
        BackupError: pg_dump is missing or refuses; its words stand in the message.
    """
    if snapshot.is_postgres:
        name = (await snapshot.connection.execute(text("SELECT pg_export_snapshot()"))).scalar_one()
        words = ["--format=custom", f"--snapshot={name}", "--no-owner", "--no-privileges", f"--file={path}"]
        await run_program("pg_dump", words, snapshot.url, programs)
    else:
        raw = (await snapshot.connection.get_raw_connection()).driver_connection
        assert raw is not None
        with closing(sqlite3.connect(path, check_same_thread=False)) as target:
            await raw.backup(target)
    await asyncio.to_thread(path.chmod, 0o600)


async def is_empty(url: str) -> bool:
    """Whether nothing stands at this address yet."""
    if make_url(url).get_backend_name() != "postgresql":
        return not _standing(_sqlite_file(url))
    engine = create_async_engine(url, hide_parameters=True)
    asked = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
    try:
        async with engine.connect() as connection:
            return not (await connection.execute(text(asked))).scalar_one()
    except (DBAPIError, OSError) as error:
        raise BackupError(f"the database does not answer ({error}); start it, or correct [store] url") from error
    finally:
        await engine.dispose()


async def check_loadable(url: str, programs: Path | None) -> None:
    """Whether a dump can be brought back here.

    Raises:
        BackupError: something stands there already, or pg_restore is missing.
    """
    if make_url(url).get_backend_name() == "postgresql":
        _program("pg_restore", programs)
    if make_url(url).get_backend_name() != "postgresql":
        _check_free(_sqlite_file(url))
    elif not await is_empty(url):
        raise BackupError(
            f"{_shown(url)} holds something already; a backup is restored into an empty database: move it away first"
        )


async def clear(url: str) -> None:
    """Take away what was brought into a database that was empty."""
    if make_url(url).get_backend_name() != "postgresql":
        await asyncio.to_thread(_remove_sqlite, _sqlite_file(url))
        return
    engine = create_async_engine(url, hide_parameters=True)
    asked = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
    try:
        async with engine.begin() as connection:
            for name in (await connection.execute(text(asked))).scalars().all():
                quoted = name.replace('"', '""')
                await connection.execute(text(f'DROP TABLE IF EXISTS public."{quoted}" CASCADE'))
    except (DBAPIError, OSError) as error:
        says = f"{_shown(url)} holds part of a backup; empty it, then restore again"
        raise BackupError(says) from error
    finally:
        await engine.dispose()


def _parts(file: Path) -> list[Path]:
    return [file.with_name(file.name + ending) for ending in _PARTS]


def _standing(file: Path) -> list[Path]:
    return [path for path in _parts(file) if path.exists()]


def _check_free(file: Path) -> None:
    """Raises `BackupError` where a part of a database is left: a killed cloud's last commits stand in its journal."""
    if standing := _standing(file):
        names = ", ".join(path.name for path in standing)
        raise BackupError(
            f"{file.parent} holds something already: there exists {names}; a backup is restored into an empty place. "
            f"Move {file.name}, {file.name}-wal and {file.name}-shm away together: they are one database, and its "
            "last commits may stand in the -wal alone"
        )


def _remove_sqlite(file: Path) -> None:
    for path in _parts(file):
        path.unlink(missing_ok=True)


async def to_the_end(work: Callable[[threading.Event], None]) -> None:
    """Run in a thread, which nothing stops: who is cancelled goes on when it has ended, and takes away what it made.

    Args:
        work: is given what is set when its result is not wanted any more.
    """
    unwanted = threading.Event()
    running = asyncio.ensure_future(asyncio.to_thread(work, unwanted))
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        unwanted.set()
        await asyncio.wait([running])
        if not running.cancelled():
            running.exception()  # seen: whoever is cancelled has no use for it
        raise


async def load(path: Path, url: str, programs: Path | None) -> None:
    """Fill a database that `check_loadable` found empty, wholly or not at all.

    Raises:
        BackupError: something stands there by now, such as a cloud that was started too early; or pg_restore refuses.
    """
    if make_url(url).get_backend_name() == "postgresql":
        words = ["--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges", str(path)]
        await run_program("pg_restore", words, url, programs)
    else:
        target, linked = _sqlite_file(url), threading.Event()
        try:
            await to_the_end(lambda unwanted: _copy(path, target, unwanted, linked))
        except asyncio.CancelledError:
            if linked.is_set():
                await clear(url)
            raise


@asynccontextmanager
async def database_of_its_own(url: str, beside: Path) -> AsyncIterator[str]:
    """The URL of a new, empty database on the same server, or in a file of this folder; dropped at the end.

    Raises:
        BackupError: the user may not create databases.
    """
    found = make_url(url)
    if found.get_backend_name() != "postgresql":
        yield f"sqlite+aiosqlite:///{beside / 'restored.sqlite3'}"
        return
    name = f"minglou_drill_{os.getpid()}_{os.urandom(4).hex()}"
    engine = create_async_engine(url, isolation_level="AUTOCOMMIT", hide_parameters=True)
    try:
        async with engine.connect() as connection:
            try:
                await connection.execute(text(f"CREATE DATABASE {name} TEMPLATE template0"))
            except DBAPIError as error:
                raise BackupError(
                    f"no database can be made for the drill ({error.orig}); "
                    "give the user CREATEDB, or name an empty one with --into"
                ) from error
        try:
            yield found.set(database=name).render_as_string(hide_password=False)
        finally:
            async with engine.connect() as connection:
                await connection.execute(text(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
    finally:
        await engine.dispose()


async def run_program(name: str, words: list[str], url: str, programs: Path | None) -> None:
    """Run one of PostgreSQL's own programs on a database.

    Raises:
        BackupError: it is not installed, or ended with another code than 0; its last words stand in the message.
    """
    found = _program(name, programs)
    asked = make_url(url)
    # A password in the arguments would be read by every user of the machine.
    address = URL.create("postgresql", asked.username, None, asked.host, asked.port, asked.database, asked.query)
    environment = dict(os.environ) | ({"PGPASSWORD": str(asked.password)} if asked.password else {})
    running = await asyncio.create_subprocess_exec(
        found, f"--dbname={address.render_as_string()}", *words, env=environment, stderr=asyncio.subprocess.PIPE
    )
    try:
        _, told = await running.communicate()
    finally:
        if running.returncode is None:  # whoever waited was stopped: nothing goes on behind his back
            running.kill()
            await running.wait()
    if running.returncode:
        raise BackupError(f"{name} ended with {running.returncode}: {told.decode(errors='replace').strip()[-500:]}")


def _program(name: str, programs: Path | None) -> str:
    """Where one of PostgreSQL's own programs is. Raises `BackupError`."""
    found = shutil.which(name, path=str(programs) if programs else None)
    if found is None:
        raise BackupError(
            f"{name} is not installed; install PostgreSQL's client programs of the server's version, "
            "or name their folder with --programs"
        )
    return found


def _copy(source: Path, target: Path, unwanted: threading.Event, linked: threading.Event) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".partial")
    try:
        partial.unlink(missing_ok=True)  # of a restore that was killed
        shutil.copyfile(source, partial)
        partial.chmod(0o600)
        _check_free(target)  # copying takes its time
        if not unwanted.is_set():
            os.link(partial, target)  # never over something
            linked.set()
    except FileExistsError as error:
        raise BackupError(f"{target} exists by now; move it away, then restore again") from error
    finally:
        partial.unlink(missing_ok=True)


def _sqlite_file(url: str) -> Path:
    return Path(str(make_url(url).database))


def _shown(url: str) -> str:
    return make_url(url).render_as_string(hide_password=True)
