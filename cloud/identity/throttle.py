"""So many in a window, counted in the store for all processes together: attempts to come in, and what costs most."""

import hashlib

from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.store import insert_new, tables

__all__ = ["WINDOW_MS", "count_within", "forget", "is_allowed"]

WINDOW_MS = 10 * 60_000
_LIMITS = {"code or passkey": 30, "challenge": 60}


def _attempt(kind: str, who: bytes) -> bytes:
    return kind.encode() + b"\0" + who


async def count_within(connection: AsyncConnection, what: bytes, window_ms: int, now_ms: int) -> tuple[int, int]:
    """Count one more of something; how many there were in its window, and when that ends."""
    column, subject = tables.throttles.c, hashlib.sha256(what).digest()
    await connection.execute(
        delete(tables.throttles).where(column.subject == subject, column.window_ends_at_ms <= now_ms)
    )
    window = {"subject": subject, "window_ends_at_ms": now_ms + window_ms, "count": 1}
    if await insert_new(connection, tables.throttles, window):
        return 1, now_ms + window_ms
    counted = update(tables.throttles).where(column.subject == subject).values(count=column.count + 1)
    row = (await connection.execute(counted.returning(column.count, column.window_ends_at_ms))).one()
    return int(row[0]), int(row[1])


async def is_allowed(connection: AsyncConnection, kind: str, who: bytes, now_ms: int) -> bool:
    """Count one attempt of a kind from an address; whether it is still within the limit."""
    number, _ends = await count_within(connection, _attempt(kind, who), WINDOW_MS, now_ms)
    return number <= _LIMITS[kind]


async def forget(connection: AsyncConnection, who: bytes) -> None:
    """Somebody came in: begin counting anew."""
    subjects = [hashlib.sha256(_attempt(kind, who)).digest() for kind in _LIMITS]
    await connection.execute(delete(tables.throttles).where(tables.throttles.c.subject.in_(subjects)))
