"""Programs' tokens: each has a name, scopes and an end; the store keeps the hash alone.

Shown once when made. A token acts in no role and opens no page: it opens the routes of its scopes and nothing else.
A household's opens its own flat's and a crew's its own firm's; both rest on the role that made them, and end with it.
"""

import binascii
import hashlib
import re
import secrets
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, insert, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.dml import ReturningUpdate, Update

from cloud.errors import IdentityRefused
from cloud.identity import accounts
from cloud.identity.audit import LOCK, Act, write_entry
from cloud.identity.people import Grant
from cloud.identity.roles import HOUSEHOLD, Role
from cloud.store import Store, tables

__all__ = ["ApiToken", "Scope", "Tokens", "of_password", "revoke_made_in", "token_of"]

_PREFIX = "mlt_"  # so that a scanner for secrets knows one when it sees one
_SPELLING = re.compile(r"mlt_[A-Za-z0-9_-]{43}")
_DAY_MS = 86_400_000
_TOUCHED_AGAIN_MS = 60_000
DAYS_MAX = 366
_OF_ONE_MAX = 10
_OWN_ALONE = HOUSEHOLD | {Role.CREW, Role.FIRM}  # whose tokens nobody else of the same role looks after
_NUMBER_DIGITS = 12
_BASIC_LENGTH_MAX = 1024


class Scope(StrEnum):
    """What a token opens."""

    ENTRIES = "entries:read"  # logs' entries, households' too
    EVIDENCE = "evidence:read"  # evidence of any entry
    BILLS = "bills:read"  # any household's bill
    METRICS = "metrics:read"
    EXPORTS = "exports:read"  # the site's figures as files
    OWN = "own:read"  # the flat of the household that made it
    WORK = "work:read"  # the work to be done, as whoever made it sees it: for a calendar


SCOPES_OF = {
    Role.OWNER: frozenset({Scope.OWN}),
    Role.TENANT: frozenset({Scope.OWN}),
    Role.CREW: frozenset({Scope.WORK}),
    Role.FIRM: frozenset({Scope.WORK}),
    Role.OPERATOR: frozenset(Scope) - {Scope.OWN, Scope.WORK},
    Role.MANAGER: frozenset({Scope.METRICS, Scope.EXPORTS, Scope.WORK}),
    Role.COMMITTEE: frozenset({Scope.EXPORTS, Scope.WORK}),
    Role.REGULATOR: frozenset({Scope.EXPORTS, Scope.WORK}),
}
"""What a role may give its programs: nothing that the role itself may not see."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """One token, without its secret."""

    digest: bytes
    name: str
    role: Role
    grant: int | None  # the number of the role that it was made in
    scopes: frozenset[Scope]
    created_at_ms: int
    expires_at_ms: int
    last_used_at_ms: int | None

    @property
    def in_log(self) -> str:
        """What the audit log calls it, which forgets nothing: by a number where the name is its maker's own."""
        return _in_log(self.digest, self.name, self.role)


def of_password(authorization: str | None) -> str | None:
    """An Authorization header whose token was given as the password of HTTP Basic (RFC 7617), as calendar programs can;
    any other as it is.
    """
    kind, _, given = (authorization or "").partition(" ")
    if kind.lower() != "basic" or len(given) > _BASIC_LENGTH_MAX:
        return authorization
    try:
        _name, _, password = b64decode(given, validate=True).decode("ascii").partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return f"Bearer {password}"


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
        is_name = 1 <= len(name.strip()) <= 64 and name.strip().isprintable()
        if not is_name or not scopes or not 1 <= days <= DAYS_MAX:
            says = f"give a name of 1 to 64 printable letters, a scope, and 1 to {DAYS_MAX} days"
            raise IdentityRefused(422, "token", says)
        if not set(scopes) <= SCOPES_OF.get(role, frozenset()):
            raise IdentityRefused(403, "not_yours", f"a {role} cannot give a program more than a {role} may see")
        secret, token = _new_token(by, role, name.strip(), scopes, days=days, now_ms=now_ms)
        account, unit = (by.account, by.unit) if by else (None, None)
        what = f"{token.in_log}: {' '.join(sorted(token.scopes))}"
        async with self._store.write(LOCK) as connection:
            if by is not None and by.role in _OWN_ALONE:
                await _refuse_too_many(connection, by, now_ms)
            await connection.execute(
                insert(tables.api_tokens).values(
                    token_digest=token.digest,
                    name=token.name,
                    role=role.value,
                    scopes=" ".join(sorted(token.scopes)),
                    created_by=account,
                    grant_id=token.grant,
                    created_at_ms=now_ms,
                    expires_at_ms=token.expires_at_ms,
                )
            )
            who = {"account": account, "role": role.value, "unit": unit}
            await write_entry(connection, Act.TOKEN_MADE, at_ms=now_ms, what=what, **who)  # type: ignore[arg-type]
        return secret, token

    async def holder(self, token: ApiToken) -> Grant | None:
        """The role in force that a token was made in; None for one of the machine's own command."""
        if token.grant is None:
            return None
        async with self._store.read() as connection:
            return await accounts.grant_of(connection, token.grant)

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
        query = _in_force(now_ms).where(tables.api_tokens.c.token_digest == digest)
        async with self._store.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return None if row is None else _token(row)

    async def _note_use(self, token: ApiToken, now_ms: int) -> None:
        """Keep when a token was last used, to the minute."""
        if token.last_used_at_ms is not None and now_ms - token.last_used_at_ms <= _TOUCHED_AGAIN_MS:
            return
        used = update(tables.api_tokens).where(tables.api_tokens.c.token_digest == token.digest)
        async with self._store.write(LOCK) as connection:
            await connection.execute(used.values(last_used_at_ms=now_ms))

    async def listed(self, by: Grant | None, now_ms: int) -> Sequence[ApiToken]:
        """The tokens in force that somebody looks after, or all of them, newest first."""
        query = _in_force(now_ms).where(*_cared_for(by)).order_by(tables.api_tokens.c.created_at_ms.desc())
        async with self._store.read() as connection:
            return [_token(row) for row in await connection.execute(query)]

    async def names_in_log(self, unit: bytes) -> Mapping[str, str]:
        """The names of a household's tokens, ended ones too, by what the audit log calls them."""
        column, grant = tables.api_tokens.c, tables.grants.c
        query = select(column.token_digest, column.name, column.role).join(
            tables.grants, grant.grant_id == column.grant_id
        )
        async with self._store.read() as connection:
            return {_in_log_of(row): row.name for row in await connection.execute(query.where(grant.unit == unit))}

    async def revoke(self, by: Grant | None, digest: bytes, now_ms: int) -> None:
        """End a token that one looks after, at once. Raises `IdentityRefused`."""
        column = tables.api_tokens.c
        async with self._store.write(LOCK) as connection:
            gone = update(tables.api_tokens).where(
                column.token_digest == digest, column.revoked_at_ms.is_(None), *_cared_for(by)
            )
            gone_row = (await connection.execute(_revoked(gone, now_ms))).one_or_none()
            if gone_row is None:
                raise IdentityRefused(404, "unknown_token", "there is no such token in force; look at the list")
            who = {
                "account": by.account if by else None,
                "role": by.role.value if by else Role.OPERATOR.value,
                "unit": by.unit if by else None,
            }
            await write_entry(connection, Act.TOKEN_REVOKED, at_ms=now_ms, what=_in_log_of(gone_row), **who)  # type: ignore[arg-type]


async def revoke_made_in(connection: AsyncConnection, held: Grant, now_ms: int) -> Sequence[str]:
    """End what was made for programs in a role, in its own transaction; what the audit log calls them."""
    column = tables.api_tokens.c
    unnumbered = and_(column.grant_id.is_(None), column.created_by == held.account, column.role == held.role.value)
    theirs = (or_(column.grant_id == held.number, unnumbered),)
    in_force = (column.revoked_at_ms.is_(None), column.expires_at_ms > now_ms)
    gone = _revoked(update(tables.api_tokens).where(*theirs, *in_force), now_ms)
    return sorted(map(_in_log_of, await connection.execute(gone)))


def _revoked(gone: Update, now_ms: int) -> ReturningUpdate[Any]:
    column = tables.api_tokens.c
    return gone.values(revoked_at_ms=now_ms).returning(column.token_digest, column.name, column.role)


def _in_log_of(row: Any) -> str:
    return _in_log(row.token_digest, row.name, Role(row.role))


def _in_log(digest: bytes, name: str, role: Role) -> str:
    return digest.hex()[:_NUMBER_DIGITS] if role in _OWN_ALONE else name


def _new_token(
    by: Grant | None, role: Role, name: str, scopes: Collection[Scope], *, days: int, now_ms: int
) -> tuple[str, ApiToken]:
    secret = _PREFIX + urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
    digest = token_of(secret)
    assert digest is not None, "our own spelling"
    token = ApiToken(
        digest=digest,
        name=name,
        role=role,
        grant=by.number if by else None,
        scopes=frozenset(scopes),
        created_at_ms=now_ms,
        expires_at_ms=now_ms + days * _DAY_MS,
        last_used_at_ms=None,
    )
    return secret, token


def _in_force(now_ms: int) -> Select[Any]:
    """Neither revoked nor over, nor made in a role that has ended, by whatever way."""
    column, role = tables.api_tokens.c, tables.grants.c
    query = select(tables.api_tokens).outerjoin(tables.grants, role.grant_id == column.grant_id)
    is_held = or_(column.grant_id.is_(None), and_(role.grant_id.is_not(None), role.ended_at_ms.is_(None)))
    return query.where(column.expires_at_ms > now_ms, column.revoked_at_ms.is_(None), is_held)


def _cared_for(by: Grant | None) -> Sequence[ColumnElement[bool]]:
    """Whose tokens somebody looks after: a household or a crew its own, an officer all of the office."""
    column = tables.api_tokens.c
    if by is None:
        return ()
    return (column.grant_id == by.number,) if by.role in _OWN_ALONE else (column.role == by.role.value,)


async def _refuse_too_many(connection: AsyncConnection, by: Grant, now_ms: int) -> None:
    held = _in_force(now_ms).where(*_cared_for(by)).subquery()
    if (await connection.execute(select(func.count()).select_from(held))).scalar_one() >= _OF_ONE_MAX:
        says = f"you hold {_OF_ONE_MAX} tokens of this role already; revoke one that is not used any more"
        raise IdentityRefused(409, "too_many_tokens", says)


def _token(row: Any) -> ApiToken:
    return ApiToken(
        digest=row.token_digest,
        name=row.name,
        role=Role(row.role),
        grant=row.grant_id,
        scopes=frozenset(map(Scope, row.scopes.split())),
        created_at_ms=row.created_at_ms,
        expires_at_ms=row.expires_at_ms,
        last_used_at_ms=row.last_used_at_ms,
    )
