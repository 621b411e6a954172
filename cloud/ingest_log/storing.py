"""From the log into the store: fetch, judge upon what the store holds, commit, and only then acknowledge.

Any number of replicas share the durable consumer, and each message may come more than once, or before its elder: the
store's rows say what is held already, and a message whose elders are nowhere on their way is filled up from the log.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.errors import TimeoutError as NatsTimeout
from nats.js import JetStreamContext
from sqlalchemy.exc import DBAPIError

from cloud.errors import IngestLogError
from cloud.ingest.keys import KeyRing
from cloud.ingest.writer import write_group
from cloud.ingest_log.aside import Aside
from cloud.ingest_log.journal import ReplicatedJournal
from cloud.ingest_log.log import IngestLog
from cloud.ingest_log.record import Record, RecordError, decode_record
from cloud.ingest_log.upon_store import Group, NotYet, UnknownGateway, Unstorable, UponStore
from cloud.store import Store
from cloud.store.away import STORE_ERRORS
from contracts.clock import Clock

__all__ = ["Storing"]

_log = logging.getLogger("cloud.ingest_log")
_AWAY: tuple[type[Exception], ...] = (*STORE_ERRORS, IngestLogError)
_FETCHED_MAX = 64
_FETCH_SECONDS = 1.0
_AGAIN_SECONDS, _AGAIN_SECONDS_MAX = 0.25, 10.0
_ELDERS_AWAITED = 2  # deliveries
_TRIES_MAX = 6  # of a message that fails for no known reason
_TRIED_MAX = 65_536  # messages of which that is counted
_UNKNOWN_TRIES_MAX = 30  # of one whose gateway nobody knows: some five minutes


class Storing:
    """One consumer. `prepare` and `step` are a worker's."""

    def __init__(
        self,
        *,
        log: IngestLog,
        journal: ReplicatedJournal,
        store: Store,
        keys: KeyRing,
        clock: Clock,
        on_stored: Callable[[], None] = lambda: None,
    ) -> None:
        self._log, self._journal, self._store, self._clock = log, journal, store, clock
        self._on_stored = on_stored
        self._upon_store = UponStore(log=log, store=store, keys=keys, clock=clock)
        self._aside = Aside(log)
        self._subscription: JetStreamContext.PullSubscription | None = None
        self._tries: Counter[int] = Counter()  # by place
        self.stored_entries = 0

    async def prepare(self) -> None:
        """Subscribe anew, and forget what is in memory."""
        old, self._subscription = self._subscription, None
        self._upon_store.forget()
        if old is not None:
            with suppress(NatsError, OSError):  # it may have ended with its connection
                await old.unsubscribe()
        self._subscription = await self._log.subscribe()

    async def step(self) -> bool:
        """Carry what waits; whether there was any.

        Raises:
            IngestLogError: log or store do not answer; whatever was not acknowledged comes again.
        """
        messages = await self._fetch()
        if messages:
            await self._carry(messages)
        return bool(messages)

    async def _fetch(self) -> Sequence[Msg]:
        assert self._subscription is not None, "prepared"
        try:
            found = await self._subscription.fetch(_FETCHED_MAX, timeout=_FETCH_SECONDS)
        except (NatsTimeout, TimeoutError):
            return ()
        except (NatsError, OSError) as error:
            raise IngestLogError(f"the ingest log hands nothing out ({type(error).__name__} {error})") from error
        return sorted(found, key=_place_of)

    async def _carry(self, messages: Sequence[Msg]) -> None:
        try:
            await self._store_together(messages)
        except _AWAY as error:
            self._upon_store.forget()
            if isinstance(error, DBAPIError) and not error.connection_invalidated and await self._store_answers():
                await self._store_one_by_one(messages)
                return
            await asyncio.gather(*(_again(message) for message in messages))
            says = f"nothing is stored ({type(error).__name__}); acknowledged batches wait in the ingest log"
            raise IngestLogError(says) from error

    async def _store_together(self, messages: Sequence[Msg]) -> None:
        group, judged, refused = Group(), dict[int, Msg](), list[tuple[Msg, str]]()
        origins: dict[int, str] = {}
        records = {_place_of(message): self._decode(message) for message in messages}
        await self._upon_store.look_up((one for one in records.values() if isinstance(one, Record)), group)
        for message in messages:
            verdict = await self._judge(message, records[_place_of(message)], group)
            if verdict is None:
                judged[_place_of(message)] = message
                origins[_place_of(message)] = self._aside.origin_of(message) or ""
            elif verdict:
                refused.append((message, verdict))
        moved = await self._commit(group)
        for place, message in judged.items():
            await (_again(message) if origins[place] in moved else self._acknowledge(message))
        for message, reason in refused:
            await self._put_aside(message, reason)

    def _decode(self, message: Msg) -> Record | RecordError:
        prefix = self._log.settings.subject
        try:
            return decode_record(prefix, message.subject, _place_of(message), message.headers, message.data)
        except RecordError as error:
            return error

    async def _judge(self, message: Msg, record: Record | RecordError, group: Group) -> str | None:
        """Into the group: None; never to be stored: why; to come again: an empty text."""
        delivered, place = message.metadata.num_delivered, _place_of(message)
        try:
            if isinstance(record, RecordError):
                raise record
            await self._upon_store.take(record, group, with_elders=delivered > _ELDERS_AWAITED)
        except NotYet:
            await _again(message)
            return ""
        except UnknownGateway as unknown:
            return await self._try_again(message, str(unknown), _UNKNOWN_TRIES_MAX)
        except (RecordError, Unstorable) as refusal:
            return str(refusal)
        except _AWAY:
            raise
        except Exception as error:  # noqa: BLE001 - one message that breaks us must not hold up all others
            _log.exception("cloud: message %d of the ingest log could not be judged", place)
            return await self._try_again(message, f"it could not be judged: {error!r}")
        return None

    async def _try_again(self, message: Msg, reason: str, tries_max: int = _TRIES_MAX) -> str:
        """The reason, once it was tried often enough; until then an empty text."""
        if len(self._tries) > _TRIED_MAX:
            self._tries.clear()  # most of them another replica has stored meanwhile
        self._tries[_place_of(message)] += 1
        if self._tries[_place_of(message)] >= tries_max:
            return reason
        await _again(message)
        return ""

    async def _commit(self, group: Group) -> set[str]:
        """Write the group; the logs that another replica has continued meanwhile, of which nothing was written."""
        oddities = [*group.oddities, *self._journal.take_oddities()]
        seen = {part.head.log_id for part in group.continuations} | {one.log_id for one in oddities}
        if not seen:
            return set()
        numbers = await write_group(self._store, group.continuations, oddities, seen=seen, now_ms=self._clock.now_ms())
        moved = {part.head.origin for part in group.continuations if part.head.log_id in numbers}
        for part in group.continuations:
            if part.head.origin in moved:
                self._upon_store.forget(part.head.origin)
            else:
                self._upon_store.keep(part.head)
                self.stored_entries += part.added
        self._on_stored()
        return moved

    async def _store_answers(self) -> bool:
        try:
            await self._upon_store.stored_head("")
        except STORE_ERRORS:
            return False
        return True

    async def _store_one_by_one(self, messages: Sequence[Msg]) -> None:
        """The database answers, but refuses this group: find out which message it is."""
        for message in messages:
            try:
                await self._store_together((message,))
            except DBAPIError as error:
                self._upon_store.forget()
                reason = await self._try_again(message, f"the database refuses it: {type(error.orig).__name__}")
                if reason:
                    await self._put_aside(message, reason)

    async def _put_aside(self, message: Msg, reason: str) -> None:
        origin = self._aside.origin_of(message)
        stored = None if origin is None else await self._upon_store.stored_head(origin)
        await self._aside.put(message, reason, stored)
        says = (
            f"message {_place_of(message)} of the ingest log, of {origin or message.subject}, was set aside: {reason}"
        )
        await self._store.notice(says, at_ms=self._clock.now_ms())
        await self._acknowledge(message)  # last, for who is told nothing here would never be told

    async def _acknowledge(self, message: Msg) -> None:
        self._tries.pop(_place_of(message), None)
        with suppress(NatsError, OSError):  # else it comes again, and is found to be held
            await message.ack()


async def _again(message: Msg) -> None:
    delay = min(_AGAIN_SECONDS_MAX, _AGAIN_SECONDS * 2 ** min(message.metadata.num_delivered - 1, 10))
    with suppress(NatsError, OSError):  # else it comes again when its time is over
        await message.nak(delay=delay)


def _place_of(message: Msg) -> int:
    return message.metadata.sequence.stream
