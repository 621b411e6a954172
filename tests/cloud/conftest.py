"""Real parts for the cloud's tests: a migrated store, a running ingest, a ring of keys that tests can turn.

A test that takes `store_url` or `store` runs twice: on a SQLite file and on a real PostgreSQL.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cloud.ingest import GatewayKey, Ingest, IngestLimits, KeyState
from cloud.store import Store, sqlite_url
from cloud.store.sealing import Sealer
from cloud.super_log import SuperLog
from contracts import ed25519
from contracts.clock import SystemClock
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.shards import watched_statements
from tests.conftest import Endpoint
from tests.postgres import PostgresServer

SUPER_ORIGIN = "demo.minglou.example/log"


@dataclass
class HeldKeys:
    """A key ring held by the test instead of the Registry."""

    keys: dict[str, GatewayKey] = field(default_factory=dict)

    def gateway_key(self, origin: str) -> GatewayKey | None:
        return self.keys.get(origin)

    def enrol(self, gateway: SimulatedGateway, state: KeyState = KeyState.IN_FORCE) -> None:
        self.keys[gateway.origin] = GatewayKey(public=gateway.public, state=state, key_class="file")


@dataclass
class Bench:
    """One store with its ingest."""

    store: Store
    ingest: Ingest
    keys: HeldKeys
    super_log: SuperLog

    async def send(self, gateway: SimulatedGateway, start: int = 0, end: int | None = None, **options: Any) -> int:
        """Send a batch and, as the worker beside ingest soon would, give its checkpoint its place in the super-log."""
        size = await self.ingest.submit(gateway.origin, gateway.token, gateway.batch(start, end, **options))
        await self.super_log.sequence(self.store)
        return size


@pytest.fixture(autouse=True)
def every_statement_names_its_shard() -> Iterator[None]:
    """The rule of docs/decisions/0015, over every statement that a test causes in this process."""
    with watched_statements() as broken:
        yield
    assert not broken, broken[0]


@asynccontextmanager
async def open_bench(
    place: Path | str, *, limits: IngestLimits | None = None, sealer: Sealer | None = None, **options: Any
) -> AsyncIterator[Bench]:
    """A store at `place` (its URL, or the path of a SQLite file) with a running ingest."""
    store = Store(place if isinstance(place, str) else sqlite_url(place), sealer)
    await store.migrate()
    super_log = SuperLog(SUPER_ORIGIN, ed25519.key_from_seed(bytes(31) + b"\x07"))
    keys = HeldKeys()
    clock = options.pop("clock", SystemClock())
    ingest = Ingest(store=store, keys=keys, clock=clock, limits=limits or IngestLimits(), **options)
    try:
        async with sending(ingest):
            yield Bench(store, ingest, keys, super_log)
    finally:
        await store.close()


@asynccontextmanager
async def sending(ingest: Ingest) -> AsyncIterator[None]:
    """An ingest that takes batches until the block ends."""
    await ingest.load()
    running = asyncio.create_task(ingest.run())
    try:
        yield
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


@pytest.fixture
def run() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """Run one coroutine to its end, with a time limit."""

    async def timed(coroutine: Coroutine[Any, Any, Any]) -> Any:
        async with asyncio.timeout(60):
            return await coroutine

    def _run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(timed(coroutine))

    yield _run


# What a test leaves is deleted, not its database: creating one costs PostgreSQL a quarter of a second of waiting. The
# partitions of what erasure leaves of a month go whole: a new store has none, and plans tell which there are.
_EMPTY = """
DO $$ DECLARE name text; BEGIN
  FOR name IN SELECT tablename FROM pg_tables WHERE tablename LIKE 'entries\\_left\\_of\\_%'
  LOOP EXECUTE format('DROP TABLE %I', name); END LOOP;
  FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'
  LOOP EXECUTE format('DELETE FROM %I', name); END LOOP;
  FOR name IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'
  LOOP EXECUTE format('ALTER SEQUENCE %I RESTART', name); END LOOP;
END $$
"""


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with the newest schema, to copy."""
    path = tmp_path_factory.mktemp("migrated") / "cloud.sqlite3"
    _migrate(sqlite_url(path))
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres: PostgresServer) -> str:
    """The name of a PostgreSQL database with the newest schema."""
    name = postgres.new_database()
    _migrate(postgres.url(name))
    return name


def _migrate(url: str) -> None:
    async def migrate() -> None:
        store = Store(url)
        await store.migrate()
        await store.close()

    asyncio.run(migrate())


@pytest.fixture(params=["sqlite", "postgres"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty store with the newest schema: on SQLite, then on PostgreSQL."""
    if request.param == "sqlite":
        path = tmp_path / "cloud.sqlite3"
        shutil.copyfile(request.getfixturevalue("migrated_sqlite"), path)
        return sqlite_url(path)
    name, server = request.getfixturevalue("migrated_postgres"), request.getfixturevalue("postgres")
    server.sql(_EMPTY, name)
    return str(server.url(name))


@pytest.fixture
def agreed(run: Callable[[Coroutine[Any, Any, Any]], Any], anvil: Endpoint) -> None:
    """A site with a lift's agreement stands on the chain, made outside of the time that a test has."""
    from tests.cloud.maintenance_site import prepare  # with the chain's libraries

    run(prepare(anvil.url))


@pytest.fixture
def kept(tmp_path: Path, migrated_sqlite: Path) -> str:
    """The URL of an empty store: one kind is enough for what the chain decides."""
    path = tmp_path / "cloud.sqlite3"
    shutil.copyfile(migrated_sqlite, path)
    return sqlite_url(path)


@pytest.fixture(params=["sqlite", "postgres"])
def unmigrated_store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a store without any table."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "cloud.sqlite3")
    server = request.getfixturevalue("postgres")
    return str(server.url(server.new_database()))


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store with the newest schema, on SQLite, then on PostgreSQL. To be closed in the loop that used it."""
    yield Store(store_url)
