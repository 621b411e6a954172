"""Sends the log to the cloud: contiguous batches, each ending exactly at a checkpoint, until the cloud holds it all.

No session and no state but the size that the cloud says it holds: whatever is lost on the way is asked for again. The
first thing after every start is the cloud's head, without which the signer signs nothing.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from contracts.batch import BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, encode_batch
from edge.backoff import Backoff
from edge.committer import Committer, Submission
from edge.errors import StoreError, UplinkError
from edge.head_check import HeadSeen, Verdict, judge_head
from edge.log_reader import LogReader
from edge.uplink import Answer, Uplink

_IDLE_SECONDS = 30.0
_ASK_AGAIN = ("fork", "gap", "wrong_root", "bad_signature")
_log = logging.getLogger("edge.forwarder")


class Forwarder:
    """Owns the uplink's sending side."""

    def __init__(
        self, uplink: Uplink, committer: Committer, public: bytes, rng: random.Random,
        open_next_epoch: Callable[[HeadSeen], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._uplink = uplink
        self._committer = committer
        self._public = public
        self._open_next_epoch = open_next_epoch
        self._backoff = Backoff(0.2, 60.0, rng)
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self.uploaded = 0
        self.batches = 0
        self.state = "waiting_for_head"
        self.last_error = ""

    def checkpoint_made(self) -> None:
        """Called in the writer thread."""
        if not self._news.is_set():
            self._loop.call_soon_threadsafe(self._news.set)

    async def run(self) -> None:
        """Forward until cancelled; the cloud's absence never ends it."""
        while True:
            try:
                await self._one_epoch()
            except (UplinkError, StoreError) as error:
                self._complain(str(error))
                await asyncio.sleep(self._backoff.next_seconds())

    async def _one_epoch(self) -> None:
        origin = self._committer.store.origin
        reader = self._committer.store.reader()
        try:
            if not await self._learn_head(origin, reader):
                return
            while self._committer.store.origin == origin:
                self._news.clear()
                if await self._send_next(origin, reader):
                    continue
                try:
                    async with asyncio.timeout(_IDLE_SECONDS):
                        await self._news.wait()
                except TimeoutError:
                    continue
        finally:
            reader.close()

    async def _learn_head(self, origin: str, reader: LogReader) -> bool:
        """Ask for the head until it tells what to do; whether this epoch goes on."""
        while True:
            head = await self._uplink.head(origin)
            seen = await asyncio.to_thread(judge_head, head, origin, self._public, reader)
            if seen.verdict is Verdict.NEW_EPOCH:
                await self._open_next_epoch(seen)
                return False
            if seen.verdict is Verdict.SIGN:
                self._set_uploaded(seen.size)
                self.state, self.last_error = "running", ""
                await asyncio.wrap_future(self._committer.call(self._permit))
                return True
            self._complain(seen.says)
            await asyncio.sleep(self._backoff.next_seconds())

    def _permit(self) -> None:
        """In the writer thread: from here on the signer signs."""
        signer = self._committer.signer
        signer.signed_size = max(signer.signed_size, self.uploaded)
        signer.permitted = True

    async def _send_next(self, origin: str, reader: LogReader) -> bool:
        """Send one batch if there is one; whether more may follow at once."""
        batch = await asyncio.to_thread(self._next_batch, reader)
        if batch is None:
            return False
        answer = await self._uplink.post_batch(origin, batch)
        self.batches += 1
        if answer.status == 200 and answer.size is not None and answer.size <= self._committer.signer.signed_size:
            before = self.uploaded
            self._set_uploaded(answer.size)
            if answer.size <= before:
                self._complain(f"cloud was sent entries from {before} on and says that it holds {answer.size}")
                await asyncio.sleep(self._backoff.next_seconds())  # else it is sent them again and again at full speed
                return True
            self._backoff.reset()
            self.state, self.last_error = "running", ""
            return True
        return await self._refused(origin, reader, answer)

    def _next_batch(self, reader: LogReader) -> bytes | None:
        """The largest batch from what the cloud holds up to a checkpoint, within the limits."""
        start, entries_max = self.uploaded, BATCH_ENTRIES_MAX
        while entries_max:
            checkpoint = reader.checkpoint_for(start, start + entries_max)
            if checkpoint is None or checkpoint.note is None:
                return None
            rows = reader.rows(start, checkpoint.size)
            if sum(len(row[0]) + len(row[1]) + 2 for row in rows) < BATCH_BYTES_MAX - 65_536:
                return encode_batch(start, checkpoint.note, b"".join(row[0] for row in rows), [row[1] for row in rows])
            entries_max = (checkpoint.size - start) // 2
        return None

    async def _refused(self, origin: str, reader: LogReader, answer: Answer) -> bool:
        if answer.status == 200:
            self._complain(f"cloud says that it holds {answer.size} entries, which were never signed; asking again")
            await asyncio.sleep(self._backoff.next_seconds())
            return await self._learn_head(origin, reader)
        self._complain(f"cloud refused with {answer.status} {answer.error}: {answer.message}")
        if answer.error == "revoked":
            self._committer.signer.revoked = True
            self.state = "revoked"
        await asyncio.sleep(max(self._backoff.next_seconds(), answer.retry_after_s or 0.0))
        return await self._learn_head(origin, reader) if answer.error in _ASK_AGAIN else True

    def _set_uploaded(self, size: int) -> None:
        """Remember what the cloud holds; it may shrink if the cloud lost its memory, and is then sent again."""
        if size != self.uploaded:
            self.uploaded = size
            state = {"uploaded": str(size).encode()}
            self._committer.submit(Submission((), states=state))

    def _complain(self, says: str) -> None:
        if says != self.last_error:
            _log.warning("%s", says)
        self.last_error = says
