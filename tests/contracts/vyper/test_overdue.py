"""Overdue days through the contract: who claims them, how they are counted again, and what they cost in the end."""

from contracts.calls import service_agreements
from contracts.calls.service_agreements import Claim
from contracts.due import PROVISIONAL_S, DoneDay, overdue_days
from contracts.visit import VisitClass
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.service import (
    BUDGET,
    DEPOSIT,
    MECHANIC,
    OTHER_FIRM,
    Service,
    agreement_name,
    claim_of,
    held,
    overdue,
    send,
)
from tests.contracts.vyper.site import DAY

HALF_MONTH = VisitClass.HALF_MONTH


def test_anyone_claims_overdue_days_and_after_thirty_days_they_are_paid(service: Service) -> None:
    terms, anyone = service.terms_now, service.site.stranger
    # Done three days before the start, so the first overdue day is the thirteenth after it.
    service.go_to(terms.starts_on + 12)
    send(service, anyone, service_agreements.claim_overdue, visit_class=HALF_MONTH, through_day=terms.starts_on + 12)
    kept = service.agreement(terms)
    assert (kept.claims, kept.deposit, kept.claimed_through[0]) == (0, DEPOSIT, terms.starts_on + 12)
    service.go_to(terms.starts_on + 20)
    send(service, anyone, service_agreements.claim_overdue, visit_class=HALF_MONTH, through_day=terms.starts_on + 20)
    assert claim_of(service, 0).days == 8
    kept = service.agreement(terms)
    assert (kept.deposit, kept.claimed) == (DEPOSIT - 40_000, 40_000)
    with refused("service_agreements: days were looked at before, or are over a year ago"):
        send(
            service, anyone, service_agreements.claim_overdue, visit_class=HALF_MONTH, through_day=terms.starts_on + 20
        )
    with refused("service_agreements: claim stands as counted"):
        send(service, anyone, service_agreements.count_claim, number=0)
    service.chain.wait(PROVISIONAL_S + DAY)
    service.live(terms.starts_on + 21)
    send(service, anyone, service_agreements.count_claim, number=0)
    kept = service.agreement(terms)
    assert (kept.budget, kept.deposit, kept.claimed) == (BUDGET + 40_000, DEPOSIT - 40_000, 0)
    with refused("service_agreements: no such claim is open"):
        send(service, anyone, service_agreements.count_claim, number=0)
    assert held(service) == BUDGET + DEPOSIT


def test_a_visit_proven_in_time_leaves_no_penalty_standing(service: Service) -> None:
    """The cloud keeps the visit back; anyone who has the file brings it, before or after somebody claims."""
    terms, anyone = service.terms_now, service.site.stranger
    service.go_to(terms.starts_on + 11)
    visit = service.visit()
    index = service.log(visit)
    service.go_to(terms.starts_on + 20)
    send(service, anyone, service_agreements.claim_overdue, visit_class=HALF_MONTH, through_day=terms.starts_on + 20)
    service.go_to(terms.starts_on + 40)
    service.site.accept(service.site.log)
    service.chain.send(anyone, service.call(terms, visit, index, signers=(MECHANIC,)))
    send(service, anyone, service_agreements.count_claim, number=0)
    kept = service.agreement(terms)
    assert (kept.budget, kept.deposit, kept.claimed) == (BUDGET, DEPOSIT, 0)


def test_a_late_visit_ends_the_overdue_days_and_a_claim_is_counted_again(service: Service) -> None:
    terms, anyone = service.terms_now, service.site.stranger
    service.go_to(terms.starts_on + 15)
    visit = service.visit()
    index = service.log(visit)
    service.go_to(terms.starts_on + 20)
    send(service, anyone, service_agreements.claim_overdue, visit_class=HALF_MONTH, through_day=terms.starts_on + 20)
    service.site.accept(service.site.log)
    service.chain.send(anyone, service.call(terms, visit, index, signers=(MECHANIC,)))
    send(service, anyone, service_agreements.count_claim, number=0)
    assert claim_of(service, 0).days == 3
    kept = service.agreement(terms)
    assert (kept.deposit, kept.claimed) == (DEPOSIT - 15_000, 15_000)


def test_days_that_nobody_looked_at_for_a_year_cost_nothing_any_more(service: Service) -> None:
    """Their visits may have left the ring."""
    terms, anyone = service.terms_now, service.site.stranger
    service.go_to(terms.starts_on + 400)
    claim = service_agreements.claim_overdue
    with refused("service_agreements: days were looked at before, or are over a year ago"):
        send(service, anyone, claim, visit_class=HALF_MONTH, through_day=terms.starts_on + 33)
    send(service, anyone, claim, visit_class=HALF_MONTH, through_day=terms.starts_on + 40)
    assert claim_of(service, 0).from_day == terms.starts_on + 34 and claim_of(service, 0).days == 7


def test_a_claim_never_grows_however_late_it_is_counted(service: Service) -> None:
    terms, anyone = service.terms_now, service.site.stranger
    service.record(terms, service.visit())
    service.go_to(terms.starts_on + 20)
    send(service, anyone, service_agreements.claim_overdue, visit_class=HALF_MONTH, through_day=terms.starts_on + 20)
    assert claim_of(service, 0).days == 5
    # Four years later the visit's slot holds another one.
    service.go_to(terms.starts_on + service_agreements.RING)
    service.record(terms, service.visit())
    service.live(terms.starts_on + 21)
    send(service, anyone, service_agreements.count_claim, number=0)
    assert service.agreement(terms).budget == BUDGET + 5 * terms.penalty and service.agreement(terms).claimed == 0


def test_a_higher_class_counts_for_the_lower_ones_and_not_the_reverse(service: Service) -> None:
    terms = service.terms_now
    service.go_to(terms.starts_on + 10)
    service.record(terms, service.visit(VisitClass.QUARTER))
    service.go_to(terms.starts_on + 80)
    service.record(terms, service.visit())
    window = (terms.starts_on + 40, terms.starts_on + 80)
    done = [DoneDay(terms.starts_on + 10, VisitClass.QUARTER), DoneDay(terms.starts_on + 80, HALF_MONTH)]
    for visit_class in (HALF_MONTH, VisitClass.QUARTER, VisitClass.HALF_YEAR):
        expected = overdue_days(terms, done, visit_class, from_day=window[0], through_day=window[1])
        assert overdue(service, visit_class, *window) == expected
    assert overdue(service, HALF_MONTH, *window) == 41
    assert overdue(service, VisitClass.QUARTER, *window) == 0


def test_what_cannot_be_claimed_is_refused(service: Service) -> None:
    terms, anyone = service.terms_now, service.site.stranger
    claim = service_agreements.claim_overdue
    service.go_to(terms.starts_on + 90)
    for wrong in (0, 5):
        with refused("service_agreements: no such class"):
            send(service, anyone, claim, visit_class=wrong, through_day=terms.starts_on)
    with refused("service_agreements: day has not begun or is past the end"):
        send(service, anyone, claim, visit_class=HALF_MONTH, through_day=terms.starts_on + 91)
    with refused("service_agreements: more than 64 days at once"):
        send(service, anyone, claim, visit_class=HALF_MONTH, through_day=terms.starts_on + 64)
    with refused("service_agreements: days end before they begin"):
        overdue(service, HALF_MONTH, terms.starts_on + 1, terms.starts_on)
    unscheduled = service.start(firm=OTHER_FIRM, interval_days=(0, 90, 180, 365), deposit=4_999, done_on=(0,) * 4)
    name = agreement_name(unscheduled)
    send(service, anyone, claim, agreement=name, visit_class=HALF_MONTH, through_day=unscheduled.starts_on)
    assert service.agreement(unscheduled).claims == 0
    with refused("service_agreements: deposit does not cover so many days"):
        send(service, anyone, claim, agreement=name, visit_class=VisitClass.YEAR, through_day=unscheduled.starts_on)
    send(service, anyone, service_agreements.add_deposit, agreement=name, amount=1)
    send(service, anyone, claim, agreement=name, visit_class=VisitClass.YEAR, through_day=unscheduled.starts_on)


def test_a_class_that_is_seldom_due_is_claimed_after_its_days_in_time_were_looked_at(service: Service) -> None:
    terms, anyone = service.terms_now, service.site.stranger
    service.go_to(terms.starts_on + 90)
    claim = service_agreements.claim_overdue
    # Done a hundred days before the start, so the first overdue day is the eighty-first after it.
    for through in (63, 90):
        send(service, anyone, claim, visit_class=VisitClass.HALF_YEAR, through_day=terms.starts_on + through)
    assert claim_of(service, 0) == Claim(3, terms.starts_on + 64, terms.starts_on + 90, 10, service.chain.now())
