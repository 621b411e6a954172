"""Signing in: one-time links whose hashes stand in the directory, sessions whose hashes stand in the store."""

import json

from sqlalchemy import delete, insert, select

from cloud.chain.intents import insert_new
from cloud.directory import SignIn
from cloud.questions.ground import Ground, title
from cloud.store import tables
from cloud.web.answers import Person, Role, Title

__all__ = ["DoorQuestions"]

# The operator's desk is the manager's; the public needs no sign-in.
_ROLES = {
    "owner": Role.OWNER,
    "manager": Role.MANAGER,
    "operator": Role.MANAGER,
    "committee": Role.COMMITTEE,
    "crew": Role.CREW,
}


class DoorQuestions(Ground):
    """Sign-in and sessions."""

    async def redeem_sign_in(self, token_digest: bytes, now_ms: int) -> Person | None:
        """Who a one-time token belongs to; a second use finds the mark of the first."""
        link = self.directory.sign_ins.get(token_digest)
        person = None if link is None else self._person(link)
        if person is None:
            return None
        async with self.store.write() as connection:
            is_new = await insert_new(connection, tables.sign_ins, {"token_digest": token_digest, "used_at_ms": now_ms})
        return person if is_new else None

    def _person(self, link: SignIn) -> Person | None:
        role = _ROLES.get(link.role)
        unit = self.directory.unit_of(link.unit) if link.unit else None
        if role is None or (role is Role.OWNER and unit is None):
            return None
        units = (unit.name,) if unit is not None and role is Role.OWNER else ()
        return Person(key=link.token_digest.hex()[:32], role=role, title=title(link.title), units=units)

    async def open_session(self, session_digest: bytes, person: Person, expires_at_ms: int) -> None:
        kept = {
            "key": person.key,
            "role": person.role.value,
            "zh": person.title.zh,
            "en": person.title.en,
            "units": list(person.units),
        }
        async with self.store.write() as connection:
            await connection.execute(
                insert(tables.sessions).values(
                    session_digest=session_digest, person=json.dumps(kept), expires_at_ms=expires_at_ms
                )
            )

    async def person_of_session(self, session_digest: bytes, now_ms: int) -> Person | None:
        column = tables.sessions.c
        query = select(column.person).where(column.session_digest == session_digest, column.expires_at_ms > now_ms)
        async with self.store.read() as connection:
            kept = (await connection.execute(query)).scalar_one_or_none()
        if kept is None:
            return None
        fields = json.loads(kept)
        return Person(
            key=fields["key"],
            role=Role(fields["role"]),
            title=Title(zh=fields["zh"], en=fields["en"]),
            units=tuple(fields["units"]),
        )

    async def close_session(self, session_digest: bytes) -> None:
        async with self.store.write() as connection:
            await connection.execute(delete(tables.sessions).where(tables.sessions.c.session_digest == session_digest))
