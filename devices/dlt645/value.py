"""Fixed-point BCD as DL/T 645-2007 tables print it (`XXXXXX.XX`), and the times and dates of its registers."""

import re
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from devices.errors import MeterError, ProfileError

_FORMAT = re.compile(r"(X+)(?:\.(X+))?")
NOT_SUPPORTED = 0xFF
"""A register that a meter has no value for is sent as all FF."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BcdFormat:
    """`bytes_count` bytes of BCD, low byte first, times `factor` base units. The top bit is a sign if `is_signed`."""

    bytes_count: int
    factor: int
    is_signed: bool = False

    def decode(self, field: bytes) -> int | None:
        """The value in base units, or None for a register that the meter does not support.

        Raises:
            MeterError: the length is another, or a digit is above 9.
        """
        if len(field) != self.bytes_count:
            raise MeterError(
                f"register field {field.hex()} has {len(field)} bytes; the profile says {self.bytes_count}"
            )
        is_negative = self.is_signed and bool(field[-1] & 0x80)
        if is_negative and field.count(NOT_SUPPORTED) != len(field):
            field = field[:-1] + bytes((field[-1] & 0x7F,))
        digits = field[::-1].hex()
        if not digits.isdecimal():
            if field.count(NOT_SUPPORTED) == len(field):
                return None
            raise MeterError(f"register digits {digits} are not decimal; check the profile's format for this register")
        value = int(digits) * self.factor
        return -value if is_negative else value

    def encode(self, value: int) -> bytes:
        """The register that a meter shows for a value, cut to its resolution and its number of digits, as meters do."""
        digits = abs(value) // self.factor % 10 ** (2 * self.bytes_count)
        field = bytes.fromhex(f"{digits:0{2 * self.bytes_count}d}")[::-1]
        return field if value >= 0 else field[:-1] + bytes((field[-1] | 0x80,))


def parse_bcd_format(text: str, unit_factor: Fraction, *, is_signed: bool) -> BcdFormat:
    """The format that a table prints as `XXXXXX.XX`, its unit being `unit_factor` base units.

    Raises:
        ProfileError: no such text, an odd number of digits, or a last digit finer than the base unit.
    """
    match = _FORMAT.fullmatch(text)
    digits_count = len(text.replace(".", ""))
    if not match or digits_count % 2 or digits_count > 16:
        raise ProfileError(f"{text!r} is no register format; write an even number of X, such as XXXXXX.XX")
    factor = unit_factor / 10 ** len(match[2] or "")
    if factor.denominator != 1:
        raise ProfileError(
            f"{text!r}: one last digit is {factor} base units; choose a unit or quantity that keeps it whole"
        )
    return BcdFormat(bytes_count=digits_count // 2, factor=factor.numerator, is_signed=is_signed)


def decode_freeze_time(field: bytes) -> datetime:
    """The meter's local time of a freeze: YYMMDDhhmm, low byte (minutes) first, in this century.

    Raises:
        MeterError: not five bytes of BCD, or no such time.
    """
    digits = field[::-1].hex()
    if len(field) != 5 or not digits.isdecimal():
        raise MeterError(f"freeze time {digits} is not five bytes YYMMDDhhmm; the meter may never have frozen")
    year, month, day, hour, minute = (int(digits[i : i + 2]) for i in range(0, 10, 2))
    try:
        return datetime(2000 + year, month, day, hour, minute)  # noqa: DTZ001 - the meter's own local time, zone unsaid
    except ValueError as error:
        raise MeterError(f"freeze time {digits} is no YYMMDDhhmm; the meter may never have frozen") from error


def encode_freeze_time(at: datetime) -> bytes:
    """The five bytes of a freeze's local time."""
    return bytes.fromhex(f"{at:%y%m%d%H%M}")[::-1]
