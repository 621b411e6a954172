"""Programs' tokens: each has a name, scopes and an end; the store keeps the hash alone.

Shown once when made. A token acts in no role and opens no page: it opens the routes of its scopes and nothing else.
"""

import hashlib
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.errors import IdentityRefused
from cloud.identity.audit import LOCK, Act, write_entry
from cloud.identity.people import Grant
from cloud.identity.roles import Role
from cloud.store import Store, tables

__all__ = ["ApiToken", "Scope", "Tokens", "revoke_made_by", "token_of"]

_PREFIX = "mlt_"  # so that a scanner for secrets knows one when it sees one
_SPELLING = re.compile(r"mlt_[A-Za-z0-9_-]{43}")
_DAY_MS = 86_400_000
_TOUCHED_AGAIN_MS = 60_000
DAYS_MAX = 366


class Scope(StrEnum):
    """What a token opens."""

    ENTRIES = "entries:read"  # logs' entries, households' too
    EVIDENCE = "evidence:read"  # evidence of any entry
    BILLS = "bills:read"  # any household's bill
    METRICS = "metrics:read"
    EXPORTS = "exports:read"  # the site's figures as files


SCOPES_OF = {
    Role.OPERATOR: frozenset(Scope),
    Role.MANAGER: frozenset({Scope.METRICS, Scope.EXPORTS}),
    Role.COMMITTEE: frozenset({Scope.EXPORTS}),
    Role.REGULATOR: frozenset({Scope.EXPORTS}),
}
"""What a role may give its programs: nothing that the role itself may not see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """One token, without its secret."""

    digest: bytes
    name: str
    role: Role
    scopes: frozenset[Scope]
    created_at_ms: int
    expires_at_ms: int
    last_used_at_ms: int | None


def token_of(authorization: str | None) -> bytes | None:
    """The digest of the token in an Authorization header, or None if there is none of our spelling."""
    given = (authorization or "").removeprefix("Bearer ")
    return hashlib.sha256(given.encode()).digest() if _SPELLING.fullmatch(given) else None


class Tokens:
    """The tokens of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        # What was in force when it was last asked: a monitor must be answered just when the database is away.
        self._seen: dict[bytes, ApiToken] = {}

    async def make(
        self, by: Grant | None, name: str, scopes: Collection[Scope], *, days: int, now_ms: int
    ) -> tuple[str, ApiToken]:
        """A new token and its secret, which is shown this once. Raises `IdentityRefused`."""
        role = by.role if by else Role.OPERATOR
        if not 1 <= len(name.strip()) <= 64 or not scopes or not 1 <= days <= DAYS_MAX:
            raise IdentityRefused(422, "token", f"give a name of 1 to 64 letters, a scope, and 1 to {DAYS_MAX} days")
        if not set(scopes) <= SCOPES_OF.get(role, frozenset()):
            raise IdentityRefused(403, "not_yours", f"a {role} cannot give a program more than a {role} may see")
        secret = _PREFIX + urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
        digest = token_of(secret)
        assert digest is not None, "our own spelling"
        token = ApiToken(
            digest=digest,
            name=name.strip(),
            role=role,
            scopes=frozenset(scopes),
            created_at_ms=now_ms,
            expires_at_ms=now_ms + days * _DAY_MS,
            last_used_at_ms=None,
        )
        async with self._store.write(LOCK) as connection:
            await connection.execute(
                insert(tables.api_tokens).values(
                    token_digest=digest,
                    name=token.name,
                    role=role.value,
                    scopes=" ".join(sorted(token.scopes)),
                    created_by=by.account if by else None,
                    created_at_ms=now_ms,
                    expires_at_ms=token.expires_at_ms,
                )
            )
            account = by.account if by else None
            what = f"{token.name}: {' '.join(sorted(token.scopes))}"
            await write_entry(connection, Act.TOKEN_MADE, at_ms=now_ms, account=account, role=role.value, what=what)
        return secret, token

    async def open(self, authorization: str | None, scope: Scope, now_ms: int) -> ApiToken | None:
        """The token in force behind a header, if it has the scope; notes its use.

        While the database is away, a monitor's token that was in force before is believed until its end.
        """
        digest = token_of(authorization)
        if digest is None:
            return None
        try:
            token = await self._read(digest, now_ms)
        except (SQLAlchemyError, OSError):
            token = self._seen.get(digest) if scope is Scope.METRICS else None
            return token if token is not None and token.expires_at_ms > now_ms else None
        if token is None or scope not in token.scopes:
            self._seen.pop(digest, None)
            return None
        self._seen[digest] = token
        await self._note_use(token, now_ms)
        return token

    async def in_force(self, authorization: str | None, now_ms: int) -> ApiToken | None:
        """The token behind a header, whatever it opens; None too while the database is away."""
        digest = token_of(authorization)
        try:
            return None if digest is None else await self._read(digest, now_ms)
        except (SQLAlchemyError, OSError):
            return None

    async def _read(self, digest: bytes, now_ms: int) -> ApiToken | None:
        column = tables.api_tokens.c
        in_force = (column.token_digest == digest, column.expires_at_ms > now_ms, column.revoked_at_ms.is_(None))
        async with self._store.read() as connection:
            row = (await connection.execute(select(tables.api_tokens).where(*in_force))).one_or_none()
        return None if row is None else _token(row)

    async def _note_use(self, token: ApiToken, now_ms: int) -> None:
        """Keep when a token was last used, to the minute."""
        if token.last_used_at_ms is not None and now_ms - token.last_used_at_ms <= _TOUCHED_AGAIN_MS:
            return
        used = update(tables.api_tokens).where(tables.api_tokens.c.token_digest == token.digest)
        async with self._store.write(LOCK) as connection:
            await connection.execute(used.values(last_used_at_ms=now_ms))

    async def listed(self, role: Role | None, now_ms: int) -> Sequence[ApiToken]:
        """The tokens in force of a role, or all of them, newest first."""
        column = tables.api_tokens.c
        whose = () if role is None else (column.role == role.value,)
        query = select(tables.api_tokens).where(column.expires_at_ms > now_ms, column.revoked_at_ms.is_(None), *whose)
        async with self._store.read() as connection:
            return [_token(row) for row in await connection.execute(query.order_by(column.created_at_ms.desc()))]

    async def revoke(self, by: Grant | None, digest: bytes, now_ms: int) -> None:
        """End a token of one's role at once. Raises `IdentityRefused`."""
        column = tables.api_tokens.c
        whose = () if by is None else (column.role == by.role.value,)
        async with self._store.write(LOCK) as connection:
            gone = update(tables.api_tokens).where(
                column.token_digest == digest, column.revoked_at_ms.is_(None), *whose
            )
            name = (
                await connection.execute(gone.values(revoked_at_ms=now_ms).returning(column.name))
            ).scalar_one_or_none()
            if name is None:
                raise IdentityRefused(404, "unknown_token", "there is no such token in force; look at the list")
            who = {"account": by.account if by else None, "role": by.role.value if by else Role.OPERATOR.value}
            await write_entry(connection, Act.TOKEN_REVOKED, at_ms=now_ms, what=name, **who)  # type: ignore[arg-type]


async def revoke_made_by(connection: AsyncConnection, account: bytes, role: Role, now_ms: int) -> Sequence[str]:
    """End what an account made for programs of this role, in its own transaction; the tokens' names."""
    column = tables.api_tokens.c
    theirs = (column.created_by == account, column.role == role.value)
    in_force = (column.revoked_at_ms.is_(None), column.expires_at_ms > now_ms)
    gone = update(tables.api_tokens).where(*theirs, *in_force).values(revoked_at_ms=now_ms).returning(column.name)
    return sorted((await connection.execute(gone)).scalars())


def _token(row: Any) -> ApiToken:
    return ApiToken(
        digest=row.token_digest,
        name=row.name,
        role=Role(row.role),
        scopes=frozenset(map(Scope, row.scopes.split())),
        created_at_ms=row.created_at_ms,
        expires_at_ms=row.expires_at_ms,
        last_used_at_ms=row.last_used_at_ms,
    )
