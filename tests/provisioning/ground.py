"""Fresh contracts of people and devices on an anvil, with the keys of both parties."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from contracts.calls import bindings, crews, labels, registry, roll
from contracts.vyper.compile import artifact
from provisioning.account import ChainAccount
from provisioning.batches import TwoParties
from provisioning.keys import ensure_chain_key
from provisioning.rpc import Rpc, Sender
from tests.contracts.vyper.site import created_address
from tests.processes import wait_until

DAY_SECONDS = 86_400
PRECOMPILE = "0x0000000000000000000000000000000000000100"


@dataclass(frozen=True, kw_only=True)
class Ground:
    """Fresh contracts of one site and its two parties."""

    rpc: Rpc
    sender: Sender
    contracts: dict[str, str]
    from_block: int
    manager: bytes
    committee: bytes
    parties: TwoParties

    def pass_days(self, days: int) -> None:
        self.rpc.call("evm_increaseTime", [days * DAY_SECONDS])
        self.rpc.call("evm_mine", [])

    def now(self) -> int:
        """The newest block's time, Unix seconds."""
        return int(self.rpc.call("eth_getBlockByNumber", ["latest", False])["timestamp"], 16)


@contextmanager
def open_ground(url: str, folder: Path) -> Iterator[Ground]:
    """Registry, Roll, Crews, Bindings and Labels of a site whose parties' keys are in the folder."""
    manager, committee = (ensure_chain_key(folder / name) for name in ("manager", "committee"))
    addresses = [ChainAccount(secret).address for secret in (manager, committee)]
    with closing(Rpc(url)) as rpc:
        for address in addresses:
            rpc.call("anvil_setBalance", [address, hex(10**20)])
        account = rpc.call("eth_accounts", [])[0]
        nonce = int(rpc.call("eth_getTransactionCount", [account, "latest"]), 16)
        names = ("registry", "roll", "crews", "bindings", "labels")
        at = {name: created_address(account, nonce + number) for number, name in enumerate(names)}
        from_block = create(
            rpc,
            account,
            registry.deploy(
                artifact("Registry").bytecode,
                site=bytes(32),
                manager=addresses[0],
                committee=addresses[1],
                witness_delay=7 * DAY_SECONDS,
                recovery_delay=30 * DAY_SECONDS,
                verifier=PRECOMPILE,
                contracts={name: at[name] for name in names[1:]},
            ),
        )
        for face, source in ((roll, "Roll"), (crews, "Crews"), (bindings, "Bindings")):
            create(rpc, account, face.deploy(artifact(source).bytecode, registry=at["registry"], verifier=PRECOMPILE))
        create(rpc, account, labels.deploy(artifact("Labels").bytecode, registry=at["registry"]))
        sender = Sender(rpc)
        yield Ground(
            rpc=rpc,
            sender=sender,
            contracts=at,
            from_block=from_block,
            manager=manager,
            committee=committee,
            parties=TwoParties(sender, at["registry"], manager=manager, committee=committee),
        )


def create(rpc: Rpc, account: str, data: bytes) -> int:
    """Deploy one contract; the number of its block."""
    sent = rpc.call("eth_sendTransaction", [{"from": account, "data": "0x" + data.hex(), "gas": hex(16_000_000)}])
    wait_until(lambda: rpc.call("eth_getTransactionReceipt", [sent]) is not None, seconds=20, what="a contract")
    receipt = rpc.call("eth_getTransactionReceipt", [sent])
    assert receipt["status"] == "0x1"
    return int(receipt["blockNumber"], 16)
