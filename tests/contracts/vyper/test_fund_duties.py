"""ReserveFund: spending in an emergency, what must be said in public, and every refusal beside its success."""

from dataclasses import replace
from typing import Any

from contracts.calls import reserve_fund
from contracts.calls import reserve_fund_events as events
from contracts.fund import Report, payload_digest
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.fund_site import (
    CAP,
    FOREVER,
    FUND_MATTER,
    JULY_2027,
    RAISE_MATTER,
    RATIFY_WITHIN,
    FundSite,
)
from tests.contracts.vyper.site import DAY, name

# --- Emergencies ---


def ratified(fund: FundSite, number: int, amount: int, *, said: int | None = None) -> Any:
    resolution = fund.resolve(FUND_MATTER, 1, fund.ratified(1, number, said or amount))
    return reserve_fund.ratify(fund.fund, resolution=resolution, number=number)


def test_in_an_emergency_both_parties_spend_under_a_cap_and_owners_ratify(fund: FundSite) -> None:
    number = fund.pay(fund.order(30_000))
    assert fund.held(fund.firm) == 30_000
    found = fund.unratified(1)
    assert (found.numbers, found.total, found.is_late) == ((number,), 30_000, False)
    with refused("reserve_fund: emergency spending is above its cap"):
        fund.pay(fund.order(20_001))
    with refused("reserve_fund: resolution says something else"):
        fund.send(fund.stranger, ratified(fund, number, 30_000, said=29_999))
    fund.send(fund.stranger, ratified(fund, number, 30_000))
    assert fund.unratified(1).numbers == ()
    with refused("reserve_fund: no emergency spending waits under this number"):
        fund.send(fund.stranger, ratified(fund, number, 30_000))
    fund.pay(fund.order(CAP))


def test_what_owners_did_not_ratify_in_time_stops_further_emergencies(fund: FundSite) -> None:
    number = fund.pay(fund.order(100))
    spending = reserve_fund.parse_emergency(fund.chain.view(reserve_fund.emergency(fund.fund, number=number)))
    assert (spending.amount, spending.purse) == (100, 1) and spending.deadline == fund.chain.now() + RATIFY_WITHIN
    fund.chain.wait_until(spending.deadline)
    fund.chain.wait(1)
    assert fund.unratified(1).is_late
    with refused("reserve_fund: earlier emergency spending is not ratified"):
        fund.pay(fund.order(1))
    fund.pay(fund.order(1, purse=2))
    fund.send(fund.stranger, reserve_fund.repay(fund.fund, number=number))
    assert fund.purse(1).fund == 1_200_000
    fund.pay(fund.order(1))
    with refused("reserve_fund: no emergency spending waits under this number"):
        fund.send(fund.stranger, reserve_fund.repay(fund.fund, number=number))


def test_emergency_spending_is_bounded_in_number_too(fund: FundSite) -> None:
    numbers = [fund.pay(fund.order(1)) for _ in range(8)]
    with refused("reserve_fund: too much emergency spending stands open"):
        fund.pay(fund.order(1))
    fund.send(fund.stranger, ratified(fund, numbers[3], 1))
    assert fund.unratified(1).numbers == tuple(number for number in numbers if number != numbers[3])
    with refused("reserve_fund: nothing to pay"):
        fund.pay(fund.order(0))
    with refused("reserve_fund: fund is smaller"):
        fund.pay(fund.order(1, purse=0))


# --- What must be said ---


def test_raising_is_a_claim_that_owners_resolve(fund: FundSite) -> None:
    payload = fund.raised(1, 500, FOREVER, name("plan"))
    number = fund.resolve(RAISE_MATTER, 1, payload)
    call = reserve_fund.raise_fund(
        fund.fund, resolution=number, purse=1, rate=500, due_at=FOREVER, document=name("plan")
    )
    fund.send(fund.stranger, call)
    rate = reserve_fund.parse_called_rates(fund.chain.view(reserve_fund.called_rates(fund.fund, purse=1)))
    assert rate == fund.ledger().purses[1].called_rate == 500
    with refused("reserve_fund: resolution is carried out"):
        fund.send(fund.stranger, call)
    executed = reserve_fund.executed(fund.fund, payload_digest=payload_digest(payload))
    assert reserve_fund.parse_executed(fund.chain.view(executed))


def test_owners_are_told_when_a_fund_falls_below_its_share_of_the_first_amount(fund: FundSite) -> None:
    assert fund.purse(1).first_amount == 10_000 * 20_980 // 100
    notify = reserve_fund.notify_top_up(fund.fund, purse=1)
    with refused("reserve_fund: fund is large enough"):
        fund.send(fund.stranger, notify)
    number = fund.open(fund.budget(1_000_000))
    review: dict[str, Any] = {"review": name("price review")}
    fund.pay(fund.order(570_600, budget=number, **review))
    with refused("reserve_fund: fund is large enough"):
        fund.send(fund.stranger, notify)
    fund.pay(fund.order(1, budget=number, **review))
    fund.send(fund.stranger, notify)
    with refused("reserve_fund: owners were told"):
        fund.send(fund.stranger, notify)
    noticed_at = reserve_fund.parse_noticed_at(fund.chain.view(reserve_fund.noticed_at(fund.fund, purse=1)))
    fund.chain.wait_until(noticed_at + 30 * DAY)
    fund.send(fund.stranger, notify)


def test_reports_follow_the_calendar_and_anyone_flags_one_that_is_overdue(fund: FundSite) -> None:
    def due(kind: Report) -> reserve_fund.Due:
        return reserve_fund.parse_due(fund.chain.view(reserve_fund.due(fund.fund, kind=kind)))

    def disclosed(kind: Report) -> Any:
        return reserve_fund.disclose(fund.fund, kind=kind, document=name("report"))

    assert (due(Report.FUND).opening, due(Report.FUND).closing) == (20260701, 20270101)
    assert (due(Report.INCOME).closing, due(Report.RECONCILIATION).closing) == (20261001, 20270701)
    with refused("reserve_fund: period is not over"):
        fund.send(fund.manager, disclosed(Report.FUND))
    with refused("reserve_fund: report is not overdue"):
        fund.send(fund.stranger, reserve_fund.flag_overdue(fund.fund, kind=Report.FUND))
    fund.chain.wait_until(JULY_2027)
    assert due(Report.RECONCILIATION).due_at == JULY_2027 + 90 * DAY
    fund.send(fund.stranger, reserve_fund.flag_overdue(fund.fund, kind=Report.FUND))
    assert due(Report.FUND).is_flagged and not due(Report.INCOME).is_flagged
    with refused("reserve_fund: report is flagged"):
        fund.send(fund.stranger, reserve_fund.flag_overdue(fund.fund, kind=Report.FUND))
    with refused("reserve_fund: only manager or committee"):
        fund.send(fund.stranger, disclosed(Report.FUND))
    with refused("reserve_fund: report is missing"):
        fund.send(fund.manager, reserve_fund.disclose(fund.fund, kind=Report.FUND, document=bytes(32)))
    receipt = fund.send(fund.manager, disclosed(Report.FUND))
    told = events.parse_event(receipt.logs[0].topics, receipt.logs[0].data)
    assert isinstance(told, events.Disclosed) and told.accounted == told.held == 2_400_000
    assert (due(Report.FUND).opening, due(Report.FUND).closing) == (20270101, 20270701)
    assert not due(Report.FUND).is_flagged
    fund.send(fund.committee, disclosed(Report.RECONCILIATION))
    call = reserve_fund.flag_overdue(fund.fund, kind=Report.FUND)
    with refused("reserve_fund: no such report"):
        fund.send(fund.stranger, replace(call, data=call.data[:-1] + b"\x03"))
