"""The whole copy checked again, file by file, with nothing but the gateways' keys."""

from dataclasses import dataclass

from cloud.errors import ArchiveError
from cloud.mirror.keys import KeyBook
from cloud.segments import Archive, LogFiles
from contracts.errors import RpcError, SegmentError
from contracts.segment import decode_frame, verify_frame
from contracts.tree import Frontier

__all__ = ["CheckedLog", "check_log", "check_logs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedLog:
    """One log of the copy."""

    origin: str
    entries: int  # as far as all holds
    checkpoints: int
    erased: int
    broken: str  # what does not hold; "" where everything does


def check_logs(archive: Archive, keys: KeyBook) -> list[CheckedLog]:
    """Every log. Blocking: it reads and hashes everything."""
    return [check_log(archive.log(origin), keys) for origin in archive.origins()]


def check_log(files: LogFiles, keys: KeyBook) -> CheckedLog:
    """One log: each frame alone, and each upon the one before."""
    frontier, checkpoints, erased, broken = Frontier(), 0, 0, ""
    try:
        for encoded in files.frames():
            frame = decode_frame(encoded)
            if not keys.knows(files.origin, frame.public):
                raise SegmentError(
                    f"{files.origin}: frame from {frame.start} is signed by a key that is not this log's"
                )
            if (frame.start, frame.peaks) != (frontier.size, frontier.peaks):
                raise SegmentError(f"{files.origin}: frame from {frame.start} does not follow on entry {frontier.size}")
            verified = verify_frame(frame, frame.public)
            if verified.checkpoint.origin != files.origin:
                raise SegmentError(f"{files.origin}: holds a frame of {verified.checkpoint.origin}")
            frontier, checkpoints, erased = verified.frontier, checkpoints + 1, erased + len(frame.erased())
    except (SegmentError, ArchiveError, RpcError) as error:
        broken = str(error)
    return CheckedLog(origin=files.origin, entries=frontier.size, checkpoints=checkpoints, erased=erased, broken=broken)
