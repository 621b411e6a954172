"""Entries by the month of their arrival: partitions on PostgreSQL, one table on SQLite, the same questions on both."""

import asyncio
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Column, func, insert, literal_column, select
from sqlalchemy.dialects import postgresql

from cloud.store import Store, log_id_of, tables
from cloud.store.logs import log_number
from cloud.store.months import entries_at, month_of, months_between, months_later, partitions
from cloud.store.trees import LogTree, walk
from contracts.tree import inclusion_path, leaf_hash, root_of
from tests.cloud.conftest import Bench, open_bench
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.shards import names_no_month

Run = Callable[[Coroutine[Any, Any, Any]], Any]
ENTRIES = tables.entries.c


class TurnedClock:
    """A clock that shows what the test says."""

    def __init__(self, month: int) -> None:
        self.turn_to(month)

    def turn_to(self, month: int) -> None:
        self.now = int(datetime(month // 100, month % 100, 15, tzinfo=UTC).timestamp() * 1000)

    def now_ms(self) -> int:
        return self.now

    def real_ms_until(self, at_ms: int) -> int:
        return max(0, at_ms - self.now)


async def grow_over(bench: Bench, clock: TurnedClock, gateway: SimulatedGateway, months: list[int]) -> None:
    """Two batches of 20 readings a month."""
    bench.keys.enrol(gateway)
    for month in months:
        clock.turn_to(month)
        for _ in range(2):
            start = gateway.size if gateway.size > 1 else 0
            gateway.log_readings(20)
            await bench.send(gateway, start)


def test_months_are_counted_over_the_years() -> None:
    assert [months_later(202611, count) for count in (0, 1, 2, -10, -11)] == [202611, 202612, 202701, 202601, 202512]
    assert months_between(202611, 202702) == [202611, 202612, 202701, 202702]
    assert month_of(int(datetime(2026, 11, 30, 23, 59, 59, 999_000, tzinfo=UTC).timestamp() * 1000)) == 202611


def test_entries_stand_in_their_months_and_every_place_is_found(run: Run, store_url: str) -> None:
    months = [202511, 202512, 202512, 202601, 202512, 202602]  # the cloud's clock goes back once

    async def scene() -> None:
        clock, gateway = TurnedClock(202511), SimulatedGateway()
        async with open_bench(store_url, clock=clock) as bench:
            await grow_over(bench, clock, gateway, months)
            log, tree = LogTree(log_number(gateway.origin)), gateway.tree()
            leaves = [leaf_hash(entry) for entry in gateway.entries]
            async with bench.store.read() as connection:
                query = select(ENTRIES.received_month, func.count()).group_by(ENTRIES.received_month)
                counted = {row[0]: row[1] for row in await connection.execute(query)}
                assert counted == {202511: 41, 202512: 120, 202601: 40, 202602: 40}
                for start, end in ((0, 241), (30, 170), (79, 81), (200, 900)):
                    assert await log.leaf_hashes(connection, start, end) == leaves[start:end]
                for index in range(0, 241, 7):
                    path = await walk(connection, log, lambda node, index=index: inclusion_path(node, index, 241))
                    assert path == inclusion_path(tree.node, index, 241)
                assert await walk(connection, log, lambda node: root_of(node, 241)) == tree.root()
                if bench.store.is_postgres:
                    await look_at_partitions(connection, log.log_id)

    run(scene())


async def look_at_partitions(connection: Any, log_id: int) -> None:
    place = literal_column("tableoid::regclass::text")
    stands = {row[0]: row[1] for row in await connection.execute(select(place, ENTRIES.received_month).distinct())}
    assert stands == {f"entries_{month}": month for month in (202511, 202512, 202601, 202602)}
    for start, end, expected in ((0, None, {"entries_202511"}), (230, 235, {"entries_202602"})):
        query = select(tables.entries).where(await entries_at(connection, log_id, start, end))
        assert await read_partitions(connection, query) == expected


async def read_partitions(connection: Any, query: Any) -> set[str]:
    """The partitions that PostgreSQL's plan for a query reads."""
    words = query.compile(dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True})  # type: ignore[no-untyped-call]
    plan = "\n".join((await connection.exec_driver_sql(f"EXPLAIN {words}")).scalars())
    return {one.name for one in await partitions(connection) if f" {one.name}" in plan}


def test_partitions_are_made_ahead_and_by_many_at_once(run: Run, store_url: str) -> None:
    async def scene() -> None:
        stores = [Store(store_url) for _ in range(3)]
        await asyncio.gather(*(store.prepare_months_from(203011) for store in stores))
        await asyncio.gather(*(store.prepare_month(-203011) for store in stores))
        async with stores[0].read() as connection:
            if stores[0].is_postgres:
                made = {one.name: (one.first, one.end) for one in await partitions(connection) if "2030" in one.name}
                expected = {"entries_203011": (203011, 203012), "entries_203012": (203012, 203013)}
                assert made == {**expected, "entries_left_of_2030": (-203012, -203000)}
        for store in stores:
            await store.close()

    run(scene())


def test_a_log_that_nobody_holds_has_no_entries(run: Run, store_url: str) -> None:
    async def scene() -> None:
        store = Store(store_url)
        async with store.read() as connection:
            here = await entries_at(connection, await log_id_of(connection, "nobody/has/this/e0"), 0)
            assert (await connection.execute(select(tables.entries).where(here))).all() == []
        await store.close()

    run(scene())


@pytest.mark.parametrize(
    ("statement", "is_open"),
    [
        (select(tables.entries).where(ENTRIES.log_id == 1, ENTRIES.entry_index == 1), True),
        (select(tables.entries).where(ENTRIES.entry_index >= 1, ENTRIES.received_month.in_([202611])), False),
        (select(tables.entries).where(ENTRIES.device == b"d").order_by(ENTRIES.entry_index), False),
        (insert(tables.entries).values(log_id=1, entry_index=1), False),
    ],
)
def test_a_place_without_its_month_is_noticed(statement: Any, is_open: bool) -> None:
    assert names_no_month(statement) is is_open
    assert isinstance(ENTRIES.entry_index, Column)
