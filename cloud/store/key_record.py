"""The store and its key store know each other: neither another one, nor an older copy of it, takes its place unseen."""

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.errors import StoreError
from cloud.store import tables
from cloud.store.sealing import SEALED
from cloud.store.upsert import insert_new

__all__ = ["meet", "note_destroyed"]

_ONE = 1
_KEYS = tables.key_store.c


async def meet(connection: AsyncConnection, sealer: Any) -> None:
    """Hold the key store against the one that sealed what stands here; the first one is remembered.

    Keys that were destroyed on request are destroyed again, where an older copy of the key store brought them back.

    Raises:
        StoreError: it is missing, or another one.
    """
    row = (await connection.execute(select(tables.key_store).where(_KEYS.one == _ONE))).one_or_none()
    known: bytes | None = None if row is None else row.fingerprint
    if known is None and (sealer.is_there or not await _holds_sealed(connection)):
        known = await _remember(connection, sealer.keys.fingerprint, is_new=row is None)
    if not sealer.is_there:
        name = "" if known is None else f" ({known.hex()[:12]})"
        says = f"what stands in this database was sealed under a key store{name} that is not at {sealer.file}"
        raise StoreError(f"{says}; bring it back with its master key, a new one would open nothing")
    if known is None or sealer.keys.fingerprint != known:
        says = f"{sealer.file} is another key store ({sealer.keys.fingerprint.hex()[:12]}) than the database's"
        raise StoreError(f"{says} ({(known or b'').hex()[:12]}); name the right one as [identity] keys_dir")
    column = tables.destroyed_keys.c
    gone = await connection.execute(select(column.held_in, column.owner, column.tag, column.destroyed_at_ms))
    for held_in, owner, tag, at_ms in gone:
        sealer.destroy(held_in, [(owner, tag)], at_ms=at_ms)


async def note_destroyed(
    connection: AsyncConnection, held_in: str, owner: bytes, tag: int, says: str, *, now_ms: int
) -> None:
    """Keep that a key is to be destroyed, before it is."""
    row = {"owner": owner, "tag": tag, "held_in": held_in, "says": says, "destroyed_at_ms": now_ms}
    await insert_new(connection, tables.destroyed_keys, row)


async def _holds_sealed(connection: AsyncConnection) -> bool:
    """Whether bills were sealed here before the store knew under which keys."""
    query = select(tables.posted_bills.c.content).limit(1)
    found = (await connection.execute(query)).scalar_one_or_none()
    return found is not None and found.startswith(SEALED)


async def _remember(connection: AsyncConnection, fingerprint: bytes, *, is_new: bool) -> bytes:
    """Of several processes that begin together the first one's word stands."""
    if is_new:
        row = {"one": _ONE, "fingerprint": fingerprint, "seals_readings": 1}
        await insert_new(connection, tables.key_store, row)
    else:
        own = update(tables.key_store).where(_KEYS.one == _ONE, _KEYS.fingerprint.is_(None))
        await connection.execute(own.values(fingerprint=fingerprint))
    stands = await connection.execute(select(_KEYS.fingerprint).where(_KEYS.one == _ONE))
    return bytes(stands.scalar_one())
