"""Sessions in the store: a hash, an account, a role, two ends. Ending one is deleting its row."""

from sqlalchemy import BindParameter, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.identity.accounts import grant_in
from cloud.identity.people import Grant, SignedIn
from cloud.identity.roles import OFFICERS, Strength
from cloud.store import tables

__all__ = [
    "end_all",
    "end_session",
    "lifetime_ms",
    "needs_touch",
    "open_session",
    "opened_at",
    "session_of",
    "sweep",
    "touch",
]

_MINUTE_MS = 60_000
_HOUR_MS = 60 * _MINUTE_MS
_DAY_MS = 24 * _HOUR_MS
_TOUCHED_AGAIN_MS = _MINUTE_MS


def lifetime_ms(grant: Grant, strength: Strength) -> tuple[int, int]:
    """How long a session lives unused, and at most. Officers see more than their own: their sessions are short."""
    if strength is Strength.LINK:
        return 30 * _DAY_MS, 30 * _DAY_MS  # a demo's month passes in a minute
    if strength is Strength.CODE:
        return _HOUR_MS, 12 * _HOUR_MS
    if grant.role in OFFICERS:
        return _HOUR_MS, 12 * _HOUR_MS
    return 14 * _DAY_MS, 30 * _DAY_MS


async def open_session(
    connection: AsyncConnection,
    digest: bytes,
    grant: Grant,
    strength: Strength,
    now_ms: int,
    *,
    since_ms: int | None = None,
) -> None:
    """Keep a new session; the one it replaces is ended by whoever rotates.

    Args:
        since_ms: when the person came in, if that was before this session took another one's place: its end is counted
            from then.
    """
    idle, at_most = lifetime_ms(grant, strength)
    since = now_ms if since_ms is None else since_ms
    await connection.execute(
        insert(tables.sessions).values(
            session_digest=digest,
            account_id=grant.account,
            grant_id=grant.number,
            strength=strength.value,
            opened_at_ms=since,
            idle_until_ms=now_ms + idle,
            expires_at_ms=since + at_most,
        )
    )


async def opened_at(connection: AsyncConnection, digest: bytes) -> int | None:
    """When whoever is behind a session came in; None where there is no such session."""
    column = tables.sessions.c
    query = select(column.opened_at_ms).where(column.session_digest == digest)
    return (await connection.execute(query)).scalar_one_or_none()


_COLUMN = tables.sessions.c
_NOW: BindParameter[int] = bindparam("now_ms")
# Every page asks it: made once, for making a statement costs more than running it.
_SESSION = (
    select(tables.grants, _COLUMN.strength, _COLUMN.opened_at_ms, _COLUMN.idle_until_ms)
    .join(tables.sessions, _COLUMN.grant_id == tables.grants.c.grant_id)
    .where(_COLUMN.session_digest == bindparam("digest"), _COLUMN.idle_until_ms > _NOW, _COLUMN.expires_at_ms > _NOW)
    .where(tables.grants.c.ended_at_ms.is_(None))
)


async def session_of(connection: AsyncConnection, digest: bytes, now_ms: int) -> SignedIn | None:
    """Who is behind a session that has not ended, with a role that is still in force."""
    row = (await connection.execute(_SESSION, {"digest": digest, "now_ms": now_ms})).one_or_none()
    if row is None:
        return None
    return SignedIn(
        grant=grant_in(row),
        strength=Strength(row.strength),
        opened_at_ms=row.opened_at_ms,
        idle_until_ms=row.idle_until_ms,
    )


async def touch(connection: AsyncConnection, digest: bytes, signed_in: SignedIn, now_ms: int) -> None:
    """Count the idle time anew."""
    idle, _at_most = lifetime_ms(signed_in.grant, signed_in.strength)
    column = tables.sessions.c
    await connection.execute(
        update(tables.sessions).where(column.session_digest == digest).values(idle_until_ms=now_ms + idle)
    )


def needs_touch(signed_in: SignedIn, now_ms: int) -> bool:
    """Whether the idle time was last counted a while ago: one write a minute is enough, or idle/100 for long ones."""
    idle, _at_most = lifetime_ms(signed_in.grant, signed_in.strength)
    return now_ms + idle - signed_in.idle_until_ms > max(_TOUCHED_AGAIN_MS, idle // 100)


async def end_session(connection: AsyncConnection, digest: bytes) -> None:
    """End one session."""
    await connection.execute(delete(tables.sessions).where(tables.sessions.c.session_digest == digest))


async def end_all(connection: AsyncConnection, account: bytes, *, but: bytes | None = None) -> None:
    """Sign an account out everywhere, or everywhere but in one browser."""
    column = tables.sessions.c
    others = () if but is None else (column.session_digest != but,)
    await connection.execute(delete(tables.sessions).where(column.account_id == account, *others))


async def sweep(connection: AsyncConnection, now_ms: int) -> None:
    """Forget what has ended by itself. Each statement locks the rows that it deletes, and nobody else waits."""
    for table, ends in (
        (tables.sessions, tables.sessions.c.expires_at_ms),
        (tables.ceremonies, tables.ceremonies.c.expires_at_ms),
        (tables.throttles, tables.throttles.c.window_ends_at_ms),
    ):
        await connection.execute(delete(table).where(ends <= now_ms))
