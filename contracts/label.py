"""Labels: the codes that stick on devices, as people type them and as cameras read them.

A code has twelve characters of Crockford's Base32 in lower case, 60 random bits. Its link is a plain URL that any
phone's camera opens: `https://HOST/d/CODE`, at a host of 15 characters 38 bytes, which fit a QR code of version 3 at
level M (42 bytes). The chain knows a label by its digest alone, so that nobody can read codes off the chain. There is
no check character: among a site's thousand labels a typing error meets another one once in 2^50.

Source: Crockford, Base32 (alphabet, and that i and l are read as 1, o as 0); ISO/IEC 18004 table 7 (capacities).
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from types import MappingProxyType

from contracts.errors import ContractsError

ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
CODE_LENGTH = 12
CODE_BYTES = 8  # of randomness that `new_code` takes; it uses 60 bits of them
LINK_LENGTH_MAX = 200
TAG = b"minglou/label/1".ljust(32, b"\0")

_VALUES: Mapping[str, int] = MappingProxyType({character: value for value, character in enumerate(ALPHABET)})
_READ_AS = str.maketrans({"i": "1", "l": "1", "o": "0", " ": None, "-": None})
_TYPED_LENGTH_MAX = 64
_LINK = re.compile(r"(https?://[a-z0-9.-]{1,128}(?::[0-9]{1,5})?)/d/([^/?#]{1,64})(?:#(.{0,64}))?")


class LabelError(ContractsError):
    """A text is no label's code, or no link to one."""


class Place(IntEnum):
    """Where a label sticks; the numbers are those of the chain."""

    CAR = 1
    MACHINE_ROOM = 2
    DISPLAY = 3  # on the node that shows the rotating code
    HOUSING = 4  # on whatever has no room of its own: a meter, a door's controller, a gateway


PLACE_NAMES: Mapping[Place, str] = MappingProxyType(
    {
        Place.CAR: "car",
        Place.MACHINE_ROOM: "machine-room",
        Place.DISPLAY: "display",
        Place.HOUSING: "housing",
    }
)
"""How files name a place."""

PLACE_OF: Mapping[str, Place] = MappingProxyType({name: place for place, name in PLACE_NAMES.items()})


@dataclass(frozen=True, slots=True, kw_only=True)
class ScannedLink:
    """What a camera read off a label or a display."""

    base: str  # scheme, host and port: https://HOST
    code: str  # in its one spelling
    moment: str  # what stands behind #: a display's `SSSSSSS-TTTTTTTTTTTTT`, else ""


def new_code(randomness: bytes) -> str:
    """A new label's code.

    Args:
        randomness: 8 bytes of the operating system's random source; the lowest four bits are not used.
    """
    if len(randomness) != CODE_BYTES:
        raise LabelError(f"label: {len(randomness)} random bytes; a code is made of {CODE_BYTES}")
    return encode_base32(int.from_bytes(randomness) >> 4, CODE_LENGTH)


def parse_code(typed: str) -> str:
    """The code that a person typed: in any case, with spaces and hyphens, i and l for 1, o for 0.

    Raises:
        LabelError: not twelve characters of the alphabet when so read.
    """
    read = typed[:_TYPED_LENGTH_MAX].lower().translate(_READ_AS)
    if len(typed) > _TYPED_LENGTH_MAX or len(read) != CODE_LENGTH or any(letter not in _VALUES for letter in read):
        raise LabelError(
            f"label: {typed[:40]!r} is no code; it has {CODE_LENGTH} letters and digits as printed below the picture"
        )
    return read


def printed(code: str) -> str:
    """The code as it stands below the picture: `4k7m-q2xd-90bz`."""
    return "-".join(code[at : at + 4] for at in range(0, CODE_LENGTH, 4))


def label_link(base: str, code: str) -> str:
    """The text of a label's QR code.

    Args:
        base: `https://HOST`, without a slash behind it.
        code: as `new_code` or `parse_code` gave it.
    """
    return f"{base}/d/{code}"


def parse_link(text: str) -> ScannedLink:
    """What a camera read: the link of a label, or of a display with its moment.

    Raises:
        LabelError: not `http(s)://HOST/d/CODE` with an optional `#…`, or no code in it.
    """
    match = _LINK.fullmatch(text) if len(text) <= LINK_LENGTH_MAX else None
    if match is None:
        raise LabelError(f"label: {text[:60]!r} is no label's link; scan the code on the device")
    return ScannedLink(base=match[1], code=parse_code(match[2]), moment=match[3] or "")


def label_digest(code: str) -> bytes:
    """What the chain and a presence proof know a label by: SHA-256(`minglou/label/1` padded to 32 || the code)."""
    if len(code) != CODE_LENGTH or any(letter not in _VALUES for letter in code):
        raise LabelError(f"label: {code[:40]!r} is not a code in its one spelling; parse it first")
    return sha256(TAG + code.encode()).digest()


def encode_base32(number: int, length: int) -> str:
    """A number in so many characters, the highest first."""
    assert 0 <= number < 32**length
    return "".join(ALPHABET[number >> 5 * place & 31] for place in reversed(range(length)))


def decode_base32(text: str) -> int:
    """The number of a text in its one spelling. Raises `LabelError` for another character."""
    number = 0
    for character in text:
        if character not in _VALUES:
            raise LabelError(f"label: {text[:40]!r} holds {character!r}, which is none of {ALPHABET}")
        number = number << 5 | _VALUES[character]
    return number
