"""Entries into SQLite, a batch a statement: columns go in as byte strings, and SQLite cuts the rows out of them.

A list of parameters for each row costs Python a dozen objects an entry, made and bound while it holds its global lock;
here the lock is free while SQLite works, and an entry costs Python nothing but its share of a few array operations.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.ingest.sealing import StoredPart
from contracts.entry import ENTRY_BYTES

__all__ = ["insert_entries"]

_QUANTITY, _VALUE = slice(96, 128), slice(152, 160)
_DIGITS = 20  # of the longest 64-bit number, with its sign
# Zeros fill a quantity up, and no quantity has a space.
_SPACES_FOR_ZEROS = bytes(ord(" ") if octet == 0 else octet for octet in range(256))

_PARAMETERS = (
    "count", "log_id", "first", "month", "entries", "kinds", "times", "quantities", "values", "details", "starts",
    "lengths", "leaves", "keys",
)  # fmt: skip


def _statement() -> str:
    """Every piece of its text is ours; what a gateway sent comes as parameters only."""
    at = {name: f"?{number}" for number, name in enumerate(_PARAMETERS, 1)}

    def number(name: str) -> str:
        return f"CAST(substr({at[name]}, place * {_DIGITS} + 1, {_DIGITS}) AS INTEGER)"

    def octets(first: int, count: int) -> str:
        return f"substr({at['entries']}, place * {ENTRY_BYTES} + {first + 1}, {count})"

    columns = {
        "log_id": at["log_id"],
        "entry_index": f"{at['first']} + place",
        "kind": number("kinds"),
        "device": octets(32, 32),
        "observed_at_ms": number("times"),
        "quantity": f"rtrim(CAST(substr({at['quantities']}, place * 32 + 1, 32) AS TEXT))",
        "value": number("values"),
        "detail_digest": octets(160, 32),
        "salt": octets(192, 16),
        "detail": f"nullif(substr({at['details']}, {number('starts')} + 1, {number('lengths')}), x'')",
        "leaf_hash": f"substr({at['leaves']}, place * 32 + 1, 32)",
        "received_month": at["month"],
        "sealed_by": number("keys"),
    }
    more = f"place + 1 < {at['count']}"
    return (
        f"WITH RECURSIVE places (place) AS (SELECT 0 UNION ALL SELECT place + 1 FROM places WHERE {more}) "  # noqa: S608
        f"INSERT INTO entries ({', '.join(columns)}) SELECT {', '.join(columns.values())} FROM places"
    )


_INSERT = _statement()


async def insert_entries(connection: AsyncConnection, parts: Sequence[StoredPart], *, month: int) -> None:
    """Insert the entries that continuations add. Raises `IntegrityError` on a key that exists.

    Args:
        month: YYYYMM of their arrival.
    """
    if parts:
        await connection.exec_driver_sql(_INSERT, [_parameters(one, month) for one in parts])


def _parameters(stored: StoredPart, month: int) -> tuple[Any, ...]:
    part, array = stored.part, stored.entries
    columns, start = part.content.columns, part.skipped
    lengths = np.zeros(part.added, np.int64)
    lengths[list(stored.details)] = [len(detail) for detail in stored.details.values()]
    given = {
        "count": part.added,
        "log_id": part.head.log_id,
        "first": part.before.size,
        "month": month,
        "entries": array.tobytes(),
        "kinds": _decimals(columns.kinds[start:]),
        "times": _decimals(columns.observed_at_ms[start:]),
        "quantities": array[:, _QUANTITY].tobytes().translate(_SPACES_FOR_ZEROS),
        "values": _decimals(np.ascontiguousarray(array[:, _VALUE]).view(">i8")[:, 0]),
        "details": b"".join(stored.details.values()),
        "starts": _decimals(np.cumsum(lengths) - lengths),
        "lengths": _decimals(lengths),
        "leaves": b"".join(part.content.leaves[start:]),
        "keys": _decimals(stored.sealed_by),
    }
    return tuple(given[name] for name in _PARAMETERS)


def _decimals(numbers: Any) -> bytes:
    """Numbers in decimal side by side, filled up with zero bytes: at the first of them a cast to INTEGER ends."""
    return np.asarray(numbers).astype(np.int64).astype(f"S{_DIGITS}").tobytes()
