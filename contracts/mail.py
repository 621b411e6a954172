"""Downlink mail: numbered messages that a gateway fetches from its cloud, which is only the postman.

What the chain says (`block`, `anchored`, `revoked`) needs no signature: the gateway merely notes it, and a false one
shows at the next verifier. What changes what a gateway does (`config`) is signed by whoever may say it. A `visit` is
signed by its crew: its body is a whole `minglou-visit-bundle/1`, or a bare `minglou-signed-visit/1`; neither names a
gateway, for its crew knows none.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from contracts import p256
from contracts.checkpoint import is_log_origin
from contracts.copy_note import is_copy_name
from contracts.detail import canonical_json
from contracts.errors import DetailError, MailError
from contracts.fields import Fields, parse_json
from contracts.tree import SIZE_END

MESSAGES_MAX = 100
MAIL_BYTES_MAX = 1024 * 1024

_NUMBER_END = 2**53
_BLOCK_END = 2**64


class MailKind(StrEnum):
    """What a message is about."""

    BLOCK = "block"  # a finalized block, for the next beacon
    ANCHORED = "anchored"  # how much of this log is anchored and final, and may be pruned
    COPIED = "copied"  # how much of this log an independent copy holds, in a note signed by that copy
    REVOKED = "revoked"  # a gateway's key is no longer in force
    CONFIG = "config"  # settings or their meaning, signed by the site's admin
    VISIT = "visit"  # a visit to judge, with its crew's signatures in its body

    @property
    def needs_signature(self) -> bool:
        """Whether the message itself is signed; a visit's body carries signatures of its own."""
        return self is MailKind.CONFIG


@dataclass(frozen=True, slots=True, kw_only=True)
class MailSignature:
    """Who says it, and the proof: P-256 over `signed_bytes`."""

    public: bytes  # x || y
    signature: bytes  # r || s


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message. Handling it twice changes nothing."""

    number: int  # from 1, growing; given by the postman, so not signed
    kind: MailKind
    body: Mapping[str, Any]
    signature: MailSignature | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A finalized block of a chain."""

    chain_id: int
    number: int
    hash: bytes

    def body(self) -> dict[str, str]:
        return {"chain_id": str(self.chain_id), "number": str(self.number), "hash": "0x" + self.hash.hex()}


@dataclass(frozen=True, slots=True, kw_only=True)
class CopiedNews:
    """A copy's acknowledgement on its way to the gateway, which believes the note alone."""

    copy: str
    note: str

    def body(self) -> dict[str, str]:
        return {"copy": self.copy, "note": self.note}


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """A gateway's key that is not in force from a block on."""

    origin: str
    from_block: int

    def body(self) -> dict[str, str]:
        return {"origin": self.origin, "from_block": str(self.from_block)}


def format_mail(messages: Sequence[Message]) -> bytes:
    """The JSON answer that carries these messages."""
    return canonical_json({"messages": [_format_message(message) for message in messages]}, nulls=True)


def parse_mail(encoded: bytes, *, after: int) -> tuple[Message, ...]:
    """The messages of an answer to `?after=N`.

    Raises:
        MailError: not in the format, too long, or numbers that do not grow from `after`.
    """
    value = parse_json(encoded, length_max=MAIL_BYTES_MAX, what="mail", refuse=MailError)
    fields = Fields(value, place="mail", keys=("messages",), refuse=MailError)
    messages = []
    for one in fields.each_within("messages", MESSAGES_MAX, "number", "kind", "body", "signature"):
        message = _parse_message(one)
        if not after < message.number < _NUMBER_END:
            raise MailError(f"mail: message {message.number} comes after {after}; numbers only grow")
        after = message.number
        messages.append(message)
    return tuple(messages)


def signed_bytes(origin: str, kind: MailKind, body: Mapping[str, Any]) -> bytes:
    """What the signature of a message to one gateway covers.

    Raises:
        MailError: the body holds what canonical JSON does not.
    """
    try:
        return canonical_json({"format": "minglou-mail/1", "gateway": origin, "kind": kind.value, "body": body})
    except DetailError as error:
        raise MailError(f"mail: a {kind} body is {error}") from error


def sign_message(origin: str, kind: MailKind, body: Mapping[str, Any], key: p256.PrivateKey) -> MailSignature:
    """The signature of whoever says this to the gateway of `origin`."""
    return MailSignature(public=p256.public_bytes(key), signature=p256.sign(key, signed_bytes(origin, kind, body)))


def verify_message(message: Message, origin: str, may_say: Collection[bytes]) -> None:
    """Check that a message which needs it is signed, for this gateway, by one of the keys that may say it.

    Raises:
        MailError: no signature, or that of a key that may not say it.
        KeyFormatError, SignatureError: the signature is not the key's over this message.
    """
    if not message.kind.needs_signature:
        return
    if message.signature is None:
        raise MailError(f"mail: message {message.number} ({message.kind}) is not signed; it is left undone")
    if message.signature.public not in may_say:
        raise MailError(f"mail: message {message.number} ({message.kind}) is signed by a key that may not say it")
    said = signed_bytes(origin, message.kind, message.body)
    p256.verify(message.signature.public, said, message.signature.signature)


def parse_block(body: Mapping[str, Any]) -> Block:
    """The body of a `block` message. Raises `MailError` if it is none."""
    fields = Fields(dict(body), place="block", keys=("chain_id", "number", "hash"), refuse=MailError)
    return Block(
        chain_id=fields.decimal("chain_id", start=1, end=_BLOCK_END),
        number=fields.decimal("number", end=_BLOCK_END),
        hash=fields.octets("hash", 32, prefix="0x"),
    )


def parse_anchored(body: Mapping[str, Any]) -> int:
    """The log size in the body of an `anchored` message. Raises `MailError` if it is none."""
    return Fields(dict(body), place="anchored", keys=("size",), refuse=MailError).decimal("size", start=1, end=SIZE_END)


def parse_copied(body: Mapping[str, Any]) -> CopiedNews:
    """The body of a `copied` message, its note *not* verified. Raises `MailError` if it is none."""
    fields = Fields(dict(body), place="copied", keys=("copy", "note"), refuse=MailError)
    name = fields.text("copy")
    if not is_copy_name(name):
        raise MailError(f"copied: {name[:80]!r} is not the name of a copy")
    return CopiedNews(copy=name, note=fields.text("note"))


def parse_revocation(body: Mapping[str, Any]) -> Revocation:
    """The body of a `revoked` message. Raises `MailError` if it is none."""
    fields = Fields(dict(body), place="revoked", keys=("origin", "from_block"), refuse=MailError)
    origin = fields.text("origin")
    if not is_log_origin(origin):
        raise MailError(f"revoked: {origin[:80]!r} is not the origin of a log")
    return Revocation(origin=origin, from_block=fields.decimal("from_block", end=_BLOCK_END))


def _parse_message(fields: Fields) -> Message:
    body = fields.raw("body")
    if not isinstance(body, dict):
        raise MailError("mail: a message's body is not an object")
    return Message(
        number=fields.integer("number"),
        kind=MailKind(fields.choice("kind", tuple(MailKind))),
        body=body,
        signature=_parse_signature(fields.within_or_none("signature", "key", "signature")),
    )


def _parse_signature(fields: Fields | None) -> MailSignature | None:
    if fields is None:
        return None
    return MailSignature(public=fields.octets("key", 64), signature=fields.octets("signature", 64))


def _format_message(message: Message) -> dict[str, object]:
    signature = message.signature
    return {
        "number": message.number,
        "kind": message.kind.value,
        "body": message.body,
        "signature": signature and {"key": signature.public.hex(), "signature": signature.signature.hex()},
    }
