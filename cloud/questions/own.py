"""What a household's program is told of its flat: what the meters show now, the month so far, the bills."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import select

from cloud.directory import DirectoryDevice, DirectoryUnit
from cloud.identity.audit import Act
from cloud.identity.roles import Role, Strength
from cloud.identity.tokens import ApiToken
from cloud.questions.bills import BillQuestions
from cloud.questions.doors import DoorQuestions
from cloud.questions.ground import title
from cloud.store import tables
from cloud.store.readings import open_entries
from cloud.web.answers import BillSummary, MonthSoFar, Person, ReadingRef, Title
from contracts.entry import Kind

__all__ = ["OwnFlat", "OwnMeter", "OwnQuestions"]

_NEWEST = 96
"""Entries looked through for a meter's registers: all of them stand in a few rounds of its gateway."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnMeter:
    """A meter that counts for the flat, with what each of its registers showed last."""

    name: str  # as in public addresses
    kind: str  # meter, water
    title: Title
    registers: tuple[ReadingRef, ...]  # in the order of their quantities, which name no boundary


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnFlat:
    """One flat, as its owner's or tenant's pages show it."""

    door: str
    title: Title
    meters: tuple[OwnMeter, ...]
    month: MonthSoFar | None
    balance_fen: int | None  # for its owner alone
    bills: tuple[BillSummary, ...]  # newest first


class OwnQuestions(BillQuestions, DoorQuestions):
    """The flat behind a household's token. Each look is kept before anything is read."""

    async def person_of_token(self, token: ApiToken) -> Person | None:
        """The household that made a token; None where it was an officer, or the flat is not in the directory."""
        grant = await self.cloud.tokens.holder(token)
        person = None if grant is None else self.person(grant, Strength.TOKEN)
        return person if person is not None and person.units else None

    async def note_own_look(self, viewer: Person, token: ApiToken, route: str) -> None:
        """A household's program looks at its own flat: the first in an hour is told, and stands for the hour's rest."""
        assert viewer.grant is not None, "a token rests on a role"
        await self.cloud.identity.audit.write_hourly(
            Act.TENANT_TOKEN_LOOKED if viewer.role is Role.TENANT else Act.TOKEN_LOOKED,
            at_ms=self.cloud.settings.clock.now_ms(),
            account=viewer.grant.account,
            role=viewer.role,
            unit=viewer.grant.unit,
            what=f"{token.in_log}: {route}, from then on within its hour",
        )

    async def own_flat(self, viewer: Person) -> OwnFlat | None:
        """What a token's household may read, all at once; whoever asks has noted the look."""
        (door,) = viewer.units
        unit = self.directory.unit_named(door)
        if unit is None:
            return None
        months = await self.months_of(viewer, unit)
        return OwnFlat(
            door=door,
            title=title(unit.title),
            meters=await self._meters(viewer, unit),
            month=next((one for one in months if one.unit == "Wh" and one.amount_fen is not None), None),
            balance_fen=await self._balance(unit) if viewer.role is Role.OWNER else None,
            bills=tuple(await self.bills(viewer, door)),
        )

    async def _meters(self, viewer: Person, unit: DirectoryUnit) -> tuple[OwnMeter, ...]:
        async with self.store.glance() as connection:
            found = [
                OwnMeter(
                    name=named.name,
                    kind=named.kind,
                    title=title(named.title),
                    registers=tuple(await self._registers(connection, viewer, named)),
                )
                for named in self.directory.devices_of_unit(unit.alias)
            ]
        return tuple(found)

    async def _registers(self, connection: Any, viewer: Person, named: DirectoryDevice) -> Sequence[ReadingRef]:
        """Each register's newest reading, a boundary's among them."""
        column = tables.entries.c
        query = (
            select(tables.entries, tables.logs.c.origin)
            .join(tables.logs, tables.logs.c.log_id == column.log_id)
            .where(column.log_id.in_(await self.logs_of(connection, named.device)))
            .where(column.device == named.device, column.kind == Kind.READING)
            .order_by(column.observed_at_ms.desc(), column.entry_index.desc())
            .limit(_NEWEST)
        )
        newest: dict[str, Any] = {}
        for row in open_entries(connection, (await connection.execute(query)).all()):
            if self.may_see(viewer, row.kind, row.device, row.observed_at_ms):
                newest.setdefault(row.quantity.partition("*")[0], row)
        return [
            replace(await self.reference(connection, row), quantity=quantity)
            for quantity, row in sorted(newest.items())
        ]
