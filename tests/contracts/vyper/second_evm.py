"""Runs recorded blocks through the Ethereum execution specification: standard input to standard output, both JSON.

A program of its own, started with `.tools/evm/bin/python`: the specification (ethereum-execution, CC0-1.0) pins
libraries that we use in newer releases, so it never shares our environment, and this file imports nothing of ours.
"""

import importlib
import json
import sys
from dataclasses import fields
from typing import Any


def module(fork: str, name: str) -> Any:
    return importlib.import_module(f"ethereum.forks.{fork}.{name}")


class Specification:
    """One fork's rules and a state."""

    def __init__(self, fork: str, chain_id: int, accounts: dict[str, dict[str, str]]) -> None:
        self.fork, self.vm = module(fork, "fork"), module(fork, "vm")
        self.states, self.types = module(fork, "state"), module(fork, "fork_types")
        self.transactions, self.blocks = module(fork, "transactions"), module(fork, "blocks")
        self.numeric = importlib.import_module("ethereum_types.numeric")
        self.bytes = importlib.import_module("ethereum_types.bytes")
        self.chain_id = self.numeric.U64(chain_id)
        self.state = self.states.State()
        for address, account in accounts.items():
            self.states.set_account(
                self.state,
                self.address(address),
                self.types.Account(
                    nonce=self.numeric.Uint(int(account["nonce"], 16)),
                    balance=self.numeric.U256(int(account["balance"], 16)),
                    code=bytes.fromhex(account["code"][2:]),
                ),
            )

    def address(self, text: str) -> Any:
        return self.types.Address(bytes.fromhex(text[2:]))

    def environment(self, block: dict[str, Any]) -> Any:
        """The block as the fork's virtual machine wants it; each fork has the fields that it knows."""
        values = {
            "chain_id": self.chain_id,
            "state": self.state,
            "block_gas_limit": self.uint(block["gasLimit"]),
            "block_hashes": [],
            "coinbase": self.address(block["miner"]),
            "number": self.uint(block["number"]),
            "base_fee_per_gas": self.uint(block["baseFeePerGas"]),
            "time": self.numeric.U256(int(block["timestamp"], 16)),
            "prev_randao": self.bytes.Bytes32(bytes.fromhex(block["mixHash"][2:])),
            "difficulty": self.uint(block["difficulty"]),
            "excess_blob_gas": self.numeric.U64(0),
            "parent_beacon_block_root": self.bytes.Bytes32(bytes(32)),
        }
        wanted = {field.name for field in fields(self.vm.BlockEnvironment)}
        return self.vm.BlockEnvironment(**{name: value for name, value in values.items() if name in wanted})

    def transaction(self, sent: dict[str, Any]) -> Any:
        """A type-2 transaction with its signature, which the specification checks too."""
        assert sent["type"] == "0x2", sent["type"]
        return self.transactions.FeeMarketTransaction(
            chain_id=self.chain_id,
            nonce=self.numeric.U256(int(sent["nonce"], 16)),
            max_priority_fee_per_gas=self.uint(sent["maxPriorityFeePerGas"]),
            max_fee_per_gas=self.uint(sent["maxFeePerGas"]),
            gas=self.uint(sent["gas"]),
            to=self.bytes.Bytes0(b"") if sent["to"] is None else self.address(sent["to"]),
            value=self.numeric.U256(int(sent["value"], 16)),
            data=bytes.fromhex(sent["input"][2:]),
            access_list=(),
            y_parity=self.numeric.U256(int(sent["v"], 16)),
            r=self.numeric.U256(int(sent["r"], 16)),
            s=self.numeric.U256(int(sent["s"], 16)),
        )

    def uint(self, text: str) -> Any:
        return self.numeric.Uint(int(text, 16))

    def run(self, block: dict[str, Any]) -> list[dict[str, Any]]:
        """What became of each transaction of the block."""
        environment, output = self.environment(block), self.vm.BlockOutput()
        receipts = []
        for index, sent in enumerate(block["transactions"]):
            gas_before, logs_before = output.block_gas_used, len(output.block_logs)
            transaction = self.transaction(sent)
            self.fork.process_transaction(environment, output, transaction, self.numeric.Uint(index))
            key = output.receipt_keys[-1]
            stored = self.receipt(output, key)
            receipts.append(
                {
                    "succeeded": bool(stored.succeeded),
                    "gas": int(output.block_gas_used - gas_before),
                    "logs": [
                        {
                            "address": "0x" + bytes(log.address).hex(),
                            "topics": ["0x" + bytes(topic).hex() for topic in log.topics],
                            "data": "0x" + bytes(log.data).hex(),
                        }
                        for log in output.block_logs[logs_before:]
                    ],
                }
            )
        return receipts

    def receipt(self, output: Any, key: bytes) -> Any:
        tries = module(self.fork.__name__.split(".")[2], "trie")
        return self.blocks.decode_receipt(tries.trie_get(output.receipts_trie, key))

    def contract(self, address: str) -> dict[str, Any]:
        """What stands at an address: its code and every slot that is not zero."""
        place = self.address(address)
        slots = self.state._storage_tries[place]._data if place in self.state._storage_tries else {}
        return {
            "storage": {"0x" + bytes(slot).hex(): f"0x{int(value):064x}" for slot, value in slots.items()},
            "code": "0x" + bytes(self.states.get_account(self.state, place).code).hex(),
        }


def main() -> None:
    sys.setrecursionlimit(10_000)
    given = json.load(sys.stdin)
    specification = Specification(given["fork"], given["chain_id"], given["accounts"])
    receipts = [receipt for block in given["blocks"] for receipt in specification.run(block)]
    contracts = {address: specification.contract(address) for address in given["contracts"]}
    json.dump({"receipts": receipts, "contracts": contracts}, sys.stdout)


if __name__ == "__main__":
    main()
