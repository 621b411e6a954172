"""The one writer: groups what the collectors submit, writes each group durably, then acknowledges and signs.

Threads submit; the writer thread alone touches the store. A group waits until it has `entries` entries or is `seconds`
old, and closes early when nothing new has come for a moment, so that a device that waits for its acknowledgement before
it sends on is not held up. What has come beyond that while the disk was slow goes with it, up to four times as many:
the slower a commit is, the more share it.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from typing import Any, Protocol

from edge.errors import StoreBrokenError, StoreError, StoreFullError
from edge.log_reader import LogReader
from edge.log_store import DeliveryRow, EntryRow, Group, LogStore
from edge.signer import Signer

_QUIET_SECONDS = 0.002
_RETRY_SECONDS = 0.5
_PENDING_ENTRIES_MAX = 16_384
_CROWDED = 4  # a group that was kept waiting takes up to so many times as many entries
_BACKLOG_STEP = 4096  # entries between the checkpoints of a backlog: what one batch may hold
_log = logging.getLogger("edge.committer")


class Sink(Protocol):
    """Who waits for the disk. Called in the writer thread, once a group, with the tokens it submitted in order."""

    def committed(self, tokens: list[Any]) -> None: ...


class Submission:
    """Entries that belong together: they share one transaction."""

    __slots__ = ("boundary", "delivered", "origin", "rows", "session", "sink", "states", "token")

    def __init__(
        self, rows: Sequence[EntryRow], *, delivered: Sequence[DeliveryRow] = (),
        boundary: tuple[bytes, str] | None = None, states: dict[str, bytes] | None = None,
        session: tuple[str, str, str] | None = None, sink: Sink | None = None, token: Any = None,
        origin: str | None = None,
    ) -> None:  # fmt: skip
        self.rows = rows
        self.delivered = delivered
        self.boundary = boundary  # device and quantity of the one row, dropped if the log has it already
        self.states = states
        self.origin = origin  # of the only log that the states speak of; None where they hold in every epoch
        self.session = session
        self.sink = sink
        self.token = token


class Committer:
    """Owns the writer thread, the store and the signer's turn."""

    def __init__(self, store: LogStore, signer: Signer, *, entries: int, seconds: float) -> None:
        self.store = store
        self.signer = signer
        self.disk_full = False
        self.groups = 0
        self.entries = 0
        self.on_checkpoint: Callable[[], None] = lambda: None
        self.on_room: Callable[[], None] = lambda: None
        self.on_broken: Callable[[StoreBrokenError], LogStore] | None = None
        self.on_wait: Callable[[str], None] = lambda says: None
        self._entries_max = entries
        self._seconds_max = seconds
        self._queue: deque[Submission] = deque()
        self._calls: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._waiting_rows = 0
        self._idle = False
        self._was_full = False
        self._stopping = False
        self._notes: list[tuple[str, int]] = []
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._room = threading.Event()
        self._room.set()
        self._thread = threading.Thread(target=self._run, name="committer", daemon=True)
        self.heartbeat = time.monotonic()

    # ---- any thread ----

    def start(self) -> None:
        self._thread.start()

    def submit(self, submission: Submission) -> None:
        """Queue one submission; cheap, never blocks. Ask `has_room` or `wait_for_room` before taking more in."""
        rows = len(submission.rows) or 1
        with self._lock:
            self._queue.append(submission)
            self._waiting_rows += rows
            if self._waiting_rows >= _PENDING_ENTRIES_MAX and not self._was_full:
                self._was_full = True
                self._room.clear()
            if self._idle or self._waiting_rows >= self._entries_max:
                self._changed.notify()

    @property
    def has_room(self) -> bool:
        return not self._was_full

    def wait_for_room(self, seconds: float) -> bool:
        """Block until the queue has room again, at most so long; whether it has."""
        return self._room.wait(seconds)

    def call(self, change: Callable[[], Any]) -> "Future[Any]":
        """Run something in the writer thread, between two groups."""
        future: Future[Any] = Future()
        with self._lock:
            self._calls.append((change, future))
            self._changed.notify()
        return future

    def stop(self, seconds: float = 10.0) -> None:
        """Write what is queued, sign if permitted, and end the thread."""
        with self._lock:
            self._stopping = True
            self._changed.notify()
        self._thread.join(seconds)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    # ---- writer thread ----

    def _run(self) -> None:
        while True:
            self.heartbeat = time.monotonic()
            submissions, calls, stopping = self._take()
            for change, future in calls:
                _answer(change, future)
            if submissions or self._sign_is_due(stopping):
                self._commit(submissions, stopping)
            elif self._notes:
                self._flush_notes()
            if stopping and not self._queue:
                self._flush_notes()
                return

    def _take(self) -> tuple[list[Submission], list[tuple[Callable[[], Any], "Future[Any]"]], bool]:
        with self._lock:
            if not self._queue and not self._calls and not self._stopping and not self._notes:
                wait = self.signer.seconds_until_due(time.monotonic())
                self._idle = True
                self._changed.wait(1.0 if wait is None else min(wait, 1.0))
                self._idle = False
            if self._queue and not self._stopping:
                self._linger()
            submissions, rows = [], 0
            while self._queue and rows < _CROWDED * self._entries_max:
                submission = self._queue.popleft()
                submissions.append(submission)
                rows += len(submission.rows) or 1
            calls, self._calls = list(self._calls), deque()
            return submissions, calls, self._stopping

    def _linger(self) -> None:
        """Let a group grow: until it is full, old enough, or nothing more comes."""
        end = time.monotonic() + self._seconds_max
        while self._waiting_rows < self._entries_max and time.monotonic() < end:
            before = self._waiting_rows
            self._changed.wait(_QUIET_SECONDS)
            if self._waiting_rows == before:
                return

    def _sign_is_due(self, stopping: bool) -> bool:
        size = self.store.size
        return self.signer.due(size, time.monotonic()) or (
            stopping and self.signer.may_sign and size > self.signer.signed_size
        )

    def _commit(self, submissions: list[Submission], stopping: bool) -> None:
        group = self._group(submissions)
        size = self.store.size + len(group.rows)
        sign = bool(size) and (self.signer.due(size, time.monotonic()) or (stopping and self.signer.may_sign))
        sign = sign and size > self.signer.signed_size
        written = self._write(group, submissions, sign, stopping)
        if written is None:
            return
        root = written[0]
        self._release(submissions)
        self.groups += 1
        self.entries += len(group.rows)
        if root is not None:
            if self.store.size - self.signer.signed_size > _BACKLOG_STEP:
                self._sign_backlog(stopping)
            self._sign(self.store.size, root)
        elif group.notes:
            self.on_checkpoint()  # of the group before, written beside this one

    def _group(self, submissions: Iterable[Submission]) -> Group:
        group = Group(notes=self._notes)
        self._notes = []
        seen: set[tuple[bytes, str]] = set()
        for submission in submissions:
            boundary = submission.boundary
            if boundary is not None:
                if boundary in seen or self.store.has_boundary(*boundary):
                    continue
                seen.add(boundary)
                group.boundaries.append((*boundary, len(group.rows)))
            group.rows.extend(submission.rows)
            if submission.delivered:
                group.delivered.extend(submission.delivered)
            if submission.session is not None:
                group.sessions.append(submission.session)
        group.states = self._states(submissions)
        return group

    def _states(self, submissions: Iterable[Submission]) -> dict[str, bytes]:
        """What is to be remembered, without what speaks of a log that is open no more."""
        states: dict[str, bytes] = {}
        for submission in submissions:
            if submission.states and submission.origin in (None, self.store.origin):
                states.update(submission.states)
        return states

    def _write(
        self, group: Group, submissions: Iterable[Submission], sign: bool, stopping: bool
    ) -> tuple[bytes | None] | None:
        """Write one group, waiting for room on the disk as long as it takes; None only when told to stop before."""
        while True:
            try:
                root = self.store.append(group, root_at_end=sign)
            except StoreBrokenError as error:
                if self.on_broken is None:
                    raise
                _log.error("%s", error)
                group.notes, sign = [], False
                self.store = self.on_broken(error)
                group.states = self._states(submissions)
                continue
            except StoreError as error:
                self._wait_for_disk(error)
                if self._stopping:
                    return None
                continue
            self.disk_full = False
            return (root,)

    def _wait_for_disk(self, error: StoreError) -> None:
        if not self.disk_full:
            _log.error("%s", error)
            self.on_wait(str(error))
        self.disk_full = isinstance(error, StoreFullError) or self.disk_full
        self.heartbeat = time.monotonic()
        time.sleep(_RETRY_SECONDS)

    def _release(self, submissions: list[Submission]) -> None:
        """After the commit: give back the room, and tell everyone who waits."""
        rows = sum(len(submission.rows) or 1 for submission in submissions)
        with self._lock:
            self._waiting_rows -= rows
            reopened = self._was_full and self._waiting_rows < _PENDING_ENTRIES_MAX // 2
            if reopened:
                self._was_full = False
                self._room.set()
        sinks: dict[Sink, list[Any]] = {}
        for submission in submissions:
            if submission.sink is not None:
                sinks.setdefault(submission.sink, []).append(submission.token)
        for sink, tokens in sinks.items():
            sink.committed(tokens)
        if reopened:
            self.on_room()

    def _sign(self, size: int, root: bytes) -> None:
        note = self.signer.sign(self.store.origin, size, root, root)
        self._notes.append((note, size))
        if not self._queue:
            self._flush_notes()

    def _flush_notes(self) -> None:
        """Put signed notes beside their roots; they are on disk by then, so losing a note loses nothing."""
        if self._notes:
            notes, self._notes = self._notes, []
            try:
                self.store.append(Group(notes=notes))
            except StoreError as error:
                self._notes = notes
                self._wait_for_disk(error)
                if self._stopping:
                    self._notes = []
                return
        self.on_checkpoint()

    def _sign_backlog(self, stopping: bool) -> None:
        """Checkpoints inside a long unsigned stretch, so that no batch must hold more than the cloud takes."""
        reader = LogReader(self.store.path)
        try:
            frontier = reader.frontier_at(self.signer.signed_size)
            while self.store.size - frontier.size > _BACKLOG_STEP and not (stopping and self._stopping is False):
                frontier.extend(reader.leaves(frontier.size, frontier.size + _BACKLOG_STEP))
                size, root = frontier.size, frontier.root()
                self.store.write_root(size, root)
                note = self.signer.sign(self.store.origin, size, root, self.store.written_root(size))
                self.store.append(Group(notes=[(note, size)]))
                self.heartbeat = time.monotonic()
        finally:
            reader.close()
        self.on_checkpoint()


def _answer(change: Callable[[], Any], future: "Future[Any]") -> None:
    try:
        future.set_result(change())
    except Exception as error:  # noqa: BLE001 - whoever asked gets it, whatever it is
        future.set_exception(error)
