"""Invitations: a code on paper, tied to a role and a unit, used once, for a limited time.

Whoever holds the letter that was put into a flat's mailbox shows with its code that they have the flat; no name is
asked. An invitation with an account replaces lost passkeys, and is worth nothing before its delay has passed, in which
the account's owner may stop it.
"""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.identity.codes import code_digest, new_code
from cloud.identity.people import Grant, Invitation, Invited
from cloud.identity.roles import Role
from cloud.store import tables

__all__ = [
    "RECOVERY_DELAY_MS",
    "invitation_of",
    "invite",
    "open_invitations",
    "recover",
    "recoveries_of",
    "stop",
    "stop_written",
    "take",
]

_DAY_MS = 86_400_000
VALID_MS = 30 * _DAY_MS
RECOVERY_DELAY_MS = 3 * _DAY_MS


async def invite(
    connection: AsyncConnection,
    role: Role,
    *,
    unit: bytes | None,
    firm: str | None,
    by: bytes | None,
    now_ms: int,
    account: bytes | None = None,
) -> Invited:
    """A new invitation. Its code is in the answer alone; with `account` it is a recovery and ripens later."""
    code = new_code()
    digest = code_digest(code)
    assert digest is not None, "our own spelling"
    from_ms = now_ms + (RECOVERY_DELAY_MS if account else 0)
    invitation = Invitation(
        digest=digest,
        role=role,
        unit=unit,
        firm=firm,
        account=account,
        created_by=by,
        created_at_ms=now_ms,
        valid_from_ms=from_ms,
        expires_at_ms=from_ms + VALID_MS,
    )
    await connection.execute(
        insert(tables.invitations).values(
            code_digest=digest,
            role=role.value,
            unit=unit,
            firm=firm,
            account_id=account,
            created_by=by,
            created_at_ms=now_ms,
            valid_from_ms=invitation.valid_from_ms,
            expires_at_ms=invitation.expires_at_ms,
        )
    )
    return Invited(code=code, invitation=invitation)


async def recover(connection: AsyncConnection, grant: Grant, *, by: bytes, now_ms: int) -> Invited:
    """An invitation that gives the holder of `grant` a new passkey, after the delay."""
    whose = {"unit": grant.unit, "firm": grant.firm, "account": grant.account}
    return await invite(connection, grant.role, by=by, now_ms=now_ms, **whose)  # type: ignore[arg-type]


async def invitation_of(connection: AsyncConnection, digest: bytes) -> Invitation | None:
    """The unused invitation behind a code, ripe or not."""
    found = await _read(connection, tables.invitations.c.code_digest == digest)
    return found[0] if found else None


async def open_invitations(
    connection: AsyncConnection,
    roles: Collection[Role],
    *,
    unit: bytes | None = None,
    now_ms: int,
    skipped: int = 0,
    at_most: int | None = None,
) -> Sequence[Invitation]:
    """What may still be used to come in with one of these roles, newest first; into one unit, or anywhere."""
    column = tables.invitations.c
    where = () if unit is None else (column.unit == unit,)
    in_roles = column.role.in_([role.value for role in roles])
    return await _read(connection, column.expires_at_ms > now_ms, in_roles, *where, skipped=skipped, at_most=at_most)


async def recoveries_of(connection: AsyncConnection, account: bytes, now_ms: int) -> Sequence[Invitation]:
    """Attempts to give an account's place to a new passkey."""
    column = tables.invitations.c
    return await _read(connection, column.account_id == account, column.expires_at_ms > now_ms)


async def take(connection: AsyncConnection, digest: bytes, now_ms: int) -> bool:
    """Use an invitation; whether this was the one use."""
    column = tables.invitations.c
    unused = (column.code_digest == digest, column.used_at_ms.is_(None), column.stopped_at_ms.is_(None))
    in_time = (column.valid_from_ms <= now_ms, column.expires_at_ms > now_ms)
    result = await connection.execute(update(tables.invitations).where(*unused, *in_time).values(used_at_ms=now_ms))
    return bool(result.rowcount)


async def stop(connection: AsyncConnection, digest: bytes, now_ms: int) -> bool:
    """Make an unused invitation worthless; whether it was still worth something."""
    column = tables.invitations.c
    unused = (column.code_digest == digest, column.used_at_ms.is_(None), column.stopped_at_ms.is_(None))
    result = await connection.execute(update(tables.invitations).where(*unused).values(stopped_at_ms=now_ms))
    return bool(result.rowcount)


async def stop_written(
    connection: AsyncConnection, by: bytes, roles: Collection[Role], *, unit: bytes | None, now_ms: int
) -> int:
    """Make the unused letters worthless that an account wrote for these roles, into one unit or anywhere; how many."""
    column = tables.invitations.c
    unused = (column.used_at_ms.is_(None), column.stopped_at_ms.is_(None), column.expires_at_ms > now_ms)
    theirs = (column.created_by == by, column.role.in_([role.value for role in roles]))
    where = () if unit is None else (column.unit == unit,)
    stopped = update(tables.invitations).where(*unused, *theirs, *where).values(stopped_at_ms=now_ms)
    return int((await connection.execute(stopped)).rowcount)


async def _read(
    connection: AsyncConnection, *conditions: Any, skipped: int = 0, at_most: int | None = None
) -> Sequence[Invitation]:
    column = tables.invitations.c
    unused = (column.used_at_ms.is_(None), column.stopped_at_ms.is_(None))
    order = (column.created_at_ms.desc(), column.code_digest)
    query = select(tables.invitations).where(*unused, *conditions).order_by(*order).offset(skipped).limit(at_most)
    return [
        Invitation(
            digest=row.code_digest,
            role=Role(row.role),
            unit=row.unit,
            firm=row.firm,
            account=row.account_id,
            created_by=row.created_by,
            created_at_ms=row.created_at_ms,
            valid_from_ms=row.valid_from_ms,
            expires_at_ms=row.expires_at_ms,
        )
        for row in await connection.execute(query)
    ]
