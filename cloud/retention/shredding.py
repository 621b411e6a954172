"""Destroying the keys of what was erased, so that no older copy of it opens any more: a backup, a dump, a disk.

What bills or disputes still rest on is sealed under a new key before the old one is destroyed. That it is to be
destroyed stands in the store before it is, so an older copy of the key store does not bring it back.
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.identity.key_store import DEVICES
from cloud.identity.vault import Vault
from cloud.store import Store, tables
from cloud.store.key_record import note_destroyed
from cloud.store.months import entries_at
from cloud.store.readings import heads_of, mask, open_entries, parts_of

__all__ = ["shred_devices"]

_AT_ONCE = 500
_ENTRIES, _BOUNDARIES = tables.entries.c, tables.boundaries.c


async def shred_devices(
    store: Store, vault: Vault, devices: Collection[bytes], log_ids: Collection[int], *, says: str, now_ms: int
) -> int:
    """Destroy every key that these devices' entries were sealed by until now; how many.

    Args:
        vault: the store's own keys.
        log_ids: the logs that may hold entries of these devices.
        says: why, for the record: no person's name.
    """
    old = {device: [key.tag for key in keys] for device, keys in vault.keys.all_of(DEVICES, devices).items()}
    if not old:
        return 0
    vault.renew(DEVICES, old)
    tags = sorted(tag for some in old.values() for tag in some)
    for log_id in sorted(log_ids):
        await _let_writers_finish(store, log_id)
        while await _seal_again(store, vault, log_id, sorted(old), tags):
            pass
    keys = [(device, tag) for device, some in old.items() for tag in some]
    async with store.write("keys") as connection:
        for device, tag in keys:
            await note_destroyed(connection, DEVICES, device, tag, says, now_ms=now_ms)
    return vault.destroy(DEVICES, keys, at_ms=now_ms)


async def _let_writers_finish(store: Store, log_id: int) -> None:
    """Whoever stores into this log has its row locked, and whoever locks it later finds the new keys."""
    async with store.write() as connection:
        column = tables.logs.c
        await connection.execute(select(column.log_id).where(column.log_id == log_id).with_for_update())


async def _seal_again(store: Store, vault: Vault, log_id: int, devices: Sequence[bytes], tags: Sequence[int]) -> int:
    """Seal some of what is left of a log's entries of these devices under their new keys; how many."""
    theirs = (_ENTRIES.log_id == log_id, _ENTRIES.device.in_(devices), _ENTRIES.sealed_by.in_(tags))
    async with store.write("retention") as connection:
        rows = (await connection.execute(select(tables.entries).where(*theirs).limit(_AT_ONCE))).all()
        if not rows:
            return 0
        opened = open_entries(connection, rows)
        keys = vault.present_keys({row.device for row in rows})
        heads = heads_of([row.value for row in opened], [row.salt for row in opened])
        used = [keys[row.device] for row in rows]
        masked, details = mask(used, [row.leaf_hash for row in rows], heads, [row.detail for row in opened])
        for row, key, head, detail in zip(rows, used, masked, details, strict=True):
            value, salt = parts_of(head.tobytes())
            await _put(connection, row, value=value, salt=salt, detail=detail, sealed_by=key.tag)
    return len(rows)


async def _put(connection: AsyncConnection, row: Any, **sealed: Any) -> None:
    here = await entries_at(connection, row.log_id, row.entry_index)
    await connection.execute(update(tables.entries).where(here).values(**sealed))
    boundary = (_BOUNDARIES.log_id == row.log_id, _BOUNDARIES.entry_index == row.entry_index)
    same = {"value": sealed["value"], "sealed_by": sealed["sealed_by"]}
    await connection.execute(update(tables.boundaries).where(*boundary).values(**same))
