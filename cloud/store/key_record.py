"""The store and its key store know each other: neither another one, nor an older copy of either, takes its place
unseen.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.errors import StoreError
from cloud.store import tables
from cloud.store.sealing import DEVICES, SEALED, UNITS
from cloud.store.upsert import insert_new, insert_new_rows

__all__ = ["KEYS_LOCK", "DestroyedKey", "destroyed_since", "meet", "note_destroyed"]

KEYS_LOCK = "keys"
_ONE = 1
_KEYS = tables.key_store.c
_DESTROYED = tables.destroyed_keys.c


class DestroyedKey(NamedTuple):
    """A key that was destroyed on request."""

    held_in: str
    owner: bytes
    tag: int
    at_ms: int


async def meet(connection: AsyncConnection, sealer: Any) -> None:
    """Hold the key store against the one that sealed what stands here; the first one is remembered.

    Keys that were destroyed on request are destroyed again, where an older copy of the key store brought them back.

    Raises:
        StoreError: it is missing, or another one.
    """
    row = (await connection.execute(select(tables.key_store).where(_KEYS.one == _ONE))).one_or_none()
    known: bytes | None = None if row is None else row.fingerprint
    if known is None and (sealer.is_there or not await _holds_sealed(connection)):
        known = await _remember(connection, sealer.fingerprint, is_new=row is None)
    if not sealer.is_there:
        name = "" if known is None else f" ({known.hex()[:12]})"
        says = f"what stands in this database was sealed under a key store{name} that is not at {sealer.file}"
        raise StoreError(f"{says}; bring it back with its master key, a new one would open nothing")
    if known is None or sealer.fingerprint != known:
        says = f"{sealer.file} is another key store ({sealer.fingerprint.hex()[:12]}) than the database's"
        raise StoreError(f"{says} ({(known or b'').hex()[:12]}); name the right one as [identity] keys_dir")
    back = _missing(await _noted(connection), _marked(sealer))
    for held_in in (UNITS, DEVICES):
        sealer.destroy(held_in, [(key.owner, key.tag, key.at_ms) for key in back if key.held_in == held_in])


async def destroyed_since(connection: AsyncConnection, sealer: Any) -> list[DestroyedKey]:
    """Keys that were destroyed and this database does not know of: it is older than that."""
    return _missing(_marked(sealer), await _noted(connection))


def _missing(keys: Sequence[DestroyedKey], among: Sequence[DestroyedKey]) -> list[DestroyedKey]:
    there = {(key.owner, key.tag) for key in among}
    return [key for key in keys if (key.owner, key.tag) not in there]


def _marked(sealer: Any) -> list[DestroyedKey]:
    return [DestroyedKey(held_in, *mark) for held_in in (UNITS, DEVICES) for mark in sealer.marks(held_in)]


async def _noted(connection: AsyncConnection) -> list[DestroyedKey]:
    noted = select(_DESTROYED.held_in, _DESTROYED.owner, _DESTROYED.tag, _DESTROYED.destroyed_at_ms)
    return [DestroyedKey(*row) for row in await connection.execute(noted)]


async def note_destroyed(connection: AsyncConnection, keys: Sequence[DestroyedKey], says: str) -> None:
    """Keep that keys are to be destroyed, before they are."""
    rows = [
        {"owner": key.owner, "tag": key.tag, "held_in": key.held_in, "says": says, "destroyed_at_ms": key.at_ms}
        for key in keys
    ]
    await insert_new_rows(connection, tables.destroyed_keys, rows)


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
