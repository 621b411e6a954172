"""Whether a checkpoint may be cosigned: the rules of C2SP tlog-witness in their order, each with its answer."""

from collections.abc import Sequence
from dataclasses import dataclass

from contracts import ed25519
from contracts.errors import KeyFormatError, SignatureError, TreeError, WitnessError
from contracts.note import Note, SignatureLine, VerifierKey, parse_note
from contracts.tree import EMPTY_ROOT, verify_consistency
from contracts.witness import SIZE_TYPE, AddCheckpoint, TreeHead, decode_add_checkpoint, parse_tree_head

__all__ = ["Genuine", "Held", "Refused", "check_genuine", "check_growth"]


class Refused(Exception):
    """A request is answered with `status` and `text` instead of a cosignature."""

    def __init__(self, status: int, text: str, media_type: str = "text/plain") -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.media_type = media_type


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The head that was cosigned last; size 0 before the first."""

    size: int = 0
    root: bytes = EMPTY_ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class Genuine:
    """A request whose checkpoint the log's key has signed; whether it extends the last one is not known yet."""

    request: AddCheckpoint
    note: Note
    head: TreeHead
    line: SignatureLine  # the log's, verified


def check_genuine(body: bytes, keys: Sequence[VerifierKey]) -> Genuine:
    """What can be judged without knowing what was cosigned before.

    Raises:
        Refused: 400 malformed, or an old size above the checkpoint's; 404 for an unknown log; 403 where none of its
            keys has signed, or a line that carries the name and id of one does not verify.
    """
    try:
        request = decode_add_checkpoint(body)
        note = parse_note(request.note)
        head = parse_tree_head(note)
    except WitnessError as error:
        raise Refused(400, f"{error}\n") from error
    known = [key for key in keys if key.name == head.origin]
    if not known:
        raise Refused(404, f"log {head.origin} is not one that this witness was told to watch\n")
    line = _verified_line(note, known)
    if request.old_size > head.size:
        raise Refused(400, f"old size {request.old_size} is above the checkpoint's {head.size}\n")
    return Genuine(request=request, note=note, head=head, line=line)


def check_growth(genuine: Genuine, held: Held) -> None:
    """Whether the checkpoint extends what was cosigned last.

    Raises:
        Refused: 409 with the size cosigned last where the request starts from another; 422 where the proof is not one.
    """
    request, head = genuine.request, genuine.head
    if request.old_size != held.size:
        raise Refused(409, f"{held.size}\n", SIZE_TYPE)
    if head.size == 0 and head.root != EMPTY_ROOT:
        raise Refused(422, "a tree of size 0 has the root of the empty tree\n")
    if held.size == 0:
        if request.proof:
            raise Refused(422, "the empty tree needs no proof: every tree extends it\n")
        return
    try:
        verify_consistency(held.size, held.root, head.size, head.root, request.proof)
    except TreeError as error:
        raise Refused(422, f"{error}\n") from error


def _verified_line(note: Note, keys: Sequence[VerifierKey]) -> SignatureLine:
    found: SignatureLine | None = None
    for key in keys:
        for line in note.signatures:
            if (line.name, line.key_id) != (key.name, key.id):
                continue
            try:
                ed25519.verify(key.public, note.text.encode(), line.signature)
            except (KeyFormatError, SignatureError) as error:
                raise Refused(403, f"the signature of {key.name} does not verify\n") from error
            found = found or line
    if found is None:
        raise Refused(403, f"none of the keys that this witness knows of {keys[0].name} has signed\n")
    return found
