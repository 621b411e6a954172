"""Entries by the month of their arrival: PostgreSQL keeps a partition for each month, SQLite one table.

An entry arrived when its checkpoint did, so a reader who knows an entry's place finds its month with one look at the
checkpoints, and PostgreSQL reads one partition. What was erased, and what is left of a month whose readings were,
stands under the month's negative number: those partitions hold a year each. There is no default partition: it would
have to be searched whenever a partition is added, so a month's partition is made before anything is stored in it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, bindparam, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.months import month_of, months_between, months_later
from cloud.store import tables
from contracts.tree import SIZE_END

__all__ = [
    "Partition", "add_partition", "drop_if_empty", "entries_at", "held_in_months", "left_of", "month_of",
    "months_at", "months_between", "months_later", "partitions",
]  # fmt: skip

_BOUNDS = re.compile(r"FOR VALUES FROM \('?(-?[0-9]+)'?\) TO \('?(-?[0-9]+)'?\)")
_ENTRIES = tables.entries.c
_CHECKPOINT = tables.checkpoints.c
_LAST = (
    select(func.min(_CHECKPOINT.size))
    .where(_CHECKPOINT.log_id == bindparam("log_id"), _CHECKPOINT.size >= bindparam("end"))
    .scalar_subquery()
)
# Made once, as pages ask it: making a statement costs more than running it.
_ARRIVALS = select(func.min(_CHECKPOINT.received_at_ms), func.max(_CHECKPOINT.received_at_ms)).where(
    _CHECKPOINT.log_id == bindparam("log_id"),
    _CHECKPOINT.size > bindparam("start"),
    _CHECKPOINT.size <= func.coalesce(_LAST, SIZE_END),
)
_PARTITIONS = text(
    "SELECT part.relname AS name, pg_get_expr(part.relpartbound, part.oid) AS bounds FROM pg_inherits "
    "JOIN pg_class part ON part.oid = pg_inherits.inhrelid WHERE pg_inherits.inhparent = to_regclass('entries') "
    "ORDER BY part.relname"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A table that holds the entries of the months `first` to `end` - 1."""

    name: str
    first: int
    end: int

    @property
    def last(self) -> int:
        """The last month."""
        return months_later(self.end, -1)

    def holds(self, month: int) -> bool:
        return self.first <= month < self.end


def left_of(month: int) -> int:
    """The number under which stands what is left of a month."""
    return -month


async def entries_at(
    connection: AsyncConnection, log_id: int | None, start: int, end: int | None = None
) -> ColumnElement[bool]:
    """The condition that picks a log's entries `start` to `end` - 1, or one, out of the partitions that hold them."""
    end = start + 1 if end is None else end
    here = and_(_ENTRIES.log_id == log_id, _ENTRIES.entry_index >= start, _ENTRIES.entry_index < end)
    if end == start + 1:
        here = and_(_ENTRIES.log_id == log_id, _ENTRIES.entry_index == start)
    held_in = await held_in_months(connection, log_id, start, end)
    return here if held_in is None else and_(here, _ENTRIES.received_month.in_(held_in))


async def held_in_months(connection: AsyncConnection, log_id: int | None, start: int, end: int) -> list[int] | None:
    """The months, and what is left of them, whose partitions may hold a log's entries `start` to `end` - 1; None on
    SQLite, which has one table.
    """
    if connection.dialect.name != "postgresql":
        return None
    months = [] if log_id is None else await months_at(connection, log_id, start, end)
    return [*months, *map(left_of, months)]


async def months_at(connection: AsyncConnection, log_id: int, start: int, end: int) -> list[int]:
    """From the first to the last arrival of the checkpoints that cover these entries, whichever way a clock went."""
    asked = {"log_id": log_id, "start": start, "end": end}
    first_ms, last_ms = (await connection.execute(_ARRIVALS, asked)).one()
    return [] if first_ms is None else months_between(month_of(first_ms), month_of(last_ms))


async def partitions(connection: AsyncConnection) -> Sequence[Partition]:
    """What PostgreSQL keeps entries in."""
    found = []
    for row in await connection.execute(_PARTITIONS):
        bounds = _BOUNDS.fullmatch(row.bounds)
        assert bounds is not None, f"{row.name} is not one of our partitions: {row.bounds}"
        found.append(Partition(name=row.name, first=int(bounds[1]), end=int(bounds[2])))
    return found


async def add_partition(connection: AsyncConnection, month: int) -> None:
    """Make the partition of a month, or of what is left of a year, where there is none.

    It is made apart and then attached, which waits for nobody who reads or writes.
    """
    if any(one.holds(month) for one in await partitions(connection)):
        return
    name, first, end = f"entries_{month}", month, month + 1
    if month < 0:
        year = -month // 100
        name, first, end = f"entries_left_of_{year}", -(year * 100 + 12), -(year * 100)
    await connection.execute(text(f"CREATE TABLE {name} (LIKE entries INCLUDING ALL)"))
    await connection.execute(text(f"ALTER TABLE entries ATTACH PARTITION {name} FOR VALUES FROM ({first}) TO ({end})"))


async def drop_if_empty(connection: AsyncConnection, partition: Partition) -> bool:
    """Drop a partition in which nothing is left; whether it was dropped. Whoever uses entries waits a moment for it."""
    await connection.execute(text(f"LOCK TABLE {partition.name} IN SHARE MODE"))  # nothing may come any more
    is_used = text(f"SELECT EXISTS (SELECT 1 FROM {partition.name})")  # noqa: S608 - our name
    if (await connection.execute(is_used)).scalar_one():
        return False
    await connection.execute(text(f"ALTER TABLE entries DETACH PARTITION {partition.name}"))
    await connection.execute(text(f"DROP TABLE {partition.name}"))
    return True
