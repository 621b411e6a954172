"""Agreements through the contract: two parties and terms, fees, the end; and the money."""

from dataclasses import replace
from typing import Any

import pytest
from eth_utils.crypto import keccak

from contracts.abi import AbiError, encode_arguments
from contracts.calls import service_agreements
from contracts.due import AFTERMATH_DAYS, TERMS_TYPE, DoneDay, Terms, fee, overdue_days
from contracts.visit import VisitClass
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.service import (
    BUDGET,
    DEPOSIT,
    MECHANIC,
    OTHER_FIRM,
    SITE_MANAGER,
    STRANGER,
    STRANGERS_PAIR,
    Service,
    agreement_name,
    held,
    send,
)
from tests.contracts.vyper.site import DAY, FIRM

HALF_MONTH = VisitClass.HALF_MONTH


# --- Two parties ---


def test_an_agreement_holds_what_both_agreed_to(service: Service) -> None:
    terms, kept = service.terms_now, service.agreement(service.terms_now)
    assert kept.is_agreed and (kept.starts_on, kept.ends_on) == (terms.starts_on, terms.ends_on)
    assert (kept.fees, kept.factors) == (terms.fees, terms.factors)
    assert (kept.interval_days, kept.done_on, kept.grace_days) == (terms.interval_days, terms.done_on, terms.grace_days)
    assert kept.claimed_through == (terms.starts_on - 1,) * 4
    assert (kept.account, kept.payer) == (service.account.lower(), service.payer.lower())
    assert (kept.penalty, kept.claims, kept.two_people, kept.countersigned) == (terms.penalty, 0, False, False)
    assert (kept.budget, kept.deposit, kept.claimed) == (BUDGET, DEPOSIT, 0)
    assert held(service) == BUDGET + DEPOSIT


def test_only_the_manager_offers_and_only_the_firms_account_agrees(service: Service) -> None:
    site, terms = service.site, service.terms(firm=OTHER_FIRM)
    for stranger in (site.committee, site.relayer, service.account):
        with refused("service_agreements: only the manager may do this"):
            service.chain.send(stranger, service_agreements.propose(service.address, terms=terms))
    with refused("service_agreements: these terms are not proposed"):
        service.chain.send(service.account, service.agree_call(terms))
    service.chain.send(site.manager, service_agreements.propose(service.address, terms=terms))
    with refused("service_agreements: only the firm's account agrees"):
        service.chain.send(site.manager, service.agree_call(terms))
    with refused("service_agreements: these terms are not proposed"):
        service.chain.send(service.account, service.agree_call(replace(terms, penalty=1)))
    with refused("service_agreements: no such agreement"):
        send(service, site.stranger, service_agreements.add_budget, agreement=agreement_name(terms), amount=1)
    digest = keccak(encode_arguments("terms", (TERMS_TYPE,), (terms.abi(),)))
    call = service_agreements.proposal(service.address, agreement=agreement_name(terms))
    assert service_agreements.parse_proposal(service.chain.view(call)) == digest
    service.chain.send(service.account, service.agree_call(terms))
    with refused("service_agreements: these terms are not proposed"):
        service.chain.send(service.account, service.agree_call(terms))
    with refused("service_agreements: agreement stands already"):
        service.chain.send(site.manager, service_agreements.propose(service.address, terms=terms))


def test_an_offer_can_be_replaced_or_taken_back_until_the_firm_agrees(service: Service) -> None:
    site, terms = service.site, service.terms(firm=OTHER_FIRM)
    better = replace(terms, penalty=1)
    for offer in (terms, better):
        service.chain.send(site.manager, service_agreements.propose(service.address, terms=offer))
    with refused("service_agreements: these terms are not proposed"):
        service.chain.send(service.account, service.agree_call(terms))
    with refused("service_agreements: only the manager may do this"):
        send(service, site.stranger, service_agreements.retract, agreement=agreement_name(terms))
    send(service, site.manager, service_agreements.retract, agreement=agreement_name(terms))
    with refused("service_agreements: nothing is proposed"):
        send(service, site.manager, service_agreements.retract, agreement=agreement_name(terms))
    with refused("service_agreements: these terms are not proposed"):
        service.chain.send(service.account, service.agree_call(better))


@pytest.mark.parametrize(
    ("at", "value", "reason"),
    [
        (0, bytes(32), "service_agreements: device, plan or firm is missing"),
        (2, 0, "service_agreements: device, plan or firm is missing"),
        (2, 2**24, "service_agreements: a number is out of range"),
        (16, "0x" + "00" * 20, "service_agreements: an account is missing"),
        (4, 1, "service_agreements: term is empty or over ten years"),
        (4, 40_000, "service_agreements: term is empty or over ten years"),
        (6, (15, 90, 180, 732), "service_agreements: a number is out of range"),
        (7, (60_000, 0, 0, 0), "service_agreements: a number is out of range"),
        (8, 31, "service_agreements: a number is out of range"),
        (9, (1, 2, 3, 2**31), "service_agreements: a number is out of range"),
        (11, 2**32, "service_agreements: a number is out of range"),
        (15, 5, "service_agreements: a number is out of range"),
        (12, 2**64, "service_agreements: a number is out of range"),
        (9, (1, 3, 2, 4), "service_agreements: fees or factors fall, or over 2000"),
        (10, (0, 5, 4, 6, 7), "service_agreements: fees or factors fall, or over 2000"),
        (10, (0, 5, 5, 6, 2001), "service_agreements: fees or factors fall, or over 2000"),
    ],
)
def test_terms_that_python_refuses_are_refused_by_the_contract_too(
    service: Service, at: int, value: object, reason: str
) -> None:
    words = list(service.terms(firm=OTHER_FIRM).abi())
    words[at] = value

    class Broken:
        def abi(self) -> tuple[Any, ...]:
            return tuple(words)

    broken: Any = Broken()
    with refused(reason):
        service.chain.send(service.site.manager, service_agreements.propose(service.address, terms=broken))


def test_agreements_on_the_same_service_do_not_overlap_and_do_not_begin_in_the_past(service: Service) -> None:
    site = service.site
    during = service.terms(starts_on=service.today + 9, ends_on=service.today + 900, done_on=(0,) * 4)
    service.chain.send(site.manager, service_agreements.propose(service.address, terms=during))
    with refused("service_agreements: agreement overlaps the last one"):
        service.chain.send(service.account, service.agree_call(during))
    past = service.terms(firm=OTHER_FIRM, starts_on=service.today - 1, done_on=(0,) * 4)
    service.chain.send(site.manager, service_agreements.propose(service.address, terms=past))
    with refused("service_agreements: agreement begins in the past"):
        service.chain.send(service.account, service.agree_call(past))


# --- Fees ---


@pytest.mark.parametrize("level", range(5))
def test_a_visit_earns_its_class_by_what_the_gateway_saw(service: Service, level: int) -> None:
    terms = service.terms_now
    service.record(terms, service.visit(VisitClass.QUARTER), level=level)
    earned = fee(terms, VisitClass.QUARTER, min(level, 3))
    if earned == 0:
        with refused("service_agreements: nothing to pay"):
            send(service, service.site.stranger, service_agreements.pay_fees, days=[terms.starts_on])
        return
    before = service.site.balance(service.account)
    send(service, service.site.stranger, service_agreements.pay_fees, days=[terms.starts_on])
    assert service.site.balance(service.account) == before + earned
    assert service.agreement(terms).budget == BUDGET - earned
    with refused("service_agreements: nothing to pay"):
        send(service, service.account, service_agreements.pay_fees, days=[terms.starts_on])


def test_a_better_visit_of_the_same_day_adds_what_it_is_worth_more(service: Service) -> None:
    terms, days = service.terms_now, [service.terms_now.starts_on]
    service.record(terms, service.visit(), level=1)
    send(service, service.account, service_agreements.pay_fees, days=days)
    service.record(terms, service.visit(VisitClass.YEAR), level=3)
    send(service, service.account, service_agreements.pay_fees, days=days * 2)
    assert service.agreement(terms).budget == BUDGET - fee(terms, VisitClass.YEAR, 3)
    kept = service.kept(terms, days[0])
    assert kept is not None and kept.paid == fee(terms, VisitClass.YEAR, 3)


def test_fees_come_from_this_agreements_days_and_budget_alone(service: Service) -> None:
    terms = service.terms_now
    service.record(terms, service.visit(VisitClass.YEAR))
    for day in (terms.starts_on - 1, terms.ends_on + 1):
        with refused("service_agreements: day is not the agreement's"):
            send(service, service.account, service_agreements.pay_fees, days=[day])
    with refused("service_agreements: nothing to pay"):
        send(service, service.account, service_agreements.pay_fees, days=[terms.starts_on + 1])
    with refused("token: allowance is too small"):
        send(service, service.payer, service_agreements.add_budget, amount=1)
    other = service.start(firm=OTHER_FIRM, fees=(0, 0, 0, 600_000))
    service.record(other, service.visit(VisitClass.YEAR, mechanics=(STRANGER,)), signers=(STRANGER,))
    with refused("service_agreements: budget does not cover it"):
        send(
            service,
            service.account,
            service_agreements.pay_fees,
            agreement=agreement_name(other),
            days=[other.starts_on],
        )
    assert held(service) == 2 * (BUDGET + DEPOSIT)


def test_a_repair_earns_nothing_here(service: Service) -> None:
    terms = service.terms_now
    service.record(terms, service.visit(VisitClass.REPAIR))
    with refused("service_agreements: nothing to pay"):
        send(service, service.account, service_agreements.pay_fees, days=[terms.starts_on])


def test_without_the_signatures_that_the_agreement_asks_for_a_visit_neither_pays_nor_counts(service: Service) -> None:
    terms = service.start(firm=OTHER_FIRM, two_people=True, countersigned=True)
    first, second = STRANGER, STRANGERS_PAIR
    name, days = agreement_name(terms), [terms.starts_on]
    for mechanics, manager in (((first,), SITE_MANAGER), ((first, second), None)):
        signers = mechanics + ((manager,) if manager else ())
        service.record(terms, service.visit(mechanics=mechanics, manager=manager), signers=signers)
        with refused("service_agreements: nothing to pay"):
            send(service, service.account, service_agreements.pay_fees, agreement=name, days=days)
        service.chain.wait(DAY)
        days = [days[0] + 1]
    whole = service.visit(mechanics=(first, second), manager=SITE_MANAGER)
    service.record(terms, whole, signers=(first, second, SITE_MANAGER))
    send(service, service.account, service_agreements.pay_fees, agreement=name, days=days)
    service.go_to(terms.starts_on + 30)
    call = service_agreements.overdue_days(
        service.address,
        agreement=name,
        visit_class=HALF_MONTH,
        from_day=terms.starts_on,
        through_day=terms.starts_on + 30,
    )
    done = [DoneDay(days[0], HALF_MONTH)]
    expected = overdue_days(terms, done, HALF_MONTH, from_day=terms.starts_on, through_day=terms.starts_on + 30)
    assert service_agreements.parse_overdue_days(service.chain.view(call)) == expected == 13


def test_a_visit_below_the_agreed_level_neither_pays_nor_counts(service: Service) -> None:
    terms = service.start(firm=OTHER_FIRM, level=2, done_on=(0,) * 4, deposit=2_000_000)
    name, days = agreement_name(terms), [terms.starts_on]
    visit = service.visit(mechanics=(STRANGER,))
    service.record(terms, visit, signers=(STRANGER,), level=1)
    with refused("service_agreements: nothing to pay"):
        send(service, service.account, service_agreements.pay_fees, agreement=name, days=days)
    service.go_to(terms.starts_on + 2)
    send(
        service,
        service.account,
        service_agreements.claim_overdue,
        agreement=name,
        visit_class=HALF_MONTH,
        through_day=terms.starts_on + 2,
    )
    assert service.agreement(terms).claimed == 3 * terms.penalty
    seen = service.visit(mechanics=(STRANGER,), ended_at_s=visit.ended_at_s, salt=bytes(16))
    service.record(terms, seen, signers=(STRANGER,), level=2)
    send(service, service.account, service_agreements.pay_fees, agreement=name, days=days)
    send(service, service.account, service_agreements.count_claim, agreement=name, number=0)
    assert service.agreement(terms).claimed == terms.penalty  # the first day began before the visit


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_another_visit_of_the_day_takes_nothing_from_it(service: Service, order: tuple[int, int]) -> None:
    """A quarter's visit that nobody saw, beside a half-month's that was seen."""
    terms = service.start(firm=OTHER_FIRM, level=2, done_on=(0,) * 4)
    name, days = agreement_name(terms), [terms.starts_on]
    visits = (HALF_MONTH, 3), (VisitClass.QUARTER, 0)
    for visit_class, level in (visits[place] for place in order):
        visit = service.visit(visit_class, mechanics=(STRANGER,))
        service.record(terms, visit, signers=(STRANGER,), level=level)
    send(service, service.account, service_agreements.pay_fees, agreement=name, days=days)
    kept = service.kept(terms, terms.starts_on)
    assert kept is not None and kept.paid == fee(terms, HALF_MONTH, 3)
    service.go_to(terms.starts_on + 17)
    window = {"from_day": terms.starts_on, "through_day": terms.starts_on + 17}
    call = service_agreements.overdue_days(service.address, agreement=name, visit_class=HALF_MONTH, **window)
    expected = overdue_days(terms, [DoneDay(terms.starts_on, HALF_MONTH)], HALF_MONTH, **window)
    assert service_agreements.parse_overdue_days(service.chain.view(call)) == expected == 3


# --- The end ---


def test_an_earlier_end_needs_both_parties_and_the_same_day(service: Service) -> None:
    terms, manager = service.terms_now, service.site.manager
    day = terms.starts_on + 20
    for wrong in (terms.starts_on - 1, terms.ends_on):
        with refused("service_agreements: day is not from today to the end"):
            send(service, manager, service_agreements.end, day=wrong)
    with refused("service_agreements: only the manager may do this"):
        send(service, service.site.stranger, service_agreements.end, day=day)
    send(service, manager, service_agreements.end, day=day)
    send(service, manager, service_agreements.end, day=day)
    send(service, service.account, service_agreements.end, day=day + 1)
    assert service.agreement(terms).ends_on == terms.ends_on
    send(service, manager, service_agreements.end, day=day + 1)
    kept = service.agreement(terms)
    assert (kept.ends_on, kept.fees, kept.starts_on) == (day + 1, terms.fees, terms.starts_on)
    following = service.terms(starts_on=day + 2, ends_on=day + 100, done_on=(0,) * 4, firm=FIRM)
    service.chain.send(manager, service_agreements.propose(service.address, terms=following))
    service.chain.send(service.account, service.agree_call(following))


def test_an_earlier_end_leaves_the_days_of_a_later_agreement_alone(service: Service) -> None:
    terms, site = service.terms_now, service.site
    later = service.terms(starts_on=terms.ends_on + 1, ends_on=terms.ends_on + 100)
    service.chain.send(site.manager, service_agreements.propose(service.address, terms=later))
    service.chain.send(service.account, service.agree_call(later))
    for party in (site.manager, service.account):
        send(service, party, service_agreements.end, day=terms.starts_on + 10)
    third = service.terms(starts_on=later.starts_on + 1, ends_on=later.ends_on)
    service.chain.send(site.manager, service_agreements.propose(service.address, terms=third))
    with refused("service_agreements: agreement overlaps the last one"):
        service.chain.send(service.account, service.agree_call(third))


def test_ninety_days_after_the_end_deposit_and_budget_go_back(service: Service) -> None:
    terms, anyone = service.terms_now, service.site.stranger
    service.go_to(terms.starts_on + 20)
    send(service, anyone, service_agreements.claim_overdue, visit_class=HALF_MONTH, through_day=terms.starts_on + 20)
    for party in (service.site.manager, service.account):
        send(service, party, service_agreements.end, day=terms.starts_on + 20)
    service.go_to(terms.starts_on + 20 + AFTERMATH_DAYS)
    with refused("service_agreements: 90 days after the end are not over"):
        send(service, anyone, service_agreements.close)
    service.go_to(terms.starts_on + 21 + AFTERMATH_DAYS)
    with refused("service_agreements: a claim is open"):
        send(service, anyone, service_agreements.close)
    service.live(terms.starts_on + 21)
    send(service, anyone, service_agreements.count_claim, number=0)
    firm, payer = service.site.balance(service.account), service.site.balance(service.payer)
    send(service, anyone, service_agreements.close)
    assert service.site.balance(service.account) == firm + DEPOSIT - 40_000
    assert service.site.balance(service.payer) == payer + BUDGET + 40_000
    assert held(service) == 0
    send(service, anyone, service_agreements.close)  # nothing is left to give


def test_a_token_that_says_no_is_believed(service: Service) -> None:
    service.chain.rpc("anvil_setCode", service.site.token, "0x600060005260206000f3")
    with refused("tokens: token refused the transfer"):
        send(service, service.site.stranger, service_agreements.add_budget, amount=1)


def test_only_what_arrived_is_booked(service: Service) -> None:
    """A token may keep a part, or say yes and move nothing, as one does that answers 1 to everything."""
    service.chain.rpc("anvil_setCode", service.site.token, "0x600160005260206000f3")
    for add in (service_agreements.add_budget, service_agreements.add_deposit):
        with refused("tokens: another amount arrived"):
            send(service, service.site.stranger, add, amount=1)


def test_local_time_is_less_than_a_day_from_utc_either_way(service: Service) -> None:
    for offset in (DAY, -DAY):
        with refused("service_agreements: offset is a day or more"):
            service.deploy(utc_offset_seconds=offset)
    for offset in (1 - DAY, DAY - 1):
        service.deploy(utc_offset_seconds=offset)


def test_numbers_beyond_their_lanes_are_refused(service: Service) -> None:
    with refused("service_agreements: a number is out of range"):
        send(service, service.site.stranger, service_agreements.add_budget, amount=2**96)
    with pytest.raises(AbiError, match="does not fit"):
        visit = service.visit()
        index = service.log(visit)
        service.chain.wait(120)
        service.site.accept(service.site.log)
        service.call(replace(service.terms_now, firm=2**24), visit, index, signers=(MECHANIC,))


def test_a_line_of_terms_is_named_by_device_plan_and_firm(service: Service) -> None:
    terms: Terms = service.terms_now
    assert service.agreement(terms).line != service.agreement(replace(terms, firm=OTHER_FIRM)).line
