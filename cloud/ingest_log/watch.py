"""How the log stands, looked at again and again: for /metrics and /readyz, and to remove what need not be kept."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from cloud.ingest_log.log import IngestLog

__all__ = ["Standing", "Watch"]

_TRIM_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """The log as it was found last."""

    trouble: str | None  # why nothing can be appended
    waiting: int = 0  # batches that no consumer has taken yet
    unacknowledged: int = 0  # taken, and not committed yet
    set_aside: int = 0
    messages: int = 0
    bytes: int = 0
    lag_seconds: float = 0.0  # how long the oldest batch that is not in the store has been waiting

    @property
    def behind(self) -> int:
        """Batches that were acknowledged and are not in the store yet."""
        return self.waiting + self.unacknowledged


class Watch:
    """Looks and trims. `step` is a worker's."""

    def __init__(
        self,
        log: IngestLog,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._log, self._monotonic, self._now = log, monotonic, now
        self._found = Standing(trouble="not connected yet")
        self._trimmed_at = -_TRIM_SECONDS

    @property
    def standing(self) -> Standing:
        """As it was found last; what stops appends is as of now."""
        if self._log.trouble is None:
            return self._found
        return Standing(trouble=self._log.trouble, waiting=self._found.waiting, set_aside=self._found.set_aside)

    async def step(self) -> bool:
        """Look once. Raises `IngestLogError`."""
        await self._log.open()
        counts = await self._log.counts()
        self._found = Standing(
            trouble=None,
            lag_seconds=await self._lag_seconds(counts),
            **{key: counts[key] for key in ("waiting", "unacknowledged", "set_aside", "messages", "bytes")},
        )
        if self._monotonic() - self._trimmed_at >= _TRIM_SECONDS:
            self._trimmed_at = self._monotonic()
            await self._trim(counts)
        return False

    async def _lag_seconds(self, counts: Mapping[str, int]) -> float:
        if not counts["waiting"] + counts["unacknowledged"]:
            return 0.0
        oldest = await self._log.time_at(max(counts["stored"] + 1, counts["first"]))
        return 0.0 if oldest is None else max(0.0, (self._now() - oldest).total_seconds())

    async def _trim(self, counts: Mapping[str, int]) -> None:
        """Remove what is in the store: after a while, or at once where the log is half full."""
        settings, end = self._log.settings, counts["stored"] + 1
        if not counts["messages"] or end <= counts["first"]:
            return
        if counts["bytes"] < settings.bytes_max / 2:
            end = await self._first_since(self._now().timestamp() - settings.keep_seconds, counts["first"], end)
        if end > counts["first"]:
            await self._log.trim(end)

    async def _first_since(self, since: float, first: int, end: int) -> int:
        """The first place in [first, end) whose record is as young as `since`; `end` where none is. Places are in the
        order of their times.
        """
        while first < end:
            middle = (first + end) // 2
            at = await self._log.time_at(middle)
            if at is not None and at.timestamp() >= since:
                end = middle
            else:
                first = middle + 1
        return first
