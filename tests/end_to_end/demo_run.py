"""A demo as a process of its own, watched from outside: its page, its children, and what is left after it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.processes import PATIENCE

COMMAND = (sys.executable, "-c", "import sys, minglou; sys.exit(minglou.main())", "demo")


class DemoRun:
    """One started `minglou demo`."""

    def __init__(self, directory: Path, *words: str) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.output = directory.parent / f"{directory.name}.out"
        self._home = directory.parent / "home"
        self._home.mkdir(exist_ok=True)
        with self.output.open("ab") as output:
            self.process = subprocess.Popen(
                [*COMMAND, "--dir", str(directory), *words],
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                env=os.environ | {"HOME": str(self._home)},
            )

    def said(self) -> str:
        """All that it printed."""
        return self.output.read_text(errors="replace")

    def left_at_home(self) -> list[Path]:
        """What its processes have left in their user's home."""
        return list(self._home.rglob("*"))

    def wait(self, seconds: float) -> int:
        """Its exit code."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.end()
            raise AssertionError(f"the demo did not end within {seconds} s:\n{self.said()}") from None

    def interrupt(self, seconds: float = 240.0) -> int:
        """Ctrl-C."""
        self.process.send_signal(signal.SIGINT)
        return self.wait(seconds)

    def end(self) -> None:
        """End it by force if it still runs; its children die with it."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(120)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def children(self) -> dict[int, str]:
        """Process ids and command lines of everything below the launcher."""
        return processes_below(self.process.pid)

    def child(self, words: str) -> int:
        """The one child whose command line contains `words`."""
        found = [pid for pid, command in self.children().items() if words in command]
        assert found, (words, self.children(), self.said())
        return found[0]

    def state(self) -> dict[str, Any]:
        """What the launcher's page is told; empty when it does not answer."""
        ports = self.ports()
        return fetch(f"http://127.0.0.1:{ports['control']}/state.json") if ports else {}

    def ports(self) -> dict[str, int]:
        """The demo's ports; empty while it is set up."""
        try:
            found: dict[str, int] = json.loads((self.directory / "demo.json").read_text())["ports"]
        except (OSError, ValueError):
            return {}
        return found

    def press(self, path: str) -> int:
        """Press a button of the launcher's page, as the page itself does; the HTTP status."""
        base = f"http://127.0.0.1:{self.ports()['control']}"
        with urllib.request.urlopen(base, timeout=5) as page:
            match = re.search(r'name="demo-token" content="([^"]+)"', page.read().decode())
        assert match is not None
        request = urllib.request.Request(base + path, data=b"", headers={"X-Minglou-Demo": match.group(1)})
        with urllib.request.urlopen(request, timeout=5) as answer:
            status: int = answer.status
        return status

    def status(self, name: str) -> dict[str, Any]:
        """The gateway's (`status`) or the cloud's (`cloud`) own status."""
        ports = self.ports()
        path = {"status": "/status.json", "cloud": "/v1/status"}[name]
        return fetch(f"http://127.0.0.1:{ports[name]}{path}") if ports else {}

    def until(self, condition: Callable[[], bool], *, seconds: float, what: str) -> None:
        """Wait for something that takes at most so long on a quiet machine, as long as the demo runs."""
        deadline = time.monotonic() + seconds * PATIENCE
        while not condition():
            assert self.process.poll() is None, f"the demo ended while waiting for {what}:\n{self.said()}"
            assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}:\n{self.said()}"
            time.sleep(0.2)


def fetch(url: str) -> dict[str, Any]:
    """A JSON object of one of the demo's processes; empty when it does not answer."""
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            document = json.load(answer)
    except (OSError, ValueError, urllib.error.URLError):
        return {}
    return document if isinstance(document, dict) else {}


def processes_below(root: int) -> dict[int, str]:
    """All living descendants of a process."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    below = {root}
    while more := {pid for pid, parent in parents.items() if parent in below} - below:
        below |= more
    return {pid: command_line(pid) for pid in below - {root}}


def command_line(pid: int) -> str:
    """The words that a process was started with."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def processes_of(directory: Path) -> list[str]:
    """Command lines of living processes that mention the demo's directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            line = command_line(int(entry.name))
            if str(directory) in line:
                found.append(line)
    return found
