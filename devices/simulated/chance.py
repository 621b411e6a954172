"""Chance that repeats: numbers drawn from a seed and names, the same in every run."""

import hashlib
from collections.abc import Sequence
from random import Random
from typing import TypeVar

_END = 1 << 64
_Choice = TypeVar("_Choice")


def draw(seed: int, *names: object) -> int:
    """A number from 0 to below 2^64, decided by the seed and the names."""
    text = "\x1f".join(map(str, (seed, *names)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def share(seed: int, *names: object) -> float:
    """A number from 0 to below 1."""
    return draw(seed, *names) / _END


def between(low: int, high: int, seed: int, *names: object) -> int:
    """A whole number from `low` to `high`, both possible."""
    return low + draw(seed, *names) % (high - low + 1)


class Chance:
    """A stream of numbers that repeats from its seed, for what is too much to name draw by draw.

    Only `random()` of the standard library is used: it alone promises the same numbers in every version of Python.
    """

    def __init__(self, seed: int, *names: object) -> None:
        self._next = Random(draw(seed, *names)).random

    def share(self) -> float:
        """From 0 to below 1."""
        return self._next()

    def happens(self, probability: float) -> bool:
        """True as often as that."""
        return self._next() < probability

    def between(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both possible."""
        return low + int(self._next() * (high - low + 1))

    def bell(self, spread: int, *, limit: int) -> int:
        """Around zero with that standard deviation, never beyond `limit` either way."""
        drawn = round((sum(self._next() for _ in range(12)) - 6) * spread)
        return max(-limit, min(limit, drawn))

    def one_of(self, choices: Sequence[_Choice]) -> _Choice:
        """Any of them."""
        return choices[int(self._next() * len(choices))]

    def some_of(self, choices: Sequence[_Choice], count: int) -> list[_Choice]:
        """So many different ones, or all if there are fewer, in the order drawn."""
        left = list(choices)
        return [left.pop(int(self._next() * len(left))) for _ in range(min(count, len(left)))]
