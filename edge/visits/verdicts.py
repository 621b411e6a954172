"""What earlier verdicts used up, read back from the log: codes that were spent, and work that they credited.

A code serves one visit of a key, and what a machine showed is one visit's work: two visits of one hour, day or plan
cannot both be paid for it. What is on its way into the log counts from when it was judged.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from edge.visits.items import Window

if TYPE_CHECKING:
    from datetime import date

    from contracts.visit import Visit

TABLES = """
CREATE TABLE IF NOT EXISTS spent (number INTEGER PRIMARY KEY, mark BLOB NOT NULL UNIQUE, visit BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS credited (number INTEGER PRIMARY KEY, device BLOB NOT NULL, visit BLOB NOT NULL UNIQUE,
    from_ms INTEGER NOT NULL, to_ms INTEGER NOT NULL, line BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS credited_by_device ON credited (device, to_ms);
"""
NO_TABLES = "DROP TABLE IF EXISTS spent; DROP TABLE IF EXISTS credited;"
LINE_BYTES = 8
_KEPT = 100_000  # of each; the oldest go first
_SPENT_MAX = 64  # codes of one verdict
_TAG = b"minglou/day-line/1".ljust(32, b"\0")


def line_of(visit: "Visit", day: "date") -> bytes:
    """Names who did which plan on a local day, 8 bytes: visits of one line are paid once between them."""
    return sha256(_TAG + visit.plan + b"".join(sorted(visit.mechanics)) + day.isoformat().encode()).digest()[
        :LINE_BYTES
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What one verdict used up."""

    device: bytes
    visit: bytes  # digest
    spent: tuple[bytes, ...] = ()  # marks of codes
    work: Window | None = None  # from the first to the last of what showed work
    line: bytes = b""


def used_by(device: bytes, told: Mapping[str, object]) -> Used | None:
    """What the detail of a verdict entry says; None for one that is not as we write it, or used nothing up."""
    facts = told.get("facts")
    if not isinstance(facts, Mapping):
        return None
    presence, work = facts.get("presence"), facts.get("work")
    try:
        marks = presence.get("spent", ()) if isinstance(presence, Mapping) else ()
        used = Used(
            device=device,
            visit=bytes.fromhex(str(told["visit"])),
            spent=tuple(map(bytes.fromhex, marks[:_SPENT_MAX])),
            work=(int(work["from_ms"]), int(work["to_ms"])) if isinstance(work, Mapping) and "line" in facts else None,
            line=bytes.fromhex(str(facts.get("line", ""))),
        )
    except (KeyError, TypeError, ValueError):
        return None
    return used if used.spent or used.work else None


class Verdicts:
    """The tables beside the sightings, and what the log does not say yet."""

    def __init__(self) -> None:
        self._coming: dict[bytes, Used] = {}  # by visit

    def expect(self, used: Used) -> None:
        """A verdict that is on its way into the log."""
        self._coming[used.visit] = used

    def write(self, connection: sqlite3.Connection, found: Iterable[Used]) -> None:
        """Within a transaction: what the log said."""
        for used in found:
            spent = [(mark, used.visit) for mark in used.spent]
            connection.executemany("INSERT OR IGNORE INTO spent (mark, visit) VALUES (?, ?)", spent)
            if used.work:
                insert = "INSERT OR IGNORE INTO credited (device, visit, from_ms, to_ms, line) VALUES (?, ?, ?, ?, ?)"
                connection.execute(insert, (used.device, used.visit, *used.work, used.line))
        for table in ("spent", "credited"):
            connection.execute(_TRIM[table], (_KEPT,))

    def written(self, found: Iterable[Used]) -> None:
        """The transaction is on the disk."""
        for used in found:
            self._coming.pop(used.visit, None)

    def spender(self, connection: sqlite3.Connection, mark: bytes) -> bytes | None:
        """The visit that spent a display's code, by the code's mark."""
        for used in self._coming.values():
            if mark in used.spent:
                return used.visit
        row = connection.execute("SELECT visit FROM spent WHERE mark = ?", (mark,)).fetchone()
        return None if row is None else bytes(row[0])

    def credited(self, connection: sqlite3.Connection, device: bytes, window: Window) -> list[Used]:
        """The visits that were credited with work of the device within a time."""
        query = "SELECT visit, from_ms, to_ms, line FROM credited WHERE device = ? AND to_ms > ? AND from_ms < ?"
        found = {
            visit: Used(device=device, visit=visit, work=(from_ms, to_ms), line=line)
            for visit, from_ms, to_ms, line in connection.execute(query, (device, *window))
        }
        coming = (used for used in self._coming.values() if used.device == device)
        found |= {used.visit: used for used in coming if used.work and _meet(used.work, window)}
        return list(found.values())


_TRIM = {
    "spent": "DELETE FROM spent WHERE number <= (SELECT max(number) FROM spent) - ?",
    "credited": "DELETE FROM credited WHERE number <= (SELECT max(number) FROM credited) - ?",
}


def _meet(one: Window, other: Window) -> bool:
    return one[0] < other[1] and other[0] < one[1]
