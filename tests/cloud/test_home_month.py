"""The month so far of real rows: what a bill would charge for it, a year ago, and the building's middle."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cloud.billing import usage
from cloud.chain.records import UnitRecord
from cloud.chain.view import ChainView
from cloud.directory import Directory, DirectoryUnit, Words
from cloud.identity.roles import Role
from cloud.questions import StoreQuestions
from cloud.web.answers import DayKind, MonthSoFar, Person, Steps, Title
from contracts.onchain import origin_id
from contracts.quantities import COLD_WATER, ENERGY_IMPORT, GAS
from contracts.tariff import Counting, Terms
from tests.cloud.billing_site import ORIGINS, BillingSite, bind, tariff
from tests.cloud.house import START_MS, House, house

Run = Callable[[Any], Any]
YEAR, OPENING, MIDNIGHT = date(2026, 1, 1), date(2026, 11, 1), date(2026, 11, 27)
LAST_OPENING, LAST_MIDNIGHT = date(2025, 11, 1), date(2025, 11, 27)
BOUND = date(2025, 10, 1)
PERIOD = 2026100120261101
PRICES: list[tuple[int | None, int]] = [(2_760_000, 53_800_000), (None, 58_800_000)]
TERMS = Terms.tiered(quantity=ENERGY_IMPORT, tiers=PRICES, counting=Counting.YEAR)
WATER = Terms.tiered(quantity=COLD_WATER, tiers=[(None, 345_000)], counting=Counting.NONE)
DAY_MS = 86_400_000


def number(day: date) -> int:
    return int(day.strftime("%Y%m%d"))


def meter_of(unit: UnitRecord, what: str = "e") -> bytes:
    return sha256(unit.alias + what.encode()).digest()


class Town(BillingSite):
    """Flats of one building whose meters are read each midnight of November."""

    def __init__(self, terms: Terms = TERMS) -> None:
        super().__init__(ChainView(31337))
        self.view.origins.update({origin_id(origin): origin for origin in ORIGINS})
        self.view.periods[PERIOD] = SimpleNamespace(period=PERIOD, unit_count=0)  # type: ignore[assignment]
        tariff(self.view, terms)

    def flat(self, *, category: int = 0) -> UnitRecord:
        index = len(self.view.roll)
        unit = UnitRecord(
            alias=sha256(b"flat %d" % index).digest(), index=index, area_centi_m2=9_000, category=category
        )  # fmt: skip
        self.view.roll.append(unit)
        self.view.units[unit.alias] = unit
        return unit

    def metered(self, unit: UnitRecord, month: int, *, last_year: int = 0, before: int = 0) -> None:
        """A meter that counted so much: this month, in the same days of last year, this year before."""
        device = meter_of(unit)
        bind(self.view, device, unit.alias, 1, number(BOUND))
        begun = {LAST_OPENING: 1_000, LAST_MIDNIGHT: 1_000 + last_year, YEAR: 1_000 + last_year}
        for day, value in begun.items():
            self.entry(device, ENERGY_IMPORT, number(day), value)
        self.daily(device, ENERGY_IMPORT, 1_000 + last_year + before, month)

    def daily(self, device: bytes, register: str, start: int, used: int) -> None:
        days = (MIDNIGHT - OPENING).days
        for at in range(days + 1):
            self.entry(device, register, number(OPENING + timedelta(days=at)), start + used * at // days)

    def remove(self, device: bytes, day: date) -> None:
        self.rows = [row for row in self.rows if (row[2], row[4]) != (device, number(day))]


@dataclass
class Living:
    """The questions of a cloud over such flats."""

    house: House
    town: Town
    questions: StoreQuestions

    def viewer(self, unit: UnitRecord, role: Role = Role.OWNER, since_ms: int = 0) -> Person:
        return Person(key="k", role=role, title=Title(zh="住户", en="Somebody"), units=(door(unit),), since_ms=since_ms)

    async def months(self, unit: UnitRecord, **of: Any) -> tuple[MonthSoFar, ...]:
        named = self.questions.directory.unit_named(door(unit))
        assert named is not None
        return await self.questions.months_of(self.viewer(unit, **of), named)


def door(unit: UnitRecord) -> str:
    return f"u{unit.index}"


@asynccontextmanager
async def living(folder: Path, town: Town) -> AsyncIterator[Living]:
    async with house(folder) as opened:
        await town.write(opened.cloud.store)
        words = Words(zh="翠苑", en="Cuiyuan")
        doors = tuple(
            DirectoryUnit(index=unit.index, name=door(unit), building="b07", floor=1, alias=unit.alias,
                          area_centi_m2=unit.area_centi_m2, title=words)
            for unit in town.view.roll
        )  # fmt: skip
        known = Directory(site="s", title=words, timezone=opened.cloud.directory.read().timezone, units=doors)
        chain: Any = SimpleNamespace(view=town.view)
        directory: Any = SimpleNamespace(read=lambda: known)
        yield Living(opened, town, StoreQuestions(replace(opened.cloud, chain=chain, directory=directory)))


def test_the_month_costs_what_a_bill_would_charge_that_ended_at_midnight(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        town = Town()
        flat, near, far = town.flat(), town.flat(), town.flat()
        town.metered(flat, 80_000, last_year=100_000, before=2_700_000)
        town.metered(near, 80_000, before=2_660_000)
        town.metered(far, 80_000, before=2_000_000)
        async with living(tmp_path, town) as opened:
            (month,), (soon,), (never,) = [await opened.months(one) for one in (flat, near, far)]
        assert (month.opening, month.closing, month.usage) == (OPENING, MIDNIGHT, 80_000)
        season = TERMS.season(number(OPENING), number(MIDNIGHT))
        assert month.amount_fen == season.charge(used=[80_000], prior=2_700_000) == 3_228 + 1_176
        assert month.same is not None
        assert (month.same.days, month.same.usage, month.same.last_year) == (26, 80_000, 100_000)
        assert month.stood.value == 1_000 + 100_000 + 2_700_000 + 80_000
        # In the last step; reaching it in six days; and not before steps begin anew with the year.
        assert month.steps == Steps(number=2, left=None, by_year=True, days_to_next=None)
        assert soon.steps == Steps(number=1, left=20_000, by_year=True, days_to_next=6)
        assert never.steps == Steps(number=1, left=680_000, by_year=True, days_to_next=None)

    run(scenario())


def test_steps_that_count_by_the_bill_are_foretold_up_to_the_next_one(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        town = Town(Terms.tiered(quantity=ENERGY_IMPORT, tiers=[(90_000, 53_800_000), (None, 58_800_000)]))
        soon, never = town.flat(), town.flat()
        town.metered(soon, 80_000, before=2_700_000)
        town.metered(never, 40_000)
        async with living(tmp_path, town) as opened:
            (near,), (far,) = [await opened.months(one) for one in (soon, never)]
        assert near.steps == Steps(number=1, left=10_000, by_year=False, days_to_next=3)  # 30 November
        assert far.steps == Steps(number=1, left=50_000, by_year=False, days_to_next=None)

    run(scenario())


def test_of_a_month_the_ends_are_read_and_not_its_days(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened_rows: list[int] = []
    opens = usage.open_entries

    def counting(connection: Any, rows: Any) -> list[Any]:
        opened_rows.append(len(rows))
        return opens(connection, rows)

    async def scenario() -> None:
        town = Town()
        flat = town.flat()
        town.metered(flat, 80_000, last_year=1)
        assert len(town.rows) > 29
        async with living(tmp_path, town) as opened:
            monkeypatch.setattr(usage, "open_entries", counting)
            assert len(await opened.months(flat)) == 1
        assert sum(opened_rows) <= 16  # a week, the ends of both years, and the middle's

    run(scenario())


def test_the_buildings_middle_is_told_of_five_households_and_never_to_the_unit(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        town = Town()
        flats = [town.flat() for _ in range(6)]
        for flat, used in zip(flats, (40_400, 61_499, 52_700, 90_000, 0, 30_000), strict=True):
            town.metered(flat, used)
        town.metered(town.flat(category=1), 900_000)  # a shop
        async with living(tmp_path, town) as opened:
            (month,) = await opened.months(flats[0])
        assert month.same is not None
        assert (month.same.median, month.same.households) == (53_000, 5)  # of 52,700; the empty flat used nothing

    run(scenario())


def test_the_middle_of_too_few_households_is_nobodys_to_know(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        town = Town()
        flats = [town.flat() for _ in range(5)]
        for flat in flats:
            town.metered(flat, 50_000)
        town.remove(meter_of(flats[3]), MIDNIGHT)
        async with living(tmp_path, town) as opened:
            (month,) = await opened.months(flats[0])
        assert month.same is not None
        assert (month.same.median, month.same.households) == (None, 4)

    run(scenario())


def test_a_tenant_is_told_nothing_of_who_lived_there_before(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        town = Town()
        flat = town.flat()
        town.metered(flat, 80_000, last_year=100_000)
        async with living(tmp_path, town) as opened:
            (month,) = await opened.months(flat, role=Role.TENANT, since_ms=START_MS - 90 * DAY_MS)
            assert month.same is not None and month.same.last_year is None
            assert await opened.months(flat, role=Role.TENANT, since_ms=START_MS - 3 * DAY_MS) == ()

    run(scenario())


def test_water_and_gas_are_months_of_their_own(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        town = Town()
        flat = town.flat()
        tariff(town.view, WATER)
        town.metered(flat, 80_000)
        for what, register, used in (("w", COLD_WATER, 6_000_000), ("g", GAS, 12_500)):
            bind(town.view, meter_of(flat, what), flat.alias, 1, number(BOUND))
            town.daily(meter_of(flat, what), register, 500, used)
        async with living(tmp_path, town) as opened:
            _, water, gas = await opened.months(flat)
        assert (water.unit, water.usage, water.amount_fen, water.steps) == ("mL", 6_000_000, 2_070, None)
        assert (gas.unit, gas.usage, gas.amount_fen) == ("L", 12_500, None), "no tariff prices it here"

    run(scenario())


def test_a_month_without_its_first_reading_is_estimated_and_says_so(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        town = Town()
        flat = town.flat()
        town.metered(flat, 78_000)
        town.remove(meter_of(flat), OPENING)
        async with living(tmp_path, town) as opened:
            (month,) = await opened.months(flat)
        assert month.is_estimated
        assert month.amount_fen is not None and month.same is None

    run(scenario())


def test_without_a_day_that_is_over_or_a_midnight_of_this_week_nothing_is_made_up(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        town = Town()
        flat = town.flat()
        town.metered(flat, 78_000)
        town.view.periods[2026110120261127] = SimpleNamespace(period=2026110120261127)  # type: ignore[assignment]
        async with living(tmp_path, town) as opened:
            (month,) = await opened.months(flat)
            assert (month.opening, month.usage, month.amount_fen, month.same) == (MIDNIGHT, 0, 0, None)
            opened.house.clock.at_ms += 9 * DAY_MS
            assert await opened.months(flat) == ()

    run(scenario())


def test_a_swapped_meters_month_and_days_go_on_with_the_new_one(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        town = Town()
        flat = town.flat()
        town.metered(flat, 52_000)
        swap, new = OPENING + timedelta(days=13), meter_of(flat, "new")
        (old,) = town.view.bindings[meter_of(flat)]
        town.view.bindings[meter_of(flat)] = [replace(old, to_date=number(swap))]
        bind(town.view, new, flat.alias, 1, number(swap))
        town.daily(new, ENERGY_IMPORT, 7, 78_000)  # three kWh a day, of which only its own days count
        async with living(tmp_path, town) as opened:
            (month,) = await opened.months(flat)
            assert month.usage == 13 * 2_000 + 13 * 3_000
            async with opened.house.cloud.store.read() as connection:
                devices = [meter_of(flat), new]
                registers = await usage.load_registers(
                    connection, town.view, dates=[], devices=devices, since=number(OPENING)
                )
            subject, whole = (flat.alias, 1), (number(OPENING), number(MIDNIGHT))
            bindings = usage.bindings_of(town.view, [subject])
            days = opened.questions.days_in(
                registers, bindings, subject, opened.viewer(flat), ENERGY_IMPORT, whole
            )  # fmt: skip
        assert [day.usage for day in days] == [2_000] * 13 + [3_000] * 13
        assert [day.day for day in days if day.is_new_meter] == [swap]
        assert {day.how for day in days} == {DayKind.READ}

    run(scenario())
