"""Units' accounts, folded from the contract's events. tests/cloud/test_billing.py holds them against the contract."""

from cloud.chain.balances import Balances
from contracts.calls.usage_fees_events import (
    AccountClosed,
    BondChanged,
    ChallengeHeld,
    Credited,
    Debited,
    Moved,
    ToppedUp,
    Withdrawn,
)

DEPOSIT = 200
WHO = "0x" + "11" * 20
KEY = bytes(32)


def test_everything_that_moves_a_balance_is_told_by_an_event() -> None:
    balances = Balances()
    for event in (
        ToppedUp(unit_index=64, amount=10_000, payer=WHO),
        ToppedUp(unit_index=65, amount=5_000, payer=WHO),
        Withdrawn(unit_index=64, amount=1_000, to=WHO, key_id=KEY),
        Moved(unit_index=64, to_index=65, amount=500, key_id=KEY),
        Debited(period=1, first_index=64, paid_bits=1, amounts=(3_000, 0)),
        Credited(unit_index=64, amount=70, reason=3),
        BondChanged(bond=1),
    ):
        balances.take(event)
    assert [balances.of(unit, DEPOSIT) for unit in (63, 64, 65)] == [0, 5_570, 5_500]
    balances.take(AccountClosed(unit_index=65, period=1, amount=5_500, to=WHO))
    assert balances.of(65, DEPOSIT) == 0


def test_a_challenge_sets_its_deposit_aside_and_one_that_was_right_brings_it_back() -> None:
    balances = Balances()
    balances.take(ToppedUp(unit_index=1, amount=1_000, payer=WHO))
    balances.take(ChallengeHeld(period=1, unit_index=1))
    assert balances.of(1, DEPOSIT) == 800
    balances.take(Credited(unit_index=1, amount=DEPOSIT, reason=1))
    assert balances.of(1, DEPOSIT) == 1_000
