"""The fund's arithmetic, and what of fund and repairs may travel as a file."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.abi import Call
from contracts.act_file import ActError, act_of_call, format_act, parse_act
from contracts.calls import reserve_fund, work_orders
from contracts.calls import reserve_fund_events as events
from contracts.fund import Budget, FundError, Ledger, Pot, fund_share_of_income, span_share
from contracts.vyper.compile import artifact

FUND = "0x" + "fd" * 20
AREAS = st.lists(st.integers(1, 50_000), min_size=1, max_size=30)
MONEY = st.integers(0, 10**12)


@given(areas=AREAS, pool=MONEY)
def test_shares_add_up_to_the_pool_and_each_is_within_a_fen_of_its_due(areas: list[int], pool: int) -> None:
    total, before, shares = sum(areas), 0, []
    for area in areas:
        shares.append(span_share(pool, before, area, total))
        assert abs(shares[-1] * total - pool * area) < total
        before += area
    assert sum(shares) == pool


@given(areas=AREAS, pool=MONEY, area=st.integers(1, 50_000))
def test_who_comes_after_an_epoch_has_nothing_of_it(areas: list[int], pool: int, area: int) -> None:
    assert span_share(pool, sum(areas), area, sum(areas)) == 0


@given(net=MONEY, share_bp=st.integers(5_001, 10_000))
def test_the_fund_gets_at_least_its_share_and_never_more_than_all(net: int, share_bp: int) -> None:
    to_fund = fund_share_of_income(net, share_bp)
    assert net * share_bp <= to_fund * 10_000 and to_fund <= net and 2 * to_fund >= net


def test_events_out_of_turn_or_beyond_the_books_are_refused() -> None:
    ledger = Ledger(7_000)
    with pytest.raises(FundError, match="events are missing"):
        ledger.apply(events.Entered(1, 1, 8_930))
    ledger.apply(events.Entered(0, 1, 8_930))
    ledger.deposit(1, (0,), (100,))
    with pytest.raises(FundError, match="more than its fund"):
        ledger.spend_in_emergency(1, 1, 101)
    with pytest.raises(FundError, match="more than its income"):
        ledger.move_income(1, 1)
    with pytest.raises(FundError, match="are not the fund's share"):
        ledger.apply(events.IncomeRecorded(1, bytes(32), 100, 0, 69, bytes(32), FUND))


def budget() -> Budget:
    return Budget(
        purse=1, pot=Pot.FUND, amount=5, payee="0x" + "ab" * 20, is_drawn=False, until=9, document=bytes(range(32))
    )


@pytest.mark.parametrize(
    ("contract", "function", "call"),
    [
        ("ReserveFund", "open_budget", reserve_fund.open_budget(FUND, resolution=3, budget=budget())),
        ("ReserveFund", "ratify", reserve_fund.ratify(FUND, resolution=3, number=7)),
        ("WorkOrders", "escalate", work_orders.escalate(FUND, order=bytes(range(32)))),
    ],
)
def test_what_a_resolution_or_the_clock_proves_travels_as_a_file(contract: str, function: str, call: Call) -> None:
    abi: Any = artifact(contract).abi
    act = act_of_call(call, chain_id=31337, contract=contract, function=function, abi=abi)
    assert parse_act(format_act(act, abi), lambda name: artifact(name).abi) == act


def test_what_spends_its_submitters_money_does_not() -> None:
    call = reserve_fund.credit(FUND, purse=1, amount=5, document=bytes(32))
    with pytest.raises(ActError):
        act_of_call(call, chain_id=1, contract="ReserveFund", function="credit", abi=artifact("ReserveFund").abi)
