"""The replicated ingest log on a real cluster of three NATS servers, carried into a real PostgreSQL."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from cloud.errors import IngestLogError, IngestRefused
from cloud.ingest_log.definition import aside_stream
from cloud.ingest_log.log import IngestLog
from cloud.ingest_log.record import subject_of
from cloud.ingest_log.watch import Watch
from cloud.store import Store, tables
from cloud.store.logs import log_number
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.replicated import Deployment, Replica, insist, new_deployment, run_for_long, sent, started_cluster  # noqa: F401 - fixtures
from tests.postgres import PostgresServer

pytestmark = pytest.mark.parametrize("store_url", ["postgres"], indirect=True)

Run = Callable[[Any], Any]


def test_batches_taken_by_any_replica_are_stored_once_by_any_other(run: Run, deployment: Deployment) -> None:
    async def send_all(rng: random.Random, replicas: list[Replica], gateway: SimulatedGateway) -> None:
        at = 0
        while at < gateway.size:
            end = min(gateway.size, at + rng.randint(1, 12))
            tries = [rng.choice(replicas).send(gateway, at, end) for _ in range(rng.choice((1, 2)))]
            for answer in await asyncio.gather(*tries, return_exceptions=True):
                if isinstance(answer, IngestRefused):
                    assert answer.code in ("busy", "gap"), answer
                else:
                    assert not isinstance(answer, BaseException), answer
                    at = max(at, answer)

    async def scenario() -> None:
        async with deployment.replicas(3) as replicas:
            rng = random.Random(7)
            carrying = [asyncio.create_task(one.carry_all()) for one in replicas[1:]]
            await asyncio.gather(*(send_all(rng, replicas, gateway) for gateway in deployment.gateways))
            await asyncio.gather(*carrying)
            await replicas[0].carry_all()
            for gateway in deployment.gateways:
                assert await replicas[0].stored(gateway) == gateway.size
            assert (await replicas[0].log.counts())["set_aside"] == 0

    run(scenario())


def test_what_was_acknowledged_is_told_before_the_store_has_it(run: Run, deployment: Deployment) -> None:
    async def scenario() -> None:
        gateway = deployment.gateways[0]
        async with deployment.replicas(2) as (one, two):
            note = gateway.note(20)
            assert await one.send(gateway, 0, 20, note=note) == 20
            assert await one.stored(gateway) == 0
            assert await two.ingest.stored_head(gateway.origin) == (20, note)
            with pytest.raises(IngestRefused) as gap:
                await two.send(gateway, 30, 40)
            assert (gap.value.code, gap.value.size) == ("gap", 20)
            assert await two.send(gateway, 0, 20) == 20, "a replay, told without the store"
            assert await two.send(gateway, 10, 40) == 40, "what overlaps the newest batch is the same there"
            await one.carry_all()
            assert await one.stored(gateway) == 40

    run(scenario())


def test_of_two_replicas_one_continues_the_log_and_the_other_judges_again(run: Run, deployment: Deployment) -> None:
    async def scenario() -> None:
        gateway = deployment.gateways[0]
        async with deployment.replicas(2) as (one, two):
            assert await one.send(gateway, 0, 10) == 10
            assert await two.send(gateway, 0, 10) == 10
            assert await one.send(gateway, 10, 20) == 20
            # The second one still has the log at 10 in memory.
            assert await two.send(gateway, 10, 30) == 30
            assert await one.send(gateway, 30, 40) == 40
            assert (await insist(one.log.counts))["messages"] == 4
            await two.carry_all()
            assert await two.stored(gateway) == 40

    run(scenario())


class DeafLog(IngestLog):
    """Its publishes arrive, their answers do not: the next `lost` of them."""

    lost = 0

    async def _publish_once(self, *arguments: Any) -> int:
        sequence = await super()._publish_once(*arguments)
        if self.lost:
            self.lost -= 1
            raise IngestLogError("the answer was lost")
        return sequence


def test_a_batch_whose_publish_was_answered_to_nobody_is_recognised(run: Run, deployment: Deployment) -> None:
    async def scenario() -> None:
        gateway = deployment.gateways[0]
        async with deployment.replica(DeafLog) as replica:
            assert isinstance(replica.log, DeafLog)
            replica.log.lost = 1
            assert await replica.send(gateway, 0, 20) == 20, "tried again, and found to be its own"
            replica.log.lost, replica.log._monotonic = 1, iter(range(0, 10**6, 100)).__next__
            with pytest.raises(IngestRefused, match="the answer was lost; send the batch again"):
                await replica.send(gateway, 20, 30)
            assert await replica.send(gateway, 20, 30) == 30
            assert (await insist(replica.log.counts))["messages"] == 2
            await replica.carry_all()
            assert await replica.stored(gateway) == 30

    run(scenario())


def test_a_batch_that_comes_again_after_its_commit_is_stored_once(run: Run, deployment: Deployment) -> None:
    async def scenario() -> None:
        gateway = deployment.gateways[0]
        async with deployment.replicas(2) as (one, two):
            await one.send(gateway, 0, 20)

            async def never(_message: object) -> None: ...

            one.storing._acknowledge = never  # type: ignore[method-assign,assignment]
            while await one.stored(gateway) < 20:
                await one.carry()
            await two.send(gateway, 20, 40)
            await two.carry_all()  # the first batch comes again when its time is over
            assert await two.stored(gateway) == 40
            assert (await insist(two.log.counts))["set_aside"] == 0

    run(scenario())


def test_a_batch_whose_elder_died_with_its_consumer_is_filled_up(run: Run, deployment: Deployment) -> None:
    async def scenario() -> None:
        gateway = deployment.gateways[0]
        async with deployment.replicas(2) as (one, two):
            await one.send(gateway, 0, 20)
            while not await one.storing._fetch():  # taken, and never heard of again
                pass
            await one.send(gateway, 20, 40)
            while await two.stored(gateway) < 40:
                await two.carry()

    run(scenario())


def test_a_store_that_came_back_from_an_older_copy_is_filled_up(run: Run, deployment: Deployment) -> None:
    gateway = deployment.gateways[0]

    async def lose_the_second_batch(store: Store, head_of_first: bytes) -> None:
        log_id = log_number(gateway.origin)
        async with store.write() as connection:
            for table, column in ((tables.entries, "entry_index"), (tables.checkpoints, "size")):
                later = table.c[column] >= (20 if column == "entry_index" else 21)
                await connection.execute(delete(table).where(table.c.log_id == log_id, later))
            await connection.execute(
                delete(tables.nodes).where(tables.nodes.c.log_id == log_id, tables.nodes.c.node_index >= 0)
            )
            row = tables.logs.c.log_id == log_id
            await connection.execute(update(tables.logs).where(row).values(size=20, peaks=head_of_first))

    async def scenario() -> None:
        async with deployment.replica() as replica:
            await replica.send(gateway, 0, 20)
            await replica.carry_all()
            async with replica.store.read() as connection:
                nodes = (
                    await connection.execute(
                        select(tables.nodes).where(tables.nodes.c.log_id == log_number(gateway.origin))
                    )
                ).all()
                peaks = (
                    await connection.execute(
                        select(tables.logs.c.peaks).where(tables.logs.c.log_id == log_number(gateway.origin))
                    )
                ).scalar_one()
            await replica.send(gateway, 20, 30)
            await replica.carry_all()
            await lose_the_second_batch(replica.store, peaks)
            async with replica.store.write() as connection:
                for node in nodes:
                    await connection.execute(tables.nodes.insert().values(**node._mapping))
        async with deployment.replica() as restarted:
            await restarted.send(gateway, 30, 40)
            await restarted.carry_all()
            assert await restarted.stored(gateway) == 40

    run(scenario())


def test_what_can_never_be_stored_is_set_aside_and_holds_nobody_up(run: Run, deployment: Deployment) -> None:
    async def scenario() -> None:
        damaged, well = deployment.gateways[:2]
        prefix = deployment.settings.subject
        async with deployment.replica() as replica:
            context = replica.log._jetstream
            await replica.send(damaged, 0, 10)
            await context.publish(subject_of(prefix, damaged.origin), b"not ours")
            await context.publish(f"{prefix}.nobody", b"not ours")
            await replica.send(well, 0, 40)
            with pytest.raises(IngestRefused, match="none of ours"):
                replica.ingest._heads.clear()
                await replica.send(damaged, 10, 20)
            await replica.carry_all()
            assert await replica.stored(well) == 40
            assert (await insist(replica.log.counts))["set_aside"] == 2
            reasons = [(await context.get_msg(aside_stream(deployment.settings), seq=at)).headers for at in (1, 2)]
            assert all("none of ours" in str(one) or "no log's" in str(one) for one in reasons)
            # The log was taken back to what the store holds, so its gateway simply goes on.
            assert await replica.send(damaged, 10, 40) == 40
            await replica.carry_all()
            assert await replica.stored(damaged) == 40

    run(scenario())


def test_batches_behind_one_that_was_set_aside_are_sent_again_by_their_gateway(
    run: Run, deployment: Deployment
) -> None:
    async def scenario() -> None:
        gateway = deployment.gateways[0]
        async with deployment.replicas(2) as (one, two):
            await one.send(gateway, 0, 10)
            await one.carry_all()
            impostor = SimulatedGateway(origin=gateway.origin, seed=99)
            impostor.entries, impostor.details = gateway.entries, gateway.details
            two.keys.enrol(impostor)  # this replica believes in a key that the others do not know
            two.ingest._heads.clear()
            impostor.token = gateway.token
            assert await two.send(impostor, 10, 20) == 20
            one.keys.enrol(gateway)
            assert await one.send(gateway, 20, 30) == 30
            await one.carry_all()
            assert await one.stored(gateway) == 10
            assert (await insist(one.log.counts))["set_aside"] == 2
            with pytest.raises(IngestRefused) as gap:
                await one.send(gateway, 30, 40)
            assert (gap.value.code, gap.value.size) == ("gap", 10)
            assert await one.send(gateway, 10, 40) == 40
            await one.carry_all()
            assert await one.stored(gateway) == 40

    run(scenario())


def test_a_fork_freezes_the_log_for_all_replicas_behind_all_that_was_acknowledged(
    run: Run, deployment: Deployment
) -> None:
    gateway = deployment.gateways[0]
    twin = gateway.twin(20, 1_000_000)
    twin.log_readings(19)
    twin.token = gateway.token

    async def scenario() -> None:
        async with deployment.replicas(2) as (one, two):
            await one.send(gateway, 0, 20)
            await two.send(gateway, 0, 20)
            await one.send(gateway, 20, 40)
            with pytest.raises(IngestRefused, match="being written"):
                await two.send(twin, 20, 40)
            await one.carry_all()
            with pytest.raises(IngestRefused, match="is frozen"):
                await two.send(twin, 20, 40)
            with pytest.raises(IngestRefused, match="is frozen"):
                gateway.log_readings(5)
                await one.send(gateway, 40, 45)
            await one.carry_all()
            assert await one.stored(gateway) == 40
            async with one.store.read() as connection:
                frozen = (
                    await connection.execute(
                        select(tables.logs.c.frozen).where(tables.logs.c.log_id == log_number(gateway.origin))
                    )
                ).scalar_one()
                wishes = list((await connection.execute(select(tables.intents.c.business_key))).scalars())
            assert frozen is not None
            assert wishes == [f"fork:{gateway.origin}"]

    run(scenario())


def test_batches_are_taken_while_postgres_is_away_and_stored_when_it_is_back(
    run: Run, deployment: Deployment, postgres: PostgresServer
) -> None:
    async def scenario() -> None:
        first, second = deployment.gateways[:2]
        async with deployment.replica() as replica:
            watch = Watch(replica.log)
            await replica.send(first, 0, 10)
            await replica.carry_all()
            await asyncio.to_thread(postgres.kill)
            try:
                assert await replica.send(first, 10, 40) == 40
                with pytest.raises(IngestRefused, match="PostgreSQL does not answer") as refused:
                    await replica.send(second, 0, 10)  # whether it holds this log, the store alone can tell
                assert refused.value.status == 503
                with pytest.raises(IngestLogError, match="wait in the ingest log"):
                    while True:
                        await replica.storing.step()
                await insist(watch.step)
                assert watch.standing.behind == 1
                assert watch.standing.lag_seconds > 0
            finally:
                await asyncio.to_thread(postgres.restart)
            await replica.carry_all()
            assert await replica.stored(first) == 40
            assert await replica.send(second, 0, 40) == 40
            await insist(watch.step)
            assert watch.standing.trouble is None

    run(scenario())


def test_killed_nodes_lose_nothing_and_without_a_majority_nothing_is_acknowledged(
    run: Run, deployment: Deployment
) -> None:
    cluster, gateway = deployment.cluster, deployment.gateways[0]

    async def scenario() -> None:
        async with deployment.replica() as replica:
            await replica.send(gateway, 0, 5)
            leader = cluster.leader_of(deployment.settings.stream)
            while leader is None:
                leader = cluster.leader_of(deployment.settings.stream)
            sending = asyncio.create_task(sent(replica, gateway, 5, 10))
            await asyncio.to_thread(leader.program.kill)
            assert await sending == 10, "a new leader is elected meanwhile"
            other = next(node for node in cluster.nodes if node is not leader)
            await asyncio.to_thread(other.program.kill)
            replica.log.settings = replace(deployment.settings, answer_seconds=1.0)
            with pytest.raises(IngestRefused, match="start the servers that are down") as refused:
                await replica.send(gateway, 10, 20)
            assert refused.value.status == 503
            replica.log.settings = deployment.settings
            await asyncio.to_thread(cluster.restart, other)
            await asyncio.to_thread(cluster.restart, leader)
            assert await sent(replica, gateway, 10, 40) == 40
            await replica.carry_all()
            assert await replica.stored(gateway) == 40

    run(scenario())


def test_what_is_stored_is_removed_after_a_while_and_the_log_goes_on(run: Run, deployment: Deployment) -> None:
    async def scenario() -> None:
        gateway, other = deployment.gateways[:2]
        async with deployment.replica() as replica:
            await replica.send(gateway, 0, 10)
            await replica.send(gateway, 10, 20)
            await replica.carry_all()
            await replica.send(other, 0, 10)
            await insist(Watch(replica.log, now=lambda: datetime.now(UTC) + timedelta(hours=23)).step)
            assert (await insist(replica.log.counts))["messages"] == 3
            await insist(Watch(replica.log, now=lambda: datetime.now(UTC) + timedelta(hours=25)).step)
            counts = await insist(replica.log.counts)
            assert counts["messages"] == 1, "what the store lacks is kept, however old it is"
            assert await replica.send(gateway, 20, 40) == 40, "the head is the store's again"
            await replica.carry_all()
            assert await replica.stored(gateway) == 40
            assert await replica.stored(other) == 10

    run(scenario())
