"""One JSON-RPC endpoint: web3's HTTP provider with limits on what it may answer, and what it has been worth so far.

An endpoint is somebody else's machine. Its answers are bounded in time and size before they are read, and every way in
which they can be wrong ends in a `ChainError`. Its name in messages is host and port alone: paths carry API keys.
"""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from cloud.chain.errors import CallReverted, NodeRefused, Unreachable

__all__ = ["Endpoint"]

_TIMEOUT_SECONDS = 10.0
_ANSWER_BYTES_MAX = 4 << 20
_LOGS_BYTES_MAX = 32 << 20
_REST_SECONDS_MAX = 30.0
_SET_ASIDE_SECONDS = 60.0
_SET_ASIDE_SECONDS_MAX = 3600.0
_DISSENTS_MAX = 4
_REASON_LENGTH = 300


class Endpoint:
    """A node that is asked, with its health."""

    def __init__(
        self,
        url: str,
        *,
        timeout_seconds: float = _TIMEOUT_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.url = url
        self.name = urlsplit(url).netloc.rpartition("@")[2] or "endpoint"
        self.head_number: int | None = None  # as it said last
        self.latency_seconds: float | None = None
        self.set_aside: str | None = None  # why it is not believed at present
        self._timeout, self._monotonic = timeout_seconds, monotonic
        self._provider: Any = None
        self._number = 0
        self._failures = 0
        self._rests_until = 0.0
        self._dissents = 0
        self._times_set_aside = 0
        self._aside_until = 0.0

    async def ask(self, method: str, *parameters: Any) -> Any:
        """The `result` of one question.

        Raises:
            CallReverted: a contract refused, in its words.
            NodeRefused: the node answered with an error.
            Unreachable: no answer in time, or nothing that is an answer.
        """
        self._number += 1
        number = self._number
        question = {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
        limit = _LOGS_BYTES_MAX if method == "eth_getLogs" else _ANSWER_BYTES_MAX
        await self.open()
        started = self._monotonic()
        try:
            async with asyncio.timeout(self._timeout):
                body = await self.exchange(json.dumps(question).encode(), limit)
            answer = _parsed(body, number)
        except Unreachable as error:
            raise self._failed(method, str(error)) from error
        except TimeoutError as error:
            raise self._failed(method, f"no answer within {self._timeout:g} s") from error
        except Exception as error:
            if not isinstance(error, OSError) and not type(error).__module__.startswith("aiohttp"):
                raise
            # Not the error's own text, which may carry the URL with its key.
            reason = (isinstance(error, OSError) and error.strerror) or type(error).__name__
            raise self._failed(method, f"no answer ({reason[:100]})") from error
        self._failures, self._rests_until = 0, 0.0
        self.latency_seconds = self._monotonic() - started
        if "error" in answer:
            raise self._refusal(method, answer["error"])
        return answer["result"]

    async def open(self) -> None:
        """Load web3, which takes seconds on a busy machine: our own slowness is not held against the node."""
        if self._provider is None:
            self._provider = await asyncio.to_thread(_provider, self.url)

    async def exchange(self, question: bytes, limit: int) -> bytes:
        """Bytes out, bytes in, at most `limit` of them. Raises `Unreachable`, `OSError` or an error of aiohttp's."""
        return bytes(await self._provider.exchange(question, limit))

    async def close(self) -> None:
        """Close the HTTP session."""
        if self._provider is not None:
            await self._provider.disconnect()

    # -- health -----------------------------------------------------------------------------------------------------

    def is_resting(self) -> bool:
        """Whether it failed a moment ago, so that others are asked first."""
        return self._monotonic() < self._rests_until

    def is_believed(self) -> bool:
        """Whether its answers count. One that was set aside is heard again after a while."""
        if self.set_aside is not None and self._monotonic() >= self._aside_until:
            self.set_aside, self._dissents = None, _DISSENTS_MAX - 1
        return self.set_aside is None

    def agreed(self) -> None:
        """It said what the majority says."""
        self._dissents = max(0, self._dissents - 1)

    def dissented(self, says: str, *, at_once: bool) -> bool:
        """It contradicts the majority; whether it is set aside for it.

        `at_once`: no honest node can answer so. Otherwise it may only be behind or on a fork that will die, and is
        given a few chances.
        """
        self._dissents += 1
        if not at_once and self._dissents < _DISSENTS_MAX:
            return False
        self.put_aside(says)
        return True

    def put_aside(self, says: str) -> None:
        """Not believe it for a while, longer each time."""
        seconds = min(_SET_ASIDE_SECONDS_MAX, _SET_ASIDE_SECONDS * 2**self._times_set_aside)
        self._times_set_aside = min(self._times_set_aside + 1, 10)
        self._aside_until = self._monotonic() + seconds
        self.set_aside = says

    def nonsense(self, what: str, error: Exception) -> Unreachable:
        """An answer that cannot be what was asked for, as an error to raise."""
        return self._failed(what, f"answered nonsense ({type(error).__name__}: {str(error)[:120]})")

    def _failed(self, what: str, says: str) -> Unreachable:
        self._failures += 1
        rest = min(_REST_SECONDS_MAX, 0.25 * 2 ** min(self._failures, 10))
        self._rests_until = self._monotonic() + rest
        return Unreachable(f"{self.name}: {what}: {says}")

    def _refusal(self, method: str, error: Any) -> CallReverted | NodeRefused:
        message = str(error.get("message", "")) if isinstance(error, Mapping) else str(error)
        # Nodes disagree on the code of a reverted call (3, -32000, -32015), not on the word.
        if method in ("eth_call", "eth_estimateGas") and "revert" in message.lower():
            return CallReverted(_reason(message))
        return NodeRefused(f"{self.name}: {method}: the node says {message[:_REASON_LENGTH]}")


def _parsed(body: bytes, number: int) -> Mapping[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Unreachable(f"answered no JSON ({len(body)} bytes)") from error
    if not isinstance(answer, dict) or ("result" in answer) == (answer.get("error") is not None):
        raise Unreachable("answered something that is no JSON-RPC answer")
    if answer.get("id") != number and "result" in answer:
        raise Unreachable("answered another question")
    return {"result": answer["result"]} if "result" in answer else {"error": answer["error"]}


def _reason(message: str) -> str:
    for prefix in ("execution reverted: ", "revert: ", "reverted: "):
        message = message.rpartition(prefix)[2]
    return message[:_REASON_LENGTH]


def _provider(url: str) -> Any:
    """web3's provider, which reads no more than it should and follows no redirect."""
    import aiohttp
    from web3 import AsyncHTTPProvider

    sys.setrecursionlimit(1000)  # py_ecc raises it to 100,000, where deep JSON would overflow the C stack

    class LimitedProvider(AsyncHTTPProvider):
        held: aiohttp.ClientSession | None = None

        async def exchange(self, question: bytes, limit: int) -> bytes:
            try:
                return await self.post(question, limit)
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):
                return await self.post(question, limit)  # a kept connection that the node has closed meanwhile

        async def post(self, question: bytes, limit: int) -> bytes:
            session = await self._session()
            async with session.post(
                url, data=question, headers={"Content-Type": "application/json"}, allow_redirects=False
            ) as response:
                if response.content_length is not None and response.content_length > limit:
                    raise Unreachable(f"answered {response.content_length} bytes, more than {limit}")
                body = bytearray()
                async for chunk in response.content.iter_chunked(1 << 16):
                    body += chunk
                    if len(body) > limit:
                        raise Unreachable(f"answered more than {limit} bytes")
                if response.status != 200 and not body.lstrip().startswith(b"{"):
                    raise Unreachable(f"answered HTTP {response.status}")
                return bytes(body)

        async def _session(self) -> aiohttp.ClientSession:
            if self.held is None:
                self.held = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar())
            return self.held

        async def disconnect(self) -> None:
            if self.held is not None:
                await self.held.close()
                self.held = None

    return LimitedProvider(url)
