"""What a person asks to be erased is erased wherever it stands, and nobody is left with a row that does not open."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select, text

from cloud.ingest import writer
from cloud.rebuild.rebuild import rebuild
from cloud.retention import returned
from cloud.retention.command import run_erase
from cloud.retention.holds import Holds
from cloud.retention.returned import erase_returned
from cloud.retention.sealing import seal_store
from cloud.retention.shredding import shred_devices
from cloud.segments import Archive
from cloud.service import open_cloud
from cloud.store import Store, sqlite_url, tables
from cloud.store.logs import log_number
from cloud.store.readings import CLEAR, open_entries
from cloud.store.sealing import DEVICES
from contracts.entry import Kind, decode_entry, device_id
from contracts.segment import Frame, decode_frame
from contracts.tree import leaf_hash
from tests.cloud.conftest import Bench, open_bench
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.test_retention import METER, NOW, filled, write_directory
from tests.cloud.test_sealed_readings import LIFT, OTHER, household, vault_at
from tests.cloud.test_sealed_readings import METER as HOUSEHOLD_METER
from tests.cloud.test_segments import write_all, writing

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


@pytest.mark.parametrize("has_segments", [True, False])
def test_an_older_database_beside_the_present_key_store_is_erased_again_but_for_what_bills_rest_on(
    run: Run, tmp_path: Path, store_url: str, has_segments: bool
) -> None:
    gateway, meter = household(), device_id(HOUSEHOLD_METER)

    async def scene() -> None:
        async with open_bench(store_url, sealer=vault_at(tmp_path)) as bench:
            bench.keys.enrol(gateway)
            await bench.send(gateway)
            if has_segments:
                async with writing(bench, tmp_path / "segments") as (_archive, segments):
                    await write_all(segments)
        with closing(vault_at(tmp_path)) as vault:  # as a backup finds it that was taken before they were destroyed
            keys = [(meter, key.tag, 7) for key in vault.keys.all_of(DEVICES, [meter])[meter]]
            vault.renew(DEVICES, [meter])
            assert vault.destroy(DEVICES, keys) == 1
        async with open_bench(store_url, sealer=vault_at(tmp_path)) as bench:
            await erase_returned(bench.store, Archive(tmp_path / "segments"))
            await erase_returned(bench.store, Archive(tmp_path / "segments"))  # as the next start does
            async with bench.store.read() as connection:
                query = select(tables.entries).order_by(tables.entries.c.entry_index)
                rows = open_entries(connection, (await connection.execute(query)).all())
                dates = open_entries(connection, (await connection.execute(select(tables.boundaries))).all())
                erasure = (await connection.execute(select(tables.erasures))).one()
            theirs = [at for at, entry in enumerate(gateway.entries) if entry[32:64] == meter]
            saved = [at for at in theirs if "*" in decode_entry(gateway.entries[at]).quantity] if has_segments else []
            gone = [at for at in theirs if at not in saved]
            assert [row.entry_index for row in rows if not row.kind] == gone
            assert [row.leaf_hash for row in rows] == [leaf_hash(entry) for entry in gateway.entries]
            values = {at: decode_entry(entry).value for at, entry in enumerate(gateway.entries) if at not in gone}
            assert {row.entry_index: row.value for row in rows if row.kind} == values
            assert sorted(row.value for row in dates) == [values[at] for at in saved]
            assert (erasure.cause, erasure.entries, erasure.erased_at_ms) == ("request", len(gone), 7)
            (told,) = await bench.store.latest_notices(5)
            assert f"{len(gone)} entries" in told and f"{len(saved)} boundary entries" in told

    run(scene())


@asynccontextmanager
async def older_database(tmp_path: Path, store_url: str) -> AsyncIterator[tuple[Bench, SimulatedGateway, list[int]]]:
    """A household's log in many segment files, and its database as before its meters' keys were destroyed; which."""
    gateway, meters = household(), {device_id(HOUSEHOLD_METER), device_id(OTHER)}
    start = gateway.size
    gateway.log_readings(5, urn=LIFT)
    async with open_bench(store_url, sealer=vault_at(tmp_path)) as bench:
        bench.keys.enrol(gateway)
        await bench.send(gateway, end=start)
        await bench.send(gateway, start)
        async with writing(bench, tmp_path / "segments", segment_bytes=1) as (_archive, segments):
            await write_all(segments)
    with closing(vault_at(tmp_path)) as vault:
        keys = [(meter, key.tag, 7) for meter, some in vault.keys.all_of(DEVICES, meters).items() for key in some]
        vault.renew(DEVICES, meters)
        assert vault.destroy(DEVICES, keys) == 2
    async with open_bench(store_url, sealer=vault_at(tmp_path)) as bench:
        yield bench, gateway, [at for at, entry in enumerate(gateway.entries) if entry[32:64] in meters]


async def erased_of(store: Store) -> list[int]:
    """The places that are erased."""
    column = tables.entries.c
    async with store.read() as connection:
        query = select(column.entry_index).where(column.kind == 0).order_by(column.entry_index)
        return list((await connection.execute(query)).scalars())


def test_a_damaged_segment_file_leaves_what_bills_rest_on_until_it_is_whole_again(
    run: Run, tmp_path: Path, store_url: str
) -> None:
    async def scene() -> None:
        async with older_database(tmp_path, store_url) as (bench, gateway, theirs):
            path = min((tmp_path / "segments").rglob("*.segment"))
            whole = path.read_bytes()
            path.write_bytes(whole[:-9])
            await erase_returned(bench.store, Archive(tmp_path / "segments"))
            (told,) = await bench.store.latest_notices(5)
            assert f"{path} is damaged" in told and "start again" in told and gateway.origin in told
            assert await erased_of(bench.store) == [], "what is unreadable anyway may wait"
            path.write_bytes(whole)
            await erase_returned(bench.store, Archive(tmp_path / "segments"))
            saved = [at for at in theirs if "*" in decode_entry(gateway.entries[at]).quantity]
            assert saved and await erased_of(bench.store) == [at for at in theirs if at not in saved]

    run(scene())


def test_a_log_is_read_once_for_all_keys_and_no_further_than_their_entries(
    run: Run, tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = list[int]()

    def counted(encoded: bytes) -> Frame:
        frame = decode_frame(encoded)
        read.append(frame.start)
        return frame

    async def scene() -> None:
        async with older_database(tmp_path, store_url) as (bench, _gateway, _theirs):
            archive = Archive(tmp_path / "segments")
            monkeypatch.setattr(returned, "decode_frame", counted)
            await erase_returned(bench.store, archive)
            assert read == [0], "the second frame holds nothing of theirs"

    run(scene())


def test_readings_under_dispute_are_saved_out_of_the_segments_too(
    run: Run, tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def disputed(_store: Store, _chain_id: int | None) -> Holds:
        return Holds(readings=((20200101, 20991231),))

    async def scene() -> None:
        async with older_database(tmp_path, store_url) as (bench, _gateway, _theirs):
            monkeypatch.setattr(returned, "holds_when_followed", disputed)
            await erase_returned(bench.store, Archive(tmp_path / "segments"))
            assert await erased_of(bench.store) == []
            async with bench.store.read() as connection:
                rows = (await connection.execute(select(tables.entries))).all()
                assert len(open_entries(connection, rows)) == len(rows)

    run(scene())


def test_a_cloud_that_starts_on_an_older_database_serves_whole_logs(run: Run, tmp_path: Path, store_url: str) -> None:
    async def scene() -> None:
        async with filled(store_url, tmp_path) as town:
            settings = replace(town.settings, directory_file=write_directory(tmp_path, town.gateway))
        with closing(vault_at(tmp_path / "data")) as vault:
            meter = device_id(METER)
            assert vault.destroy(DEVICES, [(meter, key.tag, 7) for key in vault.keys.all_of(DEVICES, [meter])[meter]])
        async with open_cloud(settings) as cloud, cloud.store.read() as connection:
            rows = open_entries(connection, (await connection.execute(select(tables.entries))).all())
            assert sum(row.kind == 0 for row in rows) == sum(e[32:64] == meter for e in town.gateway.entries)

    run(scene())


def test_an_older_database_that_nobody_has_started_yet_can_be_rebuilt(run: Run, tmp_path: Path) -> None:
    async def scene() -> None:
        async with filled(sqlite_url(tmp_path / "cloud.sqlite3"), tmp_path) as town:
            pass
        with closing(vault_at(tmp_path / "data")) as vault:
            meter = device_id(METER)
            vault.destroy(DEVICES, [(meter, key.tag, 7) for key in vault.keys.all_of(DEVICES, [meter])[meter]])
        done = await rebuild(town.settings, into=sqlite_url(tmp_path / "fresh.sqlite3"), say=lambda _line: None)
        assert done.tables and done.is_same, [one.difference for one in done.tables if not one.is_same]

    run(scene())
