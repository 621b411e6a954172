"""A batch's entries as columns: the checks of `contracts.batch.decode_batch`, over all entries at once.

What that function reads entry by entry is read here as arrays of 64-bit words, so that a batch costs a few dozen array
operations. Anything that does not look right is handed to `contracts.entry.decode_entry`, which knows the reason; so
both accept and refuse the same bytes.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from contracts.batch import BatchParts
from contracts.detail import DETAIL_BYTES_MAX
from contracts.entry import ENTRY_BYTES, OBSERVED_AT_END_MS, EntryRow, Kind, check_quantity, decode_entry
from contracts.errors import BatchError, EntryError, QuantityError

__all__ = ["Columns", "read_columns"]

Words = npt.NDArray[np.uint64]

# An entry is 28 words of 64 bits. These are zero in every one; the others are checked by name below.
_ZERO_WORDS = (1, 2, 8, 9, 10, 26, 27)
_KIND, _OBSERVED_AT, _SIGN, _VALUE, _DIGEST = 3, 11, (16, 17, 18), 19, (20, 21, 22, 23)
_DIGEST_AT = 160
_LOWEST = np.int64(-(2**63))  # as a value it has no positive counterpart
_RAW_KINDS = (int(Kind.VISIT), int(Kind.BEACON))
_NOTHING = re.compile(rb"(?:\0\0)+")


@dataclass(frozen=True)
class Columns:
    """The entries of one batch, checked; positions count from the batch's first entry."""

    entries: bytes  # 224 bytes each
    details: dict[int, bytes]  # position to detail bytes, where there are any
    kinds: Sequence[int]
    quantities: Sequence[str]
    observed_at_ms: npt.NDArray[np.int64]

    @property
    def count(self) -> int:
        return len(self.kinds)

    @cached_property
    def array(self) -> npt.NDArray[np.uint8]:
        """The entries' bytes, one row an entry."""
        return np.frombuffer(self.entries, np.uint8).reshape(-1, ENTRY_BYTES)

    def row(self, position: int) -> EntryRow:
        """One entry's fields."""
        return decode_entry(self.entries[position * ENTRY_BYTES : (position + 1) * ENTRY_BYTES]).row

    def boundaries(self, start: int) -> Iterator[int]:
        """Positions of the boundary entries from position `start` on."""
        for position in range(start, self.count):
            if "*" in self.quantities[position] and self.kinds[position] == Kind.READING:
                yield position


def read_columns(parts: BatchParts) -> Columns:
    """The entries and details of a batch.

    Raises:
        BatchError: an entry is not canonical, or a detail is cut off or not the entry's.
    """
    # Read in the machine's own byte order, in which zero and all ones are themselves; few words need to be numbers.
    words: Words = np.frombuffer(parts.entries, np.uint64).reshape(-1, ENTRY_BYTES // 8)
    kinds = words[:, _KIND].byteswap().tolist() if sys.byteorder == "little" else words[:, _KIND].tolist()
    try:
        observed_at_ms = _check_words(parts.entries, words)
        quantities = _read_quantities(parts.entries, kinds)
    except (EntryError, QuantityError) as error:
        raise BatchError(f"batch from index {parts.start}: {error}") from error
    details = _read_details(parts.details, len(kinds))
    _check_details(parts.entries, words, kinds, details)
    return Columns(
        entries=parts.entries, details=details, kinds=kinds, quantities=quantities, observed_at_ms=observed_at_ms
    )


def _check_words(entries: bytes, words: Words) -> npt.NDArray[np.int64]:
    """Refuse what is not canonical; the times of observation."""
    set_bits = words[:, 0].copy()
    for zero in _ZERO_WORDS:
        set_bits |= words[:, zero]
    kind, observed_at_ms = words[:, _KIND].view(">u8"), words[:, _OBSERVED_AT].view(">u8").astype(np.int64)
    value = words[:, _VALUE].view(">i8").astype(np.int64)
    sign = (value >> 63).view(np.uint64)
    odd = (set_bits != 0) | (kind == 0) | (kind > Kind.STATUS) | (value == _LOWEST)
    odd |= (observed_at_ms < 0) | (observed_at_ms >= OBSERVED_AT_END_MS)
    for extension in _SIGN:
        odd |= words[:, extension] != sign
    for position in np.flatnonzero(odd).tolist():
        try:
            decode_entry(entries[position * ENTRY_BYTES : (position + 1) * ENTRY_BYTES])
        except (EntryError, QuantityError) as error:
            raise EntryError(f"entry {position} of the block: {error}") from error
    return observed_at_ms


def _read_quantities(entries: bytes, kinds: Sequence[int]) -> list[str]:
    # numpy drops the zeros on the right of byte strings, which is the padding.
    padded = np.frombuffer(entries, np.dtype({"names": ["q"], "formats": ["S32"], "offsets": [96], "itemsize": 224}))
    found: list[bytes] = padded["q"].tolist()
    named: dict[tuple[int, bytes], str] = {}
    for kind, quantity in set(zip(kinds, found, strict=True)):
        try:
            named[kind, quantity] = text = quantity.decode("ascii")
        except UnicodeDecodeError as error:
            raise EntryError("the quantity is not ASCII") from error
        check_quantity(kind, text)
    return [named[key] for key in zip(kinds, found, strict=True)]


def _read_details(packed: bytes, count: int) -> dict[int, bytes]:
    """Position to detail, by walking the lengths; runs of entries without a detail are one step."""
    details: dict[int, bytes] = {}
    position = at = 0
    while position < count:
        run = _NOTHING.match(packed, at)
        if run is not None:
            skipped = min((run.end() - at) // 2, count - position)
            position, at = position + skipped, at + 2 * skipped
            continue
        if at + 2 > len(packed):
            raise BatchError(f"batch: the details end before that of entry {position}")
        length = packed[at] << 8 | packed[at + 1]
        detail = packed[at + 2 : at + 2 + length]
        if length > DETAIL_BYTES_MAX or len(detail) != length:
            raise BatchError(f"batch: detail of entry {position} is cut off or over {DETAIL_BYTES_MAX} bytes")
        details[position] = detail
        position, at = position + 1, at + 2 + length
    if at != len(packed):
        raise BatchError(f"batch: {len(packed) - at} bytes follow the last detail")
    return details


def _check_details(entries: bytes, words: Words, kinds: Sequence[int], details: dict[int, bytes]) -> None:
    for position, detail in details.items():
        if kinds[position] in _RAW_KINDS:
            raise BatchError(f"batch: entry {position} carries a raw digest and takes no detail")
        at = position * ENTRY_BYTES + _DIGEST_AT
        if sha256(detail).digest() != entries[at : at + 32]:
            raise BatchError(f"batch: detail of entry {position} does not have the entry's digest; send both as logged")
    first, *others = _DIGEST
    digest_bits = words[:, first].copy()
    for word in others:
        digest_bits |= words[:, word]
    for position in np.flatnonzero(digest_bits).tolist():
        if position not in details and kinds[position] not in _RAW_KINDS:
            raise BatchError(f"batch: detail of entry {position} does not have the entry's digest; send both as logged")
