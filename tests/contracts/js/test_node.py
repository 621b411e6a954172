"""The browser's verifier under Node: the same vectors, the same answers; and its constants against the contracts."""

import json
import re
import subprocess
from pathlib import Path

import pytest
from eth_utils import keccak

from contracts.evidence import format_evidence
from contracts.trust import format_trust
from contracts.vyper.compile import artifact
from tests.contracts.js import make, make_act, make_assembly, make_due, make_fund, make_time_of_use
from tests.vectors.deployment import TRUST, Deployment

HERE = Path(__file__).parent
SOURCES = HERE.parents[2] / "contracts" / "js"


def test_the_browser_verifier_passes_every_vector_under_node(node: Path) -> None:
    run = subprocess.run(
        [node, "--test", *sorted(HERE.glob("*.test.js"))], capture_output=True, text=True, timeout=110, check=False
    )
    assert run.returncode == 0, run.stdout[-6000:]
    assert int(re.findall(r"^# pass (\d+)$", run.stdout, re.MULTILINE)[0]) >= 150


def test_the_bill_vectors_are_what_the_contracts_package_writes() -> None:
    assert make.PATH.read_text() == make.written(), "run python -m tests.contracts.js.make"


def test_the_assemblys_vectors_are_what_the_contracts_package_writes() -> None:
    assert make_assembly.PATH.read_text() == make_assembly.written(), "run python -m tests.contracts.js.make_assembly"


def test_the_due_dates_vectors_are_what_the_contracts_package_writes() -> None:
    assert make_due.PATH.read_text() == make_due.written(), "run python -m tests.contracts.js.make_due"


def test_the_acts_vectors_are_what_the_contracts_package_writes() -> None:
    assert make_act.PATH.read_text() == make_act.written(), "run python -m tests.contracts.js.make_act"


def test_the_funds_vectors_are_what_the_contracts_package_writes() -> None:
    assert make_fund.PATH.read_text() == make_fund.written(), "run python -m tests.contracts.js.make_fund"


def test_the_time_of_uses_vectors_are_what_the_contracts_package_writes() -> None:
    assert make_time_of_use.PATH.read_text() == make_time_of_use.written(), (
        "run python -m tests.contracts.js.make_time_of_use"
    )


def test_selectors_are_those_of_the_compiled_contracts() -> None:
    source = (SOURCES / "chain.js").read_text()
    named = dict(re.findall(r"^  (\w+): \"([0-9a-f]{8})\"", source, re.MULTILINE))
    assert set(named) >= {"gateway_key", "assignment", "binding", "period", "tariff"}
    known = _selectors()
    for name, selector in named.items():
        assert known.get(name, selector) == selector, name
    missing = set(named) - set(known)
    assert missing <= {"tariffs"}, missing  # asked first of a contract that may be older than the question


def _selectors() -> dict[str, str]:
    found: dict[str, str] = {}
    for contract in ("Registry", "Roll", "Bindings", "AnchorLog", "UsageFees", "Tariffs"):
        for member in artifact(contract).abi:
            if member["type"] == "function":
                types = ",".join(parameter["type"] for parameter in member["inputs"])
                found[member["name"]] = keccak(text=f"{member['name']}({types})")[:4].hex()
    return found


def test_the_verifier_needs_nothing_but_itself() -> None:
    for path in sorted(SOURCES.glob("*.js")):
        for imported in re.findall(
            r'^(?:import|export) .*?from "([^"]+)";', path.read_text(), re.MULTILINE | re.DOTALL
        ):
            is_command = path.name == "command.js" and imported == "node:fs"
            assert is_command or re.fullmatch(r"\./[a-z0-9]+\.js", imported), f"{path.name} imports {imported}"


@pytest.mark.parametrize(("damage", "code"), [(False, 0), (True, 1)])
def test_the_checker_runs_on_the_command_line(node: Path, tmp_path: Path, damage: bool, code: int) -> None:
    evidence = format_evidence(Deployment().evidence(9))
    (tmp_path / "evidence.json").write_bytes(evidence.replace(b'"value":"13', b'"value":"14') if damage else evidence)
    (tmp_path / "trust.json").write_bytes(format_trust(TRUST))
    command = [node, SOURCES / "command.js", tmp_path / "evidence.json", "--trust", tmp_path / "trust.json"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert run.returncode == code, run.stdout + run.stderr
    assert ("✗ inclusion" in run.stdout) is damage
    assert ("state: logged" in run.stdout) is not damage


def test_the_checker_checks_a_bill_too(node: Path, tmp_path: Path) -> None:
    vectors = json.loads(make.PATH.read_text())
    (tmp_path / "bill.json").write_text(json.dumps(vectors["bill"], separators=(",", ":")))
    (tmp_path / "trust.json").write_text(json.dumps(vectors["trust"]))
    command = [node, SOURCES / "command.js", tmp_path / "bill.json", "--trust", tmp_path / "trust.json"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "✓ tree" in run.stdout
