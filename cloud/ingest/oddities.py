"""What is odd about a batch but no reason to refuse it: kept in `anomalies` and shown, for people to look into."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cloud.ingest.judgement import Content, Continuation, LogHead

__all__ = ["Oddity", "clock_oddities", "replay_of"]

_TOLERANCE_MS = 10 * 60_000  # beyond which entries are time-suspect (docs/formats.md)


@dataclass(frozen=True, slots=True)
class Oddity:
    """One finding in one batch of one log."""

    log_id: int
    kind: str  # replay, clock_ahead, clock_back
    says: str


def replay_of(head: LogHead, content: Content) -> Oddity:
    """The batch begins before the log's end; what overlaps is the same as what is held. Once in a while that is a lost
    answer; often, a restored or copied gateway.
    """
    last = min(head.size, content.end) - 1
    return Oddity(head.log_id, "replay", f"entries {content.parts.start} to {last} were sent again")


def clock_oddities(continuation: Continuation, now_ms: int) -> Iterator[Oddity]:
    """Entries from the future, and time that runs backwards within a batch."""
    at_ms = continuation.content.columns.observed_at_ms[continuation.skipped :]
    first, log_id = continuation.before.size, continuation.head.log_id
    latest = int(at_ms.argmax())
    ahead_ms = int(at_ms[latest]) - now_ms
    if ahead_ms > _TOLERANCE_MS:
        says = f"entry {first + latest} is {ahead_ms // 1000} s ahead of the cloud's clock; check NTP at the gateway"
        yield Oddity(log_id, "clock_ahead", says)
    if len(at_ms) < 2:
        return
    steps = np.diff(at_ms)
    lowest = int(steps.argmin())
    if int(steps[lowest]) < -_TOLERANCE_MS:
        says = f"entry {first + lowest + 1} is {-int(steps[lowest]) // 1000} s before the one that it follows"
        yield Oddity(log_id, "clock_back", says)
