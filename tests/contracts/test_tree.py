"""The fast tree against the RFC's own words, published vectors, and positions that do not exist."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import TreeError
from contracts.tree import (
    EMPTY_ROOT,
    SIZE_END,
    Frontier,
    MemoryTree,
    consistency_path,
    inclusion_path,
    leaf_hash,
    leaf_hashes,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from tests.contracts import reference_tree

leaves = st.lists(st.binary(max_size=3), min_size=1, max_size=70)

# transparency-dev/merkle, testonly/constants.go (Apache-2.0): eight leaves and the roots of 1 to 8 of them.
REFERENCE_LEAVES = [
    bytes.fromhex(leaf)
    for leaf in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
REFERENCE_ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


def tree_of(data: list[bytes]) -> MemoryTree:
    return MemoryTree(map(leaf_hash, data))


def test_the_reference_tree_has_its_published_roots() -> None:
    frontier = Frontier()
    assert frontier.root() == EMPTY_ROOT
    for leaf, root in zip(REFERENCE_LEAVES, REFERENCE_ROOTS, strict=True):
        frontier.append(leaf_hash(leaf))
        assert frontier.root().hex() == root


def test_the_published_reference_tree_has_its_nodes(published: Callable[[str], Any]) -> None:
    vectors = published("rfc6962/reference-tree.json")
    tree = tree_of([bytes.fromhex(leaf) for leaf in vectors["leaf_inputs_hex"]])
    for level, nodes in enumerate(vectors["node_hashes_hex_by_level"]):
        for index, node in enumerate(nodes):
            assert tree.node(level, index).hex() == node
    assert [tree.root(size).hex() for size in range(9)] == vectors["root_hashes_hex_by_size"]


def test_published_inclusion_proofs_are_judged_as_published(published: Callable[[str], Any]) -> None:
    cases = published("rfc6962/inclusion.json")
    for name, case in cases.items():
        arguments = (_bytes(case["leafHash"]), case["leafIdx"], case["treeSize"], _path(case), _bytes(case["root"]))
        assert _raises(verify_inclusion, *arguments) == case["wantErr"], name
    assert len(cases) == 98


def test_published_consistency_proofs_are_judged_as_published(published: Callable[[str], Any]) -> None:
    cases = published("rfc6962/consistency.json")
    for name, case in cases.items():
        roots = _bytes(case["root1"]), _bytes(case["root2"])
        arguments = (case["size1"], roots[0], case["size2"], roots[1], _path(case))
        # Theirs allows the empty tree and roots that are no hashes, where sizes are equal; ours does not.
        is_refused = case["wantErr"] or case["size1"] == 0 or any(len(root) != 32 for root in roots)
        assert _raises(verify_consistency, *arguments) == is_refused, name
    assert len(cases) == 98


@given(leaves)
def test_frontier_and_stored_tree_have_the_rfcs_root(data: list[bytes]) -> None:
    frontier = Frontier()
    frontier.extend(map(leaf_hash, data))
    tree = tree_of(data)
    assert frontier.root() == tree.root() == root_of(tree.node, len(data)) == reference_tree.mth(data)


@given(leaves, st.data())
def test_every_inclusion_path_is_the_rfcs_and_verifies(data: list[bytes], draw: st.DataObject) -> None:
    index = draw.draw(st.integers(0, len(data) - 1))
    tree = tree_of(data)
    path = inclusion_path(tree.node, index, len(data))
    assert path == reference_tree.path(index, data)
    verify_inclusion(leaf_hash(data[index]), index, len(data), path, tree.root())


@given(leaves, st.data())
def test_every_consistency_path_is_the_rfcs_and_verifies(data: list[bytes], draw: st.DataObject) -> None:
    old_size = draw.draw(st.integers(1, len(data)))
    tree = tree_of(data)
    path = consistency_path(tree.node, old_size, len(data))
    assert path == reference_tree.proof(old_size, data)
    verify_consistency(old_size, tree.root(old_size), len(data), tree.root(), path)


@given(leaves, st.data())
def test_inclusion_at_any_position_is_judged_as_the_rfcs_loop_judges(data: list[bytes], draw: st.DataObject) -> None:
    index = draw.draw(st.integers(0, len(data) - 1))
    tree = tree_of(data)
    path = inclusion_path(tree.node, index, len(data))
    claimed_index, claimed_size = draw.draw(st.integers(0, 140)), draw.draw(st.integers(1, 140))
    arguments = (leaf_hash(data[index]), claimed_index, claimed_size, path, tree.root())
    assert _raises(verify_inclusion, *arguments) != reference_tree.is_included(*arguments)


@given(leaves, st.data())
def test_consistency_of_any_sizes_is_judged_as_the_rfcs_loop_judges(data: list[bytes], draw: st.DataObject) -> None:
    old_size = draw.draw(st.integers(1, len(data)))
    tree = tree_of(data)
    path = consistency_path(tree.node, old_size, len(data))
    claimed_old = draw.draw(st.integers(1, 80))
    claimed = draw.draw(st.integers(claimed_old + 1, 140))
    arguments = (claimed_old, tree.root(old_size), claimed, tree.root(), path)
    assert _raises(verify_consistency, *arguments) != reference_tree.is_consistent(*arguments)


@given(leaves, st.data())
def test_a_proof_with_one_changed_bit_is_refused(data: list[bytes], draw: st.DataObject) -> None:
    index = draw.draw(st.integers(0, len(data) - 1))
    tree = tree_of(data)
    hashes = [leaf_hash(data[index]), tree.root(), *inclusion_path(tree.node, index, len(data))]
    which = draw.draw(st.integers(0, len(hashes) - 1))
    hashes[which] = _flip(hashes[which], draw.draw(st.integers(0, 255)))
    with pytest.raises(TreeError, match="another root"):
        verify_inclusion(hashes[0], index, len(data), hashes[2:], hashes[1])


@pytest.mark.parametrize("index", [6, 10, 1002])
def test_leaf_2_of_4_is_refused_at_an_index_that_does_not_exist(index: int) -> None:
    tree = tree_of(REFERENCE_LEAVES[:4])
    path = inclusion_path(tree.node, 2, 4)
    verify_inclusion(leaf_hash(REFERENCE_LEAVES[2]), 2, 4, path, tree.root())
    with pytest.raises(TreeError, match="0 <= index < size"):
        verify_inclusion(leaf_hash(REFERENCE_LEAVES[2]), index, 4, path, tree.root())


@pytest.mark.parametrize(("old_size", "size"), [(0, 4), (5, 4), (1, SIZE_END)])
def test_consistency_outside_the_bounds_is_refused(old_size: int, size: int) -> None:
    with pytest.raises(TreeError, match="1 <= old size <= size"):
        verify_consistency(old_size, EMPTY_ROOT, size, EMPTY_ROOT, [])
    with pytest.raises(TreeError, match="1 <= old size <= size"):
        consistency_path(tree_of(REFERENCE_LEAVES).node, old_size, size)


def test_two_roots_for_one_size_are_never_consistent() -> None:
    tree = tree_of(REFERENCE_LEAVES)
    verify_consistency(8, tree.root(), 8, tree.root(), [])
    with pytest.raises(TreeError, match="different histories"):
        verify_consistency(8, tree.root(), 8, tree.root(7), [])


def test_a_path_of_another_length_or_of_short_hashes_is_refused() -> None:
    tree = tree_of(REFERENCE_LEAVES)
    path = inclusion_path(tree.node, 5, 8)
    for wrong in (path[:-1], [*path, path[0]]):
        with pytest.raises(TreeError, match="path of 3 hashes"):
            verify_inclusion(leaf_hash(REFERENCE_LEAVES[5]), 5, 8, wrong, tree.root())
    with pytest.raises(TreeError, match="32 bytes"):
        verify_inclusion(leaf_hash(REFERENCE_LEAVES[5]), 5, 8, [*path[:-1], path[-1][:31]], tree.root())


@given(st.integers(0, 300), st.integers(0, 300))
def test_a_stored_frontier_goes_on_as_if_it_had_never_been_stored(before: int, after: int) -> None:
    hashes = [leaf_hash(number.to_bytes(2)) for number in range(before + after)]
    whole, first = Frontier(), Frontier()
    whole.extend(hashes)
    first.extend(hashes[:before])
    stored = first.to_bytes()
    second = Frontier.from_bytes(stored)
    second.extend(hashes[before:])
    assert len(stored) == 8 + 32 * before.bit_count()
    assert (second.size, second.root(), second.peaks) == (whole.size, whole.root(), whole.peaks)


@given(st.lists(st.integers(0, 70), max_size=8))
def test_a_frontier_grown_in_strides_has_the_peaks_of_one_grown_leaf_by_leaf(strides: list[int]) -> None:
    hashes = [leaf_hash(number.to_bytes(2)) for number in range(sum(strides))]
    strode, grown, start = Frontier(), Frontier(), 0
    for stride in strides:
        strode.extend(hashes[start : start + stride])
        start += stride
    for one in hashes:
        grown.append(one)
    assert strode.to_bytes() == grown.to_bytes()
    assert strode.root() == MemoryTree(hashes).root()


def test_a_frontier_tells_of_subtrees_from_the_level_asked_for() -> None:
    nodes: list[tuple[int, int, bytes]] = []
    Frontier().extend([leaf_hash(number.to_bytes(2)) for number in range(20)], nodes.append, level_min=3)
    assert [node[:2] for node in nodes] == [(3, 0), (3, 1), (4, 0)]


@pytest.mark.parametrize("stored", [b"", bytes(7), bytes(7) + b"\x01", bytes(8) + bytes(32), b"\xff" * 8, bytes(9)])
def test_bytes_that_are_no_frontier_are_refused(stored: bytes) -> None:
    with pytest.raises(TreeError, match="rebuild it from the log"):
        Frontier.from_bytes(stored)


def test_a_frontier_tells_of_each_completed_subtree() -> None:
    nodes: dict[tuple[int, int], bytes] = {}
    frontier = Frontier()
    hashes = [leaf_hash(number.to_bytes(2)) for number in range(100)]
    for start in range(0, 100, 7):
        frontier.extend(hashes[start : start + 7], on_node=lambda node: nodes.update({node[:2]: node[2]}))
    tree = MemoryTree(hashes)
    assert len(nodes) == 100 - (100).bit_count()
    assert all(tree.node(level, index) == node for (level, index), node in nodes.items())


def test_leaves_that_fail_halfway_leave_the_frontier_as_it_was() -> None:
    frontier = Frontier()
    frontier.extend(map(leaf_hash, REFERENCE_LEAVES[:3]))
    before = frontier.to_bytes()

    def broken() -> Any:
        yield leaf_hash(b"")
        raise RuntimeError("the disk is gone")

    with pytest.raises(RuntimeError, match="disk"):
        frontier.extend(broken())
    assert frontier.to_bytes() == before


def test_many_leaves_hash_as_each_alone() -> None:
    block = bytes(range(224)) + bytes(224)
    assert leaf_hashes(block, 224) == [leaf_hash(block[:224]), leaf_hash(block[224:])]
    with pytest.raises(TreeError, match="no whole number"):
        leaf_hashes(block[:-1], 224)


def test_a_leaf_never_hashes_as_a_node() -> None:
    left, right = leaf_hash(b"left"), leaf_hash(b"right")
    assert leaf_hash(left + right) != node_hash(left, right)


def test_a_tree_has_no_node_that_is_not_complete() -> None:
    with pytest.raises(TreeError, match="no complete subtree 1 at level 2"):
        tree_of(REFERENCE_LEAVES[:7]).node(2, 1)


def _raises(verify: Callable[..., None], *arguments: Any) -> bool:
    try:
        verify(*arguments)
    except TreeError:
        return True
    return False


def _flip(octets: bytes, bit: int) -> bytes:
    return (int.from_bytes(octets) ^ (1 << bit)).to_bytes(len(octets))


def _bytes(text: str) -> bytes:
    return base64.b64decode(text)


def _path(case: dict[str, Any]) -> list[bytes]:
    return [_bytes(node) for node in case["proof"] or []]
