"""Whose signature a mirror believes: keys that its operator pinned, or those that the Registry on chain names."""

import itertools
from collections.abc import Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

import httpx

from cloud.mirror.settings import PinnedKey
from contracts.errors import RpcError
from contracts.onchain import ChainView
from contracts.trust import Trust

__all__ = ["KeyBook", "PinnedKeys", "RegistryKeys", "open_key_book"]

_ANSWER_SECONDS = 10.0


class KeyBook(Protocol):
    """Asked once for each log and key; blocking, so asked in a thread."""

    def knows(self, origin: str, public: bytes) -> bool:
        """Whether this key is or was this log's. Raises `RpcError` while nobody can be asked."""
        ...


class PinnedKeys:
    """A list of the mirror's own."""

    def __init__(self, pinned: Sequence[PinnedKey]) -> None:
        self._pinned = {(one.origin, one.public) for one in pinned}

    def knows(self, origin: str, public: bytes) -> bool:
        return (origin, public) in self._pinned


class RegistryKeys:
    """The Registry that the trust file names, through a node of the mirror's own choice."""

    def __init__(self, trust: Trust, rpc_url: str) -> None:
        self._view = ChainView(_HttpRpc(rpc_url), trust)
        self._known: set[tuple[str, bytes]] = set()

    def knows(self, origin: str, public: bytes) -> bool:
        if (origin, public) not in self._known and self._view.gateway_key(origin, public) is not None:
            self._known.add((origin, public))
        return (origin, public) in self._known


class _HttpRpc:
    """JSON-RPC over HTTP, one question at a time: a `contracts.onchain.Rpc`."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._host = urlsplit(url).netloc.rpartition("@")[2]  # all that is shown: the path may be a key
        self._numbers = itertools.count(1)

    def __call__(self, method: str, parameters: list[Any]) -> Any:
        question = {"jsonrpc": "2.0", "id": next(self._numbers), "method": method, "params": parameters}
        try:
            answer = httpx.post(self._url, json=question, timeout=_ANSWER_SECONDS).json()
        except (httpx.HTTPError, ValueError, RecursionError) as error:
            raise RpcError(f"the node at {self._host} does not answer {method}: {type(error).__name__}") from error
        if not isinstance(answer, dict) or answer.get("error") is not None or "result" not in answer:
            raise RpcError(f"the node at {self._host} refuses {method}: {str(answer)[:200]}")
        return answer["result"]


def open_key_book(*, pinned: Sequence[PinnedKey], trust: Trust | None, rpc_url: str) -> KeyBook:
    """The Registry where the settings name one, else the pinned keys."""
    return PinnedKeys(pinned) if trust is None else RegistryKeys(trust, rpc_url)
