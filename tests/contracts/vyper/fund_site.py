"""A small site with a fund: five units in two buildings, a manager, a committee, and resolutions as tests want them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from contracts.abi import Call
from contracts.calls import reserve_fund, token
from contracts.calls import reserve_fund_events as events
from contracts.calls.roll_changes import NewUnit
from contracts.fund import (
    Budget,
    Household,
    Ledger,
    Order,
    Pot,
    Terms,
    budget_payload,
    move_payload,
    payload_digest,
    raise_payload,
    ratify_payload,
    replayed,
)
from tests.contracts.vyper.chain import Chain, Receipt
from tests.contracts.vyper.harness import Harness
from tests.contracts.vyper.site import name
from tests.contracts.vyper.small_site import FUND_TERMS, SmallSite

CHAIN_ID = 31337
AREAS = (8930, 12050, 7777, 10001, 6000)
BUILDINGS = (0, 0, 1, 1, 1)
UNITS = tuple(name(f"flat {index}") for index in range(7))
FUND_MATTER, RAISE_MATTER, INCOME_MATTER = 5, 6, 8
PASSED = 4
FOREVER = 2**63
JULY_2027 = 1_814_371_200  # 2027-07-01T00:00 in Asia/Shanghai
TERMS = FUND_TERMS
CAP, RATIFY_WITHIN, PUBLIC_DELAY = TERMS.emergency_cap, TERMS.ratify_within, TERMS.public_delay


class Votes(Harness):
    """What resolutions came to, as tests write it."""

    def tell(self, number: int, *outcome: Any) -> None:
        call = self._functions["set_outcome"].call(self._address, number, outcome)
        self._chain.send(self._chain.accounts[0], call)


class FundSite(SmallSite):
    """The deployed contracts, the parties, and shorthand for what they do."""

    def __init__(self, chain: Chain) -> None:
        accounts = chain.accounts
        self.firm, self.relayer, self.stranger = accounts[3:6]
        self.votes = Votes(chain, contract="OutcomeStandIn")
        super().__init__(chain, manager=accounts[1], committee=accounts[2], assembly=self.votes.address)
        self.fund = self.reserve_fund
        self.enact(
            *self.units_calls(
                [
                    NewUnit(alias=alias, area_centi_m2=area, head=index, building=building)
                    for index, (alias, area, building) in enumerate(zip(UNITS, AREAS, BUILDINGS, strict=False))
                ]
            )
        )
        self.logs = [*chain.send(self.stranger, reserve_fund.enter(self.fund, count=5)).logs]
        for account in (self.manager, self.stranger):
            chain.send(self.deployer, token.mint(self.token, recipient=account, amount=10_000_000))
            chain.send(account, token.approve(self.token, spender=self.fund, amount=2**200))
        self.resolutions = 0

    def deploy(self, terms: Terms) -> str:
        return self.chain.deploy(self.deployer, self.fund_creation(terms))

    def add_unit(self, index: int, area: int, building: int) -> None:
        """The roll grows."""
        unit = NewUnit(alias=UNITS[index], area_centi_m2=area, head=index, building=building)
        self.enact(*self.units_calls([unit]))

    def send(self, sender: str, call: Call) -> Receipt:
        """Mine a transaction and keep what the fund says."""
        receipt = self.chain.send(sender, call)
        self.logs += [log for log in receipt.logs if log.address.lower() == self.fund.lower()]
        return receipt

    # --- Resolutions ---

    def resolve(self, matter: int, purse: int, payload: bytes, *, state: int = PASSED, age: int = PUBLIC_DELAY) -> int:
        """A resolution as the Assembly tells it; returns its number."""
        self.resolutions += 1
        decided_at = self.chain.now() - age
        self.votes.tell(self.resolutions, state, matter, payload_digest(payload), decided_at, purse)
        return self.resolutions

    def budget(self, amount: int, *, purse: int = 1, pot: Pot = Pot.FUND, **changes: Any) -> Budget:
        fields: dict[str, Any] = {
            "payee": self.firm,
            "is_drawn": False,
            "until": FOREVER,
            "document": name(f"roof {self.resolutions}"),
        }
        return Budget(purse=purse, pot=pot, amount=amount, **(fields | changes))

    def open(self, budget: Budget) -> int:
        """Owners resolve a budget and somebody opens it."""
        matter = FUND_MATTER if budget.pot is Pot.FUND else INCOME_MATTER
        number = self.resolve(matter, budget.purse, self.payload_of(budget))
        self.send(self.stranger, reserve_fund.open_budget(self.fund, resolution=number, budget=budget))
        return number

    def payload_of(self, budget: Budget) -> bytes:
        return budget_payload(chain_id=CHAIN_ID, fund=self.fund, budget=budget)

    def raised(self, purse: int, rate: int, due_at: int, document: bytes) -> bytes:
        return raise_payload(
            chain_id=CHAIN_ID, fund=self.fund, purse=purse, rate=rate, due_at=due_at, document=document
        )

    def moved(self, purse: int, amount: int, document: bytes) -> bytes:
        return move_payload(chain_id=CHAIN_ID, fund=self.fund, purse=purse, amount=amount, document=document)

    def ratified(self, purse: int, number: int, amount: int) -> bytes:
        return ratify_payload(chain_id=CHAIN_ID, fund=self.fund, purse=purse, number=number, amount=amount)

    # --- Money ---

    def deposit(self, purse: int, indexes: Sequence[int], amounts: Sequence[int]) -> Receipt:
        call = reserve_fund.deposit(self.fund, purse=purse, indexes=indexes, amounts=amounts)
        return self.send(self.stranger, call)

    def order(self, amount: int, *, budget: int = 0, purse: int = 1, **changes: Any) -> Order:
        fields: dict[str, Any] = {
            "payee": self.firm,
            "invoice": name("invoice"),
            "evidence": name("works"),
            "until": FOREVER,
        }
        return Order(budget=budget, purse=purse, amount=amount, **(fields | changes))

    def propose(self, order: Order, by: str | None = None) -> int:
        receipt = self.send(by or self.manager, reserve_fund.propose(self.fund, order=order))
        proposed = events.parse_event(receipt.logs[0].topics, receipt.logs[0].data)
        assert isinstance(proposed, events.OrderProposed)
        return proposed.number

    def approve(self, number: int, order: Order, by: str | None = None) -> Receipt:
        return self.send(by or self.committee, reserve_fund.approve(self.fund, number=number, order=order))

    def pay(self, order: Order) -> int:
        """Both parties pay; returns the order's number."""
        number = self.propose(order)
        self.approve(number, order)
        return number

    # --- What stands ---

    def held(self, account: str) -> int:
        return token.parse_balance_of(self.chain.view(token.balance_of(self.token, account=account)))

    def purse(self, purse: int) -> reserve_fund.Purse:
        return reserve_fund.parse_purse(self.chain.view(reserve_fund.purse(self.fund, purse=purse)))

    def household(self, purse: int, index: int) -> Household:
        call = reserve_fund.household(self.fund, purse=purse, index=index)
        return reserve_fund.parse_household(self.chain.view(call))

    def unratified(self, purse: int) -> reserve_fund.Unratified:
        return reserve_fund.parse_unratified(self.chain.view(reserve_fund.unratified(self.fund, purse=purse)))

    def accounted(self) -> int:
        return reserve_fund.parse_accounted(self.chain.view(reserve_fund.accounted(self.fund)))

    def ledger(self) -> Ledger:
        """What the fund's events so far give."""
        told = [events.parse_event(log.topics, log.data) for log in self.logs]
        return replayed(TERMS.share_bp, [event for event in told if event is not None])


@contextmanager
def funded(chain: Chain) -> Iterator[FundSite]:
    """The site with money in both buildings' purses; undone at the end."""
    snapshot = chain.snapshot()
    site = FundSite(chain)
    site.deposit(1, (0, 1), (500_000, 700_000))
    site.deposit(2, (2, 3, 4), (400_000, 500_000, 300_000))
    yield site
    chain.revert_to(snapshot)


@contextmanager
def kept(site: FundSite) -> Iterator[FundSite]:
    """The site, put back afterwards."""
    snapshot, logs, resolutions = site.chain.snapshot(), [*site.logs], site.resolutions
    yield site
    site.logs, site.resolutions = logs, resolutions
    site.chain.revert_to(snapshot)
