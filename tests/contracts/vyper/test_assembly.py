"""What was decided: counting against the frozen roll, thresholds of the nine matters, policy, formal votes, outcome."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import pytest

from contracts.ballot import POLICY, repeal_payload
from contracts.calls import assembly
from contracts.calls.assembly import State
from contracts.calls.resolutions import Mode
from contracts.quorum import Choice, Means, Tally, Weight, following, passes
from contracts.roll import RollLeaf
from tests.contracts.vyper.assembly_site import HEADS, OF_HEAD, OFFICERS, SHARES, Hall, Vote, paper, proposal
from tests.contracts.vyper.chain import Receipt
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.site import name
from tests.contracts.vyper.site_contracts import SHOWN_FOR as WINDOW

FOR, AGAINST, ABSTAIN = Choice.IN_FAVOUR, Choice.AGAINST, Choice.ABSTAIN
AREAS = [sum(area for area, owner, _ in SHARES if owner == head) for head in range(HEADS)]


def decided(hall: Hall, said: Mapping[int, Choice], **changes: Any) -> Vote:
    """A vote in which these heads said this, counted."""
    vote = hall.convene(proposal(**changes)).open()
    if said:
        vote.cast(*(vote.sign(OF_HEAD[head], choice) for head, choice in said.items()))
    vote.end()
    vote.count()
    return vote


def every(choice: Choice, *heads: int) -> dict[int, Choice]:
    return dict.fromkeys(heads, choice)


# --- Thresholds ---


def test_more_than_half_of_those_who_take_part_carries_an_ordinary_matter(hall: Hall) -> None:
    vote = decided(hall, every(FOR, 0, 1, 4, 7) | every(AGAINST, 2, 3, 5))
    outcome = vote.outcome()
    assert outcome.state is State.PASSED and outcome.matter == 4 and outcome.payload == name("payload")
    assert outcome.decided_at == hall.chain.now() and outcome.building == 0


def test_half_of_the_heads_is_not_more_than_half(hall: Hall) -> None:
    """By area they are far ahead."""
    vote = decided(hall, every(FOR, 0, 1, 7) | every(AGAINST, 2, 3, 4))
    assert vote.outcome().state is State.FAILED
    tally = vote.result().tally
    assert 2 * tally.in_favour.area_centi_m2 > tally.participants.area_centi_m2


def test_half_of_the_area_is_not_more_than_half(hall: Hall) -> None:
    """By heads they are far ahead."""
    vote = decided(hall, every(AGAINST, 0, 7) | every(FOR, 2, 3, 4, 5, 6, 8))
    assert vote.outcome().state is State.FAILED
    assert vote.result().tally.in_favour.heads == 6


@pytest.mark.parametrize("matter", range(1, 10))
def test_the_matter_alone_picks_the_threshold(hall: Hall, matter: int) -> None:
    """Two thirds in favour carry six matters, three need three quarters."""
    vote = decided(hall, every(FOR, 0, 1, 3, 7, 4, 5) | every(AGAINST, 2, 6, 8), matter=matter)
    assert vote.outcome().state is (State.FAILED if matter in (6, 7, 8) else State.PASSED)


def test_three_quarters_include_the_number_itself(hall: Hall) -> None:
    said = every(FOR, 0, 1, 3, 4, 5, 7) | every(AGAINST, 2, 6)
    vote = decided(hall, said, matter=7)
    tally = vote.result().tally
    assert Fraction(tally.in_favour.heads, tally.participants.heads) == Fraction(3, 4)
    assert vote.outcome().state is State.PASSED


def test_two_thirds_of_all_must_take_part_by_both(hall: Hall) -> None:
    enough = decided(hall, every(FOR, 0, 1, 3, 4, 5) | every(ABSTAIN, 7))
    assert Fraction(enough.result().tally.participants.heads, HEADS) == Fraction(2, 3)
    assert enough.outcome().state is State.PASSED  # two thirds include the number itself
    assert decided(hall, every(FOR, 0, 1, 3, 4, 7)).outcome().state is State.FAILED  # five heads of nine
    assert decided(hall, every(FOR, 2, 3, 4, 5, 6, 8)).outcome().state is State.FAILED  # too little area


def test_who_abstains_takes_part(hall: Hall) -> None:
    vote = decided(hall, every(FOR, 0, 1, 7) | every(ABSTAIN, 2, 3, 4))
    assert vote.outcome().state is State.FAILED and vote.result().tally.participants.heads == 6


def test_nobody_carries_nothing(hall: Hall) -> None:
    assert decided(hall, {}).outcome().state is State.FAILED


def test_a_part_common_matter_counts_its_own_owners_only(hall: Hall) -> None:
    """Building 1: heads 0, 3, 4, 5, 7 and 8 with what they have there; the others' ballots count for nothing."""
    vote = decided(hall, every(FOR, 0, 3, 4, 7) | every(AGAINST, 1, 2, 6), building=2)
    outcome = vote.outcome()
    assert outcome.state is State.PASSED and outcome.building == 2
    assert vote.result().tally == Tally(in_favour=Weight(7000 + 6000 + 6500 + 11000, 4))


# --- Counting ---


def test_each_means_is_totalled_apart(hall: Hall) -> None:
    vote = hall.convene(proposal()).open()
    vote.give_proxy(OF_HEAD[2], 1)
    vote.cast(vote.sign(OF_HEAD[1], FOR), vote.sign(OF_HEAD[5], AGAINST), vote.sign(OF_HEAD[4], ABSTAIN))
    vote.record([paper(6, AGAINST)], *OFFICERS)
    vote.end()
    vote.count()
    result = vote.result()
    assert result.by(Means.PASSKEY) == Tally(in_favour=Weight(AREAS[1], 1), abstained=Weight(AREAS[4], 1))
    assert result.by(Means.SOFTWARE) == Tally(against=Weight(AREAS[5], 1))
    assert result.by(Means.PROXY) == Tally(in_favour=Weight(AREAS[2], 1))
    assert result.by(Means.PAPER) == Tally(against=Weight(AREAS[6], 1))


def test_anyone_counts_after_the_close_each_block_once(hall: Hall) -> None:
    vote = hall.convene(proposal()).open()
    (call,) = assembly.count_roll(hall.assembly, number=vote.number, roll=vote.roll)
    with refused("assembly: voting is not over"):
        hall.chain.send(hall.stranger, call)
    vote.end()
    assert vote.outcome().state is State.COUNTING
    receipt = hall.chain.send(hall.stranger, call)
    counted, decision = (assembly.parse_event(log.topics, log.data) for log in receipt.logs)
    assert isinstance(counted, assembly.Counted) and isinstance(decision, assembly.Decided)
    with refused("assembly: block is counted already"):
        hall.chain.send(hall.stranger, call)


def test_a_sealed_vote_is_counted_after_revealing(hall: Hall) -> None:
    vote = hall.convene(proposal(sealed=True)).open()
    opening = vote.seal(OF_HEAD[1], FOR)
    vote.close()
    with refused("assembly: voting is not over"):
        vote.count()
    assert vote.outcome().state is State.OPEN and vote.terms.ends_at - vote.terms.closes_at == WINDOW
    vote.reveal(opening)
    vote.end()
    vote.count()
    assert vote.result().tally == Tally(in_favour=Weight(AREAS[1], 1))


def test_areas_come_from_the_frozen_roll_alone(hall: Hall) -> None:
    vote = hall.convene(proposal()).open()
    vote.end()
    leaves = list(vote.roll.leaves)

    def count(changed: list[RollLeaf], number: int = 1) -> None:
        call = assembly.count(hall.assembly, number=number, first_head=0, leaves=changed, path=[])
        hall.chain.send(hall.stranger, call)

    with refused("assembly: leaves do not lead to the roll's root"):
        count([RollLeaf(leaves[0].area_centi_m2 + 1, leaves[0].units), *leaves[1:]])
    with refused("assembly: leaves do not lead to the roll's root"):
        count([leaves[1], leaves[0], *leaves[2:]])
    with refused("assembly: no such resolution, or its roll is void"):
        count(leaves, number=2)
    count(leaves)


def test_a_vote_without_a_roll_that_was_shown_is_never_counted(hall: Hall) -> None:
    vote = hall.convene(proposal(), shown=False)
    vote.end()
    with refused("assembly: no such resolution, or its roll is void"):
        vote.count()
    assert vote.outcome().state is State.FAILED


def test_a_large_roll_is_counted_in_blocks_in_any_order(hall: Hall) -> None:
    hall.add_units([(100, HEADS + place, 0) for place in range(60)])
    hall.chain.wait(60)
    vote = hall.convene(proposal()).open()
    vote.cast(*(vote.sign(OF_HEAD[head], FOR) for head in range(HEADS)))
    vote.end()
    first, second = assembly.count_roll(hall.assembly, number=vote.number, roll=vote.roll)
    hall.chain.send(hall.stranger, second)
    assert vote.outcome().state is State.COUNTING and vote.result().blocks == 1
    hall.chain.send(hall.stranger, first)
    assert vote.outcome().state is State.FAILED  # nine heads of 69 took part
    assert vote.result().tally.in_favour == Weight(sum(AREAS), HEADS)


def test_a_block_beyond_the_roll_or_cut_short_is_refused(hall: Hall) -> None:
    vote = hall.convene(proposal()).open()
    vote.end()
    for first_head, leaves, reason in (
        (64, vote.roll.leaves, "roll_tree: no such block"),
        (1, vote.roll.leaves, "roll_tree: no such block"),
        (0, vote.roll.leaves[:-1], "roll_tree: block is not complete"),
    ):
        call = assembly.count(hall.assembly, number=1, first_head=first_head, leaves=leaves, path=[])
        with refused(reason):
            hall.chain.send(hall.stranger, call)


# --- Non-voters who follow the majority ---


MOST = {0: FOR, 1: FOR, 7: FOR, 3: FOR, 2: AGAINST}  # five heads of nine: too few take part


def adopt(hall: Hall, *, passes: bool = True, **changes: Any) -> int:
    fields: dict[str, Any] = {"matter": 1, "payload": POLICY}
    choice = FOR if passes else AGAINST
    number = decided(hall, every(choice, *range(HEADS)), **(fields | changes)).number
    hall.chain.wait(1)  # what is convened in the same second was not convened after it
    return number


def test_non_voters_follow_only_where_the_assembly_adopted_it_and_both_results_are_shown(hall: Hall) -> None:
    without = decided(hall, MOST)
    assert without.outcome().state is State.FAILED
    assert without.result().passed_following and not without.result().follows and not without.result().passed
    policy = adopt(hall)
    with_it = decided(hall, MOST, policy=policy)
    result = with_it.result()
    assert with_it.outcome().state is State.PASSED
    assert result.follows and result.passed_following and not result.passed
    roll = with_it.terms.weight
    assert passes(4, roll, following(roll, result.tally)) and not passes(4, roll, result.tally)


def test_another_resolution_is_no_such_policy(hall: Hall) -> None:
    others = (adopt(hall, matter=2), adopt(hall, payload=name("else")), adopt(hall, building=2))
    for policy in (adopt(hall, passes=False), *others):
        vote = decided(hall, MOST, policy=policy)
        assert not vote.result().follows and vote.outcome().state is State.FAILED


def counting(hall: Hall, *votes: Vote) -> None:
    for vote in votes:
        vote.count()


@pytest.mark.parametrize("policy_first", [True, False])
def test_a_policy_decided_after_convening_is_not_followed_whichever_is_counted_first(
    hall: Hall, policy_first: bool
) -> None:
    """Whoever counts picks the order; both votes are put to the owners at once."""
    rule = hall.convene(proposal(1, payload=POLICY))
    vote = hall.convene(proposal(policy=rule.number))
    rule.open()
    rule.cast(*(rule.sign(OF_HEAD[head], FOR) for head in range(HEADS)))
    vote.open().cast(*(vote.sign(OF_HEAD[head], choice) for head, choice in MOST.items()))
    vote.end()
    counting(hall, *((rule, vote) if policy_first else (vote, rule)))
    assert rule.outcome().state is State.PASSED
    assert not vote.result().follows and vote.outcome().state is State.FAILED


def test_a_policy_that_owners_ended_is_followed_no_more(hall: Hall) -> None:
    policy = adopt(hall)
    assert adopt(hall, payload=repeal_payload(policy + 7)) and decided(hall, MOST, policy=policy).result().follows
    running = hall.convene(proposal(policy=policy))
    assert (
        adopt(hall, payload=repeal_payload(policy), building=1) and decided(hall, MOST, policy=policy).result().follows
    )
    adopt(hall, payload=repeal_payload(policy))
    assert not decided(hall, MOST, policy=policy).result().follows
    # A vote that was convened while it held is counted by it.
    counting(hall, running)
    assert running.result().follows
    # Owners who want it again adopt it again.
    assert decided(hall, MOST, policy=adopt(hall)).result().follows


def test_a_formal_policy_holds_and_ends_with_its_certificate(hall: Hall) -> None:
    policy = adopt(hall, mode=Mode.FORMAL)
    before = hall.convene(proposal(policy=policy))
    certify(hall, policy)
    hall.chain.wait(1)
    counting(hall, ended(before))
    assert not before.result().follows
    end = adopt(hall, mode=Mode.FORMAL, payload=repeal_payload(policy))
    assert decided(hall, MOST, policy=policy).result().follows
    certify(hall, end)
    hall.chain.wait(1)
    assert not decided(hall, MOST, policy=policy).result().follows


def certify(hall: Hall, number: int) -> Receipt:
    call = assembly.certify(hall.assembly, number=number, certificate=name("certificate"))
    return hall.chain.send(hall.committee, call)


def ended(vote: Vote) -> Vote:
    vote.end()
    return vote


# --- Modes ---


def test_a_formal_vote_waits_for_the_citys_certificate(hall: Hall) -> None:
    vote = decided(hall, every(FOR, *range(HEADS)), mode=Mode.FORMAL)
    assert vote.outcome().state is State.COUNTING
    call = assembly.certify(hall.assembly, number=vote.number, certificate=name("certificate"))
    with refused("assembly: only the committee may certify"):
        hall.chain.send(hall.stranger, call)
    with refused("assembly: certificate is recorded or empty"):
        empty = assembly.certify(hall.assembly, number=vote.number, certificate=bytes(32))
        hall.chain.send(hall.committee, empty)
    hall.chain.send(hall.committee, call)
    assert vote.outcome().state is State.PASSED and vote.result().certificate == name("certificate")
    with refused("assembly: certificate is recorded or empty"):
        hall.chain.send(hall.committee, call)


def test_the_public_delay_of_a_formal_vote_begins_with_its_certificate(hall: Hall) -> None:
    """Else the committee could hold the certificate back until the fund pays in the same block."""
    vote = decided(hall, every(FOR, *range(HEADS)), mode=Mode.FORMAL)
    hall.chain.wait(20 * 86_400)
    (log,) = certify(hall, vote.number).logs
    event = assembly.parse_event(log.topics, log.data)
    assert vote.outcome().decided_at == hall.chain.now() == vote.result().decided_at
    assert event == assembly.Certified(vote.number, name("certificate"), hall.chain.now())


def test_a_certificate_waits_for_the_count(hall: Hall) -> None:
    vote = hall.convene(proposal(mode=Mode.FORMAL))
    with refused("assembly: ballots are not counted"):
        certify(hall, vote.number)
    vote.end()
    with refused("assembly: ballots are not counted"):
        certify(hall, vote.number)
    vote.count()
    certify(hall, vote.number)


def test_no_certificate_makes_pass_what_the_ballots_did_not(hall: Hall) -> None:
    vote = decided(hall, every(AGAINST, *range(HEADS)), mode=Mode.FORMAL)
    hall.chain.send(
        hall.committee, assembly.certify(hall.assembly, number=vote.number, certificate=name("certificate"))
    )
    assert vote.outcome().state is State.FAILED


def test_only_a_formal_vote_is_certified(hall: Hall) -> None:
    vote = decided(hall, every(FOR, *range(HEADS)))
    with refused("assembly: only a formal vote is certified"):
        call = assembly.certify(hall.assembly, number=vote.number, certificate=name("certificate"))
        hall.chain.send(hall.committee, call)


def test_an_advisory_vote_has_a_result_and_nothing_to_execute(hall: Hall) -> None:
    vote = decided(hall, every(FOR, *range(HEADS)), mode=Mode.ADVISORY, payload=bytes(32))
    assert vote.outcome().state is State.PASSED and vote.outcome().payload == bytes(32)


def test_the_outcome_follows_the_clock(hall: Hall) -> None:
    vote = hall.convene(proposal())
    assert vote.outcome().state is State.NOTICE
    assert vote.open().outcome().state is State.OPEN
    vote.end()
    assert vote.outcome().state is State.COUNTING
    nothing = assembly.parse_outcome(hall.chain.view(assembly.outcome(hall.assembly, number=5)))
    assert nothing.state is State.NONE
