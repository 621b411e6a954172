"""One entry's row in the store, and the same entry in a segment: there and back.

An erased entry is a row of kind 0 with nothing but its place and its leaf hash.
"""

from typing import Any

from cloud.store.erasing import ERASED_KIND
from contracts.entry import NO_DETAIL, EntryRow, Kind, encode_row
from contracts.segment import erased_slot

__all__ = ["entry_row", "slot_of"]


def slot_of(row: Any) -> tuple[bytes, bytes | None]:
    """The slot and the detail of a row of `entries`; the detail is None where it was erased."""
    if row.kind == ERASED_KIND:
        return erased_slot(row.leaf_hash), None
    fields = (row.kind, row.device, row.observed_at_ms, row.quantity, row.value, row.detail_digest, row.salt)
    if row.detail is None:
        has_none = row.detail_digest == NO_DETAIL or row.kind in (Kind.VISIT, Kind.BEACON)
        return encode_row(fields), b"" if has_none else None
    return encode_row(fields), row.detail


def entry_row(log_id: int, index: int, row: EntryRow | None, detail: bytes | None, leaf: bytes) -> tuple[Any, ...]:
    """The row of `entries` that a segment's entry becomes, in the table's column order."""
    if row is None:
        return (log_id, index, ERASED_KIND, b"", 0, "", 0, b"", b"", None, leaf)
    return (log_id, index, *row, detail or None, leaf)
