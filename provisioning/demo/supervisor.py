"""Child processes that are kept running: each in a group of its own, started again when it dies, all ended together."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from provisioning.demo.errors import DemoError

__all__ = ["Child", "Program", "Supervisor"]

_BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0)
_STEADY_SECONDS = 20.0  # a child that lived this long starts again without waiting
_PR_SET_PDEATHSIG = 1  # linux/prctl.h

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program to keep running."""

    name: str
    command: tuple[str, ...]
    directory: Path
    log: Path
    is_ready: Callable[[], Awaitable[bool]]
    environment: Mapping[str, str] = field(default_factory=dict)
    before_start: Callable[[], None] | None = None  # repairs what a kill may have left half written
    after_restart: Callable[[], Awaitable[None]] | None = None
    ready_seconds: float = 30.0
    stop_seconds: float = 8.0


class Child:
    """One program's present process, its watcher and its history."""

    def __init__(self, program: Program, say: Say) -> None:
        self.program = program
        self.restarts = 0
        self._say = say
        self._process: asyncio.subprocess.Process | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._is_wanted = False
        self._started_at = 0.0

    @property
    def pid(self) -> int | None:
        """The process's id while it runs."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if running and self._process is not None else None

    async def start(self) -> None:
        """Start the process, wait until it is ready, and watch it from then on.

        Raises:
            DemoError: it ended or was not ready in time; the message carries the last lines of its log.
        """
        self._is_wanted = True
        await self._spawn()
        try:
            await self._wait_until_ready()
        except DemoError:
            await self.stop()
            raise
        self._watcher = asyncio.create_task(self._watch(), name=f"watch {self.program.name}")

    async def stop(self) -> None:
        """End the process and whatever it started; SIGTERM first, SIGKILL after its time is over."""
        self._is_wanted = False
        if self._watcher is not None and self._watcher is not asyncio.current_task():
            self._watcher.cancel()
            with suppress(asyncio.CancelledError):
                await self._watcher
            self._watcher = None
        process = self._process
        if process is None:
            return
        _signal_group(process.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(self.program.stop_seconds):
                await process.wait()
        except TimeoutError:
            self._say(f"{self.program.name} did not stop within {self.program.stop_seconds:.0f} s; ended by force")
        _signal_group(process.pid, signal.SIGKILL)
        await process.wait()

    def kill(self) -> None:
        """`kill -9` the process alone, as a power cut would; the watcher starts it again."""
        if (pid := self.pid) is not None:
            os.kill(pid, signal.SIGKILL)

    def said(self, lines: int = 12) -> str:
        """The last lines of the child's log."""
        with suppress(OSError):
            return "\n".join(self.program.log.read_text(errors="replace").splitlines()[-lines:])
        return ""

    async def _spawn(self) -> None:
        program = self.program
        if program.before_start is not None:
            program.before_start()
        program.log.parent.mkdir(parents=True, exist_ok=True)
        with program.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *program.command,
                cwd=program.directory,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **program.environment},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        self._started_at = time.monotonic()

    async def _wait_until_ready(self) -> None:
        program, process = self.program, self._process
        assert process is not None
        deadline = time.monotonic() + program.ready_seconds
        while time.monotonic() < deadline:
            if process.returncode is not None:
                raise self._failed(f"{_ending(process.returncode)} at its start")
            if await program.is_ready():
                return
            await asyncio.sleep(0.05)
        raise self._failed(f"was not ready within {program.ready_seconds:.0f} s")

    def _still_wanted(self) -> bool:
        return self._is_wanted

    def _failed(self, how: str) -> DemoError:
        return DemoError(f"{self.program.name} {how}; its log {self.program.log} ends:\n{self.said()}")

    async def _watch(self) -> None:
        failures = 0
        while (process := self._process) is not None:
            code = await process.wait()
            if not self._still_wanted():
                return
            _signal_group(process.pid, signal.SIGKILL)  # whatever it had started
            failures = 0 if time.monotonic() - self._started_at > _STEADY_SECONDS else failures
            self._say(f"{self.program.name} {_ending(code)}; starting it again")
            await asyncio.sleep(_BACKOFF_SECONDS[min(failures, len(_BACKOFF_SECONDS) - 1)])
            failures += 1
            self.restarts += 1
            try:
                await self._spawn()
                await self._wait_until_ready()
                if self.program.after_restart is not None:
                    await self.program.after_restart()
            except DemoError as error:
                self._say(str(error))
                if process is self._process:
                    return
                continue
            self._say(f"{self.program.name} is back")


class Supervisor:
    """All children of one demo, in the order in which they were started."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self.children: dict[str, Child] = {}

    async def start(self, program: Program) -> Child:
        """Start one program and wait until it is ready."""
        child = Child(program, self._say)
        self.children[program.name] = child
        await child.start()
        return child

    async def stop(self) -> None:
        """Stop all, the last started first."""
        for child in reversed(list(self.children.values())):
            await child.stop()


def _ending(code: int) -> str:
    if code < 0:
        with suppress(ValueError):
            return f"was killed by {signal.Signals(-code).name}"
    return f"ended with exit code {code}"


def _signal_group(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, number)


def _die_with_parent() -> None:  # runs in the child between fork and exec
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
