"""The process helper itself, with the real programs it is for."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.conftest import Endpoint
from tests.processes import ProcessError, is_listening, program, running, wait_until


def test_a_program_is_stopped_with_everything_it_started(tmp_path: Path) -> None:
    child = "import subprocess,sys,time; p=subprocess.Popen([sys.executable,'-c','import time; time.sleep(60)'])"
    command = [sys.executable, "-c", f"{child}; print(p.pid, flush=True); time.sleep(60)"]
    with running(command, name="parent", output_dir=tmp_path) as started:
        started.wait_ready(lambda: "\n" in started.said(), seconds=10)
        grandchild = int(started.said())
    wait_until(lambda: not is_alive(grandchild), seconds=5, what="the grandchild's end")


def is_alive(pid: int) -> bool:
    """Whether `pid` runs; one that only waits for its parent to take notice does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rsplit(")", 1)[1].split()[0] != "Z"


def test_a_program_that_ends_early_is_reported_with_its_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('no key file'); raise SystemExit(3)"]
    with (
        pytest.raises(ProcessError, match=r"ended with 3 before it was ready:\nno key file"),
        running(command, name="early", output_dir=tmp_path, ready=lambda: False),
    ):
        pass


def test_a_missing_program_says_what_to_run() -> None:
    with pytest.raises(ProcessError, match="no-such-program is not installed; run `make install`"):
        program("no-such-program")


def test_anvil_and_mosquitto_answer(anvil: Endpoint, mosquitto: Endpoint) -> None:
    assert is_listening(anvil.port)
    assert is_listening(mosquitto.port)


def test_a_killed_broker_comes_back_on_the_same_port(mosquitto: Endpoint) -> None:
    mosquitto.program.kill()
    assert not is_listening(mosquitto.port)
    mosquitto.program.restart()
    mosquitto.program.wait_ready(lambda: is_listening(mosquitto.port), seconds=10)
