"""The driver under the embedded store: what aiosqlite answers, with fewer visits of its thread."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, Integer, LargeBinary, MetaData, Table, event, insert, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from cloud.store.sqlite_driver import OneVisitConnection, connect

MANY = 1_000  # more than one portion
Scenario = Callable[[AsyncEngine], Awaitable[None]]
Run = Callable[[Scenario], None]
_rows = Table("rows", MetaData(), Column("number", Integer, primary_key=True), Column("octets", LargeBinary))


@asynccontextmanager
async def _engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    made = create_async_engine(f"sqlite+aiosqlite:///{tmp_path}/x.sqlite3", connect_args={"async_creator_fn": connect})

    @event.listens_for(made.sync_engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA synchronous=OFF").close()

    async with made.begin() as connection:
        await connection.run_sync(_rows.metadata.create_all)
        values = [{"number": number, "octets": b"%d" % number} for number in range(MANY)]
        await connection.execute(insert(_rows), values)
    try:
        yield made
    finally:
        await made.dispose()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs a scenario over a database of many rows."""

    async def opened(scenario: Scenario) -> None:
        async with _engine(tmp_path) as engine:
            await scenario(engine)

    return lambda scenario: asyncio.run(opened(scenario))


async def _driver(connection: AsyncConnection) -> OneVisitConnection:
    driver: Any = (await connection.get_raw_connection()).driver_connection
    return driver  # type: ignore[no-any-return]


def test_a_small_question_visits_the_thread_once(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(engine: AsyncEngine) -> None:
        visits: list[Callable[..., Any]] = []

        class Counted:
            """The thread's queue, counted."""

            def __init__(self, queue: Any) -> None:
                self._queue = queue

            def put_nowait(self, task: Any) -> None:
                visits.append(task[1])
                self._queue.put_nowait(task)

        async with engine.connect() as connection:
            await connection.execute(select(_rows).limit(1))
            driver = await _driver(connection)
            monkeypatch.setattr(driver, "_tx", Counted(driver._tx))
            found = (await connection.execute(select(_rows.c.octets).where(_rows.c.number == 7))).scalar_one()
            monkeypatch.undo()
        assert (found, len(visits)) == (b"7", 1)

    run(scenario)


def test_an_answer_of_any_length_is_whole_and_in_order(run: Run) -> None:
    async def scenario(engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            for count in (0, 1, 255, 256, 257, 512, MANY):
                query = select(_rows.c.number).order_by(_rows.c.number).limit(count)
                assert list((await connection.execute(query)).scalars()) == list(range(count))
                streamed = await connection.stream(query)
                assert [row.number async for row in streamed] == list(range(count))
                portions = [
                    row.number async for some in (await connection.stream(query)).partitions(100) for row in some
                ]
                assert portions == list(range(count))

    run(scenario)


def test_a_long_answer_is_not_fetched_before_it_is_asked_for(run: Run) -> None:
    async def scenario(engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            driver = await _driver(connection)
            cursor = driver.cursor()
            await cursor.execute("SELECT number FROM rows ORDER BY number")
            assert len(cursor._rows) < MANY
            assert [row[0] for row in await cursor.fetchmany(3)] == [0, 1, 2]
            assert await cursor.fetchone() == (3,)
            assert len(await cursor.fetchall()) == MANY - 4
            assert await cursor.fetchone() is None
            await connection.rollback()

    run(scenario)


def test_what_was_left_unread_does_not_hold_up_the_next_statement(run: Run) -> None:
    async def scenario(engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            streamed = await connection.stream(select(_rows.c.number))
            assert (await streamed.fetchone()) is not None
            await streamed.close()
            await connection.rollback()
            await connection.execute(text("DROP TABLE rows"))  # SQLite refuses it while a statement reads the table

    run(scenario)


def test_changes_tell_how_many_rows_and_which_key(run: Run) -> None:
    async def scenario(engine: AsyncEngine) -> None:
        async with engine.begin() as connection:
            changed = await connection.execute(update(_rows).where(_rows.c.number < 5).values(octets=b""))
            assert changed.rowcount == 5
            made = await connection.execute(insert(_rows).values(octets=b"new"))
            assert made.inserted_primary_key == (MANY,)
            back = await connection.execute(
                update(_rows).where(_rows.c.number < 3).values(octets=b"x").returning(_rows)
            )
            assert len(back.all()) == 3

    run(scenario)


def test_a_refused_statement_is_an_error_of_sqlalchemys_and_the_connection_goes_on(run: Run) -> None:
    async def scenario(engine: AsyncEngine) -> None:
        async with engine.connect() as connection:
            with pytest.raises(IntegrityError):
                await connection.execute(insert(_rows).values(number=1, octets=b""))
            with pytest.raises(OperationalError):
                await connection.execute(text("SELECT nothing FROM nowhere"))
            assert (await connection.execute(select(_rows.c.number).limit(1))).scalar_one() == 0

    run(scenario)


def test_statements_of_many_tasks_each_get_their_own_answer(run: Run) -> None:
    async def scenario(engine: AsyncEngine) -> None:
        async def ask(number: int) -> bytes:
            async with engine.connect() as connection:
                found = (await connection.execute(select(_rows.c.octets).where(_rows.c.number == number))).scalar_one()
                return bytes(found)

        assert await asyncio.gather(*map(ask, range(100))) == [b"%d" % number for number in range(100)]

    run(scenario)
