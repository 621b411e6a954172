"""Accounts and the roles that they hold. Functions on one transaction; who may call them is decided above."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.identity.people import Grant
from cloud.identity.roles import Role
from cloud.store import insert_new, tables

__all__ = [
    "account_of_link",
    "end_grant",
    "give_role",
    "grant_in",
    "grant_of",
    "grants_in_roles",
    "grants_of",
    "open_account",
]

ACCOUNT_BYTES = 16


async def open_account(connection: AsyncConnection, account: bytes, now_ms: int) -> None:
    """Keep an account's number, unless it is known: random bytes, and nobody's name."""
    await insert_new(connection, tables.accounts, {"account_id": account, "created_at_ms": now_ms})


async def give_role(
    connection: AsyncConnection,
    account: bytes,
    role: Role,
    *,
    unit: bytes | None,
    firm: str | None,
    by: bytes | None,
    now_ms: int,
) -> Grant:
    """Let an account hold a role from now on; one that it holds already stays as it is."""
    for held in await grants_of(connection, account):
        if (held.role, held.unit, held.firm) == (role, unit, firm):
            return held
    values = {"account_id": account, "role": role.value, "unit": unit, "firm": firm}
    result = await connection.execute(insert(tables.grants).values(**values, granted_at_ms=now_ms, granted_by=by))
    found = await grant_of(connection, int(result.inserted_primary_key[0]))  # type: ignore[index]
    assert found is not None, "it was inserted in this transaction"
    return found


async def account_of_link(
    connection: AsyncConnection, token_digest: bytes, role: Role, *, unit: bytes | None, now_ms: int
) -> Grant:
    """The account behind a one-time link of the demo: always the same one, made when the link is first used."""
    account = token_digest[:ACCOUNT_BYTES]
    await open_account(connection, account, now_ms)
    return await give_role(connection, account, role, unit=unit, firm=None, by=None, now_ms=now_ms)


async def grants_of(connection: AsyncConnection, account: bytes) -> Sequence[Grant]:
    """The roles in force of an account, oldest first."""
    return await _grants(connection, tables.grants.c.account_id == account)


async def grants_in_roles(
    connection: AsyncConnection,
    roles: Collection[Role],
    *,
    unit: bytes | None = None,
    skipped: int = 0,
    at_most: int | None = None,
) -> Sequence[Grant]:
    """Who holds one of these roles at present, oldest first; in one unit, or anywhere."""
    column = tables.grants.c
    where = () if unit is None else (column.unit == unit,)
    in_roles = column.role.in_([role.value for role in roles])
    return await _grants(connection, in_roles, *where, skipped=skipped, at_most=at_most)


async def grant_of(connection: AsyncConnection, number: int) -> Grant | None:
    """One role in force by its number."""
    found = await _grants(connection, tables.grants.c.grant_id == number)
    return found[0] if found else None


async def end_grant(connection: AsyncConnection, number: int, now_ms: int) -> Grant | None:
    """End a role and every session that rests on it; the role as it was, or None if there is none in force."""
    found = await grant_of(connection, number)
    if found is None:
        return None
    column = tables.grants.c
    await connection.execute(update(tables.grants).where(column.grant_id == number).values(ended_at_ms=now_ms))
    await connection.execute(delete(tables.sessions).where(tables.sessions.c.grant_id == number))
    return found


async def _grants(
    connection: AsyncConnection, *conditions: Any, skipped: int = 0, at_most: int | None = None
) -> Sequence[Grant]:
    column = tables.grants.c
    query = select(tables.grants).where(column.ended_at_ms.is_(None), *conditions).order_by(column.grant_id)
    query = query.offset(skipped).limit(at_most)
    return [grant_in(row) for row in await connection.execute(query)]


def grant_in(row: Any) -> Grant:
    """The role of a row with the columns of grants."""
    return Grant(
        number=row.grant_id,
        account=row.account_id,
        role=Role(row.role),
        unit=row.unit,
        firm=row.firm,
        granted_at_ms=row.granted_at_ms,
        ended_at_ms=row.ended_at_ms,
    )
