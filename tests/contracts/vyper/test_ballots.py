"""What owners say: ballots by passkey and software key, co-owners, proxies, paper; who cannot vote."""

from dataclasses import replace
from typing import Any

import pytest

from contracts.ballot import BallotBatch, HeldBallot, PaperBallot, batch_of, held_ballots
from contracts.calls import ballots
from contracts.person import Purpose
from contracts.quorum import Choice, Means
from tests.contracts.vyper.assembly_site import (
    CASHIER,
    CO_OWNER,
    CO_OWNER_SOFTWARE,
    HEADS,
    OF_HEAD,
    OFFICERS,
    ORIGIN,
    RP_ID_HASH,
    SOFTWARE,
    VOTERS,
    Hall,
    Vote,
    Voter,
    authenticator,
    paper,
    proposal,
    voters,
)
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.site import SECP256R1_ORDER, key_of, name
from tests.contracts.vyper.site_contracts import SHOWN_FOR as WINDOW

FOR, AGAINST, ABSTAIN = Choice.IN_FAVOUR, Choice.AGAINST, Choice.ABSTAIN
NOTHING = (None, 0)
NO_SIGNATURE = "ballots: signature does not match the ballot"


@pytest.fixture
def vote(hall: Hall) -> Vote:
    """An open vote on the whole site."""
    return hall.convene(proposal()).open()


# --- Own ballots ---


def test_ballots_of_passkeys_and_software_keys_count_for_their_heads(vote: Vote) -> None:
    receipt = vote.say([OF_HEAD[1], OF_HEAD[4], OF_HEAD[5]], FOR)
    assert [vote.spoken(head) for head in (1, 4, 5, 2)] == [(FOR, 0), (FOR, 0), (FOR, 1), NOTHING]
    (event,) = [ballots.parse_event(log.topics, log.data) for log in receipt.logs]
    assert isinstance(event, ballots.Cast) and event.number == vote.number
    ((place, word),) = event.words
    assert held_ballots(place, word) == {
        1: HeldBallot(FOR, False, False, 1, 0),
        4: HeldBallot(FOR, False, False, 1, 0),
        5: HeldBallot(FOR, True, False, 1, 0),
    }


def test_a_batch_mixes_choices_authenticators_and_kinds(vote: Vote) -> None:
    other = authenticator(flags=29, counter=7)
    vote.cast(
        vote.sign(OF_HEAD[0], FOR),
        vote.sign(OF_HEAD[1], AGAINST, authenticator_data=other),
        vote.sign(OF_HEAD[2], ABSTAIN, sequence=9),
        vote.sign(OF_HEAD[3], FOR, tail=b',"crossOrigin":false,"extra":1}'),
        vote.sign(OF_HEAD[5], AGAINST),
        vote.sign(OF_HEAD[8], FOR, tail=b"}"),
    )
    said = [vote.spoken(head)[0] for head in range(9)]
    assert said == [FOR, AGAINST, ABSTAIN, FOR, None, AGAINST, None, None, FOR]
    spoken = ballots.parse_spoken(vote.chain.view(ballots.spoken(vote.hall.ballots, number=vote.number, first_head=0)))
    assert [each.choice for each in spoken[:9]] == said and spoken[5].means is Means.SOFTWARE


def test_the_last_ballot_counts_whatever_the_order_of_arrival(vote: Vote) -> None:
    first, second, third = (
        vote.sign(OF_HEAD[1], choice, sequence=place) for place, choice in ((1, FOR), (2, AGAINST), (3, ABSTAIN))
    )
    vote.cast(second)
    with refused("ballots: nothing new"):
        vote.cast(first)
    assert vote.spoken(1) == (AGAINST, 0)
    vote.cast(third)
    for old in (first, second, third):
        with refused("ballots: nothing new"):
            vote.cast(old)
    # A stale ballot spoils no batch.
    vote.cast(second, vote.sign(OF_HEAD[2], FOR))
    assert vote.spoken(1) == (ABSTAIN, 0) and vote.spoken(2) == (FOR, 0)


def test_one_buyers_several_units_are_one_head(vote: Vote) -> None:
    vote.say([VOTERS[0], VOTERS[1], VOTERS[2]], FOR)
    assert vote.spoken(0) == (FOR, 0)
    vote.end()
    vote.count()
    assert vote.result().tally.in_favour.heads == 1 and vote.result().tally.in_favour.area_centi_m2 == 24000


def test_a_high_s_is_the_same_signature(vote: Vote) -> None:
    signed = vote.sign(OF_HEAD[1], FOR)
    high = replace(signed.signature, s=SECP256R1_ORDER - signed.signature.s)
    vote.cast(replace(signed, signature=high))
    assert vote.spoken(1) == (FOR, 0)


def test_a_ballot_says_one_thing_in_one_vote_at_one_site(vote: Vote) -> None:
    second = vote.hall.convene(proposal(5))
    voter = OF_HEAD[1]
    for changes in (
        {"chain_id": 1},
        {"contract": vote.hall.assembly},
        {"deadline": vote.terms.closes_at - 1},
        {"purpose": Purpose.PROXY},
        {"body_digest": Purpose.VOTE.body_digest(second.terms.digest, 1)},
        {"body_digest": Purpose.VOTE.body_digest(vote.terms.digest, 2)},
        {"nonce": 2},
    ):
        signed = vote.sign(voter, FOR, **changes)
        wrong = replace(signed, signature=replace(signed.signature, nonce=1))
        with refused(NO_SIGNATURE):
            vote.cast(wrong)
    good = vote.sign(voter, FOR)
    with refused(NO_SIGNATURE):
        vote.cast(replace(good, signature=replace(good.signature, key_id=OF_HEAD[2].key_id)))
    vote.cast(good)


def test_a_relayer_can_change_nothing_in_a_batch(vote: Vote) -> None:
    good = batch_of([vote.sign(OF_HEAD[1], FOR), vote.sign(OF_HEAD[2], AGAINST)])

    def send(batch: BallotBatch) -> None:
        vote.chain.send(vote.hall.relayer, ballots.cast(vote.hall.ballots, number=vote.number, batch=batch))

    groups = list(good.groups)
    count, says, sequence, data, tail = groups[0]
    for group in ((count, 2, sequence, data, tail), (count, says, 2, data, tail), (count, says, sequence, data, b"}")):
        with refused(NO_SIGNATURE):
            send(BallotBatch((group, groups[1]), good.ballots))
    with refused("ballots: groups do not cover the ballots"):
        send(BallotBatch((groups[0],), good.ballots))
    with refused("ballots: no such choice"):
        send(BallotBatch(((count, 4, sequence, data, tail), groups[1]), good.ballots))
    with refused("ballots: sequence is 1 to 15"):
        send(BallotBatch(((count, says, 16, data, tail), groups[1]), good.ballots))
    with refused("ballots: sequence is 1 to 15"):
        send(BallotBatch(((count, says, 0, data, tail), groups[1]), good.ballots))
    send(good)


@pytest.mark.parametrize(
    "changes",
    [
        {"authenticator_data": RP_ID_HASH + bytes([1]) + bytes(4)},
        {"authenticator_data": RP_ID_HASH + bytes([4]) + bytes(4)},
        {"authenticator_data": bytes(32) + bytes([5]) + bytes(4)},
        {"authenticator_data": authenticator()[:36]},
        {"tail": b',"crossOrigin":true}'},
        {"tail": b"."},
        {"tail": b',"crossOrigin":falsehood'},
    ],
)
def test_presence_verification_origin_and_tail_are_checked(vote: Vote, changes: Any) -> None:
    signed = vote.sign(OF_HEAD[1], FOR, **changes)
    group = (1, int(FOR), 1, signed.signature.authenticator_data, changes.get("tail", b',"crossOrigin":false}'))
    call = ballots.cast(vote.hall.ballots, number=vote.number, batch=BallotBatch((group,), (signed,)))
    with refused("ballots: authenticator or client data is not as it must be"):
        vote.chain.send(vote.hall.relayer, call)


def test_another_origin_cannot_sign(vote: Vote) -> None:
    signed = vote.sign(OF_HEAD[1], FOR)
    data = signed.signature.client_data.replace(ORIGIN.encode(), b"https://elsewhere.example")
    with refused(NO_SIGNATURE):
        vote.cast(replace(signed, signature=replace(signed.signature, client_data=data, r=signed.signature.r + 1)))


# --- Who cannot vote ---


def test_two_hundred_ghost_owners_enrolled_after_convening_have_no_vote(hall: Hall) -> None:
    vote = hall.convene(proposal())
    ghosts = voters(range(12, 212), kind=SOFTWARE, secret=80_000)
    late = voters([1], secret=90_000)
    units = hall.units_joining([(9000, 9 + place, 0) for place in range(200)])
    # Both parties collude, and after seven of the fifteen days of notice the ghosts are on the Roll.
    hall.enact(*units, *hall.keys_joining([*ghosts, *late]))
    vote.open()
    for ghost in (ghosts[0], ghosts[99], ghosts[199], *late):
        with refused("ballots: key is younger than the roll"):
            vote.say([ghost], FOR)
    assert vote.terms.weight.heads == 9 and vote.roll.head_count == 9
    vote.say([OF_HEAD[1]], FOR)


def test_a_key_that_has_ended_or_never_was_has_no_vote(vote: Vote) -> None:
    early, late = vote.sign(OF_HEAD[1], FOR), vote.sign(OF_HEAD[2], FOR)
    vote.cast(early)
    for voter in (OF_HEAD[1], OF_HEAD[2]):
        vote.hall.end_key(voter)
    with refused("ballots: key is not in force, or of the other kind"):
        vote.cast(late)
    with refused("ballots: key is not in force, or of the other kind"):
        vote.say([Voter(1, key_of(123_456), SOFTWARE)], FOR)
    assert vote.spoken(1) == (FOR, 0)


def test_a_key_rotated_by_its_own_signature_keeps_its_vote(hall: Hall) -> None:
    vote = hall.convene(proposal())
    rotated = hall.rotate_key(OF_HEAD[1], key_of(63_000))
    vote.open().say([rotated], FOR)
    assert vote.spoken(1) == (FOR, 0)
    with refused("ballots: key is not in force, or of the other kind"):
        vote.say([OF_HEAD[1]], AGAINST, sequence=2)


def test_neither_kind_passes_for_the_other(vote: Vote) -> None:
    for voter in (replace(OF_HEAD[1], kind=SOFTWARE), replace(OF_HEAD[5], kind=1)):
        with refused("ballots: key is not in force, or of the other kind"):
            vote.say([voter], FOR)


def test_ballots_count_between_opening_and_close_only(hall: Hall) -> None:
    vote = hall.convene(proposal())
    with refused("ballots: voting is not open yet"):
        vote.say([OF_HEAD[1]], FOR)
    vote.open().say([OF_HEAD[1]], FOR)
    vote.close()
    with refused("ballots: voting is closed"):
        vote.say([OF_HEAD[2]], FOR)
    with refused("ballots: voting is closed"):
        vote.give_proxy(OF_HEAD[2], 1)
    nowhere = Vote(hall, 9, vote.roll)
    nowhere.terms = vote.terms
    with refused("ballots: no such resolution"):
        nowhere.say([OF_HEAD[2]], FOR)


# --- Co-owners ---


def test_co_owners_who_agree_speak_once_and_who_conflict_abstain(vote: Vote) -> None:
    owner = OF_HEAD[3]
    vote.say([owner], FOR)
    receipt = vote.say([CO_OWNER], AGAINST)
    assert vote.spoken(3) == (ABSTAIN, 0)
    assert any(isinstance(ballots.parse_event(log.topics, log.data), ballots.Differed) for log in receipt.logs)
    vote.say([CO_OWNER_SOFTWARE], AGAINST)
    assert vote.spoken(3) == (ABSTAIN, 0)
    vote.say([owner], AGAINST, sequence=2)
    assert vote.spoken(3) == (AGAINST, 0)
    with refused("ballots: nothing new"):
        vote.say([owner], FOR, sequence=1)
    vote.say([CO_OWNER], FOR, sequence=2)
    assert vote.spoken(3) == (ABSTAIN, 0)


def test_a_head_whose_keys_are_all_software_is_totalled_as_software(vote: Vote) -> None:
    vote.say([CO_OWNER_SOFTWARE], FOR)
    assert vote.spoken(3) == (FOR, 1)
    vote.say([CO_OWNER], FOR)
    assert vote.spoken(3) == (FOR, 0)


def test_sixteen_keys_of_one_head_may_vote(hall: Hall) -> None:
    more = [Voter(3, key_of(61_000 + place), SOFTWARE) for place in range(16)]
    hall.add_keys(more)
    hall.chain.wait(60)
    vote = hall.convene(proposal()).open()
    vote.say([*more], FOR)
    assert vote.spoken(1) == (FOR, 1)
    with refused("ballots: more than sixteen keys of one head vote"):
        vote.say([OF_HEAD[1]], FOR)


def test_a_heads_257th_key_has_no_vote(hall: Hall) -> None:
    more = [Voter(3, key_of(62_000 + place), SOFTWARE) for place in range(256)]
    hall.add_keys(more)
    hall.chain.wait(60)
    vote = hall.convene(proposal()).open()
    with refused("ballots: head had too many keys before this one"):
        vote.say(more[-1:], FOR)
    vote.say(more[-2:-1], FOR)


# --- Proxies ---


def test_a_proxy_follows_the_holders_own_ballot_and_goes_no_further(vote: Vote) -> None:
    vote.give_proxy(OF_HEAD[1], 2)
    vote.give_proxy(OF_HEAD[2], 4)
    assert vote.spoken(1) == (None, Means.PROXY)
    vote.say([OF_HEAD[4]], FOR)
    assert vote.spoken(2) == (FOR, Means.PROXY)
    assert vote.spoken(1) == (None, Means.PROXY)
    vote.say([OF_HEAD[2]], AGAINST)
    assert vote.spoken(1) == (AGAINST, Means.PROXY) and vote.spoken(2) == (AGAINST, Means.PASSKEY)


def test_the_owners_own_ballot_overrides_the_proxy(vote: Vote) -> None:
    vote.give_proxy(OF_HEAD[1], 2)
    vote.say([OF_HEAD[2]], FOR)
    vote.say([OF_HEAD[1]], AGAINST)
    assert vote.spoken(1) == (AGAINST, Means.PASSKEY)


def test_a_proxy_can_be_given_in_the_notice_and_revoked_until_close(hall: Hall) -> None:
    vote = hall.convene(proposal())
    vote.give_proxy(OF_HEAD[1], 2)
    vote.open().say([OF_HEAD[2]], FOR)
    assert vote.spoken(1) == (FOR, Means.PROXY)
    vote.give_proxy(OF_HEAD[1], None, sequence=2)
    assert vote.spoken(1) == NOTHING
    # The old signature brings nothing back.
    vote.give_proxy(OF_HEAD[1], 2, sequence=1)
    assert vote.spoken(1) == NOTHING
    call = ballots.proxy(hall.ballots, number=vote.number, head=1)
    assert ballots.parse_proxy(hall.chain.view(call)) == ballots.Proxy(None, 2)


@pytest.mark.parametrize("order", [(0, 1, 0), (1, 0, 1)])
def test_co_owners_who_name_two_holders_with_one_number_name_nobody(vote: Vote, order: tuple[int, ...]) -> None:
    """Else whoever relays would pick between them by the order in which he brings them."""
    given = ((OF_HEAD[3], 2), (CO_OWNER, 4))
    for place in order:
        voter, holder = given[place]
        vote.give_proxy(voter, holder)
    call = ballots.proxy(vote.hall.ballots, number=vote.number, head=3)
    assert ballots.parse_proxy(vote.chain.view(call)) == ballots.Proxy(None, 1)
    for holder in (2, 4):
        held = ballots.held(vote.hall.ballots, number=vote.number, head=holder)
        assert ballots.parse_held(vote.chain.view(held)) == 0
    vote.give_proxy(CO_OWNER, 4, sequence=2)
    assert ballots.parse_proxy(vote.chain.view(call)) == ballots.Proxy(4, 2)


def test_a_holder_has_no_more_proxies_than_the_site_allows(vote: Vote) -> None:
    def held(head: int) -> int:
        return ballots.parse_held(vote.chain.view(ballots.held(vote.hall.ballots, number=vote.number, head=head)))

    vote.give_proxy(OF_HEAD[1], 4)
    vote.give_proxy(OF_HEAD[2], 4)
    with refused("ballots: holder has too many proxies"):
        vote.give_proxy(OF_HEAD[3], 4)
    vote.give_proxy(OF_HEAD[2], 5, sequence=2)
    assert (held(4), held(5)) == (1, 1)
    vote.give_proxy(OF_HEAD[3], 4)
    assert held(4) == 2
    limit = ballots.parse_proxies_max(vote.chain.view(ballots.proxies_max(vote.hall.ballots)))
    assert limit == 2


def test_a_proxy_names_another_head_of_the_roll(vote: Vote) -> None:
    for holder in (1, 9, 2**24 - 1):
        with refused("ballots: no such holder"):
            vote.give_proxy(OF_HEAD[1], holder)
    with refused(NO_SIGNATURE):
        signed = vote.sign(OF_HEAD[1], 3, purpose=Purpose.VOTE)
        call = ballots.set_proxies(vote.hall.ballots, number=vote.number, batch=batch_of([signed]))
        vote.chain.send(vote.hall.relayer, call)


# --- Paper ---


def test_two_officers_record_paper_and_the_owner_may_object(vote: Vote) -> None:
    receipt = vote.record([paper(1), paper(2, AGAINST), paper(5)], *OFFICERS)
    assert [vote.spoken(head) for head in (1, 2, 5)] == [(FOR, 3), (AGAINST, 3), (FOR, 3)]
    (event,) = [ballots.parse_event(log.topics, log.data) for log in receipt.logs]
    assert isinstance(event, ballots.PapersRecorded)
    assert event.papers[0] == (1, 1, name("scan 1")) and event.first_officer != event.second_officer
    vote.say([OF_HEAD[1], OF_HEAD[5]], AGAINST)
    assert vote.spoken(1) == (AGAINST, Means.PASSKEY) and vote.spoken(5) == (AGAINST, Means.SOFTWARE)


def test_paper_overrides_a_proxy(vote: Vote) -> None:
    vote.give_proxy(OF_HEAD[1], 2)
    vote.say([OF_HEAD[2]], FOR)
    vote.record([paper(1, AGAINST)], *OFFICERS)
    assert vote.spoken(1) == (AGAINST, Means.PAPER)


def test_one_officer_alone_or_somebody_else_records_nothing(vote: Vote) -> None:
    for first, second, reason in (
        (OFFICERS[0], OFFICERS[0], "ballots: a second officer must sign"),
        (OFFICERS[0], CASHIER, "ballots: no returning officer's key"),
        (key_of(5), OFFICERS[0], "ballots: no returning officer's key"),
    ):
        with refused(reason):
            vote.record([paper(1)], first, second)
    signatures = [vote.papers_signed(key, [paper(1)]) for key in OFFICERS]

    def send(papers: list[PaperBallot], **changes: Any) -> None:
        fields = {"first": signatures[0], "second": signatures[1]} | changes
        call = ballots.record_papers(vote.hall.ballots, number=vote.number, papers=papers, **fields)
        vote.chain.send(vote.hall.relayer, call)

    with refused("ballots: officer's signature does not match the ballots"):
        send([paper(1, AGAINST)])
    with refused("ballots: officer's signature does not match the ballots"):
        send([paper(1), paper(2)])
    expired = vote.papers_signed(OFFICERS[1], [paper(1)], deadline=vote.chain.now() - 1)
    with refused("ballots: officer's signature has expired"):
        send([paper(1)], second=expired)
    send([paper(1)])
    with refused("ballots: paper ballot of this head is recorded"):
        vote.record([paper(1, AGAINST)], *OFFICERS)


def test_paper_is_for_heads_of_the_roll_with_a_choice_in_time(vote: Vote) -> None:
    with refused("ballots: no such head"):
        vote.record([paper(9)], *OFFICERS)
    unknown = PaperBallot(head=1, choice=4, scan=bytes(32))  # type: ignore[arg-type]
    with refused("ballots: no such choice"):
        vote.record([unknown], *OFFICERS)
    vote.chain.wait_until(vote.terms.closes_at - WINDOW + 1)
    with refused("ballots: too late for paper ballots"):
        vote.record([paper(1)], *OFFICERS)
    # There is time left for the owner's own ballot.
    vote.say([OF_HEAD[1]], FOR)


def test_an_officer_who_was_added_after_convening_counts_nothing(hall: Hall) -> None:
    vote = hall.convene(proposal())
    hall.add_officer(name("ghost"), key_of(71_000))
    vote.open()
    with refused("ballots: officer's key is younger than the roll"):
        vote.record([paper(1)], OFFICERS[0], key_of(71_000))


# --- Nobody is silenced ---


def test_a_ballot_that_one_relayer_refuses_counts_through_anybody(vote: Vote) -> None:
    """The owner keeps what was signed; whoever has a node submits it."""
    kept = vote.sign(OF_HEAD[1], FOR)
    vote.cast(vote.sign(OF_HEAD[2], AGAINST), by=vote.hall.relayer)  # leaves the other one out
    assert vote.spoken(1) == NOTHING
    vote.cast(kept, by=vote.hall.stranger)
    assert vote.spoken(1) == (FOR, 0)


def test_events_alone_tell_what_every_head_says(vote: Vote) -> None:
    """A follower who reads nothing but logs knows every ballot, paper and proxy, and what co-owners said each."""
    receipts = [
        vote.cast(vote.sign(OF_HEAD[0], FOR), vote.sign(OF_HEAD[1], AGAINST), vote.sign(OF_HEAD[3], FOR)),
        vote.say([OF_HEAD[1]], ABSTAIN, sequence=2),
        vote.say([CO_OWNER], AGAINST),
        vote.record([paper(1), paper(2)], *OFFICERS),
        vote.give_proxy(OF_HEAD[6], 0),
        vote.give_proxy(OF_HEAD[7], 0),
        vote.give_proxy(OF_HEAD[7], None, sequence=2),
    ]
    own: dict[int, HeldBallot] = {}
    papers: dict[int, Choice] = {}
    proxies: dict[int, int | None] = {}
    differed: dict[int, list[Choice]] = {}
    for log in (log for receipt in receipts for log in receipt.logs):
        match ballots.parse_event(log.topics, log.data):
            case ballots.Cast(_, words):
                for place, word in words:
                    own |= held_ballots(place, word)
            case ballots.PapersRecorded(papers=recorded):
                papers |= {head: Choice(choice) for head, choice, _ in recorded}
            case ballots.ProxySet(head=head, holder=holder):
                proxies[head] = holder - 1 if holder else None
            case ballots.Differed(head=head, ballots=word):
                differed[head] = [held.choice for held in held_ballots(0, word).values()]
    assert differed == {3: [FOR, AGAINST]}
    for head in range(HEADS):
        given = proxies.get(head)
        by_proxy = own[given].choice if given in own else None
        told = own[head].choice if head in own else papers.get(head, by_proxy)
        assert vote.spoken(head)[0] == told, head
