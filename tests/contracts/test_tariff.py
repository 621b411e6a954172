"""Prices: the published examples to the fen, and a year's bills that add up exactly."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.tariff import LAST_TIER, Tariff, TariffError, Tier, price_per_million, price_per_thousand


def tariff(*tiers: tuple[int, int], by_year: bool = True, quantity: str = "1-0:1.8.0") -> Tariff:
    return Tariff(
        quantity=quantity,
        category=0,
        by_year=by_year,
        valid_from=20260101,
        valid_to=0,
        document=bytes(32),
        tiers=tuple(Tier(up_to=up_to, price=price) for up_to, price in tiers),
    )


BEIJING_WATER = tariff(
    (180_000_000, price_per_million("5")),
    (260_000_000, price_per_million("7")),
    (LAST_TIER, price_per_million("9")),
    quantity="8-0:1.0.0",
)
BEIJING_ELECTRICITY = tariff(
    (2_880_000, price_per_thousand("0.4883")),
    (4_800_000, price_per_thousand("0.5383")),
    (LAST_TIER, price_per_thousand("0.7883")),
)
SHANGHAI_ELECTRICITY = tariff(
    (3_120_000, price_per_thousand("0.617")),
    (4_800_000, price_per_thousand("0.667")),
    (LAST_TIER, price_per_thousand("0.917")),
)


@pytest.mark.parametrize(
    ("prices", "usage", "fen"),
    [
        (BEIJING_WATER, 270_000_000, 155_000),
        (BEIJING_ELECTRICITY, 5_000_000, 259_750),
        (SHANGHAI_ELECTRICITY, 5_000_000, 322_900),
    ],
)
def test_the_published_examples_come_out_to_the_fen(prices: Tariff, usage: int, fen: int) -> None:
    assert prices.fen(usage) == fen


def test_six_decimals_are_exact() -> None:
    assert price_per_thousand("0.423625") == 42_362_500
    assert tariff((LAST_TIER, price_per_thousand("0.423625"))).fen(1_000_000) == 42_363


@given(st.lists(st.integers(0, 1_000_000), min_size=1, max_size=12))
def test_a_years_bills_add_up_to_the_years_price(months: list[int]) -> None:
    prior = charged = 0
    for used in months:
        charged += BEIJING_ELECTRICITY.charge(used=used, prior=prior)
        prior += used
    assert charged == BEIJING_ELECTRICITY.fen(sum(months))


@given(st.integers(0, 10**10), st.integers(0, 10**10))
def test_more_usage_never_costs_less(less: int, more: int) -> None:
    less, more = sorted((less, more))
    assert BEIJING_ELECTRICITY.fen(less) <= BEIJING_ELECTRICITY.fen(more)


def test_what_no_bill_can_rest_on_is_refused() -> None:
    with pytest.raises(TariffError, match="below zero"):
        BEIJING_ELECTRICITY.fen(-1)
    with pytest.raises(TariffError, match="by month"):
        replace(BEIJING_ELECTRICITY, by_year=False).charge(used=1, prior=1)
    for tiers in ((), ((5, 1),), ((5, 1), (5, 1), (LAST_TIER, 1)), ((LAST_TIER, 2**64),), ((LAST_TIER, -1),)):
        with pytest.raises(TariffError):
            tariff(*tiers)
    for text in ("", "1,5", "-1", "1.2345678", "٣", "1e3"):
        with pytest.raises(TariffError):
            price_per_thousand(text)
