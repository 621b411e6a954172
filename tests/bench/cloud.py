"""Ingest: entries per second into SQLite and PostgreSQL, in process and over HTTP, beside a bare COPY, and the
acknowledgement's delay at half load.

The batches are made before the clock starts: 200 entries each (199 readings with a detail every fourth, and one
checkpoint signed with P-256), from many gateways. The load generator, the cloud and PostgreSQL share the machine's
cores, and every acknowledged batch is on disk (`synchronous=FULL`, `fsync=on`).
"""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cloud.ingest import GatewayKey, Ingest, IngestLimits, KeyState
from cloud.store import Store, sqlite_url
from contracts.clock import SystemClock
from contracts.ending import end_tasks
from tests.bench.cloud_floor import measure_floor
from tests.bench.cloud_load import ENTRIES_A_BATCH, Load, Paced, flood, pace
from tests.bench.figure import Figure, median
from tests.postgres import postgres_server
from tests.processes import free_port, is_listening, wait_until

GATEWAYS = 250
ROUNDS = 4
RUNS = 5
# Half of the bars: what the delay of an acknowledgement is held to.
POSTGRES_PACE, SQLITE_PACE = 25_000, 12_500  # entries a second
POSTGRES_GATEWAYS, POSTGRES_ROUNDS = 1_000, 3
# What one would set on a machine of this size; every commit still waits for the disk.
POSTGRES_SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "8GB", "wal_buffers": "64MB"}


class _Keys:
    """Every gateway's key, in force."""

    def __init__(self, keys: dict[str, bytes]) -> None:
        self._keys = keys

    def gateway_key(self, origin: str) -> GatewayKey | None:
        return GatewayKey(public=self._keys[origin], state=KeyState.IN_FORCE, key_class="file")


async def _in_process(load: Load, url: str) -> float:
    """Entries per second, from submit to the answer after the commit. The first round, in which logs begin, is not
    counted.
    """
    store = Store(url)
    await store.migrate()
    ingest = _ingest(store, load.keys)
    await ingest.load()
    running = asyncio.create_task(ingest.run())
    await asyncio.gather(*(ingest.submit(*batch) for batch in load.rounds[0]))
    started = time.perf_counter()
    for batches in load.rounds[1:]:
        await asyncio.gather(*(ingest.submit(*batch) for batch in batches))
    seconds = time.perf_counter() - started
    await end_tasks([running])
    await store.close()
    return len(load.keys) * (len(load.rounds) - 1) * ENTRIES_A_BATCH / seconds


def _ingest(store: Store, keys: dict[str, bytes]) -> Ingest:
    limits = IngestLimits(entries_per_second=1e9, waiting_bytes_max=2**30)
    return Ingest(store=store, keys=_Keys(keys), clock=SystemClock(), limits=limits)


def _serve(url: str, keys: dict[str, bytes], port: int) -> None:
    """The load's target, in its own process: the real routes, ingest and store, with the generator's ring of keys."""
    import uvicorn
    from fastapi import FastAPI

    from cloud.chain.unchained import Unchained
    from cloud.ingest.routes import gateway_router
    from cloud.mail import Bell, MailRoom
    from cloud.serving import settle_interpreter
    from cloud.web_server import PatientProtocol

    async def serve() -> None:
        store = Store(url)
        await store.migrate()
        ingest = _ingest(store, keys)
        await ingest.load()
        app = FastAPI()
        mail = MailRoom(store=store, news=Unchained(), clock=SystemClock(), bell=Bell(), block_seconds=60)
        app.include_router(gateway_router(ingest, mail))
        running = asyncio.create_task(ingest.run())
        config = uvicorn.Config(
            app, host="127.0.0.1", port=port, http=PatientProtocol, log_config=None, access_log=False, lifespan="off"
        )
        settle_interpreter()
        await uvicorn.Server(config).serve()
        running.cancel()

    asyncio.run(serve())


@dataclass(frozen=True, slots=True)
class _Target:
    """A fresh cloud in another process."""

    port: int
    pid: int

    def resident_mb(self) -> float:
        """Memory of the process that is in RAM."""
        (line,) = (line for line in Path(f"/proc/{self.pid}/status").read_text().splitlines() if "VmRSS" in line)
        return int(line.split()[1]) / 1024


@contextmanager
def _served(keys: dict[str, bytes], url: str) -> Iterator[_Target]:
    context = multiprocessing.get_context("spawn")
    port = free_port()
    server = context.Process(target=_serve, args=(url, keys, port))
    server.start()
    try:
        wait_until(lambda: is_listening(port), seconds=60, what="the bench's cloud")
        yield _Target(port, server.pid or 0)
    finally:
        server.terminate()
        server.join(20)


@contextmanager
def _fresh_sqlite() -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        yield sqlite_url(Path(folder) / "bench.sqlite3")


@dataclass(frozen=True, slots=True)
class _SqliteFigures:
    in_process: float
    over_http: float
    delay: str


def _sqlite_figures(load: Load) -> _SqliteFigures:
    in_process, http = [], []
    for _ in range(RUNS):
        with _fresh_sqlite() as url:
            in_process.append(asyncio.run(_in_process(load, url)))
        with _fresh_sqlite() as url, _served(load.keys, url) as target:
            http.append(asyncio.run(flood([batch for batches in load.rounds for batch in batches], target.port)))
    with _fresh_sqlite() as url, _served(load.keys, url) as target:
        delays = _delays(load, target.port, SQLITE_PACE)
    said = f"99th percentile {delays.delay_ms(99):.0f} ms, slowest {delays.delay_ms(100):.0f} ms"
    return _SqliteFigures(median(in_process), median(http), said)


def _delays(load: Load, port: int, entries_per_second: float) -> Paced:
    """Acknowledgements at this pace, open loop; logs begin before, at the same pace, uncounted."""
    asyncio.run(pace(load.rounds[0], port, entries_per_second))
    return asyncio.run(pace([batch for batches in load.rounds[1:] for batch in batches], port, entries_per_second))


@dataclass(frozen=True, slots=True)
class _PostgresFigures:
    in_process: float
    over_http: float
    floor: float
    ratio: float
    floor_parts: str
    resident_mb: tuple[float, float]
    delays: Paced  # of the run that is the median


def _postgres_figures() -> _PostgresFigures:
    load = Load(POSTGRES_GATEWAYS, POSTGRES_ROUNDS)
    rates, floors, http, ratios, memory = [], [], [], [], []
    with postgres_server(POSTGRES_SETTINGS) as server:
        for _ in range(RUNS):
            rates.append(asyncio.run(_in_process(load, server.url(server.new_database()))))
            floors.append(asyncio.run(measure_floor(load.rounds[1], load.keys, server)))
            ratios.append(rates[-1] / floors[-1].entries_per_second)
            with _served(load.keys, server.url(server.new_database())) as target:
                asyncio.run(flood(load.rounds[0], target.port))
                before = target.resident_mb()
                later = [batch for batches in load.rounds[1:] for batch in batches]
                http.append(asyncio.run(flood(later, target.port)))
                memory.append((before, target.resident_mb()))
        delays = []
        for _ in range(RUNS):
            with _served(load.keys, server.url(server.new_database())) as target:
                delays.append(_delays(load, target.port, POSTGRES_PACE))
    delays.sort(key=lambda one: one.delay_ms(99))
    return _PostgresFigures(
        in_process=median(rates), over_http=median(http), ratio=median(ratios), delays=delays[RUNS // 2],
        floor=median([one.entries_per_second for one in floors]), floor_parts=floors[-1].parts(),
        resident_mb=memory[-1],
    )  # fmt: skip


def figures() -> dict[str, Figure]:
    """Ingest figures; a run takes some minutes on a quiet machine with two cores."""
    load = Load(GATEWAYS, ROUNDS)
    sqlite = _sqlite_figures(load)
    of = f"{GATEWAYS} gateways x {ENTRIES_A_BATCH} entries a batch, every fourth with a detail, {ROUNDS} rounds"
    found = _postgres_figures()
    of_postgres = f"{POSTGRES_GATEWAYS} gateways x {ENTRIES_A_BATCH} entries a batch, PostgreSQL 18, fsync on"
    delays = found.delays
    return {
        "cloud.ingest_per_s_sqlite": Figure(
            value=sqlite.over_http,
            unit="entries/s",
            note=f"over HTTP, synchronous=FULL, {of}, median of {RUNS}; in process "
            f"{sqlite.in_process:,.0f}/s; at {SQLITE_PACE:,} entries/s acknowledged: {sqlite.delay}; "
            "load generator on the same cores",
        ),
        "cloud.ingest_per_s_postgres": Figure(
            value=found.in_process,
            unit="entries/s",
            note=f"verified, stored and answered after the commit, one process, {of_postgres}, median of {RUNS}; over "
            f"HTTP with the load generator on the same two cores {found.over_http:,.0f}/s, resident memory "
            f"{found.resident_mb[0]:.0f} MB before and {found.resident_mb[1]:.0f} MB after the load",
        ),
        "cloud.ingest_ratio_to_copy": Figure(
            value=found.ratio,
            unit="ratio",
            note=f"to {found.floor:,.0f}/s: bare asyncpg COPY of the same rows, bare hashing and one P-256 "
            f"verification a batch, one after the other in the same run ({found.floor_parts})",
        ),
        "cloud.ack_p99_ms": Figure(
            value=found.delays.delay_ms(99),
            unit="ms",
            note=f"over HTTP, open loop at {POSTGRES_PACE:,} entries/s, counted from when each batch was "
            f"due, in logs that have begun; the middle of {RUNS} runs; median {delays.delay_ms(50):.0f} ms, slowest "
            f"{delays.delay_ms(100):.0f} ms; the generator was {delays.late_ms(99):.1f} ms late at its 99th percentile "
            f"and took {delays.processor:.0%} of a core; {of_postgres}",
        ),
    }
