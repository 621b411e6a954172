"""Prices: published examples to the fen, sums of components, seasons, windows, households, standing charges."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.standing import month_parts, standing_charge
from contracts.tariff import (
    MONTH_PARTS,
    Basis,
    Component,
    Counting,
    Season,
    TariffError,
    Terms,
    Window,
    decode_terms,
    price_each,
    price_per_hundred,
    price_per_million,
    price_per_thousand,
)


def terms(*tiers: tuple[int | None, int], quantity: str = "1-0:1.8.0") -> Terms:
    return Terms.tiered(quantity=quantity, tiers=tiers, counting=Counting.YEAR)


def fen(prices: Terms, usage: int, prior: int = 0) -> int:
    return prices.seasons[0].charge(used=[usage], prior=prior)


BEIJING_ELECTRICITY = terms(
    (2_880_000, price_per_thousand("0.4883")),
    (4_800_000, price_per_thousand("0.5383")),
    (None, price_per_thousand("0.7883")),
)
SHANGHAI_ELECTRICITY = terms(
    (3_120_000, price_per_thousand("0.617")),
    (4_800_000, price_per_thousand("0.667")),
    (None, price_per_thousand("0.917")),
)
# A price is a sum of named components: only that of the water itself rises with the tiers.
BEIJING_WATER = Terms(
    quantity="8-0:1.0.0",
    counting=Counting.YEAR,
    seasons=(
        Season(
            bounds=(180_000_000, 260_000_000),
            components=(
                *(
                    Component(name="water", price=price_per_million(yuan), tiers=1 << tier)
                    for tier, yuan in enumerate(("2.07", "4.07", "6.07"))
                ),
                Component(name="resource", price=price_per_million("1.57")),
                Component(name="sewage", price=price_per_million("1.36")),
            ),
        ),
    ),
)


@pytest.mark.parametrize(
    ("prices", "usage", "expected"),
    [
        (BEIJING_WATER, 270_000_000, 155_000),
        (BEIJING_ELECTRICITY, 5_000_000, 259_750),
        (SHANGHAI_ELECTRICITY, 5_000_000, 322_900),
    ],
)
def test_the_published_examples_come_out_to_the_fen(prices: Terms, usage: int, expected: int) -> None:
    assert fen(prices, usage) == expected


def test_six_decimals_are_exact() -> None:
    assert price_per_thousand("0.423625") == 42_362_500
    assert fen(terms((None, price_per_thousand("0.423625"))), 1_000_000) == 42_363


@given(st.lists(st.integers(0, 1_000_000), min_size=1, max_size=12))
def test_a_years_bills_add_up_to_the_years_price(months: list[int]) -> None:
    prior = charged = 0
    for used in months:
        charged += fen(BEIJING_ELECTRICITY, used, prior)
        prior += used
    assert charged == fen(BEIJING_ELECTRICITY, sum(months))


@given(st.integers(0, 10**10), st.integers(0, 10**10))
def test_more_usage_never_costs_less(less: int, more: int) -> None:
    less, more = sorted((less, more))
    assert fen(BEIJING_ELECTRICITY, less) <= fen(BEIJING_ELECTRICITY, more)


def test_time_of_use_shares_each_tier_over_the_registers() -> None:
    """Zhejiang: 8 to 22 h and 22 to 8 h; tiers over the year, prices of both ways summed and rounded once."""
    prices = {0: ("0.568", "0.288"), 1: ("0.618", "0.338"), 2: ("0.868", "0.588")}
    season = Season(
        bounds=(2_760_000, 4_800_000),
        windows=(Window(0, 480, 1320), Window(1, 1320, 480)),
        components=tuple(
            Component(name="energy", price=price_per_thousand(yuan), tiers=1 << tier, registers=1 << register)
            for tier, both in prices.items()
            for register, yuan in enumerate(both)
        ),
    )
    # 300 kWh over the first bound's end, a third of them by night: 100 in tier 1, 200 in tier 2, each two to one.
    charge = season.charge(used=[200_000, 100_000], prior=2_660_000)
    assert charge == round((100 * (2 * 56.8 + 28.8) + 200 * (2 * 61.8 + 33.8)) / 3)


def test_a_household_widens_the_tiers() -> None:
    season = replace(BEIJING_ELECTRICITY.seasons[0], persons=4, extra=100_000)
    assert season.charge(used=[3_080_000], residents=6) == fen(terms((None, price_per_thousand("0.4883"))), 3_080_000)
    assert season.charge(used=[3_080_000], residents=4) == fen(BEIJING_ELECTRICITY, 3_080_000)


def test_seasons_wrap_the_new_year_and_a_line_lies_in_one() -> None:
    """Yunnan: tiers from December to April only."""
    dry = Season(months=(12, 1, 2, 3, 4), components=(Component(name="energy", price=2),))
    wet = Season(months=(5, 6, 7, 8, 9, 10, 11), components=(Component(name="energy", price=1),))
    yunnan = Terms(quantity="1-0:1.8.0", seasons=(dry, wet))
    assert yunnan.season(20261201, 20270501) is dry and yunnan.season(20261101, 20261201) is wet
    with pytest.raises(TariffError, match="split the line"):
        yunnan.season(20261130, 20261202)


def test_terms_come_back_from_their_bytes() -> None:
    for one in (BEIJING_WATER, BEIJING_ELECTRICITY):
        assert decode_terms(one.encode()) == one
    with pytest.raises(Exception, match="terms"):
        decode_terms(BEIJING_WATER.encode()[:-32])


PROPERTY = Terms(
    quantity="fee.area",
    basis=Basis.AREA,
    seasons=(Season(components=(Component(name="property", price=price_per_hundred("2.5")),)),),
)


@pytest.mark.parametrize(
    ("span", "area", "expected"),
    [
        ((20261101, 20261201), 8930, 22_325),  # 89.30 m2 at 2.50 a month
        ((20260201, 20260301), 8930, 22_325),
        ((20261101, 20261116), 8930, 11_163),  # half of November, rounded half up
        ((20261115, 20261215), 10_000, 24_624),  # 16/30 of November and 14/31 of December
        ((20240229, 20240301), 29_00, 250),
    ],
)
def test_a_property_fee_goes_by_area_and_month(span: tuple[int, int], area: int, expected: int) -> None:
    assert standing_charge(PROPERTY, count=area, from_date=span[0], to_date=span[1]) == expected


def test_a_year_has_twelve_months_whatever_the_days() -> None:
    assert month_parts(20260101, 20270101) == 12 * MONTH_PARTS
    assert month_parts(20260117, 20260911) == month_parts(20260117, 20260430) + month_parts(20260430, 20260911)


def test_what_is_charged_once_does_not_go_by_days() -> None:
    key = Terms(
        quantity="fee.key",
        basis=Basis.ONCE,
        seasons=(Season(components=(Component(name="key", price=price_each("15")),)),),
    )
    assert standing_charge(key, count=2, from_date=20261101, to_date=20261105) == 3_000


ONE = (Component(name="energy", price=1),)


def test_what_no_bill_can_rest_on_is_refused() -> None:
    with pytest.raises(TariffError, match="out of range"):
        fen(BEIJING_ELECTRICITY, -1)
    with pytest.raises(TariffError, match="metered"):
        standing_charge(BEIJING_ELECTRICITY, count=1, from_date=20261101, to_date=20261201)
    with pytest.raises(TariffError, match="out of range"):
        standing_charge(PROPERTY, count=-1, from_date=20261101, to_date=20261201)
    for tiers in (((5, 1),), ((None, 1), (5, 1)), ((5, 1), (5, 1), (None, 1)), ((None, 2**56),), ((None, -1),)):
        with pytest.raises(TariffError):
            terms(*tiers)
    for text in ("", "1,5", "-1", "1.2345678", "٣", "1e3"):
        with pytest.raises(TariffError):
            price_per_thousand(text)


@pytest.mark.parametrize(
    ("season", "registers", "says"),
    [
        (Season(components=ONE, months=(1, 2)), 1, "twelve months"),
        (Season(components=ONE, bounds=(5,)), 1, "not over nothing"),
        (Season(components=ONE), 2, "0 minutes"),
        (Season(components=ONE, windows=(Window(0, 0, 600), Window(1, 600, 1400))), 2, "begin where"),
        (Season(components=ONE, windows=(Window(2, 0, 0),)), 2, "begin where"),
        (Season(components=ONE, windows=(Window(0, 0, 0), Window(1, 0, 0))), 2, "2880 minutes"),
        (Season(components=ONE * 13), 1, "at most"),
    ],
)
def test_terms_that_are_not_whole_are_refused(season: Season, registers: int, says: str) -> None:
    names = tuple(f"1-0:1.8.{place}" for place in range(registers))
    with pytest.raises(TariffError, match=says):
        Terms(quantity="1-0:1.8.0", registers=names, seasons=(season,))
    with pytest.raises(TariffError, match="name"):
        Terms(quantity="fee", basis=Basis.AREA, registers=("1-0:1.8.0",), seasons=(Season(components=ONE),))
