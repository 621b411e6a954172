"""ServiceAgreements as a state machine beside a Python model: money is conserved, and relayers can make nothing.

Crews sign and gateways log visits; whoever relays them may delay, reorder, repeat, leave out or alter them. Each call
is predicted, its refusal too, and the contract's overdue days are those of `contracts.due` over the visits known then.
"""

import inspect
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from contracts.calls import service_agreements
from contracts.calls.service_agreements import SeenVisit
from contracts.due import CLASSES, PROVISIONAL_S, DoneDay, fee, overdue_days, penalty
from contracts.visit import Visit, VisitClass
from tests.contracts.vyper.chain import Reverted
from tests.contracts.vyper.conftest import undone
from tests.contracts.vyper.service import (
    BY_SOFTWARE,
    MECHANIC,
    OTHER_FIRM,
    SECOND,
    SITE_MANAGER,
    Member,
    Service,
    agreement_name,
)

EXAMPLES = int(os.environ.get("MINGLOU_SEEDS", "12"))
CREWS: tuple[tuple[tuple[Member, ...], Member | None], ...] = (
    ((MECHANIC,), None),
    ((BY_SOFTWARE,), None),
    ((MECHANIC, SECOND), None),
    ((MECHANIC,), SITE_MANAGER),
)
BY = st.sampled_from(["relayer", "stranger", "manager"])
CLASS = st.sampled_from(CLASSES)


# What may happen next, and from what its arguments are drawn. One rule draws among all of them, for hypothesis leaves
# out many rules of an example, and a penalty needs several in a row.
ACTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "a_crew_serves": {"visit_class": CLASS, "level": st.integers(0, 4), "crew": st.sampled_from(CREWS)},
    "somebody_relays": {"by": BY},
    "somebody_relays_all_from_the_last_to_the_first": {"by": BY},
    "a_relayer_alters_what_he_carries": {"how": st.sampled_from(["level", "class", "time", "people", "entry", "firm"])},
    "pay": {"by": BY},
    "somebody_adds": {"amount": st.integers(0, 100_000), "to": st.sampled_from(["budget", "deposit"])},
    "claim": {"visit_class": CLASS, "days": st.sampled_from([20, 64, 64, 64, 70]), "by": BY},
    "count": {"by": BY},
    "a_visit_is_kept_back_until_somebody_claims": {"visit_class": CLASS, "by": BY},
    "days_pass": {"days": st.sampled_from([1, 4, 11, 31, 45])},
}


OFTEN = [*ACTIONS, "claim", "claim", "count", "count", "days_pass", "somebody_relays", "somebody_relays"]


@dataclass(frozen=True)
class Pending:
    """A visit that its crew signed and the gateway logged."""

    visit: Visit
    index: int
    level: int
    signers: tuple[Member, ...]
    day: int  # that it counts for

    @property
    def seen(self) -> SeenVisit:
        two = len(self.visit.mechanics) == 2
        return SeenVisit(self.visit.visit_class, self.level, two_people=two, countersigned=any(self.visit.manager))


def order(pending: Pending) -> tuple[int, bool, bool, int]:
    """By class, then signatures, then level."""
    seen = pending.seen
    return (int(seen.visit_class), seen.countersigned, seen.two_people, seen.level)


@dataclass
class OpenClaim:
    visit_class: VisitClass
    from_day: int
    through_day: int
    days: int
    claimed_at: int


class Upkeep(RuleBasedStateMachine):
    """One lift through a year."""

    service: Service
    succeeded: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self._undone = undone(self.service.site)
        self._undone.__enter__()
        # One that asks for a level, so that some visits count and some do not.
        self.terms = self.service.start(plan=bytes([7]) * 32, level=1)
        kept = self.service.agreement(self.terms)
        self.budget, self.deposit, self.firm = kept.budget, kept.deposit, 0
        self.signed: list[Pending] = []
        self.proven: dict[int, list[Pending]] = {}  # by day, those that were new when they came
        self.paid: Counter[int] = Counter()
        self.claims: dict[int, OpenClaim] = {}
        self.claim_count = 0
        self.lived: set[int] = set()
        self.looked_at = dict.fromkeys(CLASSES, self.terms.starts_on - 1)
        self.firm_before = self.service.site.balance(self.service.account)
        self.others = self.service.site.balance(self.service.address) - self.budget - self.deposit

    def teardown(self) -> None:
        self._undone.__exit__(None, None, None)

    @contextmanager
    def expected(self, what: str, succeeds: bool) -> Iterator[None]:
        """The call must succeed exactly if the model says so."""
        try:
            yield
        except Reverted as refusal:
            assert not succeeds, f"{what} was refused: {refusal.reason}"
            return
        assert succeeds, f"{what} succeeded"
        self.succeeded[what] += 1

    @property
    def today(self) -> int:
        return self.service.today

    def counting(self, day: int) -> list[Pending]:
        """The day's visits that these terms take."""
        return [each for each in self.proven.get(day, ()) if self.takes(each.seen)]

    def takes(self, seen: SeenVisit) -> bool:
        return self.terms.is_done(level=seen.level, two_people=seen.two_people, countersigned=seen.countersigned)

    @property
    def done(self) -> list[DoneDay]:
        """Of each day the highest class: visits beside it take nothing away."""
        classes = {day: [each.visit.visit_class for each in self.counting(day)] for day in self.proven}
        return [DoneDay(day, max(found)) for day, found in classes.items() if found]

    def overdue(self, visit_class: VisitClass, from_day: int, through_day: int) -> int:
        return overdue_days(self.terms, self.done, visit_class, from_day=from_day, through_day=through_day)

    @rule(data=st.data(), names=st.lists(st.sampled_from(OFTEN), min_size=4, max_size=4))
    def things_happen(self, data: st.DataObject, names: list[str]) -> None:
        for name in names:
            arguments = {key: data.draw(strategy) for key, strategy in ACTIONS[name].items()}
            action = getattr(self, name)
            if "data" in inspect.signature(action).parameters:
                arguments["data"] = data
            action(**arguments)

    def a_crew_serves(
        self, visit_class: VisitClass, level: int, crew: tuple[tuple[Member, ...], Member | None]
    ) -> None:
        mechanics, manager = crew
        salt = len(self.signed).to_bytes(16)
        visit = self.service.visit(visit_class, mechanics=mechanics, manager=manager, salt=salt, plan=self.terms.plan)
        index = self.service.log(visit, level=level)
        signers = (*mechanics, manager) if manager else mechanics
        self.signed.append(Pending(visit, index, min(level, 3), signers, self.today))
        self.succeeded["a_crew_serves"] += 1

    def somebody_relays(self, data: st.DataObject, by: str) -> None:
        if self.signed:
            self.relay(data.draw(st.sampled_from(self.signed)), by)

    def somebody_relays_all_from_the_last_to_the_first(self, by: str) -> None:
        for pending in reversed(self.signed):
            self.relay(pending, by)

    def relay(self, pending: Pending, by: str) -> None:
        seen = pending.seen
        levels = [
            each.level for each in self.proven.get(pending.day, ()) if replace(each.seen, level=seen.level) == seen
        ]
        succeeds = seen.level > max(levels, default=-1)
        self.accept()
        call = self.service.call(self.terms, pending.visit, pending.index, signers=pending.signers)
        with self.expected("relay", succeeds):
            self.service.chain.send(getattr(self.service.site, by), call)
        if succeeds:
            self.proven.setdefault(pending.day, []).append(pending)

    def a_relayer_alters_what_he_carries(self, data: st.DataObject, how: str) -> None:
        if not self.signed:
            return
        pending = data.draw(st.sampled_from(self.signed))
        self.accept()
        visit, logged, terms = pending.visit, self.service.logged(pending.index), self.terms
        if how == "level":
            logged = replace(logged, entry=replace(logged.entry, value=(logged.entry.value + 1) % 5))
        elif how == "class":
            visit = replace(visit, visit_class=VisitClass(visit.visit_class % 4 + 1))
        elif how == "time":
            visit = replace(visit, ended_at_s=visit.ended_at_s + 60)
        elif how == "people":
            visit = replace(visit, mechanics=(SECOND.alias,))
        elif how == "entry":
            other = data.draw(st.integers(0, len(self.service.site.log.entries) - 1))
            logged = replace(logged, index=other)
        else:
            terms = replace(terms, firm=OTHER_FIRM)
        if how == "entry" and logged.index == pending.index:
            return
        signatures = [self.service.sign(pending.visit, signer) for signer in pending.signers]
        call = self.service.call(terms, visit, pending.index, signers=(), logged=logged, signatures=signatures)
        with self.expected("altered", False):
            self.service.chain.send(self.service.site.relayer, call)
        self.succeeded["refused to be altered"] += 1

    def accept(self) -> None:
        """The gateway's newest head; entries are logged a minute after their visits."""
        self.service.chain.wait(120)
        self.service.site.accept(self.service.site.log)

    def a_visit_is_kept_back_until_somebody_claims(self, data: st.DataObject, visit_class: VisitClass, by: str) -> None:
        self.days_pass(11)
        self.a_crew_serves(visit_class, 3, CREWS[0])
        self.days_pass(11)
        self.claim(VisitClass.HALF_MONTH, 64, by)
        self.relay(self.signed[-1], by)
        self.count(data, by)

    def pay(self, data: st.DataObject, by: str) -> None:
        days = data.draw(st.lists(st.sampled_from([*self.proven, self.today]), min_size=1, max_size=4))
        due = {day: self.worth(day) - self.paid[day] for day in set(days)}
        amount = sum(due.values())
        succeeds = 0 < amount <= self.budget and self.today <= self.terms.ends_on
        call = service_agreements.pay_fees(self.service.address, agreement=agreement_name(self.terms), days=days)
        with self.expected("pay", succeeds):
            self.service.chain.send(getattr(self.service.site, by), call)
        if succeeds:
            self.budget -= amount
            self.firm += amount
            self.paid.update(due)

    def worth(self, day: int) -> int:
        """What a day may have paid by now: never less than it has."""
        fees = [fee(self.terms, each.visit.visit_class, each.level) for each in self.counting(day)]
        return max([self.paid[day], *fees])

    def somebody_adds(self, amount: int, to: str) -> None:
        builder = service_agreements.add_budget if to == "budget" else service_agreements.add_deposit
        with self.expected("add", True):
            call = builder(self.service.address, agreement=agreement_name(self.terms), amount=amount)
            self.service.chain.send(self.service.site.stranger, call)
        setattr(self, to, getattr(self, to) + amount)

    def claim(self, visit_class: VisitClass, days: int, by: str) -> None:
        from_day = self.looked_at[visit_class] + 1
        through = min(from_day + days - 1, self.today)
        overdue = self.overdue(visit_class, from_day, through) if through >= from_day else 0
        costs = penalty(self.terms, overdue)
        succeeds = from_day <= through < from_day + 64 and costs <= self.deposit
        call = service_agreements.claim_overdue(
            self.service.address, agreement=agreement_name(self.terms), visit_class=visit_class, through_day=through
        )
        with self.expected("claim", succeeds):
            self.service.chain.send(getattr(self.service.site, by), call)
        if succeeds:
            self.looked_at[visit_class] = through
        if succeeds and overdue:
            self.succeeded["claim of overdue days"] += 1
            self.claims[self.claim_count] = OpenClaim(visit_class, from_day, through, overdue, self.service.chain.now())
            self.claim_count += 1
            self.deposit -= costs

    def count(self, data: st.DataObject, by: str) -> None:
        if not self.claims:
            return
        number = data.draw(st.sampled_from(sorted(self.claims)))
        claim = self.claims[number]
        overdue = self.overdue(claim.visit_class, claim.from_day, claim.through_day)
        is_over = self.service.chain.now() >= claim.claimed_at + PROVISIONAL_S
        if is_over and not self.lived & set(range(claim.through_day + 1, self.today - 29)):
            self.service.live(claim.through_day + 1)
            self.lived.add(claim.through_day + 1)
        is_over = is_over and claim.through_day + 1 <= self.today - 30
        succeeds = is_over or overdue != claim.days
        call = service_agreements.count_claim(self.service.address, agreement=agreement_name(self.terms), number=number)
        with self.expected("settle" if is_over else "count", succeeds):
            self.service.chain.send(getattr(self.service.site, by), call)
        if not succeeds:
            return
        self.deposit += penalty(self.terms, claim.days - overdue)
        claim.days = overdue
        if is_over or overdue == 0:
            self.budget += penalty(self.terms, overdue)
            del self.claims[number]

    def days_pass(self, days: int) -> None:
        if self.today < self.terms.starts_on + 400:
            self.service.go_to(self.today + days)

    @invariant()
    def every_fen_is_where_the_model_has_it(self) -> None:
        kept = self.service.agreement(self.terms)
        claimed = sum(penalty(self.terms, claim.days) for claim in self.claims.values())
        assert (kept.budget, kept.deposit, kept.claimed) == (self.budget, self.deposit, claimed)
        site = self.service.site
        assert site.balance(self.service.address) == self.others + self.budget + self.deposit + claimed
        assert site.balance(self.service.account) == self.firm_before + self.firm

    @invariant()
    def every_day_keeps_the_best_of_what_was_proven(self) -> None:
        for day, proven in list(self.proven.items())[-3:]:
            kept = self.service.kept(self.terms, day)
            assert kept is not None
            best = max(proven, key=order)
            assert (kept.digest, kept.best) == (best.visit.digest()[:20], best.seen)
            assert kept.paid == self.paid[day]


def test_money_is_conserved_and_relayers_can_make_nothing(serving: Service) -> None:
    Upkeep.service, Upkeep.succeeded = serving, Counter()
    run_state_machine_as_test(
        Upkeep,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=12,
            deadline=None,
            derandomize=True,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )
    # One that only reverts proves nothing.
    for what in (
        "a_crew_serves",
        "relay",
        "refused to be altered",
        "pay",
        "add",
        "claim of overdue days",
        "count",
        "settle",
    ):
        assert Upkeep.succeeded[what] >= 3, Upkeep.succeeded
