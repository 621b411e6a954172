"""What gateways say against the plain reading of the logbook: silence, life, and visits that contradict each other."""

import random
from dataclasses import replace
from typing import Any

import pytest

from contracts.calls import counterevidence, registry_changes, service_agreements
from contracts.calls.anchor_log import Head
from contracts.calls.counterevidence import LifeShown, LoggedEntry, OverlapShown, SignedVisit, SilenceShown
from contracts.due import CLASSES, PROVISIONAL_S, DoneDay, Terms, fee, overdue_days
from contracts.entry import Kind
from contracts.visit import Visit, VisitClass
from contracts.vyper.compile import artifact
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.service import (
    BUDGET,
    DEPOSIT,
    MECHANIC,
    SECOND,
    Member,
    Service,
    agreement_name,
    claim_of,
    line_name,
    overdue,
    send,
)
from tests.contracts.vyper.site import DAY, LIFT, METERS, NEIGHBOUR, OFFSET, ORIGIN, PRECOMPILE

HALF_MONTH = VisitClass.HALF_MONTH
OTHER_LIFT = METERS[0]  # a second device of the same gateway


def tick(service: Service, day: int, **changes: Any) -> int:
    """Something that the gateway logs on a day; returns its index."""
    fields: dict[str, Any] = {"observed_at_s": day * DAY - OFFSET + 8 * 3600, "kind": Kind.STATUS}
    fields |= {"quantity": "lift.mode", "detail_digest": bytes(32)} | changes
    return service.log(service.visit(), level=0, **fields)


def logged(service: Service, index: int, *, assignment: int = 0, origin: str = ORIGIN) -> LoggedEntry:
    """An entry under the head accepted last."""
    site = service.site
    log = site.log if origin == ORIGIN else site.neighbour
    head: Head = site.heads[origin]
    return LoggedEntry(assignment, head, log.proof(index, head.size))


def show_silence(service: Service, first: int, last: int) -> None:
    """The gateway logs on the days around these alone, and somebody shows it."""
    before, after = tick(service, first - 1), tick(service, last + 1)
    service.chain.wait(60)
    service.site.accept(service.site.log)
    report(service, logged(service, before), logged(service, after))


def report(service: Service, before: LoggedEntry, after: LoggedEntry, device: bytes = LIFT) -> Any:
    call = counterevidence.report_silence(service.site.counterevidence, device=device, before=before, after=after)
    (log,) = service.chain.send(service.site.stranger, call).logs
    return counterevidence.parse_event(log.topics, log.data)


def live(service: Service, day: int) -> Any:
    index = tick(service, day)
    service.chain.wait(60)
    service.site.accept(service.site.log)
    call = counterevidence.report_life(service.site.counterevidence, device=LIFT, logged=logged(service, index))
    (log,) = service.chain.send(service.site.stranger, call).logs
    return counterevidence.parse_event(log.topics, log.data)


def is_silent(service: Service, day: int) -> bool:
    call = counterevidence.is_silent(service.site.counterevidence, device=LIFT, day=day)
    return counterevidence.parse_answer(service.chain.view(call))


# --- Silence ---


def test_days_on_which_the_gateway_was_silent_are_neither_counted_nor_overdue(service: Service) -> None:
    """The gateway is switched off for a month; the firm could prove nothing then, and owes nothing for it."""
    start = service.terms_now.starts_on
    service.go_to(start + 50)
    assert overdue(service, HALF_MONTH, start, start + 50) == 38
    show_silence(service, start + 5, start + 39)
    # Done three days before the start, so eleven days of the fifteen are left when it is back.
    assert [is_silent(service, start + day) for day in (4, 5, 39, 40)] == [False, True, True, False]
    assert overdue(service, HALF_MONTH, start, start + 50) == 3


def test_counting_around_silences_is_pythons_on_random_cases(service: Service) -> None:
    rng, start = random.Random(2_026), service.terms_now.starts_on
    done = []
    for day in sorted(rng.sample(range(200), 6)):
        service.go_to(start + day)
        visit = service.visit(VisitClass(rng.randrange(1, 5)))
        service.record(service.terms_now, visit)
        done.append(DoneDay(start + day, visit.visit_class))
    service.go_to(start + 260)
    silent: set[int] = set()
    for _ in range(4):
        first = start + rng.randrange(240)
        last = first + rng.randrange(20)
        show_silence(service, first, last)
        silent |= set(range(first, last + 1))
    for each in CLASSES:
        for _ in range(4):
            window = (start + rng.randrange(190), 0)
            window = (window[0], window[0] + rng.randrange(64))
            expected = overdue_days(
                service.terms_now, done, each, from_day=window[0], through_day=window[1], silent=silent
            )
            assert overdue(service, each, *window) == expected


def test_a_claim_falls_back_to_what_the_silence_leaves(service: Service) -> None:
    terms, anyone = service.terms_now, service.site.stranger
    service.go_to(terms.starts_on + 20)
    send(service, anyone, service_agreements.claim_overdue, visit_class=HALF_MONTH, through_day=terms.starts_on + 20)
    assert claim_of(service, 0).days == 8
    service.go_to(terms.starts_on + 30)
    show_silence(service, terms.starts_on + 15, terms.starts_on + 25)
    send(service, anyone, service_agreements.count_claim, number=0)
    assert claim_of(service, 0).days == 2  # the thirteenth and fourteenth day


def test_an_entry_of_the_day_ends_its_silence_whatever_was_shown_first(service: Service) -> None:
    """A clock may be wrong for a moment, and two neighbouring entries then look far apart."""
    start = service.terms_now.starts_on
    service.go_to(start + 20)
    assert live(service, start + 12) == LifeShown(LIFT, start + 12)
    show_silence(service, start + 5, start + 15)
    assert [is_silent(service, start + day) for day in (11, 12, 13)] == [True, False, True]
    live(service, start + 13)
    assert [is_silent(service, start + day) for day in (11, 12, 13)] == [True, False, False]


def test_only_neighbours_of_the_devices_log_with_whole_days_between_show_silence(service: Service) -> None:
    start = service.terms_now.starts_on
    service.go_to(start + 500)
    first, second, third = tick(service, start), tick(service, start + 1), tick(service, start + 9)
    far = tick(service, start + 9 + 368)
    service.site.neighbour.append(service.site.log.entries[first])
    service.site.accept(service.site.log)
    service.site.accept(service.site.neighbour)
    with refused("counterevidence: entries are no neighbours"):
        report(service, logged(service, first), logged(service, third))
    with refused("counterevidence: no whole day lies between"):
        report(service, logged(service, first), logged(service, second))
    with refused("counterevidence: more than a year lies between"):
        report(service, logged(service, third), logged(service, far))
    with refused("counterevidence: head is not the accepted one"):
        report(service, logged(service, second), logged(service, 0, origin=NEIGHBOUR))
    with refused("counterevidence: device is not assigned to this index"):
        report(service, logged(service, second), replace(logged(service, third), assignment=1))
    moved = logged(service, third)
    with refused("counterevidence: entry is not in the log"):
        entry = replace(moved.proof.entry, observed_at_ms=moved.proof.entry.observed_at_ms + DAY)
        report(service, logged(service, second), replace(moved, proof=replace(moved.proof, entry=entry)))
    assert report(service, logged(service, second), moved) == SilenceShown(LIFT, start + 2, start + 8)


def test_a_silence_may_end_in_the_log_of_the_gateway_that_replaced_it(service: Service) -> None:
    start, site = service.terms_now.starts_on, service.site
    service.go_to(start + 1)
    last = tick(service, start)
    neighbours_first = len(site.neighbour.entries)
    site.enact(
        registry_changes.end_assignment(site.registry, device=LIFT, last_index=last),
        registry_changes.assign_devices(
            site.registry, origin_id=site.neighbour.origin_id, first_index=neighbours_first, devices=[LIFT]
        ),
    )
    service.go_to(start + 20)
    entry = replace(site.log.entries[last], observed_at_ms=((start + 10) * DAY - OFFSET) * 1000)
    for _ in range(2):
        site.neighbour.append(entry)
    site.accept(site.log)
    site.accept(site.neighbour)
    before = logged(service, last)
    with refused("counterevidence: entries are no neighbours"):
        report(service, before, logged(service, neighbours_first + 1, assignment=1, origin=NEIGHBOUR))
    after = logged(service, neighbours_first, assignment=1, origin=NEIGHBOUR)
    assert report(service, before, after) == SilenceShown(LIFT, start + 1, start + 9)


def test_an_entry_from_the_future_shows_nothing(service: Service) -> None:
    index = tick(service, service.terms_now.starts_on + 3)
    service.site.accept(service.site.log)
    call = counterevidence.report_life(service.site.counterevidence, device=LIFT, logged=logged(service, index))
    with refused("counterevidence: entry is from the future"):
        service.chain.send(service.site.stranger, call)


# --- Life ---


def test_a_claim_waits_until_the_gateway_is_back_and_thirty_days_more(service: Service) -> None:
    terms, anyone = service.terms_now, service.site.stranger
    service.go_to(terms.starts_on + 20)
    send(service, anyone, service_agreements.claim_overdue, visit_class=HALF_MONTH, through_day=terms.starts_on + 20)
    service.chain.wait(PROVISIONAL_S)
    with refused("service_agreements: claim stands as counted"):
        send(service, anyone, service_agreements.count_claim, number=0)
    service.go_to(terms.starts_on + 60)
    live(service, terms.starts_on + 20)  # the last day claimed itself shows nothing later
    live(service, terms.starts_on + 60)
    with refused("service_agreements: claim stands as counted"):
        send(service, anyone, service_agreements.count_claim, number=0)
    service.go_to(terms.starts_on + 90)
    send(service, anyone, service_agreements.count_claim, number=0)
    kept = service.agreement(terms)
    assert (kept.budget, kept.claimed) == (BUDGET + 8 * terms.penalty, 0)


def test_a_claim_that_no_sign_of_life_follows_within_a_year_falls(service: Service) -> None:
    """Else deposit and budget would be stuck behind a gateway that nobody ever puts back."""
    terms, anyone = service.terms_now, service.site.stranger
    service.go_to(terms.starts_on + 20)
    send(service, anyone, service_agreements.claim_overdue, visit_class=HALF_MONTH, through_day=terms.starts_on + 20)
    service.go_to(terms.starts_on + 20 + 365)
    with refused("service_agreements: claim stands as counted"):
        send(service, anyone, service_agreements.count_claim, number=0)
    service.go_to(terms.starts_on + 20 + 367)
    send(service, anyone, service_agreements.count_claim, number=0)
    kept = service.agreement(terms)
    assert (kept.budget, kept.deposit, kept.claimed) == (BUDGET, DEPOSIT, 0)


# --- Overlap ---


def overlapping(service: Service, *, minutes: int, made_by: tuple[Member, ...] = (MECHANIC,)) -> tuple[Visit, Visit]:
    """A visit of the lift, and one elsewhere that began before that one ended."""
    a = service.visit()
    start, end = a.ended_at_s - 60 * minutes, a.ended_at_s + 1200
    return a, service.visit(device=OTHER_LIFT, mechanics=made_by, started_at_s=start, ended_at_s=end)


def overlap(service: Service, a: Visit, b: Visit, *, level: int = 3, by: Member = MECHANIC) -> Any:
    indexes = [service.log(each, level=level) for each in (a, b)]
    service.chain.wait(1800)
    service.site.accept(service.site.log)
    return overlap_call(service, *(signed(service, each, at, by=by) for each, at in zip((a, b), indexes, strict=True)))


def signed(service: Service, visit: Visit, index: int, *, by: Member = MECHANIC, **changes: Any) -> SignedVisit:
    signature = service.person_signature(visit, by, **changes)
    return SignedVisit(visit, service.address, signature, logged(service, index))


def overlap_call(service: Service, a: SignedVisit, b: SignedVisit, *, mechanic: Member = MECHANIC) -> Any:
    return counterevidence.report_overlap(service.site.counterevidence, mechanic=mechanic.alias, a=a, b=b)


@pytest.mark.parametrize("paid_before", [True, False])
def test_one_mechanic_at_two_devices_at_once_is_paid_for_neither(service: Service, paid_before: bool) -> None:
    terms, anyone, days = service.terms_now, service.site.stranger, [service.terms_now.starts_on]
    other = replace(terms, device=OTHER_LIFT)
    a, b = overlapping(service, minutes=11)
    service.record(terms, a)
    if paid_before:
        send(service, anyone, service_agreements.pay_fees, days=days)
        assert service.agreement(terms).budget == BUDGET - fee(terms, HALF_MONTH, 3)
    (log,) = service.chain.send(anyone, overlap(service, a, b)).logs
    event = counterevidence.parse_event(log.topics, log.data)
    assert event == OverlapShown(
        MECHANIC.alias, line_name(terms), line_name(other), days[0], days[0], a.digest(), b.digest()
    )
    if paid_before:
        send(service, anyone, service_agreements.pay_fees, days=days)
    with refused("service_agreements: nothing to pay"):
        send(service, anyone, service_agreements.pay_fees, days=days)
    kept = service.agreement(terms)
    fee_paid = fee(terms, HALF_MONTH, 3) if paid_before else 0
    assert (kept.budget, kept.deposit) == (BUDGET, DEPOSIT - fee_paid)
    service.go_to(terms.starts_on + 20)
    assert overdue(service, HALF_MONTH, terms.starts_on, terms.starts_on + 20) == 8
    assert is_void(service, other, days[0])


def test_what_was_paid_for_a_contradicted_visit_comes_out_of_the_deposit_alone(service: Service) -> None:
    terms = service.start(plan=bytes([9]) * 32, deposit=19_999)
    agreement, days = agreement_name(terms), [terms.starts_on]
    a, b = (replace(each, plan=terms.plan) for each in overlapping(service, minutes=30))
    service.record(terms, a)
    send(service, service.account, service_agreements.pay_fees, agreement=agreement, days=days)
    service.chain.send(service.site.stranger, overlap(service, a, b))
    with refused("service_agreements: deposit does not cover what was paid"):
        send(service, service.account, service_agreements.pay_fees, agreement=agreement, days=days)
    send(service, service.site.stranger, service_agreements.add_deposit, agreement=agreement, amount=1)
    send(service, service.account, service_agreements.pay_fees, agreement=agreement, days=days)
    assert (service.agreement(terms).budget, service.agreement(terms).deposit) == (BUDGET, 0)


def test_a_visit_that_is_contradicted_first_is_worth_nothing_when_it_comes(service: Service) -> None:
    terms, days = service.terms_now, [service.terms_now.starts_on]
    a, b = overlapping(service, minutes=11, made_by=(SECOND, MECHANIC))
    service.chain.send(service.site.stranger, overlap(service, a, b, level=0))
    assert is_void(service, terms, days[0])
    service.record(terms, a)
    with refused("service_agreements: nothing to pay"):
        send(service, service.account, service_agreements.pay_fees, days=days)


def test_only_two_logged_records_that_one_mechanic_signed_contradict_each_other(service: Service) -> None:
    """A gateway logs a record that any key signed, so who names a mechanic must hold his key."""
    a, b = overlapping(service, minutes=11)
    _, others = overlapping(service, minutes=11, made_by=(SECOND,))
    later, same = replace(b, started_at_s=a.ended_at_s - 600), replace(a, salt=bytes(16))
    indexes = {each: service.log(each) for each in (a, b, others, later, same)}
    not_a_visit = service.log(b, kind=Kind.STATUS)
    service.chain.wait(1800)
    service.site.accept(service.site.log)
    first = signed(service, a, indexes[a])

    def send_beside(second: SignedVisit, mechanic: Member = MECHANIC) -> None:
        service.chain.send(service.site.stranger, overlap_call(service, first, second, mechanic=mechanic))

    no_match = "counterevidence: mechanic's signature does not match the record"
    for second, reason in (
        (signed(service, others, indexes[others]), "counterevidence: mechanic is not in the record"),
        (signed(service, later, indexes[later]), "counterevidence: visits do not overlap"),
        (signed(service, same, indexes[same]), "counterevidence: visits were at one device"),
        (signed(service, b, indexes[others]), "counterevidence: entry is not this visit's"),
        (signed(service, b, not_a_visit), "counterevidence: entry is not this visit's"),
        (signed(service, b, indexes[b], by=SECOND), no_match),
        (signed(service, b, indexes[b], contract=service.site.registry), no_match),
    ):
        with refused(reason):
            send_beside(second)
    with refused("counterevidence: mechanic is not in the record"):
        send_beside(signed(service, b, indexes[b]), mechanic=SECOND)
    send_beside(signed(service, b, indexes[b]))


def is_void(service: Service, terms: Terms, day: int) -> bool:
    call = counterevidence.is_void(service.site.counterevidence, line=line_name(terms), day=day)
    return counterevidence.parse_answer(service.chain.view(call))


def test_the_day_is_the_sites(service: Service) -> None:
    for offset in (DAY, -DAY):
        code = artifact("Counterevidence").bytecode
        creation = counterevidence.deploy(
            code, registry=service.site.registry, utc_offset_seconds=offset, verifier=PRECOMPILE
        )
        with refused("counterevidence: offset is a day or more"):
            service.chain.deploy(service.site.deployer, creation)
