"""Ingest under more load than it takes, for minutes: what its memory does meanwhile.

Many clients at once send batches of logs that begin and go on, replays, forks and rubbish; some hang up in the middle
of a body. What is refused with 503 or 429 is sent again soon, whatever Retry-After asked for, so that more is offered
all the time than can be taken. `MINGLOU_OVERLOAD_SECONDS` takes another length; of a short run no figures are kept.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random

from cloud.ingest import IngestLimits
from contracts import p256
from contracts.batch import MEDIA_TYPE
from tests.bench.cloud import POSTGRES_SETTINGS
from tests.bench.cloud_load import ENTRIES_A_BATCH, Batch, Connection
from tests.bench.cloud_target import Target, served
from tests.bench.figure import Figure
from tests.bench.lean_gateway import LeanGateway
from tests.postgres import postgres_server

SECONDS = 300
SECONDS_MIN = 180
CLIENTS = 160
GATEWAYS = 4_000
BATCHES_A_GATEWAY = 24
# Small, so that the bound of what may wait is what the load runs into all the time.
LIMITS = IngestLimits(entries_per_second=1e9, waiting_bytes_max=4 * 2**20)
SEED = 11
AGAIN_SECONDS = 0.5
SAMPLE_SECONDS = 1.0


@dataclass
class Seen:
    """What was offered, what became of it, and the target's memory."""

    answers: Counter[int] = field(default_factory=Counter)  # by HTTP status
    sizes: dict[str, int] = field(default_factory=dict)  # acknowledged, by origin
    forks: int = 0
    rude: int = 0
    entries: int = 0
    seconds: float = 0.0
    resident_mb: list[float] = field(default_factory=list)

    @property
    def growth_mb(self) -> float:
        """Between the third quarter's middle value and the last one's."""
        quarter = len(self.resident_mb) // 4
        assert quarter, "too short to see anything grow"
        third, last = self.resident_mb[2 * quarter : 3 * quarter], self.resident_mb[3 * quarter :]
        return statistics.median(last) - statistics.median(third)


class Crowd:
    """The clients, and the gateways that they speak for one after another."""

    def __init__(self, port: int, keys: dict[str, p256.PrivateKey], seconds: float) -> None:
        self.seen = Seen()
        self._port, self._until = port, time.monotonic() + seconds
        self._gateways = _gateways(keys)

    async def run(self, clients: int, target: Target) -> Seen:
        """Load the target until the time is over."""
        began = time.monotonic()
        sampling = asyncio.create_task(self._sample(target))
        async with asyncio.TaskGroup() as group:
            for number in range(clients):
                group.create_task(self._client(Random(f"{SEED} {number}")), name=f"client {number}")
        sampling.cancel()
        self.seen.seconds = time.monotonic() - began
        return self.seen

    async def _sample(self, target: Target) -> None:
        while True:
            self.seen.resident_mb.append(target.resident_mb())
            await asyncio.sleep(SAMPLE_SECONDS)

    @property
    def _goes_on(self) -> bool:
        return time.monotonic() < self._until

    async def _client(self, rng: Random) -> None:
        connection = Connection(self._port)
        for gateway in self._gateways:
            if not self._goes_on:
                break
            await self._live(gateway, connection, rng)
        connection.close()

    async def _live(self, gateway: LeanGateway, connection: Connection, rng: Random) -> None:
        """A gateway's batches with what else it may do; a fork ends it."""
        for _ in range(BATCHES_A_GATEWAY):
            batch = (gateway.origin, gateway.token, gateway.next_batch(ENTRIES_A_BATCH))
            if not await self._deliver(batch, gateway, connection):
                return
            chance = rng.random()
            if chance < 0.10:
                await self._ask(connection, batch)
            elif chance < 0.14:
                await self._ask(connection, (gateway.origin, gateway.token, rng.randbytes(1_000)))
            elif chance < 0.18:
                await self._stall(batch, rng)
            elif chance < 0.20:
                await self._fork(gateway, connection)
                return

    async def _deliver(self, batch: Batch, gateway: LeanGateway, connection: Connection) -> bool:
        """Send a batch until it is taken; whether it was before the time was over."""
        while self._goes_on:
            status = await self._ask(connection, batch)
            if status == 200:
                self.seen.entries += ENTRIES_A_BATCH
                self.seen.sizes[gateway.origin] = gateway.size
                return True
            assert status in (429, 503), f"{gateway.origin}: {status}"
            await asyncio.sleep(AGAIN_SECONDS)
        return False

    async def _fork(self, gateway: LeanGateway, connection: Connection) -> None:
        other = (gateway.origin, gateway.token, gateway.other_batch(ENTRIES_A_BATCH))
        while self._goes_on:
            status = await self._ask(connection, other)
            if status == 409:
                self.seen.forks += 1
                return
            assert status in (429, 503), f"{gateway.origin}: a fork was answered {status}"
            await asyncio.sleep(AGAIN_SECONDS)

    async def _ask(self, connection: Connection, batch: Batch) -> int:
        try:
            status, _content = await connection.ask(batch)
        except (OSError, EOFError):
            connection.close()
            status = 503  # it closed a connection that was idle
        self.seen.answers[status] += 1
        return status

    async def _stall(self, batch: Batch, rng: Random) -> None:
        """Send half of a body, wait, and go."""
        origin, token, body = batch
        self.seen.rude += 1
        try:
            _reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            head = (
                f"POST /v1/logs/{origin}/entries HTTP/1.1\r\nHost: bench\r\nContent-Type: {MEDIA_TYPE}\r\n"
                f"Authorization: Bearer {token.hex()}\r\nContent-Length: {len(body)}\r\n\r\n"
            )
            writer.write(head.encode() + body[: rng.randrange(len(body))])
            await asyncio.sleep(rng.random())
            writer.close()
        except OSError:
            return


def _gateways(keys: dict[str, p256.PrivateKey]) -> Iterator[LeanGateway]:
    for seed, (origin, key) in enumerate(keys.items()):
        yield LeanGateway(origin, key, seed)


def overload(url: str, *, seconds: float, clients: int = CLIENTS, gateways: int = GATEWAYS) -> Seen:
    """Load a fresh cloud over the store at `url`."""
    keys = {f"bench.example/s/g{number}/e0": p256.generate_key() for number in range(gateways)}
    public = {origin: p256.public_bytes(key) for origin, key in keys.items()}
    with served(public, url, limits=LIMITS) as target:
        return asyncio.run(Crowd(target.port, keys, seconds).run(clients, target))


def figures() -> dict[str, Figure]:
    """The most memory that was seen, and what it grew by over the last half."""
    seconds = float(os.environ.get("MINGLOU_OVERLOAD_SECONDS", SECONDS))
    with postgres_server(POSTGRES_SETTINGS) as server:
        seen = overload(server.url(server.new_database()), seconds=seconds)
    offered, taken = sum(seen.answers.values()), seen.answers[200]
    note = (
        f"{seconds / 60:.0f} min on PostgreSQL, {CLIENTS} clients, {offered:,} requests offered and {taken:,} taken "
        f"({seen.entries / seen.seconds:,.0f} entries/s), {seen.answers[503]:,} answered busy, {len(seen.sizes):,} "
        f"logs, {seen.forks} forks, {seen.rude} bodies cut off; first {seen.resident_mb[0]:.0f} MB"
    )
    print(f"overload: {note}; most {max(seen.resident_mb):.0f} MB, grown {seen.growth_mb:.1f} MB", flush=True)
    if seconds < SECONDS_MIN:
        print(f"overload: {seconds:.0f} s are too short for figures")
        return {}
    return {
        "cloud.ingest_rss_mb": Figure(value=max(seen.resident_mb), unit="MB", note=note, seed=SEED),
        "cloud.ingest_rss_growth_mb": Figure(value=seen.growth_mb, unit="MB", note=note, seed=SEED),
    }
