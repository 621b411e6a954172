"""What a witness must never forget: the head that it cosigned last of each log, in one SQLite file.

The check against it and the new head are one immediate transaction, synced to disk before anything is answered, so
that neither two requests at once, nor two processes, nor a kill can make it cosign two histories.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cloud.errors import SettingsError
from cloud.witness.judgement import Genuine, Held

__all__ = ["Transaction", "WitnessState"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS witness (one INTEGER PRIMARY KEY CHECK (one = 1), vkey TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS heads (
    origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS refused (
    origin TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL, held_size INTEGER NOT NULL, note TEXT NOT NULL,
    PRIMARY KEY (origin, size, root)
);
"""
_BUSY_SECONDS = 10.0
_REFUSED_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Transaction:
    """One look at a log's last head and perhaps one step forward."""

    connection: sqlite3.Connection

    def held(self, origin: str) -> Held:
        """The head cosigned last."""
        row = self.connection.execute("SELECT size, root FROM heads WHERE origin = ?", (origin,)).fetchone()
        return Held() if row is None else Held(size=row[0], root=row[1])

    def keep(self, genuine: Genuine, note: str) -> None:
        """The head cosigned from now on, with the note that shows both signatures."""
        head = genuine.head
        self.connection.execute(
            "INSERT INTO heads VALUES (?, ?, ?, ?) ON CONFLICT (origin) "
            "DO UPDATE SET size = excluded.size, root = excluded.root, note = excluded.note",
            (head.origin, head.size, head.root, note),
        )


class WitnessState:
    """The file. Every method opens it anew: a witness is asked seldom, and threads share nothing so."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @classmethod
    def create(cls, path: Path) -> "WitnessState":
        """The state in a new or existing file. Raises `SettingsError` if it cannot be one."""
        state = cls(path)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with state._connection() as connection:
                connection.executescript(_SCHEMA)
        except (OSError, sqlite3.Error) as error:
            raise SettingsError(f"witness state {path}: {error}; it must be a writable file of its own") from error
        return state

    def vkey(self) -> str | None:
        """The key that this state belongs to; None while it is new."""
        with self._connection() as connection:
            row = connection.execute("SELECT vkey FROM witness").fetchone()
        return None if row is None else row[0]

    def bind(self, vkey: str) -> None:
        """Let the state belong to a key."""
        with self._connection() as connection:
            connection.execute("INSERT OR REPLACE INTO witness VALUES (1, ?)", (vkey,))

    def has_heads(self) -> bool:
        """Whether anything was ever cosigned."""
        with self._connection() as connection:
            return connection.execute("SELECT 1 FROM heads LIMIT 1").fetchone() is not None

    def note(self, origin: str) -> str | None:
        """The note that was cosigned last of a log."""
        with self._connection() as connection:
            row = connection.execute("SELECT note FROM heads WHERE origin = ?", (origin,)).fetchone()
        return None if row is None else row[0]

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One check and step; durable when the block has ended, nothing of it if it raised."""
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(connection)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def remember_refused(self, genuine: Genuine) -> bool:
        """Keep a signed checkpoint that did not extend the last one, with every line it came with; whether that is new.

        It may prove that the log shows two histories, or that somebody sent a wrong proof: people decide.
        """
        head = genuine.head
        with self._connection() as connection:
            (count,) = connection.execute("SELECT count(*) FROM refused WHERE origin = ?", (head.origin,)).fetchone()
            if count >= _REFUSED_MAX:
                return False
            row = (head.origin, head.size, head.root, genuine.request.old_size, genuine.request.note)
            return connection.execute("INSERT OR IGNORE INTO refused VALUES (?, ?, ?, ?, ?)", row).rowcount == 1

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._path, timeout=_BUSY_SECONDS, isolation_level=None)
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            yield connection
        finally:
            connection.close()
