"""What stands in the cluster: one stream of all logs' batches, one of what was set aside, one durable consumer.

All three are made where they are missing, and compared where they stand: whoever starts second finds them made.
"""

from collections.abc import Mapping
from typing import Any

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    DeliverPolicy,
    DiscardPolicy,
    RetentionPolicy,
    StorageType,
    StreamConfig,
)
from nats.js.errors import APIError, NotFoundError

from cloud.errors import IngestLogError
from cloud.ingest_log.settings import IngestLogSettings
from contracts.batch import BATCH_BYTES_MAX

__all__ = ["ASIDE", "CONSUMER", "MESSAGE_BYTES_MAX", "define"]

CONSUMER = "store"
ASIDE = "aside"  # what ends the name of the stream, and begins the subjects, of what was set aside
MESSAGE_BYTES_MAX = BATCH_BYTES_MAX + 16 * 1024  # a batch, and headers with at most 48 peaks
_DUPLICATE_SECONDS = 120.0
_ACK_PENDING_MAX = 1_024
_WAITING_MAX = 512
_NO_PEERS = (10005, 10023, 10047, 10074)  # too few servers for the replicas, no room, or not a cluster at all

# Whoever made the stream may have chosen limits of size otherwise; these are what acknowledgements rest on.
_NEEDED = ("subjects", "retention", "storage", "num_replicas", "discard", "max_age", "max_msgs_per_subject", "no_ack")


def aside_stream(settings: IngestLogSettings) -> str:
    """The name of the stream of what was set aside."""
    return f"{settings.stream}-{ASIDE}"


def aside_subject(settings: IngestLogSettings, subject: str) -> str:
    """Where a message of `subject` goes when it is set aside."""
    return f"{ASIDE}.{subject}"


async def define(context: JetStreamContext, settings: IngestLogSettings) -> None:
    """Make streams and consumer, or compare those that stand.

    Raises:
        IngestLogError: the cluster cannot hold them, or holds others; the message says what to do.
    """
    try:
        await _define_stream(context, _stream(settings.stream, f"{settings.subject}.>", settings))
        aside = _stream(aside_stream(settings), aside_subject(settings, f"{settings.subject}.>"), settings, share=16)
        await _define_stream(context, aside)
        await _define_consumer(context, settings)
    except APIError as error:
        raise IngestLogError(_says(error, settings)) from error
    except NatsError as error:
        raise IngestLogError(f"the NATS cluster does not answer ({type(error).__name__}); start its servers") from error


def _stream(name: str, subjects: str, settings: IngestLogSettings, *, share: int = 1) -> StreamConfig:
    return StreamConfig(
        name=name,
        subjects=[subjects],
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        num_replicas=settings.replicas,
        # What was acknowledged is never pushed out by what comes later: a full log refuses.
        discard=DiscardPolicy.NEW,
        max_age=0.0,
        max_msgs_per_subject=-1,
        max_bytes=settings.bytes_max // share,
        max_msg_size=MESSAGE_BYTES_MAX + 4096,
        duplicate_window=_DUPLICATE_SECONDS,
        no_ack=False,
    )


async def _define_stream(context: JetStreamContext, wanted: StreamConfig) -> None:
    assert wanted.name is not None
    try:
        stands = (await context.stream_info(wanted.name)).config
    except NotFoundError:
        stands = (await context.add_stream(wanted)).config
    _compare("stream", wanted.name, wanted.__dict__, stands.__dict__, _NEEDED)
    if stands.max_msg_size is not None and 0 <= stands.max_msg_size < MESSAGE_BYTES_MAX:
        raise IngestLogError(
            f"stream {wanted.name} takes messages of {stands.max_msg_size} bytes, a batch has up to "
            f"{MESSAGE_BYTES_MAX}; run: nats stream edit {wanted.name} --max-msg-size={MESSAGE_BYTES_MAX}"
        )


async def _define_consumer(context: JetStreamContext, settings: IngestLogSettings) -> None:
    wanted = ConsumerConfig(
        durable_name=CONSUMER,
        deliver_policy=DeliverPolicy.ALL,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=settings.redeliver_seconds,
        max_deliver=-1,
        max_ack_pending=_ACK_PENDING_MAX,
        max_waiting=_WAITING_MAX,
    )
    try:
        stands = (await context.consumer_info(settings.stream, CONSUMER)).config
    except NotFoundError:
        stands = (await context.add_consumer(settings.stream, wanted)).config
    _compare("consumer", CONSUMER, wanted.__dict__, stands.__dict__, ("ack_policy", "deliver_policy", "max_deliver"))


def _compare(what: str, name: str, wanted: Mapping[str, Any], stands: Mapping[str, Any], keys: tuple[str, ...]) -> None:
    differing = [
        f"{key} is {_text(stands[key])}, not {_text(wanted[key])}" for key in keys if stands[key] != wanted[key]
    ]
    if differing:
        raise IngestLogError(
            f"{what} {name} of the NATS cluster is not what acknowledgements need: {'; '.join(differing)}. Correct it "
            f"with `nats {what} edit`, or name another one in [ingest_log]"
        )


def _text(value: Any) -> str:
    return str(getattr(value, "value", value))


def _says(error: APIError, settings: IngestLogSettings) -> str:
    told = f"{error.description or 'no reason given'} (error {error.err_code})"
    if error.err_code in _NO_PEERS:
        return (
            f"the NATS cluster cannot keep {settings.replicas} copies of stream {settings.stream}: {told}; start "
            f"{settings.replicas} servers with JetStream and room for [ingest_log] gib"
        )
    return f"the NATS cluster refuses stream {settings.stream}: {told}; look at its servers' logs and account limits"
