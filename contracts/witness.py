"""The witness protocol's bytes: what a log asks a witness, and the cosignature that it answers with.

A witness serves any C2SP log, so a tree head here may be of a log that Minglou knows nothing of.

Source: C2SP tlog-witness (add-checkpoint), tlog-checkpoint, tlog-cosignature (`cosignature/v1`).
"""

import re
from dataclasses import dataclass

from contracts import ed25519
from contracts.errors import NoteError, WitnessError
from contracts.note import (
    COSIGNATURE_V1,
    NOTE_BYTES_MAX,
    Note,
    SignatureLine,
    decode_base64,
    encode_base64,
    key_id,
    parse_note,
)
from contracts.tree import HASH_BYTES, SIZE_END

PROOF_LENGTH_MAX = 63
REQUEST_BYTES_MAX = NOTE_BYTES_MAX + 8_192
SIZE_TYPE = "text/x.tlog.size"
_SIZE = re.compile(r"0|[1-9][0-9]{0,14}", re.ASCII)
_TIMESTAMP_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class AddCheckpoint:
    """A log's new checkpoint, with the proof that it extends the one that the witness cosigned last."""

    old_size: int
    proof: tuple[bytes, ...]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeHead:
    """What the text of any log's checkpoint says; size 0 is the empty tree."""

    origin: str
    size: int
    root: bytes


def encode_add_checkpoint(request: AddCheckpoint) -> bytes:
    """The body of a POST to a witness's `add-checkpoint`."""
    proof = "".join(f"{encode_base64(node)}\n" for node in request.proof)
    return f"old {request.old_size}\n{proof}\n{request.note}".encode()


def decode_add_checkpoint(body: bytes) -> AddCheckpoint:
    """What a body asks for; its note is parsed as a note, and nothing is verified.

    Raises:
        WitnessError: too large, or not an old size, at most 63 hashes, an empty line and a note.
    """
    if len(body) > REQUEST_BYTES_MAX:
        raise WitnessError(f"request has {len(body)} bytes; {REQUEST_BYTES_MAX} is the limit")
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise WitnessError("request is not UTF-8") from error
    head, separator, note = text.partition("\n\n")
    old, *proof = head.split("\n")
    if not separator or not old.startswith("old ") or not _SIZE.fullmatch(old[4:]):
        raise WitnessError("request is not `old SIZE`, consistency proof lines, an empty line and a checkpoint")
    if len(proof) > PROOF_LENGTH_MAX:
        raise WitnessError(f"consistency proof has {len(proof)} lines; {PROOF_LENGTH_MAX} is the limit")
    try:
        hashes = tuple(decode_base64(line) for line in proof)
        parse_note(note)
    except NoteError as error:
        raise WitnessError(str(error)) from error
    if any(len(node) != HASH_BYTES for node in hashes):
        raise WitnessError(f"a consistency proof is hashes of {HASH_BYTES} bytes")
    return AddCheckpoint(old_size=int(old[4:]), proof=hashes, note=note)


def parse_tree_head(note: Note) -> TreeHead:
    """What a checkpoint's text says, extension lines allowed. Raises `WitnessError`."""
    lines = note.text.split("\n")[:-1]
    if len(lines) < 3 or not all(lines):
        raise WitnessError("a checkpoint has at least the lines origin, size and root, and no empty one")
    origin, size, root = lines[:3]
    if not _SIZE.fullmatch(size) or int(size) >= SIZE_END:
        raise WitnessError(f"checkpoint size {size[:20]!r} is not a decimal below 2^48")
    try:
        decoded = decode_base64(root)
    except NoteError as error:
        raise WitnessError(f"checkpoint root: {error}") from error
    if len(decoded) != HASH_BYTES:
        raise WitnessError(f"a checkpoint's root has {HASH_BYTES} bytes, not {len(decoded)}")
    return TreeHead(origin=origin, size=int(size), root=decoded)


def cosigned_message(text: str, signed_at_s: int) -> bytes:
    """What a witness signs: the checkpoint's whole text behind a header and a time."""
    return f"cosignature/v1\ntime {signed_at_s}\n{text}".encode()


def cosign(text: str, name: str, key: ed25519.PrivateKey, signed_at_s: int) -> SignatureLine:
    """A witness's statement that at this time the largest history that it saw of this log has this head."""
    return SignatureLine(
        name=name,
        key_id=key_id(name, COSIGNATURE_V1, ed25519.public_bytes(key)),
        signature=signed_at_s.to_bytes(_TIMESTAMP_BYTES) + ed25519.sign(key, cosigned_message(text, signed_at_s)),
    )
