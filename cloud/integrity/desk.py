"""Flags with what they are about, for pages; and who may say what to one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from sqlalchemy import select

from cloud.directory import CrewMember, DirectoryFile, Words
from cloud.identity.people import Grant
from cloud.identity.roles import Role
from cloud.integrity.flags import (
    FlagRefused,
    FlagState,
    FlagView,
    explain_or_decide,
    find_flag,
    newest_flags,
)
from cloud.store import Store, tables
from cloud.visits.looks import is_own_firm
from contracts.clock import Clock
from contracts.signed_visit import signed_visit_from_json

__all__ = ["FlagDesk", "FlagPage", "FlaggedVisit"]

SHOWN = 50
_EXPLAINS, _DECIDES = frozenset({Role.FIRM, Role.CREW}), frozenset({Role.MANAGER, Role.COMMITTEE})
_SEES_FLATS = _DECIDES | {Role.REGULATOR}
_NAME_BYTES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class FlaggedVisit:
    """A visit that a flag names; no person of it, and of a flat's device neither which it is nor the hour."""

    device: str  # its name in addresses, "" where it is another site's or a flat's
    is_lift: bool
    title: Words
    day: date
    started_at_ms: int | None  # None of a flat's
    firm: Words | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FlagPage:
    """One flag with its visits; the second is missing where another site has it."""

    flag: FlagView
    raised_on: date
    visits: tuple[FlaggedVisit, ...]

    @property
    def tells_hours(self) -> bool:
        """Whether it may be said at what hours something of it came."""
        return all(visit.started_at_ms is not None for visit in self.visits)


class FlagDesk:
    """Reads flags and takes words to them."""

    def __init__(self, store: Store, directory: DirectoryFile, clock: Clock) -> None:
        self._store, self._directory, self._clock = store, directory, clock

    async def newest(self, grant: Grant | None = None) -> Sequence[FlagPage]:
        """The last flags of the site, newest first."""
        async with self._store.read() as connection:
            found = await newest_flags(connection, count=SHOWN)
            return [await self._page(connection, flag, grant) for flag in found]

    async def find(self, name: str, grant: Grant | None = None) -> FlagPage | None:
        """A flag by the 32 hex digits of its name, as this role may see it."""
        raw = _raw_name(name)
        if raw is None:
            return None
        async with self._store.read() as connection:
            flag = await find_flag(connection, raw)
            return None if flag is None else await self._page(connection, flag, grant)

    async def may_say(self, grant: Grant | None, flag: FlagView) -> frozenset[FlagState]:
        """What somebody may say to a flag: the firm whose visit is asked about may explain, not one whose visit stands
        beside it; manager and committee decide.
        """
        if grant is None:
            return frozenset()
        if grant.role in _DECIDES:
            return frozenset({FlagState.UPHELD, FlagState.DISMISSED})
        if grant.role in _EXPLAINS:
            async with self._store.read() as connection:
                if await is_own_firm(connection, self._directory.read(), grant, [flag.visit]):
                    return frozenset({FlagState.EXPLAINED})
        return frozenset()

    async def say(self, grant: Grant, name: str, state: FlagState, text: str) -> None:
        """Add a word. Raises `FlagRefused`: also to whom the flag does not concern, as if there were none."""
        page = await self.find(name)
        if page is None or state not in await self.may_say(grant, page.flag):
            raise FlagRefused(404, "no such flag")
        await explain_or_decide(
            self._store, bytes.fromhex(name), state, text, by=grant, now_ms=self._clock.now_ms()
        )  # fmt: skip

    async def _page(self, connection: Any, flag: FlagView, grant: Grant | None) -> FlagPage:
        column = tables.visits.c
        digests = [flag.visit, *([flag.other] if flag.other else [])]
        rows = {
            row.digest: row
            for row in await connection.execute(select(tables.visits).where(column.digest.in_(digests)))
        }  # fmt: skip
        visits = tuple(self._visit(rows[one], grant) for one in digests if one in rows)
        return FlagPage(flag=flag, raised_on=self._day(flag.raised_at_ms), visits=visits)

    def _visit(self, row: Any, grant: Grant | None) -> FlaggedVisit:
        directory = self._directory.read()
        device, member = directory.device_of(row.device), self._first_mechanic(row)
        is_flats = device is not None and device.unit is not None
        is_told = not is_flats or (grant is not None and grant.role in _SEES_FLATS)
        title = device.title if device else Words(zh="", en="")
        return FlaggedVisit(
            device=device.name if device and not is_flats else "",
            is_lift=device is not None and device.kind == "lift",
            title=title if is_told else directory.title,
            day=self._day(row.started_at_s * 1000),
            started_at_ms=row.started_at_s * 1000 if is_told else None,
            firm=member.firm if member else None,
        )

    def _day(self, at_ms: int) -> date:
        return datetime.fromtimestamp(at_ms / 1000, self._directory.read().timezone).date()

    def _first_mechanic(self, row: Any) -> CrewMember | None:
        signed = signed_visit_from_json(json.loads(row.file))
        return self._directory.read().crew_of(signed.visit.mechanics[0])


def _raw_name(text: str) -> bytes | None:
    try:
        raw = bytes.fromhex(text) if text.isascii() and len(text) == 2 * _NAME_BYTES else None
    except ValueError:
        return None
    return raw
