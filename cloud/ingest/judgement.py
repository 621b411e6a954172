"""What one batch is worth against the log as it stands: pure, on bytes, in bulk.

A batch that continues the log becomes a `Continuation` to store; anything else an `IngestRefused`. Batches that begin
before the log's end are compared by `cloud.ingest.overlap` first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from cloud.errors import IngestRefused
from cloud.ingest.columns import Columns, read_columns
from cloud.ingest.quota import Bucket
from cloud.store.trees import STORED_LEVEL
from contracts.batch import BatchParts
from contracts.checkpoint import Checkpoint, SignedCheckpoint
from contracts.detail import SALT_BYTES, decode_detail
from contracts.entry import ENTRY_BYTES, Kind
from contracts.errors import DetailError
from contracts.tree import Frontier, Node, leaf_hashes

__all__ = ["Content", "Continuation", "LogHead", "Opening", "continue_log", "read_content", "read_opening"]

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
    bucket: Bucket
    is_stored: bool = True

    @property
    def size(self) -> int:
        return self.frontier.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """A batch's entries, read once: columns and leaf hashes."""

    parts: BatchParts
    signed: SignedCheckpoint
    columns: Columns
    leaves: Sequence[bytes]

    @property
    def checkpoint(self) -> Checkpoint:
        return self.signed.checkpoint

    @property
    def end(self) -> int:
        return self.parts.start + self.parts.count


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """What entry 0 of a log says about the gateway that opened it."""

    token_digest: bytes
    claim_code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Continuation:
    """A batch that continues its log: the head it was judged upon, the one it leads to, and what it adds."""

    content: Content
    before: LogHead
    head: LogHead
    public: bytes
    nodes: Sequence[Node] = field(repr=False)

    @property
    def skipped(self) -> int:
        """How many entries of the batch were held already."""
        return self.before.size - self.content.parts.start

    @property
    def added(self) -> int:
        return self.head.size - self.before.size


def read_content(parts: BatchParts, signed: SignedCheckpoint, *, held: int) -> Content:
    """What a batch says, with every entry canonical and every detail the entry's.

    Raises:
        BatchError: it is none.
        IngestRefused: 422 bad_entry for a detail that is not canonical JSON: its evidence could never be verified.
    """
    columns = read_columns(parts)
    for position, detail in columns.details.items():
        try:
            _check_canonical(detail)
        except DetailError as error:
            index = parts.start + position
            raise IngestRefused(422, "bad_entry", f"entry {index}: {error}; nothing was stored", size=held) from error
    return Content(parts=parts, signed=signed, columns=columns, leaves=leaf_hashes(parts.entries, ENTRY_BYTES))


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
    row, detail = content.columns.row(0), content.columns.details.get(0)
    remedy = (
        f"{origin} is not enrolled here yet: its first batch begins at 0 with `epoch.open`, "
        "claim_code and uplink_token_digest"
    )
    if content.parts.start != 0 or row[0] != Kind.GATEWAY or row[3] != "epoch.open" or detail is None:
        raise IngestRefused(403, "not_enrolled", remedy)
    fields = decode_detail(detail)
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


def continue_log(content: Content, head: LogHead, *, public: bytes) -> Continuation:
    """How the batch continues `head`; what `head` holds already is skipped (the caller has compared it).

    Raises:
        IngestRefused: 422 wrong_root where the signed root is not that of the entries.
    """
    nodes: list[Node] = []
    frontier = head.frontier.copy()
    frontier.extend(content.leaves[head.size - content.parts.start :], on_node=nodes.append, level_min=STORED_LEVEL)
    if frontier.root() != content.checkpoint.root:
        raise IngestRefused(
            422,
            "wrong_root",
            f"{head.origin}: the checkpoint of size {content.checkpoint.size} does not fit the {head.size} entries "
            f"held here and the {content.end - head.size} sent; ask GET /v1/logs/{head.origin} what is held and send "
            "from there",
            size=head.size,
        )
    after = replace(head, frontier=frontier, is_stored=True)
    return Continuation(content=content, before=head, head=after, public=public, nodes=nodes)
