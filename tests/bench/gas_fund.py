"""Gas of the owners' fund and of a repair, each as whole transactions."""

from __future__ import annotations

from contracts.calls import reserve_fund
from tests.bench.figure import Figure
from tests.contracts.vyper.fund_site import FundSite
from tests.contracts.vyper.site import name
from tests.contracts.vyper.work_site import FAULT, NORMAL, PRICE, WorkSite

LOG_SIZE = 1_000


def fund_figures(site: FundSite) -> dict[str, Figure]:
    """A deposit, income, a budget and a payment from it, the second of each where the first opens storage."""
    deposits = [site.deposit(1, (0,), (amount,)).gas_used for amount in (500_000, 100)]
    income = reserve_fund.record_income(
        site.fund, purse=1, source="parking", gross=10_000, cost=1_000, document=name("receipts")
    )
    incomes = [site.send(site.manager, income).gas_used for _ in range(2)]
    budget = site.budget(50_000)
    number = site.resolve(5, 1, site.payload_of(budget))
    opened = site.send(site.stranger, reserve_fund.open_budget(site.fund, resolution=number, budget=budget)).gas_used
    order = site.order(10_000, budget=number)
    proposed, approved = 0, 0
    for _ in range(2):
        receipt = site.send(site.manager, reserve_fund.propose(site.fund, order=order))
        proposed = receipt.gas_used
        waiting = reserve_fund.parse_order_count(site.chain.view(reserve_fund.order_count(site.fund)))
        approved = site.approve(waiting, order).gas_used
    return {
        "gas.fund_deposit": Figure(value=deposits[1], unit="gas", note=f"a unit's first: {deposits[0]:,}"),
        "gas.fund_income": Figure(value=incomes[1], unit="gas", note=f"a purse's first: {incomes[0]:,}"),
        "gas.fund_budget": Figure(value=opened, unit="gas", note="a passed resolution opens a budget"),
        "gas.fund_payment": Figure(
            value=proposed + approved, unit="gas", note=f"proposed {proposed:,}, approved and paid {approved:,}"
        ),
    }


def work_figures(site: WorkSite) -> dict[str, Figure]:
    """A repair reported by an owner and paid from escrow; and a lift's fault, from a log of a thousand entries."""
    order = site.report()
    steps = {"reported": site.steps[-1]}
    steps["accepted"] = site.accept_paid(order, PRICE).gas_used
    arrived = site.arrive(order).gas_used
    steps["done"] = site.finish(order).gas_used
    steps["confirmed and paid"] = site.confirm(order).gas_used
    while site.log.tree.size < LOG_SIZE - 1:
        site.mode(NORMAL)
    site.report_by_machine(FAULT)
    spread = ", ".join(f"{step} {gas:,}" for step, gas in steps.items())
    return {
        "gas.work_order": Figure(value=sum(steps.values()), unit="gas", note=f"software keys; {spread}"),
        "gas.work_arrival": Figure(value=arrived, unit="gas", note="the first who came, a software key"),
        "gas.work_fault": Figure(value=site.steps[-1], unit="gas", note=f"proven in a log of {LOG_SIZE:,} entries"),
    }


def all_figures(site: WorkSite) -> dict[str, Figure]:
    """Both; the fund first, for a repair's escrow may come from it."""
    return fund_figures(site.fund_site) | work_figures(site)
