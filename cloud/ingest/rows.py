"""The rows that continuations become. Entries go to PostgreSQL through binary COPY, to SQLite a batch a statement.

COPY's bytes are laid out by hand because an entry is fixed-width but for its quantity and detail: three arrays of
fixed-width pieces are made for a whole batch and joined, so that no entry costs Python more than that join.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import numpy as np
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.ingest.judgement import Continuation
from cloud.ingest.sealing import StoredPart, seal_parts
from cloud.ingest.sqlite_rows import insert_entries
from cloud.store import insert_rows, tables
from cloud.store.bulk import copy_binary
from cloud.store.readings import CLEAR
from contracts.quantities import parse_boundary_quantity

__all__ = ["write_content"]

Row = tuple[Any, ...]

# What COPY's binary format writes: each field behind its length in 4 bytes. Source: PostgreSQL, COPY, Binary Format.
_BEFORE_QUANTITY = np.dtype([
    ("columns", ">i2"), ("n_log", ">i4"), ("log_id", ">i8"), ("n_index", ">i4"), ("index", ">i8"), ("n_kind", ">i4"),
    ("kind", ">i2"), ("n_device", ">i4"), ("device", "V32"), ("n_at", ">i4"), ("at", "V8"), ("n_quantity", ">i4"),
])  # fmt: skip
_BEFORE_DETAIL = np.dtype([
    ("n_value", ">i4"), ("value", "V8"), ("n_digest", ">i4"), ("digest", "V32"), ("n_salt", ">i4"), ("salt", "V16"),
    ("n_detail", ">i4"),
])  # fmt: skip
_AFTER_DETAIL = np.dtype([
    ("n_leaf", ">i4"), ("leaf", "V32"), ("n_month", ">i4"), ("month", ">i4"), ("n_key", ">i4"), ("key", ">i4"),
])  # fmt: skip
_COLUMNS = 13
_NULL = -1


async def write_content(connection: AsyncConnection, parts: Sequence[Continuation], *, month: int) -> None:
    """Insert entries, tree nodes and boundaries of all continuations.

    Args:
        month: YYYYMM of their arrival.
    """
    stored = await seal_parts(connection, parts)
    if connection.dialect.name == "postgresql":
        # Made one by one as they are sent: PostgreSQL works on the first while the next are still being made.
        await copy_binary(connection, tables.entries, (piece for one in stored for piece in _pieces(one, month)))
    else:
        await insert_entries(connection, stored, month=month)
    await insert_rows(connection, tables.nodes, [(part.head.log_id, *node) for part in parts for node in part.nodes])
    await insert_rows(connection, tables.boundaries, [row for one in stored for row in _boundary_rows(one)])


def _pieces(stored: StoredPart, month: int) -> Iterator[bytes]:
    """One batch's entries as COPY's binary rows."""
    part, columns, start = stored.part, stored.columns, stored.part.skipped
    entries, count = columns.array[start:], part.added
    quantities = [quantity.encode() for quantity in columns.quantities[start:]]
    details = [columns.details.get(position) for position in range(start, columns.count)]
    before = np.zeros(count, _BEFORE_QUANTITY)
    before["columns"], before["n_log"], before["log_id"] = _COLUMNS, 8, part.head.log_id
    before["n_index"], before["index"] = 8, np.arange(part.before.size, part.head.size)
    before["n_kind"], before["kind"] = 2, columns.kinds[start:]
    before["n_device"], before["device"] = 32, _bytes(entries[:, 32:64])
    before["n_at"], before["at"] = 8, _bytes(entries[:, 88:96])
    before["n_quantity"] = [len(quantity) for quantity in quantities]
    middle = np.zeros(count, _BEFORE_DETAIL)
    middle["n_value"], middle["value"] = 8, _bytes(entries[:, 152:160])
    middle["n_digest"], middle["digest"] = 32, _bytes(entries[:, 160:192])
    middle["n_salt"], middle["salt"] = 16, _bytes(entries[:, 192:208])
    middle["n_detail"] = [_NULL if detail is None else len(detail) for detail in details]
    after = np.zeros(count, _AFTER_DETAIL)
    after["n_leaf"], after["leaf"] = 32, np.frombuffer(b"".join(part.content.leaves[start:]), "V32")
    after["n_month"], after["month"] = 4, month
    after["n_key"], after["key"] = 4, stored.sealed_by[start:]
    rows = zip(_cut(before), quantities, _cut(middle), (detail or b"" for detail in details), _cut(after), strict=True)
    yield b"".join(chain.from_iterable(rows))


def _bytes(columns: Any) -> Any:
    """Adjacent byte columns as one opaque value a row."""
    width = columns.shape[1]
    return np.ascontiguousarray(columns).view(f"V{width}")[:, 0]


def _cut(array: Any) -> Iterator[bytes]:
    """The bytes of each element."""
    joined, width = array.tobytes(), array.itemsize
    return (joined[at : at + width] for at in range(0, len(joined), width))


def _boundary_rows(stored: StoredPart) -> Iterator[Row]:
    part, columns = stored.part, stored.columns
    for position in columns.boundaries(part.skipped):
        boundary = parse_boundary_quantity(columns.quantities[position])
        assert boundary is not None, "the quantity's grammar was checked"
        day, (_, device, _, value, _, _) = int(boundary.day.strftime("%Y%m%d")), columns.fields(position)
        key = int(stored.sealed_by[position])
        leaf = None if key == CLEAR else part.content.leaves[position]
        yield (
            part.head.log_id, part.content.parts.start + position, device, boundary.obis, day, value, key, leaf
        )  # fmt: skip
