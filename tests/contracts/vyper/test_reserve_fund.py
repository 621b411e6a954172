"""ReserveFund: each way in, each way out, and every refusal beside its success."""

from dataclasses import replace
from typing import Any

import pytest

from contracts.calls import reserve_fund, token
from contracts.fund import Pot
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.fund_site import (
    FUND_MATTER,
    INCOME_MATTER,
    PUBLIC_DELAY,
    RAISE_MATTER,
    TERMS,
    FundSite,
)
from tests.contracts.vyper.site import name

# --- Deployment ---


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"share_bp": 5000}, "reserve_fund: fund's share is not more than half"),
        ({"cost_bp": 10_000}, "reserve_fund: a ratio is out of range"),
        ({"emergency_cap": 2**96}, "reserve_fund: emergency cap is out of range"),
        ({"since": 20260230}, "calendar: no such date"),
        ({"since": 20260731}, "reserve_fund: disclosures begin after the 28th"),
        ({"months": (6, 0, 12)}, "reserve_fund: a disclosure's period is 1 to 12 months"),
    ],
)
def test_terms_that_the_law_or_the_calendar_refuses_are_refused(
    fund: FundSite, changes: dict[str, Any], reason: str
) -> None:
    with refused(reason):
        fund.deploy(replace(TERMS, **changes))
    fund.deploy(TERMS)


def test_the_fund_says_its_terms_and_the_contracts_it_trusts(fund: FundSite) -> None:
    view = fund.chain.view
    assert reserve_fund.parse_terms(view(reserve_fund.terms(fund.fund))) == TERMS
    parts = reserve_fund.parse_parts(view(reserve_fund.parts(fund.fund)))
    assert parts.token.lower() == fund.token.lower() and parts.roll.lower() == fund.roll


# --- Households ---


def test_units_get_their_places_in_the_rolls_order(fund: FundSite) -> None:
    place = reserve_fund.parse_place(fund.chain.view(reserve_fund.place(fund.fund, index=4)))
    assert (place.area, place.before, place.building_purse, place.before_in_building) == (6000, 38758, 2, 17778)
    assert fund.ledger().places[4] == place
    with refused("reserve_fund: roll has no more units"):
        fund.send(fund.stranger, reserve_fund.enter(fund.fund, count=1))
    with refused("reserve_fund: at most 64 units at once"):
        fund.send(fund.stranger, reserve_fund.enter(fund.fund, count=65))
    assert reserve_fund.parse_entered(fund.chain.view(reserve_fund.entered(fund.fund))) == 5


def test_a_deposit_is_the_units_own_and_reaches_its_buildings_purse(fund: FundSite) -> None:
    assert fund.household(1, 1).balance == 700_000 and fund.purse(1).fund == 1_200_000
    fund.deposit(0, (2,), (77,))
    assert fund.household(0, 2).balance == 77 and fund.purse(0).fund == 77
    with refused("reserve_fund: unit is in another building"):
        fund.deposit(1, (2,), (1,))
    with refused("reserve_fund: unit is not entered"):
        fund.deposit(1, (5,), (1,))
    for indexes, amounts in (((0, 1), (1,)), ((), ())):
        with refused("reserve_fund: one amount for each unit"):
            fund.deposit(1, indexes, amounts)
    with refused("reserve_fund: amount is out of range"):
        fund.deposit(1, (0,), (2**96,))


def test_interest_is_shared_by_area_to_the_fen(fund: FundSite) -> None:
    fund.send(fund.stranger, reserve_fund.credit(fund.fund, purse=1, amount=1001, document=name("interest")))
    shares = [fund.household(1, index).credited for index in range(5)]
    assert shares == [1001 * 8930 // 20980, 1001 - 1001 * 8930 // 20980, 0, 0, 0]
    with refused("reserve_fund: there is no such purse"):
        fund.send(fund.stranger, reserve_fund.credit(fund.fund, purse=3, amount=1, document=name("interest")))
    with refused("reserve_fund: amount is out of range"):
        fund.send(fund.stranger, reserve_fund.credit(fund.fund, purse=1, amount=2**96, document=name("interest")))


def test_who_joins_the_roll_later_has_no_part_in_what_was_before(fund: FundSite) -> None:
    fund.send(fund.stranger, reserve_fund.credit(fund.fund, purse=2, amount=999, document=name("interest")))
    fund.add_unit(5, 12_345, 1)
    credit = reserve_fund.credit(fund.fund, purse=2, amount=1_000, document=name("interest"))
    with refused("reserve_fund: units of the roll are not entered"):
        fund.send(fund.stranger, credit)
    fund.send(fund.stranger, reserve_fund.enter(fund.fund, count=1))
    fund.send(fund.stranger, credit)
    assert fund.household(2, 5).credited == 1000 - 1000 * 23778 // 36123
    assert sum(fund.household(2, index).balance for index in range(6)) == fund.purse(2).fund == 1_201_999
    view = fund.chain.view
    assert reserve_fund.parse_epoch_count(view(reserve_fund.epoch_count(fund.fund, purse=2))) == 2
    first = reserve_fund.parse_epoch(view(reserve_fund.epoch(fund.fund, purse=2, number=0)))
    assert (first.area, first.credited) == (23_778, 999) and fund.ledger().purses[2].epochs[0] == first
    assert reserve_fund.parse_areas(view(reserve_fund.areas(fund.fund, purse=2))) == 36_123
    later = reserve_fund.household(fund.fund, purse=2, index=2, first_epoch=1)
    assert reserve_fund.parse_household(view(later)).credited == 1000 * 7777 // 36123


# --- Income ---


def income(fund: FundSite, gross: int, cost: int = 0, purse: int = 0) -> Any:
    return reserve_fund.record_income(
        fund.fund, purse=purse, source="advertising", gross=gross, cost=cost, document=name("contract")
    )


def test_most_of_net_income_goes_to_the_fund_and_the_rest_waits_for_owners(fund: FundSite) -> None:
    before = fund.held(fund.manager)
    fund.send(fund.manager, income(fund, 10_001, 3_000))
    assert fund.held(fund.manager) == before - 7_001
    assert (fund.purse(0).fund, fund.purse(0).income) == (4_901, 2_100)
    assert sum(fund.household(0, index).credited for index in range(5)) == 4_901


def test_costs_are_the_managers_word_and_capped(fund: FundSite) -> None:
    with refused("reserve_fund: cost is above its cap"):
        fund.send(fund.manager, income(fund, 10_000, 3_001))
    with refused("reserve_fund: only the manager keeps a cost"):
        fund.send(fund.stranger, income(fund, 10_000, 1))
    with refused("reserve_fund: amount is out of range"):
        fund.send(fund.stranger, income(fund, 2**97))
    fund.send(fund.stranger, income(fund, 10_000))


def test_income_moves_into_the_fund_by_resolution_alone(fund: FundSite) -> None:
    fund.send(fund.stranger, income(fund, 10_000, purse=1))
    payload = fund.moved(1, 3_000, name("minutes"))
    call = reserve_fund.move_income(fund.fund, resolution=1, purse=1, amount=3_000, document=name("minutes"))
    with refused("reserve_fund: resolution has not passed"):
        fund.send(fund.manager, call)
    assert fund.resolve(INCOME_MATTER, 1, payload) == 1
    fund.send(fund.stranger, call)
    assert (fund.purse(1).fund, fund.purse(1).income) == (1_210_000, 0)
    with refused("reserve_fund: resolution is carried out"):
        fund.send(fund.stranger, call)
    fund.resolve(INCOME_MATTER, 1, fund.moved(1, 1, name("minutes")))
    with refused("reserve_fund: income is smaller"):
        fund.send(
            fund.stranger,
            reserve_fund.move_income(fund.fund, resolution=2, purse=1, amount=1, document=name("minutes")),
        )


def test_money_sent_without_a_call_goes_to_the_sites_fund(fund: FundSite) -> None:
    with refused("reserve_fund: there is no surplus"):
        fund.send(fund.stranger, reserve_fund.credit_surplus(fund.fund))
    fund.chain.send(fund.stranger, token.transfer(fund.token, recipient=fund.fund, amount=55))
    fund.send(fund.stranger, reserve_fund.credit_surplus(fund.fund))
    assert fund.purse(0).fund == 55 and fund.accounted() == fund.held(fund.fund)


def test_without_tokens_nothing_comes_in(fund: FundSite) -> None:
    with refused("token: allowance is too small"):
        fund.send(fund.relayer, reserve_fund.credit(fund.fund, purse=1, amount=5, document=name("interest")))


# --- Budgets ---


def test_a_budget_opens_only_as_owners_resolved_it(fund: FundSite) -> None:
    budget = fund.budget(40_000)
    payload = fund.payload_of(budget)

    def opened(number: int, asked: Any = budget) -> Any:
        return reserve_fund.open_budget(fund.fund, resolution=number, budget=asked)

    with refused("reserve_fund: resolution has not passed"):
        fund.send(fund.manager, opened(fund.resolve(FUND_MATTER, 1, payload, state=5)))
    with refused("reserve_fund: resolution is on another matter"):
        fund.send(fund.manager, opened(fund.resolve(RAISE_MATTER, 1, payload)))
    with refused("reserve_fund: resolution is another purse's"):
        fund.send(fund.manager, opened(fund.resolve(FUND_MATTER, 0, payload)))
    with refused("reserve_fund: public delay is not over"):
        fund.send(fund.manager, opened(fund.resolve(FUND_MATTER, 1, payload, age=PUBLIC_DELAY - 3600)))
    number = fund.resolve(FUND_MATTER, 1, payload)
    for changed in (
        replace(budget, amount=40_001),
        replace(budget, payee=fund.stranger),
        replace(budget, document=name("another roof")),
        replace(budget, is_drawn=True),
    ):
        with refused("reserve_fund: resolution says something else"):
            fund.send(fund.manager, opened(number, changed))
    fund.send(fund.stranger, opened(number))
    with refused("reserve_fund: resolution is carried out"):
        fund.send(fund.stranger, opened(number))
    same_words = fund.resolve(FUND_MATTER, 1, payload)
    with refused("reserve_fund: resolution is carried out"):
        fund.send(fund.stranger, opened(same_words))
    found = reserve_fund.parse_budget(fund.chain.view(reserve_fund.budget(fund.fund, resolution=number)))
    assert found.spent == 0 and not found.is_stopped
    assert replace(found.budget, payee=found.budget.payee.lower()) == replace(
        budget, payee=budget.payee.lower(), document=bytes(32)
    )


def test_a_budget_that_makes_no_sense_is_refused(fund: FundSite) -> None:
    for changes, reason in (
        ({"amount": 2**96}, "reserve_fund: budget is out of range"),
        ({"payee": "0x" + "00" * 20}, "reserve_fund: budget has no payee"),
        ({"payee": fund.fund}, "reserve_fund: budget has no payee"),
    ):
        budget = replace(fund.budget(10), **changes)  # type: ignore[arg-type]  # amount or payee by name
        number = fund.resolve(FUND_MATTER, 1, fund.payload_of(budget))
        with refused(reason):
            fund.send(fund.stranger, reserve_fund.open_budget(fund.fund, resolution=number, budget=budget))


def test_a_pot_that_is_neither_fund_nor_income_is_refused(fund: FundSite) -> None:
    call = reserve_fund.open_budget(fund.fund, resolution=1, budget=fund.budget(10))
    data = bytearray(call.data)
    data[4 + 32 + 32 + 31] = 2  # the budget's second word
    with refused("reserve_fund: no such pot"):
        fund.send(fund.stranger, replace(call, data=bytes(data)))


def test_manager_and_committee_pay_an_invoice_within_the_budget(fund: FundSite) -> None:
    number = fund.open(fund.budget(40_000))
    order = fund.order(25_000, budget=number)
    waiting = fund.propose(order)
    assert fund.held(fund.firm) == 0
    fund.approve(waiting, order)
    assert fund.held(fund.firm) == 25_000 and fund.purse(1).fund == 1_175_000
    spent = [fund.household(1, index).spent for index in range(2)]
    assert spent == [25_000 * 8930 // 20980, 25_000 - 25_000 * 8930 // 20980]
    second = fund.order(15_001, budget=number)
    with refused("reserve_fund: budget is smaller"):
        fund.pay(second)
    fund.pay(replace(second, amount=15_000))
    count = reserve_fund.parse_order_count(fund.chain.view(reserve_fund.order_count(fund.fund)))
    assert count == 3


def test_neither_party_pays_alone(fund: FundSite) -> None:
    order = fund.order(100, budget=fund.open(fund.budget(40_000)))
    for outsider in (fund.stranger, fund.relayer, fund.firm):
        with refused("reserve_fund: only manager or committee"):
            fund.propose(order, by=outsider)
    waiting = fund.propose(order)
    for alone in (fund.manager, fund.stranger):
        with refused(
            "reserve_fund: order is not what the other party proposed"
            if alone == fund.manager
            else "reserve_fund: only manager or committee"
        ):
            fund.approve(waiting, order, by=alone)
    with refused("reserve_fund: order is not what the other party proposed"):
        fund.approve(waiting, replace(order, amount=101))
    fund.approve(waiting, order)
    with refused("reserve_fund: no order waits under this number"):
        fund.approve(waiting, order)
    by_committee = fund.propose(order, by=fund.committee)
    fund.approve(by_committee, order, by=fund.manager)


def test_a_payment_needs_its_documents_and_is_not_kept_for_ever(fund: FundSite) -> None:
    number = fund.open(fund.budget(100_001))
    order = fund.order(100, budget=number, review=name("price review"))
    for missing in ({"invoice": bytes(32)}, {"evidence": bytes(32)}):
        with refused("reserve_fund: documents are missing"):
            fund.propose(replace(order, **missing))
    with refused("reserve_fund: price review is missing"):
        fund.pay(replace(order, review=bytes(32)))
    with refused("reserve_fund: order has expired"):
        fund.pay(replace(order, until=fund.chain.now() - 1))
    fund.pay(order)


def test_a_payment_goes_to_the_budgets_payee_from_the_budgets_purse(fund: FundSite) -> None:
    number = fund.open(fund.budget(40_000))
    with refused("reserve_fund: budget is for another payee"):
        fund.pay(fund.order(1, budget=number, payee=fund.manager))
    with refused("reserve_fund: budget is another purse's"):
        fund.pay(fund.order(1, budget=number, purse=2))
    with refused("reserve_fund: there is no such budget"):
        fund.pay(fund.order(1, budget=number + 1))
    fund.pay(fund.order(1, budget=number))


def test_a_budget_lapses_and_the_committee_may_stop_it(fund: FundSite) -> None:
    brief = fund.open(fund.budget(40_000, until=fund.chain.now() + 3600))
    fund.pay(fund.order(1, budget=brief))
    fund.chain.wait(3601)
    with refused("reserve_fund: budget has lapsed"):
        fund.pay(fund.order(1, budget=brief))
    number = fund.open(fund.budget(40_000))
    stop = reserve_fund.stop_budget(fund.fund, resolution=number)
    with refused("reserve_fund: only the committee may stop a budget"):
        fund.send(fund.manager, stop)
    fund.send(fund.committee, stop)
    with refused("reserve_fund: budget is stopped"):
        fund.pay(fund.order(1, budget=number))
    with refused("reserve_fund: budget is stopped"):
        fund.send(fund.committee, stop)
    with refused("reserve_fund: there is no such budget"):
        fund.send(fund.committee, reserve_fund.stop_budget(fund.fund, resolution=99))


def test_a_budget_does_not_make_money(fund: FundSite) -> None:
    number = fund.open(fund.budget(1_200_001))
    review: dict[str, Any] = {"review": name("price review")}
    with refused("reserve_fund: fund is smaller"):
        fund.pay(fund.order(1_200_001, budget=number, **review))
    fund.pay(fund.order(1_200_000, budget=number, **review))
    assert fund.purse(1).fund == 0
    balances = [fund.household(1, index).balance for index in range(2)]
    assert sum(balances) == 0 and min(balances) < 0, "who paid less than by area owes the difference"


def test_income_is_spent_by_a_resolution_on_business_with_common_parts(fund: FundSite) -> None:
    fund.send(fund.stranger, income(fund, 10_000, purse=1))
    number = fund.open(fund.budget(3_001, pot=Pot.INCOME))
    with refused("reserve_fund: income is smaller"):
        fund.pay(fund.order(3_001, budget=number))
    fund.pay(fund.order(3_000, budget=number))
    assert (fund.purse(1).fund, fund.purse(1).income) == (1_207_000, 0)


def test_a_contract_draws_from_its_budget_and_puts_back(fund: FundSite) -> None:
    drawn = fund.open(fund.budget(40_000, is_drawn=True))
    paid = fund.open(fund.budget(40_000))
    with refused("reserve_fund: only the named contract draws"):
        fund.send(fund.firm, reserve_fund.draw(fund.fund, resolution=paid, amount=1))
    with refused("reserve_fund: only the named contract draws"):
        fund.send(fund.manager, reserve_fund.draw(fund.fund, resolution=drawn, amount=1))
    with refused("reserve_fund: budget is drawn by its payee"):
        fund.pay(fund.order(1, budget=drawn))
    fund.send(fund.firm, reserve_fund.draw(fund.fund, resolution=drawn, amount=900))
    assert fund.purse(1).fund == 1_199_100
    fund.chain.send(fund.firm, token.approve(fund.token, spender=fund.fund, amount=2**200))
    with refused("reserve_fund: only the payee puts back"):
        fund.send(fund.stranger, reserve_fund.put_back(fund.fund, resolution=drawn, amount=1))
    with refused("reserve_fund: budget has spent less"):
        fund.send(fund.firm, reserve_fund.put_back(fund.fund, resolution=drawn, amount=901))
    fund.send(fund.firm, reserve_fund.put_back(fund.fund, resolution=drawn, amount=400))
    assert fund.purse(1).fund == 1_199_500 and fund.held(fund.firm) == 500
    found = reserve_fund.parse_budget(fund.chain.view(reserve_fund.budget(fund.fund, resolution=drawn)))
    assert found.spent == 500 and found.budget.is_drawn


# --- Silence of a token, and the events ---


def test_a_token_that_says_no_is_believed(fund: FundSite) -> None:
    """A token may answer false in place of reverting; a contract that does nothing but answer so stands in for one."""
    fund.chain.rpc("anvil_setCode", fund.token, "0x600060005260206000f3")
    with refused("tokens: token refused the transfer"):
        fund.send(fund.stranger, reserve_fund.credit(fund.fund, purse=1, amount=5, document=name("interest")))


def test_the_fund_books_what_arrived(fund: FundSite) -> None:
    """A token may say yes and move nothing, as one does that answers 1 to everything."""
    fund.chain.rpc("anvil_setCode", fund.token, "0x600160005260206000f3")
    with refused("tokens: another amount arrived"):
        fund.send(fund.stranger, reserve_fund.credit(fund.fund, purse=1, amount=5, document=name("interest")))


def test_the_events_alone_rebuild_the_ledger(fund: FundSite) -> None:
    fund.send(fund.manager, income(fund, 9_999, 1_111, purse=2))
    fund.pay(fund.order(20_000, budget=fund.open(fund.budget(40_000))))
    emergency = fund.pay(fund.order(300, purse=2))
    fund.send(fund.stranger, reserve_fund.repay(fund.fund, number=emergency))
    fund.pay(fund.order(77, purse=2))
    ledger = fund.ledger()
    assert ledger.total == fund.accounted() == fund.held(fund.fund)
    for purse in (0, 1, 2):
        assert (ledger.purse(purse).fund, ledger.purse(purse).income) == (
            fund.purse(purse).fund,
            fund.purse(purse).income,
        )
        for index in range(5):
            assert ledger.household(purse, index) == fund.household(purse, index)
    assert list(ledger.emergencies.values()) == [(2, 77)]
