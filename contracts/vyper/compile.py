"""Compile the Vyper contracts into build/*.json: `python -m contracts.vyper.compile`.

The artefacts are git-ignored and carry the digest of their sources and of the compiler's version, so that a run
with nothing changed reads small files and stops, and a change compiles only what it touches.
"""

import argparse
import hashlib
import json
import os
import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.errors import ContractsError

SOURCES = Path(__file__).parent
BUILD = SOURCES / "build"
COMPILER = "0.4.3"
CONTRACTS = (
    "Registry",
    "Roll",
    "Crews",
    "Labels",
    "Bindings",
    "AnchorLog",
    "Tariffs",
    "Charges",
    "UsageFees",
    "Challenges",
    "Token",
    "ReserveFund",
    "WorkOrders",
    "P256Verifier",
    "Counterevidence",
    "ServiceAgreements",
    "Resolutions",
    "Ballots",
    "Assembly",
)
RUNTIME_BYTES_MAX = 24_576  # EIP-170


class CompileError(ContractsError):
    """The contracts cannot be compiled here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """One compiled contract."""

    contract: str
    abi: list[dict[str, Any]]
    bytecode: bytes  # creation code, before constructor arguments
    runtime_bytes: int


def source_digest(contract: str) -> str:
    """SHA-256 over the compiler's version, the contract and every module that it imports."""
    digest = hashlib.sha256(COMPILER.encode())
    for path in sorted(_sources(contract)):
        content = path.read_bytes()
        digest.update(f"{path.name}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()


def artifact(contract: str) -> Artifact:
    """The compiled contract, compiling first where the sources changed.

    Raises:
        CompileError: no such contract, or the pinned compiler is not installed.
    """
    if contract not in CONTRACTS:
        raise CompileError(f"contract {contract}: unknown; there are {', '.join(CONTRACTS)}")
    return _read_built(contract) or _compile(contract)


def compile_all(*, force: bool = False) -> dict[str, Artifact]:
    """All contracts; compiles and writes build/*.json unless what stands there is of these sources.

    The compiler uses one core for up to twenty seconds a contract, so each waiting one gets a process of its own.
    """
    built = {} if force else {contract: found for contract in CONTRACTS if (found := _read_built(contract))}
    waiting = [contract for contract in CONTRACTS if contract not in built]
    if waiting:
        with ProcessPoolExecutor() as processes:
            built |= dict(zip(waiting, processes.map(_compile, waiting), strict=True))
    return {contract: built[contract] for contract in CONTRACTS}


def compile_source(contract: str, *, folder: Path = SOURCES, evm_version: str | None = None) -> dict[str, Any]:
    """The compiler's own output for one contract: abi, bytecode, bytecode_runtime, layout and assembly.

    Args:
        contract: file name without `.vy`.
        folder: where the file stands; our modules can be imported from anywhere.
        evm_version: the compiler's target; None for its default (prague). `london` has neither PUSH0 nor MCOPY.
    """
    try:
        import vyper
        from vyper.compiler import compile_from_file_input
        from vyper.compiler.input_bundle import FilesystemInputBundle
        from vyper.compiler.settings import Settings
    except ImportError as error:
        raise CompileError(f"vyper is missing; install vyper=={COMPILER} (extra `dev`)") from error
    if not vyper.__version__.startswith(COMPILER):
        raise CompileError(f"vyper {vyper.__version__} is installed; the contracts need exactly {COMPILER}")
    bundle = FilesystemInputBundle([SOURCES, folder])
    output: dict[str, Any] = compile_from_file_input(
        bundle.load_file(f"{contract}.vy"),
        input_bundle=bundle,
        output_formats=["abi", "bytecode", "bytecode_runtime", "layout", "asm"],
        settings=Settings(evm_version=evm_version),
    )
    return output


def deployed_bytes(output: dict[str, Any]) -> int:
    """Size of the contract on chain: its code and, behind it, its immutables and those of its modules."""
    return (len(output["bytecode_runtime"]) - 2) // 2 + _immutable_bytes(output["layout"].get("code_layout", {}))


def _immutable_bytes(layout: dict[str, Any]) -> int:
    if "length" in layout:
        return int(layout["length"])
    return sum(_immutable_bytes(inner) for inner in layout.values() if isinstance(inner, dict))


def _sources(contract: str) -> set[Path]:
    """The contract's file and, through its imports, those of our modules."""
    found: set[Path] = set()
    waiting = [SOURCES / f"{contract}.vy"]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            imported = re.findall(r"^import (\w+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            waiting += [SOURCES / f"{module}.vy" for module in imported]
    return found


def _read_built(contract: str) -> Artifact | None:
    try:
        built = json.loads((BUILD / f"{contract}.json").read_text())
    except (FileNotFoundError, ValueError):
        return None
    if built.get("source_digest") != source_digest(contract):
        return None
    return Artifact(
        contract=contract,
        abi=built["abi"],
        bytecode=bytes.fromhex(built["bytecode"].removeprefix("0x")),
        runtime_bytes=built["runtime_bytes"],
    )


def _compile(contract: str) -> Artifact:
    output = compile_source(contract)
    runtime_bytes = deployed_bytes(output)
    if runtime_bytes > RUNTIME_BYTES_MAX:
        raise CompileError(f"{contract}: {runtime_bytes} bytes of code, EIP-170 allows {RUNTIME_BYTES_MAX}; split it")
    BUILD.mkdir(exist_ok=True)
    built = {
        "contract": contract,
        "vyper": COMPILER,
        "source_digest": source_digest(contract),
        "abi": output["abi"],
        "bytecode": output["bytecode"],
        "runtime_bytes": runtime_bytes,
    }
    # Written beside and renamed, so that a process that reads at the same time never sees half a file.
    beside = BUILD / f".{contract}-{os.getpid()}.json"
    beside.write_text(json.dumps(built, indent=1) + "\n")
    beside.replace(BUILD / f"{contract}.json")
    return Artifact(
        contract=contract,
        abi=built["abi"],
        bytecode=bytes.fromhex(output["bytecode"].removeprefix("0x")),
        runtime_bytes=runtime_bytes,
    )


def main() -> int:
    """Compile what changed and say how large each contract is."""
    parser = argparse.ArgumentParser(description="Compile the Vyper contracts into contracts/vyper/build.")
    parser.add_argument("--force", action="store_true", help="compile although nothing changed")
    parser.add_argument("--evm-version", metavar="NAME", help="only say how large each would be for this target")
    arguments = parser.parse_args()
    if arguments.evm_version is not None:
        for name in CONTRACTS:
            size = deployed_bytes(compile_source(name, evm_version=arguments.evm_version))
            print(f"{name:20} {size:6} bytes for {arguments.evm_version}" + ", too large" * (size > RUNTIME_BYTES_MAX))
        return 0
    for name, built in compile_all(force=arguments.force).items():
        print(f"{name:10} {built.runtime_bytes:6} bytes of {RUNTIME_BYTES_MAX}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
