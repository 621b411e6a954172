"""Ingest: entries per second into SQLite and PostgreSQL, in process and over HTTP, beside a bare COPY, and the
acknowledgement's delay at half load.

The batches are made before the clock starts: 200 entries each (199 readings with a detail every fourth, and one
checkpoint signed with P-256), from many gateways. The load generator, the cloud and PostgreSQL share the machine's
cores, and every acknowledged batch is on disk (`synchronous=FULL`, `fsync=on`), its readings sealed under keys that
each run makes anew, as a cloud does when it first hears a device.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cloud.serving import settle_interpreter
from cloud.store import sqlite_url
from contracts.ending import end_tasks
from tests.bench.cloud_floor import measure_floor
from tests.bench.cloud_load import ENTRIES_A_BATCH, Load, Paced, flood, pace
from tests.bench.cloud_target import ingest_of, sealed_store, served
from tests.bench.figure import Figure, median
from tests.postgres import postgres_server

GATEWAYS = 250
ROUNDS = 4
RUNS = 5
# Half of the bars: what the delay of an acknowledgement is held to.
POSTGRES_PACE, SQLITE_PACE = 25_000, 12_500  # entries a second
POSTGRES_GATEWAYS, POSTGRES_ROUNDS = 1_000, 3
# What one would set on a machine of this size; every commit still waits for the disk.
POSTGRES_SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "8GB", "wal_buffers": "64MB"}


async def _in_process(load: Load, url: str, folder: Path) -> float:
    """The first round, in which logs begin, is not counted."""
    store = sealed_store(url, folder)
    await store.migrate()
    ingest = ingest_of(store, load.keys)
    await ingest.load()
    running = asyncio.create_task(ingest.run())
    await asyncio.gather(*(ingest.submit(*batch) for batch in load.rounds[0]))
    settle_interpreter()  # as `minglou cloud serve` does before it answers
    started = time.perf_counter()
    for batches in load.rounds[1:]:
        await asyncio.gather(*(ingest.submit(*batch) for batch in batches))
    seconds = time.perf_counter() - started
    await end_tasks([running])
    await store.close()
    return len(load.keys) * (len(load.rounds) - 1) * ENTRIES_A_BATCH / seconds


def run_in_process(load: Load, url: str) -> float:
    """Entries per second, from submit to the answer after the commit, in this process."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_in_process(load, url, Path(folder)))


def _say(text: str) -> None:
    print(f"  {text}", flush=True)


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
            in_process.append(run_in_process(load, url))
        with _fresh_sqlite() as url, served(load.keys, url) as target:
            http.append(asyncio.run(flood([batch for batches in load.rounds for batch in batches], target.port)))
        _say(f"SQLite: {in_process[-1]:,.0f} entries/s in process, {http[-1]:,.0f} over HTTP")
    with _fresh_sqlite() as url, served(load.keys, url) as target:
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
    by_two: float  # over HTTP, two processes
    floor: float
    ratio: float
    floor_parts: str
    resident_mb: tuple[float, float]
    delays: Paced  # of the run that is the median


def _postgres_figures() -> _PostgresFigures:
    load = Load(POSTGRES_GATEWAYS, POSTGRES_ROUNDS)
    later = [batch for batches in load.rounds[1:] for batch in batches]
    rates, floors, http, by_two, ratios, memory = [], [], [], [], [], []
    with postgres_server(POSTGRES_SETTINGS) as server:
        for _ in range(RUNS):
            rates.append(run_in_process(load, server.url(server.new_database())))
            floors.append(asyncio.run(measure_floor(load.rounds[1], load.keys, server)))
            ratios.append(rates[-1] / floors[-1].entries_per_second)
            with served(load.keys, server.url(server.new_database())) as target:
                asyncio.run(flood(load.rounds[0], target.port))
                before = target.resident_mb()
                http.append(asyncio.run(flood(later, target.port)))
                memory.append((before, target.resident_mb()))
            with served(load.keys, server.url(server.new_database()), processes=2) as target:
                asyncio.run(flood(load.rounds[0], target.port))
                by_two.append(asyncio.run(flood(later, target.port)))
            _say(f"PostgreSQL: {rates[-1]:,.0f} entries/s, {http[-1]:,.0f} over HTTP, {by_two[-1]:,.0f} by two")
        delays = []
        for _ in range(RUNS):
            with served(load.keys, server.url(server.new_database())) as target:
                delays.append(_delays(load, target.port, POSTGRES_PACE))
            _say(f"PostgreSQL: 99th percentile of the delay {delays[-1].delay_ms(99):.0f} ms")
    delays.sort(key=lambda one: one.delay_ms(99))
    return _PostgresFigures(
        in_process=median(rates), over_http=median(http), by_two=median(by_two), ratio=median(ratios),
        floor=median([one.entries_per_second for one in floors]), floor_parts=floors[-1].parts(),
        resident_mb=memory[-1], delays=delays[RUNS // 2],
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
        "cloud.ingest_per_s_workers2": Figure(
            value=found.by_two,
            unit="entries/s",
            note=f"over HTTP, two server processes on one listening socket, PostgreSQL and the load generator on the "
            f"same two cores, {of_postgres}, median of {RUNS}; one process {found.over_http:,.0f}/s",
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
