"""Whether a log that was seen at one size has only grown to the next one, and the proof where it has not."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from contracts.tree import MemoryTree, NodeReader, inclusion_path, node_hash, root_of

__all__ = ["Diverged", "Grown", "Side", "compare"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One leaf of one history, with the path that proves it under that history's root."""

    size: int
    leaf: bytes
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grown:
    """The served leaves continue the seen ones and hash to the signed root."""

    new: Sequence[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Diverged:
    """The served leaves hash to the signed root, and the leaf at `index` is another one than was seen there."""

    index: int
    other: Side


def compare(
    seen: Sequence[bytes], served: Sequence[bytes], *, size: int, root: bytes, node: NodeReader, seen_size: int,
    fetch_all: Callable[[], Sequence[bytes]],
) -> Grown | Diverged | None:  # fmt: skip
    """Compare what is served now with what was seen; None where the served leaves are not those of the signed root.

    Args:
        seen: kept leaf hashes from the same tile boundary as `served` to `seen_size`.
        served: leaf hashes from that boundary to `size`.
        node: the kept tree of `seen_size` leaves.
        fetch_all: all served leaf hashes from 0 to `size`; asked only where the ends do not meet.
    """
    start = seen_size - len(seen)
    if list(served[: len(seen)]) == list(seen):
        tail = served[len(seen) :]
        if root_of(_joined(node, seen_size, tail), size) == root:
            return Grown(new=tail)
    everything = fetch_all()
    tree = MemoryTree(everything)
    if len(everything) != size or tree.root() != root:
        return None
    kept = [*(node(0, index) for index in range(start)), *seen]
    index = next((at for at, leaf in enumerate(kept) if at >= size or everything[at] != leaf), None)
    if index is None:
        return Grown(new=everything[seen_size:])
    other = Side(size=size, leaf=everything[index], path=tuple(inclusion_path(tree.node, index, size)))
    return Diverged(index=index, other=other)


def _joined(node: NodeReader, seen_size: int, tail: Sequence[bytes]) -> NodeReader:
    """The kept tree with new leaves at its end."""
    known: dict[tuple[int, int], bytes] = {}

    def read(level: int, index: int) -> bytes:
        if (index + 1) << level <= seen_size:
            return node(level, index)
        if level == 0:
            return tail[index - seen_size]
        if (level, index) not in known:
            known[level, index] = node_hash(read(level - 1, 2 * index), read(level - 1, 2 * index + 1))
        return known[level, index]

    return read
