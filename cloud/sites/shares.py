"""A bounded number of places that several holders share, so that none of them can take the others' part."""

from collections import Counter

__all__ = ["Shares"]


class Shares:
    """Half of all places belong to the holders in equal parts; the other half goes to whoever comes first."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._held: Counter[str] = Counter()
        self.holders = 1

    @property
    def own(self) -> int:
        """The places that a holder gets whatever the others do."""
        return self._places // 2 // max(1, self.holders)

    def held(self, holder: str) -> int:
        """How many a holder has now."""
        return self._held[holder]

    def take(self, holder: str) -> bool:
        """One more place; False where there is none for this holder."""
        if self._held[holder] >= self.own and self._common_taken() >= self._places - self.own * self.holders:
            return False
        self._held[holder] += 1
        return True

    def give_back(self, holder: str) -> None:
        """One place that was taken."""
        self._held[holder] -= 1
        if not self._held[holder]:
            del self._held[holder]

    def _common_taken(self) -> int:
        own = self.own
        return sum(max(0, count - own) for count in self._held.values())
