"""The gateway tells systemd what its service file relies on: ready, alive while it is well, stopping."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.faults.gateway import write_settings
from tests.processes import Program, free_port, is_listening, program, running

WATCHDOG_SECONDS = 1.0
PATIENCE_SECONDS = 60.0


@contextmanager
def supervised(folder: Path) -> Iterator[tuple[Program, socket.socket, int]]:
    """A gateway, the socket on which systemd would listen to it, and the port of its endpoint."""
    port, notify = free_port(), folder / "notify"
    settings = write_settings(folder, endpoint_port=port, broker_port=None)
    minglou = program("minglou")
    subprocess.run([minglou, "edge", "identity", "--config", settings], check=True, capture_output=True, timeout=280)
    environment = {"NOTIFY_SOCKET": str(notify), "WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1e6))}
    command = [minglou, "edge", "run", "--config", settings]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(notify))
        listener.settimeout(PATIENCE_SECONDS)
        with running(command, name="edge", output_dir=folder, environment=environment) as edge:
            yield edge, listener, port


def test_the_gateway_says_ready_alive_and_stopping(tmp_path: Path) -> None:
    with supervised(tmp_path) as (edge, heard, port):
        assert heard.recv(4096).startswith(b"READY=1")
        assert is_listening(port)
        assert [heard.recv(4096) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        assert edge.stop() == 0
        while heard.recv(4096) != b"STOPPING=1":
            pass


def test_a_gateway_that_hangs_is_not_called_alive(tmp_path: Path) -> None:
    with supervised(tmp_path) as (edge, heard, _):
        assert heard.recv(4096).startswith(b"READY=1")
        os.kill(edge.pid, signal.SIGSTOP)
        heard.settimeout(2 * WATCHDOG_SECONDS)
        with pytest.raises(TimeoutError):
            while True:
                heard.recv(4096)
        heard.settimeout(PATIENCE_SECONDS)
        os.kill(edge.pid, signal.SIGCONT)
        assert heard.recv(4096) == b"WATCHDOG=1"
