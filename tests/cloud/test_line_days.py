"""Lines that meet in a midnight which nobody heard find one value there, whatever cuts them: what is counted is billed
once.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from cloud.billing.bill_block import lines_of
from cloud.chain.records import UnitRecord
from cloud.chain.view import ChainView
from cloud.store import Store
from contracts.bill import Line, LineKind
from contracts.tariff import Basis, Component, Season, Terms
from tests.cloud.billing_site import TOTAL, BillingSite, bind, fee
from tests.cloud.test_corrections import METER, UNIT, hear, post
from tests.cloud.test_tariff_days import announce

Run = Callable[[Any], Any]

FEN_PER_WH = 10**9  # so that no amount is rounded
JANUARY, FEBRUARY, MARCH = 2026010120260201, 2026020120260301, 2026030120260401
ENTRIES = {20260101: 0, 20260115: 1_000, 20260210: 2_000, 20260301: 2_500}


def priced(first: int, *, replaces: int = 0) -> Callable[[ChainView], int]:
    terms = Terms.tiered(quantity=TOTAL, tiers=[(None, FEN_PER_WH)])
    return lambda view: announce(view, terms, first, replaces=replaces)


def flat(bound_since: int = 20251201) -> BillingSite:
    site = BillingSite(ChainView(31337))
    unit = UnitRecord(alias=UNIT, index=0, area_centi_m2=100, category=0)
    site.view.roll.append(unit)
    site.view.units[UNIT] = unit
    bind(site.view, METER, UNIT, 1, bound_since)
    return site


def fen_of(content: bytes) -> int:
    return sum(-one.amount if one.kind is LineKind.CREDIT else one.amount for one in lines_of(content))


def own_lines(contents: Sequence[bytes]) -> list[Line]:
    return [one for content in contents for one in lines_of(content) if one.quantity == TOTAL]


def post_in_turn(run: Run, store: Store, site: BillingSite, heard: Mapping[int, Mapping[int, int]]) -> Sequence[bytes]:
    """The bills of each period, posted once the entries beside it are held."""

    async def scenario() -> list[bytes]:
        await site.write(store)
        contents = []
        for period, entries in heard.items():
            await hear(store, site, dict(entries))
            contents.append(await post(store, site, period))
        await store.close()
        return contents

    contents: Sequence[bytes] = run(scenario())
    return contents


def test_a_change_of_price_within_the_month_before_a_missing_midnight_bills_nothing_twice(
    run: Run, store: Store
) -> None:
    site = flat()
    old = priced(20251201)(site.view)
    priced(20260115, replaces=old)(site.view)
    contents = post_in_turn(run, store, site, {JANUARY: ENTRIES, FEBRUARY: {}})
    assert [one.usage for one in own_lines(contents)] == [1_000, 653, 2_500 - 1_653]
    assert sum(map(fen_of, contents)) == 2_500


@pytest.mark.parametrize(
    "late",
    [
        {20260210: 2_000, 20260301: 2_500},  # the midnight was never heard
        {20260201: 1_900, 20260301: 2_500},  # it was heard late
        {20260401: 3_100},  # nothing is heard before March has ended
    ],
)
def test_corrections_of_such_lines_leave_what_was_counted(run: Run, store: Store, late: dict[int, int]) -> None:
    site = flat()
    old = priced(20251201)(site.view)
    priced(20260115, replaces=old)(site.view)
    before = {20260101: 0, 20260115: 1_000, 20260120: 1_100}
    end = {20260401: 3_100} if 20260401 not in late else {}
    april = 2026040120260501
    contents = post_in_turn(
        run, store, site, {JANUARY: before, FEBRUARY: {}, MARCH: {**late, **end}, april: {20260501: 3_500}}
    )
    assert sum(map(fen_of, contents)) == 3_500


def test_a_season_that_changes_within_a_longer_period_bills_nothing_twice(run: Run, store: Store) -> None:
    """The first period ends in a missing midnight, and its second season began in one that was heard."""
    site = flat()
    component = Component(name="energy", price=FEN_PER_WH)
    seasons = (
        Season(months=(1, 2, 3, 4), components=(component,)),
        Season(months=tuple(range(5, 13)), components=(component,)),
    )
    announce(site.view, Terms(quantity=TOTAL, registers=(TOTAL,), seasons=seasons), 20251201)
    spring, summer = 2026040120260601, 2026060120260701
    entries = {20260401: 0, 20260501: 1_000, 20260520: 1_100, 20260610: 2_000, 20260701: 2_500}
    contents = post_in_turn(run, store, site, {spring: entries, summer: {}})
    assert [one.from_date for one in own_lines(contents)] == [20260401, 20260501, 20260601]
    assert sum(map(fen_of, contents)) == 2_500


def test_a_meter_swapped_within_the_month_before_a_missing_midnight_bills_nothing_twice(run: Run, store: Store) -> None:
    """Both meters count 40 Wh a day, for the contract measures the line over the days of both."""
    site = flat(bound_since=20260101)
    site.view.bindings[METER][0].to_date = 20260110
    new = b"n" * 32
    bind(site.view, new, UNIT, 1, 20260110)
    priced(20251201)(site.view)
    for day, value in {20260110: 0, 20260120: 900, 20260210: 1_240, 20260301: 1_500}.items():
        site.entry(new, TOTAL, day, value)
    contents = post_in_turn(run, store, site, {JANUARY: {20260101: 0, 20260110: 360}, FEBRUARY: {}})
    assert sum(map(fen_of, contents)) == 360 + 1_500


def test_a_fee_that_begins_on_a_heard_day_moves_no_meters_estimate(run: Run, store: Store) -> None:
    site = flat()
    old = priced(20251201)(site.view)
    priced(20260120, replaces=old)(site.view)
    announce(site.view, fee(Basis.HEADS, 10**12), 20260110)
    contents = post_in_turn(run, store, site, {JANUARY: {20260101: 0, 20260110: 900, 20260201: 1_000}})
    assert [one.usage for one in own_lines(contents)] == [612, 388]
