"""Sub-meters against the main meter: each day's difference, its band, and the dates of what is outside it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from random import Random
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cloud.billing.balance import BusDay, bus_days, deviations, read_balance
from cloud.billing.usage import BoundaryEntry, Registers
from cloud.chain.view import ChainView
from cloud.directory import Directory, DirectoryBus, DirectoryUnit, Words
from cloud.identity.roles import Role
from cloud.questions.balance import BalanceQuestions
from cloud.store import Store
from cloud.web.answers import Person, Title
from contracts.clock import SystemClock
from tests.cloud.billing_site import TOTAL, BillingSite, bind

Run = Callable[[Any], Any]

FIRST, DAYS = date(2026, 11, 1), 20
MAIN, SUBS = b"M" * 32, tuple(bytes([at]) * 32 for at in range(1, 6))
LAST = FIRST + timedelta(days=DAYS)
BUS = DirectoryBus(name="b07", register=TOTAL, main=(MAIN,), subs=SUBS, low_permille=-5, high_permille=50)


def numbers(at: int) -> int:
    return int(f"{FIRST + timedelta(days=at):%Y%m%d}")


def counted(seed: int, stolen: dict[int, int]) -> dict[bytes, list[int]]:
    """Registers at each boundary; the main meter counts 2 % more, and what was stolen on a day."""
    rng = Random(seed)
    shown: dict[bytes, list[int]] = {device: [rng.randrange(10**6)] for device in (MAIN, *SUBS)}
    for day in range(DAYS):
        uses = [rng.randrange(1_000, 20_000) for _ in SUBS]
        for device, use in zip(SUBS, uses, strict=True):
            shown[device].append(shown[device][-1] + use)
        shown[MAIN].append(shown[MAIN][-1] + sum(uses) * 102 // 100 + stolen.get(day, 0))
    return shown


def held(shown: dict[bytes, list[int]], *, without: tuple[bytes, int] | None = None) -> Registers:
    registers = Registers()
    for device, values in shown.items():
        for at, value in enumerate(values):
            if (device, at) != without:
                entry = BoundaryEntry(origin="o", log_id=1, index=at, value=value)
                registers.add(device, TOTAL, numbers(at), entry)
    return registers


@pytest.mark.parametrize("seed", range(5))
def test_a_day_outside_the_band_is_dated_and_the_days_add_up(seed: int) -> None:
    stolen = {4: 40_000, 5: 40_000, 11: -60_000}
    shown = counted(seed, stolen)
    days = list(bus_days(held(shown), BUS, first=FIRST, last=FIRST + timedelta(days=DAYS)))
    found = [(one.first, one.last) for one in deviations(days)]
    assert found == [(FIRST + timedelta(days=one), FIRST + timedelta(days=other)) for one, other in ((4, 5), (11, 11))]
    whole = shown[MAIN][-1] - shown[MAIN][0] - sum(shown[sub][-1] - shown[sub][0] for sub in SUBS)
    assert sum(day.difference or 0 for day in days) == whole
    assert deviations(days)[1].difference < 0, "sub-meters that count more than the main one are never clamped"


def test_a_day_whose_boundary_lacks_an_entry_has_no_balance() -> None:
    days = list(
        bus_days(held(counted(1, {}), without=(SUBS[2], 7)), BUS, first=FIRST, last=FIRST + timedelta(days=DAYS))
    )
    assert [at for at, day in enumerate(days) if day.difference is None] == [6, 7]
    assert [(day.missing, day.is_in_band, day.loss_permille) for day in days[6:8]] == [(1, None, None)] * 2


def test_a_deviation_says_which_way_it_went() -> None:
    days = list(bus_days(held(counted(1, {4: 40_000, 5: 40_000, 11: -20_000})), BUS, first=FIRST, last=LAST))
    lost, more = (one.says() for one in deviations(days))
    assert lost.startswith("look at 2026-11-05 to 2026-11-06: ") and lost.endswith("passed no sub-meter")
    assert more.startswith("look at 2026-11-12: sub-meters counted ") and " -" not in more


@pytest.mark.parametrize(
    ("main", "subs", "inside"),
    [(1000, 950, True), (1000, 949, False), (1000, 1005, True), (1000, 1006, False), (0, 0, True)],
)
def test_the_band_is_exact_at_its_edges(main: int, subs: int, inside: bool) -> None:
    day = BusDay(day=FIRST, main=main, subs=subs, missing=0, low_permille=-5, high_permille=50)
    assert day.is_in_band is inside


def test_only_entries_of_the_meters_own_logs_count(run: Run, store: Store) -> None:
    site = BillingSite(ChainView(31337))
    shown = counted(3, {})
    for device, values in shown.items():
        bind(site.view, device, b"x" * 32, 2, 20260101)
        for at, value in enumerate(values[:3]):
            site.entry(device, TOTAL, numbers(at), value)
    site.entry(MAIN, TOTAL, numbers(1), 1, log=2)

    async def scenario() -> None:
        await site.write(store)
        async with store.read() as connection:
            days = await read_balance(connection, site.view, BUS, first=FIRST, last=FIRST + timedelta(days=2))
        assert [day.main for day in days] == [
            after - before for before, after in zip(shown[MAIN][:2], shown[MAIN][1:3], strict=True)
        ]
        await store.close()

    run(scenario())


def asked_by(store: Store, site: BillingSite, *buses: DirectoryBus) -> BalanceQuestions:
    unit = DirectoryUnit(
        index=0, name="b07-0101", building="b07", floor=1, alias=b"x" * 32, area_centi_m2=1, title=Words(zh="", en="")
    )
    directory = Directory(
        site="s", title=Words(zh="", en=""), timezone=ZoneInfo("Asia/Shanghai"), units=(unit,), buses=buses
    )
    cloud: Any = SimpleNamespace(
        store=store,
        chain=SimpleNamespace(view=site.view),
        directory=SimpleNamespace(read=lambda: directory),
        settings=SimpleNamespace(clock=SystemClock()),
    )
    return BalanceQuestions(cloud)


def person(role: Role, *doors: str) -> Person:
    return Person(key=role.value, role=role, title=Title(zh="", en=""), units=doors)


def test_owners_see_their_buildings_sums_where_enough_households_hang_on_them(run: Run, store: Store) -> None:
    site, few = BillingSite(ChainView(31337)), replace(BUS, name="few", subs=SUBS[:4])
    other = replace(BUS, name="other building", building="b08")
    shown = counted(3, {4: 40_000})
    for device, values in shown.items():
        bind(site.view, device, b"x" * 32, 2, 20260101)
        for at, value in enumerate(values):
            site.entry(device, TOTAL, numbers(at), value)

    async def scenario() -> None:
        await site.write(store)
        asked = asked_by(store, site, replace(BUS, building="b07"), few, other)

        async def names(viewer: Person) -> list[str] | None:
            found = await asked.balance(viewer, None)
            return None if found is None else [bus.name for bus in found.buses]

        every = ["b07", "few", "other building"]
        assert await names(person(Role.OWNER, "b07-0101")) == ["b07"]
        assert await names(person(Role.OWNER)) == []
        assert [await names(person(role)) for role in (Role.MANAGER, Role.COMMITTEE)] == [every, every]
        assert await names(person(Role.CREW)) is None
        found = await asked.balance(person(Role.MANAGER), None)
        assert found is not None and found.last == LAST, "up to the newest boundary"
        (bus, *_), days = found.buses, list(bus_days(held(shown), BUS, first=found.first, last=LAST))
        assert [(day.main, day.subs) for day in bus.days] == [(day.main, day.subs) for day in days]
        assert [(one.first, one.last) for one in bus.stretches] == [(FIRST + timedelta(days=4),) * 2]
        assert bus.without == 31 - DAYS and bus.main - bus.subs == sum(day.difference or 0 for day in days)
        earlier = await asked.balance(person(Role.MANAGER), FIRST + timedelta(days=3))
        assert earlier is not None and earlier.buses[0].without == 28
        await store.close()

    run(scenario())
