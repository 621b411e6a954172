"""Chance that repeats: numbers drawn from a seed and names, the same in every run."""

import hashlib

_END = 1 << 64


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
