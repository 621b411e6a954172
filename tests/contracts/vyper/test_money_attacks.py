"""What a cashier, a seller, an operator and a stranger try with balances and with the bond."""

from contracts.abi import Call
from contracts.calls import challenges, crews, roll_changes, usage_fees
from contracts.calls.usage_fees_events import Credited, Owed
from contracts.person import Purpose
from contracts.vyper.compile import artifact
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.month import Month, close_month, fund
from tests.contracts.vyper.site import (
    BOND_FLOOR,
    CLOSING,
    DAY,
    DEPOSIT,
    PERIOD,
    PRECOMPILE,
    UNITS,
    WINDOW,
    Site,
    name,
)
from tests.contracts.vyper.test_challenge_kinds import closed, credit
from tests.contracts.vyper.test_fee_accounts import (
    CASHIER,
    CASHIER_KEY,
    appoint_cashier,
    balance,
    bond,
    collected,
    events,
    leave,
    receipt_call,
)


def test_a_cashier_cannot_draw_the_bond_by_a_receipt_above_the_bill(site: Site) -> None:
    """One stolen cashier's key and one unit would have emptied it."""
    appoint_cashier(site)
    month = close_month(site, padding=0)
    before, held = balance(site, 0), bond(site)
    site.chain.send(site.stranger, receipt_call(month, 0, month.bills[0].amounts.total + held))
    assert month.status(0).is_paid
    assert (balance(site, 0), bond(site)) == (before, held)


def test_a_cashier_whose_time_is_over_signs_no_receipts(site: Site) -> None:
    until = site.chain.now() + 8 * DAY
    site.enact(
        site.member_change(CASHIER, crews.Duty.CASHIER, licence_until=until), site.crew_key_change(CASHIER, CASHIER_KEY)
    )
    month = close_month(site, padding=0)
    assert site.chain.now() > until
    with refused("usage_fees: receipt is no cashier's"):
        site.chain.send(site.stranger, receipt_call(month, 0, month.bills[0].amounts.total))


def top_up(site: Site, amount: int, unit_index: int = 0) -> Call:
    return usage_fees.top_up(site.usage_fees, unit_index=unit_index, amount=amount)


def test_who_moves_out_takes_nothing_that_the_next_owner_paid_in(site: Site) -> None:
    """A seller who announces that he leaves, and waits for the buyer's first prepayment."""
    month = close_month(site, padding=0)
    site.chain.send(site.relayer, leave(site, CLOSING, 20))
    signature = site.sign(1, Purpose.MOVE, 1, 0, 100, nonce=9)
    move = usage_fees.move(site.usage_fees, to_index=0, amount=100, signature=signature)
    for call in (top_up(site, 1), move):
        with refused("usage_fees: account is being closed"):
            site.chain.send(site.stranger, call)
    # The next owner's key takes the announcement back; or the account is closed, and open again.
    snapshot = site.chain.snapshot()
    site.chain.send(site.relayer, leave(site, 0, 21))
    site.chain.send(site.stranger, top_up(site, 1))
    site.chain.revert_to(snapshot)
    site.chain.wait(WINDOW + 1)
    month.debit()
    site.chain.send(site.relayer, usage_fees.close_account(site.usage_fees, unit_index=0, period=PERIOD))
    site.chain.send(site.stranger, top_up(site, 70))
    assert balance(site, 0) == 70


def test_no_nonce_freezes_an_account_for_whoever_has_the_unit_next(site: Site) -> None:
    fund(site, 0)
    for nonce, reason in (
        (2**64 - 1, "usage_fees: nonce is too far ahead"),
        (2**200, "usage_fees: nonce is too far ahead"),
        ((site.chain.now() + 400 * DAY) * 1000, "usage_fees: nonce is too far ahead"),
        ((site.chain.now() + 300 * DAY) * 1000, None),
    ):
        stop = site.sign(0, Purpose.MANDATE, 0, 0, nonce=nonce)
        call = usage_fees.set_mandate(site.usage_fees, cap=0, signature=stop)
        if reason is None:
            site.chain.send(site.stranger, call)
            continue
        with refused(reason):
            site.chain.send(site.stranger, call)


def promised(site: Site) -> Month:
    """The month with a credit on unit 0's bill that is larger than the bond, and a small one, neither ever given."""
    return closed(site, credit(2 * BOND_FLOOR + 300, name("note")), credit(70, name("other note")))


def correct_note(month: Month, number: int) -> Call:
    bill = month.bills[0]
    return challenges.correct_note(
        month.site.challenges,
        period=PERIOD,
        unit_index=0,
        bill=bill,
        path=month.path(0),
        lines=bill.lines,
        number=number,
    )


def owed(site: Site) -> int:
    return usage_fees.parse_owed(site.chain.view(usage_fees.owed(site.usage_fees, unit_index=0)))


def test_what_the_bond_cannot_pay_stays_owed_until_it_can(site: Site) -> None:
    month = promised(site)
    before = balance(site, 0)
    told = events(site.chain.send(site.stranger, correct_note(month, 2)))
    assert Owed(0, 300) in told and owed(site) == 300
    site.chain.send(site.stranger, correct_note(month, 3))
    assert (balance(site, 0), bond(site), owed(site)) == (before + 2 * BOND_FLOOR, 0, 370)
    pay = usage_fees.pay(site.usage_fees, period=PERIOD, unit_index=1, bill=month.bills[1], path=month.path(1))
    site.chain.send(site.stranger, pay)
    site.chain.wait(WINDOW + 1)
    for call in (
        usage_fees.withdraw_bond(site.usage_fees, amount=0, recipient=site.operator),
        usage_fees.collect(site.usage_fees, amount=1, recipient=site.operator),
    ):
        with refused("usage_fees: the bond owes more than it held"):
            site.chain.send(site.operator, call)
    claim = usage_fees.claim(site.usage_fees, unit_index=0)
    for posted, left in ((100, 270), (1_000, 0)):
        site.chain.send(site.operator, usage_fees.post_bond(site.usage_fees, amount=posted))
        assert any(
            isinstance(event, Credited) and event.reason == 6 for event in events(site.chain.send(site.stranger, claim))
        )
        assert owed(site) == left
    assert (balance(site, 0), bond(site)) == (before + 2 * BOND_FLOOR + 370, 730)
    with refused("usage_fees: nothing is owed to the unit"):
        site.chain.send(site.stranger, claim)
    site.chain.send(site.operator, usage_fees.collect(site.usage_fees, amount=1, recipient=site.operator))
    assert collected(site) > 0


def test_windows_beyond_all_measure_are_refused(site: Site) -> None:
    """They would run over into the neighbouring fields of the words that they are kept in."""
    for windows in ((2**32, WINDOW), (WINDOW, 2**32)):
        creation = usage_fees.deploy(
            artifact("UsageFees").bytecode,
            registry=site.registry,
            challenge_window=windows[0],
            answer_window=windows[1],
            bond_floor=1,
            deposit=DEPOSIT,
            verifier=PRECOMPILE,
        )
        with refused("usage_fees: window is out of range"):
            site.chain.deploy(site.deployer, creation)


def test_a_unit_that_was_sold_keeps_its_account_and_the_seller_signs_no_more(site: Site) -> None:
    fund(site, 0, amount=900)
    site.enact(roll_changes.set_head(site.roll, unit=UNITS[0], head=3))
    signature = site.sign(0, Purpose.WITHDRAW, 0, 900, site.stranger, nonce=50)
    with refused("usage_fees: key is not in force"):
        site.chain.send(
            site.stranger,
            usage_fees.withdraw(site.usage_fees, amount=900, recipient=site.stranger, signature=signature),
        )
    assert balance(site, 0) == 900
