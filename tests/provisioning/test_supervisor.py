"""Children are kept running, started again when they die, and end together with all that they started."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path

import pytest

from provisioning.demo.errors import DemoError
from provisioning.demo.supervisor import Program, Supervisor

SLEEPER = "import time; print('up', flush=True); time.sleep(600)"
PARENT = (
    f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEPER!r}]); print('up', flush=True); input()"
)


def program(tmp_path: Path, code: str, **more: object) -> Program:
    log = tmp_path / "log"

    async def is_ready() -> bool:
        return log.exists() and "up" in log.read_text()

    fields = {
        "name": "child",
        "command": (sys.executable, "-c", code),
        "directory": tmp_path,
        "log": log,
        "is_ready": is_ready,
    }
    return Program(**(fields | more))  # type: ignore[arg-type]


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:  # it ended in between
        return False


async def until(condition: object, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


def test_a_killed_child_is_started_again_and_a_line_says_so(tmp_path: Path) -> None:
    said: list[str] = []

    async def run() -> None:
        supervisor = Supervisor(said.append)
        child = await supervisor.start(program(tmp_path, SLEEPER))
        first = child.pid
        child.kill()
        await until(lambda: "child is back" in said)
        assert child.pid not in (None, first)
        assert child.restarts == 1
        await supervisor.stop()
        assert child.pid is None

    asyncio.run(run())
    assert said == ["child was killed by SIGKILL; starting it again", "child is back"]


def test_stopping_ends_what_a_child_had_started(tmp_path: Path) -> None:
    grandchildren: list[int] = []

    async def run() -> None:
        supervisor = Supervisor(print)
        child = await supervisor.start(program(tmp_path, PARENT.replace("input()", "__import__('time').sleep(600)")))
        await until(lambda: bool(_children(child.pid or 0)))
        grandchildren.extend(_children(child.pid or 0))
        await supervisor.stop()
        await until(lambda: not any(is_alive(pid) for pid in grandchildren))

    asyncio.run(run())
    assert grandchildren


def test_a_child_that_ends_at_its_start_is_an_error_with_the_end_of_its_log(tmp_path: Path) -> None:
    async def run() -> None:
        await Supervisor(print).start(program(tmp_path, "raise SystemExit('port 8600 is taken')"))

    with pytest.raises(DemoError, match=r"ended with exit code 1 at its start.*\n.*port 8600 is taken"):
        asyncio.run(run())


def test_a_child_that_is_never_ready_is_stopped(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    async def run() -> None:
        await Supervisor(print).start(program(tmp_path, SLEEPER, is_ready=never, ready_seconds=0.5))

    with pytest.raises(DemoError, match=r"was not ready within [01] s"):
        asyncio.run(run())


def test_a_child_that_ignores_sigterm_is_ended_by_force(tmp_path: Path) -> None:
    said: list[str] = []
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); " + SLEEPER

    async def run() -> None:
        supervisor = Supervisor(said.append)
        child = await supervisor.start(program(tmp_path, deaf, stop_seconds=0.5))
        pid = child.pid or 0
        await supervisor.stop()
        assert not is_alive(pid)

    asyncio.run(run())
    assert "ended by force" in said[0]


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(word) for word in path.read_text().split()] if path.exists() else []
