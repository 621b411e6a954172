"""Ingest: entries per second into the embedded store, in process and over HTTP, and the acknowledgement's delay at half
load.

The batches are made before the clock starts: 200 entries each (199 readings with a detail every fourth, and one
checkpoint signed with P-256), from many gateways. The load generator and the cloud share the machine's cores.
"""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from cloud.ingest import GatewayKey, Ingest, IngestLimits, KeyState
from cloud.store import Store, sqlite_url
from cloud.super_log import SuperLog
from contracts import ed25519
from contracts.clock import SystemClock

ENTRIES_A_BATCH = 200
GATEWAYS = 250
ROUNDS = 4
RUNS = 5


class _Keys:
    """Every gateway's key, in force."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        self._keys = keys

    def gateway_key(self, origin: str) -> GatewayKey | None:
        return GatewayKey(public=self._keys[origin], state=KeyState.IN_FORCE, key_class="file")


class Load:
    """Prepared batches: one list of (origin, token, body) for each round."""

    def __init__(self, gateways: int = GATEWAYS, rounds: int = ROUNDS) -> None:
        from tests.cloud.gateway import SimulatedGateway

        self.keys: dict[str, bytes] = {}
        self.rounds: list[list[tuple[str, bytes, bytes]]] = [[] for _ in range(rounds)]
        for number in range(gateways):
            gateway = SimulatedGateway(origin=f"bench.example/s/g{number}/e0", seed=number)
            self.keys[gateway.origin] = gateway.public
            for batches in self.rounds:
                start = gateway.size if gateway.size > 1 else 0
                while gateway.size < start + ENTRIES_A_BATCH:
                    gateway.log_readings(
                        1, urn=f"urn:bench:g{number}:m{gateway.size % 25}", detailed=gateway.size % 4 == 0
                    )
                batches.append((gateway.origin, gateway.token, gateway.batch(start)))

    @property
    def entries(self) -> int:
        return len(self.keys) * len(self.rounds) * ENTRIES_A_BATCH


async def _in_process(load: Load, folder: Path) -> float:
    """Entries per second, from submit to the answer after the commit."""
    store = Store(sqlite_url(folder / "bench.sqlite3"))
    await store.migrate()
    ingest = Ingest(
        store=store,
        keys=_Keys(load.keys),
        super_log=SuperLog("bench.example/log", ed25519.key_from_seed(hashlib.sha256(b"bench").digest())),
        clock=SystemClock(),
        limits=IngestLimits(entries_per_second=1e9),
    )
    await ingest.load()
    running = asyncio.create_task(ingest.run())
    started = time.perf_counter()
    for batches in load.rounds:
        await asyncio.gather(*(ingest.submit(*batch) for batch in batches))
    seconds = time.perf_counter() - started
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await store.close()
    return load.entries / seconds


def _folders() -> Iterator[Path]:
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
