"""Of several processes on one database one follows and sends, and one that only slept can write nothing."""

import asyncio

import pytest
from sqlalchemy import select

from cloud.lease import Lease, LeaseLost
from cloud.store import Store, tables


def test_the_second_waits_and_takes_over_when_the_first_ends(store_url: str) -> None:
    async def scenario() -> None:
        stores = Store(store_url), Store(store_url)
        first, second = (Lease(store, holder=f"cloud {at}") for at, store in enumerate(stores))
        try:
            assert await first.hold() and await first.hold()
            assert not await second.hold() and second.term is None
            await first.release()
            assert await second.hold() and second.term == 2
            assert not await first.hold()
            async with stores[0].read() as connection:
                (row,) = list(await connection.execute(select(tables.chain_leases)))
            assert (row.name, row.term, row.holder) == ("chain", 2, "cloud 1")
        finally:
            for lease, store in zip((first, second), stores, strict=True):
                await lease.release()
                await store.close()

    asyncio.run(scenario())


def test_a_holder_that_slept_through_a_takeover_stores_nothing(store_url: str) -> None:
    async def scenario() -> None:
        stores = Store(store_url), Store(store_url)
        sleeper, other = (Lease(store) for store in stores)
        try:
            assert await sleeper.hold()
            await sleeper._lock.release()  # the operating system or the database took it away unnoticed
            assert await other.hold()
            with pytest.raises(LeaseLost, match="another process"):
                async with stores[0].write() as connection:
                    await connection.execute(tables.notices.insert().values(at_ms=1, says="from the grave"))
                    await sleeper.fence(connection)
            assert await stores[0].latest_notices(5) == []
            async with stores[1].write() as connection:
                await other.fence(connection)
        finally:
            for lease, store in zip((sleeper, other), stores, strict=True):
                await lease.release()
                await store.close()

    asyncio.run(scenario())
