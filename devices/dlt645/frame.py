"""DL/T 645-2007 frames: `68 A0..A5 68 C L DATA CS 16`, section 5.2.

The address is six bytes, low byte first, two BCD digits each; `AA` in a byte stands for any. Every data byte travels
with 0x33 added. CS is the sum, modulo 256, of everything from the first 68. Wake-up bytes FE may stand before a frame.
"""

import re
from dataclasses import dataclass

from devices.errors import FrameError

START = 0x68
END = 0x16
WAKE_UP = 0xFE
FRAME_BYTES_MIN = 12
DATA_BYTES_MAX = 200
WILDCARD_ADDRESS = "A" * 12
BROADCAST_ADDRESS = "9" * 12

REPLY = 0x80
"""Set in the control code of what a meter sends."""
REFUSED = 0x40
"""Set in a reply that carries an error byte instead of data."""
MORE = 0x20
"""Set in a reply that another segment follows."""

_ADDRESS = re.compile(r"A{0,12}[0-9]{0,12}")
_ADD_33 = bytes((byte + 0x33) & 0xFF for byte in range(256))
_SUBTRACT_33 = bytes((byte - 0x33) & 0xFF for byte in range(256))


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: address as 12 digits (high first), control code, data without the 0x33."""

    address: str
    control: int
    data: bytes


def check_address(address: str) -> None:
    """Raises `FrameError` unless it is 12 digits, of which whole leading pairs may be `AA` for any."""
    if len(address) != 12 or not _ADDRESS.fullmatch(address) or not address.isascii() or address.count("A") % 2:
        raise FrameError(
            f"meter address {address!r}: write the 12 digits on the meter's plate, or leading pairs AA for any meter"
        )


def encode_frame(frame: Frame) -> bytes:
    """The bytes of a frame, without wake-up bytes.

    Raises:
        FrameError: no address, a control code of more than 8 bits, or more than 200 data bytes.
    """
    check_address(frame.address)
    if not 0 <= frame.control <= 0xFF or len(frame.data) > DATA_BYTES_MAX:
        raise FrameError(f"control {frame.control} with {len(frame.data)} data bytes; at most 255 and {DATA_BYTES_MAX}")
    head = bytes((START, *reversed(bytes.fromhex(frame.address)), START, frame.control, len(frame.data)))
    body = head + frame.data.translate(_ADD_33)
    return body + bytes((sum(body) & 0xFF, END))


def decode_frame(frame: bytes) -> Frame:
    """The one frame that exactly these bytes are, without wake-up bytes.

    Raises:
        FrameError: wrong marks, length, checksum, or an address that is neither digits nor wildcards.
    """
    if len(frame) < FRAME_BYTES_MIN or frame[0] != START or frame[7] != START or frame[-1] != END:
        raise FrameError(f"{frame.hex(' ')}: not framed by 68 … 68 … 16")
    if frame[9] > DATA_BYTES_MAX or len(frame) != FRAME_BYTES_MIN + frame[9]:
        raise FrameError(f"{frame.hex(' ')}: length byte says {frame[9]}, frame carries {len(frame) - FRAME_BYTES_MIN}")
    if sum(frame[:-2]) & 0xFF != frame[-2]:
        raise FrameError(f"{frame.hex(' ')}: checksum {frame[-2]:02x}, computed {sum(frame[:-2]) & 0xFF:02x}")
    address = frame[6:0:-1].hex().upper()
    check_address(address)
    return Frame(address, frame[8], frame[10:-2].translate(_SUBTRACT_33))


class FrameScanner:
    """Finds frames in whatever a serial line delivers, and gets back into step after garbage.

    `garbage_bytes` counts all that was thrown away; wake-up bytes between frames are none.
    """

    __slots__ = ("_pending", "garbage_bytes")

    def __init__(self) -> None:
        self._pending = b""
        self.garbage_bytes = 0

    @property
    def pending_bytes(self) -> int:
        """How much of an unfinished frame is held; never more than the longest frame."""
        return len(self._pending)

    def feed(self, chunk: bytes) -> list[Frame]:
        """The frames that these bytes complete, in order."""
        return self._scan(self._pending + chunk if self._pending else chunk, is_complete=False)

    def flush(self) -> list[Frame]:
        """Call when the line has fallen silent: what waits for more is garbage, but whole frames may hide behind it."""
        return self._scan(self._pending, is_complete=True)

    def _scan(self, received: bytes, *, is_complete: bool) -> list[Frame]:
        frames: list[Frame] = []
        position = 0
        while True:
            start = received.find(START, position)
            skipped = received[position:] if start < 0 else received[position:start]
            if skipped:
                self.garbage_bytes += len(skipped) - skipped.count(WAKE_UP)
            if start < 0:
                self._pending = b""
                return frames
            length = _candidate_length(received, start)
            if length > len(received) - start and not is_complete:
                self._pending = received[start:]
                return frames
            try:
                frames.append(decode_frame(received[start : start + length]))
                position = start + length
            except FrameError:
                self.garbage_bytes += 1
                position = start + 1


def _candidate_length(received: bytes, start: int) -> int:
    """How many bytes a frame that begins at `start` has, as far as can be told; 0 where none can begin."""
    available = len(received) - start
    if available > 7 and received[start + 7] != START:
        return 0
    if available < 10:
        return FRAME_BYTES_MIN
    return FRAME_BYTES_MIN + received[start + 9] if received[start + 9] <= DATA_BYTES_MAX else 0
