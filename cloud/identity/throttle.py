"""So many in a window, counted in the store for all processes together: attempts to come in, and what costs most."""

import hashlib

from sqlalchemy import case, delete
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.store import tables
from cloud.store.upsert import insert_into

__all__ = ["WINDOW_MS", "count_within", "forget", "is_allowed"]

WINDOW_MS = 10 * 60_000
_LIMITS = {"code or passkey": 30, "challenge": 60}


def _attempt(kind: str, who: bytes) -> bytes:
    return kind.encode() + b"\0" + who


async def count_within(connection: AsyncConnection, what: bytes, window_ms: int, now_ms: int) -> tuple[int, int]:
    """Count one more of something; how many there were in its window, and when that ends."""
    column, first = tables.throttles.c, {"window_ends_at_ms": now_ms + window_ms, "count": 1}
    is_over = column.window_ends_at_ms <= now_ms
    more = {
        "window_ends_at_ms": case((is_over, first["window_ends_at_ms"]), else_=column.window_ends_at_ms),
        "count": case((is_over, 1), else_=column.count + 1),
    }
    # One statement: between two, another process may begin a window, end it or forget it.
    counted = insert_into(connection, tables.throttles).values(subject=hashlib.sha256(what).digest(), **first)
    counted = counted.on_conflict_do_update(index_elements=[column.subject], set_=more)
    number, ends_at_ms = (await connection.execute(counted.returning(column.count, column.window_ends_at_ms))).one()
    return number, ends_at_ms


async def is_allowed(connection: AsyncConnection, kind: str, who: bytes, now_ms: int) -> bool:
    """Count one attempt of a kind from an address; whether it is still within the limit."""
    number, _ends = await count_within(connection, _attempt(kind, who), WINDOW_MS, now_ms)
    return number <= _LIMITS[kind]


async def forget(connection: AsyncConnection, who: bytes) -> None:
    """Somebody came in: begin counting anew."""
    subjects = [hashlib.sha256(_attempt(kind, who)).digest() for kind in _LIMITS]
    await connection.execute(delete(tables.throttles).where(tables.throttles.c.subject.in_(subjects)))
