"""UsageFees as a state machine beside a Python model: money is conserved, only signers move what is theirs, and bills
come to their pool.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random

import pytest

from contracts.bill import Amounts, BillTree
from contracts.calls import challenges, token, usage_fees
from contracts.person import Purpose
from tests.contracts.vyper.chain import Reverted
from tests.contracts.vyper.conftest import undone
from tests.contracts.vyper.month import PADDING, Month, close_month, month_bills
from tests.contracts.vyper.site import BOND_FLOOR, CLOSING, COMMON, DEPOSIT, PERIOD, WINDOW, Site, cost
from tests.contracts.vyper.test_fee_accounts import CASHIER_KEY, appoint_cashier

RUNS, STEPS = 40, 30
# A little more than half, so that no sum of waits ends near an edge, where the next block's second would decide.
HALF = WINDOW // 2 + 3600


# What the operator adds to the units' shares: nothing, or a fen, or much.
SHARED_PADDINGS = ((0, 0, 0), (1, 1, 1), (0, 700, 1))


class Model:
    """What UsageFees should hold after each successful call."""

    def __init__(self, month: Month, over: dict[tuple[int, int], int]) -> None:
        self.month = month
        self.balance = [month.account(index).balance for index in range(3)]
        self.cap = [month.account(index).cap for index in range(3)]
        self.bond, self.collected = 2 * BOND_FLOOR, 0
        self.paid = [False] * 3
        self.due = [bill.amounts.total for bill in month.bills]
        self.over = over  # what a line asks for beyond what is right
        self.struck: set[tuple[int, int]] = set()  # lines that nobody answered for
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


class Fees:
    """Calls in any order; each is predicted, and its refusal too."""

    def __init__(self, site: Site, succeeded: Counter[str], rng: Random) -> None:
        self.site, self.succeeded, self.rng = site, succeeded, rng
        self.pool_used = rng.randrange(200_000)
        self.paddings = rng.choice(SHARED_PADDINGS)
        self.month = self._close()
        self.model = Model(self.month, self._over())
        self.nonce = 100
        self.closed_at = self.site.chain.now()

    def _close(self) -> Month:
        return close_month(self.site, pool_used=self.pool_used, shared_padding=self.paddings, size=200)

    def _over(self) -> dict[tuple[int, int], int]:
        return {(0, 0): PADDING} | {(unit, 1): padding for unit, padding in enumerate(self.paddings)}

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

    def top_up(self, unit: int, amount: int) -> None:
        call = usage_fees.top_up(self.site.usage_fees, unit_index=unit, amount=amount)
        with self.expected("top_up", True):
            self.site.chain.send(self.site.stranger, call)
        self.model.balance[unit] += amount

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

    def present_receipt(self, unit: int, more: int) -> None:
        """A cashier took the money at the counter; what is too much by now, up to the bill as posted, is the bond's."""
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
            self.model.from_bond(unit, max(due, min(amount, self.month.bills[unit].amounts.total)) - due)

    def move_out(self) -> None:
        unit = self.rng.choice([unit for unit in range(3) if self.model.paid[unit]])
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

    def set_mandate(self, unit: int, cap: int) -> None:
        self.nonce += 1
        signature = self.site.sign(unit, Purpose.MANDATE, unit, cap, nonce=self.nonce)
        with self.expected("set_mandate", True):
            call = usage_fees.set_mandate(self.site.usage_fees, cap=cap, signature=signature)
            self.site.chain.send(self.site.relayer, call)
        self.model.cap[unit] = cap

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

    def answer(self) -> None:
        waiting = sorted(place for place, state in self.model.lines.items() if state == "open")
        unit, line = self.rng.choice(waiting)
        succeeds = self.site.chain.now() <= self.model.opened_at[unit, line] + WINDOW
        with self.expected("answer", succeeds):
            self.month.answer(unit, line)
        over = self.model.over.get((unit, line), 0)
        if succeeds and over:
            self.model.owner_wins(unit, line, over)
            self.model.over[unit, line] = 0
            self.succeeded["share corrected"] += line
        elif succeeds:
            self.model.operator_wins(unit, line)

    def answer_all(self) -> None:
        while "open" in self.model.lines.values() and not self.is_silent:
            self.answer()

    @property
    def is_silent(self) -> bool:
        """Whether it is too late to answer some challenge."""
        opened = [self.model.opened_at[place] for place, state in self.model.lines.items() if state == "open"]
        return self.site.chain.now() > min(opened) + WINDOW

    def reverse(self) -> None:
        waiting = sorted(place for place, state in self.model.lines.items() if state == "open")
        unit, line = self.rng.choice(waiting)
        succeeds = self.site.chain.now() > self.model.opened_at[unit, line] + WINDOW
        call = challenges.reverse(self.site.challenges, period=PERIOD, unit_index=unit, number=line)
        with self.expected("reverse", succeeds):
            self.site.chain.send(self.site.stranger, call)
        if succeeds:
            self.model.owner_wins(unit, line, self.month.bills[unit].lines[line].amount)
            self.model.struck.add((unit, line))

    def nobody_answers(self) -> None:
        """Silence, as a step of its own: by single steps in any order it would be rare."""
        self.wait(WINDOW + 3600)
        self.reverse()

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

    def collect(self, amount: int, by: str) -> None:
        succeeds = by == "operator" and amount <= self.model.collected
        call = usage_fees.collect(self.site.usage_fees, amount=amount, recipient=self.site.operator)
        with self.expected("collect", succeeds):
            self.site.chain.send(getattr(self.site, by), call)
        if succeeds:
            self.model.collected -= amount

    def wait(self, seconds: int) -> None:
        self.site.chain.wait(seconds)

    def several_owners_challenge(self) -> None:
        places = [(unit, line) for unit in range(3) for line in range(2)]
        for unit, line in sorted(self.rng.sample(places, self.rng.randint(1, len(places)))):
            self.open_challenge(unit, line)

    def supersede(self, by: str) -> None:
        """The operator corrects the shares of the whole period in public, as long as nobody has acted on a bill."""
        before, self.paddings = self.paddings, self.rng.choice(SHARED_PADDINGS)
        bills = month_bills(self.site, pool_used=self.pool_used, shared_padding=self.paddings)
        tree = BillTree.of_bills(bills)
        untouched = not self.model.lines and not any(self.model.paid) and self.is_window_open
        succeeds = by == "operator" and untouched and before != self.paddings
        call = usage_fees.supersede(
            self.site.usage_fees, period=PERIOD, root=tree.root.hash, sums=tree.root.sums, document=b"\1" * 32
        )
        with self.expected("supersede", succeeds):
            self.site.chain.send(getattr(self.site, by), call)
        if not succeeds:
            self.paddings = before
            return
        self.month.bills, self.month.tree = bills, tree
        self.model.due = [bill.amounts.total for bill in bills]
        self.model.over = self._over()
        self.closed_at = self.site.chain.now()

    def every_fen_is_where_the_model_has_it(self) -> None:
        model, fees = self.model, self.site.usage_fees
        accounts = [usage_fees.account(fees, unit_index=unit) for unit in range(3)]
        statuses = [usage_fees.status(fees, period=PERIOD, unit_index=unit) for unit in range(3)]
        others = [token.balance_of(self.site.token, account=fees), usage_fees.funds(fees), usage_fees.collected(fees)]
        found = self.site.chain.views([*others, *accounts, *statuses])
        assert token.parse_balance_of(found[0]) == model.held
        assert usage_fees.parse_funds(found[1]).bond == model.bond
        assert usage_fees.parse_collected(found[2]) == model.collected
        assert [usage_fees.parse_account(account).balance for account in found[3:6]] == model.balance
        for unit, status in enumerate(map(usage_fees.parse_status, found[6:])):
            assert status.is_paid == model.paid[unit]
            assert self.month.bills[unit].amounts.total - status.reduction == model.due[unit]

    def bills_come_to_the_pool(self) -> None:
        """All shares as they stand on chain are the pool, but for what nobody has challenged yet or answered for."""
        model, bills = self.model, self.month.bills
        asked = [challenges.challenge(self.site.challenges, period=PERIOD, unit_index=at, number=1) for at in range(3)]
        period, *states = self.site.chain.views([usage_fees.period(self.site.usage_fees, period=PERIOD), *asked])
        posted = Amounts.from_word(usage_fees.parse_period(period).sums)
        assert posted.total == sum(bill.amounts.total for bill in bills)
        assert posted.shared == sum(bill.lines[1].amount for bill in bills)
        pool = cost(COMMON, used=self.pool_used)
        assert posted.shared == pool + sum(self.paddings)
        stand = [
            billed.lines[1].amount if found.state == 0 else found.charge
            for billed, found in zip(bills, map(challenges.parse_challenge, states), strict=True)
        ]
        struck = sum(bills[unit].lines[1].amount for unit, line in model.struck if line == 1)
        over = sum(more for (_unit, line), more in model.over.items() if line == 1)
        assert sum(stand) + struck - over == pool, f"shares stand at {stand} fen, the pool at {pool}"

    def begin(self) -> str:
        """The first days: corrected in public, or disputed and answered. By single steps both would be rare."""
        if self.rng.random() < 0.5:
            self.supersede("operator")
            return "supersede"
        self.several_owners_challenge()
        self.answer_all()
        return "several_owners_challenge, answer_all"

    def step(self) -> str:
        """One act, drawn among those that can be tried now."""
        rng, model = self.rng, self.model
        unit, other, amount = rng.randrange(3), rng.randrange(3), rng.choice((0, 1, rng.randint(0, 60_000)))
        signer = rng.choice((unit, unit, unit, other))
        is_open = "open" in model.lines.values()
        acts: dict[str, Callable[[], None]] = {
            "top_up": lambda: self.top_up(unit, amount),
            "withdraw": lambda: self.withdraw(unit, amount, signer),
            "move": lambda: self.move(unit, other, amount, signer),
            "set_mandate": lambda: self.set_mandate(unit, rng.choice((0, 10_000, 200_000))),
            "pay": lambda: self.pay(unit),
            "present_receipt": lambda: self.present_receipt(unit, rng.choice((-1, 0, 500))),
            "debit": self.debit,
            "collect": lambda: self.collect(amount, rng.choice(("operator", "operator", "manager", "relayer"))),
            "credit": lambda: self.credit(unit, amount, rng.choice(("operator", "operator", "manager"))),
            "wait": lambda: self.wait(rng.choice((HALF, WINDOW + 3600))),
        }
        if self.is_window_open:
            acts["a_challenge"] = lambda: self.a_challenge(unit, rng.randrange(2))
            by = rng.choice(("operator", "operator", "manager"))
            acts["supersede"] = lambda: self.supersede(by)
        if self.is_window_open and not model.lines:
            acts["several_owners_challenge"] = self.several_owners_challenge
        if is_open:
            acts |= {"answer": self.answer, "reverse": self.reverse, "nobody_answers": self.nobody_answers}
        if is_open and not self.is_silent:
            acts["answer_all"] = self.answer_all
        if any(model.paid) and rng.random() < 0.3:
            acts["move_out"] = self.move_out
        act = rng.choice(sorted(acts))
        acts[act]()
        return act


@pytest.mark.slow
def test_money_is_conserved_over_every_path(enrolled: Site) -> None:
    succeeded: Counter[str] = Counter()
    with undone(enrolled):
        appoint_cashier(enrolled)
        for seed in range(RUNS):
            run(enrolled, succeeded, seed)
    # One that only reverts proves nothing.
    signed = ("withdraw", "move", "set_mandate", "open_challenge", "present_receipt", "move_out")
    on_bills = ("answer", "reverse", "supersede", "pay", "debit", "collect", "credit")
    for what in (*signed, *on_bills, "top_up", "share corrected"):
        assert succeeded[what] >= 10, succeeded


def run(enrolled: Site, succeeded: Counter[str], seed: int) -> None:
    """One life of the contracts; what went before stands beside a failure."""
    done: list[str] = []
    with undone(enrolled):
        fees = Fees(enrolled, succeeded, Random(seed))
        try:
            for number in range(STEPS):
                done.append(fees.step() if number else fees.begin())
                fees.every_fen_is_where_the_model_has_it()
                fees.bills_come_to_the_pool()
        except AssertionError as error:
            raise AssertionError(f"seed {seed}, after {done}: {error}") from error
