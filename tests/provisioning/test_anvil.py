"""What a development chain leaves behind when it is killed: nothing outside the folder it was given."""

from __future__ import annotations

import ast
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from provisioning.demo.anvil import anvil_command
from provisioning.errors import ChainSetupError
from provisioning.rpc import Rpc
from tests.processes import REPOSITORY, free_port, is_listening, running

BLOCKS = 700  # more than anvil keeps in memory
ROOMS = ("cloud", "contracts", "devices", "edge", "firmware", "minglou", "provisioning", "tests")


def grown_and_killed(home: Path, states: Path | None) -> Any:
    """The balance at block 1 after that many blocks, and then SIGKILL."""
    home.mkdir()
    port = free_port()
    command = anvil_command(port, every_state_in=states)
    where = {"HOME": str(home), "XDG_CACHE_HOME": str(home), "XDG_CONFIG_HOME": str(home), "TMPDIR": str(home)}
    with (
        running(
            command, name="anvil", output_dir=home.parent, ready=lambda: is_listening(port), environment=where
        ) as anvil,
        closing(Rpc(f"http://127.0.0.1:{port}", timeout_seconds=60)) as rpc,
    ):
        rpc.call("anvil_mine", [hex(BLOCKS)])
        assert int(rpc.call("eth_blockNumber", []), 16) == BLOCKS
        try:
            return rpc.call("eth_getBalance", ["0x" + "00" * 20, "0x1"])
        finally:
            anvil.kill()


def test_a_killed_chain_leaves_nothing_in_its_users_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with pytest.raises(ChainSetupError, match="BlockOutOfRange"):
        grown_and_killed(home, None)
    assert list(home.rglob("*")) == []


def test_every_state_is_kept_in_the_folder_named_for_it(tmp_path: Path) -> None:
    home, states = tmp_path / "home", tmp_path / "states"
    assert grown_and_killed(home, states) == "0x0"
    assert list(home.rglob("*")) == []
    assert len(list(states.rglob("*.json"))) >= BLOCKS - 500


def test_one_function_says_how_anvil_is_started() -> None:
    """Nobody else has the program to start it with."""
    starters = {
        path.relative_to(REPOSITORY).as_posix()
        for room in ROOMS
        for path in (REPOSITORY / room).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and _finds_anvil(node)
    }
    assert starters == {"provisioning/demo/anvil.py"}


def _finds_anvil(call: ast.Call) -> bool:
    name = call.func.id if isinstance(call.func, ast.Name) else getattr(call.func, "attr", "")
    names_it = any(isinstance(word, ast.Constant) and word.value == "anvil" for word in call.args)
    return name == "anvil_program" or (name == "program" and names_it)
