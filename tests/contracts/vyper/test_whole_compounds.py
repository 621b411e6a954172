"""Random whole compounds through the contracts: closed, every line recomputed there, challenged, corrected, debited.

Python alone closes 100,000 compounds of such shapes (`make bench ONLY=bills`); here each takes a chain of its own, and
`make soak` takes more of them.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from contracts.bill import BillProof, verify_bill
from contracts.tariff import Basis
from contracts.trust import Trust, format_trust
from tests.contracts.browser import asked
from tests.contracts.vyper.compound import Compound, random_compound
from tests.contracts.vyper.compound_site import BALANCE, ClosedPeriod, EmptySite
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.forks import chain_at
from tests.contracts.vyper.site import DEPOSIT, Site
from tests.vectors.deployment import TRUST

FIRST_SEED = int(os.environ.get("MINGLOU_SEED_BASE", "0"))
COMPOUNDS = int(os.environ.get("MINGLOU_SEEDS", "8"))
SHAPES = ("several seasons", "a swap", "several registers", "steps since an earlier day", "two gateways")
FOR_ARBITER = (Basis.COUNT, Basis.ONCE)


@pytest.fixture(scope="module")
def empty_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmptySite]:
    """On a chain of its own: others' sites have waited out weeks on theirs, past the first day of these tariffs."""
    fork = os.environ.get("MINGLOU_FORK", "osaka")
    with chain_at(fork, tmp_path_factory.mktemp("anvil")) as chain:
        yield EmptySite(chain)


@pytest.mark.slow
@pytest.mark.timeout(120 + 20 * COMPOUNDS)
def test_bills_of_random_compounds_are_the_contracts_to_the_cent_and_a_tampered_line_is_found(
    empty_site: EmptySite, node: Path
) -> None:
    """One line of each compound asks for too much: it is the only one that browser and contract find wrong."""
    seen: Counter[str] = Counter()
    for seed in range(FIRST_SEED, FIRST_SEED + COMPOUNDS):
        compound = random_compound(seed)
        seen.update(shapes(compound))
        with empty_site.closed(compound, tampered=Random(seed)) as closed:
            try:
                assert browser_finds(closed, node) == [closed.tampered]
                corrected = [place for place in closed.places if settle(closed, *place)]
                assert corrected == [closed.tampered]
                pay(closed)
            except AssertionError as error:
                raise AssertionError(f"seed {seed}: {error}") from error
        seen.update(lines=len(list(closed.places)), corrected=len(corrected))
    assert seen["corrected"] == COMPOUNDS and seen["lines"] >= 8 * COMPOUNDS, seen
    # Otherwise the sample shows less than its name says.
    assert all(seen[shape] >= COMPOUNDS // 4 for shape in SHAPES), seen


def browser_finds(closed: ClosedPeriod, node: Path) -> list[tuple[int, int]]:
    """The lines that the page's own modules, asking this chain, find wrong; the others come to Python's amounts."""
    trust = json.loads(format_trust(trust_of(closed.site)))
    answers = asked(node, "bills", closed.files(), url=closed.site.chain.url, trust=trust)
    wrong = []
    for unit, answer in enumerate(answers):
        assert set(answer["bill"].values()) == {"passed"}, f"bill of unit {unit}: {answer['bill']}"
        for number, line in enumerate(answer["lines"]):
            assert line["readings"] == "passed", f"line {number} of unit {unit}: {line['says']}"
            assert line["amount"] == str(closed.right(unit, number)), f"line {number} of unit {unit}: {line['says']}"
            if line["tariff"] == "failed":
                wrong.append((unit, number))
    return wrong


def trust_of(site: Site) -> Trust:
    registry, anchor_log, fees = (bytes.fromhex(at[2:]) for at in (site.registry, site.anchor_log, site.usage_fees))
    return replace(TRUST, chain_id=31337, registry=registry, anchor_log=anchor_log, usage_fees=fees)


def settle(closed: ClosedPeriod, unit: int, number: int) -> bool:
    """Have one line recomputed and challenged; whether it was wrong."""
    right, billed = closed.right(unit, number), closed.bills[unit].lines[number].amount
    terms = closed.charges[unit][number].terms
    if terms.basis in FOR_ARBITER:
        with refused("charges: the arbiter judges such a line"):
            closed.recomputed(unit, number)
    else:
        found = closed.recomputed(unit, number)
        assert found == right, f"line {number} of unit {unit}: the contract has {found} fen, Python {right}"
    closed.open(unit, number)
    if closed.is_for_arbiter(unit, number):
        closed.judge(unit, number)
    else:
        closed.answer(unit, number)
    stands = closed.stands_at(unit, number)
    assert stands == right, f"line {number} of unit {unit}: stands at {stands} fen, right are {right}"
    return stands != billed


def pay(closed: ClosedPeriod) -> None:
    """Every unit pays what its lines come to, and a deposit for each challenge that it lost; nothing else moves."""
    closed.debit()
    for unit, bill in enumerate(closed.bills):
        verify_bill(
            BillProof(bill=bill, path=closed.tree.path(unit), unit_count=len(closed.bills), root=closed.tree.root)
        )
        right = sum(charge.line.amount for charge in closed.charges[unit])
        won = closed.tampered is not None and closed.tampered[0] == unit
        deposits = len(bill.lines) - (2 if won else 0)  # of a challenge that was won the bond pays as much again
        assert closed.balance(unit) == BALANCE - right - deposits * DEPOSIT, f"unit {unit}: balance"
    all_right = sum(charge.line.amount for bill in closed.charges for charge in bill)
    lost = len(list(closed.places)) - 1
    assert closed.collected() == all_right + lost * DEPOSIT


def shapes(compound: Compound) -> Iterator[str]:
    """Which of the shapes that a bill can have are in this compound."""
    lines = [charge for bill in compound.bills() for charge in bill]
    metered = [charge for charge in lines if charge.subject]
    spans = {(charge.line.from_date, charge.line.to_date) for charge in metered}
    if len(spans) > 1:
        yield "several seasons"
    if any(len(one.subject.parts(compound.opening, compound.closing)) > 1 for one in metered if one.subject):
        yield "a swap"
    if any(len(charge.terms.registers) > 1 for charge in metered):
        yield "several registers"
    if any(charge.line.since < charge.line.from_date for charge in metered):
        yield "steps since an earlier day"
    if len({meter.gateway for one in compound.subjects for meter in one.meters}) > 1:
        yield "two gateways"
    yield from {f"pool by {charge.terms.key.name}" for charge in metered if charge.pool}
    yield from {f"standing by {charge.terms.basis.name}" for charge in lines if not charge.subject}
