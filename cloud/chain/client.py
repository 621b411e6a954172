"""The chain client: the few JSON-RPC questions that the cloud asks, put to as many endpoints as it takes to believe the
answer.

What matters is believed when a quorum of endpoints says the same: headers, events by block hash, and, at a given
block, nonces, balances, calls and receipts. By default that is a majority of those in the settings. Whoever contradicts
it in a way that no honest node can is set aside at once and named; whoever is only behind, or on a fork that may die,
after a few times. Numbers are blocks', hashes and addresses `0x…` text in lower case, bytes raw.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, TypeVar

from cloud.chain.answers import Block, EventLog, Receipt, block_of, bytes_of, logs_of, number_of, receipt_of
from cloud.chain.endpoint import Endpoint
from cloud.chain.errors import CallReverted, NodeRefused, Unreachable
from cloud.chain.fees import Asked
from cloud.chain.keys import SigningKey
from cloud.chain.votes import Votes
from cloud.errors import ChainError

__all__ = ["Block", "CallReverted", "ChainClient", "EventLog", "Receipt", "SigningKey"]

Answer = TypeVar("Answer", bound=Hashable)
Parsed = TypeVar("Parsed")
_log = logging.getLogger("cloud.chain")
_ESTIMATES_RATIO_MAX = 1.25


class ChainClient:
    """One chain through one or more endpoints.

    Args:
        urls: the endpoints, preferred ones first.
        quorum: how many must say the same; a majority of `urls` where it is None.
    """

    def __init__(
        self, urls: Sequence[str], *, quorum: int | None = None, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self.endpoints = [self.endpoint(url, monotonic) for url in urls]
        for number, endpoint in enumerate(self.endpoints, 1):
            if any(endpoint.name == other.name for other in self.endpoints[: number - 1]):
                endpoint.name += f"#{number}"
        self.quorum = quorum or len(urls) // 2 + 1

    def endpoint(self, url: str, monotonic: Callable[[], float]) -> Endpoint:
        """How an endpoint is made; tests put faults here."""
        return Endpoint(url, monotonic=monotonic)

    @property
    def name(self) -> str:
        """The preferred endpoint, for messages."""
        return self.endpoints[0].name

    async def close(self) -> None:
        """Close the endpoints' HTTP sessions."""
        for endpoint in self.endpoints:
            await endpoint.close()

    # -- what a quorum says -----------------------------------------------------------------------------------------

    async def chain_id(self) -> int:
        """The chain that the endpoints serve; one that serves another is set aside."""
        return await self._agree("eth_chainId", _question("eth_chainId", number_of), at_once=True)

    async def latest(self) -> Block:
        """The newest block that a quorum of endpoints has."""
        heads = await self._reports("latest block", lambda endpoint: _head(endpoint, "latest"))
        block = await self.block(self._quorum_th(heads))
        if block is None:
            raise Unreachable("the chain moved while it was asked for its latest block; asking again")
        return block

    async def finalized(self) -> Block | None:
        """The newest block that a quorum of endpoints calls final; None where they know no such tag."""
        try:
            heads = await self._reports("finalized block", lambda endpoint: _head(endpoint, "finalized"))
        except NodeRefused:
            return None
        return await self.block(self._quorum_th(heads))

    async def block(self, which: int | str) -> Block | None:
        """A block by number or hash; None where the chain has none. Tags are for `latest` and `finalized`."""

        async def ask(endpoint: Endpoint) -> Block | None:
            if isinstance(which, int):
                found = await endpoint.ask("eth_getBlockByNumber", hex(which), False)
            elif which.startswith("0x"):
                found = await endpoint.ask("eth_getBlockByHash", which, False)
            else:
                found = await endpoint.ask("eth_getBlockByNumber", which, False)
            return _parse(endpoint, f"block {which}", lambda: block_of(found, which))

        return await self._agree(f"block {which}", ask)

    async def logs(self, block: Block, addresses: Sequence[str]) -> tuple[EventLog, ...]:
        """The events of these contracts in exactly this block."""
        if not any(block.may_hold(bytes_of(address)) for address in addresses):
            return ()
        question = {"blockHash": block.hash, "address": list(addresses)}

        async def ask(endpoint: Endpoint) -> tuple[EventLog, ...]:
            found = await endpoint.ask("eth_getLogs", question)
            return _parse(endpoint, f"events of block {block.number}", lambda: logs_of(found, block, addresses))

        return await self._agree(f"events of block {block.number}", ask, at_once=True)

    async def call(self, to: str, data: bytes, *, sender: str | None = None, at: int | None = None) -> bytes:
        """A view's result at a block, by default the newest that a quorum has. Raises `CallReverted` with the
        contract's reason.
        """
        place = await self._place(at)
        return await self._agree(
            f"call of {to}", _question("eth_call", bytes_of, _transaction(to, data, sender), place)
        )

    async def nonce(self, address: str, *, at: int | None = None) -> int:
        """The number of this account's transactions in blocks up to `at`."""
        place = await self._place(at)
        return await self._agree(
            f"nonce of {address}", _question("eth_getTransactionCount", number_of, address.lower(), place)
        )

    async def balance(self, address: str, *, at: int | None = None) -> int:
        """Wei."""
        place = await self._place(at)
        return await self._agree(
            f"balance of {address}", _question("eth_getBalance", number_of, address.lower(), place)
        )

    async def code(self, address: str) -> bytes:
        """A contract's runtime code; empty where there is none."""
        place = await self._place(None)
        return await self._agree(f"code at {address}", _question("eth_getCode", bytes_of, address.lower(), place))

    async def receipt(self, transaction_hash: str, *, by: tuple[int, str] | None = None) -> Receipt | None:
        """The receipt of a transaction that is in a block; None while it is not.

        `by` a block's number and hash: only endpoints that have this block are heard. A node that is behind knows no
        receipt either, and with one that lies it would make a majority.
        """

        async def ask(endpoint: Endpoint) -> Receipt | None:
            if by is not None:
                header = await endpoint.ask("eth_getBlockByNumber", hex(by[0]), False)
                block = _parse(endpoint, f"block {by[0]}", lambda: block_of(header, by[0]))
                if block is None or block.hash != by[1]:
                    raise NodeRefused(f"{endpoint.name}: it does not have block {by[0]} {by[1]}")
            found = await endpoint.ask("eth_getTransactionReceipt", transaction_hash)
            return _parse(endpoint, "receipt", lambda: receipt_of(found, transaction_hash))

        return await self._agree(f"receipt of {transaction_hash}", ask)

    async def estimate_gas(self, to: str | None, data: bytes, *, sender: str, at: int | None = None) -> int:
        """Gas of a transaction at the block `at` or the latest: the middle of what is said. Raises `CallReverted`.

        Endpoints may well differ by a little. Whether the contract takes the call at all is put to the vote.
        """
        transaction = _transaction(to, data, sender)
        # Not on top of what waits: there our own transaction, about to be replaced, would have been before.
        place = "latest" if at is None else hex(at)
        said: dict[str, int] = {}

        async def ask(endpoint: Endpoint) -> bool:
            found = await endpoint.ask("eth_estimateGas", transaction, place)
            said[endpoint.name] = _parse(endpoint, "eth_estimateGas", lambda: number_of(found))
            return True

        await self._agree("eth_estimateGas", ask)
        if max(said.values()) > min(said.values()) * _ESTIMATES_RATIO_MAX:  # somebody is wrong: hear everybody
            await asyncio.gather(*(_voted(ask, one) for one in self._in_order() if one.name not in said))
        middle = sorted(said.values())
        return middle[len(middle) // 2]

    async def gas_price(self) -> int:
        """Wei per gas that nodes without a base fee ask for: the middle of what the endpoints say."""
        prices = await self._reports("eth_gasPrice", _question("eth_gasPrice", number_of))
        return sorted(prices.values())[len(prices) // 2]

    async def fees_asked(self, *, priority: int, legacy: bool = False, at: int | None = None) -> Asked:
        """What the chain asks for gas, by the block `at` or the latest. `legacy`: as if the chain had no base fee."""
        block = await self.latest() if at is None else await self.block(at)
        if legacy or block is None or block.base_fee_wei is None:
            return Asked(price=await self.gas_price(), priority=0, is_legacy=True)
        return Asked(price=block.base_fee_wei, priority=priority)

    # -- what is told to, or asked of, whoever is there -------------------------------------------------------------

    async def request(self, method: str, *parameters: Any) -> Any:
        """The raw answer of the first endpoint that gives one. Raises `ChainError` with what the node says against it.

        For features and for what is checked against a signature or a hash afterwards.
        """
        failure: ChainError | None = None
        for endpoint in self._in_order():
            try:
                return await endpoint.ask(method, *parameters)
            except (CallReverted, NodeRefused):
                raise
            except ChainError as error:
                failure = error
        raise failure or Unreachable(f"{method}: all endpoints are set aside; run `minglou chain doctor`")

    async def knows(self, transaction_hash: str) -> bool:
        """Whether as many endpoints as make a quorum have this transaction, in a block or waiting."""
        found = await self._reports(
            "transaction", lambda endpoint: endpoint.ask("eth_getTransactionByHash", transaction_hash)
        )
        return sum(isinstance(one, dict) for one in found.values()) >= min(self.quorum, len(found))

    async def broadcast(self, raw: bytes) -> list[str]:
        """Hand a signed transaction to every endpoint, whatever they are worth; what those that refused it said."""
        answers = await asyncio.gather(
            *(endpoint.ask("eth_sendRawTransaction", "0x" + raw.hex()) for endpoint in self.endpoints),
            return_exceptions=True,
        )
        for answer in answers:
            if isinstance(answer, BaseException) and not isinstance(answer, ChainError):
                raise answer
        return [str(answer) for answer in answers if isinstance(answer, ChainError)]

    # -- counting ---------------------------------------------------------------------------------------------------

    async def _agree(self, what: str, ask: Callable[[Endpoint], Awaitable[Answer]], *, at_once: bool = False) -> Answer:
        """What a quorum answers: as few as may do are asked first, the others where those do not decide."""
        votes: Votes[Answer] = Votes(what, self.quorum)
        order = self._in_order()
        for asked in (order[: self.quorum], order[self.quorum :]):
            answers = await asyncio.gather(*(_voted(ask, endpoint) for endpoint in asked))
            for endpoint, answer in zip(asked, answers, strict=True):
                votes.add(endpoint.name, answer)
            if votes.is_decided():
                break
        self._judge(votes, at_once=at_once)
        return votes.outcome()

    def _judge(self, votes: Votes[Any], *, at_once: bool) -> None:
        if not votes.is_decided():
            return
        dissenters = votes.dissenters()
        for endpoint in self.endpoints:
            if endpoint.name in dissenters:
                says = f"it contradicts the majority on {votes.what}: {dissenters[endpoint.name]}"
                if endpoint.dissented(says, at_once=at_once):
                    _log.error("cloud: endpoint %s is set aside: %s", endpoint.name, says)
            elif endpoint.name in votes.answers:
                endpoint.agreed()

    async def _reports(self, what: str, ask: Callable[[Endpoint], Awaitable[Parsed]]) -> dict[str, Parsed]:
        """What each believed endpoint says, where at least a quorum answers."""
        order = self._in_order()
        answers = await asyncio.gather(*(_voted(ask, endpoint) for endpoint in order))
        votes: Votes[Any] = Votes(what, self.quorum)
        said: dict[str, Parsed] = {}
        for endpoint, answer in zip(order, answers, strict=True):
            if isinstance(answer, ChainError):
                votes.add(endpoint.name, answer)
            else:
                said[endpoint.name] = answer
        if len(said) < self.quorum:
            votes.answers = dict(said)
            raise votes.too_few()
        return said

    def _quorum_th(self, heads: dict[str, Block]) -> int:
        """The height that a quorum has reached: one endpoint alone can neither raise nor hold it."""
        return sorted((head.number for head in heads.values()), reverse=True)[self.quorum - 1]

    def _in_order(self) -> list[Endpoint]:
        """The endpoints that count, those that failed a moment ago last."""
        return sorted((one for one in self.endpoints if one.is_believed()), key=lambda one: one.is_resting())

    async def _place(self, at: int | None) -> str:
        if at is not None:
            return hex(at)
        # One node answers about its own latest block; several are only comparable at one.
        return "latest" if self.quorum == 1 else hex((await self.latest()).number)


async def _voted(ask: Callable[[Endpoint], Awaitable[Parsed]], endpoint: Endpoint) -> Parsed | ChainError:
    try:
        return await ask(endpoint)
    except ChainError as error:
        return error


def _parse(endpoint: Endpoint, what: str, parse: Callable[[], Parsed]) -> Parsed:
    try:
        return parse()
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise endpoint.nonsense(what, error) from error


def _question(method: str, parse: Callable[[Any], Parsed], *parameters: Any) -> Callable[[Endpoint], Awaitable[Parsed]]:
    async def ask(endpoint: Endpoint) -> Parsed:
        found = await endpoint.ask(method, *parameters)
        return _parse(endpoint, method, lambda: parse(found))

    return ask


async def _head(endpoint: Endpoint, tag: str) -> Block:
    found = await endpoint.ask("eth_getBlockByNumber", tag, False)
    block = _parse(endpoint, f"{tag} block", lambda: block_of(found, tag))
    if block is None:
        raise NodeRefused(f"{endpoint.name}: it has no {tag} block; is it a chain node, and in step?")
    if tag == "latest":
        endpoint.head_number = block.number
    return block


def _transaction(to: str | None, data: bytes, sender: str | None) -> dict[str, str]:
    transaction = {"data": "0x" + data.hex()}
    if to is not None:
        transaction["to"] = to.lower()
    if sender is not None:
        transaction["from"] = sender.lower()
    return transaction
