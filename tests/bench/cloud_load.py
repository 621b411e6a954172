"""The load of the cloud's benches: prepared batches of many gateways, sent as fast as they are answered or at a pace.

A paced batch leaves when it is due, whether or not earlier ones were answered, and its delay counts from that moment
on: a server that stalls is charged with all that should have come meanwhile (no coordinated omission).
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from contracts.batch import MEDIA_TYPE
from tests.bench.figure import percentile

ENTRIES_A_BATCH = 200
CONNECTIONS = 64
IDLE_SECONDS_MAX = 2.0  # the server closes a connection that was idle for five

Batch = tuple[str, bytes, bytes]
"""Origin, token, body."""


class Load:
    """Prepared batches: one for each gateway in each round; logs begin in the first."""

    def __init__(self, gateways: int, rounds: int) -> None:
        from tests.cloud.gateway import SimulatedGateway

        self.keys: dict[str, bytes] = {}
        self.rounds: list[list[Batch]] = [[] for _ in range(rounds)]
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
        """Of all rounds."""
        return len(self.keys) * len(self.rounds) * ENTRIES_A_BATCH


@dataclass(frozen=True, slots=True)
class Paced:
    """What a paced load met with. Seconds."""

    delays: Sequence[float]  # from the moment a batch was due to its answer
    late: Sequence[float]  # how late the generator itself was
    processor: float  # what the generator took of one core

    def delay_ms(self, percent: float) -> float:
        return 1000 * percentile(self.delays, percent)

    def late_ms(self, percent: float) -> float:
        return 1000 * percentile(self.late, percent)


class Connection:
    """One keep-alive HTTP/1.1 connection: a client lean enough not to be what is measured."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used_at = 0.0

    async def post(self, batch: Batch) -> None:
        """One batch up to its answer. Raises AssertionError for another answer than 200."""
        status, content = await self.ask(batch)
        assert status == 200, (status, content)

    async def ask(self, batch: Batch) -> tuple[int, bytes]:
        """One batch; the answer's status and content."""
        origin, token, body = batch
        if self._streams is None or time.perf_counter() - self._used_at > IDLE_SECONDS_MAX:
            self.close()
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        head = (
            f"POST /v1/logs/{origin}/entries HTTP/1.1\r\nHost: bench\r\nContent-Type: {MEDIA_TYPE}\r\n"
            f"Authorization: Bearer {token.hex()}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        content = await reader.readexactly(length)
        self._used_at = time.perf_counter()
        return int(answer[9:12]), content

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def flood(batches: Sequence[Batch], port: int, connections: int = CONNECTIONS) -> float:
    """Entries per second with as many batches under way as there are connections."""
    clients = [Connection(port) for _ in range(connections)]
    waiting = iter(batches)

    async def pump(connection: Connection, waiting: Iterator[Batch]) -> None:
        for batch in waiting:
            await connection.post(batch)

    started = time.perf_counter()
    await asyncio.gather(*(pump(connection, waiting) for connection in clients))
    seconds = time.perf_counter() - started
    for connection in clients:
        connection.close()
    return len(batches) * ENTRIES_A_BATCH / seconds


async def pace(batches: Sequence[Batch], port: int, entries_per_second: float) -> Paced:
    """Send evenly spaced, each batch over a connection of its gateway's own; a gateway's batches in their order."""
    delays: list[float] = []
    late: list[float] = []
    last: dict[str, asyncio.Task[None]] = {}

    async def send(batch: Batch, due: float, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before
        connection = Connection(port)
        await connection.post(batch)
        delays.append(time.perf_counter() - due)
        connection.close()

    gc.collect()
    gc.freeze()  # or walking the prepared batches would be what is measured
    used = time.process_time()
    began = time.perf_counter() + 0.1
    for number, batch in enumerate(batches):
        due = began + number * ENTRIES_A_BATCH / entries_per_second
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        late.append(time.perf_counter() - due)
        last[batch[0]] = asyncio.create_task(send(batch, due, last.get(batch[0])))
    await asyncio.gather(*last.values())
    return Paced(delays, late, (time.process_time() - used) / (time.perf_counter() - began))
