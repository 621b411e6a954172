"""Every kind of challenge but the meter's reading: the tree's sums, credits, withheld bills, the arbiter's."""

from dataclasses import replace

import pytest

from contracts.abi import Call, padded
from contracts.bill import Amounts, Bill, BillTree, Line, LineKind, leaf_node
from contracts.calls import challenges, registry_changes, usage_fees
from contracts.calls.challenges_events import BillShown, Judged, MissingNoteCredited, Reversed, SumCorrected
from contracts.person import Purpose
from contracts.tariff import Basis, Component, Season, Terms
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.lines import in_force
from tests.contracts.vyper.month import PRIOR, SINCE, Month, close_month, fund, log_month, month_bills
from tests.contracts.vyper.site import (
    BOND_FLOOR,
    CLOSING,
    CLOSING_AT,
    DEPOSIT,
    METERS,
    OPENING,
    PERIOD,
    RESIDENTIAL,
    WINDOW,
    Site,
    cost,
    key_of,
    name,
    span,
)
from tests.contracts.vyper.test_challenge import bond, events

PLACES = Terms(
    quantity="fee.parking",
    basis=Basis.COUNT,
    document=name("parking rules"),
    seasons=(Season(components=(Component(name="place", price=200 * 10**11),)),),
)


def standing(amount: int, *, tariff: int = 0, subject: bytes | None = None, quantity: str = "") -> Line:
    return Line(
        kind=LineKind.STANDING,
        subject=subject or name("contract"),
        quantity=quantity,
        tariff=tariff,
        since=OPENING,
        from_date=OPENING,
        to_date=CLOSING,
        usage=1,
        amount=amount,
    )


def credit(amount: int, note: bytes) -> Line:
    return replace(standing(amount, subject=note), kind=LineKind.CREDIT)


def closed(site: Site, *extra: Line) -> Month:
    """The month with more lines on unit 0's bill, and money in every account."""
    site.chain.wait_until(CLOSING_AT + 3600)
    indexes = log_month(site)
    bills = month_bills(site)
    bills[0] = site.bill(0, *bills[0].lines, *extra)
    for unit_index in range(3):
        fund(site, unit_index)
    tree, receipt = site.close(bills)
    return Month(site, bills, tree, receipt, indexes)


def appoint_arbiter(site: Site) -> None:
    site.enact(registry_changes.set_role(site.registry, role=padded("arbiter"), account=site.stranger))


def judge(month: Month, number: int, charge: int, *, terms: Terms | None = None, unit_index: int = 0) -> Call:
    return challenges.judge(
        month.site.challenges,
        period=PERIOD,
        unit_index=unit_index,
        number=number,
        line=month.bills[unit_index].lines[number],
        terms=terms,
        charge=charge,
        reason=name("reasons"),
    )


def test_opening_a_challenge_checks_the_bill_and_the_line(site: Site) -> None:
    month = closed(site, credit(5, name("note")))
    bill = month.bills[0]

    def open_with(lines: tuple[Line, ...], number: int, deadline: int = 2**63, period: int = PERIOD) -> Call:
        signature = site.sign(0, Purpose.CHALLENGE, PERIOD, 0, number, bill.lines_digest, deadline=deadline)
        return challenges.open_challenge(
            site.challenges,
            period=period,
            unit_index=0,
            bill=bill,
            path=month.path(0),
            lines=lines,
            number=number,
            signature=signature,
        )

    for call, reason in (
        (open_with(bill.lines, 3), "challenges: no such line"),
        (open_with(bill.lines[:1], 0), "challenges: lines are not the bill's"),
        (open_with(bill.lines, 2), "challenges: a credit line asks for nothing"),
        (open_with(bill.lines, 0, deadline=1), "challenges: signature's deadline has passed"),
        (open_with(bill.lines, 0, period=20261201_20270101), "challenges: period is not closed"),
    ):
        with refused(reason):
            site.chain.send(site.stranger, call)
    forged = replace(bill, salt=name("salt"))
    signature = site.sign(0, Purpose.CHALLENGE, PERIOD, 0, 0, bill.lines_digest)
    for changed, signed, reason in (
        (forged, signature, "challenges: bill is not in the period's tree"),
        (bill, replace(signature, s=signature.s - 1), "challenges: owner's signature does not match"),
        (
            bill,
            site.sign(0, Purpose.CHALLENGE, PERIOD, 0, 0, name("x"), key=key_of(99)),
            "challenges: key is not in force",
        ),
    ):
        with refused(reason):
            site.chain.send(
                site.stranger,
                challenges.open_challenge(
                    site.challenges,
                    period=PERIOD,
                    unit_index=0,
                    bill=changed,
                    path=month.path(0),
                    lines=bill.lines,
                    number=0,
                    signature=signed,
                ),
            )


class AsPosted:
    """A bill whose leaf the operator made of amounts that its lines do not add up to."""

    def __init__(self, bill: Bill, amounts: tuple[int, int]) -> None:
        self._bill = bill
        own, shared = amounts
        self.word = (own + shared) << 192 | own << 128 | shared << 64

    def abi(self) -> tuple[int, bytes, bytes]:
        return (self.word, self._bill.lines_digest, self._bill.salt)


def post(site: Site, bills: list[Bill], posted: AsPosted) -> BillTree:
    """Close the month with unit 0's leaf as the operator would have it."""
    leaf = leaf_node(
        chain_id=31337,
        contract=site.usage_fees,
        site=bills[0].site,
        period=PERIOD,
        unit_index=0,
        amounts=Amounts.from_word(posted.word),
        lines_digest=bills[0].lines_digest,
        salt=bills[0].salt,
    )
    tree = BillTree([leaf, bills[1].leaf(), bills[2].leaf()])
    site.chain.send(
        site.operator,
        usage_fees.close_period(site.usage_fees, period=PERIOD, root=tree.root.hash, sums=tree.root.sums, unit_count=3),
    )
    return tree


def test_a_bill_that_asks_for_more_than_its_lines_falls_to_their_sum(site: Site) -> None:
    site.chain.wait_until(CLOSING_AT + 3600)
    fund(site, 0)
    bills = month_bills(site, padding=0)
    lines_sum = bills[0].amounts.total
    posted = AsPosted(bills[0], (bills[0].amounts.own + 7_000, bills[0].amounts.shared))
    tree = post(site, bills, posted)

    def correct(bill: Bill | AsPosted, unit_index: int, lines: tuple[Line, ...]) -> Call:
        return challenges.correct_sum(
            site.challenges,
            period=PERIOD,
            unit_index=unit_index,
            bill=bill,  # type: ignore[arg-type]  # the leaf as the operator posted it
            path=tree.path(unit_index),
            lines=lines,
        )

    with refused("challenges: bill asks for no more than its lines"):
        site.chain.send(site.stranger, correct(bills[1], 1, bills[1].lines))
    with refused("challenges: lines are not the bill's"):
        site.chain.send(site.stranger, correct(posted, 0, bills[0].lines[:1]))
    receipt = site.chain.send(site.stranger, correct(posted, 0, bills[0].lines))
    assert SumCorrected(PERIOD, 0, lines_sum + 7_000, lines_sum, site.stranger.lower()) in events(receipt)
    with refused("challenges: sum was corrected"):
        site.chain.send(site.stranger, correct(posted, 0, bills[0].lines))
    status = usage_fees.parse_status(site.chain.view(usage_fees.status(site.usage_fees, period=PERIOD, unit_index=0)))
    assert status.reduction == 7_000


def test_a_demanded_bill_that_nobody_shows_is_owed_by_nobody(site: Site) -> None:
    month = close_month(site)

    def demand(unit_index: int, signer: int | None = None, period: int = PERIOD) -> Call:
        signer = unit_index if signer is None else signer
        signature = site.sign(signer, Purpose.DEMAND, period, unit_index)
        return challenges.demand(site.challenges, period=period, unit_index=unit_index, signature=signature)

    with refused("challenges: period has no such bill"):
        site.chain.send(site.stranger, demand(0, period=20261201_20270101))
    with refused("challenges: key belongs to another unit"):
        site.chain.send(site.stranger, demand(0, signer=1))
    balance = month.account(0).balance
    site.chain.send(site.stranger, demand(0))
    site.chain.send(site.stranger, demand(1))
    with refused("challenges: line was challenged"):
        site.chain.send(site.stranger, demand(0))

    def show(unit_index: int, lines: tuple[Line, ...]) -> Call:
        bill = month.bills[unit_index]
        return challenges.show(
            site.challenges,
            period=PERIOD,
            unit_index=unit_index,
            bill=bill,
            path=month.path(unit_index),
            lines=lines,
        )

    with refused("challenges: lines are not the bill's"):
        site.chain.send(site.operator, show(1, month.bills[1].lines[:1]))
    shown = site.chain.send(site.operator, show(1, month.bills[1].lines))
    assert BillShown(PERIOD, 1, site.operator.lower()) in events(shown)
    assert month.status(1) == usage_fees.BillStatus(False, False, 0)
    with refused("challenges: no challenge is open"):
        site.chain.send(site.operator, show(1, month.bills[1].lines))
    site.chain.wait(WINDOW + 1)
    with refused("challenges: answer is too late"):
        site.chain.send(site.operator, show(0, month.bills[0].lines))
    with refused("challenges: window is over"):
        site.chain.send(site.stranger, demand(2))
    reverse = challenges.reverse(site.challenges, period=PERIOD, unit_index=0, number=challenges.PLACE_BILL)
    assert Reversed(PERIOD, 0, challenges.PLACE_BILL) in events(site.chain.send(site.stranger, reverse))
    assert month.account(0).balance == balance + DEPOSIT
    pay = usage_fees.pay(site.usage_fees, period=PERIOD, unit_index=0, bill=month.bills[0], path=month.path(0))
    before = site.balance(site.stranger)
    site.chain.send(site.stranger, pay)
    assert site.balance(site.stranger) == before


def test_a_paid_bill_is_not_demanded(site: Site) -> None:
    month = close_month(site)
    pay = usage_fees.pay(site.usage_fees, period=PERIOD, unit_index=0, bill=month.bills[0], path=month.path(0))
    site.chain.send(site.stranger, pay)
    signature = site.sign(0, Purpose.DEMAND, PERIOD, 0)
    with refused("challenges: bill is paid"):
        site.chain.send(
            site.stranger, challenges.demand(site.challenges, period=PERIOD, unit_index=0, signature=signature)
        )


def test_a_missing_credit_is_given_by_the_bond_at_once(site: Site) -> None:
    note, other = name("note"), name("another's note")
    month = closed(site, credit(400, note), credit(300, other))
    balance, held = month.account(0).balance, bond(site)

    def correct(number: int, lines: tuple[Line, ...] | None = None) -> Call:
        bill = month.bills[0]
        return challenges.correct_note(
            site.challenges,
            period=PERIOD,
            unit_index=0,
            bill=bill,
            path=month.path(0),
            lines=bill.lines if lines is None else lines,
            number=number,
        )

    with refused("challenges: line is no credit"):
        site.chain.send(site.stranger, correct(0))
    with refused("challenges: no such line"):
        site.chain.send(site.stranger, correct(4))
    with refused("challenges: lines are not the bill's"):
        site.chain.send(site.stranger, correct(2, ()))
    given = events(site.chain.send(site.stranger, correct(2)))
    assert MissingNoteCredited(PERIOD, 0, note, 400, site.stranger.lower()) in given
    assert (month.account(0).balance, bond(site)) == (balance + 400, held - 400)
    with refused("challenges: credit was corrected"):
        site.chain.send(site.stranger, correct(2))
    # The other note is given in part, to this unit: the bond adds what is missing of it.
    pay = usage_fees.pay(site.usage_fees, period=PERIOD, unit_index=1, bill=month.bills[1], path=month.path(1))
    site.chain.send(site.stranger, pay)
    site.chain.send(site.operator, usage_fees.credit(site.usage_fees, unit_index=0, amount=100, note=other))
    site.chain.send(site.stranger, correct(3))
    assert (month.account(0).balance, bond(site)) == (balance + 700, held - 600)


def test_a_credit_that_was_given_needs_no_correction(site: Site) -> None:
    note = name("note")
    month = closed(site, credit(400, note))
    pay = usage_fees.pay(site.usage_fees, period=PERIOD, unit_index=1, bill=month.bills[1], path=month.path(1))
    site.chain.send(site.stranger, pay)
    site.chain.send(site.operator, usage_fees.credit(site.usage_fees, unit_index=0, amount=400, note=note))
    with refused("challenges: credit was given"):
        site.chain.send(
            site.stranger,
            challenges.correct_note(
                site.challenges,
                period=PERIOD,
                unit_index=0,
                bill=month.bills[0],
                path=month.path(0),
                lines=month.bills[0].lines,
                number=2,
            ),
        )


def test_the_arbiter_judges_what_the_contract_cannot_recompute(site: Site) -> None:
    version = in_force(site, PLACES)
    appoint_arbiter(site)
    month = closed(site, standing(40_000, tariff=version, quantity="fee.parking"), standing(9_000))
    balance = month.account(0).balance
    for number in (2, 3):
        month.open(0, number)
    with refused("challenges: only the arbiter may do this"):
        site.chain.send(site.operator, judge(month, 2, 0, terms=PLACES))
    settled = events(site.chain.send(site.stranger, judge(month, 2, 20_000, terms=PLACES)))
    assert Judged(PERIOD, 0, 2, 20_000, site.stranger.lower(), name("reasons")) in settled
    with refused("challenges: answer does not lower the charge"):
        site.chain.send(site.stranger, judge(month, 2, 30_000, terms=PLACES))
    # A right without a tariff: the arbiter keeps it, and the deposit is lost.
    site.chain.send(site.stranger, judge(month, 3, 10_000))
    assert month.account(0).balance == balance
    assert month.status(0).reduction == 20_000
    assert bond(site) == 2 * BOND_FLOOR - DEPOSIT


def test_the_arbiter_has_no_say_over_what_the_contract_recomputes(site: Site) -> None:
    appoint_arbiter(site)
    month = close_month(site)
    month.open(0)
    with refused("challenges: the contract recomputes such a line"):
        site.chain.send(site.stranger, judge(month, 0, 0, terms=RESIDENTIAL.terms))


def test_silence_of_the_arbiter_reverses_the_line(site: Site) -> None:
    month = closed(site, standing(9_000))
    month.open(0, 2)
    site.chain.wait(WINDOW + 1)
    reverse = challenges.reverse(site.challenges, period=PERIOD, unit_index=0, number=2)
    site.chain.send(site.stranger, reverse)
    assert month.status(0).reduction == 9_000


def test_an_estimate_is_challenged_after_the_window_and_measured_by_a_later_reading(site: Site) -> None:
    site.chain.wait_until(CLOSING_AT + 3600)
    indexes = log_month(site)
    bills = month_bills(site, padding=0)
    guess = replace(bills[1].lines[0], kind=LineKind.ESTIMATED, amount=bills[1].lines[0].amount + 5_000)
    bills[1] = site.bill(1, guess)
    fund(site, 1)
    tree, receipt = site.close(bills)
    month = Month(site, bills, tree, receipt, indexes)
    site.chain.wait(2 * WINDOW)
    later = site.log.read(METERS[1], 20261211, 1_000_000 + PRIOR[1] + 160_000)
    site.accept(site.log)
    month.open(1)
    size = site.log.tree.size
    during = [span(site.log, size, indexes[METERS[1], OPENING], later)]
    month.answer(1, before=[month.span(METERS[1], SINCE, OPENING)], during=during)
    assert month.challenge(1).charge == cost(RESIDENTIAL, used=160_000 * 30 // 40, prior=PRIOR[1])


@pytest.mark.parametrize("paid", [False, True])
def test_nobody_gets_back_more_than_was_asked_for(site: Site, paid: bool) -> None:
    """A bill whose lines add up to more than it asks for: reversing all of them takes off the bill and no more."""
    site.chain.wait_until(CLOSING_AT + 3600)
    fund(site, 0)
    bill = site.bill(0, site.line(METERS[0], 100, 900), site.line(METERS[0], 50, 800))
    posted = AsPosted(bill, (1_000, 0))
    tree = post(site, [bill, site.bill(1), site.bill(2)], posted)
    if paid:
        site.chain.send(
            site.stranger,
            usage_fees.pay(site.usage_fees, period=PERIOD, unit_index=0, bill=posted, path=tree.path(0)),  # type: ignore[arg-type]  # as posted
        )
    before = bond(site)
    for number in range(2):
        signature = site.sign(0, Purpose.CHALLENGE, PERIOD, 0, number, bill.lines_digest)
        site.chain.send(
            site.stranger,
            challenges.open_challenge(
                site.challenges,
                period=PERIOD,
                unit_index=0,
                bill=posted,  # type: ignore[arg-type]  # the leaf as the operator posted it
                path=tree.path(0),
                lines=bill.lines,
                number=number,
                signature=signature,
            ),
        )
    site.chain.wait(WINDOW + 1)
    for number in range(2):
        site.chain.send(site.stranger, challenges.reverse(site.challenges, period=PERIOD, unit_index=0, number=number))
    status = usage_fees.parse_status(site.chain.view(usage_fees.status(site.usage_fees, period=PERIOD, unit_index=0)))
    assert status.reduction == 1_000
    assert bond(site) == before - 2 * DEPOSIT - (1_000 if paid else 0)
