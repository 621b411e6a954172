"""Erasing because somebody asked for it: single entries by their place, or all of some devices'.

What bills or disputes still rest on is spared where devices are erased, until retention's time for it has come. Whoever
names a single place must know what is there.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence

from sqlalchemy import ColumnElement, and_, func, not_, or_

from cloud.errors import StoreError
from cloud.retention.holds import Holds
from cloud.retention.kinds import is_kind, needed
from cloud.store import Store, log_id_of, tables
from cloud.store.erasing import AT_ONCE, Erasure, erase_range, logs_with, span_of

__all__ = ["erase_devices", "erase_places"]

_ENTRIES = tables.entries.c


async def erase_places(store: Store, origin: str, places: Iterable[int], *, says: str, now_ms: int) -> int:
    """Erase entries of one log down to their leaf hashes, in this store and, soon after, in its segments.

    Args:
        places: indexes of entries; those that were erased before, or are not held, count for nothing.
        says: why, for the record: no person's name.

    Returns:
        How many were still there.

    Raises:
        StoreError: nothing of this log is held; or entry 0 was named, which opens it.
    """
    async with store.read() as connection:
        log_id = await log_id_of(connection, origin)
    wanted = sorted(set(places))
    if log_id is None:
        raise StoreError(f"nothing of {origin} is held; check the log's name")
    if wanted and wanted[0] < 1:
        raise StoreError(f"{origin}: entry 0 opens the log and tells of nobody; name entries from 1 on")
    why, erased = Erasure(cause="request", says=says, now_ms=now_ms), 0
    for first, last in _runs(wanted):
        for start in range(first, last + 1, AT_ONCE):
            end = min(last + 1, start + AT_ONCE)
            erased += await erase_range(store, log_id, start, end, _ENTRIES.kind >= 0, why, moves_all=False)
    return erased


async def erase_devices(
    store: Store, devices: Collection[bytes], *, says: str, now_ms: int, holds: Holds, boundaries_due: int
) -> int:
    """Erase everything that some devices told, in whatever log it stands, but for what bills and disputes still need.

    Args:
        devices: SHA-256 of their URNs: all meters of one unit, say.
        holds: what is still needed.
        boundaries_due: the last month whose boundary entries need not be kept any more.

    Returns:
        How many entries were still there.
    """
    if not holds.is_known:
        raise StoreError("the chain was not followed today, so nobody knows what is disputed; start the cloud first")
    why, erased = Erasure(cause="request", says=says, now_ms=now_ms), 0
    theirs = _ENTRIES.device.in_(sorted(devices))
    for log_id in await logs_with(store, devices):
        first, end_of_all = await span_of(store, log_id, theirs)
        for start in range(first, end_of_all, AT_ONCE):
            end = min(end_of_all, start + AT_ONCE)
            spared = or_(*_spared(log_id, start, end, holds, boundaries_due))
            erased += await erase_range(store, log_id, start, end, and_(theirs, not_(spared)), why, moves_all=False)
    return erased


def _spared(log_id: int, start: int, end: int, holds: Holds, boundaries_due: int) -> Iterator[ColumnElement[bool]]:
    yield and_(is_kind("boundaries"), func.abs(_ENTRIES.received_month) > boundaries_due)
    for name in ("boundaries", "readings"):
        still = needed(name, log_id, start, end, holds)
        if still is not None:
            yield and_(is_kind(name), still)


def _runs(places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """First and last of those that follow each other without a gap."""
    if not places:
        return
    first = last = places[0]
    for place in places[1:]:
        if place != last + 1:
            yield first, last
            first = place
        last = place
    yield first, last
