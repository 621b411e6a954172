"""Ingest: many gateways' batches in, one durable transaction for as many as are waiting, an answer after the commit.

Judging (parsing, hashing, one P-256 verification a batch) runs on the event loop while the previous group is being
written by SQLite's thread; a group's answers leave only when its transaction is on disk. All state in memory is a copy
of committed rows and is thrown away when a transaction fails.
"""

import asyncio
import hashlib
import logging
import math
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sqlalchemy import insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.chain.intents import add_intent
from cloud.errors import IngestRefused
from cloud.ingest.judgement import Content, Continuation, LogHead, continue_log, read_content, read_opening
from cloud.ingest.keys import KeyRing, KeyState
from cloud.ingest.overlap import Fork, compare_with_held
from cloud.ingest.quota import Quota
from cloud.store import Store, insert_rows, tables
from cloud.super_log import SuperLog
from contracts.batch import BATCH_BYTES_MAX, Batch, decode_batch
from contracts.checkpoint import SignedCheckpoint, is_log_origin, open_checkpoint
from contracts.clock import Clock
from contracts.errors import BatchError, BatchTooLargeError, CheckpointError, KeyFormatError, SignatureError
from contracts.superlog import superlog_leaf
from contracts.tree import Frontier

__all__ = ["Ingest", "IngestLimits"]

_log = logging.getLogger("cloud.ingest")
Result = TypeVar("Result")


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


@dataclass(slots=True)
class _Group:
    """What one transaction will hold, and who waits for it."""

    generation: int
    continuations: list[Continuation] = field(default_factory=list)
    answers: list[tuple[_Job, int]] = field(default_factory=list)
    seen: dict[int, int] = field(default_factory=dict)

    @property
    def entries(self) -> int:
        return sum(len(continuation.entry_rows) for continuation in self.continuations)


class Ingest:
    """Receives batches. `run` must be running for `submit` to be answered."""

    def __init__(
        self,
        *,
        store: Store,
        keys: KeyRing,
        super_log: SuperLog,
        clock: Clock,
        limits: IngestLimits,
        claims: dict[str, bytes] | None = None,
        on_stored: Callable[[], None] = lambda: None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._keys, self._super, self._clock, self._limits = store, keys, super_log, clock, limits
        self._claims = claims
        self._on_stored = on_stored
        self._quota = Quota(limits.entries_per_second, burst_seconds=limits.burst_seconds, seconds=monotonic)
        self._heads: dict[str, LogHead] = {}
        self._next_log_id = 1
        self._jobs: asyncio.Queue[_Job] = asyncio.Queue()
        self._waiting_bytes = 0
        self._writing: asyncio.Task[None] | None = None
        # Counts failed transactions: a group judged upon heads that were then rolled back must not be written.
        self._generation = 0
        self.refused: Counter[str] = Counter()
        self.accepted_entries = 0

    async def load(self) -> None:
        """Read every log's right edge, at start and after a failed write."""
        heads: dict[str, LogHead] = {}
        async with self._store.read() as connection:
            for row in await connection.execute(select(tables.logs)):
                heads[row.origin] = LogHead(
                    log_id=row.log_id,
                    origin=row.origin,
                    frontier=Frontier.from_bytes(row.peaks),
                    token_digest=row.token_digest,
                    frozen=row.frozen,
                )
        self._heads = heads
        self._next_log_id = 1 + max((head.log_id for head in heads.values()), default=0)
        await self._super.load(self._store)

    def head(self, origin: str) -> LogHead | None:
        """What is held of a log; None where nothing is."""
        return self._heads.get(origin)

    async def stored_head(self, origin: str) -> tuple[int, str | None]:
        """Size and checkpoint note of a log as they are on disk: (0, None) where nothing is."""
        query = (
            select(tables.checkpoints.c.size, tables.checkpoints.c.note)
            .join(tables.logs, tables.logs.c.log_id == tables.checkpoints.c.log_id)
            .where(tables.logs.c.origin == origin)
            .order_by(tables.checkpoints.c.size.desc())
            .limit(1)
        )
        async with self._store.read() as connection:
            row = (await connection.execute(query)).one_or_none()
        return (0, None) if row is None else (row.size, row.note)

    def check_token(self, origin: str, token: bytes) -> None:
        """Whether `token` opens this gateway's log and mail.

        Raises:
            IngestRefused: 401 bad_token, 403 not_enrolled.
        """
        head = self._heads.get(origin)
        if head is None:
            raise self._refusal(
                403, "not_enrolled", f"{origin} has sent no first batch yet; enrol it, then let it send entry 0"
            )
        if hashlib.sha256(token).digest() != head.token_digest:
            raise self._refusal(
                401,
                "bad_token",
                f"the uplink token is not the one that {origin} declared in entry 0; send that one",
                size=head.size,
            )

    def admit(self, origin: str, length: int | None, token: bytes) -> None:
        """Refuse what can be refused before the body is read.

        Args:
            length: the declared length of the body in bytes; None where it was not declared.

        Raises:
            IngestRefused: naming the reason.
        """
        head = self._heads.get(origin)
        held = head.size if head else 0
        if not is_log_origin(origin):
            raise self._refusal(403, "unknown_gateway", f"{origin!r} is no log's name HOST/SITE/GATEWAY/eN")
        key = self._keys.gateway_key(origin)
        if key is None:
            raise self._refusal(
                403, "unknown_gateway", f"the Registry knows no gateway {origin}; enrol it there first", size=held
            )
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
            self.check_token(origin, token)
            self._check_frozen(head)
        if self._waiting_bytes > self._limits.waiting_bytes_max:
            raise self._refusal(503, "busy", "too many batches are waiting; try again", size=held, retry_after=1)

    async def submit(self, origin: str, token: bytes, body: bytes) -> int:
        """Store one batch. Returns the log's size once it is on disk.

        Raises:
            IngestRefused: nothing of the batch was stored; the message says what to do.
        """
        job = _Job(origin, token, body, asyncio.get_running_loop().create_future())
        self._waiting_bytes += len(body)
        self._jobs.put_nowait(job)
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
                await self._settle()
                if group.generation != self._generation:
                    self._answer_busy(group, "an earlier transaction failed")
                elif group.answers:
                    self._writing = asyncio.create_task(self._write(group), name="ingest write")
        finally:
            await self._settle()

    async def _next_group(self) -> _Group:
        job: _Job | None = await self._jobs.get()
        group = _Group(generation=self._generation)
        while job is not None:
            if not job.answer.done():
                await self._judge(job, group)
            if group.entries >= self._limits.group_entries_max:
                break
            await asyncio.sleep(0)  # lets the group before this one be written, and others be received
            # While a group is being written there is no hurry to close this one: it can only be written afterwards.
            while self._jobs.empty() and self._writing is not None and not self._writing.done():
                await asyncio.wait({self._writing}, timeout=0.002)
            job = None if self._jobs.empty() else self._jobs.get_nowait()
        return group

    async def _settle(self) -> None:
        """Wait for the group that is being written, if any."""
        if self._writing is not None:
            await self._writing
            self._writing = None

    async def _judge(self, job: _Job, group: _Group) -> None:
        try:
            size = await self._accept(job, group)
        except IngestRefused as refusal:
            if not job.answer.done():
                job.answer.set_exception(refusal)
        except Exception as error:  # noqa: BLE001 - one broken batch must not end the ingest of all others
            _log.exception("cloud: batch of %s could not be judged", job.origin)
            if not job.answer.done():
                job.answer.set_exception(
                    self._refusal(503, "busy", f"could not be judged: {error}; try again", retry_after=5)
                )
        else:
            group.answers.append((job, size))

    async def _accept(self, job: _Job, group: _Group) -> int:
        origin = job.origin
        self.admit(origin, len(job.body), job.token)  # again: the Registry may have moved while the body waited
        head = self._heads.get(origin)
        held = head.size if head else 0
        batch = self._decode(job, held)
        signed = self._verify(origin, batch, held)
        if batch.start > held:
            raise self._refusal(
                409,
                "gap",
                f"{origin}: {held} entries are held, the batch begins at {batch.start}; send from {held}",
                size=held,
            )
        wait = self._quota.wait_seconds(origin, batch.count)
        if wait:
            raise self._refusal(
                429,
                "too_fast",
                f"{origin} sends faster than its quota; slow down",
                size=held,
                retry_after=math.ceil(wait),
            )
        content = self._read(batch, signed, held)
        if head is None:
            head = self._open(job, content)
        elif batch.start < held:
            await self._compare(content, head)
            if content.checkpoint.size <= held:
                group.seen[head.log_id] = held
                return held
        continuation = self._count(
            lambda: continue_log(content, head, public=signed.public, token_digest=head.token_digest)
        )
        group.continuations.append(continuation)
        # The next batch of this log, maybe in this very group, continues from here.
        self._heads[origin] = replace(continuation.head, is_stored=True)
        return continuation.head.size

    def _decode(self, job: _Job, held: int) -> Batch:
        try:
            batch = decode_batch(job.body)
        except BatchTooLargeError as error:
            raise self._refusal(413, "too_large", str(error), size=held) from error
        except BatchError as error:
            raise self._refusal(400, "malformed", str(error), size=held) from error
        if batch.checkpoint.origin != job.origin:
            text = (
                f"the checkpoint is one of {batch.checkpoint.origin}, posted to {job.origin}; "
                "post each log to its own address"
            )
            raise self._refusal(422, "bad_signature", text, size=held)
        return batch

    def _verify(self, origin: str, batch: Batch, held: int) -> SignedCheckpoint:
        key = self._keys.gateway_key(origin)
        assert key is not None, "admitted"
        try:
            return open_checkpoint(batch.note, key.public)
        except (CheckpointError, KeyFormatError, SignatureError) as error:
            text = f"{error}; sign with the key that the Registry holds for {origin}"
            raise self._refusal(422, "bad_signature", text, size=held) from error

    def _read(self, batch: Batch, signed: SignedCheckpoint, held: int) -> Content:
        return self._count(lambda: read_content(batch, signed, held=held))

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
        head = LogHead(
            log_id=self._next_log_id,
            origin=job.origin,
            frontier=Frontier(),
            token_digest=opening.token_digest,
            frozen=None,
            is_stored=False,
        )
        self._next_log_id += 1
        return head

    async def _compare(self, content: Content, head: LogHead) -> None:
        await self._settle()  # what is being written is part of what we hold
        unwritten = self._heads[head.origin].size
        async with self._store.read() as connection:
            stored = await _stored_size(connection, head.log_id)
            if stored < min(unwritten, content.end):
                # The rest of it is in the group that is being judged now: let that be written first.
                raise self._refusal(
                    503, "busy", "an earlier batch of this log is being written; try again", size=stored, retry_after=1
                )
            try:
                fork = await compare_with_held(connection, content, head)
            except IngestRefused as refusal:
                self.refused[refusal.code] += 1
                raise
        if fork is not None:
            await self._freeze(head, fork)
            self._check_frozen(self._heads[head.origin])

    async def _freeze(self, head: LogHead, fork: Fork) -> None:
        """Stop taking this log, keep both checkpoints, and put the report to the contract into the outbox: one
        transaction.
        """
        says = f"fork at entry {fork.index} ({fork.kind}); both checkpoints are kept"
        now_ms = self._clock.now_ms()
        async with self._store.write() as connection:
            await connection.execute(update(tables.logs).where(tables.logs.c.log_id == head.log_id).values(frozen=says))
            kept = await connection.execute(
                insert(tables.forks).values(
                    log_id=head.log_id,
                    kind=fork.kind,
                    held_note=fork.held_note,
                    other_note=fork.other_note,
                    material=fork.material,
                    found_at_ms=now_ms,
                )
            )
            (fork_id,) = kept.inserted_primary_key or (0,)
            if fork.kind != "unproven":
                await add_intent(connection, f"fork:{head.origin}", "fork", {"fork_id": fork_id}, now_ms=now_ms)
        self._heads[head.origin] = replace(head, frozen=says)
        _log.error("cloud: gateway %s frozen: %s", head.origin, says)
        await self._store.notice(f"gateway {head.origin} frozen: {says}", at_ms=now_ms)
        self._on_stored()

    def _check_frozen(self, head: LogHead) -> None:
        if head.frozen:
            text = f"{head.origin} is frozen: {head.frozen}. Its next epoch must be opened in the Registry"
            raise self._refusal(409, "fork", text, size=head.size)

    async def _write(self, group: _Group) -> None:
        try:
            async with self._store.write() as connection:
                await self._write_rows(connection, group)
        except Exception as error:  # noqa: BLE001 - answered to every waiting gateway, which sends again
            _log.exception("cloud: a group of %d batches could not be written", len(group.answers))
            self._generation += 1
            await self.load()
            self._answer_busy(group, f"could not be stored: {error}")
            return
        self.accepted_entries += group.entries
        for job, size in group.answers:
            if not job.answer.done():
                job.answer.set_result(size)
        self._on_stored()

    def _answer_busy(self, group: _Group, says: str) -> None:
        for job, _size in group.answers:
            if not job.answer.done():
                job.answer.set_exception(self._refusal(503, "busy", f"{says}; send the batch again", retry_after=2))

    async def _write_rows(self, connection: AsyncConnection, group: _Group) -> None:
        now_ms = self._clock.now_ms()
        parts = group.continuations
        await insert_rows(connection, tables.entries, [row for part in parts for row in part.entry_rows])
        await insert_rows(connection, tables.nodes, [row for part in parts for row in part.node_rows])
        await insert_rows(connection, tables.boundaries, [row for part in parts for row in part.boundary_rows])
        if parts:
            leaves = [superlog_leaf(part.content.signed) for part in parts]
            first = await self._super.append(connection, leaves)
            checkpoint_rows = [
                (
                    part.head.log_id,
                    part.head.size,
                    part.content.checkpoint.root,
                    part.content.batch.note,
                    part.public,
                    now_ms,
                    first + at,
                )
                for at, part in enumerate(parts)
            ]
            await insert_rows(connection, tables.checkpoints, checkpoint_rows)
        latest = {part.head.origin: part.head for part in parts}
        opened = {part.head.origin for part in parts if not part.head.is_stored}
        for head in latest.values():
            await _write_head(connection, head, is_new=head.origin in opened, now_ms=now_ms)
        for log_id in group.seen:
            await connection.execute(
                update(tables.logs).where(tables.logs.c.log_id == log_id).values(last_seen_at_ms=now_ms)
            )

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


async def _stored_size(connection: AsyncConnection, log_id: int) -> int:
    query = select(tables.logs.c.size).where(tables.logs.c.log_id == log_id)
    return int((await connection.execute(query)).scalar_one_or_none() or 0)


async def _write_head(connection: AsyncConnection, head: LogHead, *, is_new: bool, now_ms: int) -> None:
    values = {"size": head.size, "peaks": head.frontier.to_bytes(), "last_seen_at_ms": now_ms}
    if is_new:
        await connection.execute(
            insert(tables.logs).values(
                log_id=head.log_id, origin=head.origin, token_digest=head.token_digest, opened_at_ms=now_ms, **values
            )
        )
    else:
        await connection.execute(update(tables.logs).where(tables.logs.c.log_id == head.log_id).values(values))
