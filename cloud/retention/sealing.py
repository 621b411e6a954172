"""Readings that were stored before there were keys, sealed afterwards: in pieces, beside a running cloud, resumable.

A database that held readings before goes on storing clear ones until its operator has exchanged every process for one
that knows how to read sealed rows, and says so by running this.
"""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.store import Store, tables
from cloud.store.erasing import RETENTION_LOCK
from cloud.store.key_record import KEYS_LOCK
from cloud.store.months import entries_at
from cloud.store.readings import CLEAR, is_private, mask_rows, sealing_keys
from cloud.store.upsert import put
from contracts.entry import Kind

__all__ = ["seal_rows", "seal_store"]

_PLACES_AT_ONCE = 5_000
_KINDS = (int(Kind.READING), int(Kind.STATUS), int(Kind.ACCESS))
_ENTRIES, _BOUNDARIES = tables.entries.c, tables.boundaries.c
_SEAL_ENTRY = (
    update(tables.entries)
    .where(
        _ENTRIES.log_id == bindparam("of_log"),
        _ENTRIES.entry_index == bindparam("at"),
        _ENTRIES.received_month == bindparam("month"),
    )
    .values(value=bindparam("v"), salt=bindparam("s"), detail=bindparam("d"), sealed_by=bindparam("k"))
)
_SEAL_BOUNDARY = (
    update(tables.boundaries)
    .where(_BOUNDARIES.log_id == bindparam("of_log"), _BOUNDARIES.entry_index == bindparam("at"))
    .values(value=bindparam("v"), sealed_by=bindparam("k"), leaf_hash=bindparam("leaf"))
)


async def seal_store(store: Store, say: Callable[[str], None]) -> int:
    """Seal every clear row that is a household's, and from now on every new one; how many rows.

    Args:
        say: told of each log that had any.
    """
    await _begin(store)
    await store.let_writers_finish()  # who began before that still stores in clear
    logs = select(tables.logs.c.log_id, tables.logs.c.origin, tables.logs.c.size).order_by(tables.logs.c.log_id)
    async with store.read() as connection:
        rows = (await connection.execute(logs.execution_options(every_shard="all logs are sealed"))).all()
    total = 0
    for log in rows:
        sealed = 0
        for start in range(0, log.size, _PLACES_AT_ONCE):
            sealed += await _seal_piece(store, log.log_id, start, start + _PLACES_AT_ONCE)
        if sealed:
            say(f"seal: {sealed} entries of {log.origin}")
        total += sealed
    return total


async def _begin(store: Store) -> None:
    column = tables.key_store.c
    async with store.write(KEYS_LOCK) as connection:
        known = (await connection.execute(select(column.fingerprint).where(column.one == 1))).scalar_one_or_none()
        await put(connection, tables.key_store, {"one": 1, "fingerprint": known, "seals_readings": 1})


async def _seal_piece(store: Store, log_id: int, start: int, end: int) -> int:
    async with store.write(RETENTION_LOCK) as connection:
        here = await entries_at(connection, log_id, start, end)
        query = select(tables.entries).where(here, _ENTRIES.sealed_by == CLEAR, _ENTRIES.kind.in_(_KINDS))
        rows = [row for row in await connection.execute(query) if is_private(row.kind, row.quantity)]
        await seal_rows(connection, rows)
    return len(rows)


async def seal_rows(connection: AsyncConnection, rows: Sequence[Any]) -> None:
    """Put rows of `entries` whose content is clear here back sealed, and their boundaries with them."""
    keys = await sealing_keys(connection, {row.device for row in rows})
    if not rows:
        return
    used = [keys[row.device] for row in rows]
    sealed = mask_rows(
        used,
        [row.leaf_hash for row in rows],
        [row.value for row in rows],
        [row.salt for row in rows],
        [row.detail for row in rows],
    )
    changes = [
        {
            "of_log": row.log_id, "at": row.entry_index, "month": row.received_month, "v": value, "s": salt,
            "d": detail, "k": key.tag,
        }
        for row, key, (value, salt, detail) in zip(rows, used, sealed, strict=True)
    ]  # fmt: skip
    await connection.execute(_SEAL_ENTRY, changes)
    of_boundaries = [
        {"of_log": change["of_log"], "at": change["at"], "v": change["v"], "k": change["k"], "leaf": row.leaf_hash}
        for row, change in zip(rows, changes, strict=True)
        if row.kind == Kind.READING and "*" in row.quantity
    ]
    if of_boundaries:
        await connection.execute(_SEAL_BOUNDARY, of_boundaries)
