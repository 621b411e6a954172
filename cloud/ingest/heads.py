"""Heads of logs in memory: copies of what the journal holds, so that a batch is judged without asking it.

A head that is missing is read; all that are missed at one time are read by one query. The memory is bounded: of more
logs than it holds, those that were not heard for longest are read again.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from cloud.ingest.journal import Journal
from cloud.ingest.judgement import LogHead
from cloud.ingest.quota import Bucket

__all__ = ["Heads"]

_HEADS_MAX = 65_536  # some 2 KB each


@dataclass(slots=True)
class _Question:
    """The logs that one query will ask for, and what became of it."""

    origins: set[str] = field(default_factory=set)
    found: Mapping[str, LogHead] | None = None
    error: Exception | None = None


class Heads:
    """The heads of the logs that were heard last.

    Args:
        full_bucket: the quota of a log that has none stored.
    """

    def __init__(self, journal: Journal, full_bucket: Callable[[], Bucket], *, heads_max: int = _HEADS_MAX) -> None:
        self._journal, self._full_bucket, self._heads_max = journal, full_bucket, heads_max
        self._heads: OrderedDict[str, LogHead] = OrderedDict()
        self._question = _Question()
        self._asking = asyncio.Lock()

    def get(self, origin: str) -> LogHead | None:
        """The head in memory."""
        return self._heads.get(origin)

    def put(self, head: LogHead) -> None:
        """Remember a head as the newest of its log."""
        self._heads[head.origin] = head
        self._heads.move_to_end(head.origin)
        while len(self._heads) > self._heads_max:
            self._heads.popitem(last=False)

    def forget(self, origin: str) -> None:
        """Read this log's head again when it is next asked for."""
        self._heads.pop(origin, None)

    def clear(self) -> None:
        """Forget all."""
        self._heads.clear()

    async def newest(self, origin: str) -> LogHead | None:
        """The head in memory, or the journal's where another process has come further; None where nothing is held.

        Who asks while another question is under way shares the next one.
        """
        question = self._question
        question.origins.add(origin)
        async with self._asking:
            if question.found is None and question.error is None:
                self._question = _Question()
                await self._ask(question)
        if question.error is not None:
            raise question.error
        return self._heads.get(origin) or (question.found or {}).get(origin)

    async def read(self, origins: Iterable[str]) -> None:
        """Bring those of these logs into memory that are held and not there yet."""
        question = _Question({origin for origin in origins if origin not in self._heads})
        if question.origins:
            await self._ask(question)
        if question.error is not None:
            raise question.error

    async def _ask(self, question: _Question) -> None:
        try:
            found = await self._journal.heads(question.origins, self._full_bucket())
        except Exception as error:  # noqa: BLE001 - told to everyone who shares the question
            question.error = error
            return
        for head in found.values():
            held = self._heads.get(head.origin)
            if held is None or head.size > held.size:
                self.put(head)
        question.found = found
