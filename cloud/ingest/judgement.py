"""What one batch is worth against the log as it stands: pure, on bytes, in bulk.

A batch that continues the log becomes the rows to store; anything else an `IngestRefused`. Batches that begin before
the log's end are compared by `cloud.ingest.overlap` first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from cloud.errors import IngestRefused
from cloud.store.trees import STORED_LEVEL
from contracts.batch import Batch
from contracts.checkpoint import Checkpoint, SignedCheckpoint
from contracts.detail import SALT_BYTES, decode_detail
from contracts.entry import EntryRow, Kind
from contracts.errors import DetailError
from contracts.quantities import parse_boundary_quantity
from contracts.tree import Frontier, Node

__all__ = ["Content", "Continuation", "LogHead", "Opening", "continue_log", "read_content", "read_opening"]

Row = tuple[Any, ...]

_SALT_KEY = b'"salt":"'
_SALT_DIGITS = 2 * SALT_BYTES


@dataclass(slots=True, kw_only=True)
class LogHead:
    """One gateway's log as the cloud holds it; replaced, never changed, when a batch is accepted."""

    log_id: int
    origin: str
    frontier: Frontier
    token_digest: bytes
    frozen: str | None
    is_stored: bool = True

    @property
    def size(self) -> int:
        return self.frontier.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A batch's entries, parsed once: fields, leaf hashes, details."""

    batch: Batch
    signed: SignedCheckpoint
    rows: Sequence[EntryRow]
    leaves: Sequence[bytes]

    @property
    def checkpoint(self) -> Checkpoint:
        return self.signed.checkpoint

    @property
    def end(self) -> int:
        return self.batch.start + len(self.rows)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What entry 0 of a log says about the gateway that opened it."""

    token_digest: bytes
    claim_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """A batch that continues its log, as rows for the tables `entries`, `nodes` and `boundaries`."""

    content: Content
    head: LogHead
    public: bytes
    skipped: int  # entries of the batch that were held already
    entry_rows: Sequence[Row] = field(repr=False)
    node_rows: Sequence[Row] = field(repr=False)
    boundary_rows: Sequence[Row] = field(repr=False)


def read_content(batch: Batch, signed: SignedCheckpoint, *, held: int) -> Content:
    """What a decoded batch says; decoding has checked that entries are canonical and details have their digests.

    Raises:
        IngestRefused: 422 bad_entry for a detail that is not canonical JSON: its evidence could never be verified.
    """
    for position, detail in enumerate(batch.details):
        if detail:
            try:
                _check_canonical(detail)
            except DetailError as error:
                index = batch.start + position
                raise IngestRefused(
                    422, "bad_entry", f"entry {index}: {error}; nothing was stored", size=held
                ) from error
    return Content(batch=batch, signed=signed, rows=batch.rows, leaves=batch.leaf_hashes())


def _check_canonical(detail: bytes) -> None:
    """What `decode_detail` checks, many times faster: details of one device differ in little but their salt.

    Whether JSON is canonical does not depend on which 32 hex digits a string holds, so a text is checked once for all
    salts.

    Raises:
        DetailError: not canonical.
    """
    before, key, rest = detail.partition(_SALT_KEY)
    salt = rest[:_SALT_DIGITS]
    if len(salt) == _SALT_DIGITS and not salt.translate(None, b"0123456789abcdef"):
        _check_frame(before + key, rest[_SALT_DIGITS:])
    else:
        decode_detail(detail)  # names what is wrong, or finds the salt spelled otherwise


@lru_cache(maxsize=4096)
def _check_frame(before: bytes, after: bytes) -> None:
    decode_detail(before + b"0" * _SALT_DIGITS + after)


def read_opening(content: Content, *, origin: str) -> Opening:
    """What a log's entry 0 declares.

    Raises:
        IngestRefused: 403 not_enrolled where the batch does not begin with a well-formed `epoch.open` at index 0.
    """
    row = content.rows[0]
    remedy = (
        f"{origin} is not enrolled here yet: its first batch begins at 0 with `epoch.open`, "
        "claim_code and uplink_token_digest"
    )
    if content.batch.start != 0 or row[0] != Kind.GATEWAY or row[3] != "epoch.open" or not content.batch.details[0]:
        raise IngestRefused(403, "not_enrolled", remedy)
    fields = decode_detail(content.batch.details[0])
    token, claim = fields.get("uplink_token_digest"), fields.get("claim_code")
    if not isinstance(claim, str) or not isinstance(token, str):
        raise IngestRefused(403, "not_enrolled", remedy)
    try:
        digest = bytes.fromhex(token)
    except ValueError:
        digest = b""
    if len(digest) != 32:
        raise IngestRefused(403, "not_enrolled", f"{origin}: uplink_token_digest is not 64 hex digits; {remedy}")
    return Opening(token_digest=digest, claim_code=claim)


def continue_log(content: Content, head: LogHead, *, public: bytes, token_digest: bytes) -> Continuation:
    """The rows by which the batch continues `head`; what `head` holds already is skipped (the caller has compared it).

    Raises:
        IngestRefused: 422 wrong_root where the signed root is not that of the entries.
    """
    skipped = head.size - content.batch.start
    nodes: list[Node] = []
    frontier = head.frontier.copy()
    frontier.extend(content.leaves[skipped:], on_node=nodes.append)
    if frontier.root() != content.checkpoint.root:
        raise IngestRefused(
            422,
            "wrong_root",
            f"{head.origin}: the checkpoint of size {content.checkpoint.size} does not fit the {head.size} entries "
            "held here and the "
            f"{len(content.rows) - skipped} sent; ask GET /v1/logs/{head.origin} what is held and send from there",
            size=head.size,
        )
    log_id, first = head.log_id, head.size
    rows, details, leaves = content.rows[skipped:], content.batch.details[skipped:], content.leaves[skipped:]
    return Continuation(
        content=content,
        head=LogHead(
            log_id=log_id,
            origin=head.origin,
            frontier=frontier,
            token_digest=token_digest,
            frozen=None,
            is_stored=head.is_stored,
        ),
        public=public,
        skipped=skipped,
        entry_rows=[
            (log_id, first + at, *row, detail or None, leaf)
            for at, (row, detail, leaf) in enumerate(zip(rows, details, leaves, strict=True))
        ],
        node_rows=[(log_id, level, index, node) for level, index, node in nodes if level >= STORED_LEVEL],
        boundary_rows=_boundary_rows(log_id, first, rows),
    )


def _boundary_rows(log_id: int, first: int, rows: Sequence[EntryRow]) -> list[Row]:
    found: list[Row] = []
    for at, row in enumerate(rows):
        if row[0] == Kind.READING and "*" in row[3]:
            boundary = parse_boundary_quantity(row[3])
            assert boundary is not None, "decode_rows has checked the quantity's grammar"
            found.append((log_id, first + at, row[1], boundary.obis, int(boundary.day.strftime("%Y%m%d")), row[4]))
    return found
