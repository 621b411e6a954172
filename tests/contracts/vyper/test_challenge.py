"""A challenged line: the contract recomputes it from boundary entries, and money follows."""

from contracts.calls import challenges, challenges_events, usage_fees, usage_fees_events
from contracts.calls.challenges_events import Answered, ChallengeOpened, Reversed
from contracts.calls.usage_fees_events import Credited
from contracts.person import Purpose
from tests.contracts.vyper.chain import Receipt
from tests.contracts.vyper.conftest import refused
from tests.contracts.vyper.month import PADDING, Month, close_month
from tests.contracts.vyper.site import BOND_FLOOR, DEPOSIT, RESIDENTIAL, WINDOW, Site, cost


def events(receipt: Receipt) -> list[object]:
    parsers = (challenges_events.parse_event, usage_fees_events.parse_event)
    found = [parse(log.topics, log.data) for log in receipt.logs for parse in parsers]
    return [event for event in found if event is not None]


def bond(site: Site) -> int:
    return usage_fees.parse_funds(site.chain.view(usage_fees.funds(site.usage_fees))).bond


def test_a_padded_line_is_corrected_at_once_and_the_bond_compensates(site: Site) -> None:
    month = close_month(site)
    balance = month.account(0).balance
    opened = events(month.open(0))
    assert isinstance(opened[0], ChallengeOpened) and opened[0].amount == month.bills[0].lines[0].amount
    assert month.account(0).balance == balance - DEPOSIT and month.status(0).is_challenged
    answered = events(month.answer(0))
    right = month.bills[0].lines[0].amount - PADDING
    assert Answered(month.bills[0].period, 0, 0, right, site.operator.lower()) in answered
    assert [event.reason for event in answered if isinstance(event, Credited)] == [1, 2]
    assert month.account(0).balance == balance + DEPOSIT
    assert bond(site) == 2 * BOND_FLOOR - DEPOSIT
    status = month.status(0)
    assert (status.is_challenged, status.reduction) == (False, PADDING)
    assert month.challenge(0).charge == right


def test_a_right_answer_keeps_the_deposit(site: Site) -> None:
    month = close_month(site)
    balance = month.account(1).balance
    month.open(1)
    month.answer(1)
    assert month.account(1).balance == balance - DEPOSIT
    assert usage_fees.parse_collected(site.chain.view(usage_fees.collected(site.usage_fees))) == DEPOSIT
    assert month.status(1) == usage_fees.BillStatus(False, False, 0)


def test_silence_reverses_the_line(site: Site) -> None:
    month = close_month(site)
    balance = month.account(1).balance
    month.open(1)
    call = challenges.reverse(site.challenges, period=month.bills[1].period, unit_index=1, number=0)
    with refused("challenges: there is still time to answer"):
        site.chain.send(site.stranger, call)
    site.chain.wait(WINDOW + 1)
    receipt = site.chain.send(site.stranger, call)
    assert Reversed(month.bills[1].period, 1, 0) in events(receipt)
    assert month.status(1).reduction == month.bills[1].lines[0].amount
    assert month.account(1).balance == balance + DEPOSIT
    with refused("challenges: no challenge is open"):
        site.chain.send(site.stranger, call)
    with refused("challenges: nothing to answer"):
        month.answer(1)


def test_an_answer_after_the_deadline_is_refused(site: Site) -> None:
    month = close_month(site)
    month.open(1)
    site.chain.wait(WINDOW + 1)
    with refused("challenges: answer is too late"):
        month.answer(1)


def test_an_answer_is_about_the_challenged_line(site: Site) -> None:
    month = close_month(site)
    month.open(0)
    with refused("challenges: line is not the challenged one"):
        month.answer(0, line=month.bills[1].lines[0])


def test_a_shared_line_is_recomputed_from_the_pools_meter(site: Site) -> None:
    month = close_month(site)
    balance = month.account(2).balance
    month.open(2, 1)
    month.answer(2, 1)
    assert month.account(2).balance == balance - DEPOSIT
    assert month.challenge(2, 1).charge == month.bills[2].lines[1].amount


def test_a_paid_bill_that_was_wrong_is_made_good_from_the_bond(site: Site) -> None:
    month = close_month(site)
    pay = usage_fees.pay(
        site.usage_fees, period=month.bills[0].period, unit_index=0, bill=month.bills[0], path=month.path(0)
    )
    site.chain.send(site.stranger, pay)
    balance = month.account(0).balance
    month.open(0)
    receipt = month.answer(0)
    assert [event.reason for event in events(receipt) if isinstance(event, Credited)] == [1, 2, 3]
    assert month.account(0).balance == balance + DEPOSIT + PADDING
    assert bond(site) == 2 * BOND_FLOOR - DEPOSIT - PADDING


def test_of_two_values_for_one_boundary_the_owner_pays_by_the_lower(site: Site) -> None:
    month = close_month(site, padding=0)
    lower = site.log.read(month.bills[1].lines[0].subject, 20261201, 1_000_000 + 300_000 + 100_000)
    site.accept(site.log)
    balance = month.account(1).balance
    month.open(1)
    month.answer(1)
    with refused("challenges: answer does not lower the charge"):
        month.answer(1)
    meter = month.bills[1].lines[0].subject
    month.indexes[meter, 20261201] = lower
    month.answer(1, by=site.stranger)
    right = cost(RESIDENTIAL, used=100_000, prior=300_000)
    assert month.challenge(1).charge == right
    assert month.status(1).reduction == month.bills[1].lines[0].amount - right
    assert month.account(1).balance == balance + DEPOSIT


def test_only_the_units_own_key_challenges_and_only_once(site: Site) -> None:
    month = close_month(site)
    with refused("challenges: key belongs to another unit"):
        month.open(0, signer=1)
    month.open(0)
    with refused("challenges: line was challenged"):
        month.open(0)


def test_a_challenge_comes_within_the_window(site: Site) -> None:
    month = close_month(site)
    site.chain.wait(WINDOW + 1)
    with refused("challenges: window is over"):
        month.open(0)


def test_a_challenge_needs_the_deposit(site: Site) -> None:
    month: Month = close_month(site)
    everything = month.account(1).balance
    signature = site.sign(1, Purpose.WITHDRAW, 1, everything, site.stranger, nonce=9)
    call = usage_fees.withdraw(site.usage_fees, amount=everything, recipient=site.stranger, signature=signature)
    site.chain.send(site.stranger, call)
    with refused("usage_fees: balance does not cover the deposit"):
        month.open(1)
