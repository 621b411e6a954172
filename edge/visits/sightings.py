"""What this gateway saw of its machines, kept 60 days: the values that visit rules look at, by the devices' own time.

It is derived, a fold over the log from where the last one ended, so that a visit is judged by nothing but what is
logged. A broken file is made anew from what the log still holds. Codes are kept when they change and every ten minutes,
counters once a minute: more would tell a visit nothing.
"""

import json
import logging
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from contracts.entry import Kind, decode_entry
from devices.visit_rules import RuleForm, VisitRule
from edge import schema
from edge.errors import StoreBrokenError, StoreError
from edge.log_reader import LogReader
from edge.log_store import EntryRow
from edge.visits.judge import SILENT_MS, Track

KEPT_MS = 60 * 86_400_000
_AHEAD_MS = 10 * 60_000  # a device's clock that is further ahead of ours is not believed
_CODE_EVERY_MS = 10 * 60_000
_COUNTER_EVERY_MS = 60_000
_STEP_ENTRIES = 4096
_FAR_ENTRIES = 20_000  # the place reached is written down at the latest after so many entries
_ROWS_MAX = 1_000_000  # some 60 MB: a module that shouts must not fill the card
_log = logging.getLogger("edge.visits")

_TABLES = """
CREATE TABLE IF NOT EXISTS seen (device BLOB NOT NULL, quantity TEXT NOT NULL, at_ms INTEGER NOT NULL,
    value INTEGER NOT NULL) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS seen_by_time ON seen (device, quantity, at_ms, value);
CREATE TABLE IF NOT EXISTS folded (origin TEXT PRIMARY KEY, size INTEGER NOT NULL) STRICT;
"""
_Seen = tuple[bytes, str, int, int]


class Sightings:
    """One file beside the log. Use from one thread at a time."""

    def __init__(self, path: Path, rules: Mapping[bytes, Sequence[VisitRule]]) -> None:
        """`rules`: by device; what they do not look at is not kept."""
        self._path = path
        self._kept = {device: _is_counter(of_device) for device, of_device in rules.items()}
        self._last: dict[tuple[bytes, str], tuple[int, int]] = {}
        if not rules:
            return  # nothing is looked at, so there is no file: making one would hold up the start
        try:
            self._open()
        except sqlite3.OperationalError as error:
            raise StoreError(f"{path}: {error}; check the disk and its permissions") from error
        except sqlite3.DatabaseError as error:
            self.make_anew(error)

    def make_anew(self, error: sqlite3.Error) -> None:
        """Begin again with an empty file: what the log still holds is folded in again."""
        _log.error("%s: %s; it is made anew from the log", self._path, error)
        with suppress(AttributeError, sqlite3.Error):
            self._connection.close()
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        self._last.clear()
        self._open()

    def close(self) -> None:
        with suppress(AttributeError):  # without rules it was never opened
            self._connection.close()

    def fold(self, log: LogReader, origin: str, now_ms: int) -> None:
        """Take in what the log got since the last time."""
        size = log.size()
        reached = self._folded.get(origin, 0)
        # A log shorter than what was reached was put back from a copy: what is logged there now may be new.
        at = max(reached if reached <= size else 0, log.number("pruned"))
        found: list[_Seen] = []
        while at < size:
            end = min(at + _STEP_ENTRIES, size)
            try:
                found.extend(self._worth_keeping(log.rows(at, end)))
            except StoreBrokenError as error:
                _log.warning("visits: %s; what was seen in them is not known", error)
            at = end
        self._folded[origin] = at
        if found or at - self._written.get(origin, 0) >= _FAR_ENTRIES:
            self._write(origin, at, found, now_ms)

    def tracks(self, device: bytes, window: tuple[int, int]) -> dict[str, Track]:
        """What the device said from shortly before the window to shortly behind it, per quantity."""
        query = (
            "SELECT at_ms, value FROM seen WHERE device = ? AND quantity = ? AND at_ms BETWEEN ? AND ? ORDER BY at_ms"
        )
        start_ms, end_ms = window[0] - SILENT_MS, window[1] + SILENT_MS
        return {
            quantity: list(self._connection.execute(query, (device, quantity, start_ms, end_ms)))
            for quantity in self._kept.get(device, ())
        }

    def heard_after(self, device: bytes, at_ms: int) -> bool:
        """Whether the device has spoken of a time behind `at_ms`."""
        query = "SELECT 1 FROM seen WHERE device = ? AND at_ms > ? LIMIT 1"
        return self._connection.execute(query, (device, at_ms)).fetchone() is not None

    def _open(self) -> None:
        connection = schema.connect(self._path)
        try:
            connection.executescript(_TABLES)
            folded = dict(connection.execute("SELECT origin, size FROM folded"))
        except sqlite3.Error:
            connection.close()
            raise
        self._connection = connection
        self._folded: dict[str, int] = folded
        self._written = dict(folded)

    def _worth_keeping(self, rows: Collection[EntryRow]) -> Iterator[_Seen]:
        for encoded, detail in rows:
            device = encoded[32:64]
            if device not in self._kept or encoded[31] != Kind.STATUS:
                continue
            entry = decode_entry(encoded)
            is_counter = self._kept[device].get(entry.quantity)
            told = _told(detail)
            if is_counter is None or "suspect" in told:
                continue
            at_ms = _told_at_ms(told, entry.observed_at_ms)
            if self._says_more(device, entry.quantity, at_ms, entry.value, is_counter=is_counter):
                self._last[device, entry.quantity] = at_ms, entry.value
                yield device, entry.quantity, at_ms, entry.value

    def _says_more(self, device: bytes, quantity: str, at_ms: int, value: int, *, is_counter: bool) -> bool:
        last = self._last.get((device, quantity))
        if last is None or at_ms < last[0]:
            return True
        if is_counter:
            return at_ms - last[0] >= _COUNTER_EVERY_MS
        return value != last[1] or at_ms - last[0] >= _CODE_EVERY_MS

    def _write(self, origin: str, size: int, found: Collection[_Seen], now_ms: int) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?)", found)
            connection.execute("DELETE FROM seen WHERE at_ms < ?", (now_ms - KEPT_MS - SILENT_MS,))
            connection.execute("DELETE FROM seen WHERE rowid <= (SELECT max(rowid) FROM seen) - ?", (_ROWS_MAX,))
            connection.execute("REPLACE INTO folded VALUES (?, ?)", (origin, size))
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        self._written[origin] = size


def _is_counter(rules: Sequence[VisitRule]) -> dict[str, bool]:
    """The quantities that rules look at, and whether each is a counter (else a code)."""
    kept = {rule.quantity: rule.form is RuleForm.ROSE for rule in rules}
    return kept | {rule.during_quantity: False for rule in rules if rule.during_quantity}


def _told(detail: bytes) -> Mapping[str, object]:
    told = json.loads(detail) if detail else {}
    return told if isinstance(told, dict) else {}


def _told_at_ms(told: Mapping[str, object], observed_at_ms: int) -> int:
    """The device's own time where it gives one: a module that was cut off tells later what happened before."""
    at_ms = told.get("meter_at_ms")
    if isinstance(at_ms, int) and observed_at_ms - KEPT_MS <= at_ms <= observed_at_ms + _AHEAD_MS:
        return at_ms
    return observed_at_ms
