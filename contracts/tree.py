"""The RFC 9162 Merkle tree: grow it by its frontier, prove inclusion and consistency, verify both.

Sizes are bounded (1 <= size < 2^48) and a path has exactly one length for its position, so that one leaf has one
place: a verifier without these checks accepts leaf 2 of 4 at index 6, 10 and 1002.

Source: RFC 9162 (Certificate Transparency Version 2.0), section 2.1.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

from contracts.errors import TreeError

HASH_BYTES = 32
SIZE_END = 2**48
EMPTY_ROOT = sha256(b"").digest()

Node = tuple[int, int, bytes]
"""Level (leaves are 0), index within the level from the left, hash: one complete subtree of 2^level leaves."""

NodeReader = Callable[[int, int], bytes]
"""Gives the hash of the complete subtree at (level, index). Raises what its store raises when it has none."""


def leaf_hash(leaf: bytes | memoryview) -> bytes:
    """SHA-256(0x00 || leaf)."""
    return sha256(b"\x00" + leaf).digest()


def leaf_hashes(leaves: bytes | memoryview, leaf_bytes: int) -> list[bytes]:
    """The leaf hashes of many leaves of `leaf_bytes` each that follow each other.

    Raises:
        TreeError: the bytes are no whole number of leaves.
    """
    if leaf_bytes < 1 or len(leaves) % leaf_bytes:
        raise TreeError(f"{len(leaves)} bytes are no whole number of leaves of {leaf_bytes} bytes")
    view = memoryview(leaves)
    return [sha256(b"\x00" + view[at : at + leaf_bytes]).digest() for at in range(0, len(view), leaf_bytes)]


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a growing tree: all that appending and the root need.

    `peaks` are the hashes of the complete subtrees that the size's one-bits stand for, largest first.
    """

    __slots__ = ("_peaks", "_size")

    def __init__(self, size: int = 0, peaks: Iterable[bytes] = ()) -> None:
        peaks = list(peaks)
        if not 0 <= size < SIZE_END or len(peaks) != size.bit_count() or any(len(p) != HASH_BYTES for p in peaks):
            raise TreeError(f"a frontier of size {size} cannot have these {len(peaks)} peaks; rebuild it from the log")
        self._size = size
        self._peaks = peaks

    @property
    def size(self) -> int:
        return self._size

    @property
    def peaks(self) -> tuple[bytes, ...]:
        return tuple(self._peaks)

    def copy(self) -> "Frontier":
        """A frontier of the same tree that grows apart from this one."""
        return Frontier(self._size, self._peaks)

    def append(self, leaf: bytes) -> None:
        """Append one leaf *hash*."""
        self.extend((leaf,))

    def extend(
        self, leaves: Iterable[bytes], on_node: Callable[[Node], object] | None = None, *, level_min: int = 1
    ) -> None:
        """Append many leaf *hashes*, level by level: the same tree as one by one, in a fraction of the time.

        Args:
            leaves: leaf hashes of 32 bytes, in order.
            on_node: told of each interior subtree that becomes complete, for a store that serves proofs later.
            level_min: `on_node` is told of subtrees of this level and above.
        """
        row, peaks, new_peaks = list(leaves), self._peaks.copy(), list[bytes]()
        size, level, number = self._size + len(row), 0, self._size
        if size >= SIZE_END:
            raise TreeError("a log holds less than 2^48 entries; open its next epoch")
        while row:
            if number & 1:  # the last of this level so far has waited for its right neighbour
                row.insert(0, peaks.pop())
            if len(row) & 1:
                new_peaks.append(row.pop())
            pairs = iter(row)
            row = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
            level, number = level + 1, number >> 1
            if on_node is not None and level >= level_min:
                for index, node in enumerate(row, number):
                    on_node((level, index, node))
        self._size, self._peaks = size, peaks + new_peaks[::-1]

    def root(self) -> bytes:
        """The root of the tree; that of the empty tree is SHA-256 of nothing."""
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in self._peaks[-2::-1]:
            root = sha256(b"\x01" + peak + root).digest()
        return root

    def to_bytes(self) -> bytes:
        """Size as 8 big-endian bytes, then the peaks: at most 1,544 bytes for any log."""
        return self._size.to_bytes(8) + b"".join(self._peaks)

    @classmethod
    def from_bytes(cls, stored: bytes) -> "Frontier":
        """Raises `TreeError` unless `stored` is what `to_bytes` writes."""
        if len(stored) < 8 or (len(stored) - 8) % HASH_BYTES:
            raise TreeError(f"a stored frontier cannot have {len(stored)} bytes; rebuild it from the log")
        peaks = [stored[at : at + HASH_BYTES] for at in range(8, len(stored), HASH_BYTES)]
        return cls(int.from_bytes(stored[:8]), peaks)


class MemoryTree:
    """A whole tree in memory, for tests, small logs and trees that are built at once."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        self._levels: list[list[bytes]] = [[]]
        for leaf in leaves:
            self.append(leaf)

    @property
    def size(self) -> int:
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """Append one leaf *hash*."""
        level, node = 0, leaf
        self._levels[0].append(node)
        while len(self._levels[level]) % 2 == 0:
            node = node_hash(self._levels[level][-2], self._levels[level][-1])
            level += 1
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(node)

    def node(self, level: int, index: int) -> bytes:
        """A `NodeReader`. Raises `TreeError` where the tree has no complete subtree."""
        if not (0 <= level < len(self._levels) and 0 <= index < len(self._levels[level])):
            raise TreeError(f"a tree of {self.size} leaves has no complete subtree {index} at level {level}")
        return self._levels[level][index]

    def root(self, size: int | None = None) -> bytes:
        """The root of the whole tree, or of its first `size` leaves."""
        size = self.size if size is None else size
        return root_of(self.node, size)


def root_of(node: NodeReader, size: int) -> bytes:
    """The root of the first `size` leaves of a stored tree."""
    return _range_root(node, 0, size) if size else EMPTY_ROOT


def inclusion_path(node: NodeReader, index: int, size: int) -> list[bytes]:
    """The path that proves the leaf at `index` in the first `size` leaves, from the leaf up.

    Raises:
        TreeError: not 0 <= index < size < 2^48.

    Source: RFC 9162, 2.1.3.1.
    """
    _check_position(index, size)
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_range_root(node, middle, end))
            end = middle
        else:
            path.append(_range_root(node, start, middle))
            start = middle
    path.reverse()
    return path


def consistency_path(node: NodeReader, old_size: int, size: int) -> list[bytes]:
    """The path that proves that the first `size` leaves begin with the first `old_size`.

    Raises:
        TreeError: not 1 <= old_size <= size < 2^48.

    Source: RFC 9162, 2.1.4.1.
    """
    _check_sizes(old_size, size)
    path: list[bytes] = []
    start, end = 0, size
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(_range_root(node, middle, end))
            end = middle
        else:
            path.append(_range_root(node, start, middle))
            start = middle
    if start:  # otherwise the verifier knows this subtree: it is the whole old tree
        path.append(_range_root(node, start, end))
    path.reverse()
    return path


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Check that `root` is that of a tree of `size` leaves whose leaf at `index` has the hash `leaf`.

    Raises:
        TreeError: the position is outside the tree, the path has another length, or it leads to another root.

    Source: RFC 9162, 2.1.3.2, in the closed form of its loop: `inner` steps where the leaf's branch and the tree's
    right edge differ, then only left siblings.
    """
    _check_position(index, size)
    inner = (index ^ (size - 1)).bit_length()
    length = inner + (index >> inner).bit_count()
    _check_hashes(path, length, (leaf, root), f"inclusion of leaf {index} of {size}")
    if _climb(leaf, path, inner, index) != root:
        raise TreeError(f"the path of leaf {index} of {size} leads to another root: leaf, path or root was changed")


def verify_consistency(old_size: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> None:
    """Check that the tree (size, root) begins with the tree (old_size, old_root).

    Raises:
        TreeError: the sizes are out of bounds or order, the path has another length, or it leads to other roots.

    Source: RFC 9162, 2.1.4.2, in closed form like `verify_inclusion`.
    """
    _check_sizes(old_size, size)
    if old_size == size:
        _check_hashes(path, 0, (old_root, root), f"consistency of size {size} with itself")
        if old_root != root:
            raise TreeError(f"two different roots for size {size}: this log shows different people different histories")
        return
    last = old_size - 1
    shift = (old_size & -old_size).bit_length() - 1  # levels that the old tree's right edge fills completely
    inner = (last ^ (size - 1)).bit_length()
    border = (last >> inner).bit_count()
    old_is_subtree = old_size == 1 << shift  # then its root starts the climb and is not in the path
    length = inner - shift + border + (not old_is_subtree)
    _check_hashes(path, length, (old_root, root), f"consistency of {old_size} with {size}")
    seed, rest = (old_root, path) if old_is_subtree else (path[0], path[1:])
    position = last >> shift
    if _climb_left(seed, rest, inner - shift, position) != old_root:
        raise TreeError(f"the path from size {old_size} to {size} does not lead to the old root: history was changed")
    if _climb(seed, rest, inner - shift, position) != root:
        raise TreeError(f"the path from size {old_size} to {size} does not lead to the new root: history was changed")


def _climb(node: bytes, path: Sequence[bytes], inner: int, position: int) -> bytes:
    """The root above `node`: the first `inner` siblings stand where `position`'s bits say, the others to the left."""
    for level, sibling in enumerate(path):
        if level < inner and not position >> level & 1:
            node = node_hash(node, sibling)
        else:
            node = node_hash(sibling, node)
    return node


def _climb_left(node: bytes, path: Sequence[bytes], inner: int, position: int) -> bytes:
    """The root of the old tree above `node`: siblings to the right did not exist yet."""
    for level, sibling in enumerate(path):
        if level >= inner or position >> level & 1:
            node = node_hash(sibling, node)
    return node


def _range_root(node: NodeReader, start: int, end: int) -> bytes:
    """The root over the leaves start..end-1, `start` being a multiple of a power of two not below their count."""
    peaks: list[bytes] = []
    at = start
    while at < end:
        level = (end - at).bit_length() - 1
        peaks.append(node(level, at >> level))
        at += 1 << level
    root = peaks.pop()
    while peaks:
        root = node_hash(peaks.pop(), root)
    return root


def _split(count: int) -> int:
    """The largest power of two below `count`, which is at least 2."""
    return 1 << (count - 1).bit_length() - 1


def _check_position(index: int, size: int) -> None:
    if not 0 <= index < size < SIZE_END:
        raise TreeError(f"index {index} of a tree of size {size}: needs 0 <= index < size < 2^48")


def _check_sizes(old_size: int, size: int) -> None:
    if not 1 <= old_size <= size < SIZE_END:
        raise TreeError(f"sizes {old_size} and {size}: consistency needs 1 <= old size <= size < 2^48")


def _check_hashes(path: Sequence[bytes], length: int, ends: tuple[bytes, bytes], what: str) -> None:
    if len(path) != length:
        raise TreeError(f"{what} takes a path of {length} hashes, not {len(path)}")
    if any(len(node) != HASH_BYTES for node in (*ends, *path)):
        raise TreeError(f"{what}: leaf, roots and path are hashes of {HASH_BYTES} bytes each")
