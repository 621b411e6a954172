"""What the gateway remembers of presence beside its log: guesses of late, and which visit brought which nonce.

A lost file costs a day's count of guesses, and a nonce may serve a second visit. Which codes were spent is read from
the log itself (`edge.visits.sightings`). No clock makes it forget: the newest of each are kept.
"""

import logging
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from edge import schema
from edge.errors import StoreError

DAY_MS = 86_400_000
GUESSES_KEPT = NONCES_KEPT = 10_000  # of visits that brought some
_log = logging.getLogger("edge.presence")

_TABLES = """
PRAGMA synchronous=NORMAL;
CREATE TABLE IF NOT EXISTS guess (number INTEGER PRIMARY KEY, signer BLOB NOT NULL, visit BLOB NOT NULL,
    at_ms INTEGER NOT NULL, count INTEGER NOT NULL, UNIQUE (signer, visit)) STRICT;
CREATE TABLE IF NOT EXISTS brought (number INTEGER PRIMARY KEY, nonce BLOB NOT NULL UNIQUE, visit BLOB NOT NULL) STRICT;
"""


class PresenceStore:
    """One file in the data directory. Use from one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Raises `StoreError` where the disk does not let it be made."""
        self._path = path
        try:
            self._connection = self._open()
        except sqlite3.OperationalError as error:
            raise StoreError(f"{path}: {error}; check the disk and its permissions") from error
        except sqlite3.DatabaseError as error:
            self._make_anew(error)

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self._connection.close()

    # ---- guesses ----

    def guesses(self, signer: bytes, now_ms: int, *, but: bytes) -> int:
        """Wrong codes of one signer in the last 24 hours, without those of the visit `but`."""
        query = "SELECT coalesce(sum(count), 0) FROM guess WHERE signer = ? AND at_ms > ? AND visit != ?"
        rows = self._do(query, (signer, now_ms - DAY_MS, but))
        return int(rows[0][0]) if rows else 0

    def note_guesses(self, signer: bytes, visit: bytes, count: int, now_ms: int) -> None:
        """Remember a visit's wrong codes; telling it twice counts them once."""
        insert = "INSERT OR IGNORE INTO guess (signer, visit, at_ms, count) VALUES (?, ?, ?, ?)"
        self._do(insert, (signer, visit, now_ms, count))
        self._do("DELETE FROM guess WHERE number <= (SELECT max(number) FROM guess) - ?", (GUESSES_KEPT,))

    # ---- nonces ----

    def spend_nonce(self, nonce: bytes, visit: bytes) -> bool:
        """Whether no other visit brought this nonce before; it is this visit's from now on."""
        self._do("INSERT OR IGNORE INTO brought (nonce, visit) VALUES (?, ?)", (nonce, visit))
        self._do("DELETE FROM brought WHERE number <= (SELECT max(number) FROM brought) - ?", (NONCES_KEPT,))
        found = self._do("SELECT count(*) FROM brought WHERE nonce = ? AND visit = ?", (nonce, visit))
        return bool(found and found[0][0])

    # ---- the file ----

    def _do(self, statement: str, values: Sequence[object]) -> list[tuple[int, ...]]:
        """Run one statement; a broken file is made anew, and a full disk forgets rather than hold visits up."""
        try:
            return self._connection.execute(statement, values).fetchall()
        except sqlite3.OperationalError as error:
            _log.error("%s: %s; it is not remembered", self._path, error)
            return []
        except sqlite3.DatabaseError as error:
            self._make_anew(error)
            return self._connection.execute(statement, values).fetchall()

    def _make_anew(self, error: sqlite3.Error) -> None:
        _log.error("%s: %s; it is made anew", self._path, error)
        with suppress(AttributeError, sqlite3.Error):
            self._connection.close()
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        self._connection = self._open()

    def _open(self) -> sqlite3.Connection:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        connection = schema.connect(self._path)
        try:
            connection.executescript(_TABLES)
        except sqlite3.Error:
            connection.close()
            raise
        return connection
