"""Reading one epoch's log while the writer goes on: entries for the forwarder, subtrees for roots and proofs."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from contracts.entry import ENTRY_BYTES
from contracts.tree import HASH_BYTES, Frontier, node_hash
from edge import schema
from edge.block import unpack_details
from edge.errors import StoreBrokenError


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredCheckpoint:
    """One (size, root) written down, with its signed note once there is one."""

    size: int
    root: bytes
    note: str | None


class LogReader:
    """Read-only access; use one per thread or one call at a time."""

    def __init__(self, path: Path) -> None:
        self._connection = schema.connect(path, read_only=True)

    def close(self) -> None:
        self._connection.close()

    def size(self) -> int:
        return held_entries(self._connection)

    def rows(self, start: int, end: int) -> list[tuple[bytes, bytes]]:
        """Entry and detail bytes of positions start to end - 1.

        Raises:
            StoreBrokenError: a row is missing or was pruned.
        """
        query = "SELECT start, entries, details FROM block WHERE start > ? AND start < ? ORDER BY start"
        rows: list[tuple[bytes, bytes]] = []
        for at, entries, packed in self._connection.execute(query, (start - schema.BLOCK_ENTRIES, end)):
            if entries is None:
                break
            count = len(entries) // ENTRY_BYTES
            low, high = max(0, start - at), min(count, end - at)
            details = unpack_details(packed, count)
            rows.extend(
                (entries[number * ENTRY_BYTES : (number + 1) * ENTRY_BYTES], details[number])
                for number in range(low, high)
            )
        if len(rows) != end - start:
            raise StoreBrokenError(f"entries {start} to {end - 1} are not all held; they were pruned or destroyed")
        return rows

    def leaves(self, start: int, end: int) -> list[bytes]:
        """Leaf hashes of positions start to end - 1; pruning keeps them."""
        query = "SELECT start, leaves FROM block WHERE start > ? AND start < ? ORDER BY start"
        leaves: list[bytes] = []
        for at, packed in self._connection.execute(query, (start - schema.BLOCK_ENTRIES, end)):
            low, high = max(0, start - at) * HASH_BYTES, min(len(packed), (end - at) * HASH_BYTES)
            leaves.extend(packed[number : number + HASH_BYTES] for number in range(low, high, HASH_BYTES))
        if len(leaves) != end - start:
            raise StoreBrokenError(f"leaf hashes {start} to {end - 1} are not all held; a new epoch is needed")
        return leaves

    def node(self, level: int, number: int) -> bytes:
        """The hash of a complete subtree: a `contracts.tree.NodeReader`."""
        if level >= schema.NODE_LEVEL_MIN:
            query = "SELECT hash FROM node WHERE level = ? AND number = ?"
            row = self._connection.execute(query, (level, number)).fetchone()
            if row is None:
                raise StoreBrokenError(f"subtree {level}/{number} is not held; a new epoch is needed")
            return bytes(row[0])
        hashes = self.leaves(number << level, (number + 1) << level)
        while len(hashes) > 1:
            hashes = [node_hash(hashes[at], hashes[at + 1]) for at in range(0, len(hashes), 2)]
        return hashes[0]

    def frontier_at(self, size: int) -> Frontier:
        """The frontier that the log had at an earlier size."""
        peaks, start = [], 0
        for level in range(size.bit_length() - 1, -1, -1):
            if size >> level & 1:
                peaks.append(self.node(level, start >> level))
                start += 1 << level
        return Frontier(size, peaks)

    def checkpoint_for(self, start: int, end_max: int) -> StoredCheckpoint | None:
        """The largest signed checkpoint with start < size <= end_max."""
        query = (
            "SELECT size, root, note FROM checkpoint WHERE size > ? AND size <= ? AND note IS NOT NULL "
            "ORDER BY size DESC LIMIT 1"
        )
        return self._checkpoint(query, (start, end_max))

    def last_checkpoint(self, *, signed: bool) -> StoredCheckpoint | None:
        """The newest (size, root) written down; with `signed`, the newest that has its note."""
        query = "SELECT size, root, note FROM checkpoint WHERE note IS NOT NULL OR ? ORDER BY size DESC LIMIT 1"
        return self._checkpoint(query, (not signed,))

    def _checkpoint(self, query: str, values: tuple[int, ...]) -> StoredCheckpoint | None:
        row = self._connection.execute(query, values).fetchone()
        return None if row is None else StoredCheckpoint(size=row[0], root=bytes(row[1]), note=row[2])

    def state(self, name: str) -> bytes | None:
        row = self._connection.execute("SELECT value FROM state WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def number(self, name: str) -> int:
        """A counter in `state`, 0 where it was never set."""
        return int(self.state(name) or b"0")

    def deliveries(self) -> list[bytes]:
        """What `edge.deliveries` remembers, a commit each, oldest first."""
        return [bytes(packed) for (packed,) in self._connection.execute("SELECT packed FROM delivery ORDER BY number")]

    def sessions(self) -> list[tuple[str, str, str]]:
        return list(self._connection.execute("SELECT client_id, username, filters FROM session"))

    def boundaries(self) -> list[tuple[bytes, str, int]]:
        return list(self._connection.execute("SELECT device, quantity, position FROM boundary"))

    def has_boundary(self, device: bytes, quantity: str) -> bool:
        query = "SELECT 1 FROM boundary WHERE device = ? AND quantity = ?"
        return self._connection.execute(query, (device, quantity)).fetchone() is not None

    def integrity_problem(self) -> str | None:
        """What SQLite's own quick check says, or None when it is content."""
        try:
            says = str(self._connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        except sqlite3.DatabaseError as error:
            return str(error)
        return None if says == "ok" else says


def held_entries(connection: sqlite3.Connection) -> int:
    """How many entries the log has."""
    last = connection.execute("SELECT start, length(leaves) FROM block ORDER BY start DESC LIMIT 1").fetchone()
    return 0 if last is None else int(last[0]) + int(last[1]) // HASH_BYTES
