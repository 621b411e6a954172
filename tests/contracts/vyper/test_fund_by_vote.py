"""The fund and the assembly together: money moves as owners really voted, from convening to payment."""

from dataclasses import replace

import pytest

from contracts.abi import Call
from contracts.calls import reserve_fund, token
from contracts.calls.assembly import State
from contracts.fund import (
    Budget,
    Order,
    Pot,
    budget_payload,
    payload_digest,
    raise_payload,
    ratify_payload,
)
from contracts.quorum import Choice
from tests.contracts.vyper.assembly_site import OF_HEAD, SHARES, Hall, Vote, proposal
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.fund_site import CHAIN_ID, FOREVER, PUBLIC_DELAY
from tests.contracts.vyper.site import name
from tests.contracts.vyper.small_site import SmallSite

FOR, AGAINST = Choice.IN_FAVOUR, Choice.AGAINST
EVERYBODY = tuple(range(9))
OF_BUILDING_1 = (0, 3, 4, 5, 7, 8)  # heads that own something there


class Together(SmallSite):
    """A fund over the roll and the assembly of a hall."""

    def __init__(self, hall: Hall) -> None:
        super().__init__(
            hall.chain,
            manager=hall.manager,
            committee=hall.committee,
            roll=hall.roll_contract,
            assembly=hall.assembly,
        )
        self.hall, self.fund, self.firm = hall, self.reserve_fund, hall.chain.accounts[5]
        self.send(reserve_fund.enter(self.fund, count=len(SHARES)))
        self.chain.send(self.deployer, token.mint(self.token, recipient=hall.stranger, amount=10_000_000))
        self.send(token.approve(self.token, spender=self.fund, amount=2**200))
        self.send(reserve_fund.deposit(self.fund, purse=2, indexes=(2, 5), amounts=(400_000, 600_000)))

    def send(self, call: Call, by: str | None = None) -> None:
        self.chain.send(by or self.hall.stranger, call)

    def voted(self, payload: bytes, matter: int, heads: tuple[int, ...], against: tuple[int, ...] = ()) -> Vote:
        """Building 1's owners vote on these words and count."""
        put = proposal(matter=matter, building=2, payload=payload_digest(payload))
        vote = self.hall.convene(put).open()
        said = dict.fromkeys(heads, FOR) | dict.fromkeys(against, AGAINST)
        vote.cast(*(vote.sign(OF_HEAD[head], choice) for head, choice in said.items()))
        vote.end()
        vote.count()
        return vote

    def budget(self) -> Budget:
        return Budget(
            purse=2,
            pot=Pot.FUND,
            amount=90_000,
            payee=self.firm,
            is_drawn=False,
            until=FOREVER,
            document=name("new pump"),
        )

    def paid(self, order: Order, number: int) -> None:
        self.send(reserve_fund.propose(self.fund, order=order), self.hall.manager)
        self.send(reserve_fund.approve(self.fund, number=number, order=order), self.hall.committee)

    def order(self, budget: int, amount: int) -> Order:
        return Order(
            budget=budget,
            purse=2,
            amount=amount,
            payee=self.firm,
            invoice=name("invoice"),
            evidence=name("works"),
            until=FOREVER,
        )

    def held_by_firm(self) -> int:
        return token.parse_balance_of(self.chain.view(token.balance_of(self.token, account=self.firm)))


@pytest.fixture
def together(hall: Hall) -> Together:
    return Together(hall)


def test_a_building_votes_a_budget_waits_and_pays(together: Together) -> None:
    budget = together.budget()
    vote = together.voted(
        budget_payload(chain_id=CHAIN_ID, fund=together.fund, budget=budget), 5, OF_BUILDING_1[:-1], OF_BUILDING_1[-1:]
    )
    assert vote.outcome().state is State.PASSED
    opened = reserve_fund.open_budget(together.fund, resolution=vote.number, budget=budget)
    with refused("reserve_fund: public delay is not over"):
        together.send(opened)
    together.chain.wait(PUBLIC_DELAY)
    with refused("reserve_fund: resolution says something else"):
        dearer = replace(budget, amount=90_001)
        together.send(reserve_fund.open_budget(together.fund, resolution=vote.number, budget=dearer))
    together.send(opened)
    together.paid(together.order(vote.number, 90_000), 1)
    assert together.held_by_firm() == 90_000


def test_what_owners_voted_down_moves_nothing(together: Together) -> None:
    budget = together.budget()
    vote = together.voted(
        budget_payload(chain_id=CHAIN_ID, fund=together.fund, budget=budget), 5, OF_BUILDING_1[:2], OF_BUILDING_1[2:]
    )
    assert vote.outcome().state is State.FAILED
    together.chain.wait(PUBLIC_DELAY)
    with refused("reserve_fund: resolution has not passed"):
        together.send(reserve_fund.open_budget(together.fund, resolution=vote.number, budget=budget))


def test_raising_needs_three_quarters_where_using_needs_more_than_half(together: Together) -> None:
    words = raise_payload(
        chain_id=CHAIN_ID, fund=together.fund, purse=2, rate=900, due_at=FOREVER, document=name("plan")
    )
    call = {"purse": 2, "rate": 900, "due_at": FOREVER, "document": name("plan")}
    short = together.voted(words, 6, OF_BUILDING_1[:4], OF_BUILDING_1[4:])
    together.chain.wait(PUBLIC_DELAY)
    with refused("reserve_fund: resolution has not passed"):
        together.send(reserve_fund.raise_fund(together.fund, resolution=short.number, **call))
    enough = together.voted(words, 6, OF_BUILDING_1)
    together.chain.wait(PUBLIC_DELAY)
    together.send(reserve_fund.raise_fund(together.fund, resolution=enough.number, **call))
    rate = reserve_fund.parse_called_rates(together.chain.view(reserve_fund.called_rates(together.fund, purse=2)))
    assert rate == 900


def test_owners_ratify_what_was_spent_in_an_emergency(together: Together) -> None:
    together.paid(together.order(0, 30_000), 1)
    words = ratify_payload(chain_id=CHAIN_ID, fund=together.fund, purse=2, number=1, amount=30_000)
    vote = together.voted(words, 5, OF_BUILDING_1)
    together.chain.wait(PUBLIC_DELAY)
    together.send(reserve_fund.ratify(together.fund, resolution=vote.number, number=1))
    left = reserve_fund.parse_unratified(together.chain.view(reserve_fund.unratified(together.fund, purse=2)))
    assert left.numbers == ()
