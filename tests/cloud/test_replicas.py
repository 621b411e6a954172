"""Several processes take batches of one deployment: any of them, at any time, and no log is continued twice.

Each replica is an ingest of its own over its own connections, as in processes of its own; they share the store alone.
"""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import func, select

from cloud.errors import IngestRefused
from cloud.ingest import IngestLimits
from cloud.store import tables
from cloud.store.logs import log_number
from cloud.store.trees import LogTree, walk
from contracts.tree import root_of
from tests.cloud.conftest import Bench, open_bench
from tests.cloud.gateway import SimulatedGateway

Run = Callable[[Any], Any]


@asynccontextmanager
async def replicas(
    store_url: str, count: int, gateways: list[SimulatedGateway], **options: Any
) -> AsyncIterator[list[Bench]]:
    async with AsyncExitStack() as stack:
        benches = [await stack.enter_async_context(open_bench(store_url, **options)) for _ in range(count)]
        for bench in benches:
            for gateway in gateways:
                bench.keys.enrol(gateway)
        yield benches


async def send_all(rng: random.Random, benches: list[Bench], gateway: SimulatedGateway) -> None:
    """Send a whole log in cuts of any size to any replica, going on where each answer says."""
    at = 0
    while at < gateway.size:
        end = min(gateway.size, at + rng.randint(1, 12))
        # A batch that was answered to nobody is sent again, as gateways do: here to two replicas at once.
        tries = [rng.choice(benches).send(gateway, at, end) for _ in range(rng.choice((1, 1, 2)))]
        for answer in await asyncio.gather(*tries, return_exceptions=True):
            if isinstance(answer, IngestRefused):
                assert answer.code in ("busy", "gap"), answer
            else:
                assert not isinstance(answer, BaseException), answer
                at = max(at, answer)


def test_batches_of_any_gateway_are_taken_by_any_replica(run: Run, store_url: str) -> None:
    gateways = [SimulatedGateway(origin=f"demo.minglou.example/s/g{at}/e0", seed=at) for at in range(6)]
    for gateway in gateways:
        gateway.log_readings(59)

    async def scenario() -> None:
        rng = random.Random(7)
        async with replicas(store_url, 3, gateways) as benches:
            await asyncio.gather(*(send_all(rng, benches, gateway) for gateway in gateways))
            # Sequenced from two sides at once: every checkpoint gets one place.
            await asyncio.gather(*(bench.super_log.sequence(bench.store, at_most=5) for bench in benches))
            while await benches[0].super_log.sequence(benches[0].store):
                pass
            async with benches[1].store.read() as connection:
                for gateway in gateways:
                    log = LogTree(log_number(gateway.origin))
                    assert await walk(connection, log, lambda node: root_of(node, 60)) == gateway.tree().root()
                places = list((await connection.execute(select(tables.checkpoints.c.super_index))).scalars())
                count = (await connection.execute(select(func.count()).select_from(tables.entries))).scalar_one()
            assert count == 6 * 60
            assert sorted(places) == list(range(len(places)))

    run(scenario())


def test_a_fork_is_caught_whichever_replica_took_which_history(run: Run, store_url: str) -> None:
    gateway = SimulatedGateway()
    gateway.log_readings(39)
    twin = gateway.twin(20, 1_000_000)
    twin.log_readings(19)

    async def scenario() -> None:
        async with replicas(store_url, 2, [gateway]) as (one, two):
            assert await one.send(gateway, 0, 20) == 20
            assert await two.send(gateway, 0, 20) == 20
            assert await one.send(gateway, 20, 40) == 40
            # The second replica remembers the log at 20, where both histories are one.
            with pytest.raises(IngestRefused, match="is frozen"):
                await two.send(twin, 20, 40)
            with pytest.raises(IngestRefused, match="is frozen"):
                await one.send(gateway, 20, 40)

    run(scenario())


def test_a_quota_holds_over_all_replicas(run: Run, store_url: str) -> None:
    gateway = SimulatedGateway()
    gateway.log_readings(39)
    limits = IngestLimits(entries_per_second=10, burst_seconds=2)

    async def scenario() -> None:
        async with replicas(store_url, 2, [gateway], limits=limits, now_ms=lambda: 100_000) as (one, two):
            assert await one.send(gateway, 0, 15) == 15
            with pytest.raises(IngestRefused) as refused:
                await two.send(gateway, 15, 30)
            assert (refused.value.status, refused.value.code, refused.value.retry_after) == (429, "too_fast", 1)

    run(scenario())
