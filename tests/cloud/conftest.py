"""Real parts for the cloud's tests: a migrated SQLite file, a running ingest, a ring of keys that tests can turn."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from cloud.ingest import GatewayKey, Ingest, IngestLimits, KeyState
from cloud.store import Store, sqlite_url
from cloud.super_log import SuperLog
from contracts import ed25519
from contracts.clock import SystemClock
from tests.cloud.gateway import SimulatedGateway

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
        return await self.ingest.submit(gateway.origin, gateway.token, gateway.batch(start, end, **options))


@asynccontextmanager
async def open_bench(path: Path, *, limits: IngestLimits | None = None, **options: Any) -> AsyncIterator[Bench]:
    store = Store(sqlite_url(path))
    await store.migrate()
    super_log = SuperLog(SUPER_ORIGIN, ed25519.key_from_seed(bytes(31) + b"\x07"))
    keys = HeldKeys()
    ingest = Ingest(
        store=store, keys=keys, super_log=super_log, clock=SystemClock(), limits=limits or IngestLimits(), **options
    )
    await ingest.load()
    running = asyncio.create_task(ingest.run())
    try:
        yield Bench(store, ingest, keys, super_log)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await store.close()


@pytest.fixture
def run() -> Iterator[Callable[[Coroutine[Any, Any, Any]], Any]]:
    """Run one coroutine to its end, with a time limit."""

    def _run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run(asyncio.wait_for(coroutine, 60))

    yield _run
