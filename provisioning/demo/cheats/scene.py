"""What every cheat needs: where things are, how to ask the cloud, and how to ask the verifier."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provisioning.demo.cheats.report import Notice
from provisioning.demo.commands import try_command
from provisioning.demo.errors import DemoError
from provisioning.demo.processes import minglou
from provisioning.demo.state import DemoState
from provisioning.demo.supervisor import Supervisor
from provisioning.files import write_private
from provisioning.names import SecretNames
from provisioning.settings import Places
from provisioning.site import Device, Site

__all__ = ["Answer", "HeldEntry", "Scene", "fetch"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer of one of our processes; code 0 when none came."""

    code: int
    body: bytes

    def json(self) -> dict[str, Any]:
        """The answer's JSON object; empty when it is none."""
        try:
            document = json.loads(self.body)
        except ValueError:
            return {}
        return document if isinstance(document, dict) else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldEntry:
    """One entry as the cloud's database holds it."""

    log_id: int
    index: int
    value: int
    quantity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One demo, as a cheat meets it."""

    places: Places
    state: DemoState
    site: Site
    names: SecretNames
    supervisor: Supervisor

    @property
    def origin(self) -> str:
        """The gateway's log."""
        return self.site.origin(self.site.gateways[0])

    @property
    def cloud_url(self) -> str:
        """The cloud's address."""
        return f"http://127.0.0.1:{self.state.ports.cloud}"

    @property
    def rpc_url(self) -> str:
        """The chain's address."""
        return f"http://127.0.0.1:{self.state.ports.chain}"

    def meter(self, unit: str) -> Device:
        """A unit's electricity meter."""
        return next(device for device in self.site.devices if device.unit == unit and device.kind == "meter")

    @contextmanager
    def cloud_database(self) -> Iterator[sqlite3.Connection]:
        """The cloud's database file, opened behind the cloud's back."""
        connection = sqlite3.connect(self.places.cloud / "data" / "cloud.sqlite3", timeout=15)
        try:
            with connection:
                yield connection
        finally:
            connection.close()

    def closing_entry(self, unit: str) -> HeldEntry:
        """The boundary entry that closes a unit's period, which its bill rests on."""
        device = self.names.device(self.site, self.meter(unit))
        quantity = f"1-0:1.8.0*{self.state.month.closing:%Y%m%d}"
        with self.cloud_database() as database:
            row = database.execute(
                "SELECT log_id, entry_index, value, quantity FROM entries WHERE device = ? AND quantity = ?",
                (device, quantity),
            ).fetchone()
        if row is None:
            raise DemoError(f"the cloud holds no entry {quantity} of {unit}; let the month end first")
        return HeldEntry(log_id=row[0], index=row[1], value=row[2], quantity=row[3])

    async def ask_cloud(
        self, path: str, *, body: bytes | None = None, headers: dict[str, str] | None = None, method: str | None = None
    ) -> Answer:
        """GET, or POST a body unless another method is named, with the launcher's token unless another is given."""
        token = await self._token()
        request = urllib.request.Request(  # noqa: S310 - our own address
            self.cloud_url + path, data=body, headers={"Authorization": f"Bearer {token}", **(headers or {})},
            method=method,
        )  # fmt: skip
        return await asyncio.to_thread(fetch, request)

    async def _token(self) -> str:
        """This demo's own token for programs, made when it is first needed, as an operator makes one."""
        kept = self.places.cloud / "api.token"
        if not kept.exists():
            settings = ("--config", str(self.places.cloud / "cloud.toml"))
            scopes = ("--scope", "evidence:read", "--scope", "entries:read", "--scope", "bills:read")
            made = await try_command(
                minglou("identity", "token", "--name", "demo", *scopes, *settings), directory=self.places.root
            )
            if made.code:
                raise DemoError(f"no token for the demo's questions: {made.said[-400:]}")
            write_private(kept, made.stdout.strip().encode() + b"\n")
        return kept.read_text().strip()

    async def evidence(self, index: int) -> bytes:
        """The cloud's evidence file for one entry of the gateway's log.

        Raises:
            DemoError: the cloud gives none.
        """
        answer = await self.ask_cloud(f"/v1/evidence/{self.origin}/{index}")
        if answer.code != 200:
            raise DemoError(
                f"no evidence for entry {index}: {answer.code} {answer.body[:200].decode(errors='replace')}"
            )
        return answer.body

    async def verify(self, evidence: bytes, name: str) -> tuple[dict[str, Any], list[Notice]]:
        """The verdict of `minglou verify`, in a process of its own, and its failed checks."""
        path = self.places.root / "evidence" / f"{name}.json"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(evidence)
        outcome = await try_command(
            minglou("verify", str(path), "--trust", str(self.places.trust_file), "--rpc", self.rpc_url, "--json"),
            directory=self.places.root,
        )
        try:
            verdict: dict[str, Any] = json.loads(outcome.stdout)
        except ValueError as error:
            raise DemoError(f"`minglou verify {path}` said: {outcome.said}") from error
        failed = [
            Notice(who="minglou verify", check=check["name"], says=check["says"])
            for check in verdict["checks"]
            if check["outcome"] == "failed"
        ]
        return verdict, failed

    async def until(self, log: Path, line: str, *, after: int, seconds: float) -> str | None:
        """The first line of a log that contains `line`, past byte `after`; None when it does not come in time."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            found = await asyncio.to_thread(_find_line, log, line, after)
            if found is not None:
                return found
            await asyncio.sleep(0.1)
        return None


def _find_line(log: Path, line: str, after: int) -> str | None:
    text = log.read_bytes()[after:].decode(errors="replace")
    return next((one for one in text.splitlines() if line in one), None)


def fetch(request: urllib.request.Request) -> Answer:
    """The answer of one of our own processes."""
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:  # noqa: S310 - our own address
            return Answer(code=answer.status, body=answer.read())
    except urllib.error.HTTPError as error:
        return Answer(code=error.code, body=error.read())
    except OSError as error:
        return Answer(code=0, body=str(error).encode())
