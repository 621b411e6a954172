"""A copy's acknowledgement: who keeps an independent copy of a log signs how much of which history is on its disk.

A C2SP signed note with one Ed25519 line. Its first line tells it from a checkpoint, so that neither can pass for the
other. A gateway prunes only what every copy in its own settings acknowledged; the cloud is merely the postman.
"""

import re
from dataclasses import dataclass

from contracts import ed25519
from contracts.checkpoint import Checkpoint, is_log_origin, parse_checkpoint_body
from contracts.errors import CheckpointError, CopyError, KeyFormatError, NoteError, SignatureError
from contracts.note import ED25519, Note, SignatureLine, format_note, key_id, parse_note

FORMAT_LINE = "minglou-copy/1\n"
COPIES_MAX = 16

_NAME = re.compile(r"[a-z0-9.-]+(?:/[a-z0-9-]+)*")
_NAME_BYTES_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyKeeper:
    """Who keeps a copy: its name and Ed25519 key, which signs nothing else."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        if not is_copy_name(self.name) or len(self.public) != ed25519.PUBLIC_BYTES:
            raise CopyError(f"copy {self.name[:80]!r}: needs a name such as committee.example/copy and a 32-byte key")


def is_copy_name(name: str) -> bool:
    """Whether this can name a copy: a host, maybe with a path, in lower case, at most 64 bytes."""
    return len(name) <= _NAME_BYTES_MAX and _NAME.fullmatch(name) is not None


def sign_acknowledgement(held: Checkpoint, name: str, key: ed25519.PrivateKey) -> str:
    """The note that says: the first `held.size` entries of this log, with this root, are on my disk."""
    keeper = CopyKeeper(name=name, public=ed25519.public_bytes(key))
    text = FORMAT_LINE + held.body()
    line = SignatureLine(
        name=name, key_id=key_id(name, ED25519, keeper.public), signature=ed25519.sign(key, text.encode())
    )
    return format_note(Note(text=text, signatures=(line,)))


def parse_acknowledgement(note: str) -> tuple[str, Checkpoint]:
    """Who says that how much is held, *not* verified.

    Raises:
        CopyError: not an acknowledgement of one log with one signature.
    """
    name, held, _ = _parse(note)
    return name, held


def open_acknowledgement(note: str, keeper: CopyKeeper) -> Checkpoint:
    """What this keeper acknowledges, its signature verified.

    Raises:
        CopyError: not an acknowledgement, or not by this keeper.
    """
    name, held, parsed = _parse(note)
    line = parsed.signatures[0]
    if name != keeper.name or line.key_id != key_id(keeper.name, ED25519, keeper.public):
        raise CopyError(f"acknowledgement of {held.origin} is by {name}, not by {keeper.name} with the known key")
    try:
        ed25519.verify(keeper.public, parsed.text.encode(), line.signature)
    except (KeyFormatError, SignatureError) as error:
        raise CopyError(f"acknowledgement of {held.origin} in the name of {name}: {error}") from error
    return held


def _parse(note: str) -> tuple[str, Checkpoint, Note]:
    try:
        parsed = parse_note(note)
        if not parsed.text.startswith(FORMAT_LINE) or len(parsed.signatures) != 1:
            raise CopyError("acknowledgement is not a minglou-copy/1 note with one signature")
        held = parse_checkpoint_body(parsed.text.removeprefix(FORMAT_LINE))
    except (NoteError, CheckpointError) as error:
        raise CopyError(f"acknowledgement: {error}") from error
    if not is_log_origin(held.origin):
        raise CopyError(f"acknowledgement is of {held.origin}, which is no gateway's log")
    return parsed.signatures[0].name, held, parsed
