"""Meters without tariff registers: boundary entries say how much was counted, readings between them at which price."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from cloud.billing.bill_block import BillBlock, encode_block, leaves_of, lines_of
from cloud.billing.derivation import sentence
from cloud.billing.derive import derive_lines
from cloud.billing.intervals import believed
from cloud.billing.kept import bill_place
from cloud.billing.period_columns import PeriodColumns, reckon_period
from cloud.billing.posted import compare_bills, take_block
from cloud.billing.reckoning import DraftLine, Reckoning
from cloud.billing.replay import replay_period
from cloud.billing.usage import BoundaryEntry
from cloud.chain.records import AssignmentRecord, PeriodRecord, UnitRecord
from cloud.chain.view import ChainView
from cloud.directory import EMPTY, Directory
from cloud.store import Store, insert_rows, tables
from contracts.bill import BillTree, LineKind
from contracts.clock import SystemClock
from contracts.entry import Kind, device_id
from contracts.onchain import origin_id
from contracts.quantities import boundary_quantity
from contracts.tariff import Component, Season, Terms, Window
from contracts.time_of_use import TimedReading
from tests.cloud.billing_site import PERIOD, RATES, TOTAL, bind, tariff
from tests.cloud.conftest import open_bench
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.interval_site import HOUR, ODDITIES, IntervalSite, midnight_ms, random_interval_site
from tests.cloud.test_bill_blocks import Deployed
from tests.cloud.test_derivation import numbers, shown
from tests.cloud.test_sealed_readings import vault_at

Run = Callable[[Any], Any]

DEPLOYED: Any = Deployed()
METER, NEXT, UNIT = b"m" * 32, b"n" * 32, b"u" * 32
FIRST, LAST = 20261101, 20261103
TWO_DAYS = FIRST * 10**8 + LAST
PRICES = (60_000_000, 30_000_000)
BY_DAY_AND_NIGHT = Terms(
    quantity=TOTAL,
    registers=RATES[:2],
    seasons=(
        Season(
            components=tuple(
                Component(name=f"p{at}", price=price, registers=1 << at) for at, price in enumerate(PRICES)
            ),
            windows=(Window(0, 480, 1320), Window(1, 1320, 480)),
        ),
    ),
)


@pytest.mark.parametrize("seed", range(2))
def test_columns_give_every_line_by_intervals_as_it_is_reckoned_alone(run: Run, store: Store, seed: int) -> None:
    site = random_interval_site(seed)

    async def scenario() -> None:
        await site.write(store)
        async with store.read() as connection:
            together = await reckon_period(connection, view=site.view, directory=EMPTY, period=PERIOD)
            alone = await Reckoning.read(connection, site.view, EMPTY, PERIOD)
        await store.close()
        contents = together.contents([bytes(16)] * len(site.view.roll), 0)
        own = alone.own_lines(site.view.roll)
        for unit, content in zip(site.view.roll, contents, strict=True):
            assert lines_of(content) == [one.line for one in own[unit.index]], unit.index
        assert sorted(together.problems) == sorted(alone.problems)
        lines = [one for some in own for one in some]
        assert {one.line.kind for one in lines} == {LineKind.OWN, LineKind.INTERVAL, LineKind.ESTIMATED}
        assert not any(at in together.apart for at in range(len(ODDITIES), len(own))), (
            "ordinary ones are priced in columns"
        )
        for one in lines:
            says_what_it_rests_on(one)

    run(scenario())


def says_what_it_rests_on(one: DraftLine) -> None:
    english, chinese = sentence(one.derivation, "en"), sentence(one.derivation, "zh")
    assert numbers(english) == numbers(chinese), (english, chinese)
    assert set(numbers(english)) <= shown(one.derivation), (english, one.derivation)
    assert sum(int(register["usage"]) for register in one.derivation["registers"]) == one.line.usage
    if one.line.kind is LineKind.INTERVAL:
        spans = one.derivation["spans"]
        counted = sum(int(span["closing"]["value"]) - int(span["opening"]["value"]) for span in spans)
        assert counted == one.line.usage, "together the intervals are what the boundary entries say"


def timed(*readings: tuple[int, int]) -> list[TimedReading]:
    """Readings in the order of their log: hour and value."""
    return [
        TimedReading(hour * HOUR, value, BoundaryEntry(origin="o", log_id=1, index=at, value=value))
        for at, (hour, value) in enumerate(readings)
    ]


@pytest.mark.parametrize(
    ("readings", "kept"),
    [
        (((1, 10), (2, 20), (3, 30)), [10, 20, 30]),
        (((1, 10), (2, 5_000), (3, 30)), [10, 30]),  # beyond the closing entry
        (((1, 10), (2, 90), (3, 20), (4, 30)), [10, 20, 30]),  # a jump inside
        (((1, 10), (30, 20), (31, 25), (4, 40), (5, 50)), [10, 40, 50]),  # a clock that was a day ahead for a while
    ],
)
def test_readings_that_cannot_be_are_not_believed(readings: tuple[tuple[int, int], ...], kept: list[int]) -> None:
    assert [one.value for one in believed(timed(*readings), 0, 100)] == kept


def small_site(*, swap: int = 0) -> IntervalSite:
    """One flat whose meter has one register, under a tariff by day and night."""
    site = IntervalSite(ChainView(31337))
    unit = UnitRecord(alias=UNIT, index=0, area_centi_m2=100, category=0)
    site.view.roll.append(unit)
    site.view.units[UNIT] = unit
    tariff(site.view, BY_DAY_AND_NIGHT)
    bind(site.view, METER, UNIT, 1, 20260101, swap)
    return site


def read_hourly(
    site: IntervalSite, value: Callable[[int], int], *, hours: range = range(1, 48), device: bytes = METER
) -> None:
    for hour in hours:
        site.reading(device, midnight_ms(FIRST) + hour * HOUR + 2_000, value(hour))


def by_day(hour: int) -> int:
    """A register that counts 100 Wh in each hour between 8 and 22 and 10 Wh in each of the others."""
    return sum(100 if 8 <= at % 24 < 22 else 10 for at in range(hour))


WHOLE = by_day(48)


async def reckoned(
    store: Store, site: IntervalSite, period: int = TWO_DAYS, directory: Directory = EMPTY
) -> PeriodColumns:
    async with store.read() as connection:
        return await reckon_period(connection, view=site.view, directory=directory, period=period)


async def derived(
    store: Store, site: IntervalSite, found: PeriodColumns, period: int = TWO_DAYS, directory: Directory = EMPTY
) -> tuple[Any, Any]:
    """The one line and its derivation, made as a page makes it."""
    (content,) = found.contents([bytes(16)], 0)
    (line,) = lines_of(content)
    async with store.read() as connection:
        (derivation,) = await derive_lines(
            connection, site.view, directory, period=period, unit=site.view.roll[0], lines=[line]
        )
    assert derivation["matches"]
    return line, derivation


def fen(day_wh: int, night_wh: int) -> int:
    return BY_DAY_AND_NIGHT.seasons[0].charge(used=[day_wh, night_wh])


def test_readings_say_how_much_of_what_the_boundary_entries_give_was_used_by_day(run: Run, store: Store) -> None:
    site = small_site()
    site.entry(METER, TOTAL, FIRST, 0)
    site.entry(METER, TOTAL, LAST, WHOLE)
    read_hourly(site, by_day)

    async def scenario() -> None:
        await site.write(store)
        found = await reckoned(store, site)
        assert not found.problems and not found.apart
        line, derivation = await derived(store, site, found)
        assert (line.kind, line.usage, line.amount) == (LineKind.INTERVAL, WHOLE, fen(2_800, 200))
        (interval,) = derivation["intervals"]
        assert [(one["hours"], one["usage"]) for one in interval["prices"]] == [("28", "2800"), ("20", "200")]
        assert (interval["readings"], interval["changes"], interval["gaps"]) == ("47", "4", "0")
        assert all(point["rule"] == "reading" and "index" in point["inputs"][0] for point in interval["points"])
        assert "47 signed readings" in sentence(derivation, "en") and "2.8 千瓦时" in sentence(derivation, "zh")
        await store.close()

    run(scenario())


def test_a_meter_with_tariff_registers_is_priced_by_them_although_readings_are_there(run: Run, store: Store) -> None:
    site = small_site()
    for day, values in ((FIRST, (0, 0, 0)), (LAST, (WHOLE, 2_000, WHOLE - 2_000))):
        for register, value in zip((TOTAL, *RATES[:2]), values, strict=True):
            site.entry(METER, register, day, value)
    read_hourly(site, by_day)

    async def scenario() -> None:
        await site.write(store)
        line, derivation = await derived(store, site, await reckoned(store, site))
        assert (line.kind, line.amount) == (LineKind.OWN, fen(2_000, WHOLE - 2_000))
        assert "intervals" not in derivation
        await store.close()

    run(scenario())


def test_hours_without_readings_are_bridged_by_a_named_rule_with_its_entries(run: Run, store: Store) -> None:
    site = small_site()
    site.entry(METER, TOTAL, FIRST, 0)
    site.entry(METER, TOTAL, LAST, WHOLE)
    read_hourly(site, by_day, hours=range(1, 7))
    read_hourly(site, by_day, hours=range(10, 48))

    async def scenario() -> None:
        await site.write(store)
        line, derivation = await derived(store, site, await reckoned(store, site))
        (interval,) = derivation["intervals"]
        (gap,) = [point for point in interval["points"] if point["rule"] == "by-time"]
        assert [one["value"] for one in gap["inputs"]] == [str(by_day(6)), str(by_day(10))]
        assert all("index" in one for one in gap["inputs"]), "both entries are named"
        bridged = int(gap["value"])
        assert by_day(6) < bridged < by_day(10)
        assert line.usage == WHOLE
        assert line.amount == fen(2_800 + by_day(8) - bridged, 200 - by_day(8) + bridged)
        assert "At 1 of 4 changes of price" in sentence(derivation, "en")
        assert "by-time" in sentence(derivation, "zh")
        await store.close()

    run(scenario())


def test_a_meter_that_nobody_reads_between_midnights_is_a_problem_in_words_and_no_line(run: Run, store: Store) -> None:
    site = small_site()
    site.entry(METER, TOTAL, FIRST, 0)
    site.entry(METER, TOTAL, LAST, WHOLE)

    async def scenario() -> None:
        await site.write(store)
        found = await reckoned(store, site)
        assert lines_of(found.contents([bytes(16)], 0)[0]) == []
        assert "neither tariff registers nor readings" in found.problems[0]
        await store.close()

    run(scenario())


def test_a_meter_swapped_at_noon_of_no_day_is_told_meter_by_meter(run: Run, store: Store) -> None:
    site = small_site(swap=20261102)
    bind(site.view, NEXT, UNIT, 1, 20261102)
    for device, day, value in (
        (METER, FIRST, 0),
        (METER, 20261102, by_day(24)),
        (NEXT, 20261102, 7),
        (NEXT, LAST, 7 + by_day(24)),
    ):
        site.entry(device, TOTAL, day, value)
    read_hourly(site, by_day, hours=range(1, 24))
    read_hourly(site, lambda hour: 7 + by_day(hour - 24), hours=range(25, 48), device=NEXT)

    async def scenario() -> None:
        await site.write(store)
        line, derivation = await derived(store, site, await reckoned(store, site))
        assert (line.kind, line.subject, line.amount) == (LineKind.INTERVAL, NEXT, fen(2_800, 200))
        assert [one["device"] for one in derivation["intervals"]] == [METER.hex(), NEXT.hex()]
        await store.close()

    run(scenario())


def test_the_night_in_which_clocks_go_back_has_its_hour_more(run: Run, store: Store) -> None:
    zone = ZoneInfo("Europe/Berlin")
    directory, first = replace(EMPTY, timezone=zone), 20261025
    site = small_site()
    site.entry(METER, TOTAL, first, 0)
    site.entry(METER, TOTAL, first + 1, 2_500)
    for hour in range(1, 25):
        site.reading(METER, midnight_ms(first, zone) + hour * HOUR, 100 * hour)

    async def scenario() -> None:
        await site.write(store)
        period = first * 10**8 + first + 1
        line, derivation = await derived(store, site, await reckoned(store, site, period, directory), period, directory)
        (interval,) = derivation["intervals"]
        assert [(one["hours"], one["usage"]) for one in interval["prices"]] == [("14", "1400"), ("11", "1100")]
        assert interval["zone"] == "Europe/Berlin" and line.amount == fen(1_400, 1_100)
        await store.close()

    run(scenario())


async def post(store: Store, site: IntervalSite, period: int) -> bytes:
    (content,) = (await reckoned(store, site, period)).contents([bytes(16)], 0)
    tree = BillTree(leaves_of([content], bill_place(DEPLOYED, period)))
    site.view.periods[period] = PeriodRecord(
        period=period, root=tree.root.hash, sums=tree.root.sums, unit_count=1, window_end_s=1, closed_at_s=0,
        block_number=1, transaction_hash="0x",
    )  # fmt: skip
    body = encode_block(BillBlock(first=0, contents=[content], path=()))
    await take_block(store, view=site.view, deployment=DEPLOYED, clock=SystemClock(), period=period, body=body)
    assert not await compare_bills(store, view=site.view, directory=EMPTY, deployment=DEPLOYED, period=period)
    return content


def test_an_estimate_of_such_a_meter_is_corrected_once_by_what_later_entries_say(run: Run, store: Store) -> None:
    site = small_site()
    site.entry(METER, TOTAL, 20261030, 0)
    site.entry(METER, TOTAL, FIRST, 1_000)
    following = LAST * 10**8 + 20261105

    async def scenario() -> None:
        await site.write(store)
        (estimate,) = lines_of(await post(store, site, TWO_DAYS))
        assert (estimate.kind, estimate.usage) == (LineKind.ESTIMATED, 1_000), "as many a day as in the days before"
        before = len(site.rows)
        site.entry(METER, TOTAL, LAST, 1_000 + WHOLE)
        site.entry(METER, TOTAL, 20261105, 1_000 + 2 * WHOLE)
        read_hourly(site, lambda hour: 1_000 + by_day(hour), hours=range(1, 96))
        async with store.write() as connection:
            await insert_rows(connection, tables.boundaries, site.rows[before:])
        await site.write_readings(store, site.readings)
        own, correction = lines_of(await post(store, site, following))
        assert (own.kind, own.amount) == (LineKind.INTERVAL, fen(2_800, 200))
        assert correction.amount == fen(2_800, 200) - estimate.amount
        async with store.read() as connection:
            changes = replay_period(connection, view=site.view, directory=EMPTY, deployment=DEPLOYED, period=following)
            assert [change async for change in changes] == []
            changes = replay_period(connection, view=site.view, directory=EMPTY, deployment=DEPLOYED, period=TWO_DAYS)
            (change,) = [change async for change in changes]
        assert change.new is not None and change.new.kind is LineKind.INTERVAL and "measured" in change.why
        assert change.derivation is not None and change.derivation["intervals"]
        await store.close()

    run(scenario())


class StoppedClock(SystemClock):
    """A cloud's clock shortly after the line's days."""

    def now_ms(self) -> int:
        return midnight_ms(LAST) + HOUR


def test_what_a_gateway_sent_and_the_store_sealed_is_billed_by_the_hour(
    run: Run, store_url: str, tmp_path: Path
) -> None:
    """From signed batches: nothing is written into the store by hand."""
    gateway, urn = SimulatedGateway(), "urn:minglou:cuiyuan:b07:meter:0101-abcdefgh"
    site, device = small_site(), device_id(urn)
    del site.view.bindings[METER]
    bind(site.view, device, UNIT, 1, 20260101)
    site.view.assignments[device] = [
        AssignmentRecord(origin_id=origin_id(gateway.origin), first_index=1, last_index=None, block=1)
    ]
    for hour in range(49):
        at_ms = midnight_ms(FIRST) + hour * HOUR
        if hour % 48 == 0:
            quantity = boundary_quantity(TOTAL, date(2026, 11, 1 + hour // 24))
            gateway.log(Kind.READING, urn, quantity, by_day(hour), detail={"source": "freeze"}, at_ms=at_ms)
        gateway.log(Kind.READING, urn, TOTAL, by_day(hour), detail={"source": "poll"}, at_ms=at_ms + 1_500)

    async def scenario() -> None:
        async with open_bench(store_url, clock=StoppedClock(), sealer=vault_at(tmp_path)) as bench:
            bench.keys.enrol(gateway)
            assert await bench.send(gateway) == gateway.size
            line, derivation = await derived(bench.store, site, await reckoned(bench.store, site))
            assert (line.kind, line.amount) == (LineKind.INTERVAL, fen(2_800, 200))
            # At the very first midnight too: that reading lies inside the line's days.
            assert derivation["intervals"][0]["readings"] == "48"

    run(scenario())
