"""A Merkle tree as tiles: files of 256 hashes each, and bundles of 256 leaves, that anybody can fetch, cache and check.

A tile at level L holds hashes of complete subtrees of 256^L leaves; the levels between are hashed from it. What a
checkpoint covers never changes, so a tile never does; only the rightmost ones are still partial, and say how wide.

Source: C2SP tlog-tiles.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from contracts.errors import TileError
from contracts.tree import HASH_BYTES, node_hash

TILE_HEIGHT = 8
TILE_WIDTH = 1 << TILE_HEIGHT
LEVEL_END = 64
LEAF_BYTES_MAX = 0xFFFF

_PATH = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """One tile or entry bundle by its place; `level` None is a bundle."""

    level: int | None
    index: int
    width: int = TILE_WIDTH

    @property
    def start(self) -> int:
        """Position of its first hash within its level."""
        return self.index * TILE_WIDTH

    @property
    def end(self) -> int:
        """Position behind its last hash within its level."""
        return self.start + self.width

    @property
    def node_level(self) -> int:
        """The level of its hashes in the tree, leaves being 0."""
        return TILE_HEIGHT * (self.level or 0)

    def is_within(self, size: int) -> bool:
        """Whether a tree of `size` leaves has all its hashes."""
        return self.end <= size >> self.node_level


def tile_path(tile: Tile) -> str:
    """Its path below a log's prefix, such as `tile/0/x001/234.p/5`."""
    level = "entries" if tile.level is None else str(tile.level)
    partial = "" if tile.width == TILE_WIDTH else f".p/{tile.width}"
    return f"tile/{level}/{_format_index(tile.index)}{partial}"


def parse_tile_path(path: str) -> Tile:
    """The tile that a path names, in its one spelling.

    Raises:
        TileError: any other path.
    """
    found = _PATH.fullmatch(path)
    if found is None:
        raise TileError(f"{path[:80]!r} names no tile; the form is tile/LEVEL/x001/234 or tile/LEVEL/x001/234.p/WIDTH")
    level, index, width = found.groups()
    tile = Tile(
        level=None if level == "entries" else int(level),
        index=int(index.replace("x", "").replace("/", "")),
        width=int(width) if width else TILE_WIDTH,
    )
    if (tile.level or 0) >= LEVEL_END or tile_path(tile) != path:
        raise TileError(f"{path[:80]!r} is not the one spelling of a tile's path, of level 0 to 63 and width 1 to 255")
    return tile


def tile_at(level: int | None, index: int, size: int) -> Tile:
    """The tile at a place in a tree of `size` leaves, as wide as that tree makes it.

    Raises:
        TileError: that tree has nothing there.
    """
    tile = Tile(level=level, index=index)
    width = min(TILE_WIDTH, (size >> tile.node_level) - tile.start)
    if index < 0 or width < 1:
        raise TileError(f"a tree of {size} leaves has no tile {index} at level {level}")
    return Tile(level=level, index=index, width=width)


def encode_tile(hashes: Sequence[bytes]) -> bytes:
    """The bytes of a tile: its hashes, one after the other."""
    return b"".join(hashes)


def decode_tile(encoded: bytes, width: int) -> list[bytes]:
    """The `width` hashes of a tile. Raises `TileError` for another length."""
    if len(encoded) != width * HASH_BYTES:
        raise TileError(f"a tile of {width} hashes has {width * HASH_BYTES} bytes, not {len(encoded)}")
    return [encoded[at : at + HASH_BYTES] for at in range(0, len(encoded), HASH_BYTES)]


def encode_bundle(leaves: Sequence[bytes]) -> bytes:
    """The bytes of an entry bundle: each leaf behind its length as two big-endian bytes."""
    return b"".join(len(leaf).to_bytes(2) + leaf for leaf in leaves)


def decode_bundle(encoded: bytes, width: int) -> list[bytes]:
    """The `width` leaves of an entry bundle. Raises `TileError` where it holds more, fewer or cut ones."""
    leaves: list[bytes] = []
    at = 0
    while at < len(encoded):
        end = at + 2 + int.from_bytes(encoded[at : at + 2])
        if at + 2 > len(encoded) or end > len(encoded) or len(leaves) == width:
            raise TileError(f"an entry bundle is not {width} leaves, each behind two bytes of length")
        leaves.append(encoded[at + 2 : end])
        at = end
    if len(leaves) != width:
        raise TileError(f"an entry bundle holds {len(leaves)} leaves instead of {width}")
    return leaves


class TileNodes:
    """A `NodeReader` over the tiles of a tree of `size` leaves; each tile is read once.

    `read` gives a tile's bytes and raises what its source raises; nothing of them is verified but their length: compare
    the root.
    """

    def __init__(self, size: int, read: Callable[[Tile], bytes]) -> None:
        self._size = size
        self._read = read
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    def __call__(self, level: int, index: int) -> bytes:
        """The hash of the complete subtree at (level, index)."""
        tile_level, height = divmod(level, TILE_HEIGHT)
        first = index << height
        tile_index, at = divmod(first, TILE_WIDTH)
        row = self._row(tile_level, tile_index)[at : at + (1 << height)]
        if len(row) != 1 << height:
            raise TileError(f"a tree of {self._size} leaves has no complete subtree {index} at level {level}")
        for _ in range(height):
            row = [node_hash(row[left], row[left + 1]) for left in range(0, len(row), 2)]
        return row[0]

    def _row(self, level: int, index: int) -> list[bytes]:
        if (level, index) not in self._tiles:
            tile = tile_at(level, index, self._size)
            self._tiles[level, index] = decode_tile(self._read(tile), tile.width)
        return self._tiles[level, index]


def _format_index(index: int) -> str:
    groups = [f"{index % 1000:03d}"]
    while index >= 1000:
        index //= 1000
        groups.append(f"x{index % 1000:03d}")
    return "/".join(reversed(groups))
