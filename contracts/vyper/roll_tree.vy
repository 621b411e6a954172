# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Roll tree
@license Apache-2.0
@notice The sum tree of those who may vote: one leaf per head (owner), in head order, in the shape of the bill tree.
        Each node carries two sums in one word: floor area in 0.01 m2 above bit 64, number of heads below.

        Invariants
        - A head with area counts once, a head without any does not count: it is outside of the matter's building.
        - A leaf names its head and the digest of its units, so the list of units behind an area can be shown.
"""

import bill_tree
import tree

TAG: constant(bytes32) = 0x6d696e676c6f752f726f6c6c2f31000000000000000000000000000000000000  # minglou/roll/1
BLOCK: constant(uint256) = 64
DEPTH_MAX: constant(uint256) = 32
HEADS: constant(uint256) = 2**64 - 1


struct Leaf:
    area_centi_m2: uint256
    units_digest: bytes32  # SHA-256 of the units' indices, four bytes each, ascending


@internal
@pure
def _sums(area_centi_m2: uint256) -> uint256:
    if area_centi_m2 == 0:
        return 0
    return area_centi_m2 << 64 | 1


@internal
@pure
def _leaf_hash(head: uint256, leaf: Leaf) -> bytes32:
    # SHA-256(0x00 || four words): the word in front gives the zero byte.
    return sha256(slice(abi_encode(empty(bytes32), TAG, head, leaf.area_centi_m2, leaf.units_digest), 31, 129))


@internal
@pure
def _block_root(
    first_head: uint256, head_count: uint256, leaves: DynArray[Leaf, BLOCK], path: DynArray[bill_tree.Node, DEPTH_MAX]
) -> bill_tree.Node:
    """
    @notice The root above an aligned block with all its leaves.
    """
    assert first_head % BLOCK == 0 and first_head < head_count, "roll_tree: no such block"
    assert len(leaves) == min(BLOCK, head_count - first_head), "roll_tree: block is not complete"
    hashes: bytes32[BLOCK] = empty(bytes32[BLOCK])
    sums: uint256[BLOCK] = empty(uint256[BLOCK])
    width: uint256 = 0
    for leaf: Leaf in leaves:
        assert leaf.area_centi_m2 < 2**42, "roll_tree: area is too large"
        hashes[width] = self._leaf_hash(unsafe_add(first_head, width), leaf)
        sums[width] = self._sums(leaf.area_centi_m2)
        width = unsafe_add(width, 1)
    for level: uint256 in range(6):
        if width <= 1:
            break
        place: uint256 = 0
        for i: uint256 in range(width // 2, bound=32):
            parent: bill_tree.Node = bill_tree._parent(
                bill_tree.Node(hash=hashes[place], sums=sums[place]),
                bill_tree.Node(hash=hashes[unsafe_add(place, 1)], sums=sums[unsafe_add(place, 1)]),
            )
            hashes[i] = parent.hash
            sums[i] = parent.sums
            place = unsafe_add(place, 2)
        if width % 2 == 1:
            hashes[place // 2] = hashes[place]
            sums[place // 2] = sums[place]
        width = (width + 1) // 2
    top: bill_tree.Node = bill_tree.Node(hash=hashes[0], sums=sums[0])
    return bill_tree._climb(top, first_head // BLOCK, (head_count + BLOCK - 1) // BLOCK, path)
