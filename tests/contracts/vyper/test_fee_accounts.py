"""Accounts beyond debit: moves, moving out, cashiers' receipts, credit notes, and the correction of a whole period."""

from dataclasses import replace

import pytest

from contracts.abi import Call, Function
from contracts.bill import BillTree
from contracts.calls import crews, usage_fees
from contracts.calls.usage_fees_events import (
    AccountClosed,
    Credited,
    CreditNoted,
    Moved,
    PeriodSuperseded,
    ReceiptPresented,
    parse_event,
)
from contracts.entry import encode_entry
from contracts.person import Purpose
from contracts.tree import leaf_hash
from tests.contracts.vyper.chain import Receipt
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.month import Month, close_month, fund, month_bills
from tests.contracts.vyper.site import CLOSING, CLOSING_AT, PERIOD, WINDOW, Site, key_of, name

CASHIER = name("cashier")
CASHIER_KEY = key_of(3000)


def events(receipt: Receipt) -> list[object]:
    return [event for log in receipt.logs if (event := parse_event(log.topics, log.data)) is not None]


def collected(site: Site) -> int:
    return usage_fees.parse_collected(site.chain.view(usage_fees.collected(site.usage_fees)))


def bond(site: Site) -> int:
    return usage_fees.parse_funds(site.chain.view(usage_fees.funds(site.usage_fees))).bond


def balance(site: Site, unit_index: int) -> int:
    call = usage_fees.account(site.usage_fees, unit_index=unit_index)
    return usage_fees.parse_account(site.chain.view(call)).balance


def test_only_the_owner_moves_a_balance_to_another_unit(site: Site) -> None:
    fund(site, 0, amount=500)

    def move(amount: int, nonce: int, to_index: int = 1, signed: int | None = None) -> Call:
        body = (0, to_index, amount if signed is None else signed)
        signature = site.sign(0, Purpose.MOVE, *body, nonce=nonce)
        return usage_fees.move(site.usage_fees, to_index=to_index, amount=amount, signature=signature)

    call = move(200, 10)
    moved = events(site.chain.send(site.relayer, call))
    assert isinstance(moved[0], Moved) and (moved[0].to_index, moved[0].amount) == (1, 200)
    assert (balance(site, 0), balance(site, 1)) == (300, 200)
    for again, reason in (
        (call, "usage_fees: signature was used"),
        (move(1, 11, signed=2), "usage_fees: owner's signature does not match"),
        (move(301, 12), "usage_fees: balance is smaller"),
        (move(1, 13, to_index=3), "usage_fees: unit is not on the roll"),
    ):
        with refused(reason):
            site.chain.send(site.relayer, again)


def leave(site: Site, date: int, nonce: int, to: str | None = None, reading: bytes = b"") -> Call:
    to = site.stranger if to is None else to
    final = reading or name("final reading")
    signature = site.sign(0, Purpose.LEAVE, 0, date, final, to, nonce=nonce)
    return usage_fees.leave(site.usage_fees, date=date, reading=final, recipient=to, signature=signature)


def test_who_moves_out_gets_the_rest_after_the_bill_with_the_final_reading(site: Site) -> None:
    month = close_month(site, padding=0)
    final = leaf_hash(encode_entry(site.log.entries[month.indexes[month.bills[0].lines[0].subject, CLOSING]]))
    close = usage_fees.close_account(site.usage_fees, unit_index=0, period=PERIOD)
    with refused("usage_fees: nobody moves out"):
        site.chain.send(site.stranger, close)
    with refused("usage_fees: nobody to pay the balance to"):
        site.chain.send(site.relayer, leave(site, CLOSING, 20, to="0x" + "00" * 20))
    with refused("calendar: no such date"):
        site.chain.send(site.relayer, leave(site, 20261131, 21))
    site.chain.send(site.relayer, leave(site, 20261202, 22))
    with refused("usage_fees: period does not hold the final reading"):
        site.chain.send(site.stranger, close)
    with refused("usage_fees: period is not closed"):
        site.chain.send(
            site.stranger, usage_fees.close_account(site.usage_fees, unit_index=0, period=20261201_20270101)
        )
    site.chain.send(site.relayer, leave(site, CLOSING, 23, reading=final))
    asked = usage_fees.moving_out(site.usage_fees, unit_index=0)
    told = usage_fees.parse_moving_out(site.chain.view(asked))
    assert told == usage_fees.Leaving(CLOSING, final, site.stranger.lower())
    with refused("usage_fees: last bill is not paid"):
        site.chain.send(site.stranger, close)
    site.chain.wait(WINDOW + 1)
    month.debit()
    rest, before = balance(site, 0), site.balance(site.stranger)
    assert rest > 0
    assert events(site.chain.send(site.relayer, close)) == [AccountClosed(0, PERIOD, rest, site.stranger.lower())]
    account = month.account(0)
    assert (account.balance, account.cap, account.nonce) == (0, 0, 23)
    assert site.balance(site.stranger) == before + rest
    with refused("usage_fees: nobody moves out"):
        site.chain.send(site.stranger, close)


def test_moving_out_can_be_taken_back(site: Site) -> None:
    month = close_month(site, padding=0)
    site.chain.send(site.relayer, leave(site, CLOSING, 20))
    site.chain.send(site.relayer, leave(site, 0, 21))
    site.chain.wait(WINDOW + 1)
    month.debit()
    with refused("usage_fees: nobody moves out"):
        site.chain.send(site.stranger, usage_fees.close_account(site.usage_fees, unit_index=0, period=PERIOD))


def appoint_cashier(site: Site, duties: int = crews.Duty.CASHIER) -> None:
    site.enact(site.member_change(CASHIER, duties), site.crew_key_change(CASHIER, CASHIER_KEY))


def receipt_call(
    month: Month, unit_index: int, amount: int, *, signed: int | None = None, deadline: int = 2**63
) -> Call:
    site, digest = month.site, name("receipt 17")
    body = (PERIOD, unit_index, amount if signed is None else signed, digest)
    signature = site.sign(0, Purpose.RECEIPT, *body, key=CASHIER_KEY, deadline=deadline)
    return usage_fees.present_receipt(
        site.usage_fees,
        period=PERIOD,
        unit_index=unit_index,
        bill=month.bills[unit_index],
        path=month.path(unit_index),
        amount=amount,
        receipt=digest,
        signature=signature,
    )


def test_a_cashiers_receipt_settles_a_bill_whoever_presents_it(site: Site) -> None:
    appoint_cashier(site)
    month = close_month(site, padding=0)
    total = month.bills[0].amounts.total
    for call, reason in (
        (receipt_call(month, 0, total - 1), "usage_fees: receipt is for less than the bill"),
        (receipt_call(month, 0, total, signed=total + 1), "usage_fees: cashier's signature does not match"),
        (receipt_call(month, 0, total, deadline=1), "usage_fees: signature's deadline has passed"),
    ):
        with refused(reason):
            site.chain.send(site.stranger, call)
    held = site.balance(site.usage_fees)
    shown = events(site.chain.send(site.stranger, receipt_call(month, 0, total)))
    assert isinstance(shown[0], ReceiptPresented) and shown[0].amount == total
    assert month.status(0).is_paid and site.balance(site.usage_fees) == held and collected(site) == 0
    with refused("usage_fees: bill is already paid"):
        site.chain.send(site.stranger, receipt_call(month, 0, total))
    # Paid at the counter before a challenge lowered it: the difference comes back from the bond.
    month.open(1)
    site.chain.wait(WINDOW + 1)
    from contracts.calls import challenges

    site.chain.send(site.stranger, challenges.reverse(site.challenges, period=PERIOD, unit_index=1, number=0))
    before, bond_before = balance(site, 1), bond(site)
    site.chain.send(site.stranger, receipt_call(month, 1, month.bills[1].amounts.total))
    reversed_fen = month.bills[1].lines[0].amount
    assert (balance(site, 1), bond(site)) == (before + reversed_fen, bond_before - reversed_fen)


@pytest.mark.parametrize("duties", [0, crews.Duty.MECHANIC | crews.Duty.INSTALLER])
def test_a_receipt_of_who_is_no_cashier_settles_nothing(site: Site, duties: int) -> None:
    if duties:
        appoint_cashier(site, duties)
    month = close_month(site, padding=0)
    with refused("usage_fees: receipt is no cashier's"):
        site.chain.send(site.stranger, receipt_call(month, 0, month.bills[0].amounts.total))


def test_a_credit_note_comes_from_what_is_collected_once(site: Site) -> None:
    month = close_month(site, padding=0)

    def credit(amount: int, note: str = "note", unit_index: int = 0) -> Call:
        return usage_fees.credit(site.usage_fees, unit_index=unit_index, amount=amount, note=name(note))

    for sender, call, reason in (
        (site.manager, credit(1), "usage_fees: only the operator may do this"),
        (site.operator, credit(1), "usage_fees: less was collected"),
        (site.operator, credit(0), "usage_fees: less was collected"),
        (site.operator, credit(1, unit_index=3), "usage_fees: unit is not on the roll"),
    ):
        with refused(reason):
            site.chain.send(sender, call)
    pay = usage_fees.pay(site.usage_fees, period=PERIOD, unit_index=1, bill=month.bills[1], path=month.path(1))
    site.chain.send(site.stranger, pay)
    before, held = balance(site, 0), collected(site)
    given = events(site.chain.send(site.operator, credit(300)))
    assert given == [CreditNoted(0, name("note"), 300), Credited(0, 300, 4)]
    assert (balance(site, 0), collected(site)) == (before + 300, held - 300)
    assert usage_fees.parse_note(site.chain.view(usage_fees.note(site.usage_fees, digest=name("note")))) == (1, 300)
    with refused("usage_fees: credit note was given"):
        site.chain.send(site.operator, credit(1))


def supersede(site: Site, tree: BillTree, document: bytes = name("notice")) -> Call:
    return usage_fees.supersede(
        site.usage_fees, period=PERIOD, root=tree.root.hash, sums=tree.root.sums, document=document
    )


def test_a_period_is_superseded_only_in_public_and_before_anyone_acted_on_it(site: Site) -> None:
    month = close_month(site)
    right = month_bills(site, padding=0)
    tree = BillTree.of_bills(right)
    with refused("usage_fees: only the operator may do this"):
        site.chain.send(site.manager, supersede(site, tree))
    for same in (supersede(site, month.tree), supersede(site, tree, bytes(32))):
        with refused("usage_fees: a correction has another root and a document"):
            site.chain.send(site.operator, same)
    site.chain.wait(WINDOW // 2)
    told = events(site.chain.send(site.operator, supersede(site, tree)))[0]
    assert isinstance(told, PeriodSuperseded)
    assert (told.old_root, told.root, told.document) == (month.tree.root.hash, tree.root.hash, name("notice"))
    period = usage_fees.parse_period(site.chain.view(usage_fees.period(site.usage_fees, period=PERIOD)))
    assert (period.window_end, period.corrections) == (site.chain.now() + WINDOW, 1)
    with refused("challenges: bill is not in the period's tree"):
        month.open(0)
    corrected = replace(month, bills=right, tree=tree)
    corrected.open(0)
    with refused("usage_fees: a bill of the period is paid or challenged"):
        site.chain.send(site.operator, supersede(site, month.tree))


def test_a_paid_period_and_one_whose_window_is_over_stay_as_they_are(site: Site) -> None:
    month = close_month(site)
    tree = BillTree.of_bills(month_bills(site, padding=0))
    snapshot = site.chain.snapshot()
    pay = usage_fees.pay(site.usage_fees, period=PERIOD, unit_index=1, bill=month.bills[1], path=month.path(1))
    site.chain.send(site.stranger, pay)
    with refused("usage_fees: a bill of the period is paid or challenged"):
        site.chain.send(site.operator, supersede(site, tree))
    site.chain.revert_to(snapshot)
    site.chain.wait(WINDOW + 1)
    with refused("usage_fees: window is over"):
        site.chain.send(site.operator, supersede(site, tree))


@pytest.mark.slow
def test_a_period_is_not_corrected_for_ever(site: Site) -> None:
    close_month(site)
    trees = [BillTree.of_bills(month_bills(site, padding=padding)) for padding in (1, 2)]
    for number in range(16):
        site.chain.send(site.operator, supersede(site, trees[number % 2]))
    with refused("usage_fees: period was corrected too often"):
        site.chain.send(site.operator, supersede(site, trees[0]))


def test_only_the_contract_of_challenges_lowers_bills_and_draws_on_the_bond(site: Site) -> None:
    month = close_month(site)
    forms = {
        "hold": ((PERIOD, 0), ("uint256", "uint256")),
        "settle": ((PERIOD, 0, 2, 10**6, 10**6, True), ("uint256",) * 5 + ("bool",)),
        "credit_missing": ((0, 10**6), ("uint256", "uint256")),
        "set_silent": ((PERIOD, 0, True), ("uint256", "uint256", "bool")),
    }
    for what, (values, types) in forms.items():
        written: Function = getattr(usage_fees, f"_{what.upper()}")
        assert written.inputs == types
        for sender in (site.operator, site.manager, site.committee, site.relayer, site.stranger):
            with refused("usage_fees: only the contract of challenges may do this"):
                site.chain.send(sender, written.call(site.usage_fees, *values))
    assert month.status(0).reduction == 0 and site.chain.now() > CLOSING_AT
