"""Tile paths, tiles and entry bundles as C2SP tlog-tiles spells them, and the tree read back from tiles."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import TileError
from contracts.tiles import (
    Tile,
    TileNodes,
    decode_bundle,
    decode_tile,
    encode_bundle,
    encode_tile,
    parse_tile_path,
    tile_at,
    tile_path,
)
from contracts.tree import MemoryTree, consistency_path, inclusion_path, root_of
from tests.contracts import reference_tree

tiles = st.builds(Tile, level=st.none() | st.integers(0, 63), index=st.integers(0, 2**48), width=st.integers(1, 256))


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(level=0, index=1234067), "tile/0/x001/x234/067"),  # the specification's example
        (Tile(level=0, index=273, width=112), "tile/0/273.p/112"),
        (Tile(level=2, index=0, width=1), "tile/2/000.p/1"),
        (Tile(level=None, index=999, width=255), "tile/entries/999.p/255"),
        (Tile(level=63, index=1000), "tile/63/x001/000"),
    ],
)
def test_a_tiles_path_is_the_specifications(tile: Tile, path: str) -> None:
    assert tile_path(tile) == path
    assert parse_tile_path(path) == tile


@given(tiles)
def test_a_path_survives_its_text(tile: Tile) -> None:
    assert parse_tile_path(tile_path(tile)) == tile


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/5", "tile/0/0005", "tile/0/x000/005", "tile/0/005.p/0", "tile/0/005.p/256", "tile/0/005.p/012",
        "tile/64/000", "tile/00/000", "tile/-1/000", "tile/0/x001", "tile/0/001/002", "tile/0/٠٠٥", "tile/0/005.p/",
        "tile/0/../000", "tile/entries", "", "tile/0/005\n",
    ],
)  # fmt: skip
def test_another_spelling_names_no_tile(path: str) -> None:
    with pytest.raises(TileError):
        parse_tile_path(path)


def test_a_tree_of_70000_has_the_tiles_that_the_specification_counts() -> None:
    size = 70_000
    assert tile_at(0, 272, size).width == 256 and tile_at(0, 273, size).width == 112
    assert tile_at(1, 0, size).width == 256 and tile_at(1, 1, size).width == 17
    assert tile_at(2, 0, size).width == 1
    for level, index in ((0, 274), (1, 2), (2, 1), (3, 0), (0, -1)):
        with pytest.raises(TileError):
            tile_at(level, index, size)
    assert tile_at(1, 0, 256) == Tile(level=1, index=0, width=1)
    assert tile_at(None, 273, size).width == 112


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_a_bundle_survives_its_bytes_and_no_other_count(leaves: list[bytes]) -> None:
    encoded = encode_bundle(leaves)
    assert decode_bundle(encoded, len(leaves)) == leaves
    for width in (len(leaves) + 1, len(leaves) - 1):
        with pytest.raises(TileError):
            decode_bundle(encoded, width)
    if encoded:
        with pytest.raises(TileError):
            decode_bundle(encoded[:-1], len(leaves))


def test_a_bundles_bytes_are_lengths_and_leaves() -> None:
    assert encode_bundle([b"ab", b"", b"c" * 300]) == b"\0\2ab\0\0\1\x2c" + b"c" * 300


@given(st.integers(1, 700), st.data())
def test_the_tree_is_read_back_from_its_tiles(size: int, data: st.DataObject) -> None:
    leaves = [at.to_bytes(2) for at in range(size)]
    tree = MemoryTree(sha256(b"\x00" + leaf).digest() for leaf in leaves)
    nodes = TileNodes(
        size, lambda tile: encode_tile([tree.node(tile.node_level, at) for at in range(tile.start, tile.end)])
    )
    old = data.draw(st.integers(1, size))
    assert root_of(nodes, size) == reference_tree.mth(leaves)
    assert root_of(nodes, old) == reference_tree.mth(leaves[:old])
    assert consistency_path(nodes, old, size) == reference_tree.proof(old, leaves)
    assert inclusion_path(nodes, old - 1, size) == reference_tree.path(old - 1, leaves)


def test_a_cut_tile_is_refused() -> None:
    with pytest.raises(TileError, match="2 hashes has 64 bytes, not 63"):
        decode_tile(bytes(63), 2)
    with pytest.raises(TileError, match="no complete subtree"):
        TileNodes(5, lambda tile: bytes(32 * tile.width))(1, 2)
