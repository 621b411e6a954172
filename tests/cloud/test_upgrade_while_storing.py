"""An old, filled PostgreSQL database is brought to the newest schema while an older process goes on storing."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from sqlalchemy import ColumnElement, Connection, Table, and_, func, select, update

from cloud import super_log
from cloud.errors import IngestRefused
from cloud.ingest import rows
from cloud.ingest.sealing import StoredPart
from cloud.store import Store, tables, trees
from cloud.store.logs import log_number
from cloud.store.migration import alembic_config
from cloud.store.months import partitions
from cloud.store.readings import CLEAR
from cloud.store.store import newest_revision
from cloud.store.trees import LogTree, walk
from contracts.entry import decode_entry
from contracts.tree import leaf_hash, root_of
from tests.cloud.conftest import Bench, open_bench
from tests.cloud.gateway import SimulatedGateway
from tests.postgres import PostgresServer
from tests.processes import REPOSITORY

ENTRIES = tables.entries.c
OLD = "0007"  # before partitions: one table, in which older rows have no month yet
HELD = 301  # entries of each gateway before the upgrade begins
A_BATCH = 30
NEW = {
    ("entries", "sealed_by"),
    ("boundaries", "sealed_by"),
    ("boundaries", "leaf_hash"),
}  # columns of entries and boundaries that the older process does not know


def rows_of_then(stored: StoredPart, month: int) -> Iterator[tuple[Any, ...]]:
    """One batch's entries as rows of the table, as they were sent before COPY's bytes were laid out by hand."""
    part, first = stored.part, stored.part.before.size
    for place, entry in enumerate(stored.entries):
        leaf = part.content.leaves[part.skipped + place]
        row = decode_entry(entry.tobytes()).row
        yield (part.head.log_id, first + place, *row, stored.details.get(place), leaf, month, CLEAR)


@pytest.fixture
def as_before_partitions(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Storing and comparing as the version before partitions did it: it knew no months, no keys, no audit heads."""

    async def prepare_nothing(_store: Store, _month: int) -> None:
        return None

    async def by_place(_connection: Any, log_id: int | None, start: int, end: int | None = None) -> ColumnElement[bool]:
        first, behind = ENTRIES.entry_index >= start, ENTRIES.entry_index < (start + 1 if end is None else end)
        every = ENTRIES.received_month.is_not(None)  # so that the rule for statements of today lets it pass
        return and_(ENTRIES.log_id == log_id, first, behind, every)

    async def copy_old(connection: Any, table: Table, stored: Sequence[tuple[Any, ...]]) -> None:
        columns = [column.name for column in table.columns if (table.name, column.name) not in NEW]
        await connection.exec_driver_sql("SELECT 1")
        driver = (await connection.get_raw_connection()).driver_connection
        records = [row[: len(columns)] for row in stored]  # what is new stands last
        await driver.copy_records_to_table(table.name, records=records, columns=columns)

    async def no_audit_head(_connection: Any) -> None:
        return None

    monkeypatch.setattr(super_log, "_waiting_audit_head", no_audit_head)
    monkeypatch.setattr(rows, "_pieces", rows_of_then)
    monkeypatch.setattr(rows, "copy_binary", copy_old)
    monkeypatch.setattr(rows, "insert_rows", copy_old)
    monkeypatch.setattr(Store, "prepare_month", prepare_nothing)
    monkeypatch.setattr(trees, "entries_at", by_place)
    return monkeypatch


@asynccontextmanager
async def old_bench(url: str, gateways: Sequence[SimulatedGateway]) -> AsyncIterator[Bench]:
    """A store at the old revision, with what its ingest has stored; of half of it the month is not told yet."""

    def to_old(connection: Connection) -> None:
        command.upgrade(alembic_config(connection), OLD)

    store = Store(url)
    async with store._writer.connect() as connection:
        await connection.run_sync(to_old)
        await connection.commit()
    await store.close()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Store, "migrate", lambda _store: asyncio.sleep(0))
        async with open_bench(url) as bench:
            for gateway in gateways:
                bench.keys.enrol(gateway)
                gateway.log_readings(HELD - 1)
                for start in range(0, HELD, A_BATCH):
                    await bench.send(gateway, start, min(HELD, start + A_BATCH))
            async with bench.store.write() as connection:
                early = update(tables.entries).where(ENTRIES.entry_index < HELD // 2)
                await connection.execute(early.values(received_month=0))
            yield bench


async def go_on_sending(bench: Bench, gateway: SimulatedGateway, enough: asyncio.Event) -> list[str]:
    """Batch after batch, each again until it is taken; what was said to those that were not taken at once."""
    refused = list[str]()
    while not enough.is_set():
        await asyncio.sleep(0.02)  # leave the machine to the upgrade too
        start = gateway.size
        gateway.log_readings(A_BATCH)
        while True:
            try:
                await bench.send(gateway, start - A_BATCH)  # with a replay, which is compared with what is held
                break
            except IngestRefused as refusal:
                assert refusal.status == 503, refusal
                refused.append(refusal.message)
                await asyncio.sleep(0.1)
    return refused


async def migrate(url: str, folder: Path) -> str:
    """`minglou cloud migrate` in a process of its own; what it said."""
    settings = folder / "cloud.toml"
    settings.write_text(
        f'[cloud]\nlisten = "127.0.0.1:1"\ndata_dir = "data"\n[store]\nurl = "{url}"\n[super_log]\norigin = "h/log"\n'
    )
    program = [sys.executable, "-c", "import sys, minglou; sys.exit(minglou.main())"]
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *program, "cloud", "migrate", "--config", str(settings), cwd=REPOSITORY, stdout=pipe, stderr=pipe
    )
    said, complained = await process.communicate()
    assert process.returncode == 0, complained.decode()
    return said.decode()


def test_an_old_filled_store_is_upgraded_while_an_older_process_goes_on_storing(
    postgres: PostgresServer, tmp_path: Path, as_before_partitions: pytest.MonkeyPatch
) -> None:
    url = postgres.url(postgres.new_database())
    gateways = [SimulatedGateway(origin=f"demo.minglou.example/cuiyuan/b{number}/e0") for number in range(3)]

    async def scene() -> None:
        async with asyncio.timeout(200), old_bench(url, gateways) as old:
            enough, before = asyncio.Event(), sum(gateway.size for gateway in gateways)
            async with asyncio.TaskGroup() as group:
                sending = [group.create_task(go_on_sending(old, gateway, enough)) for gateway in gateways]
                assert "at the newest revision" in await migrate(url, tmp_path)
                meanwhile = sum(gateway.size for gateway in gateways)
                # The older process is not told, and stores on.
                while sum(gateway.size for gateway in gateways) < meanwhile + 6 * A_BATCH:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
                enough.set()
            assert meanwhile > before, "it stored while the schema changed"
            assert [task.result() for task in sending] == [[], [], []], "nobody was refused"
        as_before_partitions.undo()
        await check_all_is_there(url, gateways)

    asyncio.run(scene())


async def check_all_is_there(url: str, gateways: Sequence[SimulatedGateway]) -> None:
    """Every entry once, in a month, under the root that its gateway signed; and today's process goes on."""
    async with open_bench(url) as bench:
        for gateway in gateways:
            bench.keys.enrol(gateway)
            gateway.log_readings(5)
            assert await bench.send(gateway, gateway.size - 20) == gateway.size
        async with bench.store.read() as connection:
            (revision,) = (await connection.exec_driver_sql("SELECT version_num FROM alembic_version")).scalars()
            assert revision == newest_revision()
            (old, *_), months = await partitions(connection), select(func.min(ENTRIES.received_month))
            assert old.name.startswith("entries_before_") and (await connection.execute(months)).scalar_one() > 0
            for gateway in gateways:
                log, leaves = LogTree(log_number(gateway.origin)), [leaf_hash(entry) for entry in gateway.entries]
                assert await log.leaf_hashes(connection, 0, gateway.size) == leaves
                size = gateway.size
                assert await walk(connection, log, lambda node, size=size: root_of(node, size)) == gateway.tree().root()
                held = select(func.count()).where(ENTRIES.log_id == log.log_id)
                assert (await connection.execute(held)).scalar_one() == gateway.size
