"""A line against its signed readings and the announced prices, as the browser checks it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from contracts.bill import BillProof, LineKind
from contracts.evidence import Evidence
from contracts.line_verifier import LineCheckName, verify_line
from contracts.onchain import ChainView
from contracts.report import Outcome
from tests.cloud.web.world import CLOSING_INDEX, OPENING_INDEX, TERMS, World
from tests.vectors.deployment import TRUST

WORLD = World(padded=False)
OPENING, CLOSING = (WORLD.deployment.evidence(index) for index in (OPENING_INDEX, CLOSING_INDEX))


def checked(
    proof: BillProof, readings: Sequence[Evidence] = (OPENING, CLOSING), *, world: World | None = None
) -> dict[str, str]:
    """What became of each check; asks the world's chain where one is given."""
    chain = ChainView(world.rpc, TRUST) if world else None
    return {check.name: check.outcome.value for check in verify_line(proof, 0, readings, chain)}


def with_line(**changes: Any) -> BillProof:
    proof = WORLD.proof()
    line = replace(proof.bill.lines[0], **changes)
    return replace(proof, bill=replace(proof.bill, lines=(line, *proof.bill.lines[1:])))


def counted(evidence: Evidence, value: int) -> Evidence:
    return replace(evidence, row=(*evidence.row[:4], value, *evidence.row[5:]))


PASSED, FAILED, OPEN = (one.value for one in (Outcome.PASSED, Outcome.FAILED, Outcome.NOT_CHECKED))


def test_an_honest_line_follows_from_its_readings_and_with_a_chain_from_the_tariff() -> None:
    assert checked(WORLD.proof()) == {"readings": PASSED, "tariff": OPEN}
    assert checked(WORLD.proof(), world=WORLD) == {"readings": PASSED, "tariff": PASSED}


def test_a_padded_line_fails_at_its_usage() -> None:
    assert checked(World(padded=True).proof(), world=WORLD) == {"readings": FAILED, "tariff": OPEN}


def test_another_amount_fails_at_the_tariff() -> None:
    amount = WORLD.proof().bill.lines[0].amount
    assert checked(with_line(amount=amount + 1), world=WORLD) == {"readings": PASSED, "tariff": FAILED}


def test_terms_that_were_not_announced_make_no_price() -> None:
    cheaper = replace(TERMS, document=bytes([1]) * 32)
    assert checked(replace(WORLD.proof(), terms=((1, cheaper.encode()),)), world=WORLD)["tariff"] == FAILED
    assert checked(replace(WORLD.proof(), terms=()), world=WORLD)["tariff"] == OPEN


@pytest.mark.parametrize(
    ("readings", "outcome"),
    [
        ((), OPEN), ((OPENING,), OPEN), ((CLOSING,), OPEN),
        ((counted(OPENING, 2_000_000), CLOSING), FAILED),  # falls
        ((OPENING, CLOSING, WORLD.deployment.evidence(18)), FAILED),  # no boundary's
        ((counted(OPENING, 1_100_000), OPENING, CLOSING), PASSED),  # of two values the lower charge stands
        ((counted(OPENING, 1_210_000), OPENING, CLOSING), FAILED),
    ],
)  # fmt: skip
def test_readings_that_do_not_fit_are_named_and_missing_ones_prove_nothing(
    readings: tuple[Evidence, ...], outcome: str
) -> None:
    assert checked(WORLD.proof(), readings)["readings"] == outcome


def test_another_meters_readings_do_not_count() -> None:
    assert checked(with_line(subject=bytes(32)))["readings"] == FAILED
    assert checked(with_line(kind=LineKind.SHARED))["readings"] == FAILED
    assignment = CLOSING.assignment
    assert assignment is not None and assignment.binding is not None
    elsewhere = replace(CLOSING, assignment=replace(assignment, binding=replace(assignment.binding, unit=bytes(32))))
    opening = replace(OPENING, assignment=elsewhere.assignment)
    assert checked(WORLD.proof(), (opening, elsewhere), world=WORLD)["readings"] == FAILED


@pytest.mark.parametrize("kind", [LineKind.ESTIMATED, LineKind.INTERVAL, LineKind.STANDING, LineKind.CREDIT])
def test_lines_of_other_kinds_say_why_they_are_not_checked(kind: LineKind) -> None:
    checks = verify_line(with_line(kind=kind), 0, (OPENING, CLOSING))
    assert [check.outcome for check in checks] == [Outcome.NOT_CHECKED] * 2
    assert checks[0].name is LineCheckName.READINGS
    assert checks[0].says
