"""A group that could not be stored is answered so, and leaves nothing behind in store or memory."""

import asyncio
from collections.abc import Callable
from typing import Any

from cloud.errors import IngestRefused
from cloud.ingest import GatewayKey, Ingest, IngestLimits
from cloud.ingest.journal import Appended, StoreJournal
from cloud.store import Store
from contracts.clock import SystemClock
from contracts.ending import end_tasks
from tests.cloud.conftest import HeldKeys, open_bench
from tests.cloud.gateway import SimulatedGateway

Run = Callable[[Any], Any]

FULL_DISK = {
    False: ("CREATE TRIGGER full_disk BEFORE INSERT ON checkpoints BEGIN SELECT RAISE(ABORT, 'disk full'); END",),
    True: (
        "CREATE OR REPLACE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'disk full' USING ERRCODE = 'disk_full'; END $$",
        "CREATE TRIGGER full_disk BEFORE INSERT ON checkpoints FOR EACH ROW EXECUTE FUNCTION full_disk()",
    ),
}
ROOM_AGAIN = {False: "DROP TRIGGER full_disk", True: "DROP TRIGGER full_disk ON checkpoints"}


async def _set_full_disk(store: Store) -> None:
    async with store.write() as connection:
        for statement in FULL_DISK[store.is_postgres]:
            await connection.exec_driver_sql(statement)


def test_a_failed_transaction_is_answered_busy_and_repeated_without_loss(run: Run, store_url: str) -> None:
    async def scenario() -> None:
        async with open_bench(store_url) as bench:
            gateway = SimulatedGateway()
            gateway.log_readings(39)
            bench.keys.enrol(gateway)
            await bench.send(gateway, 0, 10)
            await _set_full_disk(bench.store)
            answers = await asyncio.gather(
                bench.send(gateway, 10, 20), bench.send(gateway, 20, 30), return_exceptions=True
            )
            assert {answer.code for answer in answers if isinstance(answer, IngestRefused)} == {"busy"}
            assert (await bench.ingest.stored_head(gateway.origin))[0] == 10
            async with bench.store.write() as connection:
                await connection.exec_driver_sql(ROOM_AGAIN[bench.store.is_postgres])
            assert await bench.send(gateway, 10, 20) == 20
            assert await bench.send(gateway, 20, 40) == 40

    run(scenario())


class SlowJournal(StoreJournal):
    """Says when a group is to be appended, and appends it when it is told to."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.has_begun, self.may_end = asyncio.Event(), asyncio.Event()

    async def append(self, *continuations: Any, **options: Any) -> Appended:
        self.has_begun.set()
        await self.may_end.wait()
        return await super().append(*continuations, **options)


class NotedKeys(HeldKeys):
    """Says when a batch is being judged: its gateway's key is asked for."""

    def __init__(self, keys: HeldKeys) -> None:
        super().__init__(keys.keys)
        self.was_asked = asyncio.Event()

    def gateway_key(self, origin: str) -> GatewayKey | None:
        self.was_asked.set()
        return super().gateway_key(origin)


def test_a_replay_judged_beside_a_group_that_fails_leaves_the_log_as_it_is_stored(run: Run, store_url: str) -> None:
    async def scenario() -> None:
        async with open_bench(store_url) as bench:
            gateway = SimulatedGateway()
            gateway.log_readings(39)
            bench.keys.enrol(gateway)
            await bench.send(gateway, 0, 10)
            journal, keys = SlowJournal(bench.store), NotedKeys(bench.keys)
            ingest = Ingest(store=bench.store, keys=keys, clock=SystemClock(), limits=IngestLimits(), journal=journal)
            running = asyncio.create_task(ingest.run())
            bench.ingest = ingest
            await _set_full_disk(bench.store)
            failing = asyncio.create_task(bench.send(gateway, 10, 20))
            await journal.has_begun.wait()
            keys.was_asked.clear()
            replay = asyncio.create_task(bench.send(gateway, 0, 10))
            await keys.was_asked.wait()  # it is judged upon the head that the failing group leads to
            journal.may_end.set()
            answers = await asyncio.gather(failing, replay, return_exceptions=True)
            assert isinstance(answers[0], IngestRefused) and answers[0].code == "busy"
            async with bench.store.write() as connection:
                await connection.exec_driver_sql(ROOM_AGAIN[bench.store.is_postgres])
            assert await bench.send(gateway, 10, 20) == 20
            assert await bench.send(gateway, 20, 40) == 40
            await end_tasks([running])

    run(scenario())
