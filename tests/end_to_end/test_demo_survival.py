"""The demo's processes are killed one by one; it goes on by itself, stops cleanly, and continues at the next start."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import ElementHandle, sync_playwright

from tests.end_to_end.demo_run import DemoRun, processes_of
from tests.processes import PATIENCE

DAYS_AWAY = 3
CHEATS = (
    "change", "drop", "restore", "forge", "bill", "rewrite", "unmade_visit", "copied_photo", "two_places",
)  # fmt: skip
VICTIMS = {
    "chain": "bin/anvil",
    "broker": "mosquitto.conf",
    "dbus": "bus.conf",
    "bluetooth": "bluezoo",
    "building": "building run",
    "gateway": "edge run",
    "cloud": "cloud serve",
}
AFTER_THE_OUTAGE = {  # the demo itself stops witnesses for a while in its month
    "mirror": "mirror run",
    "witness-committee": "witnesses/committee",
    "witness-regulator": "witnesses/regulator",
    "witness-volunteer": "demo.colluder",
}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_any_process_may_be_killed_every_cheat_is_noticed_and_a_second_start_continues(
    tmp_path: Path, chromium: Path
) -> None:
    directory = tmp_path / "demo"
    demo = DemoRun(directory, "--month-seconds", "60")
    try:
        demo.until(lambda: demo.status("status").get("entries", 0) > 500, seconds=240, what="first entries")
        _each_process_has_its_own_databases(demo)
        for name, words in VICTIMS.items():
            _kill(demo, name, words)
        demo.until(lambda: "Real time" in demo.state().get("sentence", ""), seconds=300, what="real time")
        _everything_arrives(demo)
        _the_chain_comes_back_shorter(demo)
        demo.until(lambda: "witnesses: both are back" in demo.said(), seconds=240, what="the end of the outage")
        for name, words in AFTER_THE_OUTAGE.items():
            _kill(demo, name, words)
        _every_button_is_pressed(demo, chromium)
        _everything_arrives(demo)
        _kill_the_launcher(demo)
        before = _gateway_entries(directory)
        demo = DemoRun(directory, "--days-later", str(DAYS_AWAY))
        demo.until(lambda: "Real time" in demo.state().get("sentence", ""), seconds=240, what="the second start")
        demo.until(lambda: demo.status("status").get("entries", 0) > before, seconds=180, what="new entries")
        _everything_arrives(demo)
        assert "the contract holds this period already" in demo.said()
        assert demo.said().count("The clerk pads the bill") == 1
        demo.until(lambda: bool(_gaps_ms(directory, from_index=before)), seconds=120, what="the absence as a gap")
        assert max(_gaps_ms(directory, from_index=before)) >= DAYS_AWAY * 86_400_000
        demo.interrupt()
        assert processes_of(directory) == []
    finally:
        demo.end()


def _each_process_has_its_own_databases(demo: DemoRun) -> None:
    """What is open in a process lies in the directory that it was started in: nobody writes into another's."""
    opened = {
        (command, Path(os.readlink(f"/proc/{pid}/cwd")), target)
        for pid, command in demo.children().items()
        for target in _open_files(pid)
        if ".sqlite3" in target.name
    }
    assert {target.name for _, _, target in opened} >= {"e0.sqlite3", "cloud.sqlite3"}, opened
    for command, own, target in opened:
        assert target.is_relative_to(own), (command, target)


def _open_files(pid: int) -> list[Path]:
    found = []
    with suppress(OSError):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                found.append(link.readlink())
    return found


def _kill(demo: DemoRun, name: str, words: str) -> None:
    demo.until(lambda: any(words in line for line in demo.children().values()), seconds=120, what=name)
    said = demo.said().count(f"{name} is back")
    os.kill(demo.child(words), signal.SIGKILL)
    demo.until(lambda: demo.said().count(f"{name} is back") > said, seconds=180, what=f"{name} to be back")


def _the_chain_comes_back_shorter(demo: DemoRun) -> None:
    """The chain loses blocks that it had called final; the cloud says so in one line and sends them again.

    The period's closing is not among them: the operator posts it with a key that the cloud has not, so nobody would.
    """
    state = demo.directory / "chain" / "state.json"
    before = demo.status("cloud")
    earlier = _whole_state(demo, state, with_block=before["followed_block"])
    demo.until(
        lambda: demo.status("cloud").get("anchored_final_size", 0) > before["anchored_final_size"],
        seconds=240,
        what="another anchor to be final",
    )
    lost = demo.status("cloud")["anchored_final_size"]
    chain = demo.child("bin/anvil")
    os.kill(chain, signal.SIGSTOP)  # else it may be started again before its state is replaced
    state.write_bytes(earlier)
    os.kill(chain, signal.SIGKILL)
    demo.until(
        lambda: bool(_shorter(demo.status("cloud")) - _shorter(before)),
        seconds=120,
        what="the cloud to notice the shorter chain",
    )
    demo.until(
        lambda: demo.status("cloud").get("anchored_final_size", 0) >= lost,
        seconds=120,
        what="the lost anchors to be sent again",
    )


def _shorter(cloud: dict[str, Any]) -> set[str]:
    return {notice for notice in cloud.get("notices", []) if "chain came back shorter" in notice}


def _whole_state(demo: DemoRun, state: Path, *, with_block: int) -> bytes:
    """anvil's state with this block in it; it is written in place, so a half of it may be read first."""
    found = b""

    def is_whole() -> bool:
        nonlocal found
        found = state.read_bytes()
        with suppress(ValueError):
            return int(json.loads(found)["best_block_number"]) >= with_block
        return False

    demo.until(is_whole, seconds=60, what=f"a whole {state} with block {with_block}")
    return found


def _every_button_is_pressed(demo: DemoRun, chromium: Path) -> None:
    """As a person does it, on the demo's own page: somebody must notice each, and the demo must go on."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
        page = browser.new_page()
        page.set_default_timeout(20_000 * PATIENCE)
        problems: list[str] = []
        page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"http://localhost:{demo.ports()['control']}/")
        for name in CHEATS:
            page.click(f"li[data-cheat={name}] button:enabled")
            ended = page.wait_for_selector(f"li[data-cheat={name}]:is([data-state=noticed], [data-state=failed])")
            assert ended is not None
            assert ended.get_attribute("data-state") == "noticed", ended.inner_text()
            told = dict(zip(_texts(ended, "th"), _texts(ended, "td"), strict=True))
            assert told.pop("改前 before") != told.pop("改后 after"), name
            assert told.pop("复原 put back")
            assert told, f"{name}: nobody noticed"
        assert page.locator("#cheats li").count() == len(CHEATS)
        assert problems == []
        browser.close()


def _texts(row: ElementHandle, tag: str) -> list[str]:
    return [cell.inner_text() for cell in row.query_selector_all(tag)]


def _kill_the_launcher(demo: DemoRun) -> None:
    """`kill -9` between posting the bills and writing down that they are posted: its children end by themselves."""
    demo.process.kill()
    demo.process.wait()
    deadline = time.monotonic() + 90
    while processes_of(demo.directory):
        assert time.monotonic() < deadline, processes_of(demo.directory)
        time.sleep(0.2)
    path = demo.directory / "demo.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"phase": "prepared"}))


def _everything_arrives(demo: DemoRun) -> None:
    """What the gateway has logged by now reaches the cloud and the chain."""
    logged = demo.status("status")["entries"]
    demo.until(
        lambda: demo.status("status").get("anchored", 0) >= logged, seconds=180, what=f"{logged} entries to be anchored"
    )
    assert demo.status("cloud")["entries"] >= logged


def _gateway_entries(directory: Path) -> int:
    database = sqlite3.connect(f"file:{directory / 'gateway' / 'data' / 'e0.sqlite3'}?mode=ro", uri=True)
    try:
        return int(database.execute("SELECT MAX(size) FROM checkpoint").fetchone()[0])
    finally:
        database.close()


def _gaps_ms(directory: Path, *, from_index: int) -> list[int]:
    """How long each gap lasted that the gateway logged from an index on, as the cloud holds them."""
    database = sqlite3.connect(f"file:{directory / 'cloud' / 'data' / 'cloud.sqlite3'}?mode=ro", uri=True)
    try:
        rows = database.execute("SELECT detail FROM entries WHERE quantity = 'gap' AND entry_index >= ?", (from_index,))
        details = [json.loads(row[0]) for row in rows]
    finally:
        database.close()
    return [int(one["until_ms"]) - int(one["from_ms"]) for one in details if one.get("reason") == "stopped"]


def test_the_launcher_refuses_a_directory_in_use(tmp_path: Path) -> None:
    directory = tmp_path / "demo"
    (directory / "run").mkdir(parents=True)
    import fcntl

    with (directory / "run" / "launcher.pid").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write("123\n")
        file.flush()
        demo = DemoRun(directory)
        assert demo.wait(300) == 1
    assert "a demo already runs in" in demo.said()
    assert json.dumps(str(directory)).strip('"') in demo.said()
