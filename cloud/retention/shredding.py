"""Destroying the keys of what was erased, so that no older copy of the database opens it any more: a backup, a dump.

What bills or disputes still rest on is sealed under a new key before the old one is destroyed. That it is to be
destroyed stands in the store before it is, so an older copy of the key store does not bring it back. Segments hold
entries in clear: the present ones follow what was erased, older backups of them go by their age.
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.store import Store, tables
from cloud.store.erasing import RETENTION_LOCK, logs_with
from cloud.store.key_record import KEYS_LOCK, DestroyedKey, note_destroyed
from cloud.store.months import entries_at
from cloud.store.readings import mask_rows, open_entries
from cloud.store.sealing import DEVICES

__all__ = ["shred_devices"]

_AT_ONCE = 500
_ENTRIES, _BOUNDARIES = tables.entries.c, tables.boundaries.c


async def shred_devices(store: Store, devices: Collection[bytes], *, says: str, now_ms: int) -> int:
    """Destroy every key that these devices' entries were sealed by until now, in whatever log; how many.

    Args:
        store: with its keys.
        says: why, for the record: no person's name.
    """
    vault: Any = store.sealer
    old = vault.generations(DEVICES, devices)
    if not old:
        return 0
    vault.renew(DEVICES, old)
    keys = [DestroyedKey(DEVICES, device, key.tag, now_ms) for device, some in old.items() for key in some]
    tags = [key.tag for key in keys]
    await store.let_writers_finish()
    while logs := await logs_with(store, old, tags):  # none is left when the keys are destroyed
        for log_id in logs:
            while await _seal_again(store, vault, log_id, sorted(old), tags):
                pass
    async with store.write(KEYS_LOCK) as connection:
        await note_destroyed(connection, keys, says)
    destroyed: int = vault.destroy(DEVICES, [(key.owner, key.tag, key.at_ms) for key in keys])
    return destroyed


async def _seal_again(store: Store, vault: Any, log_id: int, devices: Sequence[bytes], tags: Sequence[int]) -> int:
    """Seal some of what is left of a log's entries of these devices under their new keys; how many."""
    theirs = (_ENTRIES.log_id == log_id, _ENTRIES.device.in_(devices), _ENTRIES.sealed_by.in_(tags))
    async with store.write(RETENTION_LOCK) as connection:
        rows = (await connection.execute(select(tables.entries).where(*theirs).limit(_AT_ONCE))).all()
        if not rows:
            return 0
        opened = open_entries(connection, rows)
        keys = vault.present_keys({row.device for row in rows})
        used = [keys[row.device] for row in rows]
        sealed = mask_rows(
            used,
            [row.leaf_hash for row in rows],
            [row.value for row in opened],
            [row.salt for row in opened],
            [row.detail for row in opened],
        )
        for row, key, (value, salt, detail) in zip(rows, used, sealed, strict=True):
            await _put(connection, row, value=value, salt=salt, detail=detail, sealed_by=key.tag)
    return len(rows)


async def _put(connection: AsyncConnection, row: Any, **sealed: Any) -> None:
    here = await entries_at(connection, row.log_id, row.entry_index)
    await connection.execute(update(tables.entries).where(here).values(**sealed))
    boundary = (_BOUNDARIES.log_id == row.log_id, _BOUNDARIES.entry_index == row.entry_index)
    same = {"value": sealed["value"], "sealed_by": sealed["sealed_by"]}
    await connection.execute(update(tables.boundaries).where(*boundary).values(**same))
