"""Phone to phone without a network: a message as a loop of QR codes that one screen shows and the other's camera reads.

A message is a JSON object of one of four kinds: *join* (the second mechanic's alias, scans and phone), *ask* (the
record with the whole list and proof, for somebody to sign), *sign* (his signature) and *key* (a new key on its way to
the office). Its payload is the canonical JSON, deflated; each frame carries a part of it, in the characters of QR's
alphanumeric mode:

    M1 K IIIIIIII NN CC base45(part)

with the kind's letter, the first 4 bytes of the payload's SHA-256 in upper-case hex, and the frame's place and the
number of frames in two hex digits each. Frames come in any order and as often as they like; the hash joins them.

Source: RFC 1951 (raw deflate), RFC 9285 (Base45), ISO/IEC 18004 table 7 (version 15 at level M: 600 characters).
"""

import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from hashlib import sha256
from typing import Any

from contracts.detail import canonical_json, parse_canonical_json
from contracts.errors import ContractsError, DetailError

PART_BYTES_MAX = 380  # 570 characters and the head: version 15-M, which a phone reads off another's screen
FRAMES_MAX = 255
MESSAGE_BYTES_MAX = 40 * 1024  # of JSON: as a bundle
_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_FRAME = re.compile(r"M1([JASK])([0-9A-F]{8})([0-9A-F]{2})([0-9A-F]{2})([0-9A-Z $%*+\-./:]{1,600})")


class ExchangeError(ContractsError):
    """A text is no frame of ours, or frames do not give a message."""


class MessageKind(StrEnum):
    """What a message is for."""

    JOIN = "J"
    ASK = "A"
    SIGN = "S"
    KEY = "K"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One QR code's content."""

    kind: MessageKind
    id: bytes  # first 4 bytes of the payload's SHA-256
    index: int
    count: int
    part: bytes


def frames_of(kind: MessageKind, message: Mapping[str, Any]) -> tuple[str, ...]:
    """The texts of a message's QR codes, to be shown in a loop.

    Raises:
        ExchangeError: outside the narrow JSON profile, or too long for 255 frames.
    """
    try:
        encoded = canonical_json(message)
    except DetailError as error:
        raise ExchangeError(f"exchange: the message is {error}") from error
    if len(encoded) > MESSAGE_BYTES_MAX:
        raise ExchangeError(f"exchange: the message has {len(encoded)} bytes; {MESSAGE_BYTES_MAX} is the limit")
    compressor = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    payload = compressor.compress(encoded) + compressor.flush()
    count = -(-len(payload) // PART_BYTES_MAX)
    head = f"M1{kind}{sha256(payload).hexdigest()[:8].upper()}"
    return tuple(
        f"{head}{index:02X}{count:02X}{encode_base45(payload[index * PART_BYTES_MAX : (index + 1) * PART_BYTES_MAX])}"
        for index in range(count)
    )


def parse_frame(text: str) -> Frame:
    """One frame of what a camera read. Raises `ExchangeError` for everything else that cameras read."""
    match = _FRAME.fullmatch(text)
    if match is None:
        raise ExchangeError("exchange: this code is not one that another phone's crew page shows")
    frame = Frame(
        kind=MessageKind(match[1]), id=bytes.fromhex(match[2]), index=int(match[3], 16), count=int(match[4], 16),
        part=decode_base45(match[5]),
    )  # fmt: skip
    if not 0 <= frame.index < frame.count or len(frame.part) > PART_BYTES_MAX:
        raise ExchangeError(f"exchange: frame {frame.index} of {frame.count} cannot be")
    return frame


class Gathering:
    """Frames as they come, until they give a message. A frame of another message starts anew."""

    def __init__(self) -> None:
        self._first: Frame | None = None
        self._parts: dict[int, bytes] = {}

    def take(self, text: str) -> tuple[int, int]:
        """Take one frame: how many are there now, and how many it takes. Raises `ExchangeError`."""
        frame = parse_frame(text)
        first = self._first
        if first is None or (frame.kind, frame.id, frame.count) != (first.kind, first.id, first.count):
            self._first, self._parts = frame, {}
        self._parts[frame.index] = frame.part
        return len(self._parts), frame.count

    def done(self) -> tuple[MessageKind, dict[str, Any]] | None:
        """The message, or None as long as frames are missing.

        Raises:
            ExchangeError: the frames do not give the payload that their head names, or it is no canonical JSON object.
        """
        first = self._first
        if first is None or len(self._parts) < first.count:
            return None
        payload = b"".join(self._parts[index] for index in range(first.count))
        if sha256(payload).digest()[:4] != first.id:
            self._first = None
            raise ExchangeError("exchange: the frames do not fit together; read them again")
        return first.kind, _message_of(payload)


def encode_base45(octets: bytes) -> str:
    """RFC 9285, section 4: two bytes as three characters, a last one as two, each group's lowest digit first."""
    text = []
    for at in range(0, len(octets), 2):
        number = int.from_bytes(octets[at : at + 2])
        for _ in range(len(octets[at : at + 2]) + 1):
            text.append(_ALPHABET[number % 45])
            number //= 45
    return "".join(text)


def decode_base45(text: str) -> bytes:
    """The bytes of a Base45 text. Raises `ExchangeError` for a group that stands for no bytes."""
    octets = bytearray()
    for at in range(0, len(text), 3):
        group = text[at : at + 3]
        number = sum(_VALUES.get(character, 45**3) * 45**place for place, character in enumerate(group))
        if len(group) == 1 or number >= 256 ** (len(group) - 1):
            raise ExchangeError("exchange: a frame's text is no Base45; read it again")
        octets += number.to_bytes(len(group) - 1)
    return bytes(octets)


def _message_of(payload: bytes) -> dict[str, Any]:
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        encoded = inflater.decompress(payload, MESSAGE_BYTES_MAX)
        if not inflater.eof or inflater.unused_data:
            raise ExchangeError("exchange: the message is cut off, longer than its limit, or has something behind it")
        message = parse_canonical_json(encoded)
    except (zlib.error, DetailError) as error:
        raise ExchangeError(f"exchange: the frames hold no message: {error}") from error
    if not isinstance(message, dict):
        raise ExchangeError("exchange: the frames hold no object")
    return message
