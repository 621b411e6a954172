"""The entry: the fixed-width record that a gateway logs, and its 224 bytes.

Seven 32-byte words, the Solidity ABI encoding of a static struct, so that Python, JavaScript and Vyper hash the same
bytes. Only the one canonical encoding is accepted.
"""

import hashlib
import struct
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Any

from contracts.errors import EntryError, QuantityError
from contracts.quantities import (
    QUANTITY_BYTES_MAX,
    VISIT,
    check_dotted_name,
    check_obis,
    parse_beacon_quantity,
    parse_boundary_quantity,
)

ENTRY_BYTES = 224
SALT_BYTES = 16
NO_DETAIL = bytes(32)
OBSERVED_AT_END_MS = 2**53
VALUE_END = 2**63
CORROBORATION_LEVEL_MAX = 4

# kind, device, observed_at, quantity, sign extension and low 64 bits of value, detail, salt. `x` writes zeros and, on
# the way back, skips bytes that `_PADDING` checks, because struct does not.
_WORDS = struct.Struct(">31xB32s24xQ32s24sq32s16s16x")
_PADDING = struct.Struct(">31sx32x24s8x32x32x32x16x16s")
_NO_PADDING = (bytes(31), bytes(24), bytes(16))
_POSITIVE, _NEGATIVE = bytes(24), b"\xff" * 24

EntryRow = tuple[int, bytes, int, str, int, bytes, bytes]
"""One entry's fields in the order of its words: kind, device, observed_at_ms, quantity, value, detail digest, salt."""


class Kind(IntEnum):
    """What an entry records, which decides the grammar of its quantity and the meaning of its detail digest."""

    READING = 1
    STATUS = 2
    ACCESS = 3
    VISIT = 4
    GATEWAY = 5
    BEACON = 6

    @property
    def has_raw_detail(self) -> bool:
        """Whether the detail word is a digest made elsewhere (a visit's, a block's), not that of detail bytes."""
        return self in (Kind.VISIT, Kind.BEACON)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One fact as one gateway witnessed it."""

    kind: Kind
    device: bytes  # SHA-256 of the device's URN
    observed_at_ms: int  # since 1970 UTC, by the gateway's clock
    quantity: str  # OBIS code or dotted name, see `contracts.quantities`
    value: int  # in the quantity's base unit
    detail_digest: bytes  # SHA-256 of the detail bytes, `NO_DETAIL`, or the raw digest of a visit or a block
    salt: bytes  # 16 random bytes: the leaf tells nothing to who does not hold the entry

    def __post_init__(self) -> None:
        check_quantity(self.kind, self.quantity)
        _check_fields(self.kind, self.device, self.observed_at_ms, self.value, self.detail_digest, self.salt)

    @property
    def row(self) -> EntryRow:
        return (
            self.kind, self.device, self.observed_at_ms, self.quantity, self.value, self.detail_digest, self.salt
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Series:
    """One device's one quantity: what stays the same over its entries, checked once, for the gateway's hot path."""

    kind: Kind
    device: bytes
    quantity: str

    def __post_init__(self) -> None:
        check_quantity(self.kind, self.quantity)
        if len(self.device) != 32:
            raise EntryError(f"device id has {len(self.device)} bytes; it is the 32 of the URN's SHA-256")

    def encode(self, observed_at_ms: int, value: int, detail_digest: bytes, salt: bytes) -> bytes:
        """The 224 bytes of one entry of this series. Raises `EntryError` as `encode_entry` does."""
        _check_fields(self.kind, self.device, observed_at_ms, value, detail_digest, salt)
        return _WORDS.pack(
            self.kind, self.device, observed_at_ms, self.quantity.encode(),
            _POSITIVE if value >= 0 else _NEGATIVE, value, detail_digest, salt,
        )  # fmt: skip


def device_id(urn: str) -> bytes:
    """The 32 bytes that stand for a device in entries: SHA-256 of its URN."""
    return hashlib.sha256(urn.encode()).digest()


def encode_entry(entry: Entry) -> bytes:
    """The 224 bytes of an entry; `Entry` has already refused what they could not hold."""
    value = entry.value
    return _WORDS.pack(
        entry.kind, entry.device, entry.observed_at_ms, entry.quantity.encode(),
        _POSITIVE if value >= 0 else _NEGATIVE, value, entry.detail_digest, entry.salt,
    )  # fmt: skip


def encode_row(row: EntryRow) -> bytes:
    """The 224 bytes of an entry's fields that were checked before, as those of a stored one."""
    kind, device, observed_at_ms, quantity, value, detail_digest, salt = row
    return _WORDS.pack(
        kind, device, observed_at_ms, quantity.encode(),
        _POSITIVE if value >= 0 else _NEGATIVE, value, detail_digest, salt,
    )  # fmt: skip


def decode_entry(encoded: bytes) -> Entry:
    """The entry that 224 bytes are the canonical encoding of.

    Raises:
        EntryError: another length, a non-zero padding byte, an unknown kind, a value or time out of range, or a
            quantity that this kind may not carry.
    """
    if len(encoded) != ENTRY_BYTES:
        raise EntryError(f"an entry has {ENTRY_BYTES} bytes, not {len(encoded)}")
    kind, device, observed_at_ms, quantity, value, detail_digest, salt = _decode_row(
        _PADDING.unpack(encoded), _WORDS.unpack(encoded)
    )
    return Entry(
        kind=Kind(kind), device=device, observed_at_ms=observed_at_ms, quantity=quantity, value=value,
        detail_digest=detail_digest, salt=salt,
    )  # fmt: skip


def decode_rows(entries: bytes | memoryview) -> list[EntryRow]:
    """The fields of many entries that follow each other, each checked as `decode_entry` does, without the objects.

    Raises:
        EntryError: naming the position of the first entry that is not canonical.
    """
    if len(entries) % ENTRY_BYTES:
        raise EntryError(f"{len(entries)} bytes are no whole number of entries of {ENTRY_BYTES} bytes")
    rows: list[EntryRow] = []
    try:
        for padding, words in zip(_PADDING.iter_unpack(entries), _WORDS.iter_unpack(entries), strict=True):
            rows.append(_decode_row(padding, words))
    except EntryError as error:
        raise EntryError(f"entry {len(rows)} of the block: {error}") from error
    return rows


def _decode_row(padding: tuple[bytes, ...], words: tuple[Any, ...]) -> EntryRow:
    kind, device, observed_at_ms, quantity_bytes, extension, value, detail_digest, salt = words
    if padding != _NO_PADDING or extension != (_POSITIVE if value >= 0 else _NEGATIVE):
        raise EntryError("a padding byte is set; an entry has one encoding only")
    quantity = _decode_quantity(kind, quantity_bytes)
    _check_fields(kind, device, observed_at_ms, value, detail_digest, salt)
    return kind, device, observed_at_ms, quantity, value, detail_digest, salt


def _check_fields(kind: int, device: bytes, observed_at_ms: int, value: int, detail_digest: bytes, salt: bytes) -> None:
    if len(device) != 32 or len(detail_digest) != 32 or len(salt) != SALT_BYTES:
        raise EntryError(
            f"device, detail digest and salt have {len(device)}, {len(detail_digest)} and {len(salt)} bytes; "
            f"they are 32, 32 and {SALT_BYTES}"
        )
    if not 0 <= observed_at_ms < OBSERVED_AT_END_MS:
        raise EntryError(f"observed_at {observed_at_ms} ms is not within 0 to 2^53 - 1; check the gateway's clock")
    if not -VALUE_END < value < VALUE_END:
        raise EntryError(f"value {value} does not fit 63 bits and a sign; choose a larger base unit")
    if kind == Kind.READING or kind == Kind.STATUS:
        return  # the many; what follows is for the few
    if kind == Kind.ACCESS and value != 1:
        raise EntryError(f"an access entry's value is 1, not {value}")
    if kind == Kind.VISIT and not 0 <= value <= CORROBORATION_LEVEL_MAX:
        raise EntryError(f"a visit entry's value is its corroboration level 0 to 4, not {value}")
    if kind == Kind.BEACON and value < 0:
        raise EntryError(f"a beacon entry's value is a block number, not {value}")
    if (kind == Kind.VISIT or kind == Kind.BEACON) and detail_digest == NO_DETAIL:
        raise EntryError("a visit or beacon entry carries a digest in its detail word; it cannot be zero")


@lru_cache(maxsize=8192)
def check_quantity(kind: int, quantity: str) -> None:
    """Whether an entry of this kind may carry this quantity.

    Raises:
        EntryError: no such kind, or a quantity of no or over 32 bytes or outside lower-case printable ASCII.
        QuantityError: the name does not follow the kind's grammar.
    """
    if kind not in Kind.__members__.values():
        raise EntryError(f"kind {kind} is not one of 1 to 6; a newer format needs a newer program")
    if not 0 < len(quantity) <= QUANTITY_BYTES_MAX or not all("!" <= c <= "~" and not c.isupper() for c in quantity):
        raise EntryError(f"quantity {quantity!r} is not 1 to 32 characters of lower-case printable ASCII")
    if kind == Kind.READING:
        if parse_boundary_quantity(quantity) is None:
            check_obis(quantity)
    elif kind == Kind.BEACON:
        parse_beacon_quantity(quantity)
    elif kind == Kind.VISIT and quantity != VISIT:
        raise QuantityError(f"quantity {quantity!r}: a visit entry's is {VISIT!r}; the verdict is a status entry")
    else:
        check_dotted_name(quantity)
        if kind == Kind.ACCESS and not quantity.startswith("access."):
            raise QuantityError(f"quantity {quantity!r}: an access entry's begins with 'access.'")


@lru_cache(maxsize=8192)
def _decode_quantity(kind: int, padded: bytes) -> str:
    stripped = padded.rstrip(b"\0")
    try:
        quantity = stripped.decode("ascii")
    except UnicodeDecodeError as error:
        raise EntryError("the quantity is not ASCII") from error
    check_quantity(kind, quantity)
    return quantity
