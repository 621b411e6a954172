"""Shares of caught fakes and alarmed honest visits, with how sure they are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import sqrt

from tests.fakes.scoring import PAYS_FROM, Outcome
from tests.fakes.visits import Kind

_Z = 1.959964  # 95 of 100


@dataclass(frozen=True, slots=True)
class Share:
    """So many of so many."""

    count: int
    of: int

    @property
    def rate(self) -> float:
        """From 0 to 1."""
        return self.count / self.of

    def interval(self) -> tuple[float, float]:
        """Between what the true share lies, 95 times of 100 (Wilson 1927)."""
        wide = 1 + _Z * _Z / self.of
        middle = (self.rate + _Z * _Z / (2 * self.of)) / wide
        reach = _Z * sqrt(self.rate * (1 - self.rate) / self.of + _Z * _Z / (4 * self.of * self.of)) / wide
        return max(0.0, middle - reach), min(1.0, middle + reach)

    def __str__(self) -> str:
        low, high = self.interval()
        return f"{self.count} of {self.of} (95 %: {low:.3f} to {high:.3f})"


@dataclass(frozen=True, slots=True)
class Score:
    """Counts over many cases."""

    outcomes: Sequence[Outcome]

    def caught(self, kind: Kind) -> Share:
        """Fakes of a class that were found out."""
        return self._share(kind, lambda one: one.is_caught)

    def all_caught(self) -> Share:
        """Of all fakes."""
        fakes = [one for one in self.outcomes if one.kind is not Kind.HONEST]
        return Share(sum(one.is_caught for one in fakes), len(fakes))

    def false_alarms(self) -> Share:
        """Honest visits that are not paid for, or about which a grave question is asked."""
        return self._share(Kind.HONEST, lambda one: one.is_alarmed)

    def false_doubts(self) -> Share:
        """Honest visits of which the machine doubts an item that was done."""
        return self._share(Kind.HONEST, lambda one: bool(one.doubted))

    def agreed(self) -> Share:
        """Honest visits on which the machine agrees in everything it can see."""
        return self._share(Kind.HONEST, lambda one: one.level > PAYS_FROM)

    def untold(self) -> Share:
        """Honest visits of which the machine could not tell, because it was silent."""
        return self._share(Kind.HONEST, lambda one: not one.is_heard and one.level < PAYS_FROM)

    def missed(self) -> Sequence[Outcome]:
        """What went wrong either way."""
        return [
            one for one in self.outcomes if (one.is_alarmed if one.kind is Kind.HONEST else not one.is_caught)
        ]  # fmt: skip

    def _share(self, kind: Kind, test: Callable[[Outcome], bool]) -> Share:
        found = [one for one in self.outcomes if one.kind is kind]
        return Share(sum(map(test, found)), len(found))
