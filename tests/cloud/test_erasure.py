"""What a person asks to be erased is erased wherever it stands, and nobody is left with a row that does not open."""

from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

from sqlalchemy import select

from cloud.retention.command import run_erase
from cloud.store import tables
from cloud.store.logs import log_number
from cloud.store.readings import open_entries
from contracts.entry import Kind
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.test_retention import METER, NOW, filled, write_directory

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
