"""Nodes that fail: three faces of one real anvil, each with its own fault, over HTTP or in the same process.

A node may be down, slow, cut its answers off, answer rubbish, refuse, lag behind, stand still on an old fork, swallow
what is broadcast, or lie. Of three, one at most lies or stands on an old fork; the others may fail in honest ways.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import aiohttp

HONEST = ("honest", "down", "slow", "cut off", "rubbish", "refuses", "lags", "swallows", "doubles")
WRONG = ("lies", "old fork")
_TOLD_ONE = "0x" + "00" * 31 + "01"


class Anvil:
    """The real chain. What is asked twice while nothing changes is asked once."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session: aiohttp.ClientSession | None = None
        self._kept: dict[str, dict[str, Any]] = {}
        self.asked = 0

    async def rpc(self, method: str, *params: Any) -> Any:
        """A question or an order of the test's own; orders make everything be asked anew."""
        answer = await self.answer(method, list(params))
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]

    async def answer(self, method: str, params: Any) -> dict[str, Any]:
        """The node's answer, without its id."""
        is_question = method.startswith("eth_") and not method.startswith("eth_send")
        key = json.dumps([method, params])
        if is_question and key in self._kept:
            return self._kept[key]
        if not is_question:
            self._kept.clear()
        if self._session is None:
            self._session = aiohttp.ClientSession()
        self.asked += 1
        question = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        async with self._session.post(self.url, json=question) as response:
            answer: dict[str, Any] = json.loads(await response.read())
        answer.pop("id", None)
        if is_question:
            self._kept[key] = answer
        else:
            self._kept.clear()
        return answer

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None


class Node:
    """One endpoint's behaviour; `fault` is set by the test."""

    def __init__(self, anvil: Anvil, rng: random.Random) -> None:
        self._anvil, self._rng = anvil, rng
        self._fault = "honest"
        self._behind = 0
        self._stands_at: dict[str, dict[str, Any]] = {}
        self._past: dict[str, dict[str, Any]] = {}

    @property
    def fault(self) -> str:
        return self._fault

    def set_fault(self, fault: str) -> None:
        """Behave so from now on."""
        self._fault = fault
        self._behind = self._rng.randint(1, 12)
        self._stands_at = dict(self._past) if fault == "old fork" else {}

    async def exchange(self, body: bytes) -> bytes:
        """Bytes of a question in, bytes of an answer out. Raises `OSError` or `TimeoutError` as a network does."""
        question = json.loads(body)
        if self._fault == "down":
            raise ConnectionRefusedError("down")
        if self._fault == "slow":
            if self._rng.random() < 0.5:  # it got through, and the answer did not come in time
                await self._answer(question["method"], question["params"])
            raise TimeoutError
        answer = await self._answer(question["method"], question["params"])
        encoded = json.dumps({"jsonrpc": "2.0", "id": question["id"], **answer}).encode()
        if self._fault == "cut off" and self._rng.random() < 0.7:
            return encoded[: self._rng.randrange(len(encoded))]
        if self._fault == "rubbish" and self._rng.random() < 0.7:
            return self._rng.choice([b"", b"[" * 5000, b"<html>429</html>", b"null", b'{"result":{}}', b"\xff\xfe"])
        return encoded

    async def _answer(self, method: str, params: Any) -> dict[str, Any]:
        if self._fault == "refuses" and self._rng.random() < 0.7:
            return {"error": {"code": -32005, "message": "daily request count exceeded"}}
        if method == "eth_sendRawTransaction":
            return await self._take(params)
        key = json.dumps([method, params])
        if self._fault == "old fork" and key in self._stands_at:
            return self._stands_at[key]
        answer = await (self._lagging(method, params) if self._fault == "lags" else self._anvil.answer(method, params))
        if len(self._past) > 200:
            self._past.clear()
        self._past[key] = answer
        return self._lie(method, answer) if self._fault == "lies" and self._rng.random() < 0.5 else answer

    async def _take(self, params: Any) -> dict[str, Any]:
        if self._fault in ("swallows", "old fork", "lies"):
            return {"result": "0x" + "11" * 32}
        if self._fault == "doubles":
            await self._anvil.answer("eth_sendRawTransaction", params)
        return await self._anvil.answer("eth_sendRawTransaction", params)

    async def _lagging(self, method: str, params: Any) -> dict[str, Any]:
        """As a node that has not seen the last blocks."""
        head = int((await self._anvil.answer("eth_blockNumber", []))["result"], 16)
        seen = max(0, head - self._behind)
        unknown = {"error": {"code": -32000, "message": "header not found"}}
        if method == "eth_getBlockByNumber":
            if params[0] in ("latest", "finalized"):
                return await self._anvil.answer(method, [hex(seen), params[1]])
            return {"result": None} if int(params[0], 16) > seen else await self._anvil.answer(method, params)
        if method in ("eth_call", "eth_getTransactionCount", "eth_getBalance", "eth_estimateGas"):
            if params[-1] == "latest":
                return await self._anvil.answer(method, [*params[:-1], hex(seen)])
            return unknown if int(params[-1], 16) > seen else await self._anvil.answer(method, params)
        answer = await self._anvil.answer(method, params)
        found = answer.get("result")
        if method == "eth_getTransactionReceipt" and found and int(found["blockNumber"], 16) > seen:
            return {"result": None}
        if method == "eth_getLogs" and found and int(found[0]["blockNumber"], 16) > seen:
            return unknown
        return answer

    def _lie(self, method: str, answer: dict[str, Any]) -> dict[str, Any]:
        found = answer.get("result")
        lies: dict[str, Callable[[], Any]] = {
            "eth_chainId": lambda: "0x1",
            "eth_getTransactionCount": lambda: hex(max(0, int(found, 16) + self._rng.choice([-1, 1, 2]))),
            "eth_getBalance": lambda: "0x0",
            "eth_estimateGas": lambda: self._rng.choice(["0x5208", "0xffffff"]),
            "eth_call": lambda: _TOLD_ONE if found != _TOLD_ONE else "0x" + "00" * 32,
            "eth_getTransactionReceipt": lambda: self._false_receipt(found),
            "eth_getTransactionByHash": lambda: None,
            "eth_getLogs": lambda: found[1:] if found else found,
            "eth_getBlockByNumber": lambda: self._false_block(found),
        }
        if method not in lies or "result" not in answer:
            return answer
        return {"result": lies[method]()}

    def _false_receipt(self, found: Any) -> Any:
        if found is None or self._rng.random() < 0.5:
            return None
        return {**found, "status": "0x0" if found["status"] == "0x1" else "0x1"}

    def _false_block(self, found: Any) -> Any:
        if found is None:
            return None
        false = "0x" + self._rng.randbytes(32).hex()
        change = self._rng.choice(["hash", "number", "logsBloom", "parentHash", "baseFeePerGas"])
        values = {"number": hex(int(found["number"], 16) + 1000), "logsBloom": "0x" + "00" * 256}
        return {**found, change: values.get(change, false if "ash" in change else hex(10**15))}


@asynccontextmanager
async def served(node: Node) -> AsyncIterator[str]:
    """The node behind HTTP, as a proxy in front of anvil; its URL."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, ValueError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                body = await node.exchange(await reader.readexactly(int(length.partition(b":")[2])))
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
