"""The epochs of one gateway's log: which one is open, and how the next one begins.

A new epoch opens in two cases only: the store is broken, or the cloud shows this gateway's *own* valid signature over a
log that its store does not hold (a restored card). Signing on in the old epoch would then be a fork. The old file is
set aside, never deleted, and what it holds that nobody else can have is logged again in the new epoch.
"""

import logging
import re
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from contracts.checkpoint import Checkpoint
from contracts.clock import Clock
from contracts.entry import Kind, decode_entry
from contracts.errors import ContractsError
from contracts.quantities import EPOCH_OPEN, VISIT, parse_boundary_quantity
from contracts.tree import leaf_hash
from edge.calendar_days import LocalDays
from edge.errors import StoreBrokenError, StoreError
from edge.keys import Secrets
from edge.log_reader import LogReader
from edge.log_store import EntryRow, Group, LogStore
from edge.registers import Registers
from edge.voice import GAP_ENTRIES_LOST, Voice
from edge.watch import STATE as WATCH

_FILE = re.compile(r"e(0|[1-9][0-9]*)\.sqlite3")
_RELOG_GROUP = 2000
_log = logging.getLogger("edge.epochs")


class Epochs:
    """Opens logs under one data directory."""

    def __init__(
        self, data_dir: Path, origin_stem: str, voice: Voice, secrets: Secrets, clock: Clock, days: LocalDays,
        software: str,
    ) -> None:  # fmt: skip
        self._days = days
        self._data_dir = data_dir
        self._stem = origin_stem
        self._voice = voice
        self._secrets = secrets
        self._clock = clock
        self._software = software
        self.on_opened: Callable[[str], None] = lambda says: None

    def newest(self) -> int:
        found = [int(match[1]) for path in self._data_dir.glob("e*.sqlite3") if (match := _FILE.fullmatch(path.name))]
        return max(found, default=0)

    def path(self, epoch: int) -> Path:
        return self._data_dir / f"e{epoch}.sqlite3"

    def open(self) -> LogStore:
        """The newest epoch's log, made if there is none; the next epoch's if that one is broken."""
        epoch = self.newest()
        try:
            store = LogStore.open(self.path(epoch), f"{self._stem}/e{epoch}")
        except StoreBrokenError as error:
            _log.error("%s", error)
            return self.open_next(epoch, reason="store-broken", seen=None, unsent_from=None)
        if store.size == 0:
            self._begin(store, epoch, {})
        return store

    def open_next(self, old_epoch: int, *, reason: str, seen: Checkpoint | None, unsent_from: int | None) -> LogStore:
        """Open the epoch after `old_epoch`.

        Args:
            old_epoch: the one that ends; its file stays.
            reason: `store-broken` or `own-head-elsewhere`.
            seen: the head that carries our own signature and that our store does not hold.
            unsent_from: first position that nobody else can have; None to ask the old store's own record.
        """
        epoch = old_epoch + 1
        store = LogStore.open(self.path(epoch), f"{self._stem}/e{epoch}")
        fields: dict[str, object] = {"reason": reason, "old_origin": f"{self._stem}/e{old_epoch}"}
        if seen is not None:
            fields["seen_head"] = {"size": seen.size, "root": seen.root.hex()}
        old = _OldLog(self.path(old_epoch))
        own = old.own_head()
        if own is not None:
            fields["own_head"] = {"size": own[0], "root": own[1].hex()}
        self._begin(store, epoch, fields)
        again, lost = self._carry_over(store, old, unsent_from)
        old.close()
        says = f"epoch e{epoch} opened: {reason}; {again} entries logged again, {lost} could not be read"
        _log.warning("%s", says)
        self.on_opened(says)
        return store

    def _begin(self, store: LogStore, epoch: int, fields: Mapping[str, object]) -> None:
        row = self._voice.epoch_open(
            self._clock.now_ms(), epoch,
            {
                "claim_code": self._secrets.claim_code, "software": self._software,
                "uplink_token_digest": self._secrets.uplink_token_digest, **fields,
            },
        )  # fmt: skip
        store.append(Group(rows=[row]))

    def _carry_over(self, store: LogStore, old: "_OldLog", unsent_from: int | None) -> tuple[int, int]:
        """Boundaries, deliveries, sessions and register memory, then the unsent entries; how many, how many lost."""
        start = old.unsent_from() if unsent_from is None else unsent_from
        rows, lost = old.rows_from(start)
        again = {key for row in rows if (key := _boundary_of(row)) is not None}
        judged = {entry.detail_digest for row in rows if (entry := decode_entry(row[0])).kind is Kind.VISIT}
        kept = [
            (device, quantity) for device, quantity, position in old.boundaries()
            # A visit whose verdict is lost and was never sent is judged again: it stands in no log.
            if (device, quantity) not in again
            and (quantity != VISIT or start is None or position < start or device in judged)
        ]  # fmt: skip
        group = Group(
            delivered=old.deliveries(), sessions=old.sessions(),
            earlier_boundaries=kept,
        )  # fmt: skip
        registers = old.registers(self._days)
        if registers is not None:
            group.states["registers"] = registers
        if watch := old.state(WATCH):
            group.states[WATCH] = watch  # so that a fault that ends now is said to be over
        store.append(group)
        if lost:
            now_ms = self._clock.now_ms()
            fields = {"reason": "store-broken", "entries": lost}
            store.append(Group(rows=[self._voice.gap(now_ms, GAP_ENTRIES_LOST, now_ms, now_ms, fields)]))
        for at in range(0, len(rows), _RELOG_GROUP):
            part = rows[at : at + _RELOG_GROUP]
            boundaries = [(*key, number) for number, row in enumerate(part) if (key := _boundary_of(row)) is not None]
            store.append(Group(rows=part, boundaries=boundaries))
        return len(rows), lost


class _OldLog:
    """What can still be read of the epoch that ends; every question survives a destroyed file."""

    def __init__(self, path: Path) -> None:
        self._reader: LogReader | None = None
        if path.exists():
            with _forgiving():
                self._reader = LogReader(path)

    def close(self) -> None:
        if self._reader is not None:
            with _forgiving():
                self._reader.close()

    def own_head(self) -> tuple[int, bytes] | None:
        with _forgiving():
            head = self._reader.last_checkpoint(signed=False) if self._reader else None
            return (head.size, head.root) if head else None
        return None

    def unsent_from(self) -> int | None:
        """What the old store recorded as acknowledged by the cloud; None when even that is destroyed."""
        with _forgiving():
            return self._reader.number("uploaded") if self._reader else None
        return None

    def rows_from(self, start: int | None) -> tuple[list[EntryRow], int]:
        """The entries from a position on that still hash to their leaves, and how many do not."""
        rows: list[EntryRow] = []
        if self._reader is None or start is None:
            return rows, 0
        size, at, lost = start, start, 0
        with _forgiving():
            size = self._reader.size()
        while at < size:
            part = self._part(at, min(at + 64, size))
            rows.extend(part)
            lost += min(at + 64, size) - at - len(part)
            at += 64
        return [row for row in rows if not _is_epoch_open(row)], lost

    def _part(self, start: int, end: int) -> list[EntryRow]:
        assert self._reader is not None
        with _forgiving():
            leaves = self._reader.leaves(start, end)
            rows = zip(self._reader.rows(start, end), leaves, strict=True)
            return [row for row, leaf in rows if leaf_hash(row[0]) == leaf]
        if end - start == 1:
            return []
        middle = (start + end) // 2
        return self._part(start, middle) + self._part(middle, end)

    def boundaries(self) -> list[tuple[bytes, str, int]]:
        with _forgiving():
            return self._reader.boundaries() if self._reader else []
        return []

    def state(self, name: str) -> bytes | None:
        with _forgiving():
            return self._reader.state(name) if self._reader else None
        return None

    def deliveries(self) -> list[bytes]:
        with _forgiving():
            return self._reader.deliveries() if self._reader else []
        return []

    def sessions(self) -> list[tuple[str, str, str]]:
        with _forgiving():
            return self._reader.sessions() if self._reader else []
        return []

    def registers(self, days: LocalDays) -> bytes | None:
        """What the registers last said by the old log, as a snapshot for the new one."""
        with _forgiving():
            if self._reader is None:
                return None
            registers = Registers(days)
            at = registers.restore(self._reader.state("registers"))
            registers.fold(self.rows_from(at)[0])
            return registers.snapshot(0)
        return None


def _forgiving() -> suppress:
    """A question to a destroyed file is answered with nothing."""
    return suppress(sqlite3.Error, StoreError, ContractsError)


def _boundary_of(row: EntryRow) -> tuple[bytes, str] | None:
    entry = decode_entry(row[0])
    if entry.kind is Kind.READING and parse_boundary_quantity(entry.quantity) is not None:
        return entry.device, entry.quantity
    return None


def _is_epoch_open(row: EntryRow) -> bool:
    entry = decode_entry(row[0])
    return entry.kind is Kind.GATEWAY and entry.quantity == EPOCH_OPEN
