"""A bill run that is cut off at any point goes on to the same root."""

import asyncio
import json
import os
import shutil
import signal
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from cloud.billing import run as bill_run
from cloud.billing.bill_block import BillPlace
from cloud.billing.run import BillRun, Prepared
from cloud.directory import EMPTY
from cloud.errors import BillingError
from cloud.store import Store, insert_rows, sqlite_url, tables
from contracts.bill import Node
from tests.cloud.billing_site import CLOSING, PERIOD, RATES, TOTAL, BillingSite, random_site

Run = Callable[[Any], Any]

UNITS = 40
PORTION = 8  # units in a portion here, in place of 4,096
PLACE = BillPlace(chain_id=31337, contract="0x" + "ab" * 20, site=bytes(32), period=PERIOD)


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bill_run, "BILLS_AT_ONCE", PORTION)


class Stop(BaseException):
    """As Ctrl-C is: no error that anything here would answer."""


async def prepare(folder: Path, url: str, site: BillingSite, say: Callable[[str], None] = lambda _: None) -> Prepared:
    store = Store(url)
    try:
        run = BillRun.open(folder, PLACE, UNITS)
        async with store.read() as connection:
            return await run.prepare(connection, view=site.view, directory=EMPTY, say=say)
    finally:
        await store.close()


async def begun(folder: Path, url: str, site: BillingSite) -> None:
    """A store with the site's entries, and a run that has its seed."""
    store = Store(url)
    await store.migrate()
    await site.write(store)
    await store.close()
    BillRun.open(folder, PLACE, UNITS)


def copy_of(folder: Path, name: str) -> Path:
    return Path(shutil.copytree(folder, folder.parent / name))


def test_a_run_stopped_at_any_step_goes_on_to_the_same_root(run: Run, tmp_path: Path) -> None:
    site, url, seed = random_site(3), sqlite_url(tmp_path / "cloud.sqlite3"), tmp_path / "seed"

    async def scenario() -> None:
        await begun(seed, url, site)
        steps: list[str] = []
        whole = await prepare(copy_of(seed, "whole"), url, site, steps.append)
        assert len([step for step in steps if step.endswith("bills")]) == UNITS // PORTION
        for stop in range(len(steps)):
            folder, left = copy_of(seed, f"stopped-{stop}"), iter(range(stop))

            def say(words: str, left: Any = left) -> None:
                if next(left, None) is None:
                    raise Stop(words)

            with pytest.raises(Stop):
                await prepare(folder, url, site, say)
            again = await prepare(folder, url, site)
            assert (again.tree.root, list(again.contents)) == (whole.tree.root, list(whole.contents)), steps[stop]

    run(scenario())


def killed(folder: Path, url: str, after: int) -> None:
    """A process that is killed while it writes its portions."""
    bill_run.BILLS_AT_ONCE = PORTION

    def say(words: str) -> None:
        if words.startswith(f"{after} of"):
            os.kill(os.getpid(), signal.SIGKILL)

    asyncio.run(prepare(folder, url, random_site(3), say))


def test_a_run_killed_while_it_writes_goes_on_to_the_same_root(run: Run, tmp_path: Path) -> None:
    site, url, seed = random_site(3), sqlite_url(tmp_path / "cloud.sqlite3"), tmp_path / "seed"
    run(begun(seed, url, site))
    folder = copy_of(seed, "killed")
    child = get_context("spawn").Process(target=killed, args=(folder, url, 2 * PORTION))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert len(list(folder.glob("units-*.bills"))) == 2
    (folder / "units-000000016.part").write_bytes(b"half a por")

    async def scenario() -> tuple[Node, Node]:
        whole = await prepare(seed, url, site)
        return whole.tree.root, (await prepare(folder, url, site)).tree.root

    whole, again = run(scenario())
    assert again == whole


def test_portions_of_other_readings_never_stand_in_one_tree(run: Run, tmp_path: Path) -> None:
    """A pool's entry changes what everybody pays, so that bills made before it are made again."""
    site, url, folder = random_site(4), sqlite_url(tmp_path / "cloud.sqlite3"), tmp_path / "run"

    async def scenario() -> None:
        await begun(folder, url, site)
        await prepare(folder, url, site)
        (folder / "units-000000008.bills").unlink()
        pool = site.view.pools[0]
        device = next(device for device, records in site.view.bindings.items() if records[0].subject == pool)
        late = BillingSite(site.view, next_index={1: 10**5, 2: 10**5})
        for register in (TOTAL, *RATES):
            late.entry(device, register, CLOSING, 1)
        store = Store(url)
        async with store.write() as connection:
            await insert_rows(connection, tables.boundaries, late.rows)
        await store.close()
        said: list[str] = []
        again = await prepare(folder, url, site, said.append)
        assert any("made again" in words for words in said) and again.problems
        fresh = tmp_path / "fresh"
        fresh.mkdir()
        state = json.loads((folder / "run.json").read_text())
        (fresh / "run.json").write_text(json.dumps({**state, "ground": "", "problems": []}))
        assert (await prepare(fresh, url, site)).tree.root == again.tree.root

    run(scenario())


def test_a_folder_of_another_period_or_a_damaged_portion_is_refused(run: Run, tmp_path: Path) -> None:
    site, url, folder = random_site(5), sqlite_url(tmp_path / "cloud.sqlite3"), tmp_path / "run"

    async def scenario() -> None:
        await begun(folder, url, site)
        prepared = await prepare(folder, url, site)
        for file in folder.iterdir():
            assert file.stat().st_mode & 0o077 == 0, "salts and usage are readable by the owner alone"
        with pytest.raises(BillingError, match="take another folder"):
            BillRun.open(folder, PLACE, UNITS + 1)
        portion = folder / "units-000000008.bills"
        portion.write_bytes(portion.read_bytes()[:-1])
        with pytest.raises(BillingError, match="delete it and run the same command again"):
            await prepare(folder, url, site)
        portion.unlink()
        assert (await prepare(folder, url, site)).tree.root == prepared.tree.root

    run(scenario())


def test_a_posted_run_leaves_no_households_bill_and_no_salt_on_the_operators_disk(run: Run, tmp_path: Path) -> None:
    site, url, folder = random_site(5), sqlite_url(tmp_path / "cloud.sqlite3"), tmp_path / "run"

    async def scenario() -> None:
        await begun(folder, url, site)
        prepared = await prepare(folder, url, site)
        salts = [content[:16] for content in prepared.contents]
        (folder / "units-000000000.part").write_bytes(prepared.contents[0])  # of a portion that was cut off
        copy = copy_of(folder, "cut off while it forgot")
        BillRun.open(folder, PLACE, UNITS).finish()
        (copy / "run.json").write_bytes((folder / "run.json").read_bytes())
        for place in (folder, copy):
            with pytest.raises(BillingError, match="was posted"):
                await prepare(place, url, site)
            assert [file.name for file in place.iterdir()] == ["run.json"]
            left = (place / "run.json").read_bytes()
            assert b'"seed": ""' in left and not any(salt in left or salt.hex().encode() in left for salt in salts)

    run(scenario())
