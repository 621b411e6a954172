"""The rotating code: what a display node in the building shows, and its gateway alone can tell from a guess.

Time is cut into slots of 30 seconds by the display's clock, which its gateway sets. A slot's token is the first 8 bytes
of HMAC-SHA256 under the secret that display and gateway share. A code counts for 60 seconds from the begin of its slot:
so a phone that read it just before it changed is still in time. It stands behind the # of the display's link, which
browsers never send to a server: a passenger who scans it opens the lift's public page and gives nothing away.
"""

import hmac
from dataclasses import dataclass

from contracts.errors import ContractsError
from contracts.label import LabelError, decode_base32, encode_base32, label_link

SECRET_BYTES = 32
TOKEN_BYTES = 8
SLOT_S = 30
VALID_S = 60
TAG = b"minglou/rotating/1".ljust(32, b"\0")

_SLOT_LENGTH = 7  # characters of 5 bits: until the year 34,000
_TOKEN_LENGTH = 13
SLOT_END = 32**_SLOT_LENGTH


class RotatingCodeError(ContractsError):
    """A text is not what a display shows."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What a display shows for 30 seconds."""

    slot: int  # Unix seconds // 30
    token: bytes  # 8 bytes

    def __post_init__(self) -> None:
        if not 0 < self.slot < SLOT_END or len(self.token) != TOKEN_BYTES:
            raise RotatingCodeError(f"display: slot {self.slot} or a token of {len(self.token)} bytes is none of ours")

    @property
    def starts_at_s(self) -> int:
        """Unix seconds, by the display's clock."""
        return self.slot * SLOT_S

    def is_current(self, at_s: int, *, off_s: int = 0) -> bool:
        """Whether the code counts at this Unix time, by a clock that may differ from the display's by `off_s`."""
        return self.starts_at_s - off_s <= at_s < self.starts_at_s + VALID_S + off_s


def slot_at(at_s: int) -> int:
    """The slot of a Unix time."""
    return at_s // SLOT_S


def token(secret: bytes, device: bytes, slot: int) -> bytes:
    """A slot's token, 8 bytes.

    Args:
        secret: 32 bytes, made on the display.
        device: SHA-256 of the URN of the device whose visits the display proves (the lift, not the display).
        slot: Unix seconds // 30.
    """
    if len(secret) != SECRET_BYTES or len(device) != 32:
        raise RotatingCodeError(f"display: a secret has {SECRET_BYTES} bytes and a device's hash 32")
    return hmac.digest(secret, TAG + device + slot.to_bytes(8), "sha256")[:TOKEN_BYTES]


def is_token(secret: bytes, device: bytes, moment: Moment) -> bool:
    """Whether the display with this secret showed this; takes the same time for every wrong token."""
    return hmac.compare_digest(token(secret, device, moment.slot), moment.token)


def format_moment(moment: Moment) -> str:
    """`SSSSSSS-TTTTTTTTTTTTT`: slot and token in Crockford's Base32, 21 characters."""
    slot = encode_base32(moment.slot, _SLOT_LENGTH)
    return f"{slot}-{encode_base32(int.from_bytes(moment.token), _TOKEN_LENGTH)}"


def parse_moment(text: str) -> Moment:
    """What stands behind the # of a display's link.

    Raises:
        RotatingCodeError: another shape or spelling, or a token of over 64 bits.
    """
    slot, hyphen, code = text.partition("-")
    if len(slot) != _SLOT_LENGTH or not hyphen or len(code) != _TOKEN_LENGTH:
        raise RotatingCodeError(f"display: {text[:40]!r} is not what a display shows; scan it again")
    return Moment(_number(slot, SLOT_END), token_of(code))


def token_text(token: bytes) -> str:
    """A token as files hold it: 13 characters."""
    return encode_base32(int.from_bytes(token), _TOKEN_LENGTH)


def token_of(text: str) -> bytes:
    """The token of its 13 characters. Raises `RotatingCodeError`."""
    if len(text) != _TOKEN_LENGTH:
        raise RotatingCodeError(f"display: {text[:40]!r} is no token; it has {_TOKEN_LENGTH} characters")
    return _number(text, 2 ** (8 * TOKEN_BYTES)).to_bytes(TOKEN_BYTES)


def display_link(base: str, code: str, moment: Moment) -> str:
    """The text of a display's QR code: its own label's link, and the moment behind the #.

    At a host of 15 characters 60 bytes: version 4 at level M.
    """
    return f"{label_link(base, code)}#{format_moment(moment)}"


def _number(text: str, end: int) -> int:
    try:
        number = decode_base32(text)
    except LabelError as error:
        raise RotatingCodeError(f"display: {text!r} holds a character that displays never show") from error
    if number >= end:
        raise RotatingCodeError(f"display: {text!r} is beyond its {end.bit_length() - 1} bits")
    return number
