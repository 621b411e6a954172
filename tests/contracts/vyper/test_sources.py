"""Static rules over the sources: sizes, targets, texts of reverts, headers."""

import os
import re
from pathlib import Path

import pytest

from contracts.vyper.compile import (
    CONTRACTS,
    RUNTIME_BYTES_MAX,
    SOURCES,
    CompileError,
    artifact,
    compile_source,
    deployed_bytes,
)

FILES = sorted(SOURCES.glob("*.vy"))
TESTS = Path(__file__).parent
# All of them cost more than a minute: `make soak` takes it. Each run looks at those that work at London (`test_forks`).
AT_LONDON = CONTRACTS if "MINGLOU_SEEDS" in os.environ else ("AnchorLog", "P256Verifier")
# Production floors hold on every chain but the development one, where these tests run: `test_floors` reads them.
FLOORS = {
    "registry: witness delay is below 7 days",
    "registry: recovery delay is below 30 days",
    "tariffs: tariff delay is below 30 days",
    "usage_fees: challenge window is below 7 days",
    "usage_fees: answer window is below 7 days",
    "resolutions: notice is below 15 days",
    "resolutions: window is below 3 days",
    "reserve_fund: public delay is below 3 days",
}


def reasons(path: Path) -> set[str]:
    return set(re.findall(r'assert [^\n]*, "([^"\n]+)"$', path.read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_assertion_says_who_refuses_and_why_and_is_tested_by_text(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert len(re.findall(r"^\s+assert ", source, re.MULTILINE)) == len(
        re.findall(r'^\s+assert [^\n]*, "', source, re.MULTILINE)
    ), "an assertion without a reason"
    stem = re.sub(r"(?<!^)(?=[A-Z])", "_", path.stem).lower()
    tests = "".join(test.read_text(encoding="utf-8") for test in TESTS.glob("test_*.py") if test != Path(__file__))
    for reason in reasons(path):
        assert reason.startswith(f"{stem}: "), reason
        assert reason in tests or reason in FLOORS, f"no test expects {reason!r}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_source_names_its_compiler_licence_and_purpose(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    assert source.startswith("# pragma version 0.4.3\n# pragma nonreentrancy on\n")
    assert "@license Apache-2.0" in source and "@notice" in source
    assert "snekmate" not in source
    for external in re.findall(r'@external\n(?:@\w+\n)*def (\w+)\([^)]*\)[^\n]*:\n    (?!""")', source):
        raise AssertionError(f"{path.name}: {external} has no NatSpec")


@pytest.mark.parametrize("contract", CONTRACTS)
def test_every_contract_fits_its_limit(contract: str) -> None:
    assert artifact(contract).runtime_bytes <= RUNTIME_BYTES_MAX


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::vyper.warnings.ContractSizeLimit")  # Registry and UsageFees are too large there
@pytest.mark.parametrize("contract", AT_LONDON)
def test_every_contract_compiles_for_london(contract: str) -> None:
    """FISCO BCOS runs London: no PUSH0, no MCOPY, no transient storage."""
    output = compile_source(contract, evm_version="london")
    # The new code generator of Vyper 0.4.3 ends a refusal with PUSH0 for every target. At London that is an invalid
    # opcode, which refuses too; P256Verifier alone uses it, and refuses nothing but money.
    code = output["asm"].replace("_sym___revert JUMPDEST PUSH0 DUP1 REVERT", "")
    assert not {"PUSH0", "MCOPY", "TLOAD", "TSTORE"} & set(code.split())
    if contract == "AnchorLog":
        assert deployed_bytes(output) <= RUNTIME_BYTES_MAX


def test_floors_hold_on_every_chain_but_the_development_one() -> None:
    for contract in ("Registry", "Tariffs", "UsageFees", "Resolutions", "ReserveFund"):
        source = (SOURCES / f"{contract}.vy").read_text(encoding="utf-8")
        guarded = source.split("if chain.id != DEVELOPMENT_CHAIN:\n", 1)[1].split("\n    ", 6)
        for reason in FLOORS & reasons(SOURCES / f"{contract}.vy"):
            assert any(reason in line for line in guarded), reason


def test_an_unknown_contract_is_named() -> None:
    with pytest.raises(CompileError, match="unknown"):
        artifact("Treasury")


def test_the_default_target_would_fail_the_london_check() -> None:
    """Otherwise the check above would look in the wrong place."""
    assert {"PUSH0", "MCOPY"} <= set(compile_source("Token")["asm"].split())
