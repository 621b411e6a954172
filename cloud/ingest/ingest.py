"""Ingest: many gateways' batches in, one durable transaction for as many as are waiting, an answer after the commit.

Judging (parsing, hashing, one P-256 verification a batch) runs on the event loop while the previous group is being
written by the database; a group's answers leave only when its transaction is on disk. Heads of logs in memory are
copies of what the journal holds. Other processes may take batches of the same log: the journal compares each head with
what it holds before anything is appended, and what was judged upon an older one is judged again.
"""

import asyncio
import hashlib
import logging
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TypeVar

from cloud.errors import IngestRefused
from cloud.ingest.heads import Heads
from cloud.ingest.journal import Journal, StoreJournal
from cloud.ingest.judgement import Content, Continuation, LogHead, continue_log, read_content, read_opening
from cloud.ingest.keys import GatewayKey, KeyRing, KeyState
from cloud.ingest.oddities import Oddity, clock_oddities, replay_of
from cloud.ingest.overlap import Fork
from cloud.ingest.quota import Bucket, Quota
from cloud.ingest.sealing import SealedGroup
from cloud.ingest.writer import adopt_logs
from cloud.store import Store
from cloud.store.logs import log_number
from contracts.batch import BATCH_BYTES_MAX, BatchParts, split_batch
from contracts.checkpoint import SignedCheckpoint, is_log_origin, open_checkpoint
from contracts.clock import Clock
from contracts.errors import BatchError, BatchTooLargeError, CheckpointError, KeyFormatError, SignatureError
from contracts.tree import Frontier

__all__ = ["Ingest", "IngestLimits"]

_log = logging.getLogger("cloud.ingest")
Result = TypeVar("Result")
_JUDGED_MAX = 4  # times, while other processes continue the same log


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestLimits:
    """Admission control. Real seconds."""

    entries_per_second: float = 20_000.0  # a gateway, sustained
    burst_seconds: float = 5.0
    waiting_bytes_max: int = 64 * 1024 * 1024
    group_entries_max: int = 8_192  # of one transaction
    answer_seconds_max: float = 30.0


@dataclass(slots=True)
class _Job:
    origin: str
    token: bytes
    body: bytes
    answer: asyncio.Future[int]
    judged: int = 0  # times
    is_looked_up: bool = False  # whether its log's head was asked for, should the store hold one


@dataclass(slots=True)
class _Group:
    """What one transaction will hold, and who waits for it."""

    generation: int
    continuations: list[Continuation] = field(default_factory=list)
    answers: list[tuple[_Job, LogHead, int]] = field(default_factory=list)
    oddities: list[Oddity] = field(default_factory=list)
    entries: int = 0
    ahead: SealedGroup | None = None


def _real_now_ms() -> int:
    return time.time_ns() // 1_000_000


class Ingest:
    """Receives batches. `run` must be running for `submit` to be answered."""

    def __init__(
        self,
        *,
        store: Store,
        keys: KeyRing,
        clock: Clock,
        limits: IngestLimits,
        journal: Journal | None = None,
        claims: dict[str, bytes] | None = None,
        on_stored: Callable[[], None] = lambda: None,
        now_ms: Callable[[], int] = _real_now_ms,
    ) -> None:
        self._store, self._keys, self._clock, self._limits = store, keys, clock, limits
        self._journal = journal or StoreJournal(store)
        self._claims = claims
        self._on_stored = on_stored
        self._quota = Quota(limits.entries_per_second, limits.burst_seconds)
        self._now_ms = now_ms  # real time, which quotas count in
        self._heads = Heads(self._journal, lambda: self._quota.first(now_ms()))
        self._jobs: deque[_Job] = deque()
        self._arrived = asyncio.Event()
        self._waiting_bytes = 0
        self._writing: asyncio.Task[None] | None = None
        # Counts failed transactions: a group judged upon heads that were then rolled back must not be written.
        self._generation = 0
        self.refused: Counter[str] = Counter()
        self.accepted_entries = 0

    async def load(self) -> None:
        """Forget what is in memory, at start and after a failed write; heads are read when they are asked for."""
        self._heads.clear()
        async with self._store.write() as connection:
            await adopt_logs(connection)

    async def head(self, origin: str) -> LogHead | None:
        """What is held of a log; None where nothing is."""
        held = self._heads.get(origin)
        if held is None and is_log_origin(origin):
            held = await self._heads.newest(origin)
        return held

    async def stored_head(self, origin: str) -> tuple[int, str | None]:
        """Size and checkpoint note of a log as they are durable: (0, None) where nothing is."""
        return await self._journal.newest_checkpoint(origin)

    async def check_token(self, origin: str, token: bytes) -> None:
        """Whether `token` opens this gateway's log and mail.

        Raises:
            IngestRefused: 401 bad_token, 403 not_enrolled.
        """
        head = await self.head(origin)
        if head is None:
            raise self._refusal(
                403, "not_enrolled", f"{origin} has sent no first batch yet; enrol it, then let it send entry 0"
            )
        self._check_token(head, token)

    async def admit(self, origin: str, length: int | None, token: bytes) -> None:
        """Refuse what can be refused before the body is read.

        Args:
            length: the declared length of the body in bytes; None where it was not declared.

        Raises:
            IngestRefused: naming the reason.
        """
        if self._waiting_bytes + (length or 0) > self._limits.waiting_bytes_max:
            raise self._refusal(503, "busy", "too many batches are waiting; try again", retry_after=1)
        if not is_log_origin(origin):
            raise self._refusal(403, "unknown_gateway", f"{origin!r} is no log's name HOST/SITE/GATEWAY/eN")
        if self._keys.gateway_key(origin) is None:
            raise self._unknown(origin)
        head = await self.head(origin)
        self._check_admitted(origin, head, length, token)

    def _check_admitted(self, origin: str, head: LogHead | None, length: int | None, token: bytes) -> GatewayKey:
        """The Registry's key of a gateway that may send now."""
        held = head.size if head else 0
        key = self._keys.gateway_key(origin)
        if key is None:
            raise self._unknown(origin)
        if key.state is KeyState.REVOKED:
            raise self._refusal(
                403, "revoked", f"the key of {origin} is revoked in the Registry; open its next epoch", size=held
            )
        if key.state is KeyState.PENDING:
            raise self._refusal(
                403, "not_enrolled", f"the key of {origin} is not in force yet: its public delay runs", size=held
            )
        if length is not None and length > BATCH_BYTES_MAX:
            raise self._refusal(
                413, "too_large", f"{length} bytes; a batch has at most {BATCH_BYTES_MAX}: send smaller ones", size=held
            )
        if head is not None:
            self._check_token(head, token)
            self._check_frozen(head)
        return key

    def _unknown(self, origin: str) -> IngestRefused:
        return self._refusal(403, "unknown_gateway", f"the Registry knows no gateway {origin}; enrol it there first")

    def _check_token(self, head: LogHead, token: bytes) -> None:
        if hashlib.sha256(token).digest() != head.token_digest:
            says = f"the uplink token is not the one that {head.origin} declared in entry 0; send that one"
            raise self._refusal(401, "bad_token", says, size=head.size)

    async def submit(self, origin: str, token: bytes, body: bytes) -> int:
        """Store one batch. Returns the log's size once it is on disk.

        Raises:
            IngestRefused: nothing of the batch was stored; the message says what to do.
        """
        job = _Job(origin, token, body, asyncio.get_running_loop().create_future())
        self._waiting_bytes += len(body)
        self._enqueue(job)
        try:
            async with asyncio.timeout(self._limits.answer_seconds_max):
                return await job.answer
        except TimeoutError:
            raise self._refusal(
                503, "busy", "the store did not answer in time; send the batch again", retry_after=2
            ) from None
        finally:
            self._waiting_bytes -= len(body)

    async def run(self) -> None:
        """Judge and write groups for ever."""
        try:
            while True:
                group = await self._next_group()
                await self._prepare(group)
                await self._settle()
                if group.generation != self._generation:
                    self._answer_busy(group, "an earlier transaction failed")
                elif group.answers:
                    self._writing = asyncio.create_task(self._write(group), name="ingest write")
        finally:
            await self._settle()

    def _enqueue(self, job: _Job) -> None:
        self._jobs.append(job)
        self._arrived.set()

    async def _next_group(self) -> _Group:
        while not self._jobs:
            self._arrived.clear()
            await self._arrived.wait()
        group = _Group(generation=self._generation)
        while self._jobs and group.entries < self._limits.group_entries_max:
            job = self._jobs.popleft()
            if not job.answer.done():
                await self._judge(job, group)
            await asyncio.sleep(0)  # lets the group before this one be written, and others be received
            # While a group is being written there is no hurry to close this one: it can only be written afterwards.
            while not self._jobs and self._writing is not None and not self._writing.done():
                await asyncio.wait({self._writing}, timeout=0.002)
        return group

    async def _prepare(self, group: _Group) -> None:
        """What can be made ready of a group while the one before it is being written."""
        try:
            group.ahead = await self._journal.prepare(group.continuations)
        except Exception:  # noqa: BLE001 - writing will meet with the same, and answers it
            _log.debug("cloud: a group of %d batches is not made ready ahead", len(group.answers), exc_info=True)

    async def _look_up(self, job: _Job) -> LogHead | None:
        """The head of a job's log; all waiting jobs' logs that are not in memory are read at once."""
        if not job.is_looked_up and self._heads.get(job.origin) is None:
            missing = [one for one in (job, *self._jobs) if not one.is_looked_up]
            await self._heads.read({one.origin for one in missing})
            for one in missing:
                one.is_looked_up = True
        return self._heads.get(job.origin)

    async def _settle(self) -> None:
        """Wait for the group that is being written, if any."""
        if self._writing is not None:
            await self._writing
            self._writing = None

    async def _judge(self, job: _Job, group: _Group) -> None:
        job.judged += 1
        try:
            await self._accept(job, group)
        except IngestRefused as refusal:
            if not job.answer.done():
                job.answer.set_exception(refusal)
        except Exception as error:  # noqa: BLE001 - one broken batch must not end the ingest of all others
            _log.exception("cloud: batch of %s could not be judged", job.origin)
            if not job.answer.done():
                job.answer.set_exception(
                    self._refusal(503, "busy", f"could not be judged: {error}; try again", retry_after=5)
                )

    async def _accept(self, job: _Job, group: _Group) -> None:
        origin = job.origin
        head = await self._look_up(job)
        # Checked again: the Registry may have moved while the body waited.
        key = self._check_admitted(origin, head, len(job.body), job.token)
        parts = self._split(job, head.size if head else 0)
        signed = self._verify(origin, key, parts, head.size if head else 0)
        if parts.start > (head.size if head else 0):
            await self._settle()  # another process may have taken what is missing here
            head = await self._heads.newest(origin)
            self._check_admitted(origin, head, len(job.body), job.token)
        elif self._writing is not None and head is not None and parts.start < head.size:
            await self._settle()  # what it repeats is held only now, or was lost and forgotten
            head = self._heads.get(origin) or await self._heads.newest(origin)
            self._check_admitted(origin, head, len(job.body), job.token)
        held = head.size if head else 0
        if parts.start > held:
            says = f"{origin}: {held} entries are held, the batch begins at {parts.start}; send from {held}"
            raise self._refusal(409, "gap", says, size=held)
        content = self._read(parts, signed, held)
        if head is None:
            head = self._open(job, content)
        head = self._charge(head, parts.count)
        if head.is_stored and parts.start < held:
            await self._compare(content, head)
            group.oddities.append(replay_of(head, content))
        if content.checkpoint.size <= held:
            if group.generation == self._generation:  # else a head that was rolled back would come to stay
                self._heads.put(head)
        else:
            head = self._continue(content, head, signed, group)
        group.answers.append((job, head, max(held, content.end)))

    def _continue(self, content: Content, head: LogHead, signed: SignedCheckpoint, group: _Group) -> LogHead:
        continuation = self._count(lambda: continue_log(content, head, public=signed.public))
        group.continuations.append(continuation)
        group.entries += continuation.added
        group.oddities += clock_oddities(continuation, self._clock.now_ms())
        # The next batch of this log, maybe in this very group, continues from here.
        self._heads.put(continuation.head)
        return continuation.head

    def _charge(self, head: LogHead, entries: int) -> LogHead:
        """The head with the entries taken from its gateway's quota."""
        bucket = self._quota.take(head.bucket, entries, self._now_ms())
        if isinstance(bucket, Bucket):
            return replace(head, bucket=bucket)
        says = f"{head.origin} sends faster than its quota; slow down"
        raise self._refusal(429, "too_fast", says, size=head.size, retry_after=math.ceil(bucket))

    def _split(self, job: _Job, held: int) -> BatchParts:
        with self._translating(held):
            parts = split_batch(job.body)
        if parts.checkpoint.origin != job.origin:
            text = (
                f"the checkpoint is one of {parts.checkpoint.origin}, posted to {job.origin}; "
                "post each log to its own address"
            )
            raise self._refusal(422, "bad_signature", text, size=held)
        return parts

    @contextmanager
    def _translating(self, held: int) -> Iterator[None]:
        try:
            yield
        except BatchTooLargeError as error:
            raise self._refusal(413, "too_large", str(error), size=held) from error
        except BatchError as error:
            raise self._refusal(400, "malformed", str(error), size=held) from error

    def _verify(self, origin: str, key: GatewayKey, parts: BatchParts, held: int) -> SignedCheckpoint:
        try:
            return open_checkpoint(parts.note, key.public)
        except (CheckpointError, KeyFormatError, SignatureError) as error:
            text = f"{error}; sign with the key that the Registry holds for {origin}"
            raise self._refusal(422, "bad_signature", text, size=held) from error

    def _read(self, parts: BatchParts, signed: SignedCheckpoint, held: int) -> Content:
        with self._translating(held):
            return self._count(lambda: read_content(parts, signed, held=held))

    def _open(self, job: _Job, content: Content) -> LogHead:
        """The empty head of a log whose first batch this is."""
        opening = self._count(lambda: read_opening(content, origin=job.origin))
        if hashlib.sha256(job.token).digest() != opening.token_digest:
            raise self._refusal(
                401,
                "bad_token",
                f"the uplink token is not the one that {job.origin} declares in entry 0; send that one",
            )
        if self._claims is not None:
            expected = self._claims.get(job.origin)
            if expected != hashlib.sha256(opening.claim_code.encode()).digest():
                raise self._refusal(
                    403, "not_enrolled", f"the claim code of {job.origin} is not the one it was enrolled with"
                )
        return LogHead(
            log_id=log_number(job.origin),
            origin=job.origin,
            frontier=Frontier(),
            token_digest=opening.token_digest,
            frozen=None,
            bucket=self._quota.first(self._now_ms()),
            is_stored=False,
        )

    async def _compare(self, content: Content, head: LogHead) -> None:
        await self._settle()  # what is being written is part of what we hold
        try:
            fork = await self._journal.compare(content, head)
        except IngestRefused as refusal:
            self._heads.forget(head.origin)  # it may be of a group that was rolled back meanwhile
            self.refused[refusal.code] += 1
            raise
        if fork is not None:
            self._check_frozen(await self._freeze(head, fork, content))

    async def _freeze(self, head: LogHead, fork: Fork, content: Content) -> LogHead:
        """Stop taking this log, and keep both checkpoints for the report to the contract; the frozen head."""
        says = f"fork at entry {fork.index} ({fork.kind}); both checkpoints are kept"
        if not await self._journal.freeze(head, fork, content, says, now_ms=self._clock.now_ms()):
            self._heads.forget(head.origin)
            raise self._refusal(503, "busy", "this log is being continued; send the batch again", retry_after=1)
        frozen = replace(head, frozen=says)
        self._heads.put(frozen)
        _log.error("cloud: gateway %s frozen: %s", head.origin, says)
        self._on_stored()
        return frozen

    def _check_frozen(self, head: LogHead) -> None:
        if head.frozen:
            text = f"{head.origin} is frozen: {head.frozen}. Its next epoch must be opened in the Registry"
            raise self._refusal(409, "fork", text, size=head.size)

    async def _write(self, group: _Group) -> None:
        try:
            appended = await self._journal.append(
                group.continuations, group.oddities,
                seen={head.log_id for _job, head, _size in group.answers}, now_ms=self._clock.now_ms(),
                ahead=group.ahead,
            )  # fmt: skip
        except Exception as error:  # noqa: BLE001 - answered to every waiting gateway, which sends again
            _log.exception("cloud: a group of %d batches could not be written", len(group.answers))
            self._generation += 1
            self._heads.clear()
            self._answer_busy(group, f"could not be stored: {error}")
            return
        for job, head, size in group.answers:
            if head.log_id in appended.moved:
                self._judge_again(job)
            elif head.log_id in appended.failed:
                self._heads.forget(job.origin)
                self._answer_unknown(job, appended.failed[head.log_id])
            elif not job.answer.done():
                job.answer.set_result(size)
        lost = {*appended.moved, *appended.failed}
        self.accepted_entries += sum(one.added for one in group.continuations if one.head.log_id not in lost)
        self._on_stored()

    def _judge_again(self, job: _Job) -> None:
        """Another process has continued this job's log meanwhile."""
        self._heads.forget(job.origin)
        job.is_looked_up = False
        if job.judged < _JUDGED_MAX:
            self._enqueue(job)
        elif not job.answer.done():
            says = "other batches of this log came in between; send the batch again"
            job.answer.set_exception(self._refusal(503, "busy", says, retry_after=1))

    def _answer_busy(self, group: _Group, says: str) -> None:
        for job, _head, _size in group.answers:
            self._answer_unknown(job, says)

    def _answer_unknown(self, job: _Job, says: str) -> None:
        if not job.answer.done():
            job.answer.set_exception(self._refusal(503, "busy", f"{says}; send the batch again", retry_after=2))

    def _count(self, judge: Callable[[], Result]) -> Result:
        """`judge()`, counting its refusal."""
        try:
            return judge()
        except IngestRefused as refusal:
            self.refused[refusal.code] += 1
            raise

    def _refusal(
        self, status: int, code: str, message: str, *, size: int = 0, retry_after: int | None = None
    ) -> IngestRefused:
        self.refused[code] += 1
        return IngestRefused(status, code, message, size=size, retry_after=retry_after)
