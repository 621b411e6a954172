"""Heads of logs are read many at a time, and no more of them stay in memory than there is room for."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from cloud.ingest.heads import Heads
from cloud.ingest.journal import StoreJournal
from cloud.ingest.quota import Bucket
from cloud.store import Store
from tests.cloud.conftest import Bench, open_bench
from tests.cloud.gateway import SimulatedGateway

Run = Callable[[Any], Any]
GATEWAYS = [SimulatedGateway(origin=f"demo.minglou.example/s/g{at}/e0", seed=at) for at in range(60)]
for _gateway in GATEWAYS:
    _gateway.log_readings(3)


@contextmanager
def counted_statements(store: Store) -> Iterator[list[str]]:
    """The statements that the store is asked; the same one for many rows counts once."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_others: Any) -> None:
        asked.append(statement)

    engines = [engine.sync_engine for engine in (store._reader, store._writer)]
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)


async def send_all(bench: Bench, start: int, end: int) -> None:
    """One batch of each gateway, all at once, admitted first as the route does."""

    async def send(gateway: SimulatedGateway) -> None:
        await bench.ingest.admit(gateway.origin, None, gateway.token)
        assert await bench.ingest.submit(gateway.origin, gateway.token, gateway.batch(start, end)) == end

    for gateway in GATEWAYS:
        bench.keys.enrol(gateway)
    async with asyncio.TaskGroup() as group:
        for gateway in GATEWAYS:
            group.create_task(send(gateway))


@pytest.mark.parametrize("restarted", [False, True], ids=["logs that begin", "an ingest that just started"])
def test_many_gateways_do_not_cost_a_question_each(run: Run, store_url: str, restarted: bool) -> None:
    async def scenario() -> None:
        if restarted:
            async with open_bench(store_url) as bench:
                await send_all(bench, 0, 2)
        async with open_bench(store_url) as bench:
            with counted_statements(bench.store) as asked:
                await send_all(bench, *((2, 4) if restarted else (0, 2)))
            assert len(asked) < len(GATEWAYS), asked

    run(scenario())


def test_of_more_logs_than_there_is_room_for_the_heads_are_read_again(run: Run, store_url: str) -> None:
    async def scenario() -> None:
        async with open_bench(store_url) as bench:
            await send_all(bench, 0, 2)
            heads = Heads(StoreJournal(bench.store), lambda: Bucket(1.0, 0), heads_max=10)
            await heads.read(gateway.origin for gateway in GATEWAYS)
            in_memory = [gateway.origin for gateway in GATEWAYS if heads.get(gateway.origin)]
            assert len(in_memory) == 10
            for gateway in GATEWAYS:
                head = await heads.newest(gateway.origin)
                assert head is not None and head.size == 2

    run(scenario())


def test_a_question_that_fails_is_told_to_all_who_shared_it_and_asked_anew(run: Run, store_url: str) -> None:
    async def scenario() -> None:
        async with open_bench(store_url) as bench:
            await send_all(bench, 0, 2)
            origins = [gateway.origin for gateway in GATEWAYS]
            heads = Heads(StoreJournal(bench.store), lambda: Bucket(1.0, 0))
            async with bench.store.write() as connection:
                await connection.exec_driver_sql("ALTER TABLE logs RENAME TO elsewhere")
            answers = await asyncio.gather(*(heads.newest(origin) for origin in origins), return_exceptions=True)
            assert all(isinstance(answer, Exception) for answer in answers)
            async with bench.store.write() as connection:
                await connection.exec_driver_sql("ALTER TABLE elsewhere RENAME TO logs")
            found = await asyncio.gather(*(heads.newest(origin) for origin in origins))
            assert all(head is not None and head.size == 2 for head in found)

    run(scenario())
