"""Records judged upon what the store holds, into a group that one transaction will hold.

Every batch was judged when it was accepted. It is judged again, for the log is another program's and the store may have
come back from an older copy: signature, form and root must be what they were.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from cloud.errors import IngestRefused
from cloud.ingest.judgement import Content, Continuation, LogHead, continue_log, read_content
from cloud.ingest.keys import KeyRing
from cloud.ingest.oddities import Oddity, clock_oddities
from cloud.ingest.overlap import Fork, compare_with_held
from cloud.ingest.quota import Bucket
from cloud.ingest.writer import freeze_log, read_heads
from cloud.ingest_log.log import IngestLog
from cloud.ingest_log.record import BATCH, FORK, RESET, Record
from cloud.store import Store
from cloud.store.logs import log_number
from contracts.checkpoint import SignedCheckpoint, open_checkpoint
from contracts.clock import Clock
from contracts.errors import BatchError, CheckpointError, KeyFormatError, SignatureError
from contracts.tree import Frontier

__all__ = ["Group", "NotYet", "UnknownGateway", "Unstorable", "UponStore"]

_ELDERS_MAX = 64  # filled up in one transaction
_HEADS_MAX = 65_536  # some 2 KB each
_NO_QUOTA = Bucket(0.0, 0)


class Unstorable(Exception):
    """The record can never be stored as it stands; the reason."""


class NotYet(Exception):
    """The record's elders may still come."""


class UnknownGateway(Exception):
    """No key of its gateway is known here, yet or at all."""


@dataclass(slots=True)
class Group:
    """What one transaction will hold."""

    heads: dict[str, LogHead | None] = field(default_factory=dict)  # as they will be after it
    continuations: list[Continuation] = field(default_factory=list)
    oddities: list[Oddity] = field(default_factory=list)

    def continues(self, origin: str) -> bool:
        """Whether it holds a part of this log already."""
        return any(part.head.origin == origin for part in self.continuations)


class UponStore:
    """Judges records upon the store's heads, of which it keeps copies of committed rows."""

    def __init__(self, *, log: IngestLog, store: Store, keys: KeyRing, clock: Clock) -> None:
        self._log, self._store, self._keys, self._clock = log, store, keys, clock
        self._heads: OrderedDict[str, LogHead] = OrderedDict()

    def forget(self, origin: str | None = None) -> None:
        """Read this log's head, or all, anew when it is asked for."""
        if origin is None:
            self._heads.clear()
        else:
            self._heads.pop(origin, None)

    def keep(self, head: LogHead) -> None:
        """A head was committed."""
        self._heads[head.origin] = head
        self._heads.move_to_end(head.origin)
        while len(self._heads) > _HEADS_MAX:
            self._heads.popitem(last=False)

    async def look_up(self, records: Iterable[Record], group: Group) -> None:
        """Find the heads of these records' logs by one question: those that are not in memory, and those of logs that
        another replica has continued in the store.
        """
        first: dict[str, Record] = {}
        for record in records:
            first.setdefault(record.origin, record)
        asked = [
            origin
            for origin, record in first.items()
            if origin not in self._heads or _begins(record) > self._heads[origin].size
        ]
        if asked:
            async with self._store.read() as connection:
                found = await read_heads(connection, asked, _NO_QUOTA)
            for origin in asked:
                group.heads[origin] = found.get(origin)

    async def stored_head(self, origin: str) -> LogHead | None:
        """A log's head as it is on disk."""
        async with self._store.read() as connection:
            return (await read_heads(connection, [origin], _NO_QUOTA)).get(origin)

    async def take(self, record: Record, group: Group, *, with_elders: bool) -> None:
        """Judge a record into the group.

        Args:
            with_elders: whether elders that the store lacks are fetched from the log. Another replica may just be
                writing them; or it has died with them, or the database has come back from an older copy.

        Raises:
            NotYet: to be judged again later.
            UnknownGateway: to be judged again when this replica has followed the chain further.
            Unstorable: never to be stored.
            RecordError: an elder cannot be read.
            IngestLogError: the log does not answer.
        """
        head = await self._head(record.origin, group)
        if _begins(record) <= _size(head) or (head is not None and head.frozen):
            await self._judge(record, group)
            return
        if not with_elders:
            raise NotYet
        if not group.continues(record.origin):
            group.heads[record.origin] = head = await self.stored_head(record.origin)
        await self._take_chain(record, _size(head), group)

    async def _take_chain(self, record: Record, held: int, group: Group) -> None:
        """The record behind those that the store lacks, oldest first."""
        chain = [record]
        while _begins(chain[-1]) > held:
            chain.append(await self._elder(chain[-1]))
        for one in chain[::-1][:_ELDERS_MAX]:
            await self._judge(one, group)
        if len(chain) > _ELDERS_MAX:
            raise NotYet  # enough for one transaction; the record comes again and finds the rest

    async def _elder(self, record: Record) -> Record:
        elder = await self._log.at(record.previous) if record.previous else None
        if elder is None or elder.origin != record.origin:
            missing = f"entries before {_begins(record)} of {record.origin}"
            raise Unstorable(
                f"{missing} are neither in the store nor in the ingest log; their gateway sends them again"
            )
        if elder.kind != BATCH:
            raise Unstorable(f"it follows message {elder.sequence}, a {elder.kind} of {record.origin}")
        return elder

    async def _head(self, origin: str, group: Group) -> LogHead | None:
        if origin not in group.heads:
            group.heads[origin] = self._heads.get(origin) or await self.stored_head(origin)
        return group.heads[origin]

    async def _judge(self, record: Record, group: Group) -> None:
        if record.kind == RESET:
            return
        head = await self._head(record.origin, group)
        if record.kind == FORK and head is not None and head.frozen:
            return
        try:
            content = self._read(record, _size(head))
            head = head or _opened(record)
            if content.parts.start < head.size:
                await self._compare(record, content, head, group)
            if record.kind == BATCH and content.end > head.size:
                self._continue(record, content, head, group)
        except (BatchError, IngestRefused) as refusal:
            raise Unstorable(str(refusal)) from refusal

    def _read(self, record: Record, held: int) -> Content:
        assert record.parts is not None, "a batch or a fork"
        return read_content(record.parts, self._verify(record), held=held)

    def _verify(self, record: Record) -> SignedCheckpoint:
        key = self._keys.gateway_key(record.origin)
        if key is None:
            raise UnknownGateway(f"the Registry knows no gateway {record.origin}")
        if key.public != record.public:
            raise Unstorable(f"its checkpoint was verified with a key that the Registry does not give {record.origin}")
        assert record.parts is not None, "a batch or a fork"
        try:
            return open_checkpoint(record.parts.note, record.public)
        except (CheckpointError, KeyFormatError, SignatureError) as error:
            raise Unstorable(str(error)) from error

    async def _compare(self, record: Record, content: Content, head: LogHead, group: Group) -> None:
        """What the record shares with the store must be the same there; or the log is frozen, as the record says or as
        nobody knew.
        """
        if group.continues(record.origin):
            raise NotYet  # what it overlaps may be in this very group: when that is written
        async with self._store.read() as connection:
            fork = await compare_with_held(connection, content, head)
        if fork is not None:
            await self._freeze(head, fork, group)
        if (record.kind == FORK) != (fork is not None):
            raise Unstorable("the store holds another history" if fork else "it says fork, but agrees with the store")

    async def _freeze(self, head: LogHead, fork: Fork, group: Group) -> None:
        says = f"fork at entry {fork.index} ({fork.kind}); both checkpoints are kept"
        now_ms = self._clock.now_ms()
        await freeze_log(self._store, head, fork, says, now_ms=now_ms)
        await self._store.notice(f"gateway {head.origin} frozen: {says}", at_ms=now_ms)
        self.forget(head.origin)
        group.heads.pop(head.origin, None)

    def _continue(self, record: Record, content: Content, head: LogHead, group: Group) -> None:
        if head.frozen:
            raise Unstorable(f"{head.origin} is frozen: {head.frozen}")
        assert record.head is not None, "decoded"
        continuation = continue_log(content, head, public=content.signed.public)
        continuation = replace(continuation, head=replace(continuation.head, bucket=record.head.bucket))
        group.continuations.append(continuation)
        group.oddities += clock_oddities(continuation, self._clock.now_ms())
        group.heads[record.origin] = continuation.head


def _begins(record: Record) -> int:
    """How much the store must hold before the record's turn: of a fork, all that was accepted before it."""
    if record.parts is None:
        return 0
    return record.parts.start if record.kind == BATCH or record.head is None else record.head.size


def _size(head: LogHead | None) -> int:
    return 0 if head is None else head.size


def _opened(record: Record) -> LogHead:
    """The empty head of a log that the store does not hold yet."""
    assert record.head is not None, "decoded"
    return LogHead(
        log_id=log_number(record.origin), origin=record.origin, frontier=Frontier(),
        token_digest=record.head.token_digest, frozen=None, bucket=record.head.bucket, is_stored=False,
    )  # fmt: skip
