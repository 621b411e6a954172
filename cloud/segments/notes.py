"""The super-log's signed notes in one append-only file: what of the super-log cannot be computed from checkpoints.

Each record is a 4-byte length and a SHA-256, as in segments, then the time of signing in a line, then the note. A later
record of a size replaces an earlier one: witnesses may have added their cosignatures. The audit log's heads in the
super-log stand in a file of their own, where their place in it follows the time of signing, and orders them.
"""

import hashlib
import os
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cloud.errors import ArchiveError
from contracts.errors import ContractsError
from contracts.superlog import parse_superlog

__all__ = ["AUDIT_HEADS", "SUPER_NOTES", "NotesFile", "StoredNote", "stored_note"]

SUPER_NOTES, AUDIT_HEADS = "super-log.notes", "audit-log.heads"
"""The files' names, beside the logs' folders."""

_PREFIX = struct.Struct(">I32s")
_RECORD_BYTES_MAX = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredNote:
    """One signed state of the super-log, or of the audit log."""

    signed_at_ms: int
    size: int
    root: bytes
    note: str
    super_index: int | None = None  # of the audit log's: its place in the super-log

    @property
    def order(self) -> int:
        """What tells the notes of one file apart."""
        return self.size if self.super_index is None else self.super_index


_NONE = StoredNote(signed_at_ms=0, size=0, root=b"", note="", super_index=-1)


class NotesFile:
    """Written by one process, read by any."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._end = 0
        self._last: StoredNote | None = None

    def last(self) -> StoredNote:
        """The newest; one of size 0, of order -1, where there is none. The file is read once."""
        if self._last is None:
            self._last, self._end = _NONE, 0
            for one, end in self._records():
                self._last, self._end = max(self._last, one, key=lambda note: note.order), end
        return self._last

    def read(self) -> list[StoredNote]:
        """The newest record of each size, or place, in order. A torn end is left out."""
        notes = {one.order: one for one, _end in self._records()}
        return [notes[order] for order in sorted(notes)]

    def append(self, notes: Sequence[StoredNote]) -> None:
        """Bring notes, in their order, to the disk. Raises `ArchiveError`."""
        self.last()
        end = self._end
        content = b"".join(_record(note) for note in notes)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                os.ftruncate(descriptor, end)  # what a power cut left behind the last whole record
                written = os.pwrite(descriptor, content, end)
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
        except OSError as error:
            raise ArchiveError(f"segments: {self.path}: {error}; make room, nothing is lost") from error
        if written != len(content):
            raise ArchiveError(f"segments: {self.path} took {written} of {len(content)} bytes; make room")
        self._last = notes[-1]
        self._end = end + written

    def _records(self) -> Iterator[tuple[StoredNote, int]]:
        content = self.path.read_bytes() if self.path.exists() else b""
        at = 0
        while at + _PREFIX.size <= len(content):
            length, digest = _PREFIX.unpack_from(content, at)
            body = content[at + _PREFIX.size : at + _PREFIX.size + length]
            at += _PREFIX.size + length
            if length > _RECORD_BYTES_MAX or len(body) != length or hashlib.sha256(body).digest() != digest:
                return
            header, _, note = body.decode().partition("\n")
            signed_at, _, place = header.partition(" ")
            try:
                one = stored_note(note, int(signed_at), int(place) if place else None)
            except ContractsError as error:
                raise ArchiveError(f"{self.path}: {error}; restore it from a backup") from error
            yield one, at


def stored_note(note: str, signed_at_ms: int, super_index: int | None = None) -> StoredNote:
    """A note with its size and root. Raises `CheckpointError`."""
    said = parse_superlog(note)
    return StoredNote(signed_at_ms=signed_at_ms, size=said.size, root=said.root, note=note, super_index=super_index)


def _record(one: StoredNote) -> bytes:
    place = "" if one.super_index is None else f" {one.super_index}"
    body = f"{one.signed_at_ms}{place}\n{one.note}".encode()
    return _PREFIX.pack(len(body), hashlib.sha256(body).digest()) + body
