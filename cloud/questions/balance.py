"""Sub-meters against their main meters, for whoever looks after them and for the owners who share their building."""

from collections.abc import Sequence
from datetime import date, timedelta

from sqlalchemy import func, select

from cloud.billing.balance import BusDay, deviations, read_balance
from cloud.directory import DirectoryBus
from cloud.identity.roles import HOUSEHOLD, OFFICERS, Role
from cloud.questions.ground import Ground, day_of
from cloud.store import tables
from cloud.web.answers import Balance, BalanceDay, BalanceStretch, BusBalance, Person
from contracts.quantities import unit_of

__all__ = ["BalanceQuestions"]

_DAYS = 31
_METERS_MIN = 5  # behind a main meter: a day's sum of fewer would tell a neighbour's
_EVERY = OFFICERS - {Role.FIRM}


class BalanceQuestions(Ground):
    """Main meters and what hangs on them."""

    async def balance(self, viewer: Person, last: date | None) -> Balance | None:
        if viewer.role not in _EVERY | HOUSEHOLD or self.view is None:
            return None
        buses = [bus for bus in self.directory.buses if self._may_see_bus(viewer, bus)]
        end = last or await self._newest(buses)
        first = end - timedelta(days=_DAYS)
        found = []
        for bus in buses:
            async with self.store.read() as connection:
                days = await read_balance(connection, self.view, bus, first=first, last=end)
            found.append(_told(bus, days))
        return Balance(first=first, last=end, buses=tuple(found))

    def _may_see_bus(self, viewer: Person, bus: DirectoryBus) -> bool:
        if viewer.role in _EVERY:
            return True
        units = [unit for door in viewer.units if (unit := self.directory.unit_named(door)) is not None]
        is_theirs = bus.building is None or bus.building in {unit.building for unit in units}
        return is_theirs and bool(units) and len(bus.subs) >= _METERS_MIN

    async def _newest(self, buses: Sequence[DirectoryBus]) -> date:
        """The last day at which a main meter has a boundary entry, else today."""
        column = tables.boundaries.c
        devices = {device for bus in buses for device in bus.main}
        query = select(func.max(column.boundary_date)).where(column.device.in_(devices))
        whole = query.execution_options(every_shard="a site's main meters, whichever gateways hear them")
        async with self.store.read() as connection:
            newest = (await connection.execute(whole)).scalar_one_or_none()
        return day_of(newest) if newest else self.today()


def _told(bus: DirectoryBus, days: Sequence[BusDay]) -> BusBalance:
    return BusBalance(
        name=bus.name,
        unit=unit_of(bus.register) or "",
        meters=len(bus.subs),
        low_permille=bus.low_permille,
        high_permille=bus.high_permille,
        days=tuple(
            BalanceDay(day=one.day, main=one.main, subs=one.subs, missing=one.missing, in_band=one.is_in_band)
            for one in days
        ),
        stretches=tuple(
            BalanceStretch(first=one.first, last=one.last, main=one.main, difference=one.difference)
            for one in deviations(days)
        ),
    )
