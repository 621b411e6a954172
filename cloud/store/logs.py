"""A log's number, by which all its rows are found."""

import hashlib
from collections.abc import Iterable

from sqlalchemy import String, bindparam, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.store import tables

__all__ = ["log_id_of", "log_ids_of", "log_number"]

_COLUMN = tables.origins.c
_GATEWAY = bindparam("gateway", type_=String)
_IS_NAMED = _COLUMN.origin.in_(bindparam("origins", expanding=True))
_IS_OF_GATEWAY = func.substr(_COLUMN.origin, 1, func.length(_GATEWAY)) == _GATEWAY
_NAMED = select(_COLUMN.log_id).where(_IS_NAMED).order_by(_COLUMN.log_id)
_OF_GATEWAY = select(_COLUMN.log_id).where(or_(_IS_NAMED, _IS_OF_GATEWAY)).order_by(_COLUMN.log_id)


def log_number(origin: str) -> int:
    """The number of a log that begins now: 63 bits of its name's hash, the same on every replica."""
    return int.from_bytes(hashlib.sha256(b"minglou log " + origin.encode()).digest()[:8]) >> 1


async def log_id_of(connection: AsyncConnection, origin: str) -> int | None:
    """The number of a log that is held; None where nothing of it is.

    Asked, not computed: logs that are older than the rule count from 1.
    """
    column = tables.origins.c
    found: int | None = (
        await connection.execute(select(column.log_id).where(column.origin == origin))
    ).scalar_one_or_none()
    return found


async def log_ids_of(
    connection: AsyncConnection, origins: Iterable[str] = (), *, gateway: str | None = None
) -> list[int]:
    """The numbers of those of these logs that are held, and of the logs of all epochs of a gateway.

    Args:
        gateway: `HOST/SITE/GATEWAY`, what the origins of its epochs share.
    """
    if gateway is None:
        found = await connection.execute(_NAMED, {"origins": sorted(origins)})
    else:
        found = await connection.execute(_OF_GATEWAY, {"origins": sorted(origins), "gateway": gateway + "/"})
    return list(found.scalars())
