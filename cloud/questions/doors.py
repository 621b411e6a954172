"""Who a session belongs to: identity's grants, with the directory's words for people and flats."""

from cloud.identity.people import Grant
from cloud.identity.roles import HOUSEHOLD, Role, Strength
from cloud.questions.ground import Ground, title
from cloud.web.answers import Person, Title

__all__ = ["DoorQuestions", "role_title"]

_TITLES = {
    Role.OWNER: Title(zh="业主", en="Owner"),
    Role.TENANT: Title(zh="租户", en="Tenant"),
    Role.CREW: Title(zh="维保人员", en="Maintenance crew"),
    Role.FIRM: Title(zh="维保单位", en="Maintenance firm"),
    Role.MANAGER: Title(zh="物业经理", en="Property manager"),
    Role.COMMITTEE: Title(zh="业主委员会", en="Owners' committee"),
    Role.REGULATOR: Title(zh="监管部门", en="Regulator"),
    Role.OPERATOR: Title(zh="系统运维", en="Operator"),
}


def role_title(role: Role) -> Title:
    """A role's name."""
    return _TITLES[role]


_ROLES = frozenset(role.value for role in Role)


class DoorQuestions(Ground):
    """Links of the demo, and sessions."""

    async def redeem_sign_in(self, token_digest: bytes, now_ms: int) -> Person | None:
        """Who a one-time link belongs to; a second use finds the mark of the first."""
        link = self.directory.sign_ins.get(token_digest)
        unit = self.directory.unit_of(link.unit) if link is not None and link.unit else None
        if link is None or link.role not in _ROLES or (link.role in HOUSEHOLD and unit is None):
            return None
        alias = unit.alias if unit is not None and link.role in HOUSEHOLD else None
        grant = await self.cloud.identity.sign_in_by_link(token_digest, Role(link.role), alias, now_ms)
        return None if grant is None else self.person(grant, Strength.LINK)

    def person(self, grant: Grant, strength: Strength) -> Person | None:
        """A grant as pages know it; None where its flat is not in the directory any more."""
        unit = self.directory.unit_of(grant.unit) if grant.unit else None
        if grant.role in HOUSEHOLD and unit is None:
            return None
        return Person(
            key=grant.account.hex(),
            role=grant.role,
            title=self._person_title(grant),
            units=(unit.name,) if unit is not None else (),
            since_ms=grant.granted_at_ms if grant.role is Role.TENANT else 0,
            strength=strength,
            grant=grant,
        )

    def _person_title(self, grant: Grant) -> Title:
        role, unit = _TITLES[grant.role], self.directory.unit_of(grant.unit) if grant.unit else None
        link = self.directory.sign_in_of(grant.account)
        if link is not None:
            return title(link.title)
        if unit is not None:
            return Title(zh=f"{unit.title.zh} {role.zh}", en=f"{role.en} of {unit.title.en}")
        return Title(zh=f"{role.zh} {grant.firm}", en=f"{role.en} {grant.firm}") if grant.firm else role

    async def open_session(
        self, session_digest: bytes, person: Person, now_ms: int, *, replaces: bytes | None = None
    ) -> None:
        assert person.grant is not None, "the store's people have grants"
        grant, strength = person.grant, person.strength
        await self.cloud.identity.open_session(session_digest, grant, strength, now_ms, replaces=replaces)

    async def person_of_session(self, session_digest: bytes, now_ms: int) -> Person | None:
        found = await self.cloud.identity.session(session_digest, now_ms)
        return None if found is None else self.person(found.grant, found.strength)

    async def close_session(self, session_digest: bytes, now_ms: int) -> None:
        await self.cloud.identity.end_session(session_digest, now_ms)
