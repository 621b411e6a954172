"""A folder of segments: one folder for each log, whose files are named after the index of their first entry.

Frames are only ever appended. `flush` is what makes them durable; a torn end, which a power cut leaves, is cut off when
the log is next written. Nothing here is asynchronous: callers put it into a thread.
"""

import contextlib
import errno
import fcntl
import os
import re
from bisect import bisect_left
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from io import TextIOWrapper
from itertools import count, zip_longest
from pathlib import Path

from cloud.errors import ArchiveError
from contracts.checkpoint import Checkpoint, is_log_origin
from contracts.errors import ContractsError, SegmentError
from contracts.segment import (
    FRAME_BYTES_MAX,
    PREFIX_BYTES,
    Frame,
    decode_frame,
    encode_frame,
    erase_entries,
    frame_checkpoint,
    parse_segment_header,
    segment_header,
    whole_frame_end,
)
from contracts.tree import Frontier

__all__ = ["SEGMENT_BYTES", "Archive", "LogFiles"]

SEGMENT_BYTES = 16 * 1024 * 1024
_FILE = re.compile(r"([0-9]{15})\.segment")
_ERASED = "erased"  # names the file that says which of the store's erasures a log's files have followed
_HEADER_BYTES_MAX = 128


@dataclass(slots=True, kw_only=True)
class _Tail:
    """The end of what is written."""

    path: Path | None  # the newest segment
    length: int  # its whole frames end here
    frontier: Frontier
    note: str  # the last checkpoint; "" where nothing is held


class Archive:
    """All logs of one folder."""

    def __init__(self, folder: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder, self._segment_bytes = folder, segment_bytes
        self._logs: dict[str, LogFiles] = {}
        self._lock: TextIOWrapper | None = None

    def origins(self) -> list[str]:
        """The logs that have a folder here, in order."""
        if not self.folder.is_dir():
            return []
        found = [path.name.replace("_", "/") for path in self.folder.iterdir() if path.is_dir()]
        return sorted(origin for origin in found if is_log_origin(origin))

    def log(self, origin: str) -> "LogFiles":
        """One log's files, there or not yet. Raises `ArchiveError` for a name that is no log's."""
        if origin not in self._logs:
            if not is_log_origin(origin):
                raise ArchiveError(f"{origin!r} is no log's name HOST/SITE/GATEWAY/eN")
            # "_" stands in no origin, so names stay apart; and one folder's name leads nowhere else.
            folder = self.folder / origin.replace("/", "_")
            self._logs[origin] = LogFiles(folder, origin, segment_bytes=self._segment_bytes)
        return self._logs[origin]

    def forget(self) -> None:
        """Read every log's end from disk again when it is next asked for."""
        self._logs.clear()

    def lock(self) -> None:
        """Be the one who writes here, until this process ends. Raises `ArchiveError` while another one is."""
        if not self.try_lock():
            raise ArchiveError(f"segments: another process writes in {self.folder}; one is enough")

    def try_lock(self) -> bool:
        """Whether this process is the one who writes here, now; it then stays so."""
        if self._lock is not None:
            return True
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            file = (self.folder / "lock").open("a")
        except OSError as error:
            raise ArchiveError(f"segments: {self.folder}: {error}") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            return False
        self._lock = file
        return True

    def unlock(self) -> None:
        """Let another process write."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None


class LogFiles:
    """One log's segments. Writing is for one process; any number may read."""

    def __init__(self, folder: Path, origin: str, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        self.folder, self.origin, self._segment_bytes = folder, origin, segment_bytes
        self._known: _Tail | None = None  # with what was appended
        self._durable: _Tail | None = None  # as of the last flush
        self._unflushed: list[Path] = []

    @property
    def size(self) -> int:
        """Entries held."""
        return self._tail().frontier.size

    @property
    def frontier(self) -> Frontier:
        """The right edge of the tree of what is held."""
        return self._tail().frontier.copy()

    @property
    def note(self) -> str:
        """The last checkpoint; "" where nothing is held."""
        return self._tail().note

    @property
    def head(self) -> Checkpoint | None:
        """What is on the disk for good, as origin, size and root; None where nothing is."""
        self._tail()
        assert self._durable is not None, "read with the tail"
        frontier = self._durable.frontier
        return Checkpoint(origin=self.origin, size=frontier.size, root=frontier.root()) if frontier.size else None

    def append(self, encoded: bytes, frame: Frame, after: Frontier) -> None:
        """Write a frame that the caller has verified behind what is held; durable only after `flush`.

        Args:
            after: the frontier with the frame's entries.

        Raises:
            ArchiveError: the frame does not follow, or the disk takes no more: nothing is lost, the frame is not held.
        """
        tail = self._tail()
        if frame.start != tail.frontier.size or after.size != frame.end:
            text = (
                f"{self.origin}: {tail.frontier.size} entries are held, the frame holds {frame.start} to {after.size}"
            )
            raise ArchiveError(f"{text}; fetch what follows")
        with self._disk_errors():
            if not self._unflushed:
                self._set_aside_behind(tail)
            if tail.path is not None and tail.length + len(encoded) > self._segment_bytes:
                self.flush()  # so that only the newest file may hold what is not on the disk yet
            path, length = self._room_for(tail, frame.start, len(encoded))
            self._write_at(path, length, encoded)
        self._known = _Tail(path=path, length=length + len(encoded), frontier=after.copy(), note=frame.note)

    def flush(self) -> None:
        """Bring what was appended to the disk.

        Raises:
            ArchiveError: it did not get there. What was appended since the last flush counts as not held: a disk that
                refused once may later say that all is well.
        """
        try:
            with self._disk_errors():
                for path in self._unflushed:
                    _sync(path)
                if self._unflushed:
                    _sync(self.folder)
        except ArchiveError:
            self._known = self._durable
            raise
        finally:
            self._unflushed.clear()
        self._durable = self._known

    def erase(self, indices: Collection[int]) -> int:
        """Erase entries down to their leaf hashes, their details with them; how many were still there.

        Each file is replaced whole, so a crash leaves the old or the new one. Only the process that writes may erase.

        Raises:
            ArchiveError: a file is damaged, or the disk takes no second file.
        """
        self.flush()
        erased, paths, ordered = 0, self.segments(), sorted(indices)
        for path, following in zip_longest(paths, paths[1:]):
            end = _first_index(following) if following else ordered[-1] + 1 if ordered else 0
            if bisect_left(ordered, _first_index(path)) == bisect_left(ordered, end):
                continue
            frames, found = list[bytes](), 0
            for encoded in self._frames_of(path, 0, is_last=True):
                frame = decode_frame(encoded)
                here = ordered[bisect_left(ordered, frame.start) : bisect_left(ordered, frame.end)]
                positions = {at - frame.start for at in here} - frame.erased()
                frames.append(encode_frame(erase_entries(frame, positions)) if positions else encoded)
                found += len(positions)
            if found:
                self._replace(path, b"".join([segment_header(self.origin), *frames]))
                erased += found
        if ordered:
            self._drop_torn()
        self._known = None
        return erased

    def erased_up_to(self) -> str:
        """The store's last erasure that these files have followed, as `note_erased` was told it; "" where none is."""
        note = self.folder / _ERASED
        with self._disk_errors():
            return note.read_text(errors="replace").strip() if note.exists() else ""

    def note_erased(self, erasure: str) -> None:
        """Keep how far these files have followed the store's erasures. Raises `ArchiveError`."""
        if not self.folder.is_dir():
            return  # nothing is held that could be erased
        with self._disk_errors():
            fresh = self.folder / f"{_ERASED}.new"
            fresh.write_text(f"{erasure}\n")
            fresh.chmod(0o600)
            _sync(fresh)
            fresh.replace(self.folder / _ERASED)
            _sync(self.folder)

    def read_from(self, size: int, *, bytes_max: int) -> bytes:
        """Whole frames from the one that holds entry `size` on: at least one if there is one, else about `bytes_max`.

        Raises:
            ArchiveError: a file is damaged.
        """
        pieces, length = list[bytes](), 0
        for encoded in self.frames(size):
            if pieces and length + len(encoded) > bytes_max:
                break
            pieces.append(encoded)
            length += len(encoded)
        return b"".join(pieces)

    def frames(self, start: int = 0) -> Iterator[bytes]:
        """Every frame, as bytes, from the one that holds entry `start` on. A torn end is left out."""
        paths = self.segments()
        first = max((at for at, path in enumerate(paths) if _first_index(path) <= start), default=0)
        for number, path in enumerate(paths[first:], first):
            yield from self._frames_of(path, start, is_last=number == len(paths) - 1)

    def segments(self) -> list[Path]:
        """The files, oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(path for path in self.folder.iterdir() if _FILE.fullmatch(path.name))

    # ---- reading ----

    def _frames_of(self, path: Path, start: int, *, is_last: bool) -> Iterator[bytes]:
        with self._disk_errors(), path.open("rb") as file:
            at = self._check_header(path, file.read(_HEADER_BYTES_MAX))
            length = os.fstat(file.fileno()).st_size
            while at + PREFIX_BYTES <= length:
                file.seek(at)
                prefix = file.read(PREFIX_BYTES)
                end = at + PREFIX_BYTES + int.from_bytes(prefix[:4])
                if end > length or end - at > FRAME_BYTES_MAX + PREFIX_BYTES:
                    break
                # The frame's first two lines tell whether it is wanted, before megabytes are read.
                frame_end = _end_of(file.read(48))
                if frame_end is None or frame_end > start:
                    file.seek(at)
                    encoded = file.read(end - at)
                    if whole_frame_end(encoded, 0) != len(encoded):
                        break
                    yield encoded
                at = end
            if at != length and not is_last:
                raise ArchiveError(f"{path} is damaged at byte {at}; restore this file from another copy")

    def _check_header(self, path: Path, head: bytes) -> int:
        try:
            origin, at = parse_segment_header(head)
        except SegmentError as error:
            if not head or segment_header(self.origin).startswith(head):
                return len(head)  # the power went while the file began
            raise ArchiveError(f"{path}: {error}") from error
        if origin != self.origin:
            raise ArchiveError(f"{path} holds {origin}, its folder is that of {self.origin}")
        return at

    def _tail(self) -> _Tail:
        if self._known is None:
            self._known = self._durable = self._find_tail()
        return self._known

    def _find_tail(self) -> _Tail:
        """The last whole frame; it alone gives size and frontier, for it carries the peaks before it.

        Whoever wrote it may have been killed before its flush. Older files are on the disk: see `append`.
        """
        paths = self.segments()
        while paths:
            path = paths.pop()
            last, length = b"", 0
            for encoded in self._frames_of(path, 0, is_last=True):
                last, length = encoded, length + len(encoded)
            if last:
                with self._disk_errors():
                    _sync(path)
                    _sync(self.folder)
                return self._tail_of(path, len(segment_header(self.origin)) + length, last)
        return _Tail(path=None, length=0, frontier=Frontier(), note="")

    def _tail_of(self, path: Path, length: int, encoded: bytes) -> _Tail:
        try:
            frame = decode_frame(encoded)
            checkpoint = frame_checkpoint(frame)
            frontier = Frontier(frame.start, frame.peaks)
            frontier.extend(frame.leaf_hashes())
        except ContractsError as error:
            raise ArchiveError(f"{path}: the last frame is damaged: {error}") from error
        if checkpoint.origin != self.origin or checkpoint.root != frontier.root():
            raise ArchiveError(f"{path}: the last frame's entries do not give its root; restore it from another copy")
        return _Tail(path=path, length=length, frontier=frontier, note=frame.note)

    # ---- writing ----

    def _room_for(self, tail: _Tail, start: int, length: int) -> tuple[Path, int]:
        """The segment to append to and where, made if need be; whatever a power cut left behind is cut off."""
        if tail.path is not None:
            self._cut_off(tail.path, tail.length)
            if tail.length + length <= self._segment_bytes:
                return tail.path, tail.length
        header, path = segment_header(self.origin), self.folder / f"{start:015d}.segment"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_at(path, 0, header)
        _sync(self.folder.parent)
        return path, len(header)

    def _cut_off(self, path: Path, length: int) -> None:
        """Set aside what stands behind the whole frames: a torn write, but after damage what nobody else may have."""
        with path.open("r+b") as file:
            if os.fstat(file.fileno()).st_size == length:
                return
            with contextlib.suppress(OSError):
                file.seek(length)
                _torn(path, length).write_bytes(file.read())
            file.truncate(length)
        self._unflushed.append(path)

    def _set_aside_behind(self, tail: _Tail) -> None:
        """The same for whole files, newer than the one with the last whole frame: their own first frame is damaged."""
        for path in reversed(self.segments()):
            if path == tail.path:
                return
            if path.stat().st_size > len(segment_header(self.origin)):
                path.replace(_torn(path, 0))
            else:
                path.unlink()  # the power went while it began

    def _replace(self, path: Path, content: bytes) -> None:
        with self._disk_errors():
            fresh = path.with_suffix(".erasing")
            fresh.write_bytes(content)
            fresh.chmod(0o600)
            _sync(fresh)
            fresh.replace(path)
            _sync(self.folder)

    def _drop_torn(self) -> None:
        """What was once set aside may hold what was to be erased, whether the files still did or not."""
        with self._disk_errors():
            for old in self.folder.glob("*.torn"):
                old.unlink()

    def _write_at(self, path: Path, at: int, content: bytes) -> None:
        """All of `content` at the end of the file's first `at` bytes, or the file as it was."""
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            if os.fstat(descriptor).st_size != at:
                os.ftruncate(descriptor, at)
            try:
                written = 0
                while written < len(content):
                    written += os.pwrite(descriptor, content[written:], at + written)
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, at)
                raise
        finally:
            os.close(descriptor)
        if path not in self._unflushed:
            self._unflushed.append(path)

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise ArchiveError(
                    f"segments: the disk of {self.folder} is full; make room. Nothing is lost: what is not in the "
                    "segments yet is written as soon as there is room, and no gateway is told to prune it"
                ) from error
            raise ArchiveError(f"segments: {self.folder}: {error}") from error


def _torn(path: Path, at: int) -> Path:
    """A free name for what stood in this file from byte `at` on."""
    names = (path.with_suffix(f".{at}{'.' * bool(number)}{number or ''}.torn") for number in count())
    return next(name for name in names if not name.exists())


def _first_index(path: Path) -> int:
    return int(path.name[:15])


def _end_of(header: bytes) -> int | None:
    """The index behind a frame's last entry, from its first two lines; None where they are none."""
    lines = header.split(b"\n", 2)
    if len(lines) < 3 or not lines[0].isdigit() or not lines[1].isdigit():
        return None
    return int(lines[0]) + int(lines[1])


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
