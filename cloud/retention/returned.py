"""What an older database brings back: entries under keys that were destroyed since, on request.

Nobody reads those rows any more, and one of them would stop whoever reads many. So what was asked for is done again:
they are erased, here and by the writer in the segments. What bills rest on had been sealed under another key before
theirs was destroyed, which this database does not know; it is sealed under it again, out of the segments.
"""

import asyncio
from collections.abc import Iterator, Mapping
from itertools import islice
from types import SimpleNamespace
from typing import Any

from sqlalchemy import and_, select

from cloud.retention.kinds import is_kind
from cloud.retention.sealing import seal_rows
from cloud.segments import Archive, LogFiles
from cloud.store import Store, tables
from cloud.store.erasing import RETENTION_LOCK, Erasure, erase_sealed_by, logs_with
from cloud.store.key_record import KEYS_LOCK, DestroyedKey, destroyed_since, note_destroyed
from cloud.store.sealing import DEVICES
from contracts.segment import decode_frame
from contracts.tree import leaf_hash

__all__ = ["erase_returned"]

_AT_ONCE = 500
_SAYS = "its key was destroyed on request, and an older database was brought back since"
_ENTRIES = tables.entries.c


async def erase_returned(store: Store, archive: Archive) -> None:
    """Erase what stands here under keys that were destroyed since this database was backed up; says so in a notice.

    Args:
        store: migrated, with its keys.
        archive: this process's segments, out of which boundary entries are saved as far as they hold them.
    """
    async with store.read() as connection:
        keys = await destroyed_since(connection, store.sealer)
    if not keys:
        return
    saved = erased = 0
    for key in keys:
        if key.held_in == DEVICES:
            for log_id in await logs_with(store, [key.owner], [key.tag]):
                saved += await _save_boundaries(store, archive, log_id, key)
            why = Erasure(cause="request", says=_SAYS, now_ms=key.at_ms)
            erased += await erase_sealed_by(store, key.owner, key.tag, why)
    async with store.write(KEYS_LOCK) as connection:
        await note_destroyed(connection, keys, _SAYS)
    if saved or erased:
        says = (
            f"store: this database is older than requests to erase: {erased} entries whose keys were destroyed since "
            f"are erased again, and {saved} boundary entries, which bills may rest on, were sealed anew from segments"
        )
        await store.notice(says, at_ms=max(key.at_ms for key in keys))


async def _save_boundaries(store: Store, archive: Archive, log_id: int, key: DestroyedKey) -> int:
    """Seal a log's boundary entries of one key anew, with what the segments hold of them; how many."""
    theirs = and_(_ENTRIES.log_id == log_id, _ENTRIES.device == key.owner, _ENTRIES.sealed_by == key.tag)
    query = select(tables.entries).where(theirs, is_kind("boundaries"))
    origin = select(tables.logs.c.origin).where(tables.logs.c.log_id == log_id)
    async with store.read() as connection:
        rows = {row.entry_index: row for row in await connection.execute(query)}
        files = archive.log((await connection.execute(origin)).scalar_one())
    found = await asyncio.to_thread(lambda: list(_in_segments(files, rows)))
    left = iter(found)
    while some := list(islice(left, _AT_ONCE)):
        async with store.write(RETENTION_LOCK) as connection:
            await seal_rows(connection, some)
    return len(found)


def _in_segments(files: LogFiles, rows: Mapping[int, Any]) -> Iterator[Any]:
    """Those of the rows whose content stands in the files, in clear."""
    for encoded in files.frames(min(rows)) if rows and files.size > min(rows) else ():
        frame = decode_frame(encoded)
        here = sorted(rows.keys() & range(frame.start, frame.end))
        entries = frame.rows() if here else []
        for index in here:
            at = index - frame.start
            told = entries[at]
            if told is not None and leaf_hash(frame.slot(at)) == rows[index].leaf_hash:
                clear = {"value": told[4], "salt": told[6], "detail": frame.details[at] or None}
                yield SimpleNamespace(**{**rows[index]._mapping, **clear})
