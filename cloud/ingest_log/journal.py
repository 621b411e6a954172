"""The journal of a replicated deployment: heads and appends from the cluster, older entries from the store.

A gateway is answered when the cluster holds its batch on a majority of its nodes; the store gets it afterwards. What
the store alone can tell (a log that is in no message any more, entries before the newest message) is asked there, and
answered 503 while PostgreSQL is away.
"""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from cloud.errors import IngestLogError, IngestRefused
from cloud.ingest.journal import Appended, StoreJournal
from cloud.ingest.judgement import Content, Continuation, LogHead
from cloud.ingest.oddities import Oddity
from cloud.ingest.overlap import Fork
from cloud.ingest.quota import Bucket
from cloud.ingest.sealing import SealedGroup
from cloud.ingest_log.log import IngestLog, OtherRecord
from cloud.ingest_log.record import BATCH, FORK, Record, RecordError, encode_record
from cloud.store import Store
from cloud.store.away import STORE_ERRORS
from contracts.entry import ENTRY_BYTES
from contracts.tree import Frontier

__all__ = ["ReplicatedJournal"]

_PUBLISHING_MAX = 64  # batches at once
_ODDITIES_MAX = 1_024
_EMPTY = Frontier().to_bytes()  # the right edge of a log that has not begun
_PLACES_MAX = 65_536  # as many as heads are kept in memory


@dataclass(frozen=True, slots=True)
class _Place:
    """The last message of a log's subject, and the right edge that it leads to."""

    sequence: int  # 0 where there is none
    edge: bytes


class ReplicatedJournal:
    """One replica's view of the replicated log."""

    def __init__(self, log: IngestLog, store: Store) -> None:
        self._log = log
        self._store = StoreJournal(store)
        self._places: OrderedDict[str, _Place] = OrderedDict()
        self._publishing = asyncio.Semaphore(_PUBLISHING_MAX)
        self._oddities: deque[Oddity] = deque(maxlen=_ODDITIES_MAX)

    async def heads(self, origins: Collection[str], full: Bucket) -> Mapping[str, LogHead]:
        records = await self._records(origins)
        unheard = [origin for origin, record in records.items() if record is None]
        stored = await self._stored_heads(unheard, full, alone=len(origins) == 1)
        found = {origin: record.head for origin, record in records.items() if record is not None}
        for origin, head in {**found, **stored}.items():
            record = records[origin]
            edge = _EMPTY if head is None else head.frontier.to_bytes()
            self._remember(origin, _Place(0 if record is None else record.sequence, edge))
        return {origin: head for origin, head in {**found, **stored}.items() if head is not None}

    async def _records(self, origins: Collection[str]) -> Mapping[str, Record | None]:
        """The last record of each; of many, those that cannot be read are left out, and said when one asks alone."""
        asked = sorted(origins)
        answers = await asyncio.gather(*(self._last(origin) for origin in asked), return_exceptions=True)
        found: dict[str, Record | None] = {}
        for origin, answer in zip(asked, answers, strict=True):
            if not isinstance(answer, BaseException):
                found[origin] = answer
            elif len(asked) == 1 or not isinstance(answer, IngestRefused):
                raise answer
        return found

    async def _stored_heads(
        self, origins: Collection[str], full: Bucket, *, alone: bool
    ) -> Mapping[str, LogHead | None]:
        """As the store holds them; of many, none where it does not answer: nothing can be appended to those."""
        if not origins:
            return {}
        try:
            held = await self._store.heads(origins, full)
        except STORE_ERRORS as error:
            if alone:
                raise _store_away(error) from error
            return {}
        return {origin: held.get(origin) for origin in origins}

    def _remember(self, origin: str, place: _Place) -> None:
        self._places[origin] = place
        self._places.move_to_end(origin)
        while len(self._places) > _PLACES_MAX:
            self._places.popitem(last=False)

    async def newest_checkpoint(self, origin: str) -> tuple[int, str | None]:
        record = await self._last(origin)
        if record is not None and record.kind == BATCH and record.parts is not None:
            return record.parts.checkpoint.size, record.parts.note
        try:
            return await self._store.newest_checkpoint(origin)
        except STORE_ERRORS as error:
            raise _store_away(error) from error

    async def compare(self, content: Content, head: LogHead) -> Fork | None:
        record = await self._last(content.parts.checkpoint.origin)
        if record is not None and _repeats(content, record):
            return None
        try:
            return await self._store.compare(content, head)
        except STORE_ERRORS as error:
            raise _store_away(error) from error

    async def prepare(self, continuations: Sequence[Continuation]) -> None:
        """Nothing: what goes into the log is what came."""

    async def append(
        self,
        continuations: Sequence[Continuation],
        oddities: Sequence[Oddity],
        *,
        seen: Collection[int],
        now_ms: int,
        ahead: SealedGroup | None,
    ) -> Appended:
        by_log: dict[int, list[Continuation]] = {}
        for part in continuations:
            by_log.setdefault(part.head.log_id, []).append(part)
        moved: set[int] = set()
        failed: dict[int, str] = {}

        async def append_log(log_id: int, parts: Sequence[Continuation]) -> None:
            try:
                for part in parts:
                    await self._append(part)
            except OtherRecord:
                moved.add(log_id)
            except IngestLogError as error:
                failed[log_id] = str(error)

        async with asyncio.TaskGroup() as tasks:
            for log_id, parts in by_log.items():
                tasks.create_task(append_log(log_id, parts), name="publish")
        # Others than replays are seen again when the batch is stored; those of a batch that is lost, when it is sent.
        lost = {*moved, *failed}
        self._oddities.extend(one for one in oddities if one.kind == "replay" and one.log_id not in lost)
        return Appended(moved=moved, failed=failed)

    async def freeze(self, head: LogHead, fork: Fork, content: Content, says: str, *, now_ms: int) -> bool:
        """A message of its own: all replicas see the log frozen at one place, and each batch before it is stored."""
        place = self._places.get(head.origin)
        if place is None or place.edge != head.frontier.to_bytes():
            return False
        try:
            await self._publish(FORK, replace(head, frozen=says), content, place)
        except OtherRecord:
            return False
        except IngestLogError as error:
            raise _log_away(error) from error
        return True

    def take_oddities(self) -> list[Oddity]:
        """What was odd and is in no message: replays, for whoever writes into the store next."""
        taken = list(self._oddities)
        self._oddities.clear()
        return taken

    async def _append(self, part: Continuation) -> None:
        place = self._places.get(part.head.origin)
        if place is None or place.edge != part.before.frontier.to_bytes():
            raise OtherRecord
        await self._publish(BATCH, part.head, part.content, place)

    async def _publish(self, kind: str, head: LogHead, content: Content, place: _Place) -> None:
        headers, body = encode_record(kind, head, content, expected=place.sequence)
        origin = head.origin
        # Until it is known what became of it, nothing here may be judged upon what stood before.
        self._places.pop(origin, None)
        async with self._publishing:
            try:
                sequence = await self._log.publish(origin, headers, body)
            except OtherRecord:
                sequence = await self._ours(origin, headers["Nats-Msg-Id"])
        self._remember(origin, _Place(sequence, head.frontier.to_bytes()))

    async def _ours(self, origin: str, message_id: str) -> int:
        """The place of our own message, where only its answer was lost. Raises `OtherRecord` where it is another's."""
        try:
            record = await self._log.last(origin)
        except RecordError:
            record = None
        if record is None or record.message_id != message_id:
            raise OtherRecord
        return record.sequence

    async def _last(self, origin: str) -> Record | None:
        try:
            return await self._log.last(origin)
        except IngestLogError as error:
            raise _log_away(error) from error
        except RecordError as error:
            says = f"{error}; it is being set aside: send the batch again"
            raise IngestRefused(503, "busy", says, retry_after=2) from error


def _repeats(content: Content, record: Record) -> bool:
    """Whether what the batch shares with the newest message is the same there, and what it signs is no other root."""
    parts, newest = content.parts, record.parts
    if record.kind != BATCH or newest is None or parts.start < newest.start:
        return False
    end = newest.start + newest.count
    shared = parts.entries[: max(0, end - parts.start) * ENTRY_BYTES]
    at = (parts.start - newest.start) * ENTRY_BYTES
    if newest.entries[at : at + len(shared)] != shared:
        return False
    # A smaller size's root would have to be computed from what came before: the store's business.
    same = content.end == end and content.checkpoint.root == newest.checkpoint.root
    return same or content.end > end


def _log_away(error: Exception) -> IngestRefused:
    return IngestRefused(503, "busy", f"{error}; nothing was taken: send the batch again", retry_after=2)


def _store_away(error: Exception) -> IngestRefused:
    says = f"PostgreSQL does not answer ({type(error).__name__}) and what is held of this log stands only there"
    return IngestRefused(503, "busy", f"{says}; nothing was taken: send the batch again", retry_after=5)
