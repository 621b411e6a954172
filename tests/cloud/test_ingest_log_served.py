"""`minglou cloud serve` on a replicated ingest log: real processes, three real NATS servers, a real PostgreSQL."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cloud.store import Store
from tests.cloud.chain_site import ChainSite
from tests.cloud.served import serving
from tests.cloud.test_server_processes import kill_and_wait, workers_of
from tests.cloud.test_serving import with_site
from tests.conftest import Endpoint
from tests.faults.cluster_gateway import LoadGateway, judge_entries, stored_sizes
from tests.nats_cluster import NatsCluster, nats_cluster
from tests.postgres import PostgresServer
from tests.processes import wait_until

WORKERS = 2


@pytest.fixture
def database_url(postgres: PostgresServer) -> Iterator[str]:
    name = postgres.new_database()
    yield postgres.url(name)
    postgres.drop_database(name)


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsCluster]:
    with nats_cluster(tmp_path) as cluster:
        yield cluster


@pytest.mark.timeout(900)
def test_a_killed_node_and_a_killed_worker_lose_and_double_nothing_that_gateways_send_over_http(
    tmp_path: Path, anvil: Endpoint, database_url: str, nats: NatsCluster
) -> None:
    answered = list[float]()  # when the answered requests began
    gateways = [
        LoadGateway(f"demo.minglou.example/s/g{at}/e0", at, lambda *answer: answered.append(answer[2]))
        for at in range(3)
    ]

    async def goes_on() -> None:
        """Until batches that were sent from now on are acknowledged."""
        now = time.monotonic()
        await until(lambda: sum(begun > now for begun in answered) >= 2 * len(gateways), "acknowledgements")

    async def scenario(site: ChainSite) -> None:
        for gateway in gateways:
            await site.enrol(gateway.log)
        keys = '[identity]\nkeys_dir = "keys"\naudit_key_file = "keys/audit.pem"\n'
        more = keys + nats.settings(gib=1.0, redeliver_seconds=5)
        with serving(tmp_path, site, workers=WORKERS, store_url=database_url, more=more) as cloud:
            await until(lambda: len(workers_of(cloud)) == WORKERS, "all workers")
            is_over = asyncio.Event()
            sending = [asyncio.create_task(one.live([cloud.url], is_over.is_set)) for one in gateways]
            await goes_on()
            leader = nats.leader_of("minglou-entries") or nats.nodes[0]
            await asyncio.to_thread(leader.program.kill)
            await goes_on()
            await asyncio.to_thread(kill_and_wait, cloud, 1)
            await goes_on()
            is_over.set()
            await asyncio.gather(*sending)
            store = Store(database_url)
            try:
                acknowledged = {one.origin: one.acknowledged for one in gateways}
                while await stored_sizes(store, gateways) != acknowledged:  # noqa: ASYNC110 - it is in the database
                    await asyncio.sleep(0.1)
                assert await judge_entries(store, gateways) == (0, 0)
            finally:
                await store.close()
            assert all(one.acknowledged == one.log.size > 0 for one in gateways)
            assert cloud.program.stop() == 0, cloud.program.said()

    with_site(anvil.url, scenario)


async def until(condition: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(wait_until, condition, seconds=60, what=what)
