"""Real programs for tests: found, started, awaited, and stopped with everything they started.

Each program runs in its own process group with its output in a file, so that a failed test can show what the program
said and a finished one leaves nothing behind.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
POLL_SECONDS = 0.02
PATIENCE = 6
_PORTS = range(26_000, 32_000)
_own_ports: set[int] = set()


class ProcessError(Exception):
    """A program is missing, ended early, or did not become ready in time."""


def program(name: str) -> Path:
    """Path of an installed program: what `make` put into .tools and .venv first, then PATH.

    Raises:
        ProcessError: not installed; the message names the command that installs it.
    """
    own = (REPOSITORY / ".tools" / "bin" / name, Path(sys.executable).parent / name)
    for path in own:
        if path.exists():
            return path
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise ProcessError(f"{name} is not installed; run `make install`, which installs it or says what to install")
    return Path(found)


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nothing listens on, and that no other process gets here while this one lives.

    It lies below those that the kernel gives to outgoing connections: one of these could take the port before its
    server does, or while its server is down, and a client that tries again and again could even meet itself there.
    """
    lock = _ports_file()
    for port in random.sample(_PORTS, len(_PORTS)):
        if port not in _own_ports and _is_locked_for_us(lock, port) and _can_listen(port):
            _own_ports.add(port)
            return port
    raise ProcessError(f"no free port in {_PORTS}; end what listens there")


@cache
def _ports_file() -> int:
    """One byte for each port; who has locked it has the port, until its process ends."""
    path = Path(tempfile.gettempdir()) / f"minglou-test-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT, 0o600)


def _is_locked_for_us(lock: int, port: int) -> bool:
    try:
        fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    return True


def _can_listen(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_listening(port: int) -> bool:
    """Whether something accepts TCP connections at 127.0.0.1:`port`."""
    with socket.socket() as probe:
        probe.settimeout(0.2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(condition: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Return as soon as `condition()` holds.

    Args:
        seconds: what it takes at most where nothing else runs. A busy machine gets more: a deadline is there for what
            never happens, it does not measure.

    Raises:
        ProcessError: it did not hold in that time; the message carries `what`.
    """
    patience = seconds * PATIENCE
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            raise ProcessError(f"waited {patience:g} s in vain for {what}")
        time.sleep(POLL_SECONDS)


@dataclass(slots=True, kw_only=True)
class Program:
    """One started program; `restart` runs the same command again on the same output file."""

    name: str
    command: tuple[str, ...]
    output: Path
    environment: Mapping[str, str]
    directory: Path
    process: subprocess.Popen[bytes]
    user: str | None = None

    @property
    def pid(self) -> int:
        """Process id, also that of its process group."""
        return self.process.pid

    def is_running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    def said(self) -> str:
        """Everything it has printed so far, over all its restarts."""
        return self.output.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """SIGKILL to its whole group, as a power cut would be; returns when it is gone."""
        self._signal(signal.SIGKILL)
        self.process.wait(timeout=280)

    def stop(self, *, seconds: float = 40) -> int:
        """SIGTERM, and after `seconds` SIGKILL, to its whole group; its exit code.

        Our own programs end themselves by force after 25 s, and say where they hung.
        """
        if self.is_running():
            self._signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=seconds)
        self._signal(signal.SIGKILL)
        return self.process.wait(timeout=280)

    def restart(self) -> None:
        """Start the same command again after it ended."""
        assert not self.is_running(), f"{self.name} still runs; stop or kill it first"
        self.process = _start(self.command, self.output, self.environment, self.directory, self.user)

    def wait_ready(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Wait for `ready()`; a program that ends first raises ProcessError with its last words."""

        def ready_or_ended() -> bool:
            if not self.is_running():
                tail = self.said()[-2000:]
                raise ProcessError(f"{self.name} ended with {self.process.returncode} before it was ready:\n{tail}")
            return ready()

        wait_until(ready_or_ended, seconds=seconds, what=f"{self.name} to be ready (output: {self.output})")

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def _start(
    command: Sequence[str], output: Path, environment: Mapping[str, str], directory: Path, user: str | None
) -> subprocess.Popen[bytes]:
    with output.open("ab") as sink:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
            cwd=directory,
            start_new_session=True,
            user=user,
            group=None if user is None else pwd.getpwnam(user).pw_gid,
            extra_groups=None if user is None else (),
        )


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    name: str,
    output_dir: Path,
    ready: Callable[[], bool] | None = None,
    seconds: float = 20,
    environment: Mapping[str, str] | None = None,
    directory: Path = REPOSITORY,
    user: str | None = None,
) -> Iterator[Program]:
    """Run `command` until the block ends, from the moment that `ready()` holds.

    Args:
        command: program and arguments.
        name: what messages call it; its output goes to `output_dir/name.log`.
        ready: polled until true, for at most `seconds`.
        environment: added to this process's own.
        user: whose rights the program runs with, where root starts one that refuses to be root.
    """
    words = tuple(str(word) for word in command)
    output = output_dir / f"{name}.log"
    process = _start(words, output, environment or {}, directory, user)
    started = Program(
        name=name,
        command=words,
        output=output,
        environment=environment or {},
        directory=directory,
        process=process,
        user=user,
    )
    try:
        if ready is not None:
            started.wait_ready(ready, seconds=seconds)
        yield started
    finally:
        started.stop()
