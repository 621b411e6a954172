"""The assembly as a state machine beside a model, with a relayer who orders, delays, repeats and leaves out at will.

What stands is compared after every step, the result at the end with exact rationals of Civil Code art. 278.
"""

from collections import Counter
from dataclasses import dataclass, replace
from fractions import Fraction

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from contracts.ballot import SEQUENCE_MAX, PaperBallot, SignedBallot, batch_of
from contracts.calls import assembly, ballots
from contracts.calls.assembly import State
from contracts.quorum import Choice, Means
from tests.contracts.vyper.assembly_site import (
    CO_OWNER,
    CO_OWNER_SOFTWARE,
    HEADS,
    OFFICERS,
    SHARES,
    SOFTWARE,
    VOTERS,
    Hall,
    Vote,
    Voter,
    proposal,
)
from tests.contracts.vyper.predicted import Predicted, require, run_paths
from tests.contracts.vyper.site import name
from tests.contracts.vyper.site_contracts import PROXIES_MAX
from tests.contracts.vyper.site_contracts import SHOWN_FOR as WINDOW

KEYS = (*VOTERS, CO_OWNER, CO_OWNER_SOFTWARE)
CHOICES = st.sampled_from(Choice)
MOSTLY_FOR = st.sampled_from([Choice.IN_FAVOUR] * 12 + [Choice.AGAINST, Choice.ABSTAIN] + [None] * 4)
VOTER = st.sampled_from(KEYS)
HEAD = st.integers(0, HEADS - 1)
ABSTAIN = Choice.ABSTAIN


def head_of(voter: Voter) -> int:
    return SHARES[voter.unit][1]


@dataclass(frozen=True, slots=True)
class Kept:
    """A ballot that its owner signed and the relayer holds."""

    voter: Voter
    says: int
    sequence: int
    signed: SignedBallot


class Model:
    """What was said, by head and key."""

    def __init__(self) -> None:
        self.own: dict[int, dict[bytes, tuple[Choice, int, int]]] = {head: {} for head in range(HEADS)}
        self.proxies: dict[int, tuple[int, int]] = {}  # head -> holder + 1, sequence
        self.papers: dict[int, Choice] = {}

    def cast(self, kept: Kept) -> bool:
        """Whether it was new."""
        mine = self.own[head_of(kept.voter)]
        if kept.sequence <= mine.get(kept.voter.key_id, (0, 0, 0))[1]:
            return False
        mine[kept.voter.key_id] = (Choice(kept.says), kept.sequence, kept.voter.kind)
        return True

    def held(self, holder: int) -> int:
        return sum(given == holder for given, _ in self.proxies.values())

    def own_choice(self, head: int) -> tuple[Choice | None, Means]:
        said = list(self.own[head].values())
        if not said:
            return None, Means.PASSKEY
        choices = {choice for choice, _, _ in said}
        means = Means.SOFTWARE if all(kind == SOFTWARE for _, _, kind in said) else Means.PASSKEY
        return (choices.pop() if len(choices) == 1 else ABSTAIN), means

    def spoken(self, head: int) -> tuple[Choice | None, Means]:
        choice, means = self.own_choice(head)
        if choice is not None:
            return choice, means
        if head in self.papers:
            return self.papers[head], Means.PAPER
        holder, _ = self.proxies.get(head, (0, 0))
        if holder:
            return self.own_choice(holder - 1)[0], Means.PROXY
        return None, Means.PASSKEY

    def passes(self, matter: int, building: int) -> bool:
        """Art. 278 in exact rationals."""
        inside = [(area, head) for area, head, place in SHARES if building in (0, place + 1)]
        areas = Counter[int]()
        for area, head in inside:
            areas[head] += area
        by_heads = dict.fromkeys(areas, 1)
        return all(self._carries(matter, weights) for weights in (dict(areas), by_heads))

    def _carries(self, matter: int, weights: dict[int, int]) -> bool:
        said = {head: self.spoken(head)[0] for head in weights}
        part = sum(weight for head, weight in weights.items() if said[head] is not None)
        in_favour = sum(weight for head, weight in weights.items() if said[head] is Choice.IN_FAVOUR)
        if part == 0 or Fraction(part, sum(weights.values())) < Fraction(2, 3):
            return False
        share = Fraction(in_favour, part)
        return share >= Fraction(3, 4) if matter in (6, 7, 8) else share > Fraction(1, 2)


class Votes(Predicted):
    """Acts in any order; each is predicted, and its refusal too."""

    hall: Hall

    def __init__(self) -> None:
        super().__init__()
        self._undone = self.hall.undone()
        self._undone.__enter__()
        self.model = Model()
        self.kept: list[Kept] = []
        self.vote: Vote | None = None
        self.is_door_open = True  # once a vote, or nobody would be silent

    def teardown(self) -> None:
        try:
            self.finish()
        finally:
            self._undone.__exit__(None, None, None)

    @precondition(lambda self: self.vote is None)
    @rule(matter=st.integers(1, 9), building=st.sampled_from([0, 0, 1, 2]))
    def convene(self, matter: int, building: int) -> None:
        self.vote = self.hall.convene(proposal(matter, building=building)).open()
        self.matter, self.building = matter, building

    @precondition(lambda self: self.vote is not None)
    @rule(voter=VOTER, choice=CHOICES, sequence=st.integers(1, 4))
    def sign(self, voter: Voter, choice: Choice, sequence: int) -> None:
        """An owner signs; whether it ever arrives is the relayer's business."""
        assert self.vote is not None
        if any(kept.voter == voter and kept.sequence == sequence for kept in self.kept):
            return  # an owner's page counts on
        signed = self.vote.sign(voter, choice, sequence=sequence)
        self.kept.append(Kept(voter, choice, sequence, signed))

    @precondition(lambda self: bool(self.kept))
    @rule(data=st.data())
    def relay(self, data: st.DataObject) -> None:
        """Any of the ballots held, in any order, some of them again."""
        assert self.vote is not None
        chosen = data.draw(st.lists(st.sampled_from(self.kept), min_size=1, max_size=6))
        batch = batch_of([kept.signed for kept in chosen])
        by_signature = {kept.signed.signature.r: kept for kept in chosen}
        sent = [by_signature[ballot.signature.r] for ballot in batch.ballots]
        news = [self.model.cast(kept) for kept in sent]
        with self.expected("relay", any(news)):
            call = ballots.cast(self.hall.ballots, number=self.vote.number, batch=batch)
            self.hall.chain.send(self.hall.relayer, call)

    @precondition(lambda self: bool(self.kept))
    @rule(data=st.data(), other=VOTER, choice=CHOICES)
    def forge(self, data: st.DataObject, other: Voter, choice: Choice) -> None:
        """Change what a ballot says, whose it is, its number, or the vote that it is for."""
        assert self.vote is not None
        kept = data.draw(st.sampled_from(self.kept))
        signature = kept.signed.signature
        forged = data.draw(
            st.sampled_from(
                [
                    replace(kept.signed, says=choice % 3 + 1 if choice == kept.says else int(choice)),
                    replace(kept.signed, signature=replace(signature, nonce=kept.sequence + 1)),
                    replace(kept.signed, signature=replace(signature, r=signature.r ^ 1)),
                ]
            )
        )
        if other != kept.voter and other.kind == kept.voter.kind:
            forged = replace(kept.signed, signature=replace(signature, key_id=other.key_id))
        with self.expected("forge", False):
            self.vote.cast(forged, by=self.hall.relayer)

    @precondition(lambda self: self.vote is not None)
    @rule(voter=VOTER, holder=st.sampled_from([-1, -1, -1, *range(HEADS)]), sequence=st.integers(1, 6))
    def any_proxy(self, voter: Voter, holder: int, sequence: int) -> None:
        self.give_proxy(voter, holder, sequence)

    def give_proxy(self, voter: Voter, holder: int, sequence: int) -> None:
        assert self.vote is not None
        head = head_of(voter)
        given, last = self.model.proxies.get(head, (0, 0))
        is_new = sequence > last
        held = self.model.held(holder + 1) - (given == holder + 1)
        succeeds = not is_new or (holder != head and (holder < 0 or held < PROXIES_MAX))
        with self.expected("give_proxy" if holder >= 0 else "revoke_proxy", succeeds):
            self.vote.give_proxy(voter, None if holder < 0 else holder, sequence=sequence)
        if succeeds and is_new:
            self.model.proxies[head] = (holder + 1, sequence)
        elif sequence == last and holder + 1 != given:
            self.model.proxies[head] = (0, sequence)  # one number for two holders is a proxy for nobody

    def silent_owners_ask_those_who_spoke(self) -> None:
        for head in (head for head in range(0, HEADS, 2) if self.model.spoken(head)[0] is None):
            holders = [
                each for each in range(HEADS) if self.model.own[each] and self.model.held(each + 1) < PROXIES_MAX
            ]
            if holders:
                voter = next(voter for voter in VOTERS if head_of(voter) == head)
                _, last = self.model.proxies.get(head, (0, 0))
                self.give_proxy(voter, holders[-1], last + 1)

    @precondition(lambda self: self.vote is not None)
    @rule(choice=CHOICES)
    def a_silent_owner_comes_with_a_paper(self, choice: Choice) -> None:
        silent = [head for head in range(1, HEADS, 2) if self.model.spoken(head)[0] is None]
        if silent:
            self.record_paper(silent[0], choice, alone=False)

    @precondition(lambda self: self.vote is not None)
    @rule(head=HEAD, choice=CHOICES, alone=st.booleans())
    def any_paper(self, head: int, choice: Choice, alone: bool) -> None:
        self.record_paper(head, choice, alone=alone)

    def record_paper(self, head: int, choice: Choice, *, alone: bool) -> None:
        assert self.vote is not None
        in_time = self.hall.chain.now() <= self.vote.terms.closes_at - WINDOW
        succeeds = in_time and not alone and head not in self.model.papers
        with self.expected("record_paper", succeeds):
            papers = [PaperBallot(head=head, choice=choice, scan=name(f"scan {head}"))]
            self.vote.record(papers, OFFICERS[0], OFFICERS[0] if alone else OFFICERS[1])
        if succeeds:
            self.model.papers[head] = choice

    @precondition(lambda self: self.vote is not None and self.is_door_open)
    @rule(choices=st.lists(MOSTLY_FOR, min_size=HEADS, max_size=HEADS))
    def sign_at_the_door(self, choices: list[Choice | None]) -> None:
        """One owner of most heads signs, for a batch that is sent at once."""
        assert self.vote is not None
        self.is_door_open = False
        batch = []
        for head, choice in enumerate(choices):
            voter = next(voter for voter in VOTERS if head_of(voter) == head)
            number = 1 + max((kept.sequence for kept in self.kept if kept.voter == voter), default=0)
            if choice is not None and number <= SEQUENCE_MAX:
                batch.append(Kept(voter, choice, number, self.vote.sign(voter, choice, sequence=number)))
        self.kept += batch
        if batch:
            news = [self.model.cast(kept) for kept in batch]
            with self.expected("relay", any(news)):
                self.vote.cast(*(kept.signed for kept in batch))

    @precondition(lambda self: len(self.model.papers) >= 2)
    @rule()
    def end_paper_time(self) -> None:
        assert self.vote is not None
        late = self.vote.terms.closes_at - WINDOW + 1
        if self.hall.chain.now() < late:
            self.hall.chain.wait_until(late)

    @invariant()
    def what_stands_is_what_owners_said(self) -> None:
        if self.vote is None:
            return
        call = ballots.spoken(self.hall.ballots, number=self.vote.number, first_head=0)
        spoken = ballots.parse_spoken(self.hall.chain.view(call))
        for head in range(HEADS):
            choice, means = self.model.spoken(head)
            assert spoken[head].choice == choice, head
            assert choice is None or spoken[head].means is means, head

    def finish(self) -> None:
        """The last proxies; then close, try what comes too late, count, compare."""
        if self.vote is None:
            return
        self.silent_owners_ask_those_who_spoke()
        with self.expected("count early", False):
            self.vote.count()
        self.vote.end()
        for kept in self.kept[-1:]:
            with self.expected("late", False):
                self.vote.cast(kept.signed)
        self.vote.count()
        with self.expected("count twice", False):
            self.vote.count()
        passes = self.model.passes(self.matter, self.building)
        assert self.vote.outcome().state is (State.PASSED if passes else State.FAILED)
        self.succeeded["passed" if passes else "failed"] += 1
        self._compare_totals(self.vote.result())

    def _compare_totals(self, result: assembly.Result) -> None:
        assert self.vote is not None
        for head, leaf in enumerate(self.vote.roll.leaves):
            choice, means = self.model.spoken(head)
            if choice is not None and leaf.area_centi_m2:
                self.succeeded[f"counted {means.name.lower()}"] += 1
        for means in Means:
            expected = Counter[Choice]()
            for head, leaf in enumerate(self.vote.roll.leaves):
                choice, by = self.model.spoken(head)
                if choice is not None and by is means:
                    expected[choice] += leaf.area_centi_m2
            found = result.by(means)
            areas = (found.in_favour.area_centi_m2, found.against.area_centi_m2, found.abstained.area_centi_m2)
            assert areas == tuple(expected[choice] for choice in Choice), means


@pytest.mark.slow
def test_the_result_is_what_owners_signed_whatever_the_relayer_does(assembled: Hall) -> None:
    Votes.hall = assembled
    run_paths(Votes, examples=30, steps=40)
    often = (
        "relay",
        "give_proxy",
        "revoke_proxy",
        "record_paper",
        "passed",
        "failed",
        "forge refused",
        "late refused",
    )
    require(Votes, often, times=3)
    require(Votes, ("counted passkey", "counted software", "counted proxy", "counted paper", "relay refused"), times=1)
