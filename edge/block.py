"""The details of a block of entries in one blob: a big-endian u16 length before each, as in a batch."""

import struct
from collections.abc import Sequence

from edge.errors import StoreBrokenError

_LENGTH = struct.Struct(">H")


def pack_details(details: Sequence[bytes]) -> bytes | None:
    """None where no entry of the block has a detail."""
    if not any(details):
        return None
    return b"".join(part for detail in details for part in (_LENGTH.pack(len(detail)), detail))


def unpack_details(packed: bytes | None, count: int) -> list[bytes]:
    """Raises `StoreBrokenError` unless the blob holds exactly `count` details."""
    if packed is None:
        return [b""] * count
    details, at = [], 0
    for _ in range(count):
        end = at + 2 + int.from_bytes(packed[at : at + 2])
        details.append(packed[at + 2 : end])
        at = end
    if at != len(packed):
        raise StoreBrokenError(f"a block's details have {len(packed)} bytes, its entries need {at}")
    return details
