"""Where the programs of the demo are found: what `make install` put into `.tools`, else what the system has."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

from provisioning.demo.errors import DemoError

__all__ = [
    "anvil_program",
    "bluezoo_python",
    "chromium_program",
    "mosquitto_program",
    "nats_program",
    "node_program",
    "system_program",
    "tools_directory",
]


def tools_directory() -> Path:
    """`.tools` of the working copy that this package runs from, or what MINGLOU_TOOLS names."""
    named = os.environ.get("MINGLOU_TOOLS")
    return Path(named) if named else Path(__file__).resolve().parents[2] / ".tools"


def anvil_program() -> Path:
    """The anvil binary itself: its npm wrapper would outlive a kill and leave the chain without a parent."""
    found = sorted(tools_directory().glob("npm/node_modules/@foundry-rs/anvil-*/bin/anvil"))
    if found:
        return found[0]
    if (on_path := shutil.which("anvil")) is not None:
        return Path(on_path)
    raise DemoError("anvil is not installed; run `make install`")


def mosquitto_program() -> Path | None:
    """The mosquitto broker, if installed."""
    return None if _must_do_without("mosquitto") else system_program("mosquitto")


def nats_program() -> Path | None:
    """The NATS server, whose MQTT listener stands in where mosquitto cannot be installed."""
    beside = Path(sys.executable).parent / "nats-server"
    return beside if beside.exists() else system_program("nats-server")


def bluezoo_python() -> Path | None:
    """The interpreter that has bluezoo: GPL, so in an environment of its own and always a process of its own."""
    python = tools_directory() / "bluezoo" / "bin" / "python"
    return python if python.exists() and not _must_do_without("bluetooth") else None


def chromium_program() -> Path | None:
    """Debian's chromium, if installed."""
    return None if _must_do_without("chromium") else system_program("chromium")


def _must_do_without(name: str) -> bool:
    """Whether MINGLOU_WITHOUT names it: to see what the demo is on a machine where it cannot be installed."""
    return name in os.environ.get("MINGLOU_WITHOUT", "").split(",")


def node_program() -> Path | None:
    """Node.js, which runs the owner's checker outside a browser."""
    own = tools_directory() / "bin" / "node"
    return own if own.exists() else system_program("node")


def system_program(name: str) -> Path | None:
    """A program on PATH or in /usr/sbin, which is not on every user's PATH."""
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    return Path(found) if found else None
