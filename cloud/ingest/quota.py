"""How much one gateway may send: a token bucket whose level is stored with the log's head, so that all workers and
replicas share it.
"""

from dataclasses import dataclass

__all__ = ["Bucket", "Quota"]


@dataclass(frozen=True, slots=True)
class Bucket:
    """What a gateway may still send at once, as of a moment."""

    level: float  # entries
    at_ms: int  # since 1970 UTC


@dataclass(frozen=True, slots=True)
class Quota:
    """Entries per second for each gateway, with a burst of `burst_seconds`. Real seconds."""

    entries_per_second: float
    burst_seconds: float

    @property
    def _full(self) -> float:
        return self.entries_per_second * self.burst_seconds

    def first(self, now_ms: int) -> Bucket:
        """The full bucket of a log that begins."""
        return Bucket(self._full, now_ms)

    def take(self, bucket: Bucket, entries: int, now_ms: int) -> Bucket | float:
        """The bucket without `entries`; or, where they do not fit, the seconds after which to try again."""
        elapsed_seconds = max(0, now_ms - bucket.at_ms) / 1000
        level = min(self._full, bucket.level + elapsed_seconds * self.entries_per_second)
        # A batch larger than the whole bucket passes once the bucket is full: it must be able to pass some time.
        needed = min(entries, self._full)
        if level < needed:
            return (needed - level) / self.entries_per_second
        return Bucket(level - entries, now_ms)
