"""One epoch's append-only log on disk. Only the writer thread calls what changes it."""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from contracts.entry import ENTRY_BYTES
from contracts.errors import TreeError
from contracts.tree import HASH_BYTES, Frontier, leaf_hashes
from edge import schema
from edge.block import pack_details
from edge.deliveries import Deliveries
from edge.errors import StoreBrokenError, StoreError, StoreFullError
from edge.log_reader import LogReader, held_entries

_TAIL_CHECKED = 4096  # entries hashed again at every start

EntryRow = tuple[bytes, bytes]
"""The 224 bytes of an entry and its detail bytes (empty where it has none)."""

DeliveryRow = bytes
"""One remembered message, as `edge.deliveries` packs it."""


@dataclass(slots=True, kw_only=True)
class Group:
    """What one transaction takes: all of it reaches the disk, or nothing."""

    rows: list[EntryRow] = field(default_factory=list)
    delivered: list[DeliveryRow] = field(default_factory=list)
    boundaries: list[tuple[bytes, str, int]] = field(default_factory=list)  # device, quantity, index in `rows`
    earlier_boundaries: list[tuple[bytes, str]] = field(default_factory=list)  # logged in an older epoch
    states: dict[str, bytes] = field(default_factory=dict)
    notes: list[tuple[str, int]] = field(default_factory=list)  # checkpoint note, size
    sessions: list[tuple[str, str, str]] = field(default_factory=list)  # name, username, filters as JSON, "" to forget


class LogStore:
    """The write side of one epoch."""

    def __init__(self, path: Path, connection: sqlite3.Connection, origin: str, frontier: Frontier) -> None:
        self.path = path
        self.origin = origin
        self.frontier = frontier
        self._connection = connection
        self._delivery_rows = int(connection.execute("SELECT count(*) FROM delivery").fetchone()[0])

    @classmethod
    def open(cls, path: Path, origin: str) -> "LogStore":
        """Open the epoch's log, or make it.

        Raises:
            StoreBrokenError: the file is no database, is damaged, or its rows do not fit its tree.
            StoreFullError: the disk has no room.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with translated(path):
            connection = schema.connect(path)
            try:
                if connection.execute("PRAGMA user_version").fetchone()[0] == 0:
                    schema.create_tables(connection, origin)
                frontier = _checked_frontier(path, connection, origin)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection, origin, frontier)

    @property
    def size(self) -> int:
        return self.frontier.size

    def append(self, group: Group, root_at_end: bool = False) -> bytes | None:
        """Write one group durably; with `root_at_end` also write down the (size, root) about to be signed.

        Returns:
            The root written down, or None.

        Raises:
            StoreFullError, StoreError: nothing of the group was written; the log is as before.
        """
        frontier = self.frontier.copy()
        leaves = [sha256(b"\x00" + row[0]).digest() for row in group.rows]
        nodes: list[tuple[int, int, bytes]] = []
        frontier.extend(leaves, nodes.append, level_min=schema.NODE_LEVEL_MIN)
        root = frontier.root() if root_at_end else None
        with translated(self.path), self._transaction():
            self._insert_entries(group.rows, leaves)
            self._insert_rest(group, nodes, frontier)
            if root is not None:
                self._connection.execute("INSERT OR IGNORE INTO checkpoint VALUES (?, ?, NULL)", (frontier.size, root))
        self.frontier = frontier
        return root

    def write_root(self, size: int, root: bytes) -> None:
        """Write down a (size, root) of the past before it is signed."""
        with translated(self.path), self._transaction():
            self._connection.execute("INSERT OR IGNORE INTO checkpoint VALUES (?, ?, NULL)", (size, root))

    def written_root(self, size: int) -> bytes | None:
        """The root written down for a size, if any: nothing else may be signed for it."""
        row = self._connection.execute("SELECT root FROM checkpoint WHERE size = ?", (size,)).fetchone()
        return None if row is None else bytes(row[0])

    def has_boundary(self, device: bytes, quantity: str) -> bool:
        query = "SELECT 1 FROM boundary WHERE device = ? AND quantity = ?"
        return self._connection.execute(query, (device, quantity)).fetchone() is not None

    def prune(self, below: int, rows_max: int = 2000) -> int:
        """Empty up to `rows_max` of the oldest rows below a position down to their leaf hashes; how many it did."""
        with translated(self.path), self._transaction():
            row = self._connection.execute("SELECT value FROM state WHERE name = 'pruned'").fetchone()
            start = int(row[0]) if row else 0
            end = min(below, start + rows_max)
            if end <= start:
                return 0
            change = "UPDATE block SET entries = NULL, details = NULL WHERE start >= ? AND start < ?"
            last = self._connection.execute("SELECT max(start) FROM block WHERE start <= ?", (end,)).fetchone()[0]
            end = int(last)  # where a block begins: blocks are pruned whole
            self._connection.execute(change, (start, end))
            self._connection.execute("REPLACE INTO state VALUES ('pruned', ?)", (str(end).encode(),))
            keep = "DELETE FROM checkpoint WHERE size < ? AND size < (SELECT max(size) FROM checkpoint WHERE size <= ?)"
            self._connection.execute(keep, (end, end))
        return end - start

    def reader(self) -> LogReader:
        """A read connection of its own, for another thread."""
        return LogReader(self.path)

    def close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
            raise

    def _insert_entries(self, rows: Sequence[EntryRow], leaves: Sequence[bytes]) -> None:
        start, step = self.frontier.size, schema.BLOCK_ENTRIES
        values: list[object] = []
        for at in range(0, len(rows), step):
            part = rows[at : at + step]
            values.append(start + at)
            values.append(b"".join([row[0] for row in part]))
            values.append(pack_details([row[1] for row in part]))
            values.append(b"".join(leaves[at : at + step]))
        at = 0
        for count, statement in schema.INSERT_BLOCKS:
            while len(values) - at >= 4 * count:
                self._connection.execute(statement, values[at : at + 4 * count])
                at += 4 * count

    def _insert_deliveries(self, delivered: Sequence[DeliveryRow]) -> None:
        """One row a commit; many rows are folded into one, which keeps what is still remembered."""
        if self._delivery_rows >= schema.DELIVERY_ROWS_MAX:
            rows = self._connection.execute("SELECT packed FROM delivery ORDER BY number")
            folded = Deliveries(packed for (packed,) in rows).pack()
            self._connection.execute("DELETE FROM delivery")
            self._connection.execute("INSERT INTO delivery (packed) VALUES (?)", (folded,))
            self._delivery_rows = 1
        self._connection.execute("INSERT INTO delivery (packed) VALUES (?)", (b"".join(delivered),))
        self._delivery_rows += 1

    def _insert_rest(self, group: Group, nodes: list[tuple[int, int, bytes]], frontier: Frontier) -> None:
        connection, start = self._connection, self.frontier.size
        if nodes:
            connection.executemany("INSERT INTO node VALUES (?, ?, ?)", nodes)
        if group.delivered:
            self._insert_deliveries(group.delivered)
        for device, quantity, number in group.boundaries:
            connection.execute("INSERT INTO boundary VALUES (?, ?, ?)", (device, quantity, start + number))
        for device, quantity in group.earlier_boundaries:
            connection.execute("INSERT OR IGNORE INTO boundary VALUES (?, ?, -1)", (device, quantity))
        for note, size in group.notes:
            connection.execute("UPDATE checkpoint SET note = ? WHERE size = ?", (note, size))
        for session in group.sessions:
            if session[2]:
                connection.execute("REPLACE INTO session VALUES (?, ?, ?)", session)
            else:
                connection.execute("DELETE FROM session WHERE client_id = ?", session[:1])
        if group.rows:
            connection.execute("REPLACE INTO state VALUES ('frontier', ?)", (frontier.to_bytes(),))
        for name, value in group.states.items():
            connection.execute("REPLACE INTO state VALUES (?, ?)", (name, value))


@contextlib.contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn SQLite's errors into the gateway's, by what can be done about them."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        says = str(error)
        if "full" in says or "disk I/O error" in says:
            raise StoreFullError(f"{path}: {says}; free some space, entries wait and nothing is lost") from error
        if not isinstance(error, sqlite3.OperationalError) or "malformed" in says or "no such" in says:
            raise StoreBrokenError(f"{path}: {says}; it is set aside and a new epoch is opened") from error
        raise StoreError(f"{path}: {says}; check the disk and its permissions") from error


def _checked_frontier(path: Path, connection: sqlite3.Connection, origin: str) -> Frontier:
    """The stored frontier, after the log's last entries have been hashed again and compared."""
    if connection.execute("PRAGMA user_version").fetchone()[0] != schema.FORMAT:
        raise StoreError(f"{path}: was written by another version; run the program that wrote it")
    stored = dict(connection.execute("SELECT name, value FROM state WHERE name IN ('origin', 'frontier')").fetchall())
    if bytes(stored.get("origin", b"")).decode() != origin:
        raise StoreError(f"{path}: holds the log {stored.get('origin')!r}, not {origin}; correct origin or data_dir")
    try:
        frontier = Frontier.from_bytes(bytes(stored["frontier"])) if "frontier" in stored else Frontier()
    except TreeError as error:
        raise StoreBrokenError(f"{path}: {error}") from error
    held = held_entries(connection)
    if frontier.size != held:
        raise StoreBrokenError(f"{path}: holds {held} entries, but its tree has {frontier.size}")
    _check_tail(path, connection, frontier)
    return frontier


def _check_tail(path: Path, connection: sqlite3.Connection, frontier: Frontier) -> None:
    start = frontier.size // _TAIL_CHECKED * _TAIL_CHECKED
    first = max(0, start - _TAIL_CHECKED)
    query = "SELECT start, entries, leaves FROM block WHERE start > ? ORDER BY start"
    leaves: list[bytes] = []
    for at, entries, packed in connection.execute(query, (first - schema.BLOCK_ENTRIES,)):
        own = [packed[number : number + HASH_BYTES] for number in range(0, len(packed), HASH_BYTES)]
        if entries is not None and (len(entries) != len(own) * ENTRY_BYTES or leaf_hashes(entries, ENTRY_BYTES) != own):
            raise StoreBrokenError(f"{path}: entries from {at} do not hash to their leaves; a new epoch is opened")
        if leaves and at != first + len(leaves):
            raise StoreBrokenError(f"{path}: entries before {at} are missing; a new epoch is opened")
        leaves.extend(own[max(0, first - at) :])
    # The peaks left of `start` are stored; those right of it must come out of the leaves just read.
    tail = Frontier(start, frontier.peaks[: start.bit_count()])
    tail.extend(leaves[start - first :])
    if tail.to_bytes() != frontier.to_bytes():
        raise StoreBrokenError(f"{path}: the last entries do not hash to the tree; a new epoch is opened")
