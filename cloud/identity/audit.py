"""The audit log: who signed in, which roles changed, who looked at a household, what was exported or erased.

An append-only RFC 9162 tree of its own. An entry is written in the transaction of what it tells, and before anything is
shown. Its heads are signed with a key of its own and enter the super-log, so that witnesses and anchors cover them and
whoever rewrites it contradicts himself in public. Entries hold aliases and random account numbers, no name and no
reading, and a salt each: what is public, hashes and heads, lets nobody guess one, but for those that a version before
the salt wrote (decision 0024).
"""

import json
import secrets
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.errors import SettingsError, StoreError
from cloud.identity.audit_tree import LOCK, catch_up, grow_tree, grown_size, signed_size
from cloud.identity.roles import Role
from cloud.store import Store, insert_new, tables
from contracts import ed25519
from contracts.checkpoint import Checkpoint
from contracts.detail import canonical_json
from contracts.errors import ContractsError
from contracts.superlog import open_superlog, sign_superlog
from contracts.tree import Frontier, leaf_hash

__all__ = ["BY_PEOPLE", "EVERY_UNIT", "LOCK", "Act", "AuditEntry", "AuditLog", "write_entry"]

EVERY_UNIT = b""
"""Stands for a unit in an entry that concerns all households."""

_ROWS_AT_ONCE = 5_000
_HOUR_MS = 3_600_000
_SALT_BYTES = 16


class Act(StrEnum):
    """What an entry tells."""

    SIGNED_IN = "signed_in"
    SIGNED_OUT = "signed_out"
    REFUSED = "refused"  # a code or passkey that opens nothing
    INVITED = "invited"
    INVITATION_STOPPED = "invitation_stopped"
    JOINED = "joined"
    ROLE_CHANGED = "role_changed"
    ROLE_ENDED = "role_ended"
    PASSKEY_ADDED = "passkey_added"
    PASSKEY_REMOVED = "passkey_removed"
    CODES_MADE = "codes_made"
    RECOVERY_BEGUN = "recovery_begun"
    LOOKED = "looked"  # at a household's data, by somebody who is not its owner
    TOKEN_LOOKED = "token_looked"  # noqa: S105 - a program of the flat's owner, from then on within its UTC hour
    TENANT_TOKEN_LOOKED = "tenant_token_looked"  # noqa: S105 - a tenant's likewise
    EXPORTED = "exported"
    ERASED = "erased"
    TOKEN_MADE = "token_made"  # noqa: S105 - the name of an act
    TOKEN_REVOKED = "token_revoked"  # noqa: S105 - the name of an act
    PHOTO_SHOWN = "photo_shown"  # of a visit, to an officer
    FLAG_EXPLAINED = "flag_explained"
    FLAG_DECIDED = "flag_decided"
    FLAG_BROUGHT = "flag_brought"  # two visits that contradict each other, to the chain


_BY_PROGRAMS = frozenset({Act.TOKEN_LOOKED, Act.TENANT_TOKEN_LOOKED})
BY_PEOPLE = frozenset(Act) - _BY_PROGRAMS
"""All but households' own programs' looks, which would hide everything else by their number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One entry as people see it."""

    index: int
    at_ms: int
    act: Act
    role: str  # of who did it; "" where nobody was signed in
    what: str  # a route, a role, a token; never a person's name


async def write_entry(
    connection: AsyncConnection,
    act: Act,
    *,
    at_ms: int,
    account: bytes | None = None,
    role: str = "",
    unit: bytes | None = None,
    what: str = "",
) -> None:
    """Append one entry, in a transaction that holds `LOCK`.

    Args:
        account: who did it; None for a machine's command or a stranger.
        unit: alias of the household that it concerns, to which it will be shown.
    """
    row = (await connection.execute(select(tables.audit_head))).one_or_none()
    frontier = Frontier() if row is None else Frontier.from_bytes(row.peaks)
    fields = {
        "account": account.hex() if account else "",
        "act": act.value,
        "at_ms": at_ms,
        "index": frontier.size,
        "role": role,
        "salt": secrets.token_hex(_SALT_BYTES),
        "unit": "*" if unit == EVERY_UNIT else unit.hex() if unit else "",
        "what": what[:200],
    }
    body = canonical_json(fields)
    values = {"entry_index": frontier.size, "at_ms": at_ms, "act": act.value, "account_id": account, "unit": unit}
    await connection.execute(insert(tables.audit_entries).values(**values, body=body.decode()))
    frontier.append(leaf_hash(body))
    head = {"size": frontier.size, "peaks": frontier.to_bytes()}
    if not await insert_new(connection, tables.audit_head, {"one": 1, **head}):
        await connection.execute(update(tables.audit_head).values(head))


class AuditLog:
    """Reads, signs and checks the audit log of one store."""

    def __init__(self, store: Store, origin: str, key: ed25519.PrivateKey) -> None:
        self.origin = origin
        self.public = ed25519.public_bytes(key)
        self._store, self._key = store, key

    async def check_key(self) -> None:
        """Whether the key is the one that signed before: of replicas, all must have one.

        Raises:
            SettingsError: it is another one.
        """
        note = await self.latest_note()
        try:
            if note is not None:
                open_superlog(note, self.origin, self.public)
        except ContractsError as error:
            raise SettingsError(
                f"audit log key: {error}; the audit log in this database was signed with another key: name that one "
                "as [identity] audit_key_file, for all replicas"
            ) from error

    async def write(self, act: Act, *, at_ms: int, **facts: Any) -> None:
        """Append one entry in a transaction of its own."""
        async with self._store.write(LOCK) as connection:
            await write_entry(connection, act, at_ms=at_ms, **facts)

    async def write_hourly(
        self, act: Act, *, at_ms: int, account: bytes, role: Role, unit: bytes | None, what: str
    ) -> None:
        """Append an entry, unless this UTC hour holds the same one already: it stands for the rest of the hour."""
        column = tables.audit_entries.c
        hour = column.at_ms.between(at_ms - at_ms % _HOUR_MS, at_ms)
        query = select(column.body).where(column.unit == unit, column.act == act, hour, column.account_id == account)

        async def is_held(connection: AsyncConnection) -> bool:
            return any(json.loads(body)["what"] == what for body in (await connection.execute(query)).scalars())

        async with self._store.read() as connection:
            if await is_held(connection):
                return
        async with self._store.write(LOCK) as connection:
            if not await is_held(connection):
                await write_entry(connection, act, at_ms=at_ms, account=account, role=role.value, unit=unit, what=what)

    async def of_unit(
        self, unit: bytes, *, from_ms: int = 0, count: int = 100, acts: Collection[Act] = frozenset(Act)
    ) -> Sequence[AuditEntry]:
        """What concerned a household from an instant on, newest first."""
        column = tables.audit_entries.c
        units = [unit, EVERY_UNIT] if BY_PEOPLE & set(acts) else [unit]
        return await self._read(
            column.unit.in_(units), column.act.in_(sorted(acts)), column.at_ms >= from_ms, count=count
        )

    async def newest(self, count: int = 100) -> Sequence[AuditEntry]:
        """The last entries but households' programs' looks, newest first."""
        return await self._read(tables.audit_entries.c.act.in_(sorted(BY_PEOPLE)), count=count)

    async def _read(self, *conditions: Any, count: int) -> Sequence[AuditEntry]:
        column = tables.audit_entries.c
        query = select(column.body).where(*conditions).order_by(column.entry_index.desc()).limit(count)
        async with self._store.read() as connection:
            return [_entry(json.loads(body)) for body in (await connection.execute(query)).scalars()]

    async def sign_head(self, *, now_ms: int) -> str | None:
        """The signed note of the present head, kept; None while the log is empty. Raises `SettingsError` (key)."""
        await self.check_key()
        await catch_up(self._store)
        async with self._store.write(LOCK) as connection:
            row = (await connection.execute(select(tables.audit_head))).one_or_none()
            if row is None:
                return None
            column = tables.audit_notes.c
            held = (await connection.execute(select(column.note).where(column.size == row.size))).scalar_one_or_none()
            if held is not None:
                return str(held)
            while await grow_tree(connection, row.size):
                pass
            root = Frontier.from_bytes(row.peaks).root()
            note = sign_superlog(Checkpoint(origin=self.origin, size=row.size, root=root), self._key)
            await connection.execute(insert(tables.audit_notes).values(size=row.size, note=note, signed_at_ms=now_ms))
            return note

    async def latest_note(self) -> str | None:
        """The newest signed head; None before the first."""
        column = tables.audit_notes.c
        async with self._store.read() as connection:
            newest = select(column.note).order_by(column.size.desc()).limit(1)
            return (await connection.execute(newest)).scalar_one_or_none()

    async def step(self, now_ms: int) -> bool:
        """Sign the head where it grew since the last note, and bring the tree behind what an older version signed."""
        async with self._store.read() as connection:
            signed, grown = await signed_size(connection), await grown_size(connection)
            size = (await connection.execute(select(tables.audit_head.c.size))).scalar_one_or_none()
        if grown < signed:
            await catch_up(self._store)
        if size and size != signed:
            await self.sign_head(now_ms=now_ms)
        return False

    async def check(self) -> int:
        """Recompute the tree from the entries and hold every signed note against it; how many entries there are.

        Raises:
            StoreError: an entry was changed or removed, or a note is not ours.
        """
        column = tables.audit_entries.c
        frontier = Frontier()
        notes = await self._notes()
        async with self._store.read() as connection:
            while True:
                query = select(column.entry_index, column.body).where(column.entry_index >= frontier.size)
                rows = (await connection.execute(query.order_by(column.entry_index).limit(_ROWS_AT_ONCE))).all()
                for row in rows:
                    if row.entry_index != frontier.size:
                        raise StoreError(f"audit log: entry {frontier.size} is missing; bring back the newest backup")
                    frontier.append(leaf_hash(row.body.encode()))
                    self._hold(notes.pop(frontier.size, None), frontier)
                if not rows:
                    break
            head = (await connection.execute(select(tables.audit_head))).one_or_none()
        if notes:
            raise StoreError(f"audit log: {frontier.size} entries where {max(notes)} were signed for; its end was cut")
        if head is not None and head.peaks != frontier.to_bytes():
            raise StoreError("audit log: its head is not that of its entries; an entry was changed")
        return frontier.size

    async def _notes(self) -> dict[int, str]:
        async with self._store.read() as connection:
            rows = await connection.execute(select(tables.audit_notes.c.size, tables.audit_notes.c.note))
            return {row.size: row.note for row in rows}

    def _hold(self, note: str | None, frontier: Frontier) -> None:
        if note is None:
            return
        try:
            is_same = open_superlog(note, self.origin, self.public).root == frontier.root()
        except ContractsError as error:
            raise StoreError(
                f"audit log: the head of size {frontier.size} is not signed with its key: {error}"
            ) from error
        if not is_same:
            raise StoreError(
                f"audit log: its first {frontier.size} entries are not those that were signed; an entry was changed"
            )


def _entry(fields: Mapping[str, Any]) -> AuditEntry:
    return AuditEntry(
        index=fields["index"], at_ms=fields["at_ms"], act=Act(fields["act"]), role=fields["role"], what=fields["what"]
    )
