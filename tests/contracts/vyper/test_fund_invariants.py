"""ReserveFund as a state machine beside the ledger of contracts/fund.py: conserved, and moved only by those who may."""

import os
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from contracts.calls import reserve_fund, token
from contracts.fund import BudgetBook, FundError, Ledger, Pot
from tests.contracts.vyper.chain import Chain
from tests.contracts.vyper.fund_site import (
    AREAS,
    CAP,
    FUND_MATTER,
    INCOME_MATTER,
    RATIFY_WITHIN,
    TERMS,
    UNITS,
    FundSite,
)
from tests.contracts.vyper.predicted import Predicted, require, run_paths
from tests.contracts.vyper.site import name

EXAMPLES = int(os.environ.get("MINGLOU_SEEDS", "12"))
PURSES = st.integers(0, 2)
AMOUNTS = st.integers(0, 30_000)
PARTS = st.integers(0, 6_000)
# No sum of waits ends near an edge, where the next block's second would decide.
WAIT = RATIFY_WITHIN // 2 + 3607
LATER = [(4_321, 0), (12_345, 1)]  # areas and buildings of units that join the roll


@dataclass
class Waiting:
    """Emergency spending that owners have not ratified."""

    purse: int
    amount: int
    deadline: int


# What may happen next, and from what its arguments are drawn. One rule draws among all of them, for hypothesis leaves
# out many rules of an example, and money must come in before it goes out.
ACTIONS: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "deposit": {"purse": PURSES, "index": st.integers(0, 4), "amount": AMOUNTS},
    "credit": {"purse": PURSES, "amount": AMOUNTS},
    "income": {
        "purse": PURSES,
        "gross": AMOUNTS,
        "cost": st.integers(0, 9_000),
        "by": st.sampled_from(["manager", "stranger"]),
    },
    "open_budget": {
        "purse": PURSES,
        "pot": st.sampled_from(Pot),
        "amount": AMOUNTS,
        "is_drawn": st.booleans(),
        "matter": st.sampled_from([5, 8]),
    },
    "pay": {"amount": PARTS, "approver": st.sampled_from(["committee", "committee", "manager", "relayer"])},
    "draw_or_put_back": {"amount": PARTS, "by": st.sampled_from(["firm", "firm", "manager"]), "back": st.booleans()},
    "stop": {"by": st.sampled_from(["committee", "manager"])},
    "move_income": {"purse": PURSES, "amount": PARTS},
    "emergency": {"purse": PURSES, "amount": st.integers(0, CAP // 2)},
    "settle_emergency": {"repaid": st.booleans()},
    "the_roll_grows": {},
    "wait": {},
}


class Fund(Predicted):
    """Calls in any order; each is predicted, and its refusal too."""

    site: FundSite

    def __init__(self) -> None:
        super().__init__()
        self.snapshot = self.site.chain.snapshot()
        self.logs, self.resolutions = [*self.site.logs], self.site.resolutions
        self.ledger = self.site.ledger()
        self.waiting: dict[int, Waiting] = {}
        self.proposed = 0
        self.documents = 0
        self.firm_has = 0

    def teardown(self) -> None:
        self.every_household_is_what_the_ledger_says()
        self.site.logs, self.site.resolutions = self.logs, self.resolutions
        self.site.chain.revert_to(self.snapshot)

    def document(self) -> bytes:
        self.documents += 1
        return name(f"document {self.documents}")

    @rule(data=st.data(), action=st.sampled_from(sorted(ACTIONS)))
    def something_happens(self, data: st.DataObject, action: str) -> None:
        if action == "settle_emergency" and not self.waiting:
            return
        if action == "the_roll_grows" and len(self.ledger.places) == len(UNITS):
            return
        arguments = {name: data.draw(strategy) for name, strategy in ACTIONS[action].items()}
        act = getattr(self, action)
        if "data" in act.__code__.co_varnames[: act.__code__.co_argcount]:
            arguments["data"] = data
        act(**arguments)

    # --- In ---

    def deposit(self, purse: int, index: int, amount: int) -> None:
        succeeds = purse in (0, self.ledger.places[index].building_purse)
        with self.expected("deposit", succeeds):
            self.site.deposit(purse, (index, index), (amount, 1))
        if succeeds:
            self.ledger.deposit(purse, (index, index), (amount, 1))

    def credit(self, purse: int, amount: int) -> None:
        with self.expected("credit", True):
            call = reserve_fund.credit(self.site.fund, purse=purse, amount=amount, document=name("interest"))
            self.site.send(self.site.stranger, call)
        self.ledger.credit(purse, amount)

    def income(self, purse: int, gross: int, cost: int, by: str) -> None:
        succeeds = cost * 10_000 <= gross * TERMS.cost_bp and (cost == 0 or by == "manager")
        call = reserve_fund.record_income(
            self.site.fund, purse=purse, source="parking", gross=gross, cost=cost, document=name("receipts")
        )
        with self.expected("income", succeeds):
            self.site.send(getattr(self.site, by), call)
        if succeeds:
            self.ledger.record_income(purse, gross - cost)

    # --- Out ---

    def open_budget(self, purse: int, pot: Pot, amount: int, is_drawn: bool, matter: int) -> None:
        succeeds = matter == (FUND_MATTER if pot is Pot.FUND else INCOME_MATTER)
        budget = self.site.budget(amount, purse=purse, pot=pot, is_drawn=is_drawn, document=self.document())
        number = self.site.resolve(matter, purse, self.site.payload_of(budget))
        with self.expected("open_budget", succeeds):
            call = reserve_fund.open_budget(self.site.fund, resolution=number, budget=budget)
            self.site.send(self.site.relayer, call)
        if succeeds:
            self.ledger.budgets[number] = BudgetBook(budget)

    def pay(self, data: st.DataObject, amount: int, approver: str) -> None:
        number = data.draw(st.sampled_from(sorted(self.ledger.budgets)))
        book = self.ledger.budgets[number]
        order = self.site.order(amount, budget=number, purse=book.budget.purse)
        self.proposed += 1
        assert self.site.propose(order) == self.proposed
        succeeds = approver == "committee" and not book.budget.is_drawn and self.has_left(number, amount)
        with self.expected("pay", succeeds):
            self.site.approve(self.proposed, order, by=getattr(self.site, approver))
        if succeeds:
            self.ledger.spend(number, amount)
            self.firm_has += amount

    def draw_or_put_back(self, data: st.DataObject, amount: int, by: str, back: bool) -> None:
        number = data.draw(st.sampled_from(self.spent_first() if back else self.drawn_first()))
        book = self.ledger.budgets[number]
        if back:
            amount = min(amount, book.spent + self.proposed % 2)  # up to all of it, or one fen too much
            succeeds = by == "firm" and amount <= book.spent
            with self.expected("put_back", succeeds):
                call = reserve_fund.put_back(self.site.fund, resolution=number, amount=amount)
                self.site.send(getattr(self.site, by), call)
            if succeeds:
                self.ledger.put_back(number, amount)
                self.firm_has -= amount
            return
        succeeds = by == "firm" and book.budget.is_drawn and self.has_left(number, amount)
        with self.expected("draw", succeeds):
            call = reserve_fund.draw(self.site.fund, resolution=number, amount=amount)
            self.site.send(getattr(self.site, by), call)
        if succeeds:
            self.ledger.spend(number, amount)
            self.firm_has += amount

    def stop(self, data: st.DataObject, by: str) -> None:
        number = data.draw(st.sampled_from(sorted(self.ledger.budgets)))
        succeeds = by == "committee" and not self.ledger.budgets[number].is_stopped
        with self.expected("stop", succeeds):
            call = reserve_fund.stop_budget(self.site.fund, resolution=number)
            self.site.send(getattr(self.site, by), call)
        if succeeds:
            self.ledger.budgets[number].is_stopped = True

    def move_income(self, purse: int, amount: int) -> None:
        succeeds = amount <= self.ledger.purse(purse).income
        document = self.document()
        number = self.site.resolve(INCOME_MATTER, purse, self.site.moved(purse, amount, document))
        with self.expected("move_income", succeeds):
            call = reserve_fund.move_income(
                self.site.fund, resolution=number, purse=purse, amount=amount, document=document
            )
            self.site.send(self.site.relayer, call)
        if succeeds:
            self.ledger.move_income(purse, amount)

    # --- Emergencies ---

    def emergency(self, purse: int, amount: int) -> None:
        now = self.site.chain.now()
        open_here = [waiting for waiting in self.waiting.values() if waiting.purse == purse]
        succeeds = (
            0 < amount <= min(self.ledger.purse(purse).fund, CAP - sum(waiting.amount for waiting in open_here))
            and len(open_here) < 8
            and all(now <= waiting.deadline for waiting in open_here)
        )
        order = self.site.order(amount, purse=purse)
        self.proposed += 1
        self.site.propose(order, by=self.site.committee)
        with self.expected("emergency", succeeds):
            self.site.approve(self.proposed, order, by=self.site.manager)
        if succeeds:
            self.ledger.spend_in_emergency(self.proposed, purse, amount)
            self.waiting[self.proposed] = Waiting(purse, amount, self.site.chain.now() + RATIFY_WITHIN)
            self.firm_has += amount

    def settle_emergency(self, data: st.DataObject, repaid: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.waiting)))
        waiting = self.waiting.pop(number)
        if repaid:
            with self.expected("repay", True):
                self.site.send(self.site.stranger, reserve_fund.repay(self.site.fund, number=number))
            self.ledger.repay(number)
            return
        payload = self.site.ratified(waiting.purse, number, waiting.amount)
        resolution = self.site.resolve(FUND_MATTER, waiting.purse, payload)
        with self.expected("ratify", True):
            call = reserve_fund.ratify(self.site.fund, resolution=resolution, number=number)
            self.site.send(self.site.relayer, call)
        del self.ledger.emergencies[number]

    # --- The world ---

    def the_roll_grows(self) -> None:
        index = len(self.ledger.places)
        area, building = LATER[index - len(AREAS)]
        self.site.add_unit(index, area, building)
        with self.expected("enter", True):
            self.site.send(self.site.stranger, reserve_fund.enter(self.site.fund, count=1))
        self.ledger.enter(area, building + 1)

    def wait(self) -> None:
        self.site.chain.wait(WAIT)

    # --- What holds ---

    def drawn_first(self) -> list[int]:
        """Budgets that can be drawn; all where there is none."""
        drawn = [number for number, book in self.ledger.budgets.items() if book.budget.is_drawn]
        return drawn or sorted(self.ledger.budgets)

    def spent_first(self) -> list[int]:
        """Budgets of which something was spent; all where there is none."""
        spent = [number for number, book in self.ledger.budgets.items() if book.spent]
        return spent or sorted(self.ledger.budgets)

    def has_left(self, number: int, amount: int) -> bool:
        book = self.ledger.budgets[number]
        purse = self.ledger.purse(book.budget.purse)
        held = purse.fund if book.budget.pot is Pot.FUND else purse.income
        return not book.is_stopped and amount <= min(held, book.budget.amount - book.spent)

    @invariant()
    def every_fen_is_where_the_ledger_has_it(self) -> None:
        assert self.site.held(self.site.fund) == self.site.accounted() == self.ledger.total
        assert self.site.held(self.site.firm) == self.firm_has
        for purse in range(3):
            found, book = self.site.purse(purse), self.ledger.purse(purse)
            assert (found.fund, found.income) == (book.fund, book.income)
            balances = [self.ledger.household(purse, index).balance for index in range(len(self.ledger.places))]
            assert sum(balances) == book.fund

    def every_household_is_what_the_ledger_says(self) -> None:
        for purse in range(3):
            for index in range(len(self.ledger.places)):
                assert self.site.household(purse, index) == self.ledger.household(purse, index)


def begun(site: FundSite) -> FundSite:
    """Money in every purse, and a budget of each sort."""
    site.chain.send(site.firm, token.approve(site.token, spender=site.fund, amount=2**200))
    site.deposit(0, (0, 3), (70_000, 30_000))
    site.deposit(1, (0, 1), (90_000, 10_001))
    site.deposit(2, (2, 4), (60_000, 40_007))
    for purse in range(3):
        call = reserve_fund.record_income(
            site.fund, purse=purse, source="parking", gross=50_000, cost=0, document=name("receipts")
        )
        site.send(site.stranger, call)
    site.open(site.budget(40_000, purse=1))
    site.open(site.budget(40_000, purse=2, is_drawn=True, document=name("small repairs")))
    site.open(site.budget(12_000, purse=0, pot=Pot.INCOME, document=name("festival")))
    return site


NEEDED = ("deposit", "credit", "income", "open_budget", "pay", "draw", "put_back", "stop", "move_income")
NEEDED += ("emergency", "repay", "ratify", "enter")


@pytest.mark.slow
@pytest.mark.timeout(3600)  # in soak, with many examples
def test_the_fund_is_conserved_over_every_path(chain: Chain) -> None:
    snapshot = chain.snapshot()
    Fund.site = begun(FundSite(chain))
    run_paths(Fund, examples=EXAMPLES, steps=40)
    chain.revert_to(snapshot)
    require(Fund, NEEDED, times=3)


def test_the_ledger_refuses_what_no_fund_can_say() -> None:
    ledger = Ledger(TERMS.share_bp)
    with pytest.raises(FundError, match="has no units"):
        ledger.credit(1, 5)
