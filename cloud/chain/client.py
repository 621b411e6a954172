"""The chain client: the few JSON-RPC questions that the cloud asks, through web3.py, as types of our own.

Reads go to the first endpoint that answers; transactions are broadcast to all. Numbers are blocks', hashes are `0x…`
text, bytes raw.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from cloud.errors import ChainError, SettingsError

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

__all__ = ["Block", "CallReverted", "ChainClient", "EventLog", "Receipt", "SigningKey"]

Result = TypeVar("Result")
_TIMEOUT_SECONDS = 10.0


class CallReverted(ChainError):
    """A contract refused a call; the message carries its reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A block's header, as far as we need it."""

    number: int
    hash: str
    parent_hash: str
    timestamp: int  # seconds
    base_fee_wei: int | None  # None on chains without EIP-1559
    has_logs: bool  # False where the header's bloom filter is empty


@dataclass(frozen=True, slots=True, kw_only=True)
class EventLog:
    """One event as the chain keeps it."""

    log_index: int
    address: str  # lower case
    topics: tuple[bytes, ...]
    data: bytes
    transaction_hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What became of a transaction."""

    succeeded: bool
    block_number: int
    block_hash: str
    gas_used: int
    contract: str | None


class SigningKey:
    """A secp256k1 key that signs transactions; its secret never leaves this object."""

    def __init__(self, secret: str) -> None:
        from eth_account import Account

        _close_deep_recursion()
        try:
            self._account: LocalAccount = Account.from_key(secret)
        except Exception as error:
            raise SettingsError(
                "the key file holds no 32-byte secp256k1 key in hex; check that it is the right file"
            ) from error

    @property
    def address(self) -> str:
        return str(self._account.address)

    def sign(self, transaction: dict[str, Any]) -> tuple[bytes, str]:
        """Raw bytes and hash of the signed transaction."""
        addressed = {**transaction, "to": _address(transaction["to"])} if "to" in transaction else transaction
        signed = self._account.sign_transaction(addressed)
        return bytes(signed.raw_transaction), "0x" + bytes(signed.hash).hex()


class ChainClient:
    """One chain through one or more endpoints."""

    def __init__(self, urls: Sequence[str], *, proof_of_authority: bool = False) -> None:
        self.urls = tuple(urls)
        self._proof_of_authority = proof_of_authority
        self._endpoints: list[Any] = []
        self._connecting = asyncio.Lock()

    async def close(self) -> None:
        """Close the endpoints' HTTP sessions."""
        for endpoint in self._endpoints:
            await endpoint.provider.disconnect()

    async def _connected(self) -> list[Any]:
        async with self._connecting:
            if not self._endpoints:
                self._endpoints = await asyncio.to_thread(
                    _connect, self.urls, proof_of_authority=self._proof_of_authority
                )
        return self._endpoints

    async def chain_id(self) -> int:
        return await self._ask("eth_chainId", lambda web3: web3.eth.chain_id)

    async def block(self, which: int | str) -> Block | None:
        """A block by number, hash or tag; None where the chain has none."""

        async def ask(web3: Any) -> Block | None:
            try:
                return _block(await web3.eth.get_block(which))
            except _web3_exceptions().BlockNotFound:
                return None

        return await self._ask(f"block {which}", ask)

    async def latest(self) -> Block:
        block = await self.block("latest")
        if block is None:
            raise ChainError(f"{self.urls[0]} has no latest block; is it a chain node?")
        return block

    async def request(self, method: str, *parameters: Any) -> Any:
        """The raw answer to one JSON-RPC question. Raises `ChainError` with what the node says against it."""

        async def ask(web3: Any) -> Any:
            answer = await web3.provider.make_request(method, list(parameters))
            if "error" in answer:
                raise ChainError(f"{method}: the node says {str(answer['error'].get('message', ''))[:300]}")
            return answer["result"]

        return await self._ask(method, ask)

    async def logs(self, block_hash: str, addresses: Sequence[str]) -> list[EventLog]:
        """The events of our contracts in exactly this block."""
        wanted = [_address(address) for address in addresses]

        async def ask(web3: Any) -> list[EventLog]:
            return [_event(log) for log in await web3.eth.get_logs({"blockHash": block_hash, "address": wanted})]

        return await self._ask(f"events of block {block_hash}", ask)

    async def call(self, to: str, data: bytes, *, sender: str | None = None) -> bytes:
        """A view's result at the latest block. Raises `CallReverted` with the contract's reason."""
        transaction = _transaction(to, data, sender)
        return bytes(await self._ask("eth_call", lambda web3: web3.eth.call(transaction)))

    async def estimate_gas(self, to: str | None, data: bytes, *, sender: str) -> int:
        """Gas of a transaction at the latest block. Raises `CallReverted` with the contract's reason."""
        transaction = _transaction(to, data, sender)
        return int(await self._ask("eth_estimateGas", lambda web3: web3.eth.estimate_gas(transaction)))

    async def nonce(self, address: str) -> int:
        """The number of this account's transactions that are in blocks."""
        return int(await self._ask("nonce", lambda web3: web3.eth.get_transaction_count(_address(address), "latest")))

    async def balance(self, address: str) -> int:
        return int(await self._ask("balance", lambda web3: web3.eth.get_balance(_address(address))))

    async def knows(self, transaction_hash: str) -> bool:
        """Whether the first answering endpoint has this transaction, in a block or waiting."""

        async def ask(web3: Any) -> bool:
            try:
                await web3.eth.get_transaction(transaction_hash)
            except _web3_exceptions().TransactionNotFound:
                return False
            return True

        return await self._ask("transaction", ask)

    async def receipt(self, transaction_hash: str) -> Receipt | None:
        """The receipt of a transaction that is in a block; None while it is not."""

        async def ask(web3: Any) -> Receipt | None:
            try:
                found = await web3.eth.get_transaction_receipt(transaction_hash)
            except _web3_exceptions().TransactionNotFound:
                return None
            return Receipt(
                succeeded=found["status"] == 1,
                block_number=int(found["blockNumber"]),
                block_hash="0x" + bytes(found["blockHash"]).hex(),
                gas_used=int(found["gasUsed"]),
                contract=found["contractAddress"],
            )

        return await self._ask("receipt", ask)

    async def broadcast(self, raw: bytes) -> list[str]:
        """Hand a signed transaction to every endpoint; what those that refused it said."""
        answers = await asyncio.gather(
            *(_translated("broadcast", web3.eth.send_raw_transaction(raw)) for web3 in await self._connected()),
            return_exceptions=True,
        )
        unexpected = [
            answer for answer in answers if isinstance(answer, BaseException) and not isinstance(answer, ChainError)
        ]
        if unexpected:
            raise unexpected[0]
        return [str(answer) for answer in answers if isinstance(answer, ChainError)]

    async def _ask(self, what: str, question: Callable[[Any], Awaitable[Result]]) -> Result:
        failure: ChainError | None = None
        for endpoint in await self._connected():
            try:
                return await _translated(what, question(endpoint))
            except CallReverted:
                raise
            except ChainError as error:
                failure = error
        assert failure is not None, "settings demand at least one endpoint"
        raise failure


async def _translated(what: str, asked: Awaitable[Result]) -> Result:
    try:
        async with asyncio.timeout(_TIMEOUT_SECONDS + 2):
            return await asked
    except _web3_exceptions().Web3Exception as error:
        text = str(error)
        if "revert" in text.lower() or type(error).__name__ in ("ContractLogicError", "ContractPanicError"):
            raise CallReverted(_reason(error)) from error
        raise ChainError(f"{what}: the node says {text[:300]}") from error
    except (OSError, TimeoutError, ValueError) as error:
        raise ChainError(
            f"{what}: no answer from the node ({type(error).__name__}: {str(error)[:200]}); is it running?"
        ) from error
    except Exception as error:
        if type(error).__module__.startswith("aiohttp"):
            raise ChainError(f"{what}: no answer from the node ({str(error)[:200]}); is it running?") from error
        raise


def _close_deep_recursion() -> None:
    """Undo what py_ecc does, which web3 and eth_account import: it raises the recursion limit to 100,000.

    Deeply nested JSON from anybody would then overflow the C stack and end the process.
    """
    sys.setrecursionlimit(1000)


def _connect(urls: Sequence[str], *, proof_of_authority: bool) -> list[Any]:
    from web3 import AsyncHTTPProvider, AsyncWeb3
    from web3.middleware import ExtraDataToPOAMiddleware

    _close_deep_recursion()
    endpoints: list[Any] = []
    for url in urls:
        endpoint = AsyncWeb3(AsyncHTTPProvider(url, request_kwargs={"timeout": _TIMEOUT_SECONDS}))
        # web3's own validation asks eth_chainId before every call; we check the chain once, at start.
        endpoint.middleware_onion.remove("validation")
        endpoint.middleware_onion.remove("gas_estimate")
        if proof_of_authority:
            endpoint.middleware_onion.inject(ExtraDataToPOAMiddleware, layer=0)
        endpoints.append(endpoint)
    return endpoints


def _web3_exceptions() -> Any:
    """web3's exceptions; whoever asks has an endpoint, so they are loaded."""
    from web3 import exceptions

    return exceptions


def _reason(error: Exception) -> str:
    message = getattr(error, "message", None) or str(error)
    text = str(message)
    for prefix in ("execution reverted: ", "revert: "):
        text = text.rpartition(prefix)[2]
    return text[:300]


def _address(text: str) -> Any:
    from eth_utils.address import to_checksum_address

    return to_checksum_address(text)


def _transaction(to: str | None, data: bytes, sender: str | None) -> Any:
    transaction: dict[str, Any] = {"data": "0x" + data.hex()}
    if to is not None:
        transaction["to"] = _address(to)
    if sender is not None:
        transaction["from"] = _address(sender)
    return transaction


def _block(found: Any) -> Block:
    base_fee = found.get("baseFeePerGas")
    return Block(
        number=int(found["number"]),
        hash="0x" + bytes(found["hash"]).hex(),
        parent_hash="0x" + bytes(found["parentHash"]).hex(),
        timestamp=int(found["timestamp"]),
        base_fee_wei=None if base_fee is None else int(base_fee),
        has_logs=any(bytes(found["logsBloom"])) if "logsBloom" in found else True,
    )


def _event(log: Any) -> EventLog:
    return EventLog(
        log_index=int(log["logIndex"]),
        address=str(log["address"]).lower(),
        topics=tuple(bytes(topic) for topic in log["topics"]),
        data=bytes(log["data"]),
        transaction_hash="0x" + bytes(log["transactionHash"]).hex(),
    )
