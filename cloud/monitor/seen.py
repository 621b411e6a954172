"""What was seen of a log, held against what is served of it now."""

from cloud.monitor.growth import Diverged, Grown, Side, compare
from cloud.monitor.memory import Memory
from cloud.monitor.sources import LogSource
from contracts.tree import inclusion_path

__all__ = ["compare_log", "side_of"]


def compare_log(memory: Memory, source: LogSource, log: str, size: int, root: bytes) -> Grown | Diverged | None:
    """What became of a log that has this signed root now. Raises `Unreachable`, `Withheld`."""
    seen = memory.head(log)
    seen_size = seen.size if seen else 0
    start = seen_size - seen_size % 256
    return compare(
        memory.leaf_hashes(log, start, seen_size),
        source.leaf_hashes(start, size),
        size=size,
        root=root,
        node=memory.nodes(log),
        seen_size=seen_size,
        fetch_all=lambda: source.leaf_hashes(0, size),
    )


def side_of(memory: Memory, log: str, index: int, size: int) -> Side:
    """A leaf that was seen, with its path in the first `size` leaves."""
    nodes = memory.nodes(log)
    return Side(size=size, leaf=nodes(0, index), path=tuple(inclusion_path(nodes, index, size)))
