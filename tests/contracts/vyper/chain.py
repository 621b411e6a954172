"""A development chain spoken to in plain JSON-RPC: transactions, views, time, snapshots."""

import http.client
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from contracts.abi import Call, parse_revert

GAS = 16_000_000  # below EIP-7825's limit of 2^24 a transaction


class Reverted(Exception):
    """A transaction or view was refused; `reason` is the contract's text."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    address: str
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    gas_used: int
    block: int
    contract: str | None
    logs: tuple[Log, ...]


class Chain:
    """One connection to anvil."""

    def __init__(self, url: str) -> None:
        self.url = url
        address = urlsplit(url)
        assert address.hostname is not None
        self._connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
        self.accounts: list[str] = self.rpc("eth_accounts")
        self.sent = 0  # successful transactions

    def close(self) -> None:
        self._connection.close()

    def rpc(self, method: str, *params: Any) -> Any:
        return _result(self._post({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}))

    def send(self, sender: str, call: Call) -> Receipt:
        """Mine one transaction. Raises Reverted if the contract refuses it."""
        return self._send({"from": sender, "to": call.to, "data": "0x" + call.data.hex(), "gas": hex(GAS)})

    def send_in_one_block(self, *sent: tuple[str, Call]) -> None:
        """Mine these calls, each with its sender, in one block. Whether they succeeded is for the test to look at."""
        self.rpc("evm_setAutomine", False)
        try:
            for sender, call in sent:
                data = "0x" + call.data.hex()
                self.rpc("eth_sendTransaction", {"from": sender, "to": call.to, "data": data, "gas": hex(GAS)})
            self.rpc("evm_mine")
        finally:
            self.rpc("evm_setAutomine", True)

    def deploy(self, sender: str, creation: bytes) -> str:
        """Mine a contract and return its address. Raises Reverted if it refuses to exist."""
        receipt = self._send({"from": sender, "data": "0x" + creation.hex(), "gas": hex(GAS)})
        assert receipt.contract is not None
        return receipt.contract

    def view(self, call: Call, sender: str | None = None) -> bytes:
        transaction = _viewed(call)
        if sender is not None:
            transaction["from"] = sender
        return bytes.fromhex(self.rpc("eth_call", transaction, "latest")[2:])

    def views(self, calls: Sequence[Call]) -> list[bytes]:
        """The results of many views, asked in one message: a state machine looks at everything after each act."""
        asked = [
            {"jsonrpc": "2.0", "id": number, "method": "eth_call", "params": [_viewed(call), "latest"]}
            for number, call in enumerate(calls)
        ]
        answers = {answer["id"]: answer for answer in self._post(asked)}
        return [bytes.fromhex(_result(answers[number])[2:]) for number in range(len(calls))]

    def now(self) -> int:
        return int(self.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def block_number(self) -> int:
        return int(self.rpc("eth_blockNumber"), 16)

    def wait_until(self, timestamp: int) -> None:
        """The next block has this time."""
        self.rpc("evm_setNextBlockTimestamp", hex(timestamp))
        self.rpc("evm_mine")

    def wait(self, seconds: int) -> None:
        self.wait_until(self.now() + seconds)

    def snapshot(self) -> str:
        return str(self.rpc("evm_snapshot"))

    def revert_to(self, snapshot: str) -> None:
        self.rpc("evm_revert", snapshot)

    def _post(self, message: object) -> Any:
        self._connection.request("POST", "/", json.dumps(message), {"content-type": "application/json"})
        return json.loads(self._connection.getresponse().read())

    def _send(self, transaction: dict[str, str]) -> Receipt:
        receipt = self._mined(self.rpc("eth_sendTransaction", transaction))
        if receipt["status"] != "0x1":
            # The same call on the block before shows why.
            before = hex(int(receipt["blockNumber"], 16) - 1)
            try:
                self.rpc("eth_call", transaction, before, {}, {"time": self._time_of(receipt["blockNumber"])})
            except Reverted as refused:
                raise refused from None
            raise Reverted("without a reason")
        self.sent += 1
        return Receipt(
            gas_used=int(receipt["gasUsed"], 16),
            block=int(receipt["blockNumber"], 16),
            contract=receipt["contractAddress"],
            logs=tuple(
                Log(
                    address=log["address"],
                    topics=tuple(bytes.fromhex(topic[2:]) for topic in log["topics"]),
                    data=bytes.fromhex(log["data"][2:]),
                )
                for log in receipt["logs"]
            ),
        )

    def _mined(self, hashed: str) -> Any:
        """The receipt; anvil answers a transaction a moment before it has mined it."""
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            receipt = self.rpc("eth_getTransactionReceipt", hashed)
            if receipt is not None:
                return receipt
            time.sleep(0.001)
        raise TimeoutError(f"transaction {hashed} was not mined within 10 s")

    def _time_of(self, block: str) -> str:
        return str(self.rpc("eth_getBlockByNumber", block, False)["timestamp"])


def _viewed(call: Call) -> dict[str, str]:
    return {"to": call.to, "data": "0x" + call.data.hex(), "gas": hex(GAS)}


def _result(answer: Any) -> Any:
    """What a node answered. Raises Reverted if it refused."""
    if "error" in answer:
        data = answer["error"].get("data")
        reason = parse_revert(bytes.fromhex(data[2:])) if isinstance(data, str) else None
        raise Reverted(reason or answer["error"]["message"])
    return answer["result"]
