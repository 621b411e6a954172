"""What a person asks to be erased is erased wherever it stands, and nobody is left with a row that does not open."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from cloud.ingest import writer
from cloud.retention.command import run_erase
from cloud.retention.sealing import seal_store
from cloud.retention.shredding import shred_devices
from cloud.store import Store, tables
from cloud.store.logs import log_number
from cloud.store.readings import CLEAR, open_entries
from contracts.entry import Kind, device_id
from tests.cloud.conftest import Bench, open_bench
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.test_retention import METER, NOW, filled, write_directory
from tests.cloud.test_sealed_readings import vault_at

Run = Callable[[Coroutine[Any, Any, Any]], Any]


def test_what_another_gateway_heard_of_a_units_meters_is_erased_too(tmp_path: Path, store_url: str, run: Run) -> None:
    """A gateway that neither the directory nor the Registry names for the meter, in other places and in its place."""
    stray = SimulatedGateway(origin="demo.minglou.example/cuiyuan/b09/e0", urn="urn:minglou:cuiyuan:b09:gateway:g1")
    stray.log_readings(5, urn=METER)
    boundary = stray.log(Kind.READING, METER, f"1-0:1.8.0*{NOW}15", 9)

    async def scene() -> None:
        async with filled(store_url, tmp_path) as town:
            town.bench.keys.enrol(stray)
            await town.bench.send(stray)
            settings = replace(town.settings, directory_file=write_directory(tmp_path, town.gateway))
            assert await run_erase(settings, entry=None, unit="b07-0101", reason="left", say=lambda _line: None) == 0
            column = tables.entries.c
            async with town.bench.store.read() as connection:
                query = select(tables.entries).where(column.log_id == log_number(stray.origin))
                rows = open_entries(connection, (await connection.execute(query.order_by(column.entry_index))).all())
            assert [row.kind for row in rows[1:-1]] == [0] * 5
            assert (rows[boundary].value, rows[boundary].kind) == (9, Kind.READING), "bills may rest on it"

    run(scene())


@asynccontextmanager
async def storing(bench: Bench, gateway: SimulatedGateway, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Ingest has written a gateway's entries, as its keys were then, and commits them when the block ends."""
    has_written, may_commit, insert_rows = asyncio.Event(), asyncio.Event(), writer.insert_rows

    async def wait(*arguments: Any) -> None:
        has_written.set()
        await may_commit.wait()
        await insert_rows(*arguments)

    monkeypatch.setattr(writer, "insert_rows", wait)
    bench.keys.enrol(gateway)
    async with asyncio.TaskGroup() as group:
        group.create_task(bench.send(gateway))
        await has_written.wait()
        yield
        may_commit.set()


async def wait_for_locks(store: Store, task: asyncio.Task[int]) -> None:
    """Until the task waits for another's transaction, or is through. On SQLite it waits for the one writer anyway."""
    here = "SELECT oid FROM pg_database WHERE datname = current_database()"
    asked = text(f"SELECT count(*) FROM pg_locks WHERE NOT granted AND database = ({here})")
    while store.is_postgres and not task.done():
        async with store.read() as connection:
            if (await connection.execute(asked)).scalar_one():
                return
        await asyncio.sleep(0.02)


def test_sealing_what_stood_in_clear_waits_for_whoever_is_storing_more(
    run: Run, tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = SimulatedGateway()
    gateway.log_readings(4)

    async def scene() -> None:
        async with open_bench(store_url) as older, older.store.write() as connection:
            await connection.execute(insert(tables.key_store).values(one=1, seals_readings=0))  # as 0015 finds it
        async with open_bench(store_url, sealer=vault_at(tmp_path)) as bench:
            async with storing(bench, gateway, monkeypatch):
                sealing = asyncio.create_task(seal_store(bench.store, lambda _line: None))
                await wait_for_locks(bench.store, sealing)
            assert await sealing == 4
            async with bench.store.read() as connection:
                query = select(tables.entries.c.sealed_by).where(tables.entries.c.kind == Kind.READING)
                assert CLEAR not in (await connection.execute(query)).scalars().all()

    run(scene())


def test_no_key_is_destroyed_under_whoever_is_storing_by_it(
    run: Run, tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = SimulatedGateway()
    gateway.log_readings(4)

    async def scene() -> None:
        async with open_bench(store_url, sealer=vault_at(tmp_path)) as bench:
            async with storing(bench, gateway, monkeypatch):
                shredding = asyncio.create_task(shred_devices(bench.store, {device_id(METER)}, says="asked", now_ms=1))
                await wait_for_locks(bench.store, shredding)
            assert await shredding == 1
            async with bench.store.read() as connection:
                query = select(tables.entries).order_by(tables.entries.c.entry_index)
                rows = open_entries(connection, (await connection.execute(query)).all())
            assert [row.value for row in rows[1:]] == [7, 14, 21, 28]

    run(scene())
