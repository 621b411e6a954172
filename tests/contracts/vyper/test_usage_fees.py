"""UsageFees: periods, balances, debits and payment; nobody moves what is not theirs."""

from dataclasses import replace

import pytest

from contracts.abi import Call, encode_arguments
from contracts.bill import Bill
from contracts.calls import challenges, token, usage_fees
from contracts.calls.usage_fees_events import Debited, Paid, PeriodClosed, parse_event
from contracts.person import Purpose
from contracts.vyper.compile import artifact
from tests.contracts.vyper.chain import Receipt
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.harness import creation_code
from tests.contracts.vyper.month import PADDING, close_month, fund
from tests.contracts.vyper.site import (
    BOND_FLOOR,
    CLOSING_AT,
    DEPOSIT,
    PERIOD,
    PRECOMPILE,
    WINDOW,
    Site,
    key_of,
    name,
)


def events(receipt: Receipt) -> list[object]:
    return [event for log in receipt.logs if (event := parse_event(log.topics, log.data)) is not None]


def collected(site: Site) -> int:
    return usage_fees.parse_collected(site.chain.view(usage_fees.collected(site.usage_fees)))


def close_call(site: Site, *, period: int = PERIOD, unit_count: int = 3) -> Call:
    return usage_fees.close_period(site.usage_fees, period=period, root=name("root"), sums=0, unit_count=unit_count)


def test_a_period_closes_with_its_roots_sums_and_window(site: Site) -> None:
    month = close_month(site)
    closed = events(month.receipt)[0]
    assert isinstance(closed, PeriodClosed)
    call = usage_fees.period(site.usage_fees, period=PERIOD)
    period = usage_fees.parse_period(site.chain.view(call))
    assert (period.root, period.sums, period.unit_count) == (*month.tree.root.abi(), 3)
    assert period.window_end == closed.window_end == period.closed_at + WINDOW
    with refused("usage_fees: period does not begin where the last one ended"):
        site.chain.send(site.operator, close_call(site))


def test_a_period_closes_only_as_it_should(site: Site) -> None:
    with refused("usage_fees: only the operator may do this"):
        site.chain.send(site.manager, close_call(site))
    with refused("usage_fees: period is not over"):
        site.chain.send(site.operator, close_call(site))
    site.chain.wait_until(CLOSING_AT + 60 * 86400)
    for period, reason in (
        (20261201_20261101, "usage_fees: period ends before it begins"),
        (20261201_20270102, "usage_fees: period crosses 1 January"),
        (20261101_20261131, "calendar: no such date"),
    ):
        with refused(reason):
            site.chain.send(site.operator, close_call(site, period=period))
    with refused("usage_fees: one bill for each unit of the roll"):
        site.chain.send(site.operator, close_call(site, unit_count=2))
    site.chain.send(site.operator, close_call(site))
    for period in (20261101_20261202, 20261203_20261231):
        with refused("usage_fees: period does not begin where the last one ended"):
            site.chain.send(site.operator, close_call(site, period=period))
    site.chain.send(site.operator, close_call(site, period=20261201_20270101))


def test_a_site_whose_bond_is_below_the_floor_closes_nothing(site: Site) -> None:
    with refused("usage_fees: bond is smaller"):
        site.chain.send(
            site.operator,
            usage_fees.withdraw_bond(site.usage_fees, amount=2 * BOND_FLOOR + 1, recipient=site.operator),
        )
    with refused("usage_fees: only the operator may do this"):
        site.chain.send(site.manager, usage_fees.withdraw_bond(site.usage_fees, amount=1, recipient=site.manager))
    site.chain.send(
        site.operator,
        usage_fees.withdraw_bond(site.usage_fees, amount=BOND_FLOOR + 1, recipient=site.operator),
    )
    site.chain.wait_until(CLOSING_AT)
    with refused("usage_fees: bond is too small"):
        site.chain.send(site.operator, close_call(site))
    site.chain.send(site.stranger, usage_fees.post_bond(site.usage_fees, amount=1))
    site.chain.send(site.operator, close_call(site))


def test_the_bond_stays_while_anybody_may_still_win_it(site: Site) -> None:
    month = close_month(site)
    withdraw = usage_fees.withdraw_bond(site.usage_fees, amount=1, recipient=site.operator)
    with refused("usage_fees: window is open"):
        site.chain.send(site.operator, withdraw)
    site.chain.wait(WINDOW - 100)
    month.open(0)
    site.chain.wait(200)
    with refused("usage_fees: a challenge is open"):
        site.chain.send(site.operator, withdraw)
    month.answer(0)
    # Whoever brings a lower reading may overturn the answer until its time is over.
    with refused("usage_fees: window is open"):
        site.chain.send(site.operator, withdraw)
    site.chain.wait(WINDOW)
    site.chain.send(site.operator, withdraw)


def test_bills_are_debited_after_the_window_once_and_within_the_mandate(site: Site) -> None:
    month = close_month(site, padding=0)
    with refused("usage_fees: window is open"):
        month.debit()
    site.chain.wait(WINDOW + 1)
    cap = month.bills[2].amounts.total - 1
    signature = site.sign(2, Purpose.MANDATE, 2, cap, nonce=2)
    site.chain.send(site.stranger, usage_fees.set_mandate(site.usage_fees, cap=cap, signature=signature))
    balances = [month.account(index).balance for index in range(3)]
    totals = [bill.amounts.total for bill in month.bills]
    debited = events(month.debit())
    assert debited == [Debited(PERIOD, 0, 0b011, (totals[0], totals[1], 0))]
    assert [month.account(index).balance for index in range(3)] == [
        balances[0] - totals[0],
        balances[1] - totals[1],
        balances[2],
    ]
    assert collected(site) == totals[0] + totals[1]
    assert events(month.debit()) == [Debited(PERIOD, 0, 0b011, (0, 0, 0))]


def test_a_balance_that_does_not_cover_the_bill_is_left_alone(site: Site) -> None:
    month = close_month(site, padding=0)
    site.chain.wait(WINDOW + 1)
    everything = month.account(0).balance
    signature = site.sign(0, Purpose.WITHDRAW, 0, everything, site.stranger, nonce=2)
    call = usage_fees.withdraw(site.usage_fees, amount=everything, recipient=site.stranger, signature=signature)
    site.chain.send(site.stranger, call)
    assert events(month.debit()) == [
        Debited(PERIOD, 0, 0b110, (0, month.bills[1].amounts.total, month.bills[2].amounts.total))
    ]
    fund_again = usage_fees.top_up(site.usage_fees, unit_index=0, amount=200_000)
    site.chain.send(site.stranger, fund_again)
    assert events(month.debit())[0] == Debited(PERIOD, 0, 0b111, (month.bills[0].amounts.total, 0, 0))


def test_a_corrected_bill_is_debited_as_corrected_and_a_challenged_one_waits(site: Site) -> None:
    month = close_month(site)
    month.open(0)
    month.open(1)
    month.answer(0)
    site.chain.wait(WINDOW + 1)
    taken = events(month.debit())[0]
    assert isinstance(taken, Debited)
    assert taken.paid_bits == 0b101
    assert taken.amounts[0] == month.bills[0].amounts.total - PADDING
    reverse = challenges.reverse(site.challenges, period=PERIOD, unit_index=1, number=0)
    site.chain.send(site.stranger, reverse)
    taken = events(month.debit())[0]
    assert isinstance(taken, Debited)
    assert taken.amounts == (0, month.bills[1].lines[1].amount, 0)


def test_a_debit_takes_whole_aligned_blocks_of_the_periods_tree(site: Site) -> None:
    month = close_month(site)
    site.chain.wait(WINDOW + 1)

    def debit(bills: list[Bill], first_index: int = 0, period: int = PERIOD) -> Call:
        return usage_fees.debit(
            site.usage_fees, period=period, first_index=first_index, bills=bills, path=month.tree.block_path(0)
        )

    with refused("usage_fees: block is incomplete"):
        site.chain.send(site.operator, debit(month.bills[:2]))
    for first_index in (1, 64):
        with refused("usage_fees: block is not aligned"):
            site.chain.send(site.operator, debit(month.bills, first_index))
    with refused("usage_fees: period is not closed"):
        site.chain.send(site.operator, debit(month.bills, 0, 20261201_20270101))
    padded = [site.bill(0, replace(month.bills[0].lines[0], amount=1)), *month.bills[1:]]
    with refused("usage_fees: bills are not in the period's tree"):
        site.chain.send(site.operator, debit(padded))


def test_anyone_pays_a_bill_as_it_stands_once(site: Site) -> None:
    month = close_month(site)
    month.open(0)
    pay = usage_fees.pay(site.usage_fees, period=PERIOD, unit_index=0, bill=month.bills[0], path=month.path(0))
    with refused("usage_fees: bill is challenged"):
        site.chain.send(site.stranger, pay)
    month.answer(0)
    before = site.balance(site.stranger)
    right = month.bills[0].amounts.total - PADDING
    assert events(site.chain.send(site.stranger, pay)) == [Paid(PERIOD, 0, right, site.stranger.lower())]
    assert site.balance(site.stranger) == before - right
    with refused("usage_fees: bill is already paid"):
        site.chain.send(site.stranger, pay)
    forged = usage_fees.pay(site.usage_fees, period=PERIOD, unit_index=1, bill=month.bills[0], path=month.path(1))
    with refused("usage_fees: bill is not in the period's tree"):
        site.chain.send(site.stranger, forged)


def test_the_operator_takes_what_was_collected_and_no_more(site: Site) -> None:
    month = close_month(site, padding=0)
    site.chain.wait(WINDOW + 1)
    month.debit()
    total = collected(site)
    with refused("usage_fees: only the operator may do this"):
        site.chain.send(site.manager, usage_fees.collect(site.usage_fees, amount=1, recipient=site.manager))
    with refused("usage_fees: less was collected"):
        site.chain.send(site.operator, usage_fees.collect(site.usage_fees, amount=total + 1, recipient=site.operator))
    before = site.balance(site.manager)
    site.chain.send(site.operator, usage_fees.collect(site.usage_fees, amount=total, recipient=site.manager))
    assert (site.balance(site.manager), collected(site)) == (before + total, 0)


def test_only_the_owner_withdraws_and_no_signature_serves_twice(site: Site) -> None:
    fund(site, 0)

    def withdraw(amount: int, nonce: int, to: str = "", signer: int = 0, signed: int | None = None) -> Call:
        to = to or site.stranger
        body = (signer, amount if signed is None else signed, to)
        signature = site.sign(signer, Purpose.WITHDRAW, *body, nonce=nonce)
        return usage_fees.withdraw(site.usage_fees, amount=amount, recipient=to, signature=signature)

    call = withdraw(70, 10)
    before = site.balance(site.stranger)
    site.chain.send(site.relayer, call)
    assert site.balance(site.stranger) == before + 70
    with refused("usage_fees: signature was used"):
        site.chain.send(site.relayer, call)
    with refused("usage_fees: owner's signature does not match"):
        site.chain.send(site.relayer, withdraw(71, 11, signed=70))
    with refused("usage_fees: balance is smaller"):
        site.chain.send(site.relayer, withdraw(10**9, 12))
    with refused("usage_fees: balance is smaller"):
        site.chain.send(site.relayer, withdraw(1, 13, signer=1))
    expired = site.sign(0, Purpose.WITHDRAW, 0, 1, site.stranger, nonce=14, deadline=1)
    with refused("usage_fees: signature's deadline has passed"):
        site.chain.send(
            site.relayer, usage_fees.withdraw(site.usage_fees, amount=1, recipient=site.stranger, signature=expired)
        )
    unknown = site.sign(0, Purpose.WITHDRAW, 0, 1, site.stranger, nonce=15, key=key_of(99))
    with refused("usage_fees: key is not in force"):
        site.chain.send(
            site.relayer, usage_fees.withdraw(site.usage_fees, amount=1, recipient=site.stranger, signature=unknown)
        )


def test_a_mandate_is_set_and_stopped_by_the_owner(site: Site) -> None:
    fund(site, 0, cap=100)
    stop = site.sign(0, Purpose.MANDATE, 0, 0, nonce=5)
    site.chain.send(site.stranger, usage_fees.set_mandate(site.usage_fees, cap=0, signature=stop))
    account = usage_fees.parse_account(site.chain.view(usage_fees.account(site.usage_fees, unit_index=0)))
    assert (account.cap, account.nonce) == (0, 5)
    large = site.sign(0, Purpose.MANDATE, 0, 2**64, nonce=6)
    with refused("usage_fees: cap is out of range"):
        site.chain.send(site.stranger, usage_fees.set_mandate(site.usage_fees, cap=2**64, signature=large))


def test_money_goes_only_to_units_of_the_roll_and_in_sane_amounts(site: Site) -> None:
    with refused("usage_fees: unit is not on the roll"):
        site.chain.send(site.stranger, usage_fees.top_up(site.usage_fees, unit_index=3, amount=1))
    with refused("usage_fees: amount out of range"):
        site.chain.send(site.stranger, usage_fees.top_up(site.usage_fees, unit_index=0, amount=2**120))
    with refused("usage_fees: amount out of range"):
        site.chain.send(site.stranger, usage_fees.post_bond(site.usage_fees, amount=2**96))
    with refused("token: allowance is too small"):
        site.chain.send(site.manager, usage_fees.top_up(site.usage_fees, unit_index=0, amount=1))


def test_terms_are_checked_and_shown(site: Site) -> None:
    terms = usage_fees.parse_terms(site.chain.view(usage_fees.terms(site.usage_fees)))
    assert terms == usage_fees.Terms(WINDOW, WINDOW, BOND_FLOOR, DEPOSIT)
    creation = usage_fees.deploy(
        artifact("UsageFees").bytecode,
        registry=site.registry,
        challenge_window=1,
        answer_window=1,
        bond_floor=2**96,
        deposit=1,
        verifier=PRECOMPILE,
    )
    with refused("usage_fees: deposit or bond floor is out of range"):
        site.chain.deploy(site.deployer, creation)


@pytest.mark.parametrize("answer", [False, True])
def test_a_token_that_refuses_is_noticed(site: Site, answer: bool) -> None:
    """A token may answer false, or nothing at all, as some do; false is a refusal."""
    code = creation_code("FeesStandIn") + encode_arguments("", ("address", "bool"), (site.registry, answer))
    strange = site.chain.deploy(site.deployer, code)
    creation = usage_fees.deploy(
        artifact("UsageFees").bytecode,
        registry=strange,
        challenge_window=1,
        answer_window=1,
        bond_floor=1,
        deposit=1,
        verifier=PRECOMPILE,
    )
    call = usage_fees.post_bond(site.chain.deploy(site.deployer, creation), amount=5)
    if answer:
        site.chain.send(site.stranger, call)
        return
    with refused("usage_fees: token refused the transfer"):
        site.chain.send(site.stranger, call)


def test_the_token_moves_only_what_its_holder_allows(site: Site) -> None:
    with refused("token: only the minter mints"):
        site.chain.send(site.stranger, token.mint(site.token, recipient=site.stranger, amount=1))
    with refused("token: balance is too small"):
        site.chain.send(site.manager, token.transfer(site.token, recipient=site.stranger, amount=1))
    with refused("token: allowance is too small"):
        site.chain.send(
            site.manager,
            token.transfer_from(site.token, owner=site.stranger, recipient=site.manager, amount=1),
        )
    before = site.balance(site.stranger)
    site.chain.send(site.stranger, token.transfer(site.token, recipient=site.manager, amount=3))
    site.chain.send(site.stranger, token.approve(site.token, spender=site.manager, amount=4))
    site.chain.send(
        site.manager, token.transfer_from(site.token, owner=site.stranger, recipient=site.manager, amount=4)
    )
    assert (site.balance(site.manager), site.balance(site.stranger)) == (7, before - 7)
    assert token.parse_total_supply(site.chain.view(token.total_supply(site.token))) == 200_000_000
