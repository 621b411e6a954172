"""UsageFees as a state machine beside a Python model: money is conserved, and only signers move what is theirs."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from contracts.calls import challenges, usage_fees
from contracts.person import Purpose
from tests.contracts.vyper.chain import Reverted
from tests.contracts.vyper.conftest import undone
from tests.contracts.vyper.month import PADDING, Month, close_month
from tests.contracts.vyper.site import BOND_FLOOR, CLOSING, DEPOSIT, PERIOD, WINDOW, Site
from tests.contracts.vyper.test_fee_accounts import CASHIER_KEY, appoint_cashier

UNITS = st.integers(0, 2)
AMOUNTS = st.integers(0, 60_000)
# A little more than half, so that no sum of waits ends near an edge, where the next block's second would decide.
HALF = WINDOW // 2 + 3600


class Model:
    """What UsageFees should hold after each successful call."""

    def __init__(self, month: Month) -> None:
        self.month = month
        self.balance = [month.account(index).balance for index in range(3)]
        self.cap = [month.account(index).cap for index in range(3)]
        self.bond, self.collected = 2 * BOND_FLOOR, 0
        self.paid = [False] * 3
        self.due = [bill.amounts.total for bill in month.bills]
        self.lines: dict[tuple[int, int], str] = {}
        self.opened_at: dict[tuple[int, int], int] = {}

    @property
    def held(self) -> int:
        open_lines = sum(state == "open" for state in self.lines.values())
        return sum(self.balance) + self.bond + self.collected + open_lines * DEPOSIT

    def is_challenged(self, unit: int) -> bool:
        return any(state == "open" for (owner, _), state in self.lines.items() if owner == unit)

    def owner_wins(self, unit: int, line: int, reduction: int) -> None:
        self.lines[unit, line] = "settled"
        self.balance[unit] += DEPOSIT
        self.from_bond(unit, DEPOSIT)
        self.due[unit] -= reduction
        if self.paid[unit]:
            self.from_bond(unit, reduction)

    def operator_wins(self, unit: int, line: int) -> None:
        self.lines[unit, line] = "settled"
        self.collected += DEPOSIT

    def from_bond(self, unit: int, amount: int) -> None:
        credited = min(amount, self.bond)
        self.bond -= credited
        self.balance[unit] += credited


class Fees(RuleBasedStateMachine):
    """Calls in any order; each is predicted, and its refusal too."""

    site: Site
    succeeded: Counter[str]

    def __init__(self) -> None:
        super().__init__()
        self._undone = undone(self.site)
        self._undone.__enter__()
        self.month = close_month(self.site)
        self.model = Model(self.month)
        self.nonce = 100
        self.closed_at = self.site.chain.now()

    def teardown(self) -> None:
        self._undone.__exit__(None, None, None)

    @contextmanager
    def expected(self, what: str, succeeds: bool) -> Iterator[None]:
        """The call must succeed exactly if the model says so."""
        try:
            yield
        except Reverted:
            assert not succeeds, f"{what} was refused"
            return
        assert succeeds, f"{what} succeeded"
        self.succeeded[what] += 1

    @property
    def is_window_open(self) -> bool:
        """Whether the next block still lies in the challenge window."""
        return self.site.chain.now() <= self.closed_at + WINDOW

    @rule(unit=UNITS, amount=AMOUNTS)
    def top_up(self, unit: int, amount: int) -> None:
        call = usage_fees.top_up(self.site.usage_fees, unit_index=unit, amount=amount)
        with self.expected("top_up", True):
            self.site.chain.send(self.site.stranger, call)
        self.model.balance[unit] += amount

    @rule(unit=UNITS, amount=AMOUNTS, signer=UNITS)
    def withdraw(self, unit: int, amount: int, signer: int) -> None:
        self.nonce += 1
        signature = self.site.sign(signer, Purpose.WITHDRAW, unit, amount, self.site.stranger, nonce=self.nonce)
        succeeds = signer == unit and amount <= self.model.balance[unit]
        call = usage_fees.withdraw(
            self.site.usage_fees, amount=amount, recipient=self.site.stranger, signature=signature
        )
        with self.expected("withdraw", succeeds):
            self.site.chain.send(self.site.relayer, call)
        if succeeds:
            self.model.balance[unit] -= amount

    @rule(unit=UNITS, to=UNITS, amount=AMOUNTS, signer=UNITS)
    def move(self, unit: int, to: int, amount: int, signer: int) -> None:
        self.nonce += 1
        signature = self.site.sign(signer, Purpose.MOVE, unit, to, amount, nonce=self.nonce)
        succeeds = signer == unit and amount <= self.model.balance[unit]
        call = usage_fees.move(self.site.usage_fees, to_index=to, amount=amount, signature=signature)
        with self.expected("move", succeeds):
            self.site.chain.send(self.site.relayer, call)
        if succeeds:
            self.model.balance[unit] -= amount
            self.model.balance[to] += amount

    @rule(unit=UNITS, amount=AMOUNTS, by=st.sampled_from(["operator", "manager"]))
    def credit(self, unit: int, amount: int, by: str) -> None:
        self.nonce += 1
        succeeds = by == "operator" and 0 < amount <= self.model.collected
        note = self.nonce.to_bytes(32)
        call = usage_fees.credit(self.site.usage_fees, unit_index=unit, amount=amount, note=note)
        with self.expected("credit", succeeds):
            self.site.chain.send(getattr(self.site, by), call)
        if succeeds:
            self.model.collected -= amount
            self.model.balance[unit] += amount

    @rule(unit=UNITS, more=st.sampled_from([-1, 0, 500]))
    def present_receipt(self, unit: int, more: int) -> None:
        """A cashier took the money at the counter; what was too much comes back from the bond."""
        due, digest = self.model.due[unit], bytes(32)
        amount = max(0, due + more)
        signature = self.site.sign(0, Purpose.RECEIPT, PERIOD, unit, amount, digest, key=CASHIER_KEY)
        succeeds = not self.model.paid[unit] and not self.model.is_challenged(unit) and amount >= due
        call = usage_fees.present_receipt(
            self.site.usage_fees,
            period=PERIOD,
            unit_index=unit,
            bill=self.month.bills[unit],
            path=self.month.path(unit),
            amount=amount,
            receipt=digest,
            signature=signature,
        )
        with self.expected("present_receipt", succeeds):
            self.site.chain.send(self.site.relayer, call)
        if succeeds:
            self.model.paid[unit] = True
            self.model.from_bond(unit, amount - due)

    @precondition(lambda self: any(self.model.paid))
    @rule(data=st.data())
    def move_out(self, data: st.DataObject) -> None:
        unit = data.draw(st.sampled_from([unit for unit in range(3) if self.model.paid[unit]]))
        self.nonce += 1
        signature = self.site.sign(unit, Purpose.LEAVE, unit, CLOSING, bytes(32), self.site.stranger, nonce=self.nonce)
        leave = usage_fees.leave(
            self.site.usage_fees,
            date=CLOSING,
            reading=bytes(32),
            recipient=self.site.stranger,
            signature=signature,
        )
        self.site.chain.send(self.site.relayer, leave)
        with self.expected("move_out", True):
            self.site.chain.send(
                self.site.relayer, usage_fees.close_account(self.site.usage_fees, unit_index=unit, period=PERIOD)
            )
        self.model.balance[unit] = self.model.cap[unit] = 0

    @rule(unit=UNITS, cap=st.sampled_from([0, 10_000, 200_000]))
    def set_mandate(self, unit: int, cap: int) -> None:
        self.nonce += 1
        signature = self.site.sign(unit, Purpose.MANDATE, unit, cap, nonce=self.nonce)
        with self.expected("set_mandate", True):
            call = usage_fees.set_mandate(self.site.usage_fees, cap=cap, signature=signature)
            self.site.chain.send(self.site.relayer, call)
        self.model.cap[unit] = cap

    @rule(unit=UNITS, line=st.integers(0, 1))
    def a_challenge(self, unit: int, line: int) -> None:
        self.open_challenge(unit, line)

    def open_challenge(self, unit: int, line: int) -> None:
        succeeds = self.is_window_open and (unit, line) not in self.model.lines and self.model.balance[unit] >= DEPOSIT
        with self.expected("open_challenge", succeeds):
            self.month.open(unit, line)
        if succeeds:
            self.model.lines[unit, line] = "open"
            self.model.balance[unit] -= DEPOSIT
            self.model.opened_at[unit, line] = self.site.chain.now()

    @precondition(lambda self: "open" in self.model.lines.values())
    @rule(data=st.data())
    def answer(self, data: st.DataObject) -> None:
        waiting = sorted(place for place, state in self.model.lines.items() if state == "open")
        unit, line = data.draw(st.sampled_from(waiting))
        succeeds = self.site.chain.now() <= self.model.opened_at[unit, line] + WINDOW
        with self.expected("answer", succeeds):
            self.month.answer(unit, line)
        if succeeds and (unit, line) == (0, 0):
            self.model.owner_wins(unit, line, PADDING)
        elif succeeds:
            self.model.operator_wins(unit, line)

    @precondition(lambda self: "open" in self.model.lines.values())
    @rule(data=st.data())
    def reverse(self, data: st.DataObject) -> None:
        waiting = sorted(place for place, state in self.model.lines.items() if state == "open")
        unit, line = data.draw(st.sampled_from(waiting))
        succeeds = self.site.chain.now() > self.model.opened_at[unit, line] + WINDOW
        call = challenges.reverse(self.site.challenges, period=PERIOD, unit_index=unit, number=line)
        with self.expected("reverse", succeeds):
            self.site.chain.send(self.site.stranger, call)
        if succeeds:
            self.model.owner_wins(unit, line, self.month.bills[unit].lines[line].amount)

    @rule(unit=UNITS)
    def pay(self, unit: int) -> None:
        succeeds = not self.model.paid[unit] and not self.model.is_challenged(unit)
        call = usage_fees.pay(
            self.site.usage_fees,
            period=PERIOD,
            unit_index=unit,
            bill=self.month.bills[unit],
            path=self.month.path(unit),
        )
        with self.expected("pay", succeeds):
            self.site.chain.send(self.site.stranger, call)
        if succeeds:
            self.model.paid[unit] = True
            self.model.collected += self.model.due[unit]

    @rule()
    def debit(self) -> None:
        succeeds = not self.is_window_open
        with self.expected("debit", succeeds):
            self.month.debit()
        if not succeeds:
            return
        model = self.model
        for unit in range(3):
            due = model.due[unit]
            covered = due <= model.balance[unit] and due <= model.cap[unit]
            if not model.paid[unit] and not model.is_challenged(unit) and covered:
                model.paid[unit] = True
                model.balance[unit] -= due
                model.collected += due

    @rule(amount=AMOUNTS, by=st.sampled_from(["operator", "manager", "relayer"]))
    def collect(self, amount: int, by: str) -> None:
        succeeds = by == "operator" and amount <= self.model.collected
        call = usage_fees.collect(self.site.usage_fees, amount=amount, recipient=self.site.operator)
        with self.expected("collect", succeeds):
            self.site.chain.send(getattr(self.site, by), call)
        if succeeds:
            self.model.collected -= amount

    @rule(seconds=st.sampled_from([HALF, WINDOW + 3600, WINDOW + 3600]))
    def wait(self, seconds: int) -> None:
        self.site.chain.wait(seconds)

    @precondition(lambda self: self.is_window_open and not self.model.lines)
    @rule(data=st.data())
    def several_owners_challenge(self, data: st.DataObject) -> None:
        places = [(unit, line) for unit in range(3) for line in range(2)]
        for unit, line in sorted(data.draw(st.sets(st.sampled_from(places), min_size=1))):
            self.open_challenge(unit, line)

    @invariant()
    def every_fen_is_where_the_model_has_it(self) -> None:
        model, site = self.model, self.site
        assert site.balance(site.usage_fees) == model.held
        assert [self.month.account(index).balance for index in range(3)] == model.balance
        funds = usage_fees.parse_funds(site.chain.view(usage_fees.funds(site.usage_fees)))
        collected = usage_fees.parse_collected(site.chain.view(usage_fees.collected(site.usage_fees)))
        assert (funds.bond, collected) == (model.bond, model.collected)
        for unit in range(3):
            status = self.month.status(unit)
            assert status.is_paid == model.paid[unit]
            assert self.month.bills[unit].amounts.total - status.reduction == model.due[unit]


@pytest.mark.slow
def test_money_is_conserved_over_every_path(enrolled: Site) -> None:
    with undone(enrolled):
        appoint_cashier(enrolled)
        conserve(enrolled)


def conserve(enrolled: Site) -> None:
    Fees.site, Fees.succeeded = enrolled, Counter()
    run_state_machine_as_test(
        Fees,
        settings=settings(
            max_examples=40,
            stateful_step_count=30,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    # One that only reverts proves nothing.
    signed = ("withdraw", "move", "set_mandate", "open_challenge", "present_receipt", "move_out")
    for what in (*signed, "top_up", "answer", "reverse", "pay", "debit", "collect", "credit"):
        assert Fees.succeeded[what] >= 3, Fees.succeeded
