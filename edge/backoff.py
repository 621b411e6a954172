"""How long to wait before the next attempt: doubling, capped, jittered; one per link."""

import random


class Backoff:
    """Waits of `first` to `most` seconds, each drawn between half and one and a half times its step."""

    def __init__(self, first: float, most: float, rng: random.Random) -> None:
        self._first = first
        self._most = most
        self._rng = rng
        self._step = first

    def reset(self) -> None:
        self._step = self._first

    def next_seconds(self) -> float:
        """The next wait; a city's gateways must not return at once after an outage."""
        step, self._step = self._step, min(self._step * 2, self._most)
        return min(step * (0.5 + self._rng.random()), self._most)
