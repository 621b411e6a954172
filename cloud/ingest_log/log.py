"""The connection to the cluster: publish after a known message, read messages, fetch for the store, say how it stands.

Publishing answers one of three: durable, another message stands there already, or not known. The last is never
acknowledged to a gateway, and the message may stand in the log all the same: it is recognised when it comes again.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import RawStreamMsg
from nats.js.errors import APIError, NotFoundError

from cloud.errors import IngestLogError, SettingsError
from cloud.ingest_log.definition import CONSUMER, MESSAGE_BYTES_MAX, aside_stream, aside_subject, define
from cloud.ingest_log.record import Record, decode_record, subject_of
from cloud.ingest_log.settings import IngestLogSettings

__all__ = ["IngestLog", "OtherRecord"]

_log = logging.getLogger("cloud.ingest_log")
_CONNECT_SECONDS = 5.0
_ASK_SECONDS = 5.0
_PUBLISH_SECONDS = 3.0  # for one attempt
_BRIEF_SECONDS = 2.0  # for all attempts, once the cluster has been found without a quorum
_RETRY_SECONDS = (0.05, 0.1, 0.2, 0.4, 0.8)
_WRONG_SEQUENCE = 10071
_IN_PROCESS = (10164, 10158)  # a message of this subject, or this very message, is being replicated
_FULL = (10077, 10047, 10023)  # the stream's limit, the account's, a server's disk


class _Refused(IngestLogError):
    """The cluster has answered, and trying again would not help."""


class OtherRecord(Exception):
    """Another message stands where this one was to stand."""


class IngestLog:
    """One process's connection. Everything raises `IngestLogError` while the cluster cannot be reached."""

    def __init__(
        self,
        settings: IngestLogSettings,
        *,
        password: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self._password = password
        self._monotonic = monotonic
        self._client: Client | None = None
        self._context: JetStreamContext | None = None
        self._opening = asyncio.Lock()
        self._defined = False
        self._says = "not connected yet"
        self._last_error = ""

    @property
    def trouble(self) -> str | None:
        """Why nothing can be appended, as far as was found out; None where it can."""
        return self._says or None

    async def open(self) -> None:
        """Connect, and find or make what stands in the cluster; does nothing where that is done."""
        async with self._opening:
            try:
                if self._client is None:
                    self._client = await self._connect()
                    self._context = self._client.jetstream(timeout=_ASK_SECONDS)
                if not self._defined:
                    self._check_payload(self._client)
                    await define(self._jetstream, self.settings)
                    self._defined = True
                    self._says = ""
            except IngestLogError as error:
                self._says = str(error)
                raise

    async def close(self) -> None:
        """End the connection."""
        client, self._client, self._context = self._client, None, None
        self._defined = False
        if client is not None:
            await client.close()

    async def publish(self, origin: str, headers: Mapping[str, str], body: bytes) -> int:
        """Make one record durable; its place in the stream.

        Raises:
            OtherRecord: the subject's last message is not the one that the record expects.
            IngestLogError: not known to be durable.
        """
        patience = _BRIEF_SECONDS if self._says else self.settings.answer_seconds
        deadline, attempt = self._monotonic() + patience, 0
        while True:
            left = deadline - self._monotonic()
            try:
                sequence = await self._publish_once(subject_of(self.settings.subject, origin), headers, body, left)
            except IngestLogError as error:
                attempt += 1
                if isinstance(error, _Refused) or deadline - self._monotonic() < _RETRY_SECONDS[0]:
                    self._says = str(error)
                    raise
                await asyncio.sleep(_RETRY_SECONDS[min(attempt, len(_RETRY_SECONDS)) - 1])
            else:
                self._says = ""
                return sequence

    async def _publish_once(self, subject: str, headers: Mapping[str, str], body: bytes, left: float) -> int:
        if not self._defined:
            await self.open()
        try:
            timeout = max(0.1, min(_PUBLISH_SECONDS, left))
            answer = await self._jetstream.publish(subject, body, timeout=timeout, headers=dict(headers))
        except APIError as error:
            if error.err_code == _WRONG_SEQUENCE:
                raise OtherRecord from error
            if error.err_code in _FULL:
                raise _Refused(_refusal(error)) from error
            raise IngestLogError(_refusal(error)) from error
        except (NatsError, OSError) as error:
            raise IngestLogError(_silence(error)) from error
        return answer.seq

    async def last(self, origin: str) -> Record | None:
        """The last record of a log; None where none stands in the stream.

        Raises:
            RecordError: it cannot be read; `Storing` will set it aside.
            IngestLogError: the cluster does not answer.
        """
        subject = subject_of(self.settings.subject, origin)
        return self._record(await self._get(subject=subject))

    async def at(self, sequence: int) -> Record | None:
        """The record at a place of the stream; None where it has been removed. Raises as `last`."""
        return self._record(await self._get(sequence=sequence))

    def _record(self, message: RawStreamMsg | None) -> Record | None:
        if message is None:
            return None
        subject, sequence = message.subject or "", message.seq or 0
        return decode_record(self.settings.subject, subject, sequence, message.headers, message.data or b"")

    async def _get(self, *, sequence: int | None = None, subject: str | None = None) -> RawStreamMsg | None:
        # The leader answers, not any replica: a replica that lags would have us judge upon an older head.
        try:
            return await self._jetstream.get_msg(self.settings.stream, seq=sequence, subject=subject, direct=False)
        except NotFoundError:
            return None
        except APIError as error:
            raise IngestLogError(_refusal(error)) from error
        except (NatsError, OSError) as error:
            raise IngestLogError(_silence(error)) from error

    async def subscribe(self) -> JetStreamContext.PullSubscription:
        """The durable consumer that carries records into the store, shared by all replicas."""
        await self.open()
        try:
            return await self._jetstream.pull_subscribe_bind(consumer=CONSUMER, stream=self.settings.stream)
        except (NatsError, OSError) as error:
            raise IngestLogError(_silence(error)) from error

    async def set_aside(self, message: Msg, reason: str) -> None:
        """Keep a message for people to look at, once, with why it was set aside."""
        headers = {key: value for key, value in (message.headers or {}).items() if not key.startswith("Nats-")}
        headers["Nats-Msg-Id"] = f"{message.metadata.stream}-{message.metadata.sequence.stream}"
        headers["Minglou-Sequence"] = str(message.metadata.sequence.stream)
        headers["Minglou-Reason"] = reason.encode("ascii", "backslashreplace").decode().replace("\n", " ")[:1000]
        try:
            subject = aside_subject(self.settings, message.subject)
            await self._jetstream.publish(subject, message.data, timeout=_ASK_SECONDS, headers=headers)
        except (NatsError, OSError) as error:
            raise IngestLogError(f"message {headers['Minglou-Sequence']} cannot be set aside: {error}") from error

    async def counts(self) -> Mapping[str, int]:
        """How the log stands: `waiting` for the store, `unacknowledged`, `set_aside`, `messages`, `bytes`, `first`,
        `last`, `stored`: the place up to which everything is in the store.
        """
        try:
            stream = (await self._jetstream.stream_info(self.settings.stream)).state
            aside = (await self._jetstream.stream_info(aside_stream(self.settings))).state
            consumer = await self._jetstream.consumer_info(self.settings.stream, CONSUMER)
        except NotFoundError as error:
            self._defined = False  # somebody has removed it: it is made again, or its lack explained
            raise IngestLogError(_refusal(error)) from error
        except (NatsError, OSError) as error:
            raise IngestLogError(_silence(error)) from error
        self._says = ""
        return {
            "waiting": consumer.num_pending or 0, "unacknowledged": consumer.num_ack_pending or 0,
            "set_aside": aside.messages, "messages": stream.messages, "bytes": stream.bytes,
            "first": stream.first_seq, "last": stream.last_seq,
            "stored": consumer.ack_floor.stream_seq if consumer.ack_floor else 0,
        }  # fmt: skip

    async def time_at(self, sequence: int) -> datetime | None:
        """When the record at a place was appended."""
        message = await self._get(sequence=sequence)
        return None if message is None or message.time is None else message.time.astimezone(UTC)

    async def trim(self, end: int) -> None:
        """Remove every record before place `end`."""
        try:
            await self._jetstream.purge_stream(self.settings.stream, seq=end)
        except (NatsError, OSError) as error:
            raise IngestLogError(_silence(error)) from error

    @property
    def _jetstream(self) -> JetStreamContext:
        if self._context is None:
            raise IngestLogError(self._says or "the NATS cluster is not connected yet")
        return self._context

    async def _connect(self) -> Client:
        settings, client = self.settings, Client()
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                await client.connect(
                    servers=list(settings.servers), name="minglou cloud", connect_timeout=2, reconnect_time_wait=1,
                    max_reconnect_attempts=-1, ping_interval=5, max_outstanding_pings=2, tls=_tls(settings),
                    user=settings.user, password=self._password, error_cb=self._on_error,
                    disconnected_cb=self._on_disconnect, reconnected_cb=_on_reconnect,
                )  # fmt: skip
        except (NatsError, OSError, TimeoutError) as error:
            await client.close()
            told = self._last_error or type(error).__name__
            says = f"no NATS server of [ingest_log] can be reached ({told})"
            raise IngestLogError(f"{says}; start them, or correct servers, user and TLS files") from error
        return client

    async def _on_error(self, error: Exception) -> None:
        self._last_error = str(error) or type(error).__name__

    async def _on_disconnect(self) -> None:
        if self._client is not None:  # else it is our own end
            _log.warning("cloud: a NATS server is gone; trying the others")

    def _check_payload(self, client: Client) -> None:
        if client.max_payload < MESSAGE_BYTES_MAX:
            raise IngestLogError(
                f"the NATS servers take messages of {client.max_payload} bytes, a batch has up to {MESSAGE_BYTES_MAX}; "
                "write `max_payload: 8MB` into their configuration and reload them"
            )


def _refusal(error: APIError) -> str:
    told = f"{error.description or type(error).__name__} (error {error.err_code or error.code})"
    if error.err_code in _FULL:
        return f"the ingest log is full: {told}; bring PostgreSQL back so that it empties, or raise its limits"
    if error.err_code in _IN_PROCESS:
        return f"a batch of this log is being replicated: {told}"
    return f"the ingest log refuses: {told}; look at the NATS servers"


def _silence(error: Exception) -> str:
    return (
        f"the ingest log does not answer ({type(error).__name__}): fewer than half of its NATS servers may be up, or a "
        "new leader is being elected; start the servers that are down"
    )


def _tls(settings: IngestLogSettings) -> ssl.SSLContext | None:
    if settings.ca_file is None and not any(url.startswith("tls://") for url in settings.servers):
        return None
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.certificate_file is not None:
            context.load_cert_chain(settings.certificate_file, settings.key_file)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"[ingest_log] TLS files cannot be read: {error}") from error
    return context


async def _on_reconnect() -> None:
    _log.info("cloud: connected to a NATS server again")
