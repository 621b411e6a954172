"""What an older database brings back: entries under keys that were destroyed since, on request.

Nobody reads those rows any more, and one of them would stop whoever reads many. So what was asked for is done again:
they are erased, here and by the writer in the segments. What bills and disputes rest on had been sealed under another
key before theirs was destroyed, which this database does not know; it is sealed under it again, out of the segments.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from sqlalchemy import ColumnElement, and_, or_, select

from cloud.errors import ArchiveError
from cloud.retention.holds import Holds, holds_when_followed
from cloud.retention.kinds import is_kind, needed
from cloud.retention.sealing import seal_rows
from cloud.segments import Archive, LogFiles
from cloud.store import Store, tables
from cloud.store.erasing import AT_ONCE, RETENTION_LOCK, Erasure, erase_sealed_by, logs_with, span_of
from cloud.store.key_record import KEYS_LOCK, DestroyedKey, destroyed_since, note_destroyed
from cloud.store.months import entries_at
from cloud.store.sealing import DEVICES
from contracts.segment import decode_frame
from contracts.tree import leaf_hash

__all__ = ["erase_returned"]

_SEALED_AT_ONCE = 500
_SAYS = "its key was destroyed on request, and an older database was brought back since"
_ENTRIES = tables.entries.c


async def erase_returned(store: Store, archive: Archive, *, chain_id: int | None = None) -> None:
    """Erase what stands here under keys that were destroyed since this database was backed up; says so in a notice.

    Keys whose entries stand in a log with a damaged segment file are left for the next start, and that is said too.

    Args:
        store: migrated, with its keys.
        archive: this process's segments, out of which what is needed is saved as far as they hold it.
        chain_id: of the chain whose disputes the store knows; None where no chain is followed.
    """
    async with store.read() as connection:
        keys = await destroyed_since(connection, store.sealer)
    if not keys:
        return
    of_devices = [key for key in keys if key.held_in == DEVICES]
    saved, left = await _save_needed(store, archive, of_devices, await holds_when_followed(store, chain_id))
    erased = 0
    for key in of_devices:
        if key not in left:
            why = Erasure(cause="request", says=_SAYS, now_ms=key.at_ms)
            erased += await erase_sealed_by(store, key.owner, key.tag, why)
    async with store.write(KEYS_LOCK) as connection:
        await note_destroyed(connection, [key for key in keys if key not in left], _SAYS)
    if saved or erased:
        says = (
            f"store: this database is older than requests to erase: {erased} entries whose keys were destroyed since "
            f"are erased again, and {saved} boundary entries and disputed readings were sealed anew from segments"
        )
        await store.notice(says, at_ms=max(key.at_ms for key in keys))


async def _save_needed(
    store: Store, archive: Archive, keys: Sequence[DestroyedKey], holds: Holds
) -> tuple[int, Collection[DestroyedKey]]:
    """Seal what is needed of these keys' entries anew, log by log; how many, and the keys for which it is not over."""
    saved, left = 0, set[DestroyedKey]()
    theirs = and_(
        _ENTRIES.device.in_(sorted({key.owner for key in keys})), _ENTRIES.sealed_by.in_(sorted({k.tag for k in keys}))
    )
    for log_id in await logs_with(store, {key.owner for key in keys}, {key.tag for key in keys}):
        async with store.read() as connection:
            origin = select(tables.logs.c.origin).where(tables.logs.c.log_id == log_id)
            files = archive.log((await connection.execute(origin)).scalar_one())
        try:
            saved += await _save_log(store, files, log_id, and_(theirs, _is_needed(log_id, holds)))
        except ArchiveError as error:
            async with store.read() as connection:
                query = select(_ENTRIES.device, _ENTRIES.sealed_by).where(_ENTRIES.log_id == log_id, theirs).distinct()
                found = {tuple(row) for row in await connection.execute(query)}
            left |= {key for key in keys if (key.owner, key.tag) in found}
            says = (
                f"store: {error}. Then start again: until then what was sealed under keys that were destroyed on "
                f"request cannot be read in {files.origin}, nor what bills rest on among it"
            )
            await store.notice(says, at_ms=max(key.at_ms for key in keys))
    return saved, left


def _is_needed(log_id: int, holds: Holds) -> ColumnElement[bool]:
    """All boundary entries, for what was not needed of them any more the segments do not hold; disputed readings."""
    disputed = needed("readings", log_id, 0, 0, holds)
    boundaries = is_kind("boundaries")
    return boundaries if disputed is None else or_(boundaries, and_(is_kind("readings"), disputed))


async def _save_log(store: Store, files: LogFiles, log_id: int, chosen: ColumnElement[bool]) -> int:
    """Seal the chosen entries of one log anew, with what its files hold of them, in one pass; how many.

    Raises:
        ArchiveError: a file is damaged; what was found before it is sealed.
    """
    first, end_of_all = await span_of(store, log_id, chosen)
    saved = 0
    for start in range(first, end_of_all, AT_ONCE):
        end = min(end_of_all, start + AT_ONCE)
        async with store.read() as connection:
            query = select(tables.entries).where(await entries_at(connection, log_id, start, end), chosen)
            rows = {row.entry_index: row for row in await connection.execute(query)}
        found = await asyncio.to_thread(_in_segments, files, rows)
        for at in range(0, len(found), _SEALED_AT_ONCE):
            async with store.write(RETENTION_LOCK) as connection:
                await seal_rows(connection, found[at : at + _SEALED_AT_ONCE])
        saved += len(found)
    return saved


def _in_segments(files: LogFiles, rows: Mapping[int, Any]) -> list[Any]:
    """Those of the rows whose content stands in the files, in clear."""
    found = list[Any]()
    if not rows or files.size <= min(rows):
        return found
    last = max(rows)
    for frame in map(decode_frame, files.frames(min(rows))):
        here = sorted(rows.keys() & range(frame.start, frame.end))
        entries = frame.rows() if here else []
        for index in here:
            at = index - frame.start
            told = entries[at]
            if told is not None and leaf_hash(frame.slot(at)) == rows[index].leaf_hash:
                clear = {"value": told[4], "salt": told[6], "detail": frame.details[at] or None}
                found.append(SimpleNamespace(**{**rows[index]._mapping, **clear}))
        if frame.end > last:  # the rest of the log tells nothing of them
            break
    return found
