"""Checkpoints: (origin, size, root) of one gateway's log, as a C2SP signed note with one P-256 signature.

A gateway's key signs nothing but checkpoint text.

Source: C2SP tlog-checkpoint; signature type 0x02 of C2SP signed-note.
"""

import re
from dataclasses import dataclass

from contracts import p256
from contracts.errors import CheckpointError, KeyFormatError, NoteError
from contracts.note import (
    Note,
    SignatureLine,
    decode_base64,
    ecdsa_key_id,
    encode_base64,
    format_note,
    parse_note,
)
from contracts.tree import HASH_BYTES, SIZE_END

ORIGIN_BYTES_MAX = 64

_LOG_ORIGIN = re.compile(r"[a-z0-9.-]+(?:/[a-z0-9-]+){2}/e(?:0|[1-9][0-9]*)")
_SUPER_ORIGIN = re.compile(r"[a-z0-9.-]+/log")
_SIZE = re.compile(r"[1-9][0-9]{0,14}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a log's signer says: the first `size` leaves have this root, and always will."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not (is_log_origin(self.origin) or is_super_origin(self.origin)):
            raise CheckpointError(f"origin {self.origin!r} is neither HOST/SITE/GATEWAY/eN nor HOST/log in lower case")
        if not 1 <= self.size < SIZE_END or len(self.root) != HASH_BYTES:
            raise CheckpointError(f"checkpoint of {self.origin}: needs 1 <= size < 2^48 and a root of 32 bytes")

    def body(self) -> str:
        """The text that is signed: origin, size and root, a line each."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedCheckpoint:
    """A gateway's checkpoint with its verified signature."""

    checkpoint: Checkpoint
    public: bytes  # x || y
    signature: bytes  # r || s


def is_log_origin(origin: str) -> bool:
    """Whether this names a gateway's log: `HOST/SITE/GATEWAY/eN`, at most 64 bytes."""
    return len(origin) <= ORIGIN_BYTES_MAX and _LOG_ORIGIN.fullmatch(origin) is not None


def is_super_origin(origin: str) -> bool:
    """Whether this names a deployment's super-log: `HOST/log`, at most 64 bytes."""
    return len(origin) <= ORIGIN_BYTES_MAX and _SUPER_ORIGIN.fullmatch(origin) is not None


def audit_origin(super_origin: str) -> str:
    """The name of the audit log of a deployment whose super-log has this name: `audit.HOST/log`."""
    return f"audit.{super_origin}"


def is_audit_origin(origin: str) -> bool:
    """Whether this names an audit log: `audit.HOST/log`, at most 64 bytes."""
    return is_super_origin(origin) and origin.startswith("audit.")


def epoch_of(origin: str) -> int:
    """The N of a log origin's `/eN`. Raises `CheckpointError` for another name."""
    if not is_log_origin(origin):
        raise CheckpointError(f"origin {origin!r} is not HOST/SITE/GATEWAY/eN")
    return int(origin.rpartition("/e")[2])


def parse_checkpoint_body(text: str) -> Checkpoint:
    """The checkpoint that a note's text is the canonical body of; extension lines are refused.

    Raises:
        CheckpointError: not three lines of origin, canonical decimal size and canonical base64 root.
    """
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise CheckpointError("a checkpoint has three lines, origin, size and root, and no extension lines")
    origin, size, root = lines[:3]
    if not _SIZE.fullmatch(size) or not size.isascii():
        raise CheckpointError(f"checkpoint size {size[:20]!r} is not a decimal from 1 to 2^48 - 1")
    try:
        return Checkpoint(origin=origin, size=int(size), root=decode_base64(root))
    except NoteError as error:
        raise CheckpointError(f"checkpoint root: {error}") from error


def parse_checkpoint(note: str) -> Checkpoint:
    """What a checkpoint note says, with its signature *not* verified: to learn which key to ask for.

    Raises:
        CheckpointError: not a note, or its text is not a checkpoint.
    """
    return parse_checkpoint_body(_parse_note(note).text)


def sign_checkpoint(checkpoint: Checkpoint, key: p256.PrivateKey, *, repeatable: bool = False) -> str:
    """The checkpoint's note, signed by a gateway's key. `repeatable` is for golden vectors (RFC 6979)."""
    signature = p256.sign(key, checkpoint.body().encode(), repeatable=repeatable)
    return checkpoint_note(checkpoint, p256.public_bytes(key), signature)


def checkpoint_note(checkpoint: Checkpoint, public: bytes, signature: bytes) -> str:
    """The note of a checkpoint whose r || s signature was made elsewhere: by a token, or kept in a super-log leaf."""
    line = SignatureLine(
        name=checkpoint.origin, key_id=ecdsa_key_id(p256.spki(public)), signature=p256.signature_to_der(signature)
    )
    return format_note(Note(text=checkpoint.body(), signatures=(line,)))


def open_checkpoint(note: str, public: bytes) -> SignedCheckpoint:
    """The checkpoint of a note, its signature verified by a gateway's public key.

    Raises:
        CheckpointError: not a checkpoint note, more than its one signature line, or a line of another key.
        KeyFormatError: the signature is not strict DER with low s.
        SignatureError: the key did not sign this text.
    """
    parsed = _parse_note(note)
    checkpoint = parse_checkpoint_body(parsed.text)
    if not is_log_origin(checkpoint.origin):
        raise CheckpointError(f"{checkpoint.origin} is a super-log; its checkpoints are not signed with P-256")
    if len(parsed.signatures) != 1:
        raise CheckpointError(f"checkpoint of {checkpoint.origin} has {len(parsed.signatures)} signatures instead of 1")
    line = parsed.signatures[0]
    if line.name != checkpoint.origin:
        raise CheckpointError(f"checkpoint of {checkpoint.origin} is signed in the name of {line.name}")
    if line.key_id != ecdsa_key_id(p256.spki(public)):
        raise CheckpointError(
            f"checkpoint of {checkpoint.origin} is signed by another key (id {line.key_id.hex()}) than the one expected"
        )
    try:
        signature = p256.signature_from_der(line.signature)
    except KeyFormatError as error:
        raise KeyFormatError(f"checkpoint of {checkpoint.origin}: {error}") from error
    p256.verify(public, parsed.text.encode(), signature)
    return SignedCheckpoint(checkpoint=checkpoint, public=public, signature=signature)


def _parse_note(note: str) -> Note:
    try:
        return parse_note(note)
    except NoteError as error:
        raise CheckpointError(f"checkpoint: {error}") from error
