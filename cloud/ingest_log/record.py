"""One message of a log's subject: what it says, and the log's head after it.

A *batch* continues the log. A *fork* is a batch that contradicts what is held: it freezes the log, for all replicas at
the same place. A *reset* takes the log back to what the store holds, after messages had to be set aside. Each carries
the head that it leads to, so whoever reads the last message of a subject can judge the next batch without the database.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

from cloud.ingest.judgement import Content, LogHead
from cloud.ingest.quota import Bucket
from contracts.batch import BatchParts, join_batch, split_batch
from contracts.checkpoint import is_log_origin
from contracts.errors import BatchError, TreeError
from contracts.tree import Frontier

__all__ = ["BATCH", "EXPECTED", "FORK", "RESET", "Record", "RecordError", "decode_record", "encode_record", "origin_of",
           "subject_of"]  # fmt: skip

BATCH, FORK, RESET = "batch", "fork", "reset"
EXPECTED = "Nats-Expected-Last-Subject-Sequence"
_MESSAGE_ID = "Nats-Msg-Id"
_KIND, _HEAD, _KEY = "Minglou-Record", "Minglou-Head", "Minglou-Key"
_TOKENS = 4  # of an origin: host, site, gateway, epoch


class RecordError(Exception):
    """A message that no replica of ours has written, or one that was damaged."""

    def __init__(self, says: str, *, sequence: int = 0) -> None:
        super().__init__(says)
        self.sequence = sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One message, parsed; a batch's entries are not looked at yet."""

    origin: str
    kind: str
    sequence: int  # its place in the stream
    previous: int  # the place of the message before it on its subject; 0 where there was none
    message_id: str
    head: LogHead | None  # after it; None where a reset found nothing in the store
    public: bytes  # the key that its checkpoint was verified with
    parts: BatchParts | None  # none of a reset


def subject_of(prefix: str, origin: str) -> str:
    """A log's subject: `PREFIX.host_example.site.gateway.eN`. NATS parts tokens by dots, and no origin has `_`."""
    return f"{prefix}.{origin.replace('.', '_').replace('/', '.')}"


def origin_of(prefix: str, subject: str) -> str:
    """The log of a subject. Raises `RecordError` where it is none's."""
    tokens = subject.removeprefix(prefix + ".").split(".")
    origin = "/".join([tokens[0].replace("_", "."), *tokens[1:]])
    if len(tokens) != _TOKENS or not is_log_origin(origin):
        raise RecordError(f"subject {subject} is no log's")
    return origin


def encode_record(
    kind: str, head: LogHead | None, content: Content | None, *, expected: int
) -> tuple[dict[str, str], bytes]:
    """Headers and body of the message that follows message `expected` of its subject.

    The same record after the same message has the same id, so that the cluster recognises a publish whose answer was
    lost; after another message it has another one, so that it is never taken for a batch that was set aside.
    """
    body = b"" if content is None else join_batch(content.parts)
    headers = {
        _KIND: kind,
        _HEAD: _head_text(head),
        _KEY: "" if content is None else content.signed.public.hex(),
        EXPECTED: str(expected),
    }
    digest = sha256(b"\n".join((kind.encode(), headers[_HEAD].encode() if kind == RESET else b"", body))).hexdigest()
    return {**headers, _MESSAGE_ID: f"{expected}-{digest[:40]}"}, body


def decode_record(prefix: str, subject: str, sequence: int, headers: Mapping[str, str] | None, body: bytes) -> Record:
    """The record that a message is.

    Raises:
        RecordError: naming what is wrong with it.
    """
    given, origin = headers or {}, origin_of(prefix, subject)
    kind = given.get(_KIND, "")
    if kind not in (BATCH, FORK, RESET):
        raise RecordError(
            f"message {sequence} of {subject} is none of ours: its kind is {kind[:20]!r}", sequence=sequence
        )
    try:
        record = Record(
            origin=origin, kind=kind, sequence=sequence, previous=int(given.get(EXPECTED, "")),
            message_id=given.get(_MESSAGE_ID, ""), head=_head_of(origin, given.get(_HEAD, "")),
            public=bytes.fromhex(given.get(_KEY, "")), parts=None if kind == RESET else split_batch(body),
        )  # fmt: skip
    except (BatchError, TreeError, ValueError, TypeError, KeyError, binascii.Error) as error:
        raise RecordError(f"message {sequence} of {subject} cannot be read: {error}", sequence=sequence) from error
    _check(record, subject)
    return record


def _check(record: Record, subject: str) -> None:
    """The head must be that of the signed checkpoint: its size and root, not something that only stands beside it."""
    parts, head, wrong = record.parts, record.head, ""
    if parts is None:
        return
    if parts.checkpoint.origin != record.origin:
        wrong = f"holds a batch of {parts.checkpoint.origin}"
    elif head is None:
        wrong = "lacks the head after it"
    elif record.kind == BATCH and (head.size, head.frontier.root()) != (parts.checkpoint.size, parts.checkpoint.root):
        wrong = "carries a head that is not its checkpoint's"
    if wrong:
        raise RecordError(f"message {record.sequence} of {subject} {wrong}", sequence=record.sequence)


def _head_text(head: LogHead | None) -> str:
    if head is None:
        return "null"
    fields = {
        "log": head.log_id, "peaks": base64.b64encode(head.frontier.to_bytes()).decode(),
        "token": head.token_digest.hex(), "quota": [head.bucket.level, head.bucket.at_ms], "frozen": head.frozen,
    }  # fmt: skip
    return json.dumps(fields, separators=(",", ":"))


def _head_of(origin: str, text: str) -> LogHead | None:
    fields = json.loads(text)
    if fields is None:
        return None
    level, at_ms = fields["quota"]
    frozen = fields["frozen"]
    if not (frozen is None or isinstance(frozen, str)):
        raise TypeError("frozen is a text")
    return LogHead(
        log_id=int(fields["log"]), origin=origin,
        frontier=Frontier.from_bytes(base64.b64decode(fields["peaks"], validate=True)),
        token_digest=bytes.fromhex(fields["token"]), frozen=frozen, bucket=Bucket(float(level), int(at_ms)),
    )  # fmt: skip
