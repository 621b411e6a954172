"""A small sample of the corpus, judged by the rules as they stand: it fails where they catch less, or accuse more.

The whole held-out half is `make bench ONLY=crew_fakes`. These seeds are of the train half and always the same. Looking
at photographs is what takes long, so most cases go without.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.fakes.corpus import FAKES, Lot, train
from tests.fakes.rates import Score
from tests.fakes.scoring import Outcome, judge_case
from tests.fakes.visits import Case, Kind

EACH, HONEST, PICTURED = 5, 16, 4
FIRST_SEED = 2_000  # away from those that limits were set by


def without_pictures(case: Case) -> Case:
    others = [replace(other, pictures=()) for other in case.others]
    return replace(case, signed=replace(case.signed, pictures=()), others=others)


def outcome(lot: Lot) -> Outcome:
    case = lot.case()
    is_pictured = lot.seed < FIRST_SEED + PICTURED and lot.kind in (Kind.HONEST, Kind.COPIED_PHOTO)
    return judge_case(case if is_pictured else without_pictures(case))


@pytest.fixture(scope="module")
def score() -> Score:
    """The sample, judged once; of copied photographs those alone that are looked at."""
    lots = [
        lot for lot in train(EACH, HONEST, first_seed=FIRST_SEED)
        if lot.kind is not Kind.COPIED_PHOTO or lot.seed < FIRST_SEED + PICTURED
    ]  # fmt: skip
    return Score([outcome(lot) for lot in lots])


def of_kind(score: Score, kind: Kind) -> Sequence[Outcome]:
    return [one for one in score.outcomes if one.kind is kind]


def test_fakes_are_caught_in_every_class(score: Score) -> None:
    assert score.all_caught().rate >= 0.90, score.missed()
    for kind in FAKES:
        assert score.caught(kind).count >= len(of_kind(score, kind)) - 1, score.missed()


def test_honest_crews_are_paid_and_asked_nothing_grave(score: Score) -> None:
    assert score.false_alarms().count == 0, score.missed()
    assert score.false_doubts().count <= 1
    assert score.agreed().rate >= 0.60, "one display in ten is off, and then the highest level is not to be had"


def test_each_question_is_needed_for_what_it_was_made_for(score: Score) -> None:
    """Without its rule fakes slip through: so the sample would notice if the rule stopped working."""
    for kind, rules in (
        (Kind.COPIED_PHOTO, ("photo",)),
        (Kind.CLONED_PHONE, ("phone",)),
        (Kind.TELEPORT, ("travel", "twice")),
        (Kind.ABSENT_COLLEAGUE, ("code", "phone")),
    ):
        assert any(one.is_caught and not one.is_alarmed_but_for(rules) for one in of_kind(score, kind)), kind


def test_a_machine_that_was_silent_catches_nobody() -> None:
    lot = next(train(1, 0, first_seed=FIRST_SEED))
    case = without_pictures(lot.case())
    assert lot.kind is Kind.NO_SHOW
    assert judge_case(case).is_caught
    silent = replace(case, told=replace(case.told, messages=()), is_display_heard=False)
    found = judge_case(replace(silent, others=(), signed=replace(silent.signed, scans=())))
    assert (found.level, found.is_heard, found.is_caught) == (0, False, False)
