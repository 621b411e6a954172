"""The month so far of one unit: what its meters counted since the last bill, what that costs, what to hold it against.

The amount is the bill run's own (`cloud.billing.reckoning`), asked for a period that ends at the last midnight. What
was used is the difference of two boundary entries; the days between them are not read.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any

from cloud.billing.reckoning import DraftLine, Reckoning
from cloud.billing.usage import OWN_ROLE, Bindings, Registers, bindings_of, load_registers
from cloud.chain.view import ChainView, UnitRecord
from cloud.directory import DirectoryUnit
from cloud.questions.charges import line_title, step_at
from cloud.questions.days import MeterDays
from cloud.questions.ground import day_of
from cloud.questions.neighbours import Days, Neighbours, used_by
from cloud.service import Cloud
from cloud.web.answers import MeterStand, MonthSoFar, Person, SameDays, Steps
from contracts.quantities import COLD_WATER, ENERGY_IMPORT, GAS, HEAT, HOT_WATER, unit_of
from contracts.tariff import Counting, next_month

__all__ = ["MonthQuestions"]

_MEDIA = (ENERGY_IMPORT, COLD_WATER, HOT_WATER, GAS, HEAT)
_RECENT = timedelta(days=7)  # a meter whose midnights are older has no month so far


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """Whose month it is, since when, and what was read for it."""

    viewer: Person
    unit: DirectoryUnit
    roll: UnitRecord
    view: ChainView
    bindings: Bindings  # of the unit's own meters
    registers: Registers
    opening: int  # boundary date

    def of(self, register: str) -> "_Asked | None":
        """The same of the meters that have a register: water beside electricity is another month."""
        found = {
            subject: meters
            for subject, some in self.bindings.items()
            if (meters := [one for one in some if register in self.registers.names(one[0])])
        }
        return replace(self, bindings=found, opening=_opening(self.view, found)) if found else None

    def used(self, register: str, first: int, last: int) -> int | None:
        """What the meters counted between two boundary dates; None where no entries say so."""
        return used_by(self.registers, self.bindings, self.unit.alias, register, (first, last))


class MonthQuestions(MeterDays):
    """What was used since the last bill."""

    def __init__(self, cloud: Cloud) -> None:
        super().__init__(cloud)
        self._neighbours = Neighbours()

    def is_since(self, viewer: Person, opening: date) -> bool:
        """Whether a period began after somebody moved in; an owner sees all of them."""
        return not viewer.since_ms or self._midnight_ms(opening) >= viewer.since_ms

    async def months_of(self, viewer: Person, unit: DirectoryUnit) -> tuple[MonthSoFar, ...]:
        """Of each thing that the unit's meters count, electricity first."""
        view = self.view
        roll = view.units.get(unit.alias) if view is not None else None
        bindings = bindings_of(view, [(unit.alias, OWN_ROLE)]) if view is not None else {}
        if view is None or roll is None or not bindings:
            return ()
        opening = _opening(view, bindings)
        if not self.is_since(viewer, day_of(opening)):
            return ()
        async with self.store.glance() as connection:
            registers = await load_registers(
                connection,
                view,
                dates=self._dates(view, bindings, opening),
                devices={device for some in bindings.values() for device, _ in some},
                since=_number(self.today() - _RECENT),
            )
            asked = _Asked(
                viewer=viewer, unit=unit, roll=roll, view=view, bindings=bindings, registers=registers, opening=opening
            )  # fmt: skip
            found = [
                await self._month(connection, meters, register)
                for register in _MEDIA
                if (meters := asked.of(register)) is not None
            ]
        return tuple(month for month in found if month is not None)

    def _dates(self, view: ChainView, bindings: Bindings, opening: int) -> set[int]:
        """Every boundary date that the answer may rest on, but for the last days', which are read anyway."""
        today, first = self.today(), day_of(opening)
        needed = Reckoning.dates(view, opening * 10**8 + max(opening, _number(today)), bindings)
        recent = [day for at in range(_RECENT.days + 1) if (day := today - timedelta(days=at)) >= first]
        return needed | {_number(_a_year_before(first) + (day - first)) for day in (first, *recent)}

    async def _month(self, connection: Any, asked: _Asked, register: str) -> MonthSoFar | None:
        """One register's month; None where it has no recent midnight to count to, or nothing tells what it counted."""
        present = [device for some in asked.bindings.values() for device, record in some if not record.to_date]
        closing = max((day for one in present for day in asked.registers.days(one, register)), default=0)
        if closing < max(asked.opening, _number(self.today() - _RECENT)):
            return None
        used = 0 if closing == asked.opening else asked.used(register, asked.opening, closing)
        lines = await self._reckoned(connection, asked, register, closing)
        counted = sum(one.line.usage for one in lines)
        if used is None and not lines:
            return None
        is_priced = bool(lines) and used in (None, counted)
        stood = max(
            (entry for one in present for entry in asked.registers.at(one, register, closing)),
            key=lambda entry: entry.value,
        )
        return MonthSoFar(
            quantity=register,
            title=line_title(register, is_shared=False),
            unit=unit_of(register) or "",
            opening=day_of(asked.opening),
            closing=day_of(closing),
            until_ms=self._midnight_ms(day_of(closing)),
            usage=counted if used is None else used,
            amount_fen=sum(one.line.amount for one in lines) if is_priced else None if closing > asked.opening else 0,
            is_estimated=used is None,
            steps=_steps(asked, lines[-1], closing) if is_priced else None,
            same=await self._same_days(connection, asked, register, closing, used),
            stood=MeterStand(origin=stood.origin, index=stood.index, value=stood.value),
        )

    async def _reckoned(self, connection: Any, asked: _Asked, register: str, closing: int) -> Sequence[DraftLine]:
        """The lines of a bill that would end at a midnight; none where no tariff prices the register."""
        period, registers = asked.opening * 10**8 + closing, asked.registers
        meters = [device for some in asked.bindings.values() for device, _ in some]
        if not any(registers.at(device, register, asked.opening) for device in meters):  # an estimate needs the days
            registers = await Reckoning.read_registers(connection, asked.view, period, asked.bindings)
        run = Reckoning(registers, asked.view, self.directory, period, bindings=asked.bindings)
        return [one for one in run.own_lines([asked.roll])[0] if one.line.quantity == register]

    async def _same_days(
        self, connection: Any, asked: _Asked, register: str, closing: int, used: int | None
    ) -> SameDays | None:
        """The month's days beside a year ago and the building; None before the first of them is over."""
        first = day_of(asked.opening)
        count, then = (day_of(closing) - first).days, _a_year_before(first)
        if count < 1 or used is None:
            return None
        days = Days(
            building=asked.unit.building, category=asked.roll.category, register=register, first=asked.opening,
            last=closing,
        )  # fmt: skip
        median, households = await self._neighbours.median(
            connection, asked.view, self.directory, days, now_ms=self.cloud.settings.clock.now_ms()
        )
        ended = _number(then + timedelta(days=count))
        return SameDays(
            days=count,
            usage=used,
            last_year=asked.used(register, _number(then), ended) if self.is_since(asked.viewer, then) else None,
            median=median,
            households=households,
        )

    def _midnight_ms(self, day: date) -> int:
        """When a boundary date begins on the site's wall clock."""
        return int(datetime.combine(day, time(), self.directory.timezone).timestamp() * 1000)


def _opening(view: ChainView, bindings: Bindings) -> int:
    """The boundary date at which the last bill of these meters ended; the first one's begin where there was none."""
    begun = min(record.from_date for some in bindings.values() for _, record in some)
    return max((closing for period in view.periods if (closing := period % 10**8) >= begun), default=begun)


def _steps(asked: _Asked, priced: DraftLine, closing: int) -> Steps | None:
    """Where the unit stands among the tariff's steps; None where it has one price."""
    line, terms = priced.line, asked.view.tariffs[priced.line.tariff].terms
    season = terms.season(line.from_date, line.to_date)
    if not season.bounds:
        return None
    prior, residents = int(priced.derivation["prior"]), int(priced.derivation["residents"])
    number, left = step_at(season, prior + line.usage, residents)
    first, today = day_of(line.from_date), day_of(closing)
    by_year = terms.counting is Counting.YEAR
    ahead = None if left is None or not line.usage else left * (today - first).days // line.usage
    begin_anew = date(today.year + 1, 1, 1) if by_year else _a_month_after(asked.opening)
    is_reached = ahead is not None and ahead < (begin_anew - today).days
    return Steps(number=number, left=left, by_year=by_year, days_to_next=ahead if is_reached else None)


def _a_year_before(day: date) -> date:
    """The same day of the year before; 28 February for the 29th."""
    return day.replace(year=day.year - 1, day=28 if (day.month, day.day) == (2, 29) else day.day)


def _a_month_after(number: int) -> date:
    """When the next bill may be expected."""
    return day_of(next_month(number // 100) * 100 + min(number % 100, 28))


def _number(day: date) -> int:
    return day.year * 10_000 + day.month * 100 + day.day
