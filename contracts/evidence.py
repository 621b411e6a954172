"""Evidence: the self-contained file that proves one entry, from its fields to the anchor.

Parsing only decides whether the file is in the format; `contracts.verifier` decides what it proves. The file is
canonical JSON, so that no byte of it can change unnoticed. `docs/formats.md` describes it field by field.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from contracts.detail import canonical_json, parse_canonical_json
from contracts.entry import Entry, EntryRow, Kind
from contracts.errors import DetailError, EntryError, EvidenceError
from contracts.fields import Fields
from contracts.tree import SIZE_END

FORMAT = "minglou-evidence/1"
EVIDENCE_BYTES_MAX = 65_536
PATH_LENGTH_MAX = 48
CONSISTENCY_LENGTH_MAX = 2 * PATH_LENGTH_MAX

KeyClass = Literal["file", "token", "attested"]
BindingRole = Literal["own", "pool"]
Redacted = Literal["redacted"]

KEY_CLASSES: tuple[KeyClass, ...] = ("file", "token", "attested")
"""Where a gateway's key lives, in the order of the Registry's numbers from 1; it caps what a visit is worth."""

_UINT256_END = 2**256
_BLOCK_END = 2**64


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayKey:
    """The key that signed the log, and over which blocks the Registry held it in force."""

    public: bytes  # x || y
    key_class: KeyClass
    from_block: int
    to_block: int | None  # the last block of its validity; None while in force


@dataclass(frozen=True, slots=True, kw_only=True)
class LogProof:
    """That the entry stands at `index` of a gateway's log as its checkpoint signed it."""

    origin: str
    index: int
    size: int
    path: tuple[bytes, ...]
    checkpoint: str  # note
    key: GatewayKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Which unit or pool the device counts for, between which boundary dates."""

    unit: bytes  # the unit's or pool's alias
    role: BindingRole
    from_date: date
    to_date: date | None
    confirmed: bool  # by the owner's key or by the committee


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """That the Registry gives the device to this log over these indexes."""

    urn: str | None  # None where it is withheld
    device: bytes
    origin: str
    first_index: int
    last_index: int | None  # None while open
    block: int
    binding: Binding | None  # None for devices that count for nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class SuperProof:
    """That the checkpoint stands at `index` of the super-log."""

    origin: str
    index: int
    size: int
    path: tuple[bytes, ...]
    note: str  # with cosignatures


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """Which transaction put the super-log's root on which chain."""

    chain_id: int
    contract: bytes  # 20 bytes
    size: int
    root: bytes
    path: tuple[bytes, ...]  # consistency from the super-log size of the proof; empty when it is the same
    block: int
    block_hash: bytes
    transaction: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Everything the file says. `row` may still be no entry: the verifier's check `entry` tells."""

    row: EntryRow
    detail: Mapping[str, Any] | Redacted | None
    log: LogProof | None
    assignment: Assignment | None
    super_proof: SuperProof | None
    anchor: Anchor | None

    def entry(self) -> Entry:
        """The entry. Raises `EntryError` if the fields are none."""
        kind, device, observed_at_ms, quantity, value, detail_digest, salt = self.row
        try:
            known = Kind(kind)
        except ValueError as error:
            raise EntryError(f"kind {kind} is not one of 1 to 6") from error
        return Entry(
            kind=known, device=device, observed_at_ms=observed_at_ms, quantity=quantity, value=value,
            detail_digest=detail_digest, salt=salt,
        )  # fmt: skip


def parse_evidence(encoded: bytes) -> Evidence:
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
    fields = Fields(
        value,
        place="",
        keys=("format", "entry", "detail", "log", "assignment", "super", "anchor"),
        refuse=EvidenceError,
    )
    fields.choice("format", (FORMAT,))
    evidence = Evidence(
        row=_parse_row(fields),
        detail=_parse_detail(fields.raw("detail")),
        log=_parse_log(fields),
        assignment=_parse_assignment(fields),
        super_proof=parse_super(fields),
        anchor=parse_anchor(fields),
    )
    if (evidence.super_proof and not evidence.log) or (evidence.anchor and not evidence.super_proof):
        raise EvidenceError("evidence has a link without the one below it: anchor needs super, super needs log")
    return evidence


def format_evidence(evidence: Evidence) -> bytes:
    """The file of an evidence: what `parse_evidence` reads."""
    kind, device, observed_at_ms, quantity, value, detail_digest, salt = evidence.row
    return canonical_json(
        {
            "format": FORMAT,
            "entry": {
                "kind": kind,
                "device": device.hex(),
                "observed_at_ms": observed_at_ms,
                "quantity": quantity,
                "value": str(value),
                "detail_digest": detail_digest.hex(),
                "salt": salt.hex(),
            },
            "detail": evidence.detail,
            "log": evidence.log and _format_log(evidence.log),
            "assignment": evidence.assignment and _format_assignment(evidence.assignment),
            "super": evidence.super_proof and format_super(evidence.super_proof),
            "anchor": evidence.anchor and format_anchor(evidence.anchor),
        },
        nulls=True,
    )


def _parse_row(fields: Fields) -> EntryRow:
    entry = fields.within("entry", "kind", "device", "observed_at_ms", "quantity", "value", "detail_digest", "salt")
    return (
        entry.integer("kind"),
        entry.octets("device", 32),
        entry.integer("observed_at_ms"),
        entry.text("quantity"),
        entry.decimal("value", start=-_UINT256_END, end=_UINT256_END),
        entry.octets("detail_digest", 32),
        entry.octets("salt", 16),
    )


def _parse_detail(value: Any) -> Mapping[str, Any] | Redacted | None:
    if value is None or value == "redacted" or isinstance(value, dict):
        return value  # type: ignore[no-any-return]  # JSON objects are str-keyed mappings
    raise EvidenceError('detail is neither an object nor "redacted" nor null')


def _parse_log(fields: Fields) -> LogProof | None:
    log = fields.within_or_none("log", "origin", "index", "size", "path", "checkpoint", "key")
    if log is None:
        return None
    key = log.within("key", "public", "class", "from_block", "to_block")
    return LogProof(
        origin=log.text("origin"),
        index=log.decimal("index", end=SIZE_END),
        size=log.decimal("size", start=1, end=SIZE_END),
        path=log.octets_list("path", 32, PATH_LENGTH_MAX),
        checkpoint=log.text("checkpoint"),
        key=GatewayKey(
            public=key.octets("public", 64),
            key_class=key.choice("class", KEY_CLASSES),  # type: ignore[arg-type]  # one of them, as just checked
            from_block=key.decimal("from_block", end=_BLOCK_END),
            to_block=key.decimal_or_none("to_block", end=_BLOCK_END),
        ),
    )


def _format_log(log: LogProof) -> dict[str, object]:
    return {
        "origin": log.origin,
        "index": str(log.index),
        "size": str(log.size),
        "path": [node.hex() for node in log.path],
        "checkpoint": log.checkpoint,
        "key": {
            "public": log.key.public.hex(),
            "class": log.key.key_class,
            "from_block": str(log.key.from_block),
            "to_block": _decimal(log.key.to_block),
        },
    }


def _parse_assignment(fields: Fields) -> Assignment | None:
    assignment = fields.within_or_none(
        "assignment", "urn", "device", "origin", "first_index", "last_index", "block", "binding"
    )
    if assignment is None:
        return None
    return Assignment(
        urn=assignment.text_or_none("urn"),
        device=assignment.octets("device", 32),
        origin=assignment.text("origin"),
        first_index=assignment.decimal("first_index", end=SIZE_END),
        last_index=assignment.decimal_or_none("last_index", end=SIZE_END),
        block=assignment.decimal("block", end=_BLOCK_END),
        binding=_parse_binding(assignment),
    )


def _parse_binding(assignment: Fields) -> Binding | None:
    binding = assignment.within_or_none("binding", "unit", "role", "from", "to", "confirmed")
    if binding is None:
        return None
    to_date = binding.text_or_none("to")
    return Binding(
        unit=binding.octets("unit", 32),
        role=binding.choice("role", ("own", "pool")),  # type: ignore[arg-type]  # one of them, as just checked
        from_date=_parse_date(binding.text("from")),
        to_date=None if to_date is None else _parse_date(to_date),
        confirmed=binding.boolean("confirmed"),
    )


def _format_assignment(assignment: Assignment) -> dict[str, object]:
    binding = assignment.binding
    return {
        "urn": assignment.urn,
        "device": assignment.device.hex(),
        "origin": assignment.origin,
        "first_index": str(assignment.first_index),
        "last_index": _decimal(assignment.last_index),
        "block": str(assignment.block),
        "binding": binding
        and {
            "unit": binding.unit.hex(),
            "role": binding.role,
            "from": f"{binding.from_date:%Y%m%d}",
            "to": binding.to_date and f"{binding.to_date:%Y%m%d}",
            "confirmed": binding.confirmed,
        },
    }


def parse_super(fields: Fields) -> SuperProof | None:
    """The link `super` of a file. Raises what `fields` refuses with."""
    proof = fields.within_or_none("super", "origin", "index", "size", "path", "note")
    if proof is None:
        return None
    return SuperProof(
        origin=proof.text("origin"),
        index=proof.decimal("index", end=SIZE_END),
        size=proof.decimal("size", start=1, end=SIZE_END),
        path=proof.octets_list("path", 32, PATH_LENGTH_MAX),
        note=proof.text("note"),
    )


def format_super(proof: SuperProof) -> dict[str, object]:
    """What `parse_super` reads."""
    return {
        "origin": proof.origin,
        "index": str(proof.index),
        "size": str(proof.size),
        "path": [node.hex() for node in proof.path],
        "note": proof.note,
    }


def parse_anchor(fields: Fields) -> Anchor | None:
    """The link `anchor` of a file. Raises what `fields` refuses with."""
    anchor = fields.within_or_none(
        "anchor", "chain_id", "contract", "size", "root", "path", "block", "block_hash", "transaction"
    )
    if anchor is None:
        return None
    return Anchor(
        chain_id=anchor.decimal("chain_id", start=1, end=_BLOCK_END),
        contract=anchor.octets("contract", 20, prefix="0x"),
        size=anchor.decimal("size", start=1, end=SIZE_END),
        root=anchor.octets("root", 32),
        path=anchor.octets_list("path", 32, CONSISTENCY_LENGTH_MAX),
        block=anchor.decimal("block", end=_BLOCK_END),
        block_hash=anchor.octets("block_hash", 32, prefix="0x"),
        transaction=anchor.octets("transaction", 32, prefix="0x"),
    )


def format_anchor(anchor: Anchor) -> dict[str, object]:
    """What `parse_anchor` reads."""
    return {
        "chain_id": str(anchor.chain_id),
        "contract": "0x" + anchor.contract.hex(),
        "size": str(anchor.size),
        "root": anchor.root.hex(),
        "path": [node.hex() for node in anchor.path],
        "block": str(anchor.block),
        "block_hash": "0x" + anchor.block_hash.hex(),
        "transaction": "0x" + anchor.transaction.hex(),
    }


def _parse_date(text: str) -> date:
    try:
        day = datetime.strptime(text, "%Y%m%d").date()  # noqa: DTZ007 - a date of the site's calendar has no zone
    except ValueError as error:
        raise EvidenceError(f"{text[:20]!r} is no date such as 20261201") from error
    if f"{day:%Y%m%d}" != text:
        raise EvidenceError(f"{text[:20]!r} is no date such as 20261201")
    return day


def _decimal(number: int | None) -> str | None:
    return None if number is None else str(number)
