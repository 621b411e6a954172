"""What is put to the owners: who convenes, the roll that is frozen then, and objections to it."""

from dataclasses import replace
from typing import Any

import pytest

from contracts.bill import Node
from contracts.calls import registry, resolutions, roll_changes
from contracts.calls import roll as roll_calls
from contracts.calls.assembly import State
from contracts.calls.resolutions import Mode, Proposal, RollShown
from contracts.person import PersonSignature, Purpose, sign_software
from contracts.quorum import Choice, Weight
from contracts.roll import Roll, RollLeaf
from contracts.vyper.compile import artifact
from tests.contracts.vyper.assembly_site import (
    HEADS,
    OF_HEAD,
    SHARES,
    SOFTWARE,
    TAIL,
    VOTERS,
    Hall,
    Vote,
    Voter,
    alias_of,
    authenticator,
    proposal,
    sign_passkey,
)
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.site import DAY, FOREVER, PRECOMPILE, announced, key_of, name
from tests.contracts.vyper.site_contracts import NOTICE, VOTING
from tests.contracts.vyper.site_contracts import SHOWN_FOR as WINDOW

TOTAL = sum(area for area, _, _ in SHARES)


def convene_call(hall: Hall, what: Proposal, **changes: Any) -> Any:
    return resolutions.convene(hall.resolutions, **hall.convening(what, **changes))


# --- Convening ---


def test_the_committee_convenes_and_the_roll_is_frozen(hall: Hall) -> None:
    vote = hall.convene(proposal(matter=6))
    terms = vote.terms
    assert vote.number == 1 and terms.matter == 6 and terms.payload == name("payload") and not terms.void
    assert terms.weight == Weight(TOTAL, HEADS) == vote.roll.weight
    assert terms.root == vote.roll.root.hash and terms.head_count == HEADS
    assert terms.opens_at - terms.convened_at >= NOTICE and terms.closes_at - terms.opens_at >= VOTING
    assert terms.ends_at == terms.closes_at
    call = resolutions.voting(hall.resolutions, number=1)
    voting = resolutions.parse_voting(hall.chain.view(call))
    assert (voting.digest, voting.convened_at, voting.opens_at) == (terms.digest, terms.convened_at, terms.opens_at)
    assert (voting.closes_at, voting.ends_at, voting.head_count) == (terms.closes_at, terms.ends_at, HEADS)


def test_only_the_committee_convenes_without_a_petition(hall: Hall) -> None:
    for sender in (hall.manager, hall.relayer, hall.stranger):
        with refused("resolutions: only the committee may convene"):
            hall.chain.send(sender, convene_call(hall, proposal()))


def test_a_resolution_that_was_never_convened_is_all_zeros(hall: Hall) -> None:
    nothing = resolutions.parse_resolution(hall.chain.view(resolutions.resolution(hall.resolutions, number=7)))
    assert nothing.digest == bytes(32) and nothing.head_count == 0 and not nothing.void


def test_equal_proposals_have_digests_of_their_own(hall: Hall) -> None:
    first, second = hall.convene(proposal()), hall.convene(proposal())
    assert first.terms.digest != second.terms.digest


@pytest.mark.parametrize("matter", [0, 10])
def test_there_are_nine_matters(hall: Hall, matter: int) -> None:
    with refused("resolutions: no such matter"):
        hall.chain.send(hall.committee, convene_call(hall, proposal(matter)))


def test_a_proposal_that_makes_no_sense_is_refused(hall: Hall) -> None:
    good = proposal()
    for changed, reason in (
        (replace(good, mode=0), "resolutions: no such mode"),  # type: ignore[arg-type]  # out of range on purpose
        (replace(good, mode=4), "resolutions: no such mode"),  # type: ignore[arg-type]  # out of range on purpose
        (replace(good, mode=Mode.ADVISORY), "resolutions: an advisory vote executes nothing"),
        (replace(good, policy=1), "resolutions: policy is not an earlier resolution"),
        (replace(good, building=2**32), "resolutions: no such building"),
    ):
        roll = hall.roll(good)
        with refused(reason):
            hall.chain.send(hall.committee, convene_call(hall, changed, roll=roll))
    advisory = replace(good, mode=Mode.ADVISORY, payload=bytes(32))
    hall.chain.send(hall.committee, convene_call(hall, advisory))


def test_notice_and_voting_are_never_shorter_than_the_sites(hall: Hall) -> None:
    now = hall.chain.now()
    for changes, reason in (
        ({"opens_at": now + NOTICE - 60}, "resolutions: notice is too short"),
        ({"closes_at": now + NOTICE + 60 + VOTING - 1}, "resolutions: voting time is too short"),
        ({"closes_at": now + 401 * DAY}, "resolutions: close is too far ahead"),
    ):
        with refused(reason):
            hall.chain.send(hall.committee, convene_call(hall, proposal(), **changes))
    hall.chain.send(hall.committee, convene_call(hall, proposal()))


def test_a_root_that_cannot_be_the_rolls_is_refused_at_once(hall: Hall) -> None:
    roll = hall.roll(proposal())
    less = Node(roll.root.hash, roll.root.sums - (1 << 64))
    nobody, many = Node(roll.root.hash, TOTAL << 64), Node(roll.root.hash, TOTAL << 64 | HEADS + 1)
    for changes, reason in (
        ({"head_count": HEADS - 1}, "resolutions: the Roll has another number of heads"),
        ({"head_count": 0}, "resolutions: the Roll has another number of heads"),
        ({"root": less}, "resolutions: the Roll has another total area"),
        ({"root": nobody}, "resolutions: sums are not a roll's"),
        ({"root": many}, "resolutions: sums are not a roll's"),
        ({"root": Node(roll.root.hash, 2**42 << 64 | 1)}, "resolutions: sums are not a roll's"),
    ):
        with refused(reason):
            hall.chain.send(hall.committee, convene_call(hall, proposal(), **changes))


def test_windows_must_fit(hall: Hall) -> None:
    def creation(notice: int, voting: int, window: int) -> bytes:
        return resolutions.deploy(
            artifact("Resolutions").bytecode,
            registry=hall.registry,
            notice_seconds=notice,
            voting_seconds=voting,
            window_seconds=window,
            verifier=PRECOMPILE,
        )

    for notice, voting, window in ((10, 10, 10), (20, 10, 10), (10, 20, 10), (10, 10, 0)):
        with refused("resolutions: window does not fit into notice and voting"):
            hall.chain.deploy(hall.relayer, creation(notice, voting, window))
    address = hall.chain.deploy(hall.relayer, creation(20, 20, 10))
    terms = resolutions.parse_terms(hall.chain.view(resolutions.terms(address)))
    assert (terms.notice, terms.voting, terms.window) == (20, 20, 10)


# --- Petitions ---


def signed_petition(hall: Hall, voter: Voter, what: Proposal, **changes: Any) -> PersonSignature:
    act: dict[str, Any] = {
        "chain_id": 31337,
        "contract": hall.resolutions,
        "purpose": Purpose.PROPOSE,
        "nonce": 1,
        "deadline": FOREVER,
        "body_digest": Purpose.PROPOSE.body_digest(what.digest()),
    }
    if voter.kind == SOFTWARE:
        return sign_software(voter.key, **(act | changes))
    return sign_passkey(voter.key, data=authenticator(), tail=TAIL, **(act | changes))


def support(hall: Hall, what: Proposal, *signatures: PersonSignature) -> None:
    hall.chain.send(hall.stranger, resolutions.support(hall.resolutions, proposal=what, signatures=signatures))


def by_owners(hall: Hall, what: Proposal, **changes: Any) -> Any:
    return resolutions.convene_by_owners(hall.resolutions, **hall.convening(what, **changes))


def test_a_fifth_of_the_heads_convenes_without_the_committee(hall: Hall) -> None:
    what = proposal(matter=3)
    asked = resolutions.proposal_digest(hall.resolutions, proposal=what)
    assert resolutions.parse_proposal_digest(hall.chain.view(asked)) == what.digest()
    support(hall, what, signed_petition(hall, OF_HEAD[1], what))
    with refused("resolutions: less than a fifth of the heads support it"):
        hall.chain.send(hall.stranger, by_owners(hall, what))
    support(hall, what, signed_petition(hall, OF_HEAD[5], what))
    hall.chain.send(hall.stranger, by_owners(hall, what))
    call = resolutions.petitions(hall.resolutions, proposal=what.digest())
    assert resolutions.parse_petitions(hall.chain.view(call)) == 1
    count = resolutions.support_count(hall.resolutions, proposal=what.digest())
    assert resolutions.parse_support_count(hall.chain.view(count)) == 2


def test_a_petition_convenes_one_vote_and_another_only_if_that_was_void(hall: Hall) -> None:
    what = proposal(matter=3)
    support(hall, what, *(signed_petition(hall, OF_HEAD[head], what) for head in (1, 2)))
    hall.chain.send(hall.stranger, by_owners(hall, what))
    with refused("resolutions: petition has convened a vote"):
        hall.chain.send(hall.stranger, by_owners(hall, what))
    # Nobody shows the roll in time.
    hall.chain.wait(NOTICE - WINDOW + 120)
    hall.chain.send(hall.stranger, by_owners(hall, what))
    assert hall.last_number() == 2


def test_a_head_supports_once_whatever_keys_it_has(hall: Hall) -> None:
    what = proposal()
    support(hall, what, *(signed_petition(hall, VOTERS[unit], what) for unit in (0, 1)))
    with refused("resolutions: nobody new supports it"):
        support(hall, what, signed_petition(hall, VOTERS[2], what))


def test_a_supporters_signature_is_for_one_proposal_by_a_key_in_force(hall: Hall) -> None:
    what, other = proposal(), proposal(5)
    good = signed_petition(hall, OF_HEAD[1], what)
    with refused("resolutions: signature does not match the proposal"):
        support(hall, other, good)
    with refused("resolutions: signature has expired"):
        support(hall, what, signed_petition(hall, OF_HEAD[1], what, deadline=hall.chain.now() - 1))
    with refused("resolutions: no such key in force"):
        support(hall, what, signed_petition(hall, Voter(1, key_of(99_999), SOFTWARE), what))
    part = proposal(building=2)
    with refused("resolutions: unit is in another building"):
        support(hall, part, signed_petition(hall, OF_HEAD[1], part))
    support(hall, part, signed_petition(hall, VOTERS[11], part))
    support(hall, what, good)


# --- The roll ---


def test_a_part_common_matter_has_its_own_roll(hall: Hall) -> None:
    vote = hall.convene(proposal(building=2))
    inside = [(area, head) for area, head, building in SHARES if building == 1]
    assert vote.terms.weight == Weight(sum(area for area, _ in inside), len({head for _, head in inside}))
    assert vote.roll.leaves[1] == RollLeaf() and vote.terms.building == 2


def test_a_roll_that_nobody_shows_is_void(hall: Hall) -> None:
    vote = hall.convene(proposal(), shown=False)
    assert not vote.terms.void
    hall.chain.wait_until(vote.terms.opens_at - WINDOW + 1)
    with refused("resolutions: the roll was to be shown earlier"):
        vote.show()
    assert vote.resolution().void and vote.outcome().state is State.FAILED
    hall.chain.wait_until(vote.terms.opens_at + 1)
    with refused("ballots: the roll was refuted or not shown"):
        vote.say([OF_HEAD[1]], Choice.IN_FAVOUR)


def test_showing_puts_every_leaf_into_an_event(hall: Hall) -> None:
    vote = hall.convene(proposal(), shown=False)
    (call,) = resolutions.show_roll(hall.resolutions, number=1, roll=vote.roll)
    receipt = hall.chain.send(hall.stranger, call)
    (event,) = [resolutions.parse_event(log.topics, log.data) for log in receipt.logs]
    assert isinstance(event, RollShown)
    assert event.entries == tuple(leaf.entry() for leaf in vote.roll.leaves)
    assert event.units == b"".join(leaf.packed_units for leaf in vote.roll.leaves)
    shown = resolutions.parse_blocks_shown(hall.chain.view(resolutions.blocks_shown(hall.resolutions, number=1)))
    assert shown == (1, 1)
    with refused("resolutions: block is shown already"):
        hall.chain.send(hall.stranger, call)


def test_other_leaves_than_the_posted_ones_cannot_be_shown(hall: Hall) -> None:
    vote = hall.convene(proposal(), shown=False)
    leaves = list(vote.roll.leaves)

    def show(changed: list[RollLeaf], first_head: int = 0, number: int = 1) -> None:
        call = resolutions.show(
            hall.resolutions, number=number, first_head=first_head, leaves=changed, path=vote.roll.block_path(0)
        )
        hall.chain.send(hall.stranger, call)

    bigger = [RollLeaf(leaves[0].area_centi_m2 + 1, leaves[0].units), *leaves[1:]]
    with refused("resolutions: path does not lead to the roll's root"):
        show(bigger)
    with refused("roll_tree: block is not complete"):
        show(leaves[:-1])
    with refused("roll_tree: no such block"):
        show(leaves, first_head=1)
    with refused("roll_tree: no such block"):
        show(leaves, first_head=64)
    with refused("roll_tree: area is too large"):
        show([LargeLeaf(2**43, (0,)), *leaves[1:]])
    with refused("resolutions: no such resolution"):
        show(leaves, number=2)
    show(leaves)


class LargeLeaf(RollLeaf):
    """An area that no roll takes."""


def test_units_and_entries_must_fit(hall: Hall) -> None:
    vote = hall.convene(proposal(), shown=False)
    call = resolutions._SHOW
    entries = [leaf.entry() for leaf in vote.roll.leaves]
    units = b"".join(leaf.packed_units for leaf in vote.roll.leaves)
    for wrong in (units[:-4], units + bytes(4)):
        with refused("resolutions: units do not fit the entries"):
            hall.chain.send(hall.stranger, call.call(hall.resolutions, 1, 0, entries, wrong, []))


WRONG_LEAVES = {
    "a unit of another owner": (1, RollLeaf(10000 + 5000, (3, 4)), 0),
    "too large an area": (1, RollLeaf(10001, (3,)), 3),
    "too small an area": (1, RollLeaf(9999, (3,)), 3),
    "a unit left out": (0, RollLeaf(17000, (0, 1)), 2),
    "a unit twice": (1, RollLeaf(20000, (3, 3)), 3),
    "units out of order": (0, RollLeaf(24000, (2, 1, 0)), 0),
    "a unit that does not exist": (1, RollLeaf(10000, (3, 12)), 3),
    "nobody where somebody is": (1, RollLeaf(), 3),
}


@pytest.mark.parametrize("case", WRONG_LEAVES)
def test_whoever_shows_a_wrong_leaf_makes_the_vote_void(hall: Hall, case: str) -> None:
    head, wrong, missing = WRONG_LEAVES[case]
    right = hall.roll(proposal(building=0))
    leaves = list(right.leaves)
    leaves[head] = wrong
    # What one head has too much, another has too little, so that the total is the Roll's.
    other = 7
    area = leaves[other].area_centi_m2 - (wrong.area_centi_m2 - right.leaves[head].area_centi_m2)
    leaves[other] = RollLeaf(area, leaves[other].units)
    vote = hall.convene(proposal(), roll=Roll(leaves))
    for place, reason in ((2, "resolutions: the leaf agrees with the Roll"), (head, None)):
        call = refute_call(hall, vote, place, missing)
        if reason is None:
            hall.chain.send(hall.stranger, call)
        else:
            with refused(reason):
                hall.chain.send(hall.stranger, call)
    assert vote.resolution().void and vote.outcome().state is State.FAILED
    with refused("resolutions: the roll is refuted"):
        hall.chain.send(hall.stranger, refute_call(hall, vote, head, missing))


def refute_call(hall: Hall, vote: Vote, head: int, missing: int, leaf: RollLeaf | None = None) -> Any:
    return resolutions.refute(
        hall.resolutions,
        number=vote.number,
        head=head,
        leaf=leaf or vote.roll.leaves[head],
        path=vote.roll.path(head),
        missing=missing,
    )


def test_a_right_roll_stands_against_every_objection(hall: Hall) -> None:
    vote = hall.convene(proposal())
    for head in range(HEADS):
        for missing in (0, 5, 11, 2**31):
            with refused("resolutions: the leaf agrees with the Roll"):
                hall.chain.send(hall.stranger, refute_call(hall, vote, head, missing))
    with refused("resolutions: path does not lead to the roll's root"):
        hall.chain.send(hall.stranger, refute_call(hall, vote, 1, 3, RollLeaf(10001, (3,))))
    hall.chain.wait_until(vote.terms.opens_at + 1)
    with refused("resolutions: the notice is over"):
        hall.chain.send(hall.stranger, refute_call(hall, vote, 1, 3))


def test_a_building_that_is_not_the_matters_is_an_error_in_the_leaf(hall: Hall) -> None:
    right = hall.roll(proposal(building=2))
    leaves = list(right.leaves)
    leaves[1] = RollLeaf(10000, (3,))  # stands in building 0
    vote = hall.convene(proposal(building=2), roll=Roll(leaves))
    hall.chain.send(hall.stranger, refute_call(hall, vote, 1, 3))
    assert vote.resolution().void


def test_a_sale_after_convening_refutes_nothing(hall: Hall) -> None:
    vote = hall.convene(proposal())
    hall.sell(3, 2)
    for head in (1, 2):
        with refused("resolutions: the leaf agrees with the Roll"):
            hall.chain.send(hall.stranger, refute_call(hall, vote, head, 3))


def test_a_sale_in_the_block_of_convening_refutes_nothing(hall: Hall) -> None:
    """Else whoever holds a batch ready could make any vote void by enacting it right behind."""
    sale = [roll_changes.set_head(hall.roll_contract, unit=alias_of(3), head=2)]
    number = announced(hall.chain.send(hall.manager, registry.announce(hall.registry, calls=sale)))
    hall.chain.send(hall.committee, registry.approve(hall.registry, number=number))
    hall.chain.wait(7 * DAY)
    roll = hall.roll(proposal())
    convene = resolutions.convene(hall.resolutions, **hall.convening(proposal(), roll))
    enact = registry.enact(hall.registry, number=number, calls=sale)
    hall.chain.send_in_one_block((hall.committee, convene), (hall.stranger, enact))
    vote = Vote(hall, hall.last_number(), roll)
    assert hall.chain.view(roll_calls.unit_since(hall.roll_contract, index=3)) == vote.terms.convened_at.to_bytes(32)
    vote.show()
    for head in (1, 2):
        with refused("resolutions: the leaf agrees with the Roll"):
            hall.chain.send(hall.stranger, refute_call(hall, vote, head, 3))
