"""Shows the super-log's newest head to each witness, and keeps what they cosign (C2SP tlog-witness, the log's side).

Each witness is asked by a worker of its own, so that a slow or hostile one holds up nobody. A head stays the newest
until enough have cosigned it (`cloud.chain.anchoring`), so that slow witnesses meet at the same one.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Sequence
from functools import cache

import httpx
from sqlalchemy import delete, func, insert, select

from cloud.cosigners import Cosigner, Cosigners
from cloud.errors import CloudError
from cloud.store import Store, tables
from cloud.store.trees import SuperTree, walk
from cloud.super_log import SignedHead, SuperLog
from cloud.workers import Worker
from contracts.clock import Clock
from contracts.errors import CheckpointError, NoteError, SignatureError
from contracts.note import NOTE_BYTES_MAX, format_signature_line, parse_note, parse_signature_lines
from contracts.superlog import verify_cosignatures
from contracts.tree import SIZE_END, consistency_path
from contracts.witness import AddCheckpoint, encode_add_checkpoint

__all__ = ["WitnessClient", "WitnessFailure", "witness_workers"]

_log = logging.getLogger("cloud.witnesses")
_POLL_SECONDS = 0.25
_SAID_MAX = 200
_NOTICE_SECONDS = 3_600.0  # between two notices about one witness


@cache
def _authorities() -> ssl.SSLContext:
    """Whose certificates count; read once, for that costs more than a question."""
    return httpx.create_ssl_context()


class WitnessFailure(CloudError):
    """A witness did not cosign; `is_grave` where that says something of our history, not of its health."""

    def __init__(self, says: str, *, is_grave: bool = False) -> None:
        super().__init__(says)
        self.is_grave = is_grave


class WitnessClient:
    """Asks one witness for its cosignature of each newest head."""

    def __init__(
        self,
        *,
        store: Store,
        super_log: SuperLog,
        cosigner: Cosigner,
        clock: Clock,
        retry_seconds: float,
        timeout_seconds: float,
        transport: httpx.AsyncBaseTransport | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._super, self._cosigner, self._clock = store, super_log, cosigner, clock
        self._retry_seconds, self._timeout_seconds = retry_seconds, timeout_seconds
        self._transport, self._monotonic = transport, monotonic
        self._known: int | None = None  # the size that it cosigned last, as far as we know
        self._try_at = -1e9
        self._said: str | None = None
        self._notice_at = -1e9

    async def step(self) -> bool:
        """Ask for the newest head, unless it is cosigned or the witness was asked a moment ago."""
        if self._monotonic() < self._try_at:
            return False
        if self._known is None:
            self._known = await self._stored_size()
        if self._known == await self._super.signed_size(self._store):
            return False
        head = await self._super.latest(self._store)
        assert head is not None, "a head was signed"
        try:
            async with asyncio.timeout(self._timeout_seconds):
                line, signed_at_s = await self._cosigned(head)
        except TimeoutError:
            await self._failed(WitnessFailure(f"did not answer within {self._timeout_seconds:g} s; is it overloaded?"))
            return False
        except WitnessFailure as failure:
            await self._failed(failure)
            return False
        await self._keep(head.size, line, signed_at_s)
        return True

    async def _cosigned(self, head: SignedHead) -> tuple[str, int]:
        """The witness's line over a head and its time. Raises `WitnessFailure`."""
        assert self._known is not None
        old_size = self._known if self._known <= head.size else 0
        status, text = await self._ask(head, old_size)
        if status == 409:
            old_size = self._size_in(text, head)
            status, text = await self._ask(head, old_size)
        if status != 200:
            raise self._refusal(status, text, old_size)
        return self._line_in(text, head)

    async def _ask(self, head: SignedHead, old_size: int) -> tuple[int, str]:
        """Status and text of one request, the text cut where it is larger than any right answer."""
        path: list[bytes] = []
        if 0 < old_size < head.size:
            async with self._store.read() as connection:
                path = await walk(connection, SuperTree(), lambda node: consistency_path(node, old_size, head.size))
        body = encode_add_checkpoint(AddCheckpoint(old_size=old_size, proof=tuple(path), note=head.own_note))
        try:
            async with (
                self._connection() as http,
                http.stream("POST", f"{self._cosigner.url}/add-checkpoint", content=body) as answer,
            ):
                read = bytearray()
                async for part in answer.aiter_bytes():
                    read += part
                    if len(read) > NOTE_BYTES_MAX:
                        raise WitnessFailure(
                            f"answered with over {NOTE_BYTES_MAX} bytes; ask its keeper what runs there"
                        )
                return answer.status_code, read.decode()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise WitnessFailure(
                f"cannot be reached at {self._cosigner.url}: {str(error) or type(error).__name__}; "
                "ask its keeper whether it runs"
            ) from error
        except UnicodeDecodeError as error:
            raise WitnessFailure("answered with what is no text; ask its keeper what runs there") from error

    def _connection(self) -> httpx.AsyncClient:
        """One for each question: witnesses are asked seldom, and may be somewhere else the next time."""
        return httpx.AsyncClient(
            transport=self._transport, timeout=self._timeout_seconds, trust_env=False, verify=_authorities()
        )

    def _size_in(self, text: str, head: SignedHead) -> int:
        """The size that a 409 names: what the witness has cosigned last."""
        digits = text.removesuffix("\n")
        if not (digits.isascii() and digits.isdecimal() and len(digits) <= 15) or int(digits) >= SIZE_END:
            raise WitnessFailure("answered 409 without the size that it cosigned last; ask its keeper what runs there")
        size = int(digits)
        if size > head.size:
            raise WitnessFailure(
                f"has cosigned size {size} already, this cloud's newest checkpoint has {head.size}: was the database "
                "brought back from an older copy? Bring back the newest one; nothing is anchored meanwhile",
                is_grave=True,
            )
        return size

    def _refusal(self, status: int, text: str, old_size: int) -> WitnessFailure:
        said = " ".join(text.split())[:_SAID_MAX]
        if status == 404:
            return WitnessFailure("does not watch this super-log; give its keeper our vkey")
        if status == 403:
            return WitnessFailure(f"knows another key of this super-log than ours ({said}); give its keeper our vkey")
        if status == 422:
            return WitnessFailure(
                f"finds that our history does not extend the one it cosigned at size {old_size} ({said}); it may hold "
                "proof of a fork: compare its checkpoint with ours before anything else",
                is_grave=True,
            )
        return WitnessFailure(f"answered {status} ({said}); asked again in {self._retry_seconds:g} s")

    def _line_in(self, text: str, head: SignedHead) -> tuple[str, int]:
        """This witness's verified line among those it answered with; lines of unknown keys are ignored."""
        key = self._cosigner.key
        try:
            lines = [line for line in parse_signature_lines(text) if (line.name, line.key_id) == (key.name, key.id)]
            if not lines:
                raise WitnessFailure(
                    f"answered without a cosignature under {self._cosigner.vkey}; has its key changed?"
                )
            line = format_signature_line(lines[0])
            (found,) = verify_cosignatures(parse_note(head.own_note).text + "\n" + line, self._cosigner.policy)
        except (NoteError, CheckpointError, SignatureError) as error:
            raise WitnessFailure(f"answered with a cosignature that does not verify: {error}") from error
        return line, found.signed_at_s

    async def _stored_size(self) -> int:
        column = tables.super_cosignatures.c
        query = select(func.max(column.size)).where(column.vkey == self._cosigner.vkey)
        async with self._store.read() as connection:
            return (await connection.execute(query)).scalar_one() or 0

    async def _keep(self, size: int, line: str, signed_at_s: int) -> None:
        table, vkey = tables.super_cosignatures, self._cosigner.vkey
        async with self._store.write() as connection:
            await connection.execute(delete(table).where(table.c.size == size, table.c.vkey == vkey))
            await connection.execute(insert(table).values(size=size, vkey=vkey, line=line, signed_at_s=signed_at_s))
        self._known = size
        await self._say("")

    async def _failed(self, failure: WitnessFailure) -> None:
        self._try_at = self._monotonic() + self._retry_seconds
        self._known = None if failure.is_grave else self._known
        await self._say(str(failure), is_grave=failure.is_grave)

    async def _say(self, says: str, *, is_grave: bool = False) -> None:
        """Write down how the witness stands, when that has changed."""
        if says == self._said:
            return
        table, vkey, now_ms = tables.witness_states, self._cosigner.vkey, self._clock.now_ms()
        async with self._store.write() as connection:
            await connection.execute(delete(table).where(table.c.vkey == vkey))
            await connection.execute(insert(table).values(vkey=vkey, says=says, changed_at_ms=now_ms))
        if says or self._said:
            _log.log(
                logging.WARNING if says else logging.INFO, "cloud: witness %s %s", self._name, says or "cosigns again"
            )
        self._said = says
        # Its words are its own: one that worded each answer anew would fill the notices.
        if is_grave and self._monotonic() >= self._notice_at:
            self._notice_at = self._monotonic() + _NOTICE_SECONDS
            await self._store.notice(f"witness {self._name} {says}", at_ms=now_ms)

    @property
    def _name(self) -> str:
        return self._cosigner.key.name


def witness_workers(store: Store, super_log: SuperLog, cosigners: Cosigners, clock: Clock) -> Sequence[Worker]:
    """One worker for each configured witness."""
    return tuple(
        Worker(
            name=f"witness {one.key.name}",
            step=WitnessClient(
                store=store,
                super_log=super_log,
                cosigner=one,
                clock=clock,
                retry_seconds=cosigners.retry_seconds,
                timeout_seconds=cosigners.timeout_seconds,
            ).step,
            pause_seconds=_POLL_SECONDS,
        )
        for one in cosigners.each
    )
