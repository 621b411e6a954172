"""Columns give what the one-row code gives: each charge, share, line, leaf and root, at random and at the limits."""

from random import Random

import numpy as np
import pytest

from cloud.billing.bill_block import BillPlace, leaves_of
from cloud.billing.bill_columns import LineColumn, bill_contents
from cloud.billing.pricing_columns import charge_column, share_column
from contracts.bill import Bill, BillError, BillTree, Line, LineKind, shares
from contracts.tariff import Component, Season, TariffError
from tests.contracts.prices import random_terms

UNITS = 67
SITE = bytes(range(32))
CONTRACT = "0x" + "ab" * 20


def column(numbers: list[int]) -> np.ndarray:  # type: ignore[type-arg]
    return np.array(numbers, np.int64)


@pytest.mark.parametrize("first", range(0, 400, 100))
def test_a_column_of_charges_is_each_charge_by_itself(first: int) -> None:
    rng = Random(first)
    for _ in range(100):
        terms = random_terms(rng)
        season = rng.choice(terms.seasons)
        reach = rng.choice((10, 10**4, 10**6, 10**9, 10**15))
        used = [[rng.randrange(reach) for _ in terms.registers] for _ in range(20)]
        used[0] = [0 for _ in terms.registers]
        prior = [rng.choice((0, rng.randrange(reach))) for _ in used]
        residents = [rng.randrange(9) for _ in used]
        expected = [
            season.charge(used=row, prior=before, residents=persons)
            for row, before, persons in zip(used, prior, residents, strict=True)
        ]
        amounts = charge_column(season, used=np.array(used, np.int64), prior=column(prior), residents=column(residents))
        assert amounts.tolist() == expected


@pytest.mark.parametrize("registers", [1, 3])
@pytest.mark.parametrize("total", [2**31 - 1, 2**31, 2**40])
def test_usage_at_the_edge_of_64_bits_is_priced_exactly(registers: int, total: int) -> None:
    season = Season(
        components=(Component(name="energy", price=2**31 - 1), Component(name="peak", price=7, tiers=2)),
        bounds=(total // 2,),
    )
    parts = [total - (registers - 1), *[1] * (registers - 1)]
    amounts = charge_column(
        season, used=np.array([parts] * 2, np.int64), prior=column([0, total]), residents=column([0, 0])
    )
    assert amounts.tolist() == [season.charge(used=parts, prior=0), season.charge(used=parts, prior=total)]


def test_a_register_that_falls_is_refused_by_its_row() -> None:
    season = Season(components=(Component(name="energy", price=1),))
    with pytest.raises(TariffError, match=r"row 2: usage \[-1\]"):
        charge_column(
            season, used=np.array([[5], [0], [-1]], np.int64), prior=column([0, 0, 0]), residents=column([0, 0, 0])
        )


@pytest.mark.parametrize("pool", [0, 1, 99_999, 2**40, 2**62])
def test_a_column_of_shares_adds_up_to_the_pool(pool: int) -> None:
    keys = [Random(pool).randrange(30_000) for _ in range(UNITS)]
    parts = share_column(pool, column(keys)).tolist()
    assert parts == list(shares(pool, keys))
    assert sum(parts) == pool


def test_shares_without_a_key_are_refused() -> None:
    with pytest.raises(BillError, match="nobody"):
        share_column(100, column([0, 0]))


@pytest.mark.parametrize("unit_count", [1, 2, 63, 64, UNITS])
def test_columns_make_the_bills_that_one_row_code_makes(unit_count: int) -> None:
    rng = Random(unit_count)
    span = 2026110120261201
    columns = [
        LineColumn(
            kind=kind,
            quantity=quantity,
            tariff=3,
            since=20261101,
            span=span,
            rows=(rows := column(sorted(rng.sample(range(unit_count), -(-unit_count // part))))),
            subjects=rng.randbytes(32) if kind is not LineKind.OWN else rng.randbytes(32 * len(rows)),
            usage=column([rng.randrange(2**62) for _ in rows]),
            amount=column([rng.randrange(2**40) for _ in rows]),
        )
        for kind, quantity, part in [
            (LineKind.OWN, "1-0:1.8.0", 1),
            (LineKind.SHARED, "1-0:1.8.0", 1),
            (LineKind.STANDING, "", 2),
            (LineKind.CREDIT, "", 2),
        ]
    ]
    salts = [rng.randbytes(16).ljust(32, b"\0") for _ in range(unit_count)]
    contents = bill_contents(columns, [salt[:16] for salt in salts])
    place = BillPlace(chain_id=31337, contract=CONTRACT, site=SITE, period=span)
    bills = [
        Bill(
            chain_id=31337,
            contract=CONTRACT,
            site=SITE,
            period=span,
            unit_index=unit,
            lines=tuple(
                Line(
                    kind=one.kind,
                    subject=one.subjects[32 * at : 32 * at + 32] if len(one.subjects) > 32 else one.subjects,
                    quantity=one.quantity,
                    tariff=one.tariff,
                    since=one.since,
                    from_date=span // 10**8,
                    to_date=span % 10**8,
                    usage=int(one.usage[at]),
                    amount=int(one.amount[at]),
                )
                for one in columns
                for at in np.flatnonzero(one.rows == unit)
            ),
            salt=salts[unit],
        )
        for unit in range(unit_count)
    ]
    assert BillTree(leaves_of(contents, place)).root == BillTree.of_bills(bills).root
    assert [content[16:] for content in contents] == [b"".join(line.encode() for line in bill.lines) for bill in bills]
    assert [place.bill(unit, content) for unit, content in enumerate(contents)] == bills
