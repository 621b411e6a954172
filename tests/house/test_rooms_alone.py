"""Each room runs with what its own lock file installs: no module of it needs a package of another room's."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.house.test_dependencies import distributions, locked
from tests.house.tree import PACKAGES, text_of, tracked_with
from tests.processes import REPOSITORY

# Refuses every installed package that is not allowed, then imports each module of the named rooms.
PROGRAM = """
import importlib, pkgutil, sys
refused, rooms, others = set(sys.argv[1].split()), sys.argv[2].split(), set(sys.argv[3].split())

class Refusal:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in refused:
            raise ModuleNotFoundError(f"{name} is not among what this room installs", name=name)

sys.meta_path.insert(0, Refusal())
for room in rooms:
    package = importlib.import_module(room)
    for module in pkgutil.walk_packages(package.__path__, room + "."):
        if module.name.endswith("__main__") or module.name.startswith("contracts.vyper"):
            continue
        if module.name not in others:
            importlib.import_module(module.name)
print(len(sys.modules))
"""


@pytest.mark.parametrize(
    ("lock", "rooms", "others"),
    [
        # What asks a cloud, or speaks to a household's broker, has an extra of its own: no gateway, no server.
        (
            "edge.lock",
            ("minglou", "contracts", "devices", "edge"),
            ("minglou.client", "minglou.own_flat", "minglou.homeassistant"),
        ),
        ("cloud.lock", ("minglou", "contracts", "cloud"), ("minglou.homeassistant",)),
    ],
)
def test_a_room_imports_with_what_its_lock_installs(lock: str, rooms: tuple[str, ...], others: tuple[str, ...]) -> None:
    installed = set(locked(lock))
    refused = [
        module for module, names in distributions().items() if not installed & set(names) and "minglou" not in names
    ]
    words = [sys.executable, "-W", "ignore", "-c", PROGRAM, " ".join(refused), " ".join(rooms), " ".join(others)]
    told = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, timeout=280)
    assert told.returncode == 0, told.stderr[-1500:]


def test_verifying_needs_two_packages() -> None:
    """Whoever checks evidence installs signatures and ABI encoding, and what those need."""
    script = "import sys, contracts.verifier, minglou.verify; print(*{name.partition('.')[0] for name in sys.modules})"
    told = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=280)
    assert told.returncode == 0, told.stderr[-1500:]
    assert not {"web3", "fastapi", "sqlalchemy", "httpx", "aiohttp", "pydantic", "bleak"} & set(told.stdout.split())


def test_a_witness_stands_alone() -> None:
    """A committee's small machine runs it with a web server and SQLite: nothing of the cloud beside it is loaded."""
    script = "import sys, cloud.witness.command, cloud.witness.app, cloud.web_server; print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, capture_output=True, text=True, timeout=280)
    assert told.returncode == 0, told.stderr[-1500:]
    loaded = told.stdout.split()
    assert not {"web3", "fastapi", "sqlalchemy", "httpx", "pydantic", "eth_abi"} & set(loaded)
    ours = {name for name in loaded if name.startswith("cloud.")}
    assert {name for name in ours if not name.startswith("cloud.witness")} == {
        "cloud.errors",
        "cloud.key_file",
        "cloud.toml_table",
        "cloud.web_server",
    }


def test_whoever_imports_web3_closes_deep_recursion_again() -> None:
    """py_ecc, which web3 and eth_account import, raises the interpreter's limit to 100,000.

    `json.loads` of 64 KB of opening brackets then overflows the C stack, and one request would end the process.
    """
    texts = {path: text_of(path) or "" for path in tracked_with(".py") if path.parts[0] in PACKAGES}
    importers = [
        path for path, text in texts.items() if re.search(r"^ *(from|import) (web3|eth_account)\b", text, re.M)
    ]
    assert [str(path) for path in importers if "sys.setrecursionlimit(" not in texts[path]] == []
