"""Fixtures that several rooms share: a development chain, an MQTT broker, and where the browser is."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from provisioning.demo.anvil import anvil_command
from tests.postgres import PostgresServer, postgres_server
from tests.processes import Program, free_port, is_listening, program, running

# The machine is shared: how long a property thinks says nothing about it.
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")

# Files that take longest, longest first: begun last, one of them would leave the other processes idle.
LONGEST = (
    "end_to_end/test_demo_survival",
    "end_to_end/test_demo_once",
    "edge/test_bus",
    "cloud/test_tenants",
    "crew/test_app",
    "cloud/web/test_browser",
    "cloud/test_server_processes",
    "cloud/test_sites",
    "cloud/test_serving",
    "edge/test_ble",
    "cloud/test_ingest_log",
    "devices/test_building_mqtt",
    "minglou/test_time_of_use",
    "cloud/test_billing",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first, the others in their order."""
    files = [f"tests/{name}.py" for name in LONGEST]
    items.sort(key=lambda item: next((at for at, name in enumerate(files) if item.nodeid.startswith(name)), len(files)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A started server: where it listens, and the program behind it."""

    port: int
    url: str
    program: Program


@pytest.fixture(scope="module")
def anvil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Endpoint]:
    """A development chain (id 31337) that mines each transaction at once; one for each test module."""
    port = free_port()
    directory = tmp_path_factory.mktemp("anvil")
    with running(anvil_command(port), name="anvil", output_dir=directory, ready=lambda: is_listening(port)) as started:
        yield Endpoint(port=port, url=f"http://127.0.0.1:{port}", program=started)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Endpoint]:
    """An MQTT broker without passwords that keeps its sessions on disk, so that a killed one comes back with them."""
    port = free_port()
    settings = tmp_path / "mosquitto.conf"
    store = tmp_path / "mosquitto"
    store.mkdir()
    settings.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {store}/\n"
        "autosave_on_changes true\nautosave_interval 1\nmax_queued_messages 0\nuser root\n",
        encoding="utf-8",
    )
    command = [program("mosquitto"), "-c", settings]
    with running(command, name="mosquitto", output_dir=tmp_path, ready=lambda: is_listening(port)) as started:
        yield Endpoint(port=port, url=f"mqtt://127.0.0.1:{port}", program=started)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL with `fsync` on; one for the whole session."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Path of the browser, for `playwright ... launch(executable_path=..., args=["--no-sandbox"])`."""
    return program("chromium")


@pytest.fixture(scope="session")
def node() -> Path:
    """Path of Node.js 20 or later."""
    return program("node")


@pytest.fixture(autouse=True)
def shallow_recursion() -> Iterator[None]:
    """The interpreter's own limit for every test: py_ecc, which web3 imports, raises it to 100,000 for good."""
    if sys.getrecursionlimit() > 10_000:
        sys.setrecursionlimit(1000)
    yield
