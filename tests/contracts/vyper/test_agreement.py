"""The Python that makes bills and the contract that recomputes them agree to the fen, on random cases."""

from dataclasses import replace
from random import Random

import pytest

from contracts.bill import LineKind, share
from contracts.calls import charges
from contracts.calls.charges import Bounds, LineProof, Span
from contracts.tariff import Counting, Terms
from tests.contracts.prices import random_terms
from tests.contracts.vyper.conftest import undone
from tests.contracts.vyper.lines import in_force
from tests.contracts.vyper.month import SINCE
from tests.contracts.vyper.site import (
    AREAS,
    CLOSING,
    METERS,
    OPENING,
    ORIGIN,
    PERIOD,
    POOL,
    POOL_METER,
    GatewayLog,
    Site,
    span,
)

CASES = 30


def measured(log: GatewayLog, meter: bytes, terms: Terms, used: list[int], prior: int) -> tuple[list[int], list[int]]:
    """Indexes of the boundary entries: the total register since the tiers began, and each register of the month."""
    before = [log.read(meter, date, 77 + value) for date, value in ((SINCE, 0), (OPENING, prior))]
    during = []
    for register, counted in zip(terms.registers, used, strict=True):
        first = before[1] if register == terms.quantity else log.read(meter, OPENING, 5, register)
        start = log.entries[first].value
        during += [first, log.read(meter, CLOSING, start + counted, register)]
    return before, during


def spans(log: GatewayLog, before: list[int], during: list[int]) -> tuple[list[Span], list[Span]]:
    size = log.tree.size
    parts = [
        replace(span(log, size, first, last), register=place)
        for place, (first, last) in enumerate(zip(during[::2], during[1::2], strict=True))
    ]
    return [span(log, size, *before)], parts


@pytest.mark.slow
def test_a_recomputed_line_is_the_billed_one(enrolled: Site) -> None:
    rng = Random(278)
    for _ in range(CASES):
        with undone(enrolled):
            site, log, unit_index = enrolled, enrolled.log, rng.randrange(3)
            terms = random_terms(rng)
            version = in_force(site, terms)
            used, prior = [rng.randrange(3_000_000) for _ in terms.registers], rng.randrange(6_000_000)
            pooled = [rng.randrange(3_000_000) for _ in terms.registers]
            own = measured(log, METERS[unit_index], terms, used, prior)
            pool = measured(log, POOL_METER, terms, pooled, 0)
            site.accept(log)
            by_year = terms.counting is Counting.YEAR
            line = replace(
                site.line(METERS[unit_index], sum(used), 0), tariff=version, since=SINCE if by_year else OPENING
            )
            shared = replace(line, kind=LineKind.SHARED, subject=POOL, since=OPENING)
            bounds = Bounds(period=PERIOD, unit_index=unit_index, unit_count=3, total_area=sum(AREAS))
            season = terms.season(OPENING, CLOSING)
            cost = season.charge(used=pooled)
            for asked, indexes, expected in (
                (line, own, season.charge(used=used, prior=prior if by_year else 0)),
                (shared, pool, share(cost, sum(AREAS[:unit_index]), AREAS[unit_index], sum(AREAS))),
            ):
                before, during = spans(log, *indexes)
                proof = LineProof(
                    terms=terms,
                    logs=[(log.origin_id, site.heads[ORIGIN])],
                    before=before if asked.since != OPENING else [],
                    during=during,
                )
                call = charges.right_amount(site.charges, bounds=bounds, line=asked, proof=proof)
                assert charges.parse_right_amount(site.chain.view(call)) == expected
