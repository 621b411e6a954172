"""`minglou cloud serve` with `[cloud] workers` above one: server processes that share one listening socket.

The supervisor binds the socket, starts the processes and starts another for each that ends; it serves nothing itself.
What was acknowledged is in the store, so a worker that is killed loses nothing but the answers it had under way, which
gateways ask for again. A worker that loses its supervisor stops, so none is left behind.
"""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import Sequence
from functools import partial

from cloud.errors import SettingsError
from cloud.hang_up import hear_hang_ups, holding_hang_ups
from cloud.settings import CloudSettings

__all__ = ["FIGURES_VARIABLE", "WRONG_SETTINGS", "Supervisor", "listen"]

FIGURES_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus_client keeps the figures that several processes share; it reads this when it is imported."""

WRONG_SETTINGS = 2  # exit code: until somebody corrects them, starting it again would find the same

_log = logging.getLogger("cloud.supervisor")
_BACKLOG = 2_048
_LIVED_SECONDS = 10.0  # who lived that long is started again at once
_STARTING_SECONDS_MAX = 60.0  # who runs longer has found its settings right
_PAUSE_SECONDS, _PAUSE_SECONDS_MAX = 0.2, 10.0
_END_SECONDS = 30.0  # workers end themselves by force after 25


def listen(host: str, port: int) -> socket.socket:
    """The socket that all workers accept from. Raises `SettingsError` where the address cannot be had."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        created = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise SettingsError(
            f"[cloud] listen: {host} port {port} cannot be had ({os.strerror(error.errno or 0)}); end what listens "
            "there (`ss -ltnp` names it), or write another address"
        ) from error
    # Opened again by its number it knows that it is TCP. asyncio asks for that before it turns Nagle's algorithm off,
    # which would keep the body behind its head until the other side's delayed acknowledgement, up to 40 ms.
    return socket.socket(fileno=created.detach())


class Supervisor:
    """Keeps `settings.workers` processes running until it is told to stop."""

    def __init__(self, settings: CloudSettings, words: Sequence[str], *, ends_with_terminal: bool = False) -> None:
        """`words` tell a worker where the settings of all sites stand. SIGHUP is passed on to them, or ends all."""
        self._ends_with_terminal = ends_with_terminal
        self._starting = asyncio.Lock()
        self._settings, self._words = settings, words
        self._figures = settings.data_dir / "worker-figures"
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._wrong_at: dict[int, float] = {}  # by seat: when its last process began that found its settings wrong
        self._is_stopping = asyncio.Event()
        self._code = 0

    async def run(self) -> int:
        """Until SIGTERM or SIGINT; the exit code: 0, or `WRONG_SETTINGS` where no worker finds its settings right."""
        shutil.rmtree(self._figures, ignore_errors=True)
        self._figures.mkdir(parents=True)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._is_stopping.set)
        hang_up = self._is_stopping.set if self._ends_with_terminal else partial(self._pass_on, signal.SIGHUP)
        hear_hang_ups(hang_up, unless_ignored=self._ends_with_terminal)
        lifeline, held = os.pipe()
        with listen(self._settings.host, self._settings.port) as listener:
            inherited = (listener.fileno(), lifeline)
            seats = [asyncio.create_task(self._keep(at, inherited)) for at in range(1, self._settings.workers + 1)]
            await self._is_stopping.wait()
            await self._end(seats)
        os.close(lifeline)
        os.close(held)
        shutil.rmtree(self._figures, ignore_errors=True)
        _log.info("cloud: all workers stopped")
        return self._code

    async def _keep(self, seat: int, inherited: tuple[int, int]) -> None:
        """Have a process in this seat, again and again."""
        failures, loop = 0, asyncio.get_running_loop()
        while not self._is_stopping.is_set():
            started = loop.time()
            try:
                says = await self._live(seat, inherited)
            except OSError as error:  # no memory, process or file is left: soon there may be
                says = f"could not be started: {error}"
            if self._is_stopping.is_set():
                return
            failures = 0 if loop.time() - started > _LIVED_SECONDS else failures + 1
            _log.error("cloud: worker %d %s; starting another", seat, says)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(_PAUSE_SECONDS_MAX, _PAUSE_SECONDS * 2 ** min(failures, 10))):
                    await self._is_stopping.wait()

    async def _live(self, seat: int, inherited: tuple[int, int]) -> str:
        """One process in this seat, until it ends; how it did. Raises `OSError` where none can be started."""
        started = asyncio.get_running_loop().time()
        process = self._running[seat] = await self._start(seat, inherited)
        if self._is_stopping.is_set():  # while it was being started: nobody else has told it
            _tell(process, signal.SIGTERM)
        code = await process.wait()
        self._forget(process.pid)
        self._note(seat, started, is_wrong=code == WRONG_SETTINGS)
        return f"(process {process.pid}) ended with {code}"

    def _note(self, seat: int, started: float, *, is_wrong: bool) -> None:
        """End all when every seat finds its settings wrong. While one serves, those may be what somebody just edits."""
        self._wrong_at.pop(seat, None)
        if is_wrong:
            self._wrong_at[seat] = started
        since = asyncio.get_running_loop().time() - _STARTING_SECONDS_MAX
        if len([at for at in self._wrong_at.values() if at > since]) == self._settings.workers:
            self._code = WRONG_SETTINGS
            self._is_stopping.set()

    async def _start(self, seat: int, inherited: tuple[int, int]) -> asyncio.subprocess.Process:
        listener, lifeline = inherited
        words = [*self._words, "--seat", str(seat), "--listener", str(listener)]
        async with self._starting:
            with holding_hang_ups():
                return await asyncio.create_subprocess_exec(
                    *(sys.executable, "-P", "-m", "cloud.serving", *words, "--lifeline", str(lifeline)),
                    pass_fds=inherited,
                    env={**os.environ, FIGURES_VARIABLE: str(self._figures)},
                )

    def _forget(self, pid: int) -> None:
        """What a process that ended had said of its present state; what it has counted stays in the sums."""
        for file in self._figures.glob(f"gauge_live*_{pid}.db"):
            file.unlink(missing_ok=True)

    def _pass_on(self, number: signal.Signals) -> None:
        for process in self._running.values():
            _tell(process, number)

    async def _end(self, seats: list[asyncio.Task[None]]) -> None:
        self._pass_on(signal.SIGTERM)
        _, late = await asyncio.wait(seats, timeout=_END_SECONDS)
        for process in self._running.values() if late else ():
            if process.returncode is None:
                process.kill()
        await asyncio.gather(*seats)


def _tell(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(number)
