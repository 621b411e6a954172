"""What one frame from the cloud is worth beside the copy: pure, on bytes."""

from dataclasses import replace

from cloud.errors import MirrorError
from cloud.mirror.contradictions import Contradiction
from contracts.errors import SegmentError
from contracts.segment import Frame, VerifiedFrame, decode_frame, encode_frame, frame_checkpoint, verify_frame
from contracts.tree import Frontier

__all__ = ["continue_copy", "differs", "named_checkpoint"]


def named_checkpoint(encoded: bytes, origin: str) -> Frame:
    """The frame, if it says that it is of this log. Raises `MirrorError`."""
    try:
        frame = decode_frame(encoded)
        named = frame_checkpoint(frame).origin
    except SegmentError as error:
        raise MirrorError(f"{origin}: the cloud sent no frame: {error}") from error
    if named != origin:
        raise MirrorError(f"{origin}: the cloud sent a frame of {named}")
    return frame


def continue_copy(frame: Frame, held: Frontier, held_note: str) -> VerifiedFrame | Contradiction:
    """The part of a frame that the copy lacks, verified on top of the copy's own tree; or what it contradicts.

    Args:
        held: the right edge of what the copy holds; the frame begins at or before it and ends behind it.

    Raises:
        MirrorError: the frame does not hold even alone: damaged, or made up without the gateway's key.
    """
    origin = frame_checkpoint(frame).origin
    if not frame.start <= held.size < frame.end:
        raise MirrorError(f"{origin}: {held.size} entries are held, the cloud sent {frame.start} to {frame.end}")
    skipped = held.size - frame.start
    rest = replace(
        frame, start=held.size, peaks=held.peaks, slots=frame.slots[224 * skipped :], details=frame.details[skipped:]
    )
    try:
        return verify_frame(rest, frame.public)
    except SegmentError as on_ours:
        try:
            alone = verify_frame(frame, frame.public)
        except SegmentError:
            raise MirrorError(f"the cloud sent a frame that does not hold: {on_ours}") from on_ours
    says = (
        f"{origin}: the gateway's own signature at size {alone.checkpoint.size} is over another history than the "
        f"{held.size} entries held here, which it signed too"
    )
    return Contradiction(
        kind="fork", origin=origin, size=held.size, says=says, held=held_note.encode(), shown=encode_frame(frame)
    )


def differs(held: Frame, shown: Frame) -> Contradiction | None:
    """Whether the cloud now shows other entries or details where the copy holds this frame; None where it does not.

    What was erased there, or here, is no contradiction: its leaf hash is the same.
    """
    start, end = max(held.start, shown.start), min(held.end, shown.end)
    ours, theirs = held.leaf_hashes(), shown.leaf_hashes()
    for index in range(start, end):
        at, there = index - held.start, index - shown.start
        is_same = ours[at] == theirs[there]
        details = held.details[at], shown.details[there]
        if is_same and (None in details or details[0] == details[1]):
            continue
        return _difference(held, shown, index)
    return None


def _difference(held: Frame, shown: Frame, index: int) -> Contradiction:
    origin = frame_checkpoint(held).origin
    try:
        verify_frame(shown, held.public)
        kind, why = "fork", "and the gateway signed that too"
    except SegmentError:
        kind, why = "rewritten", "which no signature of the gateway covers: the cloud's files were changed"
    says = f"{origin}: entry {index} is shown otherwise than it was fetched, {why}"
    return Contradiction(
        kind=kind, origin=origin, size=index, says=says, held=encode_frame(held), shown=encode_frame(shown)
    )
