"""Segments: append-only files that hold one log's entries with their details and the checkpoints that cover them.

A segment is two header lines and then frames. A frame is everything from one checkpoint of the log to the next: the
peaks of the tree before it, the entries, their details, the signed note. So a frame is verified alone, by anybody: its
leaves on top of its peaks must give the signed root. A digest in front of each frame tells a torn end from a whole one.

An erased entry leaves its leaf hash: everything else stays verifiable.
"""

import hashlib
import re
import struct
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from contracts.batch import BATCH_BYTES_MAX, BATCH_ENTRIES_MAX
from contracts.checkpoint import Checkpoint, SignedCheckpoint, is_log_origin, open_checkpoint, parse_checkpoint
from contracts.detail import DETAIL_BYTES_MAX
from contracts.entry import ENTRY_BYTES, NO_DETAIL, EntryRow, Kind, decode_rows
from contracts.errors import CheckpointError, EntryError, KeyFormatError, SegmentError, SignatureError, TreeError
from contracts.note import NOTE_BYTES_MAX
from contracts.tree import HASH_BYTES, SIZE_END, Frontier, Node, leaf_hashes

FRAME_BYTES_MAX = BATCH_BYTES_MAX + 131_072
PREFIX_BYTES = 36
MEDIA_TYPE = "application/vnd.minglou.frames"

_PREFIX = struct.Struct(">I32s")
_LENGTH = struct.Struct(">H")
_DETAIL_ERASED = 0xFFFF
_ERASED_KIND, _ERASED_REST = b"\xff" * 32, bytes(ENTRY_BYTES - 64)
_DECIMAL = rb"(0|[1-9][0-9]{0,15})\n"
_FRAME_HEADER = re.compile(_DECIMAL * 4 + rb"([0-9a-f]{128})\n((?:[0-9a-f]{64})*)\n" + _DECIMAL * 2)
_FILE_HEADER = re.compile(rb"minglou-segment/1\n([!-~]{1,64})\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One log's entries from one checkpoint to the next. The signature is not verified yet."""

    start: int  # index of the first entry
    peaks: tuple[bytes, ...]  # of the tree of `start` leaves, largest first
    note: str  # the checkpoint of size `start` + number of entries, as received
    public: bytes  # x || y that signed it, as the writer says
    super_index: int  # the checkpoint's place in the super-log, as the writer says
    received_at_ms: int  # when the writer's cloud received it
    slots: bytes  # 224 bytes for each entry, whole or erased
    details: tuple[bytes | None, ...]  # empty where an entry has none, None where it was erased

    @property
    def count(self) -> int:
        return len(self.details)

    @property
    def end(self) -> int:
        """The log's size with this frame: that of its checkpoint."""
        return self.start + len(self.details)

    def rows(self) -> list[EntryRow | None]:
        """The entries' fields; None for erased ones. Raises `SegmentError` for one that is not canonical."""
        erased = self.erased()
        try:
            if not erased:
                return list(decode_rows(self.slots))
            return [None if at in erased else decode_rows(self.slot(at))[0] for at in range(self.count)]
        except EntryError as error:
            raise SegmentError(f"frame from index {self.start}: {error}") from error

    def slot(self, position: int) -> bytes:
        """The 224 bytes of the entry at `start + position`."""
        return self.slots[position * ENTRY_BYTES : (position + 1) * ENTRY_BYTES]

    def erased(self) -> set[int]:
        """Positions whose entry was erased."""
        if _ERASED_KIND not in self.slots:
            return set()
        return {at for at in range(self.count) if self.slot(at).startswith(_ERASED_KIND)}

    def lacking(self) -> set[int]:
        """Positions whose entry or detail was erased."""
        return self.erased() | {at for at, detail in enumerate(self.details) if detail is None}

    def leaf_hashes(self) -> list[bytes]:
        """Every entry's leaf hash, that of erased ones as it was kept."""
        leaves = leaf_hashes(self.slots, ENTRY_BYTES)
        for at in self.erased():
            leaves[at] = self.slot(at)[32:64]
        return leaves


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedFrame:
    """A frame whose leaves give the root that the gateway signed."""

    frame: Frame
    signed: SignedCheckpoint
    rows: Sequence[EntryRow | None]  # None for erased entries
    leaves: Sequence[bytes]
    frontier: Frontier  # of the log's first `frame.end` entries

    @property
    def checkpoint(self) -> Checkpoint:
        return self.signed.checkpoint


def segment_header(origin: str) -> bytes:
    """The first two lines of each segment of this log. Raises `SegmentError` for a name that is no log's."""
    if not is_log_origin(origin):
        raise SegmentError(f"{origin!r} is no log's name HOST/SITE/GATEWAY/eN")
    return f"minglou-segment/1\n{origin}\n".encode()


def parse_segment_header(encoded: bytes) -> tuple[str, int]:
    """Origin, and where the first frame begins. Raises `SegmentError` unless `encoded` begins with a header."""
    found = _FILE_HEADER.match(encoded)
    if found is None or not is_log_origin(found[1].decode()):
        raise SegmentError("file does not begin with the two lines of minglou-segment/1")
    return found[1].decode(), found.end()


def encode_slots(rows: Sequence[bytes]) -> bytes:
    """Entries of 224 bytes, one after another."""
    return b"".join(rows)


def erased_slot(leaf: bytes) -> bytes:
    """The 224 bytes that stand for an erased entry: no entry begins with 32 bytes of 0xff."""
    return _ERASED_KIND + leaf + _ERASED_REST


def encode_frame(frame: Frame) -> bytes:
    """Length and digest, then the frame's body.

    Raises:
        SegmentError: not one detail for each entry, or too large.
    """
    if not 0 < frame.count <= BATCH_ENTRIES_MAX or len(frame.slots) != frame.count * ENTRY_BYTES:
        raise SegmentError(f"a frame has 1 to {BATCH_ENTRIES_MAX} entries with one detail, maybe empty, for each")
    details = b"".join(_packed(detail) for detail in frame.details)
    note = frame.note.encode()
    header = (
        f"{frame.start}\n{frame.count}\n{frame.super_index}\n{frame.received_at_ms}\n{frame.public.hex()}\n"
        f"{b''.join(frame.peaks).hex()}\n{len(note)}\n{len(details)}\n"
    )
    body = b"".join((header.encode(), note, frame.slots, details))
    if len(body) > FRAME_BYTES_MAX:
        raise SegmentError(f"frame of {len(body)} bytes passes the limit of {FRAME_BYTES_MAX}")
    return _PREFIX.pack(len(body), hashlib.sha256(body).digest()) + body


def whole_frame_end(encoded: bytes | memoryview, at: int) -> int | None:
    """Where the frame that begins at `at` ends; None where it is cut off or damaged, as a torn write leaves it."""
    if at + PREFIX_BYTES > len(encoded):
        return None
    length, digest = _PREFIX.unpack_from(encoded, at)
    end = at + PREFIX_BYTES + length
    if not 0 < length <= FRAME_BYTES_MAX or end > len(encoded):
        return None
    return end if hashlib.sha256(encoded[at + PREFIX_BYTES : end]).digest() == digest else None


def split_frames(encoded: bytes) -> Iterator[bytes]:
    """The frames that follow each other. Raises `SegmentError` at the first that is not whole."""
    at = 0
    while at < len(encoded):
        end = whole_frame_end(encoded, at)
        if end is None:
            raise SegmentError(f"the frame at byte {at} is cut off or damaged; fetch it again")
        yield encoded[at:end]
        at = end


def decode_frame(encoded: bytes) -> Frame:
    """The frame that these bytes are, prefix included. Entries are looked at by `rows` and `verify_frame`.

    Raises:
        SegmentError: naming what is wrong.
    """
    if whole_frame_end(encoded, 0) != len(encoded):
        raise SegmentError("frame is cut off, damaged or longer than it says")
    header = _FRAME_HEADER.match(encoded, PREFIX_BYTES)
    if header is None:
        raise SegmentError("frame does not begin with its eight lines")
    start, count, super_index, received_at_ms = (int(one) for one in header.groups()[:4])
    note_bytes, details_bytes = int(header[7]), int(header[8])
    slots_at = header.end() + note_bytes
    details_at = slots_at + count * ENTRY_BYTES
    if not 0 < count <= BATCH_ENTRIES_MAX or start + count >= SIZE_END or note_bytes > NOTE_BYTES_MAX:
        raise SegmentError(f"frame of {count} entries from {start} with a note of {note_bytes} bytes is none")
    if details_at + details_bytes != len(encoded):
        raise SegmentError(f"frame has {len(encoded)} bytes, its header adds up to {details_at + details_bytes}")
    peaks = bytes.fromhex(header[6].decode())
    try:
        note = encoded[header.end() : slots_at].decode()
    except UnicodeDecodeError as error:
        raise SegmentError("frame's note is not UTF-8") from error
    return Frame(
        start=start,
        peaks=tuple(peaks[at : at + HASH_BYTES] for at in range(0, len(peaks), HASH_BYTES)),
        note=note,
        public=bytes.fromhex(header[5].decode()),
        super_index=super_index,
        received_at_ms=received_at_ms,
        slots=encoded[slots_at:details_at],
        details=_unpacked(memoryview(encoded)[details_at:], count),
    )


def frame_checkpoint(frame: Frame) -> Checkpoint:
    """What a frame's note says, *not* verified. Raises `SegmentError` unless its size is the frame's end."""
    try:
        checkpoint = parse_checkpoint(frame.note)
    except CheckpointError as error:
        raise SegmentError(f"frame from index {frame.start}: {error}") from error
    if checkpoint.size != frame.end:
        raise SegmentError(f"frame ends at {frame.end}, its checkpoint at {checkpoint.size}")
    return checkpoint


def verify_frame(frame: Frame, public: bytes, on_node: "list[Node] | None" = None) -> VerifiedFrame:
    """Check a frame alone: canonical entries, details with their digests, and a root that `public` signed.

    Args:
        public: x || y of the key that should have signed, from the Registry or a list of the verifier's own.
        on_node: takes the interior subtrees that the frame completes.

    Raises:
        SegmentError: naming the first thing that does not hold.
    """
    checkpoint = frame_checkpoint(frame)
    rows = frame.rows()
    for position, (row, detail) in enumerate(zip(rows, frame.details, strict=True)):
        _check_detail(frame.start + position, row, detail)
    leaves = frame.leaf_hashes()
    try:
        frontier = Frontier(frame.start, frame.peaks)
        frontier.extend(leaves, on_node=None if on_node is None else on_node.append)
        if frontier.root() != checkpoint.root:
            raise SegmentError(f"{checkpoint.origin}: entries {frame.start} to {frame.end} do not give the signed root")
        signed = open_checkpoint(frame.note, public)
    except (CheckpointError, KeyFormatError, SignatureError, TreeError) as error:
        raise SegmentError(f"{checkpoint.origin}: frame from {frame.start}: {error}") from error
    return VerifiedFrame(frame=frame, signed=signed, rows=rows, leaves=leaves, frontier=frontier)


def erase_entries(frame: Frame, positions: Collection[int]) -> Frame:
    """The frame with the entries at these positions, and their details, erased down to their leaf hashes."""
    leaves = frame.leaf_hashes()
    slots = [erased_slot(leaves[at]) if at in positions else frame.slot(at) for at in range(frame.count)]
    details = tuple(None if at in positions else detail for at, detail in enumerate(frame.details))
    return replace(frame, slots=encode_slots(slots), details=details)


def _packed(detail: bytes | None) -> bytes:
    return _LENGTH.pack(_DETAIL_ERASED) if detail is None else _LENGTH.pack(len(detail)) + detail


def _unpacked(packed: memoryview, count: int) -> tuple[bytes | None, ...]:
    details: list[bytes | None] = []
    at = 0
    for position in range(count):
        if at + 2 > len(packed):
            raise SegmentError(f"frame: the details end before that of entry {position}")
        (length,) = _LENGTH.unpack_from(packed, at)
        at += 2
        if length == _DETAIL_ERASED:
            details.append(None)
            continue
        detail = bytes(packed[at : at + length])
        if length > DETAIL_BYTES_MAX or len(detail) != length:
            raise SegmentError(f"frame: detail of entry {position} is cut off or over {DETAIL_BYTES_MAX} bytes")
        details.append(detail)
        at += length
    if at != len(packed):
        raise SegmentError(f"frame: {len(packed) - at} bytes follow the last detail")
    return tuple(details)


def _check_detail(index: int, row: EntryRow | None, detail: bytes | None) -> None:
    if row is None and not detail:
        return
    if row is None:
        raise SegmentError(f"entry {index} is erased, its detail is not")
    kind, digest = row[0], row[5]
    if kind in (Kind.VISIT, Kind.BEACON):
        if detail:
            raise SegmentError(f"entry {index} carries a raw digest and takes no detail")
    elif detail is not None and (hashlib.sha256(detail).digest() if detail else NO_DETAIL) != digest:
        raise SegmentError(f"detail of entry {index} does not have the entry's digest")
