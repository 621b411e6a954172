"""Joining, signing in, and everything that a signed-in person does with their own access. One transaction each.

Whatever changes who may do what stands in the audit log in the same transaction, and gives the browser a new session.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import delete, insert, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.errors import IdentityRefused
from cloud.identity import accounts, invitations, passkeys, sessions, throttle, tokens
from cloud.identity.audit import Act, AuditLog, write_entry
from cloud.identity.care import Care, write_act
from cloud.identity.codes import code_digest, new_code
from cloud.identity.passkeys import Passkeys
from cloud.identity.people import Grant, HeldPasskey, Invitation, SignedIn
from cloud.identity.roles import Role, Strength
from cloud.store import Store, insert_new, tables

__all__ = ["CODES_AT_ONCE", "Identity"]

CODES_AT_ONCE = 8
_LIVE_ROLES = (Role.MANAGER, Role.COMMITTEE, Role.OPERATOR, Role.REGULATOR, Role.OWNER, Role.TENANT)


class Identity(Care):
    """Accounts of one site."""

    def __init__(self, store: Store, relying_party: Passkeys, audit: AuditLog) -> None:
        super().__init__(store)
        self.audit = audit
        self._passkeys = relying_party

    # -- coming in --------------------------------------------------------------------------------------------------

    async def invitation(self, code: str, *, address: str, now_ms: int) -> Invitation:
        """The ripe invitation behind a code. Raises `IdentityRefused`."""
        await self._count("code or passkey", address, now_ms)
        digest = code_digest(code)
        async with self._store.read() as connection:
            found = await invitations.invitation_of(connection, digest) if digest else None
        if found is None or found.expires_at_ms <= now_ms:
            raise IdentityRefused(401, "code", "this code was used, stopped or has ended; ask for a new letter")
        if not found.is_ripe(now_ms):
            raise IdentityRefused(409, "early", "this code opens only after its waiting time")
        return found

    async def begin_join(self, code: str, *, label: str, address: str, now_ms: int) -> dict[str, Any]:
        """What the phone needs to make the passkey of an invitation."""
        invitation = await self.invitation(code, address=address, now_ms=now_ms)
        async with self._store.write(None) as connection:
            return await self._passkeys.begin_registration(
                connection,
                purpose="join",
                subject=invitation.digest,
                user=_account_for(invitation),
                label=label,
                now_ms=now_ms,
            )

    async def join(self, code: str, answer: Mapping[str, Any], *, address: str, now_ms: int) -> Grant:
        """Use an invitation with a passkey. A recovery's replaces all that the account had, tokens too."""
        invitation = await self.invitation(code, address=address, now_ms=now_ms)
        account = _account_for(invitation)
        async with self._write() as connection:
            await self._take(connection, invitation, now_ms)
            if invitation.account is not None:
                await self._must_hold(connection, invitation)
                await passkeys.remove_all(connection, account)
                await connection.execute(
                    delete(tables.one_time_codes).where(tables.one_time_codes.c.account_id == account)
                )
                await sessions.end_all(connection, account)
                await self._revoke_all(connection, account, now_ms)
            if not await self._passkeys.finish_registration(
                connection, answer, purpose="join", subject=invitation.digest, account=account, now_ms=now_ms
            ):
                raise IdentityRefused(401, "passkey", "the phone's answer is not the one asked for; begin again")
            await throttle.forget(connection, address.encode())
            return await self._joined(connection, invitation, account, now_ms)

    async def join_without_passkey(self, code: str, *, address: str, now_ms: int) -> tuple[Grant, Sequence[str]]:
        """Use an invitation in a browser that has no passkeys: one-time codes for reading, and nothing more."""
        invitation = await self.invitation(code, address=address, now_ms=now_ms)
        if invitation.account is not None:
            raise IdentityRefused(409, "recovery", "a passkey is replaced by a passkey; use a browser that has them")
        account = _account_for(invitation)
        async with self._write() as connection:
            await self._take(connection, invitation, now_ms)
            grant = await self._joined(connection, invitation, account, now_ms)
            return grant, await self._new_codes(connection, grant, now_ms)

    async def add_role(self, grant: Grant, code: str, *, address: str, now_ms: int) -> Grant:
        """Use an invitation for one more role of one's own account. Raises `IdentityRefused`."""
        try:
            invitation = await self.invitation(code, address=address, now_ms=now_ms)
        except IdentityRefused as refusal:
            if refusal.status != 401:
                raise
            # Who asks is known; only what they brought is worth nothing.
            raise IdentityRefused(422, refusal.code, refusal.message) from refusal
        if invitation.account is not None:
            raise IdentityRefused(409, "recovery", "a passkey is replaced by a passkey; sign out, then use the code")
        async with self._write() as connection:
            await self._take(connection, invitation, now_ms)
            await throttle.forget(connection, address.encode())
            return await self._joined(connection, invitation, grant.account, now_ms)

    async def begin_sign_in(self, *, address: str, now_ms: int) -> dict[str, Any]:
        """What the phone needs to sign in with whatever passkey it has."""
        await self._count("challenge", address, now_ms)
        async with self._store.write(None) as connection:
            return await self._passkeys.begin_sign_in(connection, now_ms)

    async def sign_in(self, answer: Mapping[str, Any], *, address: str, now_ms: int) -> Grant:
        """Who answered with a passkey. Raises `IdentityRefused`."""
        await self._count("code or passkey", address, now_ms)
        async with self._write() as connection:
            account = await self._passkeys.finish_sign_in(connection, answer, now_ms)
            held = await accounts.grants_of(connection, account) if account else ()
            if not held:
                await write_entry(connection, Act.REFUSED, at_ms=now_ms, account=account, what="passkey")
            else:
                await throttle.forget(connection, address.encode())
                return await self._came_in(connection, _first(held), Strength.PASSKEY, now_ms)
        raise IdentityRefused(401, "passkey", "this passkey opens nothing here; use the one that you registered")

    async def sign_in_by_code(self, code: str, *, address: str, now_ms: int) -> Grant:
        """Who holds a one-time code, which is used up. Raises `IdentityRefused`."""
        await self._count("code or passkey", address, now_ms)
        column, digest = tables.one_time_codes.c, code_digest(code)
        async with self._write() as connection:
            used = (
                update(tables.one_time_codes)
                .where(column.code_digest == digest, column.used_at_ms.is_(None))
                .values(used_at_ms=now_ms)
                .returning(column.account_id)
            )
            account = (await connection.execute(used)).scalar_one_or_none() if digest else None
            held = await accounts.grants_of(connection, account) if account else ()
            if not held:
                await write_entry(connection, Act.REFUSED, at_ms=now_ms, account=account, what="code")
            else:
                return await self._came_in(connection, _first(held), Strength.CODE, now_ms)
        says = "this code was used already or is none of ours; take the next code of your sheet"
        raise IdentityRefused(401, "one_time_code", says)

    async def sign_in_by_link(self, token_digest: bytes, role: Role, unit: bytes | None, now_ms: int) -> Grant | None:
        """The account of a one-time link of the demo; None the second time."""
        async with self._write() as connection:
            mark = {"token_digest": token_digest, "used_at_ms": now_ms}
            if not await insert_new(connection, tables.sign_ins, mark):
                return None
            grant = await accounts.account_of_link(connection, token_digest, role, unit=unit, now_ms=now_ms)
            return await self._came_in(connection, grant, Strength.LINK, now_ms)

    # -- sessions ---------------------------------------------------------------------------------------------------

    async def open_session(
        self, digest: bytes, grant: Grant, strength: Strength, now_ms: int, *, replaces: bytes | None = None
    ) -> None:
        """Keep a session under the hash of its token. One that takes another's place ends when that would have."""
        async with self._store.write(None) as connection:
            since = await sessions.opened_at(connection, replaces) if replaces else None
            if replaces:
                await sessions.end_session(connection, replaces)
            await sessions.open_session(connection, digest, grant, strength, now_ms, since_ms=since)

    async def session(self, digest: bytes, now_ms: int) -> SignedIn | None:
        """Who is behind a session; counts its idle time anew."""
        async with self._store.question() as connection:
            found = await sessions.session_of(connection, digest, now_ms)
        if found is not None and sessions.needs_touch(found, now_ms):
            async with self._store.write(None) as connection:
                await sessions.touch(connection, digest, found, now_ms)
        return found

    async def end_session(self, digest: bytes, now_ms: int) -> None:
        """Sign out in this browser."""
        async with self._write() as connection:
            found = await sessions.session_of(connection, digest, now_ms)
            await sessions.end_session(connection, digest)
            if found is not None:
                await write_act(connection, Act.SIGNED_OUT, found.grant, now_ms)

    async def end_all(self, grant: Grant, now_ms: int) -> None:
        """Sign out everywhere. Programs' tokens are no sessions: they stay, as the button's words say."""
        async with self._write() as connection:
            await sessions.end_all(connection, grant.account)
            await write_act(connection, Act.SIGNED_OUT, grant, now_ms, what="everywhere")

    async def sweep(self, now_ms: int) -> bool:
        """Forget sessions, challenges and counts that have ended; there is never more to do at once."""
        async with self._store.write(None) as connection:
            await sessions.sweep(connection, now_ms)
        return False

    async def change_role(self, grant: Grant, number: int, now_ms: int) -> Grant:
        """Go on in another of one's own roles."""
        async with self._write() as connection:
            other = await accounts.grant_of(connection, number)
            if other is None or other.account != grant.account:
                raise IdentityRefused(404, "unknown_role", "you do not hold this role; choose one of the list")
            await write_act(connection, Act.ROLE_CHANGED, other, now_ms)
            return other

    # -- one's own keys ---------------------------------------------------------------------------------------------

    async def begin_passkey(self, grant: Grant, *, label: str, now_ms: int) -> dict[str, Any]:
        """What the phone needs to make one more passkey."""
        async with self._store.write(None) as connection:
            return await self._passkeys.begin_registration(
                connection, purpose="add", subject=grant.account, user=grant.account, label=label, now_ms=now_ms
            )

    async def add_passkey(self, grant: Grant, answer: Mapping[str, Any], now_ms: int) -> None:
        """Keep one more passkey. Raises `IdentityRefused`."""
        async with self._write() as connection:
            if not await self._passkeys.finish_registration(
                connection, answer, purpose="add", subject=grant.account, account=grant.account, now_ms=now_ms
            ):
                raise IdentityRefused(
                    409, "passkey", f"not kept: begin again, and hold at most {passkeys.PASSKEYS_MAX} passkeys"
                )
            await write_act(connection, Act.PASSKEY_ADDED, grant, now_ms)

    async def remove_passkey(self, grant: Grant, credential: bytes, now_ms: int, *, here: bytes | None) -> None:
        """Remove one of several passkeys, and end every session that it may have opened: all but the one `here`.

        Raises:
            IdentityRefused: it is the last.
        """
        async with self._write() as connection:
            if not await passkeys.remove(connection, grant.account, credential):
                raise IdentityRefused(409, "last_passkey", "add another passkey first: this is the only one")
            await sessions.end_all(connection, grant.account, but=here)
            await write_act(connection, Act.PASSKEY_REMOVED, grant, now_ms)

    async def passkeys(self, grant: Grant) -> Sequence[HeldPasskey]:
        async with self._store.read() as connection:
            return await passkeys.passkeys_of(connection, grant.account)

    async def grants(self, grant: Grant) -> Sequence[Grant]:
        async with self._store.read() as connection:
            return await accounts.grants_of(connection, grant.account)

    async def new_codes(self, grant: Grant, now_ms: int, *, here: bytes | None) -> Sequence[str]:
        """A fresh sheet of one-time codes; the old one, and every session but the one `here`, is worth nothing more."""
        async with self._write() as connection:
            await sessions.end_all(connection, grant.account, but=here)
            return await self._new_codes(connection, grant, now_ms)

    # -- parts ------------------------------------------------------------------------------------------------------

    async def _count(self, kind: str, address: str, now_ms: int) -> None:
        async with self._store.write(None) as connection:
            allowed = await throttle.is_allowed(connection, kind, address.encode(), now_ms)
        if not allowed:
            seconds = throttle.WINDOW_MS // 1000
            raise IdentityRefused(429, "too_many", "too many attempts from here; wait ten minutes", retry_after=seconds)

    async def _take(self, connection: AsyncConnection, invitation: Invitation, now_ms: int) -> None:
        if not await invitations.take(connection, invitation.digest, now_ms):
            raise IdentityRefused(401, "code", "this code was used already; ask for a new letter")

    async def _must_hold(self, connection: AsyncConnection, recovery: Invitation) -> None:
        """A letter for a lost passkey brings a role back to nobody who does not hold it any more."""
        assert recovery.account is not None, "it is a recovery"
        wanted = (recovery.role, recovery.unit, recovery.firm)
        held = await accounts.grants_of(connection, recovery.account)
        if not any((one.role, one.unit, one.firm) == wanted for one in held):
            raise IdentityRefused(401, "code", "the role of this letter has ended; ask for a new letter")

    async def _revoke_all(self, connection: AsyncConnection, account: bytes, now_ms: int) -> None:
        """What a lost phone may have made for programs opens nothing more."""
        for held in await accounts.grants_of(connection, account):
            for name in await tokens.revoke_made_in(connection, held, now_ms):
                await write_act(connection, Act.TOKEN_REVOKED, held, now_ms, what=name)

    async def _joined(self, connection: AsyncConnection, invitation: Invitation, account: bytes, now_ms: int) -> Grant:
        await accounts.open_account(connection, account, now_ms)
        grant = await accounts.give_role(
            connection,
            account,
            invitation.role,
            unit=invitation.unit,
            firm=invitation.firm,
            by=invitation.created_by,
            now_ms=now_ms,
        )
        what = f"{grant.role} recovered" if invitation.account else grant.role.value
        await write_act(connection, Act.JOINED, grant, now_ms, what=what)
        return grant

    async def _came_in(self, connection: AsyncConnection, grant: Grant, strength: Strength, now_ms: int) -> Grant:
        await write_act(connection, Act.SIGNED_IN, grant, now_ms, what=strength.value)
        return grant

    async def _new_codes(self, connection: AsyncConnection, grant: Grant, now_ms: int) -> Sequence[str]:
        column = tables.one_time_codes.c
        await connection.execute(delete(tables.one_time_codes).where(column.account_id == grant.account))
        codes = [new_code() for _ in range(CODES_AT_ONCE)]
        rows = [{"code_digest": code_digest(code), "account_id": grant.account} for code in codes]
        await connection.execute(insert(tables.one_time_codes), [{**row, "created_at_ms": now_ms} for row in rows])
        await write_act(connection, Act.CODES_MADE, grant, now_ms)
        return codes


def _account_for(invitation: Invitation) -> bytes:
    """The account that an invitation opens or makes: the same in both halves of the ceremony."""
    if invitation.account is not None:
        return invitation.account
    return hashlib.sha256(b"minglou/account\0" + invitation.digest).digest()[: accounts.ACCOUNT_BYTES]


def _first(held: Sequence[Grant]) -> Grant:
    """The role to begin with: an office before a household."""
    ranked = {role: place for place, role in enumerate(_LIVE_ROLES)}
    return min(held, key=lambda grant: (ranked.get(grant.role, len(ranked)), grant.number))
