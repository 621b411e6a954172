"""The arrows between the rooms (import-linter, settings in pyproject.toml) hold, and a broken one is noticed."""

from __future__ import annotations

import ast
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.house.tree import PACKAGES, text_of, tracked_with
from tests.processes import REPOSITORY, program


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """import-linter's judgement of the packages in `folder`."""
    command = [str(program("lint-imports")), "--no-cache"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=280)


def test_every_arrow_between_rooms_holds() -> None:
    told = lint(REPOSITORY)
    assert told.returncode == 0, told.stdout[-3000:]


@pytest.mark.parametrize(
    ("file", "line", "broken"),
    [
        ("edge/stray.py", "import cloud", "edge and cloud never import each other"),
        ("cloud/stray.py", "import devices", "cloud imports contracts only"),
        ("devices/stray.py", "import provisioning", "devices imports contracts only"),
        ("contracts/stray.py", "import devices", "contracts is the ground floor"),
        ("contracts/stray.py", "import web3", "contracts does no I/O"),
        ("edge/stray.py", "import web3", "edge stays small"),
    ],
)
def test_a_broken_arrow_is_noticed(tmp_path: Path, file: str, line: str, broken: str) -> None:
    """Bare packages under the project's settings, with one import too many."""
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    for module in [*PACKAGES, *modules_named_in_contracts()]:
        (tmp_path / Path(*module.split("."))).mkdir(exist_ok=True, parents=True)
    for folder in [path for path in tmp_path.rglob("*") if path.is_dir()]:
        (folder / "__init__.py").write_text("")
    (tmp_path / file).write_text(line + "\n")
    told = lint(tmp_path)
    assert told.returncode != 0
    assert [row for row in told.stdout.splitlines() if row.startswith(broken) and row.endswith("BROKEN")]


def modules_named_in_contracts() -> set[str]:
    """Ours that an arrow begins or ends at: the linter knows no arrow between modules that are not there."""
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    named = {one for contract in contracts for key in contract for one in contract[key] if key.endswith("modules")}
    return {module for module in named if module.partition(".")[0] in PACKAGES}


def imported_names(path: Path, room: str) -> list[str]:
    """Dotted modules of `room` that a file imports, with the names it takes from them."""
    names = []
    for node in ast.walk(ast.parse(text_of(path) or "")):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] == room:
            names += [f"{node.module}.{alias.name}" for alias in node.names]
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names if alias.name.partition(".")[0] == room]
    return names


@pytest.mark.parametrize("room", ["edge", "cloud"])
def test_provisioning_uses_public_names_of_edge_and_cloud_alone(room: str) -> None:
    files = [path for path in tracked_with(".py") if path.parts[0] == "provisioning"]
    names = [name for path in files for name in imported_names(path, room)]
    assert [name for name in names if any(part.startswith("_") for part in name.split("."))] == []


def test_nothing_imports_firmware_or_tests() -> None:
    files = [path for path in tracked_with(".py") if path.parts[0] in PACKAGES]
    assert [str(path) for path in files if imported_names(path, "firmware") or imported_names(path, "tests")] == []
