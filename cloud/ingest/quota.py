"""How much one gateway may send: a token bucket over real, monotonic seconds."""

from collections.abc import Callable

__all__ = ["Quota"]


class Quota:
    """Entries per second for each origin, with a burst of `burst_seconds`."""

    def __init__(self, entries_per_second: float, *, burst_seconds: float, seconds: Callable[[], float]) -> None:
        self._rate = entries_per_second
        self._burst = entries_per_second * burst_seconds
        self._seconds = seconds
        self._levels: dict[str, tuple[float, float]] = {}

    def wait_seconds(self, origin: str, entries: int) -> float:
        """Take `entries` from the bucket; 0.0 when they fit, else the seconds after which to try again (nothing is
        taken).
        """
        now = self._seconds()
        level, at = self._levels.get(origin, (self._burst, now))
        level = min(self._burst, level + (now - at) * self._rate)
        # A batch larger than the whole bucket passes once the bucket is full: it must be able to pass some time.
        needed = min(entries, self._burst)
        if level < needed:
            self._levels[origin] = (level, now)
            return (needed - level) / self._rate
        self._levels[origin] = (level - entries, now)
        return 0.0
