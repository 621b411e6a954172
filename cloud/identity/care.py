"""Others' roles, by who looks after them: letters that open one, its end, and lists of both. One transaction each.

Whatever changes who may do what stands in the audit log in the same transaction.
"""

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.errors import IdentityRefused
from cloud.identity import accounts, invitations, tokens
from cloud.identity.audit import LOCK, Act, write_entry
from cloud.identity.people import Grant, Invitation, Invited
from cloud.identity.roles import HOUSEHOLD, INVITES, Role
from cloud.store import Store

__all__ = ["SHOWN_AT_ONCE", "Care", "write_act"]

SHOWN_AT_ONCE = 100


class Care:
    """Roles of one site, as those see them who give and end them."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[AsyncConnection]:
        async with self._store.write(LOCK) as connection:
            yield connection

    async def invite(
        self, by: Grant | None, role: Role, *, unit: bytes | None, firm: str | None, now_ms: int
    ) -> Invited:
        """A code for a role; `by` None is the machine's own command. Raises `IdentityRefused`."""
        if by is not None and (role not in INVITES.get(by.role, ()) or (by.unit is not None and by.unit != unit)):
            raise IdentityRefused(403, "not_yours", f"a {by.role} cannot invite a {role} here")
        if (role in HOUSEHOLD) != (unit is not None):
            raise IdentityRefused(422, "unit", "name the flat for an owner or a tenant, and for nobody else")
        async with self._write() as connection:
            account = by.account if by else None
            made = await invitations.invite(connection, role, unit=unit, firm=firm, by=account, now_ms=now_ms)
            await write_act(connection, Act.INVITED, by, now_ms, unit=unit, what=role.value)
            return made

    async def recover(self, by: Grant, number: int, now_ms: int) -> Invited:
        """A letter for somebody who lost all passkeys; opens only after the delay. Raises `IdentityRefused`."""
        async with self._write() as connection:
            lost = await accounts.grant_of(connection, number)
            if lost is None or not _may_end(by, lost):
                raise IdentityRefused(404, "unknown_role", "there is no such role in your care")
            made = await invitations.recover(connection, lost, by=by.account, now_ms=now_ms)
            await write_act(connection, Act.RECOVERY_BEGUN, by, now_ms, unit=lost.unit, what=lost.role.value)
            return made

    async def recoveries(self, grant: Grant, now_ms: int) -> Sequence[Invitation]:
        """What would give this account to a new passkey: shown to its holder, who may stop it."""
        async with self._store.read() as connection:
            return await invitations.recoveries_of(connection, grant.account, now_ms)

    async def stop_invitation(self, by: Grant, digest: bytes, now_ms: int) -> None:
        """Make a code worthless: by who made it, who looks after such roles, or whose account it would open."""
        async with self._write() as connection:
            found = await invitations.invitation_of(connection, digest)
            mine = found is not None and (
                found.account == by.account
                or (found.role in INVITES.get(by.role, ()) and by.unit in (None, found.unit))
            )
            if found is None or not mine or not await invitations.stop(connection, digest, now_ms):
                raise IdentityRefused(404, "unknown_code", "there is no such open invitation in your care")
            await write_act(connection, Act.INVITATION_STOPPED, by, now_ms, unit=found.unit, what=found.role.value)

    async def end_grant(self, by: Grant | None, number: int, now_ms: int) -> Grant:
        """End somebody's role with all that rests on it: sessions, letters they wrote, programs' tokens they made.

        Args:
            by: None is the machine's own command, which may end any.

        Raises:
            IdentityRefused: there is no such role, or somebody else looks after it.
        """
        async with self._write() as connection:
            held = await accounts.grant_of(connection, number)
            if held is None or (by is not None and not _may_end(by, held)):
                raise IdentityRefused(404, "unknown_role", "there is no such role in your care")
            await accounts.end_grant(connection, number, now_ms)
            await self._stop_letters_of(connection, by, held, now_ms)
            for name in await tokens.revoke_made_in(connection, held, now_ms):
                await write_act(connection, Act.TOKEN_REVOKED, by, now_ms, unit=held.unit, what=name)
            await write_act(connection, Act.ROLE_ENDED, by, now_ms, unit=held.unit, what=held.role.value)
            return held

    async def _stop_letters_of(self, connection: AsyncConnection, by: Grant | None, held: Grant, now_ms: int) -> None:
        """Letters through which an ended role would come back: for its own lost passkey, or kept by who wrote them."""
        for letter in await invitations.recoveries_of(connection, held.account, now_ms):
            if (letter.role, letter.unit) == (held.role, held.unit):
                await invitations.stop(connection, letter.digest, now_ms)
        written = await invitations.stop_written(
            connection, held.account, INVITES.get(held.role, frozenset()), unit=held.unit, now_ms=now_ms
        )
        if written:
            what = f"{written} letters of a {held.role} whose role ended"
            await write_act(connection, Act.INVITATION_STOPPED, by, now_ms, unit=held.unit, what=what)

    async def holders(self, roles: Collection[Role] = frozenset(Role), *, unit: bytes | None = None) -> Sequence[Grant]:
        """Who holds these roles at present, oldest first; in one unit, or anywhere."""
        async with self._store.read() as connection:
            return await accounts.grants_in_roles(connection, roles, unit=unit)

    async def in_care_of(
        self, by: Grant, now_ms: int, *, unit: bytes | None = None, page: int = 0
    ) -> tuple[Sequence[Grant], Sequence[Invitation]]:
        """A page of the roles and one of the open invitations that somebody looks after: of one unit, or of all.

        Each holds `SHOWN_AT_ONCE`, and one more where another page follows.
        """
        roles, where = INVITES.get(by.role, frozenset()), by.unit if by.unit is not None else unit
        part = {"skipped": page * SHOWN_AT_ONCE, "at_most": SHOWN_AT_ONCE + 1}
        async with self._store.read() as connection:
            held = await accounts.grants_in_roles(connection, roles, unit=where, **part)
            opened = await invitations.open_invitations(connection, roles, unit=where, now_ms=now_ms, **part)
        return held, opened


async def write_act(
    connection: AsyncConnection,
    act: Act,
    grant: Grant | None,
    now_ms: int,
    *,
    unit: bytes | None = None,
    what: str = "",
) -> None:
    """An entry about what somebody did; it concerns the given unit, or their own."""
    account, role = (grant.account, grant.role.value) if grant else (None, "")
    concerns = unit if unit is not None else (grant.unit if grant else None)
    await write_entry(connection, act, at_ms=now_ms, account=account, role=role, unit=concerns, what=what)


def _may_end(by: Grant, held: Grant) -> bool:
    return held.role in INVITES.get(by.role, ()) and by.unit in (None, held.unit)
