"""What gets lost on its way into the replicated log, or comes twice on its way out: nothing is told that is not so."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from nats.aio.msg import Msg

from cloud.errors import IngestLogError, IngestRefused
from cloud.ingest_log import storing, upon_store
from cloud.ingest_log.log import IngestLog
from cloud.ingest_log.record import subject_of
from tests.cloud.replicated import Deployment, insist, new_deployment, run_for_long, sent, started_cluster  # noqa: F401 - fixtures

pytestmark = pytest.mark.parametrize("store_url", ["postgres"], indirect=True)

Run = Callable[[Any], Any]


class LostLog(IngestLog):
    """Its next publish waits until it is told to fail."""

    failing: asyncio.Event | None = None

    async def publish(self, *arguments: Any, **options: Any) -> int:
        if self.failing is not None:
            told, self.failing = self.failing, None
            await told.wait()
            raise IngestLogError("fewer than half of the servers are up")
        return await super().publish(*arguments, **options)


@pytest.mark.parametrize("again", [(0, 10), (0, 20), (10, 20)])
def test_a_replay_judged_beside_a_batch_that_gets_lost_acknowledges_no_more_than_is_held(
    run: Run, deployment: Deployment, again: tuple[int, int]
) -> None:
    async def scenario() -> None:
        gateway = deployment.gateways[0]
        async with deployment.replica(LostLog) as replica:
            assert isinstance(replica.log, LostLog)
            assert await replica.send(gateway, 0, 10) == 10
            told = replica.log.failing = asyncio.Event()
            lost = asyncio.create_task(replica.send(gateway, 10, 20))
            while replica.log.failing is not None:  # noqa: ASYNC110 - what is watched is no event
                await asyncio.sleep(0.01)
            replay = asyncio.create_task(replica.send(gateway, *again))
            for _ in range(20):
                await asyncio.sleep(0.005)  # it is judged beside what is being written
            told.set()
            with pytest.raises(IngestRefused, match="send the batch again"):
                await lost
            try:
                size = await replay
            except IngestRefused as refusal:
                assert refusal.code == "busy", refusal
            else:
                assert size == max(10, again[1]), "what it was told is durable"
            assert (await insist(replica.log.counts))["messages"] == (
                2 if not replay.exception() and again[1] > 10 else 1
            )
            assert await sent(replica, gateway, 10, 40) == 40
            await replica.carry_all()
            assert await replica.stored(gateway) == 40

    run(scenario())


def test_replicas_that_take_turns_store_each_batch_when_it_first_comes(
    run: Run, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    bounced, real = list[int](), storing._again

    async def again(message: Msg) -> None:
        bounced.append(message.metadata.sequence.stream)
        await real(message)

    monkeypatch.setattr(storing, "_again", again)
    monkeypatch.setattr(upon_store, "_HEADS_MAX", 2)

    async def scenario() -> None:
        async with deployment.replicas(2) as replicas:
            for start, replica in zip(range(0, 40, 10), replicas * 2, strict=True):
                for gateway in deployment.gateways:
                    await sent(replica, gateway, start, start + 10)
                await replica.carry_all()
            for gateway in deployment.gateways:
                assert await replicas[0].stored(gateway) == 40
            assert not bounced
            assert all(len(replica.storing._upon_store._heads) <= 2 for replica in replicas)

    run(scenario())


def test_a_message_whose_log_is_gone_from_the_stream_is_set_aside_alone(run: Run, deployment: Deployment) -> None:
    gateway, settings = deployment.gateways[0], deployment.settings

    async def scenario() -> None:
        async with deployment.replica() as replica:
            context = replica.log._jetstream
            await context.publish(subject_of(settings.subject, gateway.origin), b"not ours")
            while not (messages := await replica.storing._fetch()):
                pass
            await context.purge_stream(settings.stream)
            async with asyncio.timeout(60):
                await replica.storing._put_aside(messages[0], "not ours")
            counts = await insist(replica.log.counts)
            assert (counts["set_aside"], counts["messages"]) == (1, 0)
            assert await sent(replica, gateway, 0, 40) == 40

    run(scenario())


def test_what_was_set_aside_is_told_even_where_the_store_was_away_just_then(
    run: Run, deployment: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = deployment.gateways[0]

    async def scenario() -> None:
        async with deployment.replica() as replica:
            real = replica.store.notice

            async def away(*_arguments: Any, **_options: Any) -> None:
                monkeypatch.setattr(replica.store, "notice", real)
                raise ConnectionResetError

            monkeypatch.setattr(replica.store, "notice", away)
            subject = subject_of(deployment.settings.subject, gateway.origin)
            await replica.log._jetstream.publish(subject, b"not ours")
            await replica.carry_all()
            (says,) = await replica.store.latest_notices(5)
            assert says.startswith(f"message 1 of the ingest log, of {gateway.origin}, was set aside")
            assert (await insist(replica.log.counts))["set_aside"] == 1

    run(scenario())


def test_a_replay_is_counted_once_however_often_its_batch_is_lost(run: Run, deployment: Deployment) -> None:
    async def scenario() -> None:
        gateway = deployment.gateways[0]
        async with deployment.replica(LostLog) as replica:
            assert isinstance(replica.log, LostLog)
            assert await replica.send(gateway, 0, 10) == 10
            for _ in range(3):
                replica.log.failing = asyncio.Event()
                replica.log.failing.set()
                with pytest.raises(IngestRefused, match="send the batch again"):
                    await replica.send(gateway, 5, 20)
            assert await replica.send(gateway, 5, 20) == 20
            assert [one.kind for one in replica.journal.take_oddities()] == ["replay"]

    run(scenario())
