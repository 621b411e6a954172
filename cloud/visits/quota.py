"""How many photographs one signer may bring within a day, so that none fills the disk alone.

A visit itself is always taken: what it says was signed, and its gateway is told. Its photographs wait on the phone,
whose outbox tries again by itself.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select

from cloud.store import tables
from cloud.visits.room import VisitRefused

__all__ = ["PhotoQuota", "check_quota"]

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotoQuota:
    """Of the first mechanic of each visit, within 24 hours."""

    photos: int
    octets: int


async def check_quota(connection: Any, visit: bytes, quota: PhotoQuota, *, more: int, now_ms: int) -> None:
    """Raise `VisitRefused` where another photograph of `more` bytes is one too many for who signed the visit first."""
    signed, kept, own = tables.visit_signers, tables.visit_files, tables.visit_signers.alias("own")
    first = select(own.c.signer).where(own.c.digest == visit, own.c.position == 0).scalar_subquery()
    recent = (
        select(func.count(), func.coalesce(func.sum(kept.c.bytes_length), 0), func.min(kept.c.stored_at_ms))
        .join_from(kept, signed, (signed.c.digest == kept.c.digest) & (signed.c.position == 0))
        .where(signed.c.signer == first, kept.c.stored_at_ms > now_ms - _DAY_MS)
    )
    count, octets, oldest_ms = (await connection.execute(recent)).one()
    if count < quota.photos and octets + more <= quota.octets:
        return
    minutes = 1 if oldest_ms is None else max(1, -(-(oldest_ms + _DAY_MS - now_ms) // 60_000))
    raise VisitRefused(
        429,
        "too_many_photos",
        f"{count} photos of {octets // 2**20} MiB came of visits that this crew member signed first, within 24 hours; "
        f"{quota.photos} of {quota.octets // 2**20} MiB are the limit. The visit is kept; send this photo again in "
        f"{minutes} min, or raise [maintenance] photos_per_day and photo_mib_per_day",
    )
