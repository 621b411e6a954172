"""What a monitor has seen: the leaf hashes, newest head and last growth of each log, in one SQLite file."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from contracts.tiles import TILE_HEIGHT, TILE_WIDTH
from contracts.tree import HASH_BYTES, NodeReader, node_hash

__all__ = ["SUPER", "Memory", "SeenHead"]

SUPER = "super-log"
"""By this name its tree is remembered."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tiles (log TEXT, tile INTEGER, hashes BLOB NOT NULL, PRIMARY KEY (log, tile)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS heads (log TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL,
    grown_at_s INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS leaves (origin TEXT, size INTEGER, leaf BLOB NOT NULL, PRIMARY KEY (origin, size));
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenHead:
    """The newest head of a log that was verified."""

    size: int
    root: bytes
    note: str
    grown_at_s: int


class Memory:
    """One connection; what a block of `transaction` does is kept whole or not at all."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.executescript(_SCHEMA)

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def head(self, log: str) -> SeenHead | None:
        """The newest verified head."""
        row = self._connection.execute(
            "SELECT size, root, note, grown_at_s FROM heads WHERE log = ?", (log,)
        ).fetchone()
        return None if row is None else SeenHead(size=row[0], root=row[1], note=row[2], grown_at_s=row[3])

    def keep_head(self, log: str, head: SeenHead) -> None:
        """The newest verified head from now on."""
        row = (log, head.size, head.root, head.note, head.grown_at_s)
        self._connection.execute("INSERT OR REPLACE INTO heads VALUES (?, ?, ?, ?, ?)", row)

    def leaf_hashes(self, log: str, start: int, end: int) -> list[bytes]:
        """The kept leaf hashes start..end-1."""
        first = start // TILE_WIDTH
        rows = self._connection.execute(
            "SELECT hashes FROM tiles WHERE log = ? AND tile >= ? AND tile * ? < ? ORDER BY tile",
            (log, first, TILE_WIDTH, end),
        )
        joined = b"".join(row[0] for row in rows)
        kept = [joined[at : at + HASH_BYTES] for at in range(0, len(joined), HASH_BYTES)]
        return kept[start - first * TILE_WIDTH : end - first * TILE_WIDTH]

    def append(self, log: str, size: int, hashes: list[bytes]) -> None:
        """Keep the leaf hashes that follow the first `size`."""
        first = size // TILE_WIDTH
        row = self.leaf_hashes(log, first * TILE_WIDTH, size) + hashes
        for at in range(0, len(row), TILE_WIDTH):
            tile = (log, first + at // TILE_WIDTH, b"".join(row[at : at + TILE_WIDTH]))
            self._connection.execute("INSERT OR REPLACE INTO tiles VALUES (?, ?, ?)", tile)

    def nodes(self, log: str) -> NodeReader:
        """The kept tree of a log; each tile is hashed once for this reader."""
        known: dict[tuple[int, int], bytes] = {}

        def node(level: int, index: int) -> bytes:
            if (level, index) not in known:
                if level <= TILE_HEIGHT:
                    known[level, index] = _fold(self.leaf_hashes(log, index << level, (index + 1) << level))
                else:
                    known[level, index] = node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))
            return known[level, index]

        return node

    def leaf(self, origin: str, size: int) -> bytes | None:
        """The super-log's leaf for a gateway's checkpoint of this size."""
        row = self._connection.execute(
            "SELECT leaf FROM leaves WHERE origin = ? AND size = ?", (origin, size)
        ).fetchone()
        return None if row is None else row[0]

    def keep_leaf(self, origin: str, size: int, leaf: bytes) -> None:
        """Keep the first leaf of this name and size."""
        self._connection.execute("INSERT OR IGNORE INTO leaves VALUES (?, ?, ?)", (origin, size, leaf))

    def leaves(self, origin: str, above: int) -> list[bytes]:
        """A gateway's checkpoints of more than `above` entries, smallest first."""
        query = "SELECT leaf FROM leaves WHERE origin = ? AND size > ? ORDER BY size"
        return [row[0] for row in self._connection.execute(query, (origin, above))]

    def first_leaf_above(self, origin: str, index: int, end: int) -> bytes | None:
        """The smallest kept checkpoint that covers entry `index` and has at most `end` entries."""
        query = "SELECT leaf FROM leaves WHERE origin = ? AND size > ? AND size <= ? ORDER BY size LIMIT 1"
        row = self._connection.execute(query, (origin, index, end)).fetchone()
        return None if row is None else row[0]

    def origins(self) -> list[str]:
        """Every gateway's log that has a checkpoint in the super-log."""
        return [row[0] for row in self._connection.execute("SELECT DISTINCT origin FROM leaves ORDER BY origin")]

    def fact(self, name: str, default: Any = None) -> Any:
        """A small thing remembered."""
        row = self._connection.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return default if row is None else json.loads(row[0])

    def keep_fact(self, name: str, value: Any) -> None:
        """Remember a small thing."""
        self._connection.execute("INSERT OR REPLACE INTO facts VALUES (?, ?)", (name, json.dumps(value)))


def _fold(row: list[bytes]) -> bytes:
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    return row[0]
