"""Two stores beside each other: rows counted and digested table by table, the first difference named."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Column, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.rebuild.primary import read_after
from cloud.store import tables

__all__ = ["Compared", "compare_stores"]

_ROWS_AT_ONCE = 5_000
# What the running service notes for itself, and nothing rests on.
_NOT_COMPARED = {
    "logs": {"last_seen_at_ms", "quota_level", "quota_at_ms"},
    "chain_cursor": {"followed_number", "followed_hash", "final_number", "final_hash"},
    "chain_leases": {"term", "holder"},
}


class Readable(Protocol):
    """A store, or one moment of it."""

    def read(self) -> AbstractAsyncContextManager[AsyncConnection]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One table in both stores."""

    table: str
    rows_present: int
    rows_rebuilt: int
    digest_present: str
    digest_rebuilt: str
    difference: str  # the first; "" where there is none

    @property
    def is_same(self) -> bool:
        return not self.difference


async def compare_stores(present: Readable, rebuilt: Readable, *, blocks_up_to: int | None = None) -> list[Compared]:
    """Every table of the schema, in the order of its name.

    Args:
        blocks_up_to: the last block that both have followed; later ones are left out. None compares all.
    """
    found = []
    for table in sorted(tables.metadata.sorted_tables, key=lambda table: table.name):
        found.append(await _compare(present, rebuilt, table, blocks_up_to))  # noqa: PERF401 - one after the other
    return found


async def _compare(present: Readable, rebuilt: Readable, table: Table, blocks_up_to: int | None) -> Compared:
    left_out = _NOT_COMPARED.get(table.name, set())
    columns = [column for column in table.columns if column.name not in left_out]
    digests, counts, difference = (hashlib.sha256(), hashlib.sha256()), [0, 0], ""
    sides = [_chunks(store, table, columns, blocks_up_to) for store in (present, rebuilt)]
    while True:
        chunks = [await anext(side, []) for side in sides]
        for number, chunk in enumerate(chunks):
            counts[number] += len(chunk)
            if chunk:
                digests[number].update(repr(chunk).encode())
        difference = difference or _first_difference(table, columns, *chunks)
        if not any(chunks):
            break
    return Compared(
        table=table.name,
        rows_present=counts[0],
        rows_rebuilt=counts[1],
        digest_present=digests[0].hexdigest(),
        digest_rebuilt=digests[1].hexdigest(),
        difference=difference,
    )


async def _chunks(
    store: Readable, table: Table, columns: Sequence[Column[Any]], blocks_up_to: int | None
) -> AsyncIterator[list[tuple[Any, ...]]]:
    """The rows in the order of their keys, always so many at once that both sides' pieces fall together."""
    key = [columns.index(column) for column in table.primary_key.columns]
    after: Sequence[Any] | None = None
    while True:
        async with store.read() as connection:
            rows = await read_after(connection, table, columns, after, _ROWS_AT_ONCE)
        if not rows:
            return
        after = [rows[-1][at] for at in key]
        if blocks_up_to is not None and table.name in ("chain_blocks", "chain_events"):
            rows = [row for row in rows if row[0] <= blocks_up_to]
        yield rows


def _first_difference(
    table: Table, columns: Sequence[Column[Any]], left: Sequence[tuple[Any, ...]], right: Sequence[tuple[Any, ...]]
) -> str:
    if left == right:
        return ""
    key = [columns.index(column) for column in table.primary_key.columns]
    for one, other in zip(left, right, strict=False):
        if one != other:
            name = ", ".join(f"{columns[at].name} {_shown(one[at])}" for at in key)
            where = [column.name for column, a, b in zip(columns, one, other, strict=True) if a != b]
            return f"{name}: {', '.join(where)} differ"
    longer, which = (left, "not rebuilt") if len(left) > len(right) else (right, "not in the present store")
    row = longer[min(len(left), len(right))]
    return ", ".join(f"{columns[at].name} {_shown(row[at])}" for at in key) + f": {which}"


def _shown(value: object) -> str:
    return value.hex()[:16] if isinstance(value, bytes) else str(value)[:80]
