"""Asking and telling a chain over JSON-RPC; the sender of set-up transactions, one account at a time."""

from __future__ import annotations

import http.client
import itertools
import json
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

from provisioning.account import ChainAccount
from provisioning.errors import ChainSetupError

__all__ = ["Rpc", "RpcRefusedError", "Sender"]

_GAS_HEADROOM = (13, 10)
_GAS_MAX = 16_000_000  # below the 2**24 that EIP-7825 allows a transaction
_LOG_BLOCKS = 10_000  # what public endpoints answer at once; over a day at one block in 12 s


class RpcRefusedError(ChainSetupError):
    """The node understood and refused; the message is its own (a revert says `contract: reason`)."""


class Rpc:
    """One JSON-RPC endpoint over one kept connection. Not for several threads."""

    def __init__(self, url: str, *, timeout_seconds: float = 10.0) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ChainSetupError(f"{url!r} is not an HTTP address; write it like http://127.0.0.1:8545")
        self.url = url
        self._path = parts.path or "/"
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        self._connection = kind(parts.hostname, parts.port, timeout=timeout_seconds)
        self._ids = itertools.count(1)

    def call(self, method: str, parameters: Sequence[Any]) -> Any:
        """The result of one call.

        Raises:
            RpcRefusedError: the node answered with an error.
            ChainSetupError: no answer came, or none that is JSON-RPC.
        """
        body = json.dumps({"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": list(parameters)})
        try:
            answer = self._ask(body)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._connection.close()
            raise ChainSetupError(f"{self.url}: no answer to {method} ({error}); is the chain running?") from error
        if "error" in answer:
            raise RpcRefusedError(f"{method}: {answer['error'].get('message', answer['error'])}")
        return answer.get("result")

    def view(self, call: CallLike) -> bytes:
        """The returned bytes of a view, as the newest block has it."""
        answer: str = self.call("eth_call", [{"to": call.to, "data": "0x" + call.data.hex()}, "latest"])
        return bytes.fromhex(answer.removeprefix("0x"))

    def newest_logs(
        self, address: str, topics: Sequence[str | Sequence[str]], *, count: int, from_block: int
    ) -> list[dict[str, Any]]:
        """The newest logs of a contract with these topics, until `count` were found or `from_block` is reached."""
        found: list[dict[str, Any]] = []
        last = int(self.call("eth_blockNumber", []), 16)
        while len(found) < count and last >= from_block:
            first = max(from_block, last - _LOG_BLOCKS + 1)
            asked = {"address": address, "topics": topics, "fromBlock": hex(first), "toBlock": hex(last)}
            found += self.call("eth_getLogs", [asked])
            last = first - 1
        return found

    def close(self) -> None:
        """Close the kept connection; the next call opens another."""
        self._connection.close()

    def _ask(self, body: str) -> dict[str, Any]:
        try:
            return self._exchange(body)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self._connection.close()  # the kept connection had gone stale
            return self._exchange(body)

    def _exchange(self, body: str) -> dict[str, Any]:
        self._connection.request("POST", self._path, body, {"Content-Type": "application/json"})
        answer: dict[str, Any] = json.loads(self._connection.getresponse().read())
        return answer


class CallLike(Protocol):
    """What `contracts.calls` builds: where to, and the call's bytes."""

    @property
    def to(self) -> str: ...

    @property
    def data(self) -> bytes: ...


class Sender:
    """Signs with a local key, sends, and waits for the receipt.

    `mine` is called after each sending: a demo chain mines on demand, at the time that the launcher says.
    """

    def __init__(self, rpc: Rpc, *, mine: Callable[[], None] | None = None, wait_seconds: float = 60.0) -> None:
        self._rpc = rpc
        self._mine = mine
        self._wait_seconds = wait_seconds
        self._chain_id = int(rpc.call("eth_chainId", []), 16)

    def send(self, secret: bytes, call: CallLike, *, purpose: str) -> dict[str, Any]:
        """Send one call and return its receipt.

        Raises:
            RpcRefusedError: the contract would revert; the message carries its reason and `purpose`.
            ChainSetupError: it was not mined in time, or was mined and failed.
        """
        return self.send_many(secret, [call], purpose=purpose)[0]

    def send_many(self, secret: bytes, calls: Sequence[CallLike], *, purpose: str) -> list[dict[str, Any]]:
        """Send several calls of one account, which must not depend on each other, into one block."""
        account = ChainAccount(secret)
        nonce = int(self._rpc.call("eth_getTransactionCount", [account.address, "pending"]), 16)
        price = 2 * int(self._rpc.call("eth_gasPrice", []), 16)
        hashes = []
        for number, call in enumerate(calls):
            transaction = {
                "chainId": self._chain_id,
                "nonce": nonce + number,
                "to": bytes.fromhex(call.to.removeprefix("0x")),
                "data": call.data,
                "value": 0,
                "gas": self._gas(account.address, call, purpose),
                "maxFeePerGas": price,
                "maxPriorityFeePerGas": price // 2,
            }
            raw = account.sign(transaction)
            hashes.append(self._rpc.call("eth_sendRawTransaction", ["0x" + raw.hex()]))
        if self._mine is not None:
            self._mine()
        return [self._receipt(transaction_hash, purpose) for transaction_hash in hashes]

    def view(self, call: CallLike) -> bytes:
        """The returned bytes of a view."""
        return self._rpc.view(call)

    def _gas(self, sender: str, call: CallLike, purpose: str) -> int:
        fields = {"from": sender, "to": call.to, "data": "0x" + call.data.hex()}
        try:
            estimate = int(self._rpc.call("eth_estimateGas", [fields]), 16)
        except RpcRefusedError as error:
            raise RpcRefusedError(f"{purpose}: {error}") from error
        return min(_GAS_MAX, estimate * _GAS_HEADROOM[0] // _GAS_HEADROOM[1])

    def _receipt(self, transaction_hash: str, purpose: str) -> dict[str, Any]:
        deadline = time.monotonic() + self._wait_seconds
        while time.monotonic() < deadline:
            receipt: dict[str, Any] | None = self._rpc.call("eth_getTransactionReceipt", [transaction_hash])
            if receipt is not None:
                if int(receipt["status"], 16) != 1:
                    raise ChainSetupError(
                        f"{purpose}: transaction {transaction_hash} was mined and failed; look at its trace"
                    )
                return receipt
            time.sleep(0.05)
        raise ChainSetupError(
            f"{purpose}: transaction {transaction_hash} was not mined within {self._wait_seconds:.0f} s"
        )
