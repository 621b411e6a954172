"""A gateway's directory for tests: settings, key and credentials, and the real process that runs from them."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from contracts import p256
from edge.credentials import hash_password
from edge.keys import load_or_create_key
from tests.processes import Program, free_port, running

ORIGIN = "test.minglou.example/site/b01/e0"
GATEWAY = "urn:minglou:site:b01:gateway:g1"
PROGRAM = [sys.executable, "-c", "import minglou, sys; sys.exit(minglou.main())"]
PASSWORD = "b5e1f6f2b7cf4c6ab9a1d3d0e7c2f0aa"


@dataclass(slots=True, kw_only=True)
class Site:
    """One gateway's files; call `write` after changing what it should say."""

    directory: Path
    uplink: str = "http://127.0.0.1:9"
    endpoint_port: int = field(default_factory=free_port)
    status_port: int = field(default_factory=free_port)
    tables: list[str] = field(default_factory=list)
    users: dict[str, str] = field(default_factory=dict)
    clock: str = ""
    checkpoint: str = "entries=256\nseconds=0.2"
    environment: dict[str, str] = field(default_factory=dict)
    key_password_file: Path | None = None

    @property
    def config(self) -> Path:
        return self.directory / "gateway.toml"

    @property
    def data_dir(self) -> Path:
        return self.directory / "data"

    @property
    def public(self) -> bytes:
        return p256.public_bytes(load_or_create_key(self.directory / "key.pem", self.key_password_file))

    def write(self) -> Path:
        """Write gateway.toml and credentials.toml."""
        self.directory.mkdir(parents=True, exist_ok=True)
        _ = self.public
        users = "".join(f'"{name}" = "{stored}"\n' for name, stored in self.users.items())
        (self.directory / "credentials.toml").write_text("[users]\n" + users, encoding="utf-8")
        password = f'key_password_file="{self.key_password_file}"\n' if self.key_password_file else ""
        self.config.write_text(
            f'[gateway]\norigin="{ORIGIN}"\nurn="{GATEWAY}"\ndata_dir="data"\nkey_file="key.pem"\n{password}'
            f'timezone="Asia/Shanghai"\n{self.clock}\n[uplink]\nurl="{self.uplink}"\nchain_id=31337\n'
            f'[checkpoint]\n{self.checkpoint}\n[status]\nlisten="127.0.0.1:{self.status_port}"\n'
            f'[mqtt.endpoint]\nlisten="127.0.0.1:{self.endpoint_port}"\ncredentials_file="credentials.toml"\n'
            + "\n".join(self.tables),
            encoding="utf-8",
        )
        return self.config

    def add_sensor(self, name: str, *, profile: str = "sensor-json", line: str = "endpoint") -> str:
        """A device that publishes on `t/NAME`; its URN."""
        urn = f"urn:minglou:site:b01:sensor:{name}"
        self.users.setdefault(name, hash_password(PASSWORD))
        self.tables.append(
            f'[[device]]\nurn="{urn}"\nprofile="{profile}"\nmqtt="{line}"\ntopic="t/{name}"\nusername="{name}"\n'
        )
        return urn

    def status(self) -> dict[str, Any]:
        """What the running gateway says of itself."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.status_port}/status.json", timeout=60) as answer:
            fields: dict[str, Any] = json.load(answer)
            return fields

    @contextmanager
    def running(self) -> Iterator[Program]:
        """The real process, from its ready line on."""
        command = [*PROGRAM, "edge", "run", "--config", str(self.write())]
        output = self.directory / "edge.log"
        before = _ready_lines(output.read_text(encoding="utf-8")) if output.exists() else 0
        with running(command, name="edge", output_dir=self.directory, environment=self.environment) as process:
            process.wait_ready(lambda: _ready_lines(process.said()) > before, seconds=15)
            yield process

    def restart(self, process: Program) -> None:
        """Start the ended process again, until its next ready line."""
        before = _ready_lines(process.said())
        process.restart()
        process.wait_ready(lambda: _ready_lines(process.said()) > before, seconds=15)

    def ask(self, *words: str) -> "subprocess.CompletedProcess[str]":
        """`minglou edge WORDS --config …` to its end; `write` must have been called."""
        command = [*PROGRAM, "edge", *words, "--config", str(self.config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)


def _ready_lines(said: str) -> int:
    return said.count("edge: ready")
