"""What this gateway saw of its machines, kept 60 days: the values that visit rules look at, by the devices' own time.

It is derived, a fold over the log from where the last one ended, so that a visit is judged by nothing but what is
logged. A broken file is made anew from what the log still holds. Codes are kept when they change and every ten minutes,
or as often as a rule needs them; counters and measures at most once a minute and where a code changed.

No clock makes it forget. A gateway whose clock runs ahead for a minute, or years, must not lose the evidence of visits
that phones still hold: so its age is counted in days that this gateway ran, and each device has a share of its own,
which no other one can fill.
"""

import json
import logging
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any

from contracts.entry import Entry, Kind, decode_entry
from contracts.quantities import SOFTWARE, VISIT_VERDICT
from devices.visit_rules import ANYONE, METER_FORMS, NUMBER_FORMS, RuleForm, VisitRule
from edge import schema
from edge.errors import StoreBrokenError, StoreError
from edge.log_reader import LogReader
from edge.log_store import EntryRow
from edge.visits.items import SILENT_MS, Track, Window
from edge.visits.verdicts import NO_TABLES, TABLES, Used, Verdicts, used_by

KEPT_DAYS = 60
KEPT_MS = KEPT_DAYS * 86_400_000
ACCESS_GRANTED = "access.granted"
DISPLAY_SLOT = "display.slot"
CODE_MS, EVERY_MS, ANYONE_MS = 0, -1, -2
"""Instead of a spacing: kept when it changes; each time, at doors only of people that are known here; of anyone."""

_AHEAD_MS = 10 * 60_000  # a device's clock that is further ahead of ours is not believed
_AGAIN_MS = 10 * 60_000
_SPACED_MS = 60_000
_STEP_ENTRIES = 4096
_FAR_ENTRIES = 20_000  # the place reached is written down at the latest after so many entries
_ROWS_MAX = 1_000_000  # of all devices, some 60 MB
_ROWS_EACH_MIN = 10_000
_DAY_S = 86_400
_FORMAT = 2
_LATEST = 200  # a code that stands is told again every ten minutes: more than a day of it
_KINDS = (Kind.STATUS, Kind.ACCESS, Kind.GATEWAY)
_log = logging.getLogger("edge.visits")

_TABLES = """
CREATE TABLE IF NOT EXISTS seen (device BLOB NOT NULL, quantity TEXT NOT NULL, at_ms INTEGER NOT NULL,
    value INTEGER NOT NULL, day INTEGER NOT NULL) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS seen_by_time ON seen (device, quantity, at_ms, value);
CREATE INDEX IF NOT EXISTS seen_by_day ON seen (day);
CREATE TABLE IF NOT EXISTS folded (origin TEXT PRIMARY KEY, size INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS ran (one INTEGER PRIMARY KEY CHECK (one = 1), seconds INTEGER NOT NULL) STRICT;
"""
_NO_TABLES = "DROP TABLE IF EXISTS seen; DROP TABLE IF EXISTS folded;"
_TRIM = """
DELETE FROM seen WHERE device = ?1 AND rowid <=
    (SELECT rowid FROM seen WHERE device = ?1 ORDER BY rowid DESC LIMIT 1 OFFSET ?2)
"""
_Seen = tuple[bytes, str, int, int]
_NO_CODES: Mapping[Any, Any] = MappingProxyType({})
Kept = Mapping[str, int]
"""The quantities of a device that are looked at, each with the least time (ms) between two that are kept."""

Whose = Callable[[Mapping[str, object]], int]
"""Whose card an access entry's detail commits to; 0 for nobody that is remembered, `items.TEST_CARD` for that one."""


def kept_for(rules: Sequence[VisitRule]) -> dict[str, int]:
    """What of a device its rules look at."""
    kept: dict[str, int] = {}
    for rule in rules:
        if rule.form is RuleForm.PASSED or rule.form in METER_FORMS:
            continue  # seen by a door beside it; of meters the log itself is read
        if rule.form is RuleForm.TOLD:
            kept[rule.quantity] = ANYONE_MS if rule.by == ANYONE else EVERY_MS
            continue
        kept[rule.quantity] = _SPACED_MS if rule.form in NUMBER_FORMS else CODE_MS
    kept |= {rule.after_quantity: _SPACED_MS for rule in rules if rule.after_quantity}
    return kept | {rule.during_quantity: CODE_MS for rule in rules if rule.during_quantity}


def retold_by(rules: Sequence[VisitRule]) -> dict[tuple[str, int], int]:
    """Which codes of a device are kept again how often (ms) while they stand."""
    held = [rule for rule in rules if rule.form is RuleForm.HELD and rule.retold_s]
    return {(rule.quantity, rule.code): rule.retold_s * 1000 for rule in held}


class Sightings:
    """One file beside the log. Use from one thread at a time."""

    def __init__(
        self, path: Path, kept: Mapping[bytes, Kept], whose: Whose | None = None,
        retold: Mapping[bytes, Mapping[tuple[str, int], int]] = _NO_CODES,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """`kept`, `retold`: by device; what stands there for none is not kept. `whose`: names crews' cards at doors."""
        self._path = path
        self._kept = kept
        self._whose = whose
        self._retold = retold
        self._monotonic = monotonic
        self._share = max(_ROWS_EACH_MIN, _ROWS_MAX // max(1, len(kept)))
        self._verdicts = Verdicts()
        self._last: dict[tuple[bytes, str], tuple[int, int]] = {}
        self._waiting: dict[bytes, dict[str, tuple[int, int]]] = {}  # told too soon after the last one kept
        self._turned_ms: dict[bytes, int] = {}  # when a code of the device last changed
        if not kept:
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
        self._forget_what_was_told()
        self._open()

    def _forget_what_was_told(self) -> None:
        self._last.clear()
        self._waiting.clear()
        self._turned_ms.clear()

    def close(self) -> None:
        with suppress(AttributeError):  # without rules it was never opened
            self._connection.close()

    def fold(self, log: LogReader, origin: str) -> None:
        """Take in what the log got since the last time."""
        if not self._kept:
            return
        size = log.size()
        reached = self._folded.get(origin, 0)
        # A log shorter than what was reached was put back from a copy: what is logged there now may be new.
        at = max(reached if reached <= size else 0, log.number("pruned"))
        found: list[_Seen] = []
        used: list[Used] = []
        while at < size:
            end = min(at + _STEP_ENTRIES, size)
            try:
                found.extend(self._worth_keeping(log.rows(at, end), used))
            except StoreBrokenError as error:
                _log.warning("visits: %s; what was seen in them is not known", error)
            at = end
        if found or used or at - self._written.get(origin, 0) >= _FAR_ENTRIES:
            try:
                self._write(origin, at, found, used)
            except sqlite3.Error:
                self._forget_what_was_told()  # so that the same entries are taken in the next time
                raise
        self._folded[origin] = at
        self._verdicts.written(used)

    def tracks(self, device: bytes, window: Window) -> dict[str, Track]:
        """What the device said from shortly before the window to shortly behind it, per quantity."""
        query = (
            "SELECT at_ms, value FROM seen WHERE device = ? AND quantity = ? AND at_ms BETWEEN ? AND ? ORDER BY at_ms"
        )
        start_ms, end_ms = window[0] - SILENT_MS, window[1] + SILENT_MS
        return {
            quantity: self._before(device, quantity, start_ms, spacing_ms)
            + list(self._connection.execute(query, (device, quantity, start_ms, end_ms)))
            for quantity, spacing_ms in self._kept.get(device, {}).items()
        }

    def _before(self, device: bytes, quantity: str, at_ms: int, spacing_ms: int) -> list[tuple[int, int]]:
        """The last event before a time, whose value a later one may differ from; of other quantities nothing."""
        if spacing_ms not in (EVERY_MS, ANYONE_MS):
            return []
        query = (
            "SELECT at_ms, value FROM seen WHERE device = ? AND quantity = ? AND at_ms < ? ORDER BY at_ms DESC LIMIT 1"
        )
        return list(self._connection.execute(query, (device, quantity, at_ms)))

    def latest(self, device: bytes, quantity: str, now_ms: int) -> Track:
        """The last that the device said of one quantity, oldest first, without what a wrong clock dated ahead."""
        query = (
            "SELECT at_ms, value FROM seen WHERE device = ? AND quantity = ? AND at_ms <= ? ORDER BY at_ms DESC LIMIT ?"
        )
        return list(self._connection.execute(query, (device, quantity, now_ms + _AHEAD_MS, _LATEST)))[::-1]

    def heard_after(self, device: bytes, at_ms: int, now_ms: int) -> bool:
        """Whether the device has spoken of a time behind `at_ms`, and not of one that is still to come."""
        if device not in self._kept:
            return False
        query = "SELECT 1 FROM seen WHERE device = ? AND at_ms > ? AND at_ms <= ? LIMIT 1"
        return self._connection.execute(query, (device, at_ms, now_ms + _AHEAD_MS)).fetchone() is not None

    def expect(self, device: bytes, told: Mapping[str, object]) -> None:
        """A verdict's detail that is on its way into the log: what it uses up is used up from now on."""
        used = used_by(device, told)
        if used is not None:
            self._verdicts.expect(used)

    def spender(self, mark: bytes) -> bytes | None:
        """The visit whose verdict says that it spent a display's code, by the code's mark."""
        return self._verdicts.spender(self._connection, mark)

    def credited(self, device: bytes, window: Window) -> list[Used]:
        """The visits whose verdicts rest on work that the device showed within a time."""
        if device not in self._kept:
            return []
        return self._verdicts.credited(self._connection, device, window)

    def _open(self) -> None:
        connection = schema.connect(self._path)
        try:
            _make_tables(connection)
            folded = dict(connection.execute("SELECT origin, size FROM folded"))
            ran = connection.execute("SELECT seconds FROM ran").fetchone()
        except sqlite3.Error:
            connection.close()
            raise
        self._connection = connection
        self._folded: dict[str, int] = folded
        self._written = dict(folded)
        self._counts: dict[bytes, int] = {}  # rows of each device, about
        self._ran_s = float(ran[0]) if ran else 0.0
        self._looked_at = self._monotonic()

    def _worth_keeping(self, rows: Collection[EntryRow], used: list[Used]) -> Iterator[_Seen]:
        for encoded, detail in rows:
            device = encoded[32:64]
            if device not in self._kept or encoded[31] not in _KINDS:
                continue
            entry = decode_entry(encoded)
            told = _told(detail)
            if entry.quantity == VISIT_VERDICT and (verdict := used_by(device, told)) is not None:
                used.append(verdict)
            spacing_ms = self._kept[device].get(entry.quantity)
            if spacing_ms is None or "suspect" in told:
                continue
            value = self._value(entry, told)
            if value or spacing_ms == ANYONE_MS or entry.kind is not Kind.ACCESS:
                at_ms = _told_at_ms(told, entry.observed_at_ms)
                yield from self._sift(device, entry.quantity, at_ms, value, spacing_ms)

    def _value(self, entry: Entry, told: Mapping[str, object]) -> int:
        """Of a door, who stood at it: one of the crews, the test card, or 0. Of a start, a number for the boot."""
        if entry.kind is Kind.ACCESS:
            return self._whose(told) if self._whose else 0
        if entry.kind is Kind.GATEWAY and entry.quantity == SOFTWARE:
            return int.from_bytes(sha256(str(told.get("boot", "")).encode()).digest()[:6])
        return entry.value

    def _sift(self, device: bytes, quantity: str, at_ms: int, value: int, spacing_ms: int) -> Iterator[_Seen]:
        last = self._last.get((device, quantity))
        is_new = last is None or value != last[1] or at_ms < last[0]
        if spacing_ms in (EVERY_MS, ANYONE_MS):
            is_kept = True
        elif spacing_ms == CODE_MS:
            again_ms = self._retold.get(device, _NO_CODES).get((quantity, value), _AGAIN_MS)
            is_kept = is_new or (last is not None and at_ms - last[0] >= again_ms)
            if is_new:  # what counters stood at before a code changed is where a rise after it begins
                for name, (told_ms, count) in self._waiting.pop(device, {}).items():
                    self._last[device, name] = told_ms, count
                    yield device, name, told_ms, count
                self._turned_ms[device] = at_ms
        else:
            is_late = last is None or not 0 <= at_ms - last[0] < (spacing_ms if is_new else _AGAIN_MS)
            is_kept = is_late or at_ms == self._turned_ms.get(device)
            if not is_kept and is_new:
                self._waiting.setdefault(device, {})[quantity] = at_ms, value
        if is_kept:
            self._waiting.get(device, {}).pop(quantity, None)
            self._last[device, quantity] = at_ms, value
            yield device, quantity, at_ms, value

    def _write(self, origin: str, size: int, found: Collection[_Seen], used: Collection[Used]) -> None:
        connection, now = self._connection, self._monotonic()
        ran_s = self._ran_s + now - self._looked_at
        day = int(ran_s // _DAY_S)
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?, ?, ?, ?)", [(*one, day) for one in found])
            connection.execute("DELETE FROM seen WHERE day < ?", (day - KEPT_DAYS,))
            self._verdicts.write(connection, used)
            for device, more in Counter(device for device, *_ in found).items():
                self._trim(device, more)
            connection.execute("REPLACE INTO folded VALUES (?, ?)", (origin, size))
            connection.execute("REPLACE INTO ran VALUES (1, ?)", (int(ran_s),))
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        self._written[origin] = size
        self._ran_s, self._looked_at = ran_s, now

    def _trim(self, device: bytes, more: int) -> None:
        """Keep a device to its share: what it told first goes first, a tenth at a time."""
        self._counts[device] = self._counts.get(device, self._share) + more
        if self._counts[device] <= self._share:
            return
        self._connection.execute(_TRIM, (device, self._share * 9 // 10))
        ((count,),) = self._connection.execute("SELECT count(*) FROM seen WHERE device = ?", (device,))
        self._counts[device] = int(count)


def _make_tables(connection: sqlite3.Connection) -> None:
    """What an earlier program kept is looked up in the log again."""
    ((version,),) = connection.execute("PRAGMA user_version")
    if version != _FORMAT:
        connection.executescript(_NO_TABLES + NO_TABLES)
    connection.executescript(_TABLES + TABLES + f"PRAGMA user_version = {_FORMAT};")


def _told(detail: bytes) -> Mapping[str, object]:
    told = json.loads(detail) if detail else {}
    return told if isinstance(told, dict) else {}


def _told_at_ms(told: Mapping[str, object], observed_at_ms: int) -> int:
    """The device's own time where it gives one: a module that was cut off tells later what happened before."""
    at_ms = told.get("meter_at_ms")
    if isinstance(at_ms, int) and observed_at_ms - KEPT_MS <= at_ms <= observed_at_ms + _AHEAD_MS:
        return at_ms
    return observed_at_ms
