"""The supervisor keeps its seats: with real processes that stand in for the server and do as the test says."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cloud import serving
from cloud.errors import SettingsError, StoreError
from cloud.settings import load_settings
from cloud.supervisor import WRONG_SETTINGS, Supervisor, listen
from tests.processes import free_port

SEATS = 2


class Bench:
    """A supervisor whose workers are a shell script."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.config = folder / "cloud.toml"
        self.config.write_text(
            f'[cloud]\nlisten = "127.0.0.1:{free_port()}"\ndata_dir = "data"\nworkers = {SEATS}\n'
            '[store]\nurl = "postgresql://nobody@127.0.0.1:1/none"\n[super_log]\norigin = "a.example/log"\n'
        )
        self.program = folder / "worker"
        monkeypatch.setattr(sys, "executable", str(self.program))
        self.supervisor = Supervisor(load_settings(self.config), ["--config", str(self.config)])

    def workers_do(self, script: str) -> None:
        """From now on. `$5` and what follows are a worker's arguments."""
        fresh = self.program.with_suffix(".new")
        fresh.write_text(f"#!/bin/sh\n{script}\n")
        fresh.chmod(0o700)
        fresh.replace(self.program)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["asyncio.Task[int]"]:
        task = asyncio.create_task(self.supervisor.run())
        try:
            yield task
        finally:
            self.supervisor._is_stopping.set()
            await task

    def alive(self) -> int:
        return sum(process.returncode is None for process in self.supervisor._running.values())


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():  # noqa: ASYNC110 - what is watched is no event
            await asyncio.sleep(0.02)


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


STAYS = "exec sleep 600"


def test_a_seat_whose_process_cannot_be_started_is_filled_when_it_can(bench: Bench) -> None:
    async def scene() -> None:
        async with bench.running() as task:  # there is no such program yet
            await until(lambda: bench.supervisor._figures.exists())
            await asyncio.sleep(0)
            bench.workers_do(STAYS)
            await until(lambda: bench.alive() == SEATS)
            for process in bench.supervisor._running.values():
                process.kill()
            await until(lambda: bench.alive() == 0)
            await until(lambda: bench.alive() == SEATS)
        assert task.result() == 0

    asyncio.run(scene())


def test_a_hang_up_waits_until_a_process_that_is_being_started_can_hear_it(bench: Bench) -> None:
    async def scene() -> None:
        bench.workers_do(STAYS)  # as a server does that is still importing
        async with bench.running():
            await until(lambda: bench.alive() == SEATS)
            before = list(bench.supervisor._running.values())
            os.kill(os.getpid(), signal.SIGHUP)
            waiting = {process.pid: f"/proc/{process.pid}/status" for process in before}
            await until(lambda: all(hang_up_in(status, "ShdPnd") for status in waiting.values()))
            assert bench.alive() == SEATS and list(bench.supervisor._running.values()) == before

    asyncio.run(scene())


def hang_up_in(status: str, signals: str) -> bool:
    """Whether SIGHUP, the first of the signals, is among these of a process."""
    lines = dict(line.split(":\t", 1) for line in Path(status).read_text().splitlines() if ":\t" in line)
    return bool(int(lines[signals], 16) & 1)


def test_a_process_that_is_being_started_while_the_stop_comes_is_told_too(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.workers_do(STAYS)
    real, seen = asyncio.create_subprocess_exec, list[asyncio.subprocess.Process]()

    async def slow(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        process = await real(*arguments, **options)
        bench.supervisor._is_stopping.set()
        for _ in range(20):
            await asyncio.sleep(0.01)  # the stop is told to all that run meanwhile
        seen.append(process)
        return process

    monkeypatch.setattr(asyncio, "create_subprocess_exec", slow)
    monkeypatch.setattr(asyncio.subprocess.Process, "kill", lambda process: process.send_signal(signal.SIGUSR1))
    assert asyncio.run(bench.supervisor.run()) == 0
    assert [process.returncode for process in seen] == [-signal.SIGTERM] * SEATS


def test_wrong_settings_end_all_only_where_nobody_serves(bench: Bench, tmp_path: Path) -> None:
    tries = tmp_path / "tries"
    by_seat = f'case "$*" in *"--seat 1 "*) echo >> {tries}; exit {WRONG_SETTINGS};; *) {STAYS};; esac'

    async def scene() -> None:
        bench.workers_do(by_seat)
        async with bench.running() as task:
            await until(lambda: tries.exists() and len(tries.read_text()) >= 2)
            assert not task.done()
            await until(lambda: bench.alive() == 1)
            bench.workers_do(STAYS)  # somebody has corrected the settings
            await until(lambda: bench.alive() == SEATS)
            bench.workers_do(f"exit {WRONG_SETTINGS}")
            for process in bench.supervisor._running.values():
                process.kill()
            async with asyncio.timeout(120):
                assert await task == WRONG_SETTINGS

    asyncio.run(scene())


def test_a_worker_says_wrong_settings_only_of_settings(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["serving", "--config", str(bench.config), "--seat", "1", "--listener", "0", "--lifeline", "0"]
    monkeypatch.setattr(sys, "argv", words)
    for error, code in ((StoreError("a table is missing"), 1), (SettingsError("a key is missing"), WRONG_SETTINGS)):

        async def fails(*_arguments: Any, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(serving, "_serve", fails)
        assert serving._run_worker() == code
        assert str(error) in capsys.readouterr().err


def test_an_address_that_is_taken_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", free_port())) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"127\.0\.0\.1 port {port} .*in use.*end what listens there"):
            listen("127.0.0.1", port)
    with pytest.raises(SettingsError, match=r"host\.invalid port 80 cannot be had"):
        listen("host.invalid", 80)


def test_an_answers_body_does_not_wait_until_its_head_is_acknowledged() -> None:
    async def scene() -> int:
        told = asyncio.get_running_loop().create_future()

        async def answer(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            told.set_result(writer.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        listener = listen("127.0.0.1", 0)
        async with await asyncio.start_server(answer, sock=listener), asyncio.timeout(60):
            _, writer = await asyncio.open_connection(*listener.getsockname())
            try:
                return int(await told)
            finally:
                writer.close()

    assert asyncio.run(scene())
