"""What a household says of a repair: words off the chain, in salted detail whose digest WorkOrders keeps.

A report names a device or none, where it is, and what is wrong; a reason says why finished work is not done. Nobody who
has the digest alone can guess them, and whoever has the words can show that these were meant.
"""

import unicodedata
from dataclasses import dataclass

from contracts.detail import decode_detail, detail_digest, encode_detail
from contracts.errors import DetailError
from contracts.work_order import NO_DEVICE

__all__ = ["PLACE_MAX", "SAYS_MAX", "Reason", "RepairError", "Report", "parse_reason", "parse_report"]

SAYS_MAX = 500  # characters
PLACE_MAX = 100
_REPORT_KEYS = {"at", "device", "kind", "place", "says", "salt"}
_REASON_KEYS = {"kind", "order", "says", "salt"}
_TIME_END_S = 2**40
# What no line of words holds: line breaks and controls, and what makes letters run the other way.
_UNSEEN = ("Cc", "Cs", "Co", "Zl", "Zp")
_TURNING = frozenset(map(chr, [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]))


class RepairError(DetailError):
    """Words that are no report and no reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What is broken."""

    device: bytes  # SHA-256 of its URN; `NO_DEVICE` for what has none
    place: str  # where exactly; "" where the device says it
    says: str
    at_s: int

    def __post_init__(self) -> None:
        if len(self.device) != 32 or not 0 < self.at_s < _TIME_END_S:
            raise RepairError("repair: a device has 32 bytes, and a time lies within 2^40 s of 1970")
        if not _is_line(self.says, 1, SAYS_MAX) or not _is_line(self.place, 0, PLACE_MAX):
            raise RepairError(f"repair: say what is wrong in 1 to {SAYS_MAX} letters, and where in {PLACE_MAX} at most")

    def encode(self, *, salt: bytes) -> bytes:
        """Its detail bytes."""
        device = "" if self.device == NO_DEVICE else self.device.hex()
        fields = {"kind": "report", "device": device, "place": self.place, "says": self.says, "at": self.at_s}
        return encode_detail(fields, salt=salt)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Why it is not done."""

    order: bytes
    says: str

    def __post_init__(self) -> None:
        if len(self.order) != 32 or not _is_line(self.says, 1, SAYS_MAX):
            raise RepairError(f"repair: say what is still wrong, in 1 to {SAYS_MAX} letters")


def parse_report(encoded: bytes) -> tuple[Report, bytes]:
    """A report and its digest. Raises `DetailError`: not canonical, or a field missing, unknown or out of range."""
    fields = decode_detail(encoded)
    device, at_s = fields.get("device"), fields.get("at")
    if set(fields) != _REPORT_KEYS or fields["kind"] != "report" or type(at_s) is not int:
        raise RepairError("repair: no report; load the page again and sign once more")
    report = Report(
        device=_octets(device) if device != "" else NO_DEVICE, place=fields["place"], says=fields["says"], at_s=at_s
    )
    return report, detail_digest(encoded)


def parse_reason(encoded: bytes) -> tuple[Reason, bytes]:
    """A reason and its digest. Raises `DetailError` likewise."""
    fields = decode_detail(encoded)
    if set(fields) != _REASON_KEYS or fields["kind"] != "reopen":
        raise RepairError("repair: no reason; load the page again and sign once more")
    return Reason(order=_octets(fields["order"]), says=fields["says"]), detail_digest(encoded)


def _octets(text: object) -> bytes:
    try:
        raw = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        raw = b""
    if len(raw) != 32 or raw.hex() != text:
        raise RepairError("repair: a device's or an order's name has 64 hex digits")
    return raw


def _is_line(text: object, least: int, most: int) -> bool:
    """Whether it is one line of plain words, without a space at either end."""
    if not isinstance(text, str) or not least <= len(text) <= most or text != text.strip():
        return False
    return not any(unicodedata.category(letter) in _UNSEEN or letter in _TURNING for letter in text)
