"""Keys that are kept ready, fewer than there may be.

Meters report in turn, so that what was used longest ago is what comes next: whoever let that go for each newcomer would
find nothing at all once there are more devices than places. Here most newcomers are not kept while it is full, so that
of a round that is larger the greater part of the places is met with again; and what is not used any more is gone after
some rounds.
"""

from collections.abc import Collection, Iterable
from typing import Generic, TypeVar

__all__ = ["KeysAtHand"]

Name = TypeVar("Name")
Key = TypeVar("Key")

_KEPT_OF_NEWCOMERS = 16  # one of so many, while it is full


class KeysAtHand(Generic[Name, Key]):
    """At most `count_max` keys by their names."""

    def __init__(self, count_max: int) -> None:
        self._count_max = count_max
        self._keys: dict[Name, Key] = {}
        self._newcomers = 0

    def __len__(self) -> int:
        return len(self._keys)

    def find(self, names: Collection[Name]) -> dict[Name, Key]:
        """Those of these that are at hand."""
        return {name: self._keys[name] for name in names if name in self._keys}

    def keep(self, fresh: Iterable[tuple[Name, Key]]) -> None:
        """All of them while there is room; then some, each in the place of the one that has been here for longest."""
        for name, key in fresh:
            if len(self._keys) >= self._count_max:
                self._newcomers += 1
                if self._newcomers % _KEPT_OF_NEWCOMERS:
                    continue
                del self._keys[next(iter(self._keys))]
            self._keys[name] = key

    def clear(self) -> None:
        self._keys.clear()
