"""The simulated building as a process beside the gateway, on one compressed clock."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.edge.site import PROGRAM, Site
from tests.processes import REPOSITORY, Program, running, wait_until

DAY_MS = 86_400_000
LOADED_SECONDS = 0.6


def slowness() -> float:
    """How many times longer than on a quiet machine a gateway needs here and now to be loaded; from 1 to 4."""
    started = time.monotonic()
    subprocess.run([sys.executable, "-c", "import edge.gateway"], cwd=REPOSITORY, check=True)
    return min(4.0, max(1.0, (time.monotonic() - started) / LOADED_SECONDS))


def compressed_clock(days: float, seconds: float, *, lead_seconds: float = 3.5) -> str:
    """A `[clock]` table: `days` that begin `lead_seconds` from now and last `seconds`, ending in real time.

    On a busy machine both are longer, or the days would be over before the processes have started.
    """
    factor = slowness()
    start = time.time_ns() // 1_000_000 + int(lead_seconds * factor * 1000)
    end = start + int(seconds * factor * 1000)
    return f'[clock]\nkind="demo"\nreal_start_ms={start}\nreal_end_ms={end}\ndemo_start_ms={end - int(days * DAY_MS)}\n'


@dataclass(slots=True, kw_only=True)
class House:
    """A building with meters on one bus."""

    directory: Path
    clock: str
    addresses: list[str] = field(default_factory=list)
    extra: str = ""
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def link(self) -> Path:
        return self.directory / "bus1"

    def meters(self, count: int) -> None:
        self.addresses = [f"{number:012d}" for number in range(1, count + 1)]

    def join(self, site: Site, *, address: str | None = None, reply_timeout: float = 0.1) -> None:
        """Give the gateway this bus and all its meters, and one more that is not there."""
        site.clock = self.clock
        site.tables.append(
            f'[[serial]]\nname="bus1"\nport="{self.link}"\nbaud=115200\nparity="even"\n'
            f"reply_timeout_seconds={reply_timeout}\n"
        )
        for one in [*self.addresses, *([address] if address else [])]:
            site.tables.append(
                f'[[device]]\nurn="{urn(one)}"\nprofile="dlt645-2007-single-phase"\nbus="bus1"\naddress="{one}"\n'
            )

    @contextmanager
    def running(self) -> Iterator[Program]:
        self.directory.mkdir(parents=True, exist_ok=True)
        meters = "".join(
            f'[[meter]]\naddress="{one}"\nfloor=1\narea_centi_m2=8930\nkind="flat"\n' for one in self.addresses
        )
        config = self.directory / "building.toml"
        config.write_text(
            f'seed=7\ntimezone="Asia/Shanghai"\nstate_dir="{self.directory}/state"\n'
            f'control="{self.directory}/control.sock"\n{self.clock}\n[serial]\nlink="{self.link}"\n{meters}{self.extra}',
            encoding="utf-8",
        )
        command = [*PROGRAM, "building", "run", "--config", str(config)]
        with running(command, name="building", output_dir=self.directory, environment=self.environment) as process:
            process.wait_ready(lambda: "building: ready" in process.said(), seconds=15)
            yield process

    def control(self, **command: Any) -> dict[str, Any]:
        """One command over the building's control socket."""
        with socket.socket(socket.AF_UNIX) as line:
            line.connect(f"{self.directory}/control.sock")
            line.sendall(json.dumps(command).encode() + b"\n")
            answer: dict[str, Any] = json.loads(line.makefile().readline())
            return answer


def urn(address: str) -> str:
    return f"urn:minglou:site:b01:meter:{address}"


def wait_for_real_time(clock: str, *, more_seconds: float = 0.0) -> None:
    """Until the compressed days are over."""
    end = int(clock.partition("real_end_ms=")[2].split("\n")[0]) / 1000 + more_seconds
    wait_until(lambda: time.time() > end, seconds=120, what="the end of the compressed days")
