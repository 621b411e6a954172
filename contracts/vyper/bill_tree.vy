# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title Bill tree
@license Apache-2.0
@notice The sum tree of one period's bills: one leaf per unit of the roll, in unit order, in the shape of an RFC 9162 tree.
        Each node carries four sums in one word, uint64 lanes from the left: total, own use, shared, other.

        Invariants
        - A node's sums are exactly the sums of its children; a lane that would overflow is refused.
        - A leaf's total is the sum of its other lanes.
        - The leaf names chain, contract (of the fees), site, period and unit, so one bill has one place.
"""

import tree

TAG: constant(bytes32) = 0x6d696e676c6f752f62696c6c2f31000000000000000000000000000000000000  # minglou/bill/1
BLOCK: constant(uint256) = 64
DEPTH_MAX: constant(uint256) = 32

LANE: constant(uint256) = 2**64 - 1
# Top bit of each lane.
TOP_BITS: constant(uint256) = 2**63 + 2**127 + 2**191 + 2**255


struct Bill:
    amounts: uint256
    lines_digest: bytes32
    salt: bytes32


struct Node:
    hash: bytes32
    sums: uint256


@internal
@view
def _leaf_hash(fees: address, site: bytes32, period: uint256, index: uint256, bill: Bill) -> bytes32:
    amounts: uint256 = bill.amounts
    parts: uint256 = unsafe_add(unsafe_add((amounts >> 128) & LANE, (amounts >> 64) & LANE), amounts & LANE)
    assert amounts >> 192 == parts, "bill_tree: total is not the sum of its parts"
    # SHA-256(0x00 || nine words): the word in front gives the zero byte.
    return sha256(
        slice(
            abi_encode(
                empty(bytes32),
                TAG,
                chain.id,
                fees,
                site,
                period,
                index,
                amounts,
                bill.lines_digest,
                bill.salt,
            ),
            31,
            289,
        )
    )


@internal
@pure
def _add(left: uint256, right: uint256) -> uint256:
    """
    @notice The sums of two nodes, lane by lane.
    """
    sums: uint256 = unsafe_add(left, right)
    # The carry out of a lane's top bit; in the lowest lane that overflows there is no carry in, so none is missed.
    carries: uint256 = (left & right) | ((left | right) & ~sums)
    assert carries & TOP_BITS == 0, "bill_tree: sum overflows"
    return sums


@internal
@pure
def _parent(left: Node, right: Node) -> Node:
    return Node(
        hash=sha256(slice(abi_encode(tree.NODE_WORD, left.hash, left.sums, right.hash, right.sums), 31, 129)),
        sums=self._add(left.sums, right.sums),
    )


@internal
@pure
def _climb(node: Node, index: uint256, size: uint256, path: DynArray[Node, DEPTH_MAX]) -> Node:
    """
    @notice The root above a node that stands at this index in a row of so many nodes.
    """
    assert index < size, "bill_tree: index is beyond the tree"
    inner: uint256 = tree._bit_length(index ^ (size - 1))
    assert len(path) == inner + tree._ones(index >> inner), "bill_tree: path has the wrong length"
    top: Node = node
    turns: uint256 = index
    step: uint256 = 0
    for sibling: Node in path:
        if step >= inner or turns & 1 == 1:
            top = self._parent(sibling, top)
        else:
            top = self._parent(top, sibling)
        turns = turns >> 1
        step += 1
    return top


@internal
@view
def _block_top(
    fees: address, site: bytes32, period: uint256, first_index: uint256, bills: DynArray[Bill, BLOCK]
) -> Node:
    """
    @notice The top of an aligned block of leaves. An odd node at the end of a row moves up unchanged, as in RFC 9162.
    """
    hashes: bytes32[BLOCK] = empty(bytes32[BLOCK])
    sums: uint256[BLOCK] = empty(uint256[BLOCK])
    width: uint256 = 0
    for bill: Bill in bills:
        hashes[width] = self._leaf_hash(fees, site, period, unsafe_add(first_index, width), bill)
        sums[width] = bill.amounts
        width = unsafe_add(width, 1)
    for level: uint256 in range(6):
        if width <= 1:
            break
        place: uint256 = 0
        for i: uint256 in range(width // 2, bound=32):
            left: uint256 = sums[place]
            right: uint256 = sums[unsafe_add(place, 1)]
            hashes[i] = sha256(
                slice(abi_encode(tree.NODE_WORD, hashes[place], left, hashes[unsafe_add(place, 1)], right), 31, 129)
            )
            sums[i] = self._add(left, right)
            place = unsafe_add(place, 2)
        if width % 2 == 1:
            hashes[place // 2] = hashes[place]
            sums[place // 2] = sums[place]
        width = (width + 1) // 2
    return Node(hash=hashes[0], sums=sums[0])
