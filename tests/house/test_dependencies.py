"""Dependencies are declared where they are used, used where they are declared, locked with hashes, and permissive."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.house.tree import PACKAGES, text_of, tracked_with
from tests.processes import REPOSITORY

LOCKS = REPOSITORY / "requirements"
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS: dict[str, list[str]] = PYPROJECT["project"]["optional-dependencies"]

# What a room may use: its own extra, and what the ground floor declares for all.
EXTRAS_OF = {
    "contracts": (),
    "minglou": ("client", "homeassistant", "pdf"),
    "devices": ("edge",),
    "edge": ("edge",),
    "cloud": ("cloud",),
    "provisioning": ("edge", "cloud", "dev"),  # the demo, which runs from a development install, drives a browser
    "tests": ("edge", "cloud", "pdf", "dev"),
    "requirements": ("dev",),
}
# Used by name in a URL or as another package's driver, never imported.
USED_BY_NAME = {"aiosqlite": "sqlite+aiosqlite"}
# The compiler belongs to the build and to developers; only the compile step of contracts/vyper imports it.
BUILD_ONLY = {"vyper": "contracts/vyper/compile.py"}


@cache
def imports_of(room: str) -> dict[str, str]:
    """Top-level module name to one file of `room` that imports it, our own and the standard library's left out."""
    modules: dict[str, str] = {}
    for path in tracked_with(".py"):
        if path.parts[0] != room:
            continue
        for node in ast.walk(ast.parse(text_of(path) or "")):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names = [node.module]
            for name in names:
                modules.setdefault(name.partition(".")[0], path.as_posix())
    own = {*sys.stdlib_module_names, *PACKAGES, "tests"}
    return {name: path for name, path in modules.items() if name not in own}


@cache
def distributions() -> dict[str, list[str]]:
    """Module name to the canonical names of the distributions that install it."""
    table = importlib.metadata.packages_distributions()
    return {module: [canonicalize_name(name) for name in names] for module, names in table.items()}


def declared(extras: tuple[str, ...]) -> set[str]:
    """Canonical names of the base requirements and those of `extras`."""
    words = [*PYPROJECT["project"]["dependencies"], *(word for extra in extras for word in EXTRAS[extra])]
    return {canonicalize_name(Requirement(word).name) for word in words}


@pytest.mark.parametrize(
    ("room", "module"),
    [
        ("edge", "paho"),  # a client of the house's broker, acknowledging by hand
        ("edge", "bleak"),
        ("edge", "serial"),
        ("edge", "aiosqlite"),  # the status page reads while the committer writes
        ("edge", "aiomqtt"),  # device commands, Home Assistant discovery
        ("cloud", "web3"),
        ("cloud", "sqlalchemy"),
        ("cloud", "fastapi"),
        ("devices", "bthome_ble"),
    ],
)
def test_a_library_of_the_card_is_really_used_in_its_room(room: str, module: str) -> None:
    assert module in imports_of(room), f"{room} does not import {module}"


def test_the_clouds_default_store_runs_on_aiosqlite() -> None:
    texts = [text_of(path) or "" for path in tracked_with(".py") if path.parts[0] == "cloud"]
    assert any(USED_BY_NAME["aiosqlite"] in text for text in texts)


@pytest.mark.parametrize("room", sorted(EXTRAS_OF))
def test_a_room_imports_only_what_its_extra_declares(room: str) -> None:
    allowed = declared(EXTRAS_OF[room])
    strangers = {
        module: path
        for module, path in imports_of(room).items()
        if path != BUILD_ONLY.get(module) and not allowed & set(distributions().get(module, [module]))
    }
    assert strangers == {}


@pytest.mark.parametrize(("extra", "rooms"), [("edge", ("edge", "devices")), ("cloud", ("cloud", "provisioning"))])
def test_every_declared_dependency_is_imported(extra: str, rooms: tuple[str, ...]) -> None:
    imported = {name for room in rooms for module in imports_of(room) for name in distributions().get(module, [])}
    idle = {canonicalize_name(Requirement(word).name) for word in EXTRAS[extra]} - imported - set(USED_BY_NAME)
    assert idle == set()


def locked(lock: str) -> dict[str, str]:
    """Canonical name to version of what `lock` holds."""
    pins = re.findall(r"^([a-zA-Z0-9._-]+)==([^\s;\\]+)", (LOCKS / lock).read_text(encoding="utf-8"), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in pins}


@pytest.mark.parametrize("lock", sorted(path.name for path in LOCKS.glob("*.lock")))
def test_every_locked_package_carries_hashes_and_no_address(lock: str) -> None:
    text = (LOCKS / lock).read_text(encoding="utf-8")
    blocks = re.split(r"^(?=[a-zA-Z0-9])", text, flags=re.MULTILINE)[1:]
    assert blocks
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []
    assert "://" not in text
    assert not re.search(r"^\s*-(-index-url|-extra-index-url|-find-links|i|f)\b", text, re.MULTILINE)


def test_npms_lock_carries_integrity_and_no_address() -> None:
    packages = json.loads((LOCKS / "node" / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    for name, package in packages.items():
        package.pop("funding", None)  # where its makers ask for support; nothing is fetched from there
        assert "://" not in json.dumps(package)
        assert not name or package["integrity"].startswith("sha512-")


def test_a_gateway_installs_no_chain_client_and_no_web_server() -> None:
    assert not {"web3", "fastapi", "uvicorn", "starlette", "sqlalchemy", "vyper"} & set(locked("edge.lock"))


def test_a_server_installs_no_radio_and_no_serial_line() -> None:
    assert not {"bleak", "pyserial", "paho-mqtt", "dbus-fast", "vyper"} & set(locked("cloud.lock"))


@pytest.mark.parametrize("room", ["edge", "cloud"])
def test_what_was_tested_is_what_runs(room: str) -> None:
    dev = locked("dev.lock")
    assert {name: version for name, version in locked(f"{room}.lock").items() if dev.get(name) != version} == {}


@pytest.mark.parametrize(("lock", "extra"), [("dev.lock", "dev"), ("edge.lock", "edge"), ("cloud.lock", "cloud")])
def test_the_lock_satisfies_what_the_project_asks_for(lock: str, extra: str) -> None:
    versions = locked(lock)
    words = [*PYPROJECT["project"]["dependencies"], *EXTRAS[extra]]
    for requirement in (Requirement(word) for word in words):
        name = canonicalize_name(requirement.name)
        if name != "minglou":
            assert requirement.specifier.contains(versions[name], prereleases=True), (
                f"{lock}: {requirement}; run `make lock`"
            )


def test_no_copyleft_program_is_installed_with_the_package() -> None:
    copyleft = re.compile(r"\b(A|L)?GPL|GNU (Affero |Lesser )?General", re.IGNORECASE)
    found = []
    for distribution in importlib.metadata.distributions():
        metadata = distribution.metadata
        words = [value[:200] for name in ("License", "License-Expression") for value in metadata.get_all(name) or []]
        words += [value for value in metadata.get_all("Classifier") or [] if value.startswith("License")]
        if copyleft.search(" ".join(words)) and canonicalize_name(distribution.name) in locked("dev.lock"):
            found.append(distribution.name)
    assert found == []
    assert not {"bluezoo", "pyric", "snekmate"} & set(locked("dev.lock"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built offline from the working tree."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", str(folder), "."], cwd=REPOSITORY, check=True, timeout=280)
    return next(folder.glob("minglou-*.whl"))


def test_the_wheel_carries_programs_profiles_pages_and_compiled_contracts(wheel: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(tmp_path)]
    subprocess.run([*command, str(wheel)], check=True, timeout=280)
    held = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    assert not {path.parts[0] for path in held} & {"tests", "firmware", "docs", "requirements"}
    missing = [path for path in tracked_with("") if path.parts[0] in PACKAGES and path not in held]
    assert missing == []
    assert [path for path in held if path.parts[:3] == ("contracts", "vyper", "build")]
    vendor = Path("cloud", "web", "static", "vendor")
    assert {path.name for path in held if path.parent == vendor} >= {"zxing-reader.js", "zxing_reader.wasm"}
    alone = [sys.executable, "-c", "import contracts, minglou; print(minglou.__file__)"]
    told = subprocess.run(alone, env={"PYTHONPATH": str(tmp_path)}, cwd=tmp_path, capture_output=True, check=True)
    assert str(tmp_path) in told.stdout.decode()
