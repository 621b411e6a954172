"""Units' prepaid accounts, folded from what UsageFees says: its events alone tell each of them to the fen."""

from collections import Counter

from contracts.calls.usage_fees_events import (
    AccountClosed,
    ChallengeHeld,
    Credited,
    Debited,
    Moved,
    ToppedUp,
    Withdrawn,
)

__all__ = ["Balances"]


class Balances:
    """What each unit has on its account, by unit index."""

    def __init__(self) -> None:
        self._paid_in: Counter[int] = Counter()  # fen, before the deposits of challenges
        self._deposits: Counter[int] = Counter()  # how many challenges set one aside; one that comes back is `Credited`

    def of(self, unit_index: int, deposit: int) -> int:
        """Fen of a unit's account.

        Args:
            deposit: fen that a challenge sets aside: fixed at deployment, so the event does not say it.
        """
        return self._paid_in[unit_index] - self._deposits[unit_index] * deposit

    def take(self, event: object) -> None:
        """One more event, in the order of the chain; those that move no balance are let pass."""
        match event:
            case ToppedUp(unit_index=index, amount=amount) | Credited(unit_index=index, amount=amount):
                self._paid_in[index] += amount
            case Withdrawn(unit_index=index, amount=amount) | AccountClosed(unit_index=index, amount=amount):
                self._paid_in[index] -= amount
            case Moved(unit_index=index, to_index=other, amount=amount):
                self._paid_in[index] -= amount
                self._paid_in[other] += amount
            case Debited(first_index=first, amounts=amounts):
                for index, amount in enumerate(amounts, first):
                    self._paid_in[index] -= amount
            case ChallengeHeld(unit_index=index):
                self._deposits[index] += 1
