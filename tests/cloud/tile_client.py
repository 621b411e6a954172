"""A straightforward client of tlog-tiles, written from the specification alone and with none of the product's code.

It fetches every tile that a checkpoint of a size requires, checks each level against the one below, and answers with
the leaf hashes; the slow tree of RFC 9162 does the rest.
"""

import gzip
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256

Get = Callable[[str, dict[str, str]], Awaitable[tuple[int, dict[str, str], bytes]]]
"""GET a path below the prefix: status, headers in lower case, the raw body."""


def merkle_tree_hash(hashes: list[bytes]) -> bytes:
    """MTH over leaf *hashes*. RFC 9162, 2.1.1."""
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while 2 * k < len(hashes):
        k *= 2
    return sha256(b"\x01" + merkle_tree_hash(hashes[:k]) + merkle_tree_hash(hashes[k:])).digest()


def encoded_index(number: int) -> str:
    digits = str(number)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
    return "/".join(["x" + group for group in groups[:-1]] + groups[-1:])


@dataclass
class TileClient:
    """Fetches below one prefix and counts."""

    get: Get
    fetched: int = 0

    async def _fetch(self, path: str) -> bytes:
        status, headers, body = await self.get(path, {"Accept-Encoding": "identity"})
        assert status == 200, f"{path}: {status} {body[:100]!r}"
        assert headers["content-type"] == "application/octet-stream", headers
        assert "immutable" in headers["cache-control"] and "max-age=31536000" in headers["cache-control"]
        self.fetched += 1
        return body

    async def leaf_hashes(self, size: int) -> list[bytes]:
        """All leaf hashes of a tree of `size`, each tile of each level checked against the level below."""
        below: list[bytes] = []
        leaves: list[bytes] = []
        level = 0
        while size // 256**level:
            count = size // 256**level
            row: list[bytes] = []
            for number in range((count + 255) // 256):
                width = min(256, count - 256 * number)
                path = f"/tile/{level}/{encoded_index(number)}" + ("" if width == 256 else f".p/{width}")
                body = await self._fetch(path)
                assert len(body) == 32 * width, path
                row += [body[at : at + 32] for at in range(0, len(body), 32)]
            if level == 0:
                leaves = row
            for at, node in enumerate(row if level else []):
                assert node == merkle_tree_hash(below[256 * at : 256 * at + 256]), f"level {level}, hash {at}"
            below, level = row, level + 1
        return leaves

    async def entries(self, size: int, *, compressed: bool = False) -> list[bytes]:
        """All entries of a tree of `size`."""
        found: list[bytes] = []
        for number in range((size + 255) // 256):
            width = min(256, size - 256 * number)
            path = f"/tile/entries/{encoded_index(number)}" + ("" if width == 256 else f".p/{width}")
            if compressed:
                status, headers, body = await self.get(path, {"Accept-Encoding": "gzip"})
                assert (status, headers["content-encoding"]) == (200, "gzip"), path
                body = gzip.decompress(body)
            else:
                body = await self._fetch(path)
            at = 0
            while at < len(body):
                (length,) = struct.unpack_from(">H", body, at)
                found.append(body[at + 2 : at + 2 + length])
                at += 2 + length
        return found
