"""The corpus of visits itself: it repeats from its seeds, and what it calls honest or faked is."""

import pytest

from contracts.visit import VisitClass
from devices.simulated.lift.crew import observable
from devices.simulated.lift.module import MODELS
from devices.simulated.lift.physics import Mode
from tests.fakes.cheats import case_of
from tests.fakes.corpus import FAKES, TRAIN_MODELS, TRAIN_NOISE, train
from tests.fakes.visits import Case, Kind, stage_of
from tests.fakes.world import Signed

SEEDS = range(8)
OUT_OF_TRAFFIC_KM_H = 80


def cases(kind: Kind) -> list[Case]:
    return [case_of(kind, seed, TRAIN_MODELS[seed % 2], TRAIN_NOISE) for seed in SEEDS]


def test_a_seed_tells_the_same_story_every_time() -> None:
    assert [lot.case() for lot in train(1, 2)] == [lot.case() for lot in train(1, 2)]
    assert case_of(Kind.HONEST, 1, "B", TRAIN_NOISE) != case_of(Kind.HONEST, 2, "B", TRAIN_NOISE)


def test_every_class_of_fakes_is_drawn() -> None:
    assert [lot.kind for lot in train(1, 1)] == list(Kind)
    assert len(FAKES) == 8


@pytest.mark.parametrize("kind", Kind)
def test_every_visit_claims_its_whole_class(kind: Kind) -> None:
    for case in cases(kind):
        signed = case.signed
        assert len(signed.ticked) == {1: 31, 2: 44, 3: 59, 4: 76}[int(signed.visit_class)]
        assert signed.visit_class is not VisitClass.REPAIR
        assert 0 < signed.end_s - signed.start_s < 86_400
        assert case.told.messages


def test_nobody_works_where_nobody_came() -> None:
    for kind in (Kind.NO_SHOW, Kind.RELAYED_CODE):
        for case in cases(kind):
            modes = {message.content["mode"] for message in case.told.messages}
            assert modes <= {Mode.NORMAL.value}


def test_an_item_not_done_is_one_that_its_module_would_have_shown() -> None:
    for case in cases(Kind.ITEM_NOT_DONE):
        model = MODELS[case.told.model]
        groups = observable(case.signed.visit_class, model.told, model.merged)
        assert case.left_out
        assert case.left_out == frozenset().union(*(group for group in groups if group <= case.left_out))
        assert case.left_out <= set(case.signed.ticked)


def test_only_a_teleport_is_faster_than_traffic() -> None:
    for case in cases(Kind.HONEST):
        assert all(speed_km_h(case.signed, other) < OUT_OF_TRAFFIC_KM_H for other in crews_others(case))
    for case in cases(Kind.TELEPORT):
        assert any(speed_km_h(case.signed, other) > OUT_OF_TRAFFIC_KM_H for other in crews_others(case))


def test_the_next_visit_begins_after_the_one_before_has_ended_however_long_that_took() -> None:
    for seed in range(60):
        world = stage_of(Kind.HONEST, seed, "B", TRAIN_NOISE).world
        end_s = world.start_s + 7 * 3600
        for other in world.same_day(end_s):
            begins_after, ends_before = other.start_s - world.phone_off_s - end_s, world.start_s - other.end_s
            assert begins_after >= 240 or ends_before + world.phone_off_s >= 240


def crews_others(case: Case) -> list[Signed]:
    return [other for other in case.others if set(other.signers[:2]) & set(case.signed.signers[:2])]


def speed_km_h(one: Signed, other: Signed) -> float:
    """How fast somebody went from one to the other; without end where they overlap."""
    gap_s = max(other.start_s - one.end_s, one.start_s - other.end_s)
    metres = one.place.metres_to(other.place)
    return 0 if metres == 0 else metres * 3.6 / gap_s if gap_s > 0 else float("inf")
