"""What the overload bench does, for some seconds: whatever was acknowledged is stored, and forks freeze their logs."""

import asyncio

import pytest
from sqlalchemy import select

from cloud.store import Store, tables
from tests.bench.overload import Seen, overload

SECONDS, CLIENTS, GATEWAYS = 6.0, 16, 60


@pytest.mark.timeout(300)
def test_of_more_than_can_be_taken_nothing_acknowledged_is_lost(store_url: str) -> None:
    seen = overload(store_url, seconds=SECONDS, clients=CLIENTS, gateways=GATEWAYS)
    assert set(seen.answers) <= {200, 400, 409, 413, 429, 503}, seen.answers
    asyncio.run(_compare(store_url, seen))


async def _compare(url: str, seen: Seen) -> None:
    store = Store(url)
    column = tables.logs.c
    query = select(column.origin, column.size, column.frozen).execution_options(every_shard="a test looks at all logs")
    async with store.read() as connection:
        rows = (await connection.execute(query)).all()
    await store.close()
    held = {row.origin: row.size for row in rows}
    assert all(held[origin] >= size for origin, size in seen.sizes.items())
    assert sum(row.frozen is not None for row in rows) >= seen.forks
