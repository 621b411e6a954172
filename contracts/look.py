"""Evidence of one entry of the audit log: that a look at a household's data stands where nobody can change it any more.

Its log's head is a leaf of the super-log; from there on it is what `contracts.evidence` is for a reading, and
`contracts.look_verifier` checks it. The file is canonical JSON.
"""

from dataclasses import dataclass

from contracts.detail import canonical_json, parse_canonical_json
from contracts.errors import DetailError, EvidenceError
from contracts.evidence import (
    EVIDENCE_BYTES_MAX,
    PATH_LENGTH_MAX,
    Anchor,
    SuperProof,
    format_anchor,
    format_super,
    parse_anchor,
    parse_super,
)
from contracts.fields import Fields
from contracts.tree import SIZE_END

LOOK_FORMAT = "minglou-look/1"
_KEYS = ("format", "entry", "log", "super", "anchor")


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadProof:
    """That the entry stands at `index` of the audit log whose first `size` entries this head covers."""

    origin: str
    index: int
    size: int
    path: tuple[bytes, ...]
    checkpoint: str  # note; its signature is the operator's own and proves nothing that the super-log does not


@dataclass(frozen=True, slots=True, kw_only=True)
class LookEvidence:
    """Everything the file says."""

    entry: str  # the leaf: canonical JSON
    log: HeadProof | None  # None until a head in the super-log covers it
    super_proof: SuperProof | None
    anchor: Anchor | None


def parse_look(encoded: bytes) -> LookEvidence:
    """The evidence in a file.

    Raises:
        EvidenceError: over 64 KiB, not canonical JSON, or a field missing, unknown or misspelt.
    """
    if len(encoded) > EVIDENCE_BYTES_MAX:
        raise EvidenceError(f"evidence has {len(encoded)} bytes; {EVIDENCE_BYTES_MAX} is the limit")
    try:
        value = parse_canonical_json(encoded, nulls=True)
    except DetailError as error:
        raise EvidenceError(f"evidence is {error}; ask for a fresh copy of the file") from error
    fields = Fields(value, place="", keys=_KEYS, refuse=EvidenceError)
    fields.choice("format", (LOOK_FORMAT,))
    look = LookEvidence(
        entry=fields.text("entry"),
        log=_parse_log(fields),
        super_proof=parse_super(fields),
        anchor=parse_anchor(fields),
    )
    if (look.super_proof and not look.log) or (look.anchor and not look.super_proof):
        raise EvidenceError("evidence has a link without the one below it: anchor needs super, super needs log")
    return look


def format_look(look: LookEvidence) -> bytes:
    """The file of an evidence: what `parse_look` reads."""
    log = look.log and {
        "origin": look.log.origin,
        "index": str(look.log.index),
        "size": str(look.log.size),
        "path": [node.hex() for node in look.log.path],
        "checkpoint": look.log.checkpoint,
    }
    return canonical_json(
        {
            "format": LOOK_FORMAT,
            "entry": look.entry,
            "log": log,
            "super": look.super_proof and format_super(look.super_proof),
            "anchor": look.anchor and format_anchor(look.anchor),
        },
        nulls=True,
    )


def _parse_log(fields: Fields) -> HeadProof | None:
    log = fields.within_or_none("log", "origin", "index", "size", "path", "checkpoint")
    if log is None:
        return None
    return HeadProof(
        origin=log.text("origin"),
        index=log.decimal("index", end=SIZE_END),
        size=log.decimal("size", start=1, end=SIZE_END),
        path=log.octets_list("path", 32, PATH_LENGTH_MAX),
        checkpoint=log.text("checkpoint"),
    )
