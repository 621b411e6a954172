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
from contracts.batch import MEDIA_TYPE
from contracts.clock import SystemClock
from contracts.ending import end_tasks
from tests.bench.cloud_floor import measure_floor
from tests.bench.figure import Figure, median, percentile
from tests.postgres import postgres_server
from tests.processes import free_port, is_listening, wait_until

ENTRIES_A_BATCH = 200
IDLE_SECONDS_MAX = 2.0  # the server closes a connection that was idle for five
GATEWAYS = 250
ROUNDS = 4
RUNS = 5
CONNECTIONS = 32
POSTGRES_GATEWAYS, POSTGRES_ROUNDS = 1_000, 3
# What one would set on a machine of this size; every commit still waits for the disk.
POSTGRES_SETTINGS = {"shared_buffers": "1GB", "max_wal_size": "8GB", "wal_buffers": "64MB"}


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
    return load.entries * (len(load.rounds) - 1) / len(load.rounds) / seconds


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

    async def serve() -> None:
        store = Store(url)
        await store.migrate()
        ingest = _ingest(store, keys)
        await ingest.load()
        app = FastAPI()
        mail = MailRoom(store=store, news=Unchained(), clock=SystemClock(), bell=Bell(), block_seconds=60)
        app.include_router(gateway_router(ingest, mail))
        running = asyncio.create_task(ingest.run())
        config = uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", access_log=False, lifespan="off")
        settle_interpreter()
        await uvicorn.Server(config).serve()
        running.cancel()

    asyncio.run(serve())


class _Connection:
    """One keep-alive HTTP/1.1 connection: a client lean enough not to be what is measured."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used_at = 0.0

    async def post(self, origin: str, token: bytes, body: bytes) -> float:
        """Seconds until the answer. Raises AssertionError for another answer than 200."""
        if self._streams is None or time.perf_counter() - self._used_at > IDLE_SECONDS_MAX:
            self.close()
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        head = (
            f"POST /v1/logs/{origin}/entries HTTP/1.1\r\nHost: bench\r\nContent-Type: {MEDIA_TYPE}\r\n"
            f"Authorization: Bearer {token.hex()}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        started = time.perf_counter()
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        content = await reader.readexactly(length)
        assert answer.startswith(b"HTTP/1.1 200"), (answer, content)
        self._used_at = time.perf_counter()
        return self._used_at - started

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()


async def _over_http(load: Load, port: int, rounds: slice = slice(None)) -> float:
    """Entries per second with as many batches in flight as there are connections."""
    connections = [_Connection(port) for _ in range(CONNECTIONS)]
    started = time.perf_counter()
    for batches in load.rounds[rounds]:
        waiting = iter(batches)

        async def pump(connection: _Connection, waiting: Iterator[tuple[str, bytes, bytes]] = waiting) -> None:
            for batch in waiting:
                await connection.post(*batch)

        await asyncio.gather(*(pump(connection) for connection in connections))
    seconds = time.perf_counter() - started
    for connection in connections:
        connection.close()
    return sum(len(batches) for batches in load.rounds[rounds]) * ENTRIES_A_BATCH / seconds


async def _paced(load: Load, port: int, entries_per_second: float) -> list[float]:
    """Seconds to each answer when batches leave evenly spaced, whether or not earlier ones were answered."""
    free = [_Connection(port) for _ in range(CONNECTIONS)]
    everyone = list(free)
    taken: list[float] = []
    tasks: list[asyncio.Task[None]] = []
    started = time.perf_counter()

    async def one(connection: _Connection, due: float, batch: tuple[str, bytes, bytes]) -> None:
        await connection.post(*batch)
        taken.append(time.perf_counter() - started - due)
        free.append(connection)

    batches = [batch for batches in load.rounds for batch in batches]
    for number, batch in enumerate(batches):
        due = number * ENTRIES_A_BATCH / entries_per_second
        await asyncio.sleep(max(0.0, due - (time.perf_counter() - started)))
        while not free:  # noqa: ASYNC110 - a millisecond more is in the figure, as it should be
            await asyncio.sleep(0.001)
        tasks.append(asyncio.create_task(one(free.pop(), due, batch)))
    await asyncio.gather(*tasks)
    for connection in everyone:
        connection.close()
    return taken


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


def _sqlite_rates(load: Load) -> tuple[float, float]:
    """Entries per second in process and over HTTP."""
    in_process, http = [], []
    for _ in range(RUNS):
        with _fresh_sqlite() as url:
            in_process.append(asyncio.run(_in_process(load, url)))
        with _fresh_sqlite() as url, _served(load.keys, url) as target:
            http.append(asyncio.run(_over_http(load, target.port)))
    return median(in_process), median(http)


@dataclass(frozen=True, slots=True)
class _PostgresFigures:
    in_process: float
    over_http: float
    floor: float
    ratio: float
    floor_parts: str
    resident_mb: tuple[float, float]
    ack_p99_ms: float


def _postgres_figures() -> _PostgresFigures:
    load = Load(POSTGRES_GATEWAYS, POSTGRES_ROUNDS)
    rates, floors, http, ratios, memory = [], [], [], [], []
    with postgres_server(POSTGRES_SETTINGS) as server:
        for _ in range(RUNS):
            rates.append(asyncio.run(_in_process(load, server.url(server.new_database()))))
            floors.append(asyncio.run(measure_floor(load.rounds[1], load.keys, server)))
            ratios.append(rates[-1] / floors[-1].entries_per_second)
            with _served(load.keys, server.url(server.new_database())) as target:
                first = asyncio.run(_over_http(load, target.port, rounds=slice(0, 1)))
                assert first
                before = target.resident_mb()
                http.append(asyncio.run(_over_http(load, target.port, rounds=slice(1, None))))
                memory.append((before, target.resident_mb()))
        delays = []
        for _ in range(RUNS):
            with _served(load.keys, server.url(server.new_database())) as target:
                delays.append(1000 * percentile(asyncio.run(_paced(load, target.port, median(http) / 2)), 99))
    return _PostgresFigures(
        in_process=median(rates), over_http=median(http), ratio=median(ratios), ack_p99_ms=median(delays),
        floor=median([one.entries_per_second for one in floors]), floor_parts=floors[-1].parts(),
        resident_mb=memory[-1],
    )  # fmt: skip


def figures() -> dict[str, Figure]:
    """Ingest figures; a run takes some minutes on a quiet machine with two cores."""
    load = Load()
    in_process, rate = _sqlite_rates(load)
    of = f"{GATEWAYS} gateways x {ENTRIES_A_BATCH} entries a batch, every fourth with a detail, {ROUNDS} rounds"
    found = _postgres_figures()
    of_postgres = f"{POSTGRES_GATEWAYS} gateways x {ENTRIES_A_BATCH} entries a batch, PostgreSQL 18, fsync on"
    return {
        "cloud.ingest_per_s_sqlite": Figure(
            value=rate,
            unit="entries/s",
            note=f"over HTTP, synchronous=FULL, {of}, median of {RUNS}; in process {in_process:,.0f}/s; "
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
            value=found.ack_p99_ms,
            unit="ms",
            note=f"over HTTP, evenly paced at half of the rate over HTTP, {found.over_http / 2:,.0f} entries/s; "
            f"{of_postgres}",
        ),
    }
