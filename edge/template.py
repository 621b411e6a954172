"""Entry bytes in the hot path: what stays the same over one device's one quantity is laid out once.

The bytes are those of `contracts.entry.Series.encode`, which a test compares; only the time of the message, the value,
the detail digest and the salt are filled in.
"""

import struct

from contracts.entry import OBSERVED_AT_END_MS, Kind, Series
from edge.errors import EdgeError

_TIME = struct.Struct(">24xQ")
_ENTRY = struct.Struct(">64s32s32s24sq32s16s16x")
_POSITIVE, _NEGATIVE = bytes(24), b"\xff" * 24
_VALUE_MIN = -(2**63)


class EntryTemplate:
    """One series; its constructor makes the checks that need making only once."""

    __slots__ = ("head", "is_access", "quantity")

    def __init__(self, series: Series) -> None:
        self.head = int(series.kind).to_bytes(32) + series.device
        self.quantity = series.quantity.encode().ljust(32, b"\0")
        self.is_access = series.kind is Kind.ACCESS

    def encode(self, time_word: bytes, value: int, digest: bytes, salt: bytes) -> bytes:
        """224 bytes. `time_word` is `encode_time`'s, `salt` 16 random bytes.

        Raises:
            EdgeError: a value outside 63 bits and a sign, or an access entry whose value is not 1.
        """
        if (self.is_access and value != 1) or value == _VALUE_MIN:
            raise EdgeError(f"value {value} cannot stand in an entry of {self.quantity.rstrip(bytes(1)).decode()}")
        try:
            return _ENTRY.pack(
                self.head, time_word, self.quantity, _POSITIVE if value >= 0 else _NEGATIVE, value, digest, salt
            )
        except struct.error as error:
            raise EdgeError(f"value {value} does not fit 63 bits and a sign; choose a larger base unit") from error


def encode_time(observed_at_ms: int) -> bytes:
    """The word of an observation time. Raises `EdgeError` outside 0 to 2^53 - 1 ms."""
    if not 0 <= observed_at_ms < OBSERVED_AT_END_MS:
        raise EdgeError(f"observed_at {observed_at_ms} ms is out of range; check the gateway's clock")
    return _TIME.pack(observed_at_ms)
