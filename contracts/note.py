"""C2SP signed notes: a text, a blank line, and one line for each signature.

Parsing accepts canonical notes only, so that formatting a parsed note gives the same bytes back.

Source: C2SP signed-note.
"""

import base64
import binascii
from dataclasses import dataclass
from hashlib import sha256

from contracts.errors import NoteError

NOTE_BYTES_MAX = 16_384
SIGNATURES_MAX = 64

ED25519 = 0x01
ECDSA = 0x02
COSIGNATURE_V1 = 0x04

_DASH = "\u2014"
_KEY_ID_BYTES = 4
_PUBLIC_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class SignatureLine:
    """Whose signature it says it is, which of that name's keys made it, and the bytes behind the key id."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """A public key with the name and the signature type that it is used under: what C2SP calls a vkey."""

    name: str
    signature_type: int
    public: bytes

    @property
    def id(self) -> bytes:
        """The 4 bytes that stand before its signatures."""
        return key_id(self.name, self.signature_type, self.public)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A text that ends in a newline, and what claims to have signed it. Nothing here is verified yet."""

    text: str
    signatures: tuple[SignatureLine, ...]

    def signatures_by(self, name: str, key_id: bytes) -> tuple[bytes, ...]:
        """The signatures whose line carries this name and key id; others are unknown and mean nothing."""
        return tuple(s.signature for s in self.signatures if s.name == name and s.key_id == key_id)


def parse_note(text: str) -> Note:
    """The note that `text` is the canonical form of.

    Raises:
        NoteError: naming the first rule that is broken.
    """
    if len(text.encode(errors="surrogatepass")) > NOTE_BYTES_MAX:
        raise NoteError(f"note has over {NOTE_BYTES_MAX} bytes")
    body, separator, lines = text.rpartition("\n\n")
    if not separator or not body or not lines.endswith("\n"):
        raise NoteError("note is not a text, an empty line and signature lines, each ended by a newline")
    signature_lines = lines[:-1].split("\n")
    if len(signature_lines) > SIGNATURES_MAX:
        raise NoteError(f"note has {len(signature_lines)} signature lines; {SIGNATURES_MAX} is the limit")
    note = Note(text=body + "\n", signatures=tuple(_parse_line(line) for line in signature_lines))
    if format_note(note) != text:
        raise NoteError("note is not in its canonical form")
    return note


def parse_signature_lines(text: str) -> tuple[SignatureLine, ...]:
    """The signature lines that a witness answers with, each ended by a newline. Raises `NoteError`."""
    if not text.endswith("\n"):
        raise NoteError("signature lines are each ended by a newline")
    lines = text[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise NoteError(f"{len(lines)} signature lines; {SIGNATURES_MAX} is the limit")
    return tuple(_parse_line(line) for line in lines)


def format_note(note: Note) -> str:
    """The text of a note.

    Raises:
        NoteError: the text or a name cannot stand in a note, or there is no signature.
    """
    _check_text(note.text)
    if not note.signatures:
        raise NoteError("note has no signature")
    return note.text + "\n" + "".join(format_signature_line(line) for line in note.signatures)


def key_hash(name: str, signature_type: int, public: bytes) -> bytes:
    """SHA-256(name || 0x0A || type || key), whose first 4 bytes are the key id."""
    return sha256(name.encode() + b"\n" + bytes([signature_type]) + public).digest()


def key_id(name: str, signature_type: int, public: bytes) -> bytes:
    """The 4 bytes that tell a name's keys apart.

    ECDSA keys are the exception, by custom older than the rule: see `ecdsa_key_id`.
    """
    return key_hash(name, signature_type, public)[:_KEY_ID_BYTES]


def ecdsa_key_id(spki: bytes) -> bytes:
    """The key id of a type 0x02 key: the first 4 bytes of SHA-256 of its DER SubjectPublicKeyInfo."""
    return sha256(spki).digest()[:_KEY_ID_BYTES]


def format_vkey(key: VerifierKey) -> str:
    """`NAME+KEY ID+base64(type || key)`, as people hand verifier keys to each other. Source: C2SP signed-note."""
    return f"{key.name}+{key.id.hex()}+{encode_base64(bytes([key.signature_type]) + key.public)}"


def parse_vkey(text: str, *, signature_type: int) -> VerifierKey:
    """The verifier key that `text` spells, of a 32-byte key of this signature type.

    Raises:
        NoteError: another form, another type, or a key id that is not the key's.
    """
    parts = text.split("+", 2)
    if len(parts) != 3:
        raise NoteError(f"verifier key {text[:60]!r} is not NAME+KEY ID+BASE64")
    material = decode_base64(parts[2])
    if len(material) != 1 + _PUBLIC_BYTES or material[0] != signature_type:
        raise NoteError(
            f"verifier key {text[:60]!r} is not a key of 32 bytes with signature type 0x{signature_type:02x}; "
            "ask its owner for the right one"
        )
    key = VerifierKey(name=parts[0], signature_type=signature_type, public=material[1:])
    _check_name(key.name)
    if format_vkey(key) != text:
        raise NoteError(f"verifier key {text[:60]!r}: its key id is not that of its key; it was copied wrongly")
    return key


def encode_base64(decoded: bytes) -> str:
    """Standard base64 with padding."""
    return base64.b64encode(decoded).decode("ascii")


def decode_base64(text: str) -> bytes:
    """The bytes of standard, padded base64 in its one canonical spelling.

    Raises:
        NoteError: any other text.
    """
    try:
        decoded = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError(f"{text[:44]!r} is not standard base64") from error
    if encode_base64(decoded) != text:
        raise NoteError(f"{text[:44]!r} is not canonical base64: its last characters carry stray bits")
    return decoded


def _parse_line(line: str) -> SignatureLine:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != _DASH:
        raise NoteError(f"{line[:60]!r} is not a signature line: em dash, key name, base64, with single spaces")
    signed = decode_base64(parts[2])
    if len(signed) <= _KEY_ID_BYTES:
        raise NoteError(f"signature of {parts[1]!r} is shorter than its key id")
    return SignatureLine(name=parts[1], key_id=signed[:_KEY_ID_BYTES], signature=signed[_KEY_ID_BYTES:])


def format_signature_line(line: SignatureLine) -> str:
    """One signature line with its newline. Raises `NoteError` for a name or key id that cannot stand in one."""
    _check_name(line.name)
    if len(line.key_id) != _KEY_ID_BYTES or not line.signature:
        raise NoteError(f"signature of {line.name!r} needs a key id of {_KEY_ID_BYTES} bytes and a signature")
    return f"{_DASH} {line.name} {encode_base64(line.key_id + line.signature)}\n"


def _check_name(name: str) -> None:
    if not name or "+" in name or any(c.isspace() or c < " " for c in name):
        raise NoteError(f"key name {name!r} is empty or holds a space or plus")


def _check_text(text: str) -> None:
    is_forbidden = any((c < " " and c != "\n") or "\ud800" <= c <= "\udfff" for c in text)
    if is_forbidden or text == "\n" or not text.endswith("\n"):
        raise NoteError("a note's text is not empty, ends in a newline and holds no control characters")
