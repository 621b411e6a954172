"""Attempts to sign in: so many in a window, counted in the store, for all processes together."""

import hashlib

from sqlalchemy import delete, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.store import insert_new, tables

__all__ = ["WINDOW_MS", "forget", "is_allowed"]

WINDOW_MS = 10 * 60_000
_LIMITS = {"code or passkey": 30, "challenge": 60}


def _subject(kind: str, who: bytes) -> bytes:
    return hashlib.sha256(kind.encode() + b"\0" + who).digest()


async def is_allowed(connection: AsyncConnection, kind: str, who: bytes, now_ms: int) -> bool:
    """Count one attempt of a kind from an address; whether it is still within the limit."""
    column, subject = tables.throttles.c, _subject(kind, who)
    await connection.execute(
        delete(tables.throttles).where(column.subject == subject, column.window_ends_at_ms <= now_ms)
    )
    window = {"subject": subject, "window_ends_at_ms": now_ms + WINDOW_MS, "count": 1}
    if await insert_new(connection, tables.throttles, window):
        return True
    counted = update(tables.throttles).where(column.subject == subject).values(count=column.count + 1)
    number = (await connection.execute(counted.returning(column.count))).scalar_one()
    return int(number) <= _LIMITS[kind]


async def forget(connection: AsyncConnection, who: bytes) -> None:
    """Somebody came in: begin counting anew."""
    subjects = [_subject(kind, who) for kind in _LIMITS]
    await connection.execute(delete(tables.throttles).where(tables.throttles.c.subject.in_(subjects)))
