"""A batch: what a gateway posts to its cloud, entries with their details up to exactly one signed checkpoint.

Header of five lines, then the checkpoint note, the entries (224 bytes each) and for each entry its detail bytes behind
a big-endian u16 length, 0 where it has none.
"""

import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from contracts.checkpoint import Checkpoint, parse_checkpoint
from contracts.detail import DETAIL_BYTES_MAX
from contracts.entry import ENTRY_BYTES, NO_DETAIL, EntryRow, Kind, decode_rows
from contracts.errors import BatchError, BatchTooLargeError, CheckpointError, EntryError
from contracts.note import NOTE_BYTES_MAX
from contracts.tree import SIZE_END, leaf_hashes

MEDIA_TYPE = "application/vnd.minglou.batch"
BATCH_ENTRIES_MAX = 4096
BATCH_BYTES_MAX = 4 * 1024 * 1024

_HEADER_BYTES_MAX = 80
_DECIMAL = r"(0|[1-9][0-9]{0,15})\n"
_HEADER = re.compile(rf"minglou-batch/1\n{_DECIMAL}{_DECIMAL}{_DECIMAL}{_DECIMAL}".encode())
_LENGTH = struct.Struct(">H")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchParts:
    """A batch cut into its parts; entries and details are not looked at yet."""

    start: int  # index of the first entry
    count: int
    note: str  # the checkpoint note, as received
    checkpoint: Checkpoint  # what the note says
    entries: bytes  # 224 bytes each
    details: bytes  # for each entry a big-endian u16 length and as many bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Contiguous entries of one log, ending at the size of their checkpoint. The signature is not verified yet."""

    start: int  # index of the first entry
    note: str  # the checkpoint note, as received
    checkpoint: Checkpoint  # what the note says
    entries: bytes  # 224 bytes each
    rows: tuple[EntryRow, ...]  # their fields
    details: tuple[bytes, ...]  # detail bytes, empty where an entry has none

    @property
    def count(self) -> int:
        return len(self.rows)

    def leaf_hashes(self) -> list[bytes]:
        """The leaf hash of each entry, to append to the log's frontier."""
        return leaf_hashes(self.entries, ENTRY_BYTES)


def encode_batch(start: int, note: str, entries: bytes | Sequence[bytes], details: Sequence[bytes]) -> bytes:
    """The body of one post.

    Args:
        start: index of the first entry.
        note: the checkpoint of size `start` + number of entries.
        entries: the encoded entries, joined or one by one.
        details: detail bytes of each entry, empty where it has none.

    Raises:
        BatchTooLargeError: over 4096 entries or 4 MiB; send it in parts, each up to a checkpoint.
        BatchError: no entry, or not as many details as entries.
    """
    joined = entries if isinstance(entries, bytes) else b"".join(entries)
    count = len(details)
    if not count or len(joined) != count * ENTRY_BYTES:
        raise BatchError(f"a batch needs one detail, maybe empty, for each entry; got {count} and {len(joined)} bytes")
    checkpoint = note.encode()
    packed = b"".join(part for detail in details for part in (_LENGTH.pack(len(detail)), detail))
    header = f"minglou-batch/1\n{start}\n{count}\n{len(checkpoint)}\n{len(packed)}\n".encode()
    encoded = b"".join((header, checkpoint, joined, packed))
    _check_limits(count, len(encoded))
    return encoded


def join_batch(parts: BatchParts) -> bytes:
    """The bytes that `split_batch` cut into these parts."""
    checkpoint = parts.note.encode()
    header = f"minglou-batch/1\n{parts.start}\n{parts.count}\n{len(checkpoint)}\n{len(parts.details)}\n".encode()
    return b"".join((header, checkpoint, parts.entries, parts.details))


def split_batch(encoded: bytes) -> BatchParts:
    """The parts of these bytes, for who reads many entries at once; `decode_batch` checks what is in them too.

    Raises:
        BatchTooLargeError: over 4096 entries or 4 MiB.
        BatchError: header, lengths or checkpoint do not fit each other.
    """
    _check_limits(0, len(encoded))
    header = _HEADER.match(encoded[:_HEADER_BYTES_MAX])
    if header is None:
        raise BatchError("batch does not begin with the five lines of minglou-batch/1")
    start, count, checkpoint_bytes, details_bytes = (int(group) for group in header.groups())
    _check_limits(count, len(encoded))
    entries_at = header.end() + checkpoint_bytes
    details_at = entries_at + count * ENTRY_BYTES
    if count < 1 or start + count >= SIZE_END or checkpoint_bytes > NOTE_BYTES_MAX:
        raise BatchError(f"batch of {count} entries from {start} with a checkpoint of {checkpoint_bytes} bytes is none")
    if details_at + details_bytes != len(encoded):
        raise BatchError(f"batch has {len(encoded)} bytes, but its header adds up to {details_at + details_bytes}")
    note, checkpoint = _decode_checkpoint(encoded[header.end() : entries_at], start + count)
    return BatchParts(
        start=start, count=count, note=note, checkpoint=checkpoint,
        entries=encoded[entries_at:details_at], details=encoded[details_at:],
    )  # fmt: skip


def decode_batch(encoded: bytes) -> Batch:
    """The batch that these bytes are, with every entry canonical and every detail matching its entry's digest.

    Raises:
        BatchTooLargeError: over 4096 entries or 4 MiB.
        BatchError: naming what is wrong; nothing of a refused batch may be taken.
    """
    parts = split_batch(encoded)
    try:
        rows = tuple(decode_rows(parts.entries))
    except EntryError as error:
        raise BatchError(f"batch from index {parts.start}: {error}") from error
    details = _decode_details(memoryview(parts.details), rows)
    return Batch(
        start=parts.start, note=parts.note, checkpoint=parts.checkpoint,
        entries=parts.entries, rows=rows, details=details,
    )  # fmt: skip


def _check_limits(count: int, length: int) -> None:
    if count > BATCH_ENTRIES_MAX or length > BATCH_BYTES_MAX:
        raise BatchTooLargeError(
            f"batch of {count} entries and {length} bytes passes the limit of {BATCH_ENTRIES_MAX} entries or "
            f"{BATCH_BYTES_MAX} bytes; send it in parts, each up to a checkpoint"
        )


def _decode_checkpoint(encoded: bytes, size: int) -> tuple[str, Checkpoint]:
    try:
        note = encoded.decode()
        checkpoint = parse_checkpoint(note)
    except (UnicodeDecodeError, CheckpointError) as error:
        raise BatchError(f"batch: {error}") from error
    if checkpoint.size != size:
        raise BatchError(f"batch ends at {size}, its checkpoint at {checkpoint.size}; end each batch at its checkpoint")
    return note, checkpoint


def _decode_details(packed: memoryview, rows: Sequence[EntryRow]) -> tuple[bytes, ...]:
    details: list[bytes] = []
    at = 0
    for position, row in enumerate(rows):
        if at + 2 > len(packed):
            raise BatchError(f"batch: the details end before that of entry {position}")
        (length,) = _LENGTH.unpack_from(packed, at)
        detail = bytes(packed[at + 2 : at + 2 + length])
        at += 2 + length
        if length > DETAIL_BYTES_MAX or len(detail) != length:
            raise BatchError(f"batch: detail of entry {position} is cut off or over {DETAIL_BYTES_MAX} bytes")
        _check_detail(position, row, detail)
        details.append(detail)
    if at != len(packed):
        raise BatchError(f"batch: {len(packed) - at} bytes follow the last detail")
    return tuple(details)


def _check_detail(position: int, row: EntryRow, detail: bytes) -> None:
    kind, digest = row[0], row[5]
    if not detail and (digest == NO_DETAIL or kind in (Kind.VISIT, Kind.BEACON)):
        return
    if kind in (Kind.VISIT, Kind.BEACON):
        raise BatchError(f"batch: entry {position} carries a raw digest and takes no detail")
    if sha256(detail).digest() != digest:
        raise BatchError(f"batch: detail of entry {position} does not have the entry's digest; send both as logged")
