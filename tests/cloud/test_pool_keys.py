"""By what a pool is shared: a table that follows from the roll is made again, and nothing else is believed."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from cloud.billing.pool_keys import key_in_table, pool_shares
from cloud.chain.records import PeriodRecord, UnitRecord
from cloud.chain.view import ChainView
from cloud.errors import BillingError
from contracts.bill import Line, LineKind
from contracts.calls.roll_events import PoolKeysSet
from contracts.key_table import NO_KEY, KeyProof, KeyTable, floor_factor_key
from contracts.tariff import Key, Terms

POOL = b"p" * 32
AREAS, FLOORS = (8930, 12050, 7777), (1, 7, 30)
DAYS = (20261101, 20261201)
FLOOR_FACTOR, VOLUMES = 2, 3
TERMS = Terms.tiered(quantity="1-0:1.8.0", tiers=((None, 1),), key=Key.TABLE)
LINE = Line(
    kind=LineKind.SHARED, subject=POOL, quantity="1-0:1.8.0", tariff=1, since=DAYS[0], from_date=DAYS[0],
    to_date=DAYS[1], usage=0, amount=0,
)  # fmt: skip
KEYS = [floor_factor_key(area, floor) for area, floor in zip(AREAS, FLOORS, strict=True)]


def view_with(*tables: PoolKeysSet) -> ChainView:
    view = ChainView(31337)
    view.roll = [
        UnitRecord(alias=bytes([index]) * 32, index=index, area_centi_m2=area, category=0, floor=floor)
        for index, (area, floor) in enumerate(zip(AREAS, FLOORS, strict=True))
    ]
    view.pool_tables[POOL] = list(tables)
    return view


def table(keys: list[int], *, kind: int = FLOOR_FACTOR, valid_from: int = 20260901) -> PoolKeysSet:
    root = KeyTable(pool=POOL, keys=keys).root
    return PoolKeysSet(POOL, 0, root.hash, root.sums, kind, len(keys), valid_from)


def key_of(view: ChainView, line: Line, unit_index: int) -> KeyProof:
    """Of what the roll holds: no store is asked."""
    nothing: Any = None
    return asyncio.run(key_in_table(nothing, view, line, TERMS, period=0, unit_index=unit_index))


def test_areas_and_equal_parts_need_no_table() -> None:
    assert pool_shares(view_with(), POOL, Key.AREA, DAYS, units=3).keys == list(AREAS)
    assert pool_shares(view_with(), POOL, Key.EQUAL, DAYS, units=3).keys == [1, 1, 1]


def test_a_table_of_floor_factors_is_made_again_from_the_roll() -> None:
    view = view_with(table(KEYS))
    assert pool_shares(view, POOL, Key.TABLE, DAYS, units=3).keys == KEYS
    proof = key_of(view, LINE, 1)
    assert proof.key == KEYS[1] and len(proof.path) == 2
    assert key_of(view, replace(LINE, kind=LineKind.OWN), 1) is NO_KEY


def test_a_unit_that_joined_after_the_table_has_no_part() -> None:
    view = view_with(table(KEYS[:2]))
    assert pool_shares(view, POOL, Key.TABLE, DAYS, units=3).keys == [*KEYS[:2], 0]
    assert key_of(view, LINE, 2) is NO_KEY


def test_a_table_that_does_not_follow_from_the_roll_is_left_to_people() -> None:
    with pytest.raises(BillingError, match="does not follow from the roll"):
        pool_shares(view_with(table([KEYS[0] + 1, *KEYS[1:]])), POOL, Key.TABLE, DAYS, units=3)
    with pytest.raises(BillingError, match="which only the period's table holds"):
        pool_shares(view_with(), POOL, Key.VOLUME, DAYS, units=3)


@pytest.mark.parametrize("starts", [[], [20261115], [20260901, 20261115]])
def test_a_table_must_hold_over_the_lines_days(starts: list[int]) -> None:
    view = view_with(*(table(KEYS, valid_from=start) for start in starts))
    with pytest.raises(BillingError, match="no table of keys holds"):
        pool_shares(view, POOL, Key.TABLE, DAYS, units=3)


def test_a_new_table_on_the_day_after_the_last_changes_nothing() -> None:
    view = view_with(table(KEYS), table([1, 2, 3], kind=VOLUMES, valid_from=20261201))
    assert pool_shares(view, POOL, Key.TABLE, DAYS, units=3).keys == KEYS


def test_the_roll_of_a_closed_period_is_not_copied_until_somebody_joins() -> None:
    view, period = view_with(), DAYS[0] * 10**8 + DAYS[1]
    assert view.roll_of(period) is view.roll and view.unit_count_of(period) == 3
    view.periods[period] = PeriodRecord(
        period=period, root=b"", sums=0, unit_count=3, window_end_s=1, closed_at_s=0, block_number=1,
        transaction_hash="0x",
    )  # fmt: skip
    assert view.roll_of(period) is view.roll
    view.roll.append(replace(view.roll[0], index=3))
    assert view.roll_of(period) == view.roll[:3] and view.unit_count_of(period) == 3
