"""The libraries that the gateway is said to use are used, and none of them delays its start."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.processes import REPOSITORY

USED = {
    "paho.mqtt.client": "edge/mqtt/broker.py",
    "bleak": "edge/ble/collector.py",
    "serial": "edge/bus/port.py",
    "aiosqlite": "edge/status.py",
    "aiomqtt": "edge/home_assistant.py",
}


@pytest.mark.parametrize(("library", "path"), USED.items())
def test_each_library_is_used_where_it_was_promised(library: str, path: str) -> None:
    assert f"import {library}" in Path(REPOSITORY, path).read_text() or f"from {library} " in Path(
        REPOSITORY, path
    ).read_text()  # fmt: skip


def test_the_gateways_core_starts_without_any_of_them() -> None:
    loaded = f"import edge.gateway, sys; print([name for name in {list(USED)} if name in sys.modules])"
    answer = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert answer.stdout.strip() == "[]"
