"""What an owner's page costs, and that nobody's page is ever another's: real pages over a month's bills."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from sqlalchemy import event, insert, select
from sqlalchemy.exc import DBAPIError

from cloud.app import build_app
from cloud.directory import Directory, DirectoryUnit, Words
from cloud.identity.roles import Role
from cloud.store import Store, tables
from tests.cloud.authenticator import Phone
from tests.cloud.billing_site import PERIOD, BillingSite, random_site
from tests.cloud.house import ORIGIN, House, house, join
from tests.cloud.test_replay import DEPLOYED, post

Run = Callable[[Any], Any]
# Statements of each page, the session's included: what a reader waits for when the database is a network away.
ASKED = {"home": 7, "bills": 2, "bill": 4, "own line": 7, "shared line": 7}


@dataclass
class Pages:
    """A cloud that follows a chain with a month's bills, in process."""

    house: House
    site: BillingSite
    terms_asked: list[None]

    def door(self, index: int) -> str:
        return f"u{index}"

    async def owner(self, index: int) -> httpx.AsyncClient:
        """The owner of a flat, in their browser."""
        alias = self.site.view.roll[index].alias
        now_ms = self.house.clock.at_ms
        made = await self.house.cloud.identity.invite(None, Role.OWNER, unit=alias, firm=None, now_ms=now_ms)
        browser = self.house.browser()
        answer = await join(browser, Phone(ORIGIN), made.code)
        assert answer.status_code == 200, answer.text
        return browser

    def paths(self, index: int) -> dict[str, str]:
        bill = f"/bills/{self.door(index)}/{PERIOD}"
        return {
            "home": "/home", "bills": f"/bills/{self.door(index)}", "bill": bill, "own line": f"{bill}/lines/0",
            "shared line": f"{bill}/lines/{self._shared(index)}",
        }  # fmt: skip

    def _shared(self, index: int) -> int:
        return 2  # two seasons of the own meter, then the pools


@asynccontextmanager
async def pages(folder: Path, store_url: str, *, units: int) -> AsyncIterator[Pages]:
    site = random_site(5, units, odd=0.0)
    for unit in site.view.roll:
        unit.category = 0
    async with house(folder, store_url=store_url) as opened:
        await site.write(opened.cloud.store)
        await post(opened.cloud.store, site)
        asked: list[None] = []

        async def terms() -> Any:
            asked.append(None)
            return SimpleNamespace(deposit=100)

        upkeep = SimpleNamespace(overlaps=None)
        chain: Any = SimpleNamespace(view=site.view, deployment=DEPLOYED, terms=terms, upkeep=upkeep)
        words = Words(zh="翠苑", en="Cuiyuan")
        doors = tuple(
            DirectoryUnit(index=unit.index, name=f"u{unit.index}", building="b07", floor=1, alias=unit.alias,
                          area_centi_m2=unit.area_centi_m2, title=Words(zh=f"{unit.index}室", en=f"Flat {unit.index}."))
            for unit in site.view.roll
        )  # fmt: skip
        known = Directory(site="s", title=words, timezone=opened.cloud.directory.read().timezone, units=doors)
        directory: Any = SimpleNamespace(read=lambda: known)
        cloud = replace(opened.cloud, chain=chain, directory=directory)
        opened.cloud, opened.app = cloud, build_app(cloud)
        yield Pages(opened, site, asked)


@contextmanager
def statements(store: Store) -> Iterator[list[str]]:
    """What is asked of the store meanwhile, but for transactions' beginnings."""
    asked: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement != "BEGIN":
            asked.append(statement)

    engines = {store._reader.sync_engine, store._writer.sync_engine, store._glancer.sync_engine}
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("units", [3, 40])
def test_a_page_asks_the_store_as_little_whatever_the_sites_size(
    run: Run, tmp_path: Path, store_url: str, units: int
) -> None:
    async def scenario() -> None:
        async with pages(tmp_path, store_url, units=units) as opened:
            owner = await opened.owner(1)
            for name, path in opened.paths(1).items():
                assert (await owner.get(path)).status_code == 200, path  # keys and prepared statements are there
                with statements(opened.house.cloud.store) as asked:
                    assert (await owner.get(path)).status_code == 200
                assert len(asked) <= ASKED[name], f"{name}: {len(asked)} statements:\n" + "\n".join(asked)

    run(scenario())


def test_owners_who_ask_at_the_same_time_each_see_their_own(run: Run, tmp_path: Path, store_url: str) -> None:
    async def scenario() -> None:
        async with pages(tmp_path, store_url, units=4) as opened:
            owners = [await opened.owner(index) for index in range(4)]

            async def look(index: int) -> None:
                for path in opened.paths(index).values():
                    page = (await owners[index].get(path)).text
                    named = [other for other in range(4) if f"Flat {other}." in page]
                    assert named == [index], path

            async with asyncio.TaskGroup() as group:
                for _ in range(3):
                    for index in range(4):
                        group.create_task(look(index))
            for path in list(opened.paths(2).values())[1:]:
                assert (await owners[1].get(path)).status_code == 404

    run(scenario())


def test_an_ended_session_or_role_opens_no_page_from_that_moment_on(run: Run, tmp_path: Path, store_url: str) -> None:
    async def scenario() -> None:
        async with pages(tmp_path, store_url, units=3) as opened:
            first, second = await opened.owner(0), await opened.owner(1)
            cookies = dict(first.cookies)
            assert [(await one.get("/home")).status_code for one in (first, second)] == [200, 200]
            await first.post("/account/signout")
            first.cookies.update(cookies)  # somebody kept a copy
            for path in opened.paths(0).values():
                assert (await first.get(path)).status_code == 401
            assert (await second.get("/home")).status_code == 200

    run(scenario())


def test_a_glance_sees_what_was_just_kept_and_on_sqlite_changes_nothing(run: Run, store: Store) -> None:
    async def scenario() -> None:
        await store.notice("kept", at_ms=1)
        async with store.glance() as connection:
            rows = (await connection.execute(tables.notices.select())).all()
            assert [row.says for row in rows] == ["kept"]
            with pytest.raises(DBAPIError):
                await connection.execute(insert(tables.notices).values(at_ms=2, says="not kept"))
        assert await store.latest_notices(5) == ["kept"]
        await store.close()

    run(scenario())


def test_a_glance_after_a_question_is_still_one_snapshot_that_changes_nothing(run: Run, store: Store) -> None:
    async def scenario() -> None:
        query = select(tables.notices.c.says)
        async with store.question() as connection:
            assert (await connection.execute(query)).all() == []
        async with store.glance() as connection:
            assert (await connection.execute(query)).all() == []
            await store.notice("kept meanwhile", at_ms=1)
            assert (await connection.execute(query)).all() == []
            with pytest.raises(DBAPIError):
                await connection.execute(insert(tables.notices).values(at_ms=2, says="not kept"))
        async with store.question() as connection:
            assert (await connection.execute(query)).scalars().all() == ["kept meanwhile"]
        await store.close()

    run(scenario())
