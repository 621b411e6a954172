"""The Python that makes bills and the contract that recomputes them agree to the fen, on random cases."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.bill import Line, LineKind, share
from contracts.calls import tariffs
from contracts.tariff import LAST_TIER, Tariff, Tier
from tests.contracts.vyper.conftest import undone
from tests.contracts.vyper.site import (
    AREAS,
    CLOSING,
    ENERGY,
    METERS,
    OPENING,
    ORIGIN,
    PERIOD,
    POOL,
    POOL_METER,
    RESIDENTIAL,
    Site,
    span,
)

SINCE = 20260901


@st.composite
def random_tariffs(draw: st.DrawFn) -> Tariff:
    bounds = draw(st.lists(st.integers(1, 10_000_000), unique=True, max_size=7))
    prices = draw(st.lists(st.integers(0, 2**40), min_size=len(bounds) + 1, max_size=len(bounds) + 1))
    tiers = [Tier(up_to=up_to, price=price) for up_to, price in zip([*sorted(bounds), LAST_TIER], prices, strict=True)]
    return replace(RESIDENTIAL, by_year=draw(st.booleans()), tiers=tuple(tiers))


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(random_tariffs(), st.integers(0, 12_000_000), st.integers(0, 12_000_000), st.integers(0, 2))
def test_a_recomputed_line_is_the_billed_one(
    enrolled: Site, tariff: Tariff, prior: int, used: int, unit_index: int
) -> None:
    with undone(enrolled):
        site, log, meter = enrolled, enrolled.log, METERS[unit_index]
        site.chain.send(site.manager, tariffs.announce(site.tariffs, tariff=tariff))
        site.chain.send(site.committee, tariffs.approve(site.tariffs, version=3))
        registers = (SINCE, 77), (OPENING, 77 + prior), (CLOSING, 77 + prior + used)
        own = [log.read(meter, date, value) for date, value in registers]
        pool = [log.read(POOL_METER, date, value) for date, value in registers]
        site.accept(log)

        def ask(line: Line, indexes: list[int]) -> int:
            call = tariffs.right_charge(
                site.tariffs,
                period=PERIOD,
                unit_index=unit_index,
                line=line,
                origin_id=log.origin_id,
                head=site.heads[ORIGIN],
                before=[span(log, 6, indexes[0], indexes[1])] if tariff.by_year else [],
                during=[span(log, 6, indexes[1], indexes[2])],
            )
            return tariffs.parse_right_charge(site.chain.view(call))

        cost = tariff.charge(used=used, prior=prior if tariff.by_year else 0)
        line = replace(site.line(meter, used, 0), tariff=3, since=SINCE if tariff.by_year else 0)
        assert ask(line, own) == cost
        pooled = Line(
            kind=LineKind.SHARED,
            subject=POOL,
            quantity=ENERGY,
            tariff=3,
            since=line.since,
            usage=used,
            amount=0,
        )
        assert ask(pooled, pool) == share(cost, sum(AREAS[:unit_index]), AREAS[unit_index], sum(AREAS))
