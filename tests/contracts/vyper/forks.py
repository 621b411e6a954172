"""Development chains at other forks, and the same blocks once more in an EVM that shares no code with them."""

import gzip
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from contracts.vyper.compile import SOURCES, compile_source
from provisioning.demo.anvil import anvil_command
from tests.contracts.vyper.chain import Chain
from tests.contracts.vyper.site import PRECOMPILE, START
from tests.processes import REPOSITORY, free_port, is_listening, running

FORKS_WITH_PRECOMPILE = {"osaka"}
SECOND_EVM = REPOSITORY / ".tools" / "evm" / "bin" / "python"
SECONDS_MAX = 900


@contextmanager
def chain_at(
    fork: str, output_dir: Path, *, with_verifier: bool = True, with_every_state: bool = False
) -> Iterator[Chain]:
    """A development chain with this fork's rules; where it has no P-256 precompile, our verifier stands there."""
    port, states = free_port(), output_dir / "states" if with_every_state else None
    command = anvil_command(port, "--accounts", "12", hardfork=fork, genesis_s=START, every_state_in=states)
    with running(command, name="anvil", output_dir=output_dir, ready=lambda: is_listening(port)):
        chain = Chain(f"http://127.0.0.1:{port}")
        try:
            if with_verifier and fork not in FORKS_WITH_PRECOMPILE:
                put_verifier_in_place(chain, fork)
            yield chain
        finally:
            chain.close()


def put_verifier_in_place(chain: Chain, fork: str) -> None:
    """Give 0x100 the code of a deployed P256Verifier, so that everything else runs unchanged."""
    target = "london" if fork == "london" else None
    verifier = chain.deploy(chain.accounts[0], creation_for("P256Verifier", target))
    chain.rpc("anvil_setCode", PRECOMPILE, chain.rpc("eth_getCode", verifier, "latest"))


@cache
def creation_for(contract: str, evm_version: str | None, folder: Path = SOURCES) -> bytes:
    """Creation code compiled for one target; compiled once a run."""
    return bytes.fromhex(str(compile_source(contract, folder=folder, evm_version=evm_version)["bytecode"])[2:])


def recorded(chain: Chain) -> list[dict[str, Any]]:
    """Every block that holds transactions, oldest first, with their receipts."""
    blocks = []
    for number in range(1, chain.block_number() + 1):
        block = chain.rpc("eth_getBlockByNumber", hex(number), True)
        if block["transactions"]:
            block["receipts"] = [chain.rpc("eth_getTransactionReceipt", sent["hash"]) for sent in block["transactions"]]
            blocks.append(block)
    return blocks


def replayed(chain: Chain, fork: str, blocks: list[dict[str, Any]], contracts: list[str]) -> dict[str, Any]:
    """The same blocks in the execution specification, from the accounts as they were before the first."""
    places = [*chain.accounts, *([] if fork in FORKS_WITH_PRECOMPILE else [PRECOMPILE])]
    given = {
        "fork": fork,
        "chain_id": 31337,
        "accounts": {address: _account(chain, address) for address in places},
        "blocks": blocks,
        "contracts": contracts,
    }
    done = subprocess.run(
        [SECOND_EVM, Path(__file__).parent / "second_evm.py"],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
    )
    if done.returncode != 0:
        print(done.stderr, file=sys.stderr)
        raise AssertionError("the second EVM failed: " + done.stderr.strip().splitlines()[-1])
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def storage(chain: Chain) -> dict[str, dict[str, str]]:
    """Every slot that is not zero, by contract, from the chain's own dump of its state."""
    dumped = json.loads(gzip.decompress(bytes.fromhex(chain.rpc("anvil_dumpState")[2:])))
    return {
        address: {
            f"0x{int(slot, 16):064x}": f"0x{int(value, 16):064x}"
            for slot, value in account["storage"].items()
            if int(value, 16)
        }
        for address, account in dumped["accounts"].items()
    }


def _account(chain: Chain, address: str) -> dict[str, str]:
    return {
        "nonce": chain.rpc("eth_getTransactionCount", address, "0x0"),
        "balance": chain.rpc("eth_getBalance", address, "0x0"),
        "code": "0x" if address != PRECOMPILE else chain.rpc("eth_getCode", address, "latest"),
    }
