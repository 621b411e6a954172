"""Everything that is kept about one flat, for the people who may have it, in one file, with its proofs.

Their own time only: a tenant gets nothing from before they moved in. What is read here goes through the same questions
as the pages, which ask again whose it is.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import select

from cloud.directory import DirectoryUnit
from cloud.exports.export import export
from cloud.exports.personal_words import readme
from cloud.exports.portion import Asked, Source
from cloud.exports.records import RECORDS
from cloud.exports.scope import Scope
from cloud.exports.zip_stream import Member
from cloud.identity.audit import BY_PEOPLE, Act
from cloud.identity.roles import Role
from cloud.questions import StoreQuestions
from cloud.service import Cloud
from cloud.store import tables
from cloud.web.answers import BillSummary, Person

__all__ = ["PersonalFile"]

_LOOKS_MAX = 100_000


class PersonalFile:
    """The members of one flat's file."""

    def __init__(self, cloud: Cloud, questions: StoreQuestions, source: Source, viewer: Person) -> None:
        """`viewer` is who it is for: an owner or a tenant, of exactly one flat."""
        (self._door,) = viewer.units
        self._cloud, self._questions, self._source, self._viewer = cloud, questions, source, viewer
        unit = source.directory.unit_named(self._door)
        assert unit is not None, "a person's flat is in the directory"
        self.unit: DirectoryUnit = unit
        self._devices = [one.device for one in source.directory.devices_of_unit(unit.alias)]

    async def members(self) -> AsyncIterator[Member]:
        """File after file; each is read when it is written."""
        yield _text("README.txt", readme(self._door))
        yield _json("person.json", await self._person())
        yield Member("readings.csv", self._table("readings", Asked(from_ms=self._viewer.since_ms or None)))
        bills = await self._questions.bills(self._viewer, self._door)
        for bill in bills:
            found = await self._questions.bill_file(self._viewer, self._door, bill.period)
            if found is not None:
                yield _bytes(f"bills/{bill.period}.json", found)
        if self._viewer.role is Role.OWNER:
            for what in ("bills", "bill-lines", "payments"):
                yield Member(f"{what}.csv", self._table(what, Asked()))
            yield _json("disputes.json", await self._disputes())
        async for member in self._evidence(bills):
            yield member
        yield _json("visits.json", await self._visits())
        yield _json("looks.json", await self._looks())
        if self._cloud.settings.trust_file is not None:
            yield _bytes("trust.json", await self._questions.trust_file())

    def _table(self, what: str, asked: Asked) -> AsyncGenerator[bytes]:
        scope = Scope(units=[self.unit.alias], devices=self._devices)
        return export(RECORDS[what], "csv", source=self._source, scope=scope, asked=asked)

    async def _person(self) -> dict[str, Any]:
        """What is kept about the account itself; no name is."""
        told: dict[str, Any] = {
            "flat": self._door, "unit": self.unit.alias.hex(), "role": self._viewer.role.value,
            "floor_area_centi_m2": self.unit.area_centi_m2, "meters": [device.hex() for device in self._devices],
        }  # fmt: skip
        grant = self._viewer.grant
        if grant is None:
            return told
        identity, column = self._cloud.identity, tables.sessions.c
        async with self._cloud.store.read() as connection:
            query = select(column.strength, column.opened_at_ms, column.expires_at_ms)
            sessions = (await connection.execute(query.where(column.account_id == grant.account))).all()
        told |= {
            "account": grant.account.hex(),
            "roles": [
                {"role": one.role.value, "granted_at_ms": one.granted_at_ms, "ended_at_ms": one.ended_at_ms}
                for one in await identity.grants(grant)
            ],
            "passkeys": [
                {"made_at_ms": one.created_at_ms, "last_used_at_ms": one.last_used_at_ms}
                for one in await identity.passkeys(grant)
            ],
            "sessions": [dict(row._mapping) for row in sessions],
        }
        return told

    async def _evidence(self, bills: Sequence[BillSummary]) -> AsyncIterator[Member]:
        """The proofs of the boundary entries that the bills rest on; every other entry's is asked for by its place."""
        days = {int(f"{day:%Y%m%d}") for bill in bills for day in (bill.opening, bill.closing)}
        column = tables.boundaries.c
        query = (
            select(tables.logs.c.origin, column.entry_index)
            .join(tables.logs, tables.logs.c.log_id == column.log_id)
            .where(column.device.in_(self._devices), column.boundary_date.in_(sorted(days)))
            .order_by(tables.logs.c.origin, column.entry_index)
            .execution_options(every_shard="a flat's meters may report through any of its gateways' logs")
        )
        async with self._cloud.store.read() as connection:
            places = (await connection.execute(query)).all()
        for origin, index in places:
            file = await self._proof(origin, index)
            if file is not None:
                yield _bytes(f"evidence/{origin.replace('/', '_')}_{index}.json", file)

    async def _proof(self, origin: str, index: int) -> bytes | None:
        """One entry's evidence. That it was looked at is told once, of the whole file."""
        async with self._cloud.store.glance() as connection:
            row = await self._questions.entry(connection, origin, index)
        if row is None or not self._questions.may_see(self._viewer, row.kind, row.device, row.observed_at_ms):
            return None
        named = self._questions.directory.device_of(row.device)
        return await self._cloud.evidence.evidence(origin, index, urn=named.urn if named else None)

    async def _disputes(self) -> list[dict[str, Any]]:
        view = await self._source.view()
        index = next((at for at, one in enumerate(view.roll) if one.alias == self.unit.alias), None)
        return [asdict(one) for one in view.challenges.values() if one.unit_index == index]

    async def _visits(self) -> list[dict[str, Any]]:
        """Visits at the flat's own devices; those at common ones are everybody's, on their pages."""
        column = tables.visits.c
        query = select(column.file, column.received_at_ms).where(
            column.device.in_(self._devices), column.received_at_ms >= self._viewer.since_ms
        )
        async with self._cloud.store.read() as connection:
            rows = (await connection.execute(query.order_by(column.received_at_ms))).all()
        return [{"received_at_ms": row.received_at_ms, "visit": json.loads(row.file)} for row in rows]

    async def _looks(self) -> dict[str, Any]:
        """Looks by people and by the flat's own programs apart, so that the many hide none of the few."""
        audit = self._cloud.identity.audit

        async def entries(acts: Collection[Act]) -> list[dict[str, Any]]:
            since_ms = self._viewer.since_ms
            found = await audit.of_unit(self.unit.alias, from_ms=since_ms, count=_LOOKS_MAX, acts=acts)
            return [
                {"index": one.index, "at_ms": one.at_ms, "act": one.act.value, "role": one.role, "what": one.what}
                for one in found
            ]

        return {
            "log": audit.origin,
            "checkpoint": await audit.latest_note(),
            "entries": await entries(BY_PEOPLE),
            "programs": await entries(frozenset(Act) - BY_PEOPLE),
        }


def _json(name: str, content: Any) -> Member:
    return _bytes(name, json.dumps(content, indent=1, ensure_ascii=False).encode() + b"\n")


def _text(name: str, content: str) -> Member:
    return _bytes(name, content.encode())


def _bytes(name: str, content: bytes) -> Member:
    async def whole() -> AsyncGenerator[bytes]:
        yield content

    return Member(name, whole())
