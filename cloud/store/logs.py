"""A log's number, by which all its rows are found."""

import hashlib
from collections.abc import Iterable

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.store import tables

__all__ = ["log_id_of", "log_ids_of", "log_ids_of_gateway", "log_number"]


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


async def log_ids_of(connection: AsyncConnection, origins: Iterable[str]) -> list[int]:
    """The numbers of those of these logs that are held."""
    column = tables.origins.c
    query = select(column.log_id).where(column.origin.in_(sorted(origins))).order_by(column.log_id)
    return list((await connection.execute(query)).scalars())


async def log_ids_of_gateway(connection: AsyncConnection, gateway: str) -> list[int]:
    """The numbers of the logs of all epochs of a gateway.

    Args:
        gateway: `HOST/SITE/GATEWAY`, what the origins of its epochs share.
    """
    column = tables.origins.c
    query = select(column.log_id).where(column.origin.startswith(gateway + "/", autoescape=True))
    return list((await connection.execute(query.order_by(column.log_id))).scalars())
