"""Where a monitor looks: the cloud's tiles and notes, a chain node, witnesses and gateways. All of them may lie."""

import asyncio
import itertools
import json
from typing import Any
from urllib.parse import urlsplit

import httpx

from contracts.errors import RpcError, TileError
from contracts.tiles import Tile, decode_bundle, decode_tile, tile_at, tile_path

__all__ = ["LogSource", "NodeRpc", "Unreachable", "Web", "Withheld", "host_of"]

_TIMEOUT_SECONDS = 20.0
_ANSWER_SECONDS = 60.0
_LEAVES_MAX = 1 << 22  # in one look: some hundreds of megabytes
_NOTE_BYTES_MAX = 16_384
_BUNDLE_BYTES_MAX = 256 * 65_537
_RPC_BYTES_MAX = 16 * 1024 * 1024


class Unreachable(Exception):
    """Nobody answered, or with an error of its own: nothing is known."""


class Withheld(Exception):
    """An answer came, and it is not what the signed checkpoint says must be there."""


class Web:
    """HTTP with limits: no redirects, no proxies of the environment, no endless answers, however slowly they drip."""

    def __init__(
        self, transport: httpx.AsyncBaseTransport | None = None, *, answer_seconds: float = _ANSWER_SECONDS
    ) -> None:
        self._runner = asyncio.Runner()
        self._answer_seconds = answer_seconds
        self._client = httpx.AsyncClient(
            timeout=_TIMEOUT_SECONDS, trust_env=False, transport=transport, headers={"Accept-Encoding": "identity"}
        )

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()

    def get(self, url: str, *, bytes_max: int) -> bytes | None:
        """The body; None for 404. Raises `Unreachable`."""
        return self._runner.run(self._ask("GET", url, None, bytes_max, shown=url))

    def post(self, url: str, body: bytes, *, bytes_max: int) -> bytes | None:
        """The answer to a JSON body; None for 404. Raises `Unreachable`, whose words name the host alone: what
        follows it may be a key.
        """
        return self._runner.run(self._ask("POST", url, body, bytes_max, shown=host_of(url)))

    def note(self, url: str) -> str | None:
        """A note's text; None for 404. Raises `Unreachable`."""
        body = self.get(url, bytes_max=_NOTE_BYTES_MAX)
        return None if body is None else body.decode(errors="replace")

    async def _ask(self, method: str, url: str, body: bytes | None, bytes_max: int, *, shown: str) -> bytes | None:
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            async with (
                asyncio.timeout(self._answer_seconds),
                self._client.stream(method, url, content=body, headers=headers) as answer,
            ):
                read = bytearray()
                if answer.headers.get("Content-Encoding", "identity") != "identity":
                    raise Unreachable(f"{shown} answers packed, which was not asked for")
                async for part in answer.aiter_bytes():
                    read += part
                    if len(read) > bytes_max:
                        raise Unreachable(f"{shown} answers with over {bytes_max} bytes")
                if answer.status_code == 404:
                    return None
                if answer.status_code != 200:
                    raise Unreachable(f"{shown} answers {answer.status_code}")
                return bytes(read)
        except TimeoutError as error:
            raise Unreachable(f"{shown} did not end its answer within {self._answer_seconds:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unreachable(f"{shown}: {type(error).__name__}") from error


def host_of(url: str) -> str:
    """Scheme, host and port: all of an address that may be shown, where the rest can be a key."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


class LogSource:
    """One log's tiles below a prefix."""

    def __init__(self, web: Web, prefix: str) -> None:
        self._web, self._prefix = web, prefix

    def checkpoint(self, size: int | None = None) -> str | None:
        """The newest note, or the one of a size; None where there is none. Raises `Unreachable`."""
        return self._web.note(f"{self._prefix}/checkpoint{'' if size is None else f'/{size}'}")

    def leaf_hashes(self, start: int, size: int) -> list[bytes]:
        """Leaf hashes from the tile boundary at or below `start` to `size`. Raises `Unreachable`, `Withheld`."""
        found: list[bytes] = []
        self._check_growth(start, size)
        for index in range(start // 256, (size + 255) // 256):
            tile = tile_at(0, index, size)
            try:
                found += decode_tile(self._fetch(tile), tile.width)
            except TileError as error:
                raise Withheld(f"{self._prefix}/{tile_path(tile)}: {error}") from error
        return found

    def entries(self, start: int, size: int) -> list[bytes]:
        """Leaf data start..size-1. Raises `Unreachable`, `Withheld`."""
        found: list[bytes] = []
        self._check_growth(start, size)
        for index in range(start // 256, (size + 255) // 256):
            bundle = tile_at(None, index, size)
            try:
                found += decode_bundle(self._fetch(bundle), bundle.width)
            except TileError as error:
                raise Withheld(f"{self._prefix}/{tile_path(bundle)}: {error}") from error
        return found[start % 256 :]

    def _check_growth(self, start: int, size: int) -> None:
        if size - start > _LEAVES_MAX:
            raise Withheld(
                f"{self._prefix} grew by {size - start} leaves, more than a monitor takes in one look ({_LEAVES_MAX}); "
                "if that is true, begin with the state of a monitor that has followed it"
            )

    def _fetch(self, tile: Tile) -> bytes:
        body = self._web.get(f"{self._prefix}/{tile_path(tile)}", bytes_max=_BUNDLE_BYTES_MAX)
        if body is None:
            raise Withheld(f"{self._prefix}/{tile_path(tile)} is not there")
        return body


class NodeRpc:
    """JSON-RPC 2.0 to one node. Satisfies `contracts.onchain.Rpc`."""

    def __init__(self, web: Web, url: str) -> None:
        self._web, self._url = web, url
        self._numbers = itertools.count(1)

    def __call__(self, method: str, parameters: list[Any]) -> Any:
        """The result of one call. Raises `RpcError`."""
        number = next(self._numbers)
        question = {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
        try:
            body = self._web.post(self._url, json.dumps(question).encode(), bytes_max=_RPC_BYTES_MAX)
            answer = json.loads(body or b"null")
        except (Unreachable, ValueError, RecursionError) as error:
            raise RpcError(f"the node does not answer {method}: {error}") from error
        if not isinstance(answer, dict) or "result" not in answer or answer.get("id") != number:
            raise RpcError(f"the node at {host_of(self._url)} refuses {method}: {str(answer)[:200]}")
        return answer["result"]
