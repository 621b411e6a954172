"""The demo's processes are killed one by one; it goes on by itself, stops cleanly, and continues at the next start."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.demo_run import DemoRun, processes_of

ABSENCE_SECONDS = 65  # a stop of less than a minute is no gap: nothing is polled more often
VICTIMS = {
    "chain": "bin/anvil",
    "broker": "mosquitto.conf",
    "dbus": "bus.conf",
    "bluetooth": "bluezoo",
    "building": "building run",
    "gateway": "edge run",
    "cloud": "cloud serve",
}


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_any_process_may_be_killed_every_cheat_is_noticed_and_a_second_start_continues(tmp_path: Path) -> None:
    directory = tmp_path / "demo"
    demo = DemoRun(directory, "--month-seconds", "60")
    try:
        demo.until(lambda: demo.status("status").get("entries", 0) > 500, seconds=240, what="first entries")
        for name, words in VICTIMS.items():
            _kill(demo, name, words)
        demo.until(lambda: "Real time" in demo.state().get("sentence", ""), seconds=300, what="real time")
        _everything_arrives(demo)
        _the_chain_comes_back_shorter(demo)
        for name in ("change", "drop", "restore", "forge", "bill", "rewrite"):
            _cheat(demo, name)
        _everything_arrives(demo)
        _kill_the_launcher(demo)
        before = _gateway_entries(directory)
        time.sleep(ABSENCE_SECONDS)
        demo = DemoRun(directory)
        demo.until(lambda: "Real time" in demo.state().get("sentence", ""), seconds=240, what="the second start")
        demo.until(lambda: demo.status("status").get("entries", 0) > before, seconds=180, what="new entries")
        _everything_arrives(demo)
        assert "the contract holds this period already" in demo.said()
        assert demo.said().count("The clerk pads the bill") == 1
        demo.until(lambda: "gap" in _quantities(directory, from_index=before), seconds=120, what="the absence as a gap")
        demo.interrupt()
        assert processes_of(directory) == []
    finally:
        demo.end()


def _kill(demo: DemoRun, name: str, words: str) -> None:
    demo.until(lambda: any(words in line for line in demo.children().values()), seconds=120, what=name)
    said = demo.said().count(f"{name} is back")
    os.kill(demo.child(words), signal.SIGKILL)
    demo.until(lambda: demo.said().count(f"{name} is back") > said, seconds=180, what=f"{name} to be back")


def _the_chain_comes_back_shorter(demo: DemoRun) -> None:
    """The chain loses blocks that it had called final; the cloud says so in one line and sends them again."""
    state = demo.directory / "chain" / "state.json"
    earlier = _whole_state(state)
    before = demo.status("cloud")
    demo.until(
        lambda: demo.status("cloud").get("anchored_final_size", 0) > before["anchored_final_size"],
        seconds=240,
        what="another anchor to be final",
    )
    lost = demo.status("cloud")["anchored_final_size"]
    os.kill(demo.child("bin/anvil"), signal.SIGKILL)
    state.write_bytes(earlier)  # within the fifth of a second before it is started again
    demo.until(
        lambda: any("chain came back shorter" in notice for notice in demo.status("cloud").get("notices", [])),
        seconds=120,
        what="the cloud to notice the shorter chain",
    )
    demo.until(
        lambda: demo.status("cloud").get("anchored_final_size", 0) >= lost,
        seconds=120,
        what="the lost anchors to be sent again",
    )


def _whole_state(state: Path) -> bytes:
    """anvil's state as it stands; it is written in place, so a half of it may be read first."""
    deadline = time.monotonic() + 30
    while True:
        encoded = state.read_bytes()
        try:
            json.loads(encoded)
        except ValueError:
            assert time.monotonic() < deadline, f"{state} is never whole"
            time.sleep(0.05)
        else:
            return encoded


def _cheat(demo: DemoRun, name: str) -> None:
    """Press one button; somebody must notice, and the demo must go on."""
    assert demo.press(f"/cheats/{name}") == 200

    def cheat() -> dict[str, Any]:
        return next(cheat for cheat in demo.state()["cheats"] if cheat["name"] == name)

    demo.until(lambda: cheat()["state"] not in ("idle", "running"), seconds=120, what=f"the end of {name}")
    found = cheat()
    assert found["state"] == "noticed", found
    assert found["report"]["before"] != found["report"]["after"]
    demo.until(lambda: cheat()["allowed"], seconds=20, what="the next cheat to be allowed")


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


def _quantities(directory: Path, *, from_index: int) -> set[str]:
    """Quantities of the gateway's own entries from an index on, as the cloud holds them."""
    database = sqlite3.connect(f"file:{directory / 'cloud' / 'data' / 'cloud.sqlite3'}?mode=ro", uri=True)
    try:
        rows = database.execute("SELECT quantity FROM entries WHERE kind = 5 AND entry_index >= ?", (from_index,))
        return {row[0] for row in rows}
    finally:
        database.close()


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
