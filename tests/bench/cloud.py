"""Ingest: entries per second into the embedded store, in process and over HTTP, and the acknowledgement's delay at half
load.

The batches are made before the clock starts: 200 entries each (199 readings with a detail every fourth, and one
checkpoint signed with P-256), from many gateways. The load generator and the cloud share the machine's cores.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cloud.ingest import GatewayKey, Ingest, IngestLimits, KeyState
from cloud.store import Store, sqlite_url
from contracts.batch import MEDIA_TYPE
from contracts.clock import SystemClock
from tests.bench.figure import Figure, median, percentile
from tests.processes import free_port, is_listening, wait_until

ENTRIES_A_BATCH = 200
IDLE_SECONDS_MAX = 2.0  # the server closes a connection that was idle for five
GATEWAYS = 250
ROUNDS = 4
RUNS = 5
CONNECTIONS = 32


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


def _serve(folder: str, keys: dict[str, bytes], port: int) -> None:
    """The load's target, in its own process: the real routes, ingest and store, with the generator's ring of keys."""
    import uvicorn
    from fastapi import FastAPI

    from cloud.chain.unchained import Unchained
    from cloud.ingest.routes import gateway_router
    from cloud.mail import Bell, MailRoom
    from cloud.serving import settle_interpreter

    async def serve() -> None:
        store = Store(sqlite_url(Path(folder) / "bench.sqlite3"))
        await store.migrate()
        limits = IngestLimits(entries_per_second=1e9)
        ingest = Ingest(store=store, keys=_Keys(keys), clock=SystemClock(), limits=limits)
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


async def _over_http(load: Load, port: int) -> float:
    """Entries per second with as many batches in flight as there are connections."""
    connections = [_Connection(port) for _ in range(CONNECTIONS)]
    started = time.perf_counter()
    for batches in load.rounds:
        waiting = iter(batches)

        async def pump(connection: _Connection, waiting: Iterator[tuple[str, bytes, bytes]] = waiting) -> None:
            for batch in waiting:
                await connection.post(*batch)

        await asyncio.gather(*(pump(connection) for connection in connections))
    seconds = time.perf_counter() - started
    for connection in connections:
        connection.close()
    return load.entries / seconds


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


@contextmanager
def _served(load: Load) -> Iterator[int]:
    """The port of a fresh cloud in another process."""
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        server = context.Process(target=_serve, args=(folder, load.keys, port))
        server.start()
        try:
            wait_until(lambda: is_listening(port), seconds=60, what="the bench's cloud")
            yield port
        finally:
            server.terminate()
            server.join(20)


def figures() -> dict[str, Figure]:
    """Ingest figures; a run takes about a minute on a quiet machine with two cores."""
    load = Load()
    in_process = []
    for _ in range(RUNS):
        with tempfile.TemporaryDirectory() as folder:
            in_process.append(asyncio.run(_in_process(load, Path(folder))))
    http = []
    for _ in range(RUNS):
        with _served(load) as port:
            http.append(asyncio.run(_over_http(load, port)))
    rate = median(http)
    delays = []
    for _ in range(RUNS):
        with _served(load) as port:
            delays.append(1000 * percentile(asyncio.run(_paced(load, port, rate / 2)), 99))
    of = f"{GATEWAYS} gateways x {ENTRIES_A_BATCH} entries a batch, every fourth with a detail, {ROUNDS} rounds"
    return {
        "cloud.ingest_per_s_sqlite": Figure(
            value=rate,
            unit="entries/s",
            note=f"over HTTP, synchronous=FULL, {of}, median of {RUNS}; in process {median(in_process):,.0f}/s; "
            "load generator on the same cores",
        ),
        "cloud.ack_p99_ms": Figure(
            value=median(delays), unit="ms", note=f"evenly paced at half of that, {rate / 2:,.0f} entries/s; {of}"
        ),
    }
