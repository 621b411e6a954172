# pragma version 0.4.3
# pragma nonreentrancy on
"""
@title RFC 9162 Merkle tree proofs
@license Apache-2.0
@notice Inclusion and consistency proofs over SHA-256 trees (RFC 9162 section 2.1), for logs of entries and checkpoints.

        Invariants
        - index < size, 1 <= size < 2^48, the exact path length, and an old size of at least one: a verifier that omits
          these accepts leaf 2 of 4 at index 6, 10 and 1002.
        - Both verifiers are pure; they answer False for every malformed proof and never revert on one.

        The path splits into an inner part, where leaf and the tree's last leaf still have different ancestors, and a
        border, where every sibling stands on the left. Both lengths follow from (index, size) alone.
"""

SIZE_LIMIT: constant(uint256) = 2**48
# Longest paths in a tree below the limit: 48 siblings, and one seed more in a consistency proof.
PATH_MAX: constant(uint256) = 49
# A word that ends in the byte 0x01, which begins the preimage of a node: slicing 65 bytes out of three words costs
# less than concatenating one byte and two words.
NODE_WORD: constant(bytes32) = 0x0000000000000000000000000000000000000000000000000000000000000001
# Lower halves of all lanes of two, four and eight bits in 64.
LANES_2: constant(uint256) = (2**64 - 1) // 3
LANES_4: constant(uint256) = (2**64 - 1) // 5
LANES_8: constant(uint256) = (2**64 - 1) // 17


@internal
@pure
def _is_included(leaf: bytes32, index: uint256, size: uint256, path: DynArray[bytes32, PATH_MAX], root: bytes32) -> bool:
    """
    @notice Whether the leaf hash stands at this index in the tree of this size and root (RFC 9162 section 2.1.3.2).
    """
    if size >= SIZE_LIMIT or index >= size:
        return False
    inner: uint256 = self._bit_length(index ^ (size - 1))
    if len(path) != inner + self._ones(index >> inner):
        return False
    hash: bytes32 = leaf
    # One bit a level: whether the sibling stands on the left. Above the inner part all do.
    lefts: uint256 = index | (max_value(uint256) << inner)
    for sibling: bytes32 in path:
        if lefts & 1 == 1:
            hash = sha256(slice(abi_encode(NODE_WORD, sibling, hash), 31, 65))
        else:
            hash = sha256(slice(abi_encode(NODE_WORD, hash, sibling), 31, 65))
        lefts = lefts >> 1
    return hash == root


@internal
@pure
def _is_extension(
    old_size: uint256, old_root: bytes32, size: uint256, root: bytes32, path: DynArray[bytes32, PATH_MAX]
) -> bool:
    """
    @notice Whether the tree (size, root) only appends to the tree (old_size, old_root) (RFC 9162 section 2.1.4.2).
    """
    if old_size == 0 or old_size > size or size >= SIZE_LIMIT:
        return False
    if old_size == size:
        return len(path) == 0 and old_root == root
    last: uint256 = old_size - 1
    inner: uint256 = self._bit_length(last ^ (size - 1))
    border: uint256 = self._ones(last >> inner)
    # Number of levels below the old tree's last complete subtree: its trailing zero bits.
    skipped: uint256 = self._bit_length(old_size ^ last) - 1
    inner -= skipped
    old_hash: bytes32 = old_root
    start: uint256 = 0
    if old_size != 1 << skipped:
        # The old tree is no power of two: the path begins with its last complete subtree.
        if len(path) == 0:
            return False
        old_hash = path[0]
        start = 1
    if len(path) != start + inner + border:
        return False
    hash: bytes32 = old_hash
    # One bit a level: whether the sibling stands on the left. Above the inner part all do.
    lefts: uint256 = (last >> skipped) | (max_value(uint256) << inner)
    for sibling: bytes32 in path:
        if start != 0:
            start = 0
            continue
        # The node hash written out in place: this loop is most of what an anchor costs.
        if lefts & 1 == 1:
            old_hash = sha256(slice(abi_encode(NODE_WORD, sibling, old_hash), 31, 65))
            hash = sha256(slice(abi_encode(NODE_WORD, sibling, hash), 31, 65))
        else:
            hash = sha256(slice(abi_encode(NODE_WORD, hash, sibling), 31, 65))
        lefts = lefts >> 1
    return old_hash == old_root and hash == root


@internal
@pure
def _bit_length(number: uint256) -> uint256:
    """
    @notice Bits needed to write the number, which is below 2^64; zero needs none.
    """
    rest: uint256 = number
    length: uint256 = 0
    if rest >= 2**32:
        rest = rest >> 32
        length = 32
    if rest >= 2**16:
        rest = rest >> 16
        length = unsafe_add(length, 16)
    if rest >= 2**8:
        rest = rest >> 8
        length = unsafe_add(length, 8)
    if rest >= 2**4:
        rest = rest >> 4
        length = unsafe_add(length, 4)
    if rest >= 2**2:
        rest = rest >> 2
        length = unsafe_add(length, 2)
    if rest >= 2:
        return unsafe_add(length, 2)
    return unsafe_add(length, rest)


@internal
@pure
def _ones(number: uint256) -> uint256:
    """
    @notice Number of one bits of a number below 2^64, added up in ever wider lanes.
    """
    lanes: uint256 = number - ((number >> 1) & LANES_2)
    lanes = (lanes & LANES_4) + ((lanes >> 2) & LANES_4)
    lanes = (lanes + (lanes >> 4)) & LANES_8
    lanes = lanes + (lanes >> 8)
    lanes = lanes + (lanes >> 16)
    return (lanes + (lanes >> 32)) & 127
