"""Whose turn it is among the wishes that nothing was sent for: each gets one, however many wait or are refused.

A wish that must wait takes nobody's place, and one that a contract refuses is asked about less and less often. While
contracts refuse everything that is tried, wishes that came since are tried first: they may be of another kind.
"""

import time
from collections.abc import Callable, Sequence

from cloud.chain.outbox import Intent, Outbox

__all__ = ["Queue"]

_KNOWN_MAX = 10_000
_DOUBLINGS_MAX = 10
_PAUSE_SECONDS_MAX = 60.0


class Queue:
    """One sender's walk over the pending wishes, round and round by their numbers.

    Args:
        retry_seconds: how long a wish rests that was looked at; twice as long after each refusal, at most a minute.
    """

    def __init__(
        self, outbox: Outbox, *, retry_seconds: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._outbox, self._retry_seconds, self._monotonic = outbox, retry_seconds, monotonic
        self._after = 0  # the wish that was looked at last
        self._rests_until: dict[int, float] = {}
        self._refused: set[int] = set()  # wishes that contracts refused since they took one

    async def due(self, *, is_probing: bool) -> Sequence[Intent]:
        """The next wishes that may be looked at, none twice. `is_probing`: first those that came since."""
        page = await self._outbox.pending(after=self._after)
        if not page and self._after:
            self._after = 0
            page = await self._outbox.pending()
        newer: Sequence[Intent] = ()
        if is_probing and self._refused:
            newer = await self._outbox.pending(after=max(self._refused))
        due = {one.intent_id: one for one in (*reversed(newer), *page) if self._is_due(one)}
        if page and not due:
            self._after = page[-1].intent_id  # all of these rest: the next ones' turn
        return list(due.values())

    def looked_at(self, intent: Intent) -> None:
        """It rests for a while, and those behind it follow."""
        now = self._monotonic()
        if len(self._rests_until) > _KNOWN_MAX:
            self._rests_until = {one: until for one, until in self._rests_until.items() if until > now}
        pause = self._retry_seconds * 2 ** min(intent.failures, _DOUBLINGS_MAX)
        self._rests_until[intent.intent_id] = now + min(pause, max(_PAUSE_SECONDS_MAX, self._retry_seconds))
        self._after = intent.intent_id

    def refused(self, intent: Intent) -> int:
        """A contract refused it; how many different wishes were refused since one was taken."""
        self._refused.add(intent.intent_id)
        return len(self._refused)

    def taken(self) -> None:
        """A contract takes one."""
        self._refused.clear()

    def _is_due(self, intent: Intent) -> bool:
        return self._rests_until.get(intent.intent_id, 0.0) <= self._monotonic()
