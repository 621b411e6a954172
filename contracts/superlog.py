"""The super-log: one deployment's append-only tree of all its gateways' checkpoints and of its audit log's heads.

Its leaf data is a checkpoint's body followed by its signature: r || s of a gateway, R || S of the audit log's Ed25519
key, 64 bytes either way. It signs its own checkpoints with Ed25519, and witnesses add C2SP cosignatures: each says
that, up to a time, it saw this history only grow.

Source: C2SP tlog-checkpoint, tlog-cosignature (Ed25519, `cosignature/v1`).
"""

from dataclasses import dataclass

from contracts import ed25519, p256
from contracts.checkpoint import (
    Checkpoint,
    SignedCheckpoint,
    is_audit_origin,
    is_log_origin,
    is_super_origin,
    parse_checkpoint_body,
)
from contracts.errors import CheckpointError, KeyFormatError, NoteError, SignatureError
from contracts.note import COSIGNATURE_V1, ED25519, Note, SignatureLine, format_note, key_hash, key_id, parse_note
from contracts.witness import cosign, cosigned_message

_TIMESTAMP_BYTES = 8
_TIMESTAMP_END_S = 2**63


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """Who may cosign: its name and Ed25519 key."""

    name: str
    public: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessPolicy:
    """How many of which witnesses must have cosigned before a verifier believes a super-log's checkpoint."""

    quorum: int = 0
    witnesses: tuple[Witness, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """A verified statement of one witness: up to this time, the largest history it saw was this one."""

    witness: Witness
    signed_at_s: int


def superlog_leaf(checkpoint: SignedCheckpoint) -> bytes:
    """The leaf data of a gateway's checkpoint: its body, then r || s."""
    return checkpoint.checkpoint.body().encode() + checkpoint.signature


def superlog_leaf_of(note: str) -> bytes:
    """The leaf data of a gateway's checkpoint note that was verified before; its signature is *not* verified again.

    Raises:
        CheckpointError: not a checkpoint note with one signature.
        KeyFormatError: the signature is not strict DER.
    """
    try:
        parsed = parse_note(note)
    except NoteError as error:
        raise CheckpointError(f"checkpoint: {error}") from error
    if len(parsed.signatures) != 1:
        raise CheckpointError(f"checkpoint has {len(parsed.signatures)} signatures instead of 1")
    return parsed.text.encode() + p256.signature_from_der(parsed.signatures[0].signature)


def audit_leaf_of(note: str) -> bytes:
    """The leaf data of an audit log's head, whose note was verified before.

    Raises:
        CheckpointError: not a note with one Ed25519 signature.
    """
    parsed, _ = _parse(note)
    signatures = [line.signature for line in parsed.signatures]
    if [len(signature) for signature in signatures] != [ed25519.SIGNATURE_BYTES]:
        raise CheckpointError("an audit log's head has one Ed25519 signature")
    return parsed.text.encode() + signatures[0]


def parse_superlog_leaf(leaf: bytes) -> tuple[Checkpoint, bytes]:
    """The checkpoint in a leaf, a gateway's or a head of an audit log, and its signature, *not* verified.

    Raises:
        CheckpointError: it is neither.
    """
    body, signature = leaf[: -p256.SIGNATURE_BYTES], leaf[-p256.SIGNATURE_BYTES :]
    try:
        checkpoint = parse_checkpoint_body(body.decode())
    except UnicodeDecodeError as error:
        raise CheckpointError("a super-log's leaf is not a checkpoint's text and signature") from error
    if not (is_log_origin(checkpoint.origin) or is_audit_origin(checkpoint.origin)):
        raise CheckpointError(
            f"a super-log's leaf is a checkpoint of {checkpoint.origin}, neither of a gateway nor of an audit log"
        )
    return checkpoint, signature


def superlog_id(origin: str, public: bytes) -> bytes:
    """The 32 bytes by which the AnchorLog contract knows a super-log: its C2SP key hash, not cut to a key id."""
    return key_hash(origin, ED25519, public)


def sign_superlog(checkpoint: Checkpoint, key: ed25519.PrivateKey) -> str:
    """The note of a super-log's checkpoint."""
    if not is_super_origin(checkpoint.origin):
        raise CheckpointError(f"{checkpoint.origin} is a gateway's log; a super-log's origin is HOST/log")
    line = SignatureLine(
        name=checkpoint.origin,
        key_id=key_id(checkpoint.origin, ED25519, ed25519.public_bytes(key)),
        signature=ed25519.sign(key, checkpoint.body().encode()),
    )
    return format_note(Note(text=checkpoint.body(), signatures=(line,)))


def open_superlog(note: str, origin: str, public: bytes) -> Checkpoint:
    """The checkpoint of a super-log's note, its signature verified. Lines of unknown keys are ignored, as C2SP asks.

    Raises:
        CheckpointError: not a checkpoint note of this origin, or without a line of this key.
        KeyFormatError, SignatureError: a line that says it is this key's is not.
    """
    parsed, checkpoint = _parse(note)
    if checkpoint.origin != origin:
        raise CheckpointError(f"this is a checkpoint of {checkpoint.origin}, not of {origin}")
    signatures = parsed.signatures_by(origin, key_id(origin, ED25519, public))
    if not signatures:
        raise CheckpointError(f"checkpoint of {origin} is not signed by the key that you trust")
    for signature in signatures:
        ed25519.verify(public, parsed.text.encode(), signature)
    return checkpoint


def parse_superlog(note: str) -> Checkpoint:
    """What a super-log's note says, *not* verified. Raises `CheckpointError` if it is none."""
    return _parse(note)[1]


def add_cosignature(note: str, witness: Witness, key: ed25519.PrivateKey, signed_at_s: int) -> str:
    """The note with one witness's cosignature added, as a witness makes it.

    Raises:
        CheckpointError: not a super-log's note.
    """
    parsed, _ = _parse(note)
    line = cosign(parsed.text, witness.name, key, signed_at_s)
    return format_note(Note(text=parsed.text, signatures=(*parsed.signatures, line)))


def verify_cosignatures(note: str, policy: WitnessPolicy) -> tuple[Cosignature, ...]:
    """The cosignatures of a policy's witnesses, one each, verified; the caller compares their number with the quorum.

    Raises:
        CheckpointError: not a super-log's note.
        SignatureError: a line that says it is a known witness's is not.
    """
    parsed, _ = _parse(note)
    found: list[Cosignature] = []
    for witness in policy.witnesses:
        lines = parsed.signatures_by(witness.name, key_id(witness.name, COSIGNATURE_V1, witness.public))
        times = [_verify_cosignature(parsed.text, witness, signature) for signature in lines]
        if times:
            found.append(Cosignature(witness=witness, signed_at_s=max(times)))
    return tuple(found)


def _verify_cosignature(text: str, witness: Witness, signature: bytes) -> int:
    signed_at_s = int.from_bytes(signature[:_TIMESTAMP_BYTES])
    if len(signature) != _TIMESTAMP_BYTES + ed25519.SIGNATURE_BYTES or not 0 < signed_at_s < _TIMESTAMP_END_S:
        raise SignatureError(f"cosignature of {witness.name} is not a time and an Ed25519 signature")
    try:
        ed25519.verify(witness.public, cosigned_message(text, signed_at_s), signature[_TIMESTAMP_BYTES:])
    except (KeyFormatError, SignatureError) as error:
        raise SignatureError(f"cosignature of {witness.name}: {error}") from error
    return signed_at_s


def _parse(note: str) -> tuple[Note, Checkpoint]:
    try:
        parsed = parse_note(note)
    except NoteError as error:
        raise CheckpointError(f"super-log checkpoint: {error}") from error
    checkpoint = parse_checkpoint_body(parsed.text)
    if not is_super_origin(checkpoint.origin):
        raise CheckpointError(f"{checkpoint.origin} is a gateway's log, not a super-log")
    return parsed, checkpoint
