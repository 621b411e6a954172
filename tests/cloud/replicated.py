"""Replicas of a cloud with a replicated ingest log: each an ingest, a journal and a consumer of its own, over
connections of its own, as in processes of its own.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from itertools import count
from typing import Any, TypeVar

import pytest
from sqlalchemy import func, select

from cloud.errors import IngestLogError, IngestRefused
from cloud.ingest import Ingest, IngestLimits
from cloud.ingest_log.journal import ReplicatedJournal
from cloud.ingest_log.log import IngestLog
from cloud.ingest_log.settings import IngestLogSettings
from cloud.ingest_log.storing import Storing
from cloud.store import Store, tables
from cloud.store.logs import log_number
from cloud.store.trees import LogTree, walk
from contracts.clock import SystemClock
from contracts.tree import root_of
from tests.cloud.conftest import HeldKeys
from tests.cloud.gateway import SimulatedGateway
from tests.nats_cluster import PASSWORD, USER, NatsCluster, nats_cluster

T = TypeVar("T")
_numbers = count()


@dataclass
class Replica:
    """One process's worth of the replicated cloud."""

    store: Store
    log: IngestLog
    journal: ReplicatedJournal
    ingest: Ingest
    storing: Storing
    keys: HeldKeys

    async def send(self, gateway: SimulatedGateway, start: int = 0, end: int | None = None, **options: Any) -> int:
        return await self.ingest.submit(gateway.origin, gateway.token, gateway.batch(start, end, **options))

    async def carry(self) -> None:
        """One round of the consumer, as its worker makes them: what fails is tried again."""
        try:
            await self.storing.step()
        except IngestLogError:
            await asyncio.sleep(0.1)
            await insist(self.storing.prepare)

    async def carry_all(self) -> None:
        """Until nothing waits any more."""
        while True:
            await self.carry()
            counts = await insist(self.log.counts)
            if not counts["waiting"] + counts["unacknowledged"]:
                return

    async def stored(self, gateway: SimulatedGateway) -> int:
        """How much of a log is in the store: as many rows, with the gateway's own root."""
        log_id, column = log_number(gateway.origin), tables.entries.c
        async with self.store.read() as connection:
            count = select(func.count()).select_from(tables.entries).where(column.log_id == log_id)
            rows = int((await connection.execute(count)).scalar_one())
            size = (
                await connection.execute(select(tables.logs.c.size).where(tables.logs.c.log_id == log_id))
            ).scalar_one_or_none() or 0
            assert rows == size
            if size:
                root = await walk(connection, LogTree(log_id), lambda node: root_of(node, size))
                assert root == gateway.tree().root(size)
        return rows


@dataclass
class Deployment:
    """What the replicas of one test share."""

    cluster: NatsCluster
    settings: IngestLogSettings
    store_url: str
    gateways: list[SimulatedGateway]

    @asynccontextmanager
    async def replica(self, log: type[IngestLog] = IngestLog) -> AsyncIterator[Replica]:
        store, keys = Store(self.store_url), HeldKeys()
        for gateway in self.gateways:
            keys.enrol(gateway)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(store.close)
            connection = log(self.settings, password=PASSWORD)
            stack.push_async_callback(connection.close)
            await insist(connection.open)
            journal = ReplicatedJournal(connection, store)
            clock = SystemClock()
            ingest = Ingest(store=store, keys=keys, clock=clock, limits=IngestLimits(), journal=journal)
            storing = Storing(log=connection, journal=journal, store=store, keys=keys, clock=clock)
            await ingest.load()
            await insist(storing.prepare)
            running = asyncio.create_task(ingest.run())
            try:
                yield Replica(store, connection, journal, ingest, storing, keys)
            finally:
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running

    @asynccontextmanager
    async def replicas(self, number: int) -> AsyncIterator[list[Replica]]:
        async with AsyncExitStack() as stack:
            yield [await stack.enter_async_context(self.replica()) for _ in range(number)]


async def sent(replica: Replica, gateway: SimulatedGateway, start: int, end: int) -> int:
    """As a gateway sends: again, as long as it is answered `busy`."""
    while True:
        try:
            return await replica.send(gateway, start, end)
        except IngestRefused as refusal:
            assert refusal.code == "busy", refusal
            await asyncio.sleep(0.2)


async def insist(ask: Callable[[], Awaitable[T]]) -> T:
    """The answer of a cluster that may be electing a leader: asked until there is one."""
    while True:
        try:
            return await ask()
        except IngestLogError:
            await asyncio.sleep(0.2)


@pytest.fixture(scope="module", name="cluster")
def started_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    with nats_cluster(tmp_path_factory.mktemp("nats")) as started:
        yield started


@pytest.fixture(name="deployment")
def new_deployment(cluster: NatsCluster, store_url: str) -> Iterator[Deployment]:
    word = f"t{next(_numbers)}"
    for node in cluster.nodes:
        cluster.restart(node)  # those that the test before has killed
    settings = IngestLogSettings(
        servers=tuple(cluster.urls), user=USER, password_file=cluster.password_file, stream=word, subject=word,
        bytes_max=64 * 1024**2, answer_seconds=20.0, redeliver_seconds=2.0,
    )  # fmt: skip
    gateways = [SimulatedGateway(origin=f"demo.minglou.example/s/g{at}/e0", seed=at) for at in range(4)]
    for gateway in gateways:
        gateway.log_readings(39)
    yield Deployment(cluster, settings, store_url, gateways)


@pytest.fixture(name="run")
def run_for_long() -> Callable[[Any], Any]:
    async def timed(coroutine: Any) -> Any:
        async with asyncio.timeout(150):
            return await coroutine

    return lambda coroutine: asyncio.run(timed(coroutine))
