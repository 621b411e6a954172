"""The building as a real process, and the gateway's side of its bus.

The machine is shared, so silence is certain only after a while.
"""

import json
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import serial

from devices.dlt645.connection import Connection, Timing
from devices.dlt645.meter import Job
from devices.dlt645.request import Answered, NoAnswer, Outcome, Refused, Request

RUN = (
    "import argparse, sys; from devices.simulated import command; parser = argparse.ArgumentParser();"
    "command.add_arguments(parser); sys.exit(command.run(parser.parse_args()))"
)
QUICK = Timing(baud=115_200, reply_timeout_seconds=0.6, gap_seconds=0.1, retries=1)
"""A pseudo-terminal has no baud rate: silence is certain much sooner than on a wire."""


@dataclass
class BuildingProcess:
    """A running building; `seconds` of patience everywhere."""

    process: subprocess.Popen[str]
    directory: Path
    ready: str

    @property
    def bus(self) -> str:
        return str(self.directory / "bus1")

    def command(self, **command: Any) -> dict[str, Any]:
        """Send one command to its control socket."""
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(10)
            control.connect(str(self.directory / "control.sock"))
            control.sendall(json.dumps(command).encode() + b"\n")
            answer: dict[str, Any] = json.loads(control.makefile().readline())
            return answer

    def fault(self, device: str, fault: str, count: int = 1) -> None:
        assert self.command(do="fault", device=device, fault=fault, count=count)["ok"]

    def end(self, how: signal.Signals = signal.SIGTERM) -> dict[str, Any]:
        """Stop it; the counters that it prints at a clean stop."""
        self.process.send_signal(how)
        said, _ = self.process.communicate(timeout=15)
        return json.loads(said) if how is signal.SIGTERM else {}

    def wait_for(self, condition: Callable[[dict[str, Any]], bool], seconds: float = 20.0) -> dict[str, Any]:
        """The counters, once they fulfil a condition."""
        give_up = time.monotonic() + seconds
        while not condition(counters := self.command(do="counters")):
            assert time.monotonic() < give_up, counters
            time.sleep(0.02)
        return counters


@pytest.fixture
def start_building(tmp_path: Path) -> Iterator[Callable[..., BuildingProcess]]:
    """Starts buildings in the test's directory from the lines of a building.toml; ends them all."""
    started: list[BuildingProcess] = []

    def start(settings: str, *, seed: int = 7, clock: str = "") -> BuildingProcess:
        config = tmp_path / "building.toml"
        config.write_text(
            f'seed = {seed}\nstate_dir = "{tmp_path}/state"\ncontrol = "{tmp_path}/control.sock"\n{clock}\n'
            f'[serial]\nlink = "{tmp_path}/bus1"\n{settings}'
        )
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, "run", "--config", str(config)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        building = BuildingProcess(process, tmp_path, process.stdout.readline())
        started.append(building)
        assert building.ready.startswith("building: ready"), building.ready
        return building

    yield start
    for building in started:
        if building.process.poll() is None:
            building.process.kill()
        building.process.communicate(timeout=15)


class Master:
    """The gateway's side of the bus: our connection over pyserial."""

    def __init__(self, port: str, timing: Timing = QUICK) -> None:
        self.port = serial.Serial(port, 2400, timeout=0)  # a pseudo-terminal refuses parity
        self.connection = Connection(timing)
        self.events: list[object] = []

    def ask(self, request: Request) -> Outcome:
        """One question to its end."""
        self.events += self.connection.receive(self.port.read(self.port.in_waiting), time.monotonic()).events
        self.port.write(self.connection.start(request, time.monotonic()))
        while True:
            deadline = self.connection.deadline
            assert deadline is not None
            self.port.timeout = max(0.0, deadline - time.monotonic())
            chunk = self.port.read(1) + self.port.read(self.port.in_waiting)
            now = time.monotonic()
            step = self.connection.receive(chunk, now) if chunk else self.connection.tick(now)
            self.port.write(step.send)
            self.events += step.events
            for event in step.events:
                if isinstance(event, Answered | Refused | NoAnswer):
                    return event

    def do(self, job: Job) -> Job:
        """A job to its end."""
        while job.request is not None:
            job.take(self.ask(job.request))
        return job

    def close(self) -> None:
        self.port.close()


@pytest.fixture
def open_master() -> Iterator[Callable[..., Master]]:
    """Opens masters; closes them all."""
    opened: list[Master] = []

    def open_port(port: str, timing: Timing = QUICK) -> Master:
        master = Master(port, timing)
        opened.append(master)
        return master

    yield open_port
    for master in opened:
        master.close()
