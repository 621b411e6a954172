"""The rows that continuations become. Entries go to PostgreSQL through binary COPY, to SQLite a batch a statement.

COPY's bytes are laid out by hand because an entry is fixed-width but for its quantity and detail: one array of rows is
made for a whole batch, what fills quantities up is taken out of it at once, and only a detail costs Python a cut.
"""

from collections.abc import Iterator, Sequence
from itertools import chain, pairwise
from typing import Any

import numpy as np
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.ingest.sealing import StoredPart
from cloud.ingest.sqlite_rows import insert_entries
from cloud.store import insert_rows, tables
from cloud.store.bulk import copy_binary
from cloud.store.readings import CLEAR
from contracts.quantities import parse_boundary_quantity

__all__ = ["write_content"]

Row = tuple[Any, ...]

# What COPY's binary format writes: each field behind its length in 4 bytes. Source: PostgreSQL, COPY, Binary Format.
_BEFORE_QUANTITY = [
    ("columns", ">i2"), ("n_log", ">i4"), ("log_id", ">i8"), ("n_index", ">i4"), ("index", ">i8"), ("n_kind", ">i4"),
    ("kind", "u1", 2), ("n_device", ">i4"), ("device", "u1", 32), ("n_at", ">i4"), ("at", "u1", 8),
    ("n_quantity", ">i4"),
]  # fmt: skip
_BEFORE_DETAIL = [
    ("n_value", ">i4"), ("value", "u1", 8), ("n_digest", ">i4"), ("digest", "u1", 32), ("n_salt", ">i4"),
    ("salt", "u1", 16), ("n_detail", ">i4"),
]  # fmt: skip
_AFTER_DETAIL = [
    ("n_leaf", ">i4"), ("leaf", "u1", 32), ("n_month", ">i4"), ("month", ">i4"), ("n_key", ">i4"), ("key", ">i4"),
]  # fmt: skip
_QUANTITY_AT, _QUANTITY_BYTES = np.dtype(_BEFORE_QUANTITY).itemsize, 32
_AFTER_BYTES = np.dtype(_AFTER_DETAIL).itemsize
_ROW = np.dtype([*_BEFORE_QUANTITY, ("quantity", "u1", _QUANTITY_BYTES), *_BEFORE_DETAIL, *_AFTER_DETAIL])
_LENGTHS = {
    "columns": 13, "n_log": 8, "n_index": 8, "n_kind": 2, "n_device": 32, "n_at": 8, "n_value": 8, "n_digest": 32,
    "n_salt": 16, "n_detail": -1, "n_leaf": 32, "n_month": 4, "n_key": 4,
}  # fmt: skip
# Where columns that are copied as they stand lie in an entry.
_COPIED = {
    "kind": slice(30, 32), "device": slice(32, 64), "at": slice(88, 96), "quantity": slice(96, 128),
    "value": slice(152, 160), "digest": slice(160, 192), "salt": slice(192, 208),
}  # fmt: skip
_TEMPLATE = np.array([tuple(_LENGTHS.get(name, 0) for name in _ROW.names or ())], _ROW).tobytes()


async def write_content(connection: AsyncConnection, stored: Sequence[StoredPart], *, month: int) -> None:
    """Insert entries, tree nodes and boundaries of all continuations.

    Args:
        month: YYYYMM of their arrival.
    """
    if connection.dialect.name == "postgresql":
        # Made one by one as they are sent: PostgreSQL works on the first while the next are still being made.
        await copy_binary(connection, tables.entries, (piece for one in stored for piece in _pieces(one, month)))
    else:
        await insert_entries(connection, stored, month=month)
    nodes = [(one.part.head.log_id, *node) for one in stored for node in one.part.nodes]
    await insert_rows(connection, tables.nodes, nodes)
    await insert_rows(connection, tables.boundaries, [row for one in stored for row in _boundary_rows(one)])


def _pieces(stored: StoredPart, month: int) -> Iterator[bytes]:
    """One batch's entries as COPY's binary rows."""
    part, details = stored.part, stored.details
    rows = np.frombuffer(bytearray(_TEMPLATE * part.added), _ROW)
    rows["log_id"], rows["month"] = part.head.log_id, month
    rows["index"] = np.arange(part.before.size, part.head.size)
    for name, place in _COPIED.items():
        rows[name] = stored.entries[:, place]
    rows["leaf"] = np.frombuffer(b"".join(part.content.leaves[part.skipped :]), np.uint8).reshape(-1, 32)
    rows["key"] = stored.sealed_by
    places = list(details)
    rows["n_detail"][places] = [len(detail) for detail in details.values()]
    octets, ends = _without_padding(rows)
    cuts = [0, *(ends[places] - _AFTER_BYTES).tolist(), len(octets)]
    before = [octets[at:end] for at, end in pairwise(cuts)]
    yield b"".join(chain.from_iterable(zip(before, [*details.values(), b""], strict=True)))


def _without_padding(rows: Any) -> tuple[bytes, Any]:
    """The rows' bytes without the zeros that fill quantities up, and where each ends."""
    is_told = rows["quantity"] != 0
    rows["n_quantity"] = lengths = np.count_nonzero(is_told, axis=1)
    told = np.ones((len(rows), _ROW.itemsize), np.bool_)
    told[:, _QUANTITY_AT : _QUANTITY_AT + _QUANTITY_BYTES] = is_told
    octets = rows.view(np.uint8).reshape(told.shape)[told].tobytes()
    return octets, np.cumsum(lengths + (_ROW.itemsize - _QUANTITY_BYTES))


def _boundary_rows(stored: StoredPart) -> Iterator[Row]:
    part, columns = stored.part, stored.part.content.columns
    for position in columns.boundaries(part.skipped):
        boundary = parse_boundary_quantity(columns.quantities[position])
        assert boundary is not None, "the quantity's grammar was checked"
        place = position - part.skipped
        entry, key = stored.entries[place].tobytes(), int(stored.sealed_by[place])
        day, value = int(boundary.day.strftime("%Y%m%d")), int.from_bytes(entry[_COPIED["value"]], signed=True)
        leaf = None if key == CLEAR else part.content.leaves[position]
        yield (
            part.head.log_id, part.content.parts.start + position, entry[_COPIED["device"]], boundary.obis, day, value,
            key, leaf,
        )  # fmt: skip
