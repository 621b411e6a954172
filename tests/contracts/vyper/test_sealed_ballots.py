"""Votes sealed until close: commitments that say nothing, and what is opened afterwards."""

from dataclasses import replace

import pytest

from contracts.ballot import batch_of
from contracts.calls import ballots
from contracts.person import Purpose
from contracts.quorum import Choice
from tests.contracts.vyper.assembly_site import (
    OF_HEAD,
    OFFICERS,
    Hall,
    Vote,
    paper,
    proposal,
)
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.site import name

FOR, AGAINST = Choice.IN_FAVOUR, Choice.AGAINST
NOTHING = (None, 0)
NO_SIGNATURE = "ballots: signature does not match the ballot"


@pytest.fixture
def vote(hall: Hall) -> Vote:
    """An open vote on the whole site."""
    return hall.convene(proposal()).open()


def test_sealed_ballots_say_nothing_before_the_close_and_all_after_it(hall: Hall) -> None:
    vote = hall.convene(proposal(sealed=True)).open()
    first, changed = vote.seal(OF_HEAD[1], FOR), vote.seal(OF_HEAD[1], AGAINST, sequence=2)
    second = vote.seal(OF_HEAD[5], FOR)
    assert vote.spoken(1) == NOTHING
    with refused("ballots: not the time to reveal"):
        vote.reveal(changed)
    with refused("ballots: votes are sealed until close"):
        vote.say([OF_HEAD[2]], FOR)
    with refused("ballots: sealed votes take no paper ballots"):
        vote.record([paper(2)], *OFFICERS)
    vote.close()
    for wrong in (
        first,
        replace(changed, choice=FOR),
        replace(changed, salt=bytes(32)),
        replace(second, key_id=bytes(32)),
    ):
        with refused("ballots: opening does not match the sealed ballot"):
            vote.reveal(wrong)
    with refused("ballots: no such choice"):
        vote.reveal(replace(changed, choice=4))  # type: ignore[arg-type]
    vote.reveal(changed, second)
    assert (vote.spoken(1), vote.spoken(5)) == ((AGAINST, 0), (FOR, 1))
    with refused("ballots: nothing new"):
        vote.reveal(changed)
    vote.end()
    with refused("ballots: not the time to reveal"):
        vote.reveal(changed)


def test_a_sealed_ballot_that_nobody_opens_does_not_take_part(hall: Hall) -> None:
    vote = hall.convene(proposal(sealed=True)).open()
    vote.seal(OF_HEAD[1], FOR)
    vote.end()
    vote.count()
    assert vote.result().tally.participants.heads == 0


def test_sealing_is_for_sealed_votes(vote: Vote) -> None:
    with refused("ballots: votes are not sealed"):
        vote.seal(OF_HEAD[1], FOR)
    with refused("ballots: votes are not sealed"):
        vote.reveal()


def test_each_sealed_ballot_has_a_commitment(hall: Hall) -> None:
    vote = hall.convene(proposal(sealed=True)).open()
    signed = vote.sign_body(OF_HEAD[1], 0, Purpose.SEAL, name("commitment"))
    for commitments, reason in (
        ([], "ballots: one commitment a ballot"),
        ([name("another")], NO_SIGNATURE),
    ):
        call = ballots.seal(hall.ballots, number=1, batch=batch_of([signed]), commitments=commitments)
        with refused(reason):
            hall.chain.send(hall.relayer, call)
