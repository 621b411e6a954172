"""The double count in whole numbers against exact rationals, and what a tally's word carries."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.quorum import LANE_END, Choice, QuorumError, Tally, Weight, following, passes, total

ROLL = Weight(9_000_000, 900)
weights = st.builds(Weight, st.integers(0, 3_000_000), st.integers(0, 300))
tallies = st.builds(Tally, in_favour=weights, against=weights, abstained=weights)
matters = st.integers(1, 9)


def carried(matter: int, roll: Weight, tally: Tally) -> bool:
    """Civil Code art. 278 as it stands, in rationals."""
    for total_, part, in_favour in (
        (roll.area_centi_m2, tally.participants.area_centi_m2, tally.in_favour.area_centi_m2),
        (roll.heads, tally.participants.heads, tally.in_favour.heads),
    ):
        if part == 0 or Fraction(part, total_) < Fraction(2, 3):
            return False
        share = Fraction(in_favour, part)
        if not (share >= Fraction(3, 4) if matter in (6, 7, 8) else share > Fraction(1, 2)):
            return False
    return True


@given(matters, tallies)
def test_whole_numbers_decide_as_exact_rationals_do(matter: int, tally: Tally) -> None:
    assert passes(matter, ROLL, tally) is carried(matter, ROLL, tally)


@given(matters, st.integers(1, 40), st.data())
def test_at_the_edges_too(matter: int, heads: int, data: st.DataObject) -> None:
    """Small numbers, where the thresholds are hit exactly."""
    roll = Weight(heads * 100, heads)
    part = data.draw(st.integers(0, heads))
    in_favour = data.draw(st.integers(0, part))
    tally = Tally(
        in_favour=Weight(in_favour * 100, in_favour), against=Weight((part - in_favour) * 100, part - in_favour)
    )
    assert passes(matter, roll, tally) is carried(matter, roll, tally)


@pytest.mark.parametrize(
    ("in_favour", "against", "matter", "result"),
    [(4, 2, 4, True), (3, 3, 4, False), (4, 2, 7, False), (6, 2, 7, True), (5, 0, 4, False), (6, 0, 6, True)],
)
def test_nine_equal_owners(in_favour: int, against: int, matter: int, result: bool) -> None:
    tally = Tally(in_favour=Weight(in_favour * 100, in_favour), against=Weight(against * 100, against))
    assert passes(matter, Weight(900, 9), tally) is result


def test_a_large_owner_alone_carries_nothing_and_many_small_ones_neither() -> None:
    roll = Weight(10_000, 10)
    assert not passes(4, roll, Tally(in_favour=Weight(9_100, 1), against=Weight(900, 9)))
    assert not passes(4, roll, Tally(in_favour=Weight(900, 9), against=Weight(9_100, 1)))


def test_more_than_the_roll_holds_and_an_unknown_matter_are_mistakes() -> None:
    with pytest.raises(QuorumError, match="took part"):
        passes(4, Weight(100, 1), Tally(in_favour=Weight(101, 1)))
    with pytest.raises(QuorumError, match="matter 0"):
        passes(0, ROLL, Tally())


@given(tallies)
def test_following_moves_all_who_are_silent_to_the_side_that_leads_by_both(tally: Tally) -> None:
    followed = following(ROLL, tally)
    if followed == tally:
        assert not tally.in_favour.leads(tally.against) or tally.participants == ROLL
        assert not tally.against.leads(tally.in_favour) or tally.participants == ROLL
    else:
        assert followed.participants == ROLL and followed.abstained == tally.abstained
        assert (followed.in_favour == tally.in_favour) != (followed.against == tally.against)


@given(tallies)
def test_a_word_carries_a_tally(tally: Tally) -> None:
    assert Tally.from_word(tally.word()) == tally


def test_a_tally_that_does_not_fit_its_word_is_refused() -> None:
    with pytest.raises(QuorumError, match="does not fit"):
        Tally(against=Weight(LANE_END, 1)).word()


@given(st.lists(st.tuples(st.sampled_from(Choice), weights), max_size=6))
def test_counting_one_by_one_is_adding_up(said: list[tuple[Choice, Weight]]) -> None:
    tally = Tally()
    for choice, weight in said:
        tally = tally.counting(choice, weight)
    assert tally == total(Tally().counting(choice, weight) for choice, weight in said)
    assert tally.participants == sum((weight for _, weight in said), Weight())
