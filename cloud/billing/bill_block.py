"""Bills as bytes: what the operator hands to the cloud, a run keeps in its folder and the store keeps a unit.

A unit's content is its 16 bytes of salt and the words of its lines. A block holds the contents of up to 4,096 units in
unit order and the siblings above them, so that it is verified by itself against the root on chain (docs/formats.md).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray

from contracts.abi import encode_arguments, unpadded
from contracts.bill import (
    BLOCK,
    LANES,
    LINE_BYTES,
    LINES_MAX,
    TAG,
    Amounts,
    Bill,
    BillError,
    BillTree,
    Line,
    LineKind,
    Node,
    climb,
    decode_line,
)
from contracts.errors import ContractsError

__all__ = [
    "BILLS_AT_ONCE",
    "BLOCK_BYTES_MAX",
    "BLOCK_LEVEL",
    "MEDIA_TYPE",
    "SALTS_HEADER",
    "SALT_BYTES",
    "BillBlock",
    "BillPlace",
    "decode_block",
    "encode_block",
    "leaves_of",
    "lines_of",
    "salts_digest",
    "verified_block",
]

MEDIA_TYPE = "application/vnd.minglou.bills"
SALTS_HEADER = "x-minglou-salts"  # of who asks what is wrong with bills: `salts_digest`
SALT_BYTES = 16
BLOCK_LEVEL = 12
BILLS_AT_ONCE = 1 << BLOCK_LEVEL

_WORD = 32
_NODE_BYTES = 2 * _WORD
_PATH_MAX = 32
_HEADER = re.compile(rb"minglou-bills/1\n(0|[1-9][0-9]{0,9})\n([1-9][0-9]{0,3})\n(0|[1-9][0-9]?)\n")
_HEADER_BYTES_MAX = 64
BLOCK_BYTES_MAX = (
    _HEADER_BYTES_MAX + _PATH_MAX * _NODE_BYTES + BILLS_AT_ONCE * (1 + SALT_BYTES + LINES_MAX * LINE_BYTES)
)
_HEAD_TYPES = ("bytes32", "uint256", "address", "bytes32", "uint256")
_LANE_NAMES = ("own", "shared", "other")
_LANE_OF_KIND = np.array([-1] + [_LANE_NAMES.index(LANES[kind]) if kind in LANES else -1 for kind in LineKind])
_SUM_END = 2**62

Octets = NDArray[np.uint8]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class BillPlace:
    """Whose bills of what period: what every leaf names before its own words."""

    chain_id: int
    contract: str  # address of UsageFees
    site: bytes
    period: int

    def head(self) -> bytes:
        """The words that all leaves of the period begin with."""
        values = (TAG, self.chain_id, self.contract, self.site, self.period)
        return b"\0" + encode_arguments("bill leaf", _HEAD_TYPES, values)

    def bill(self, unit_index: int, content: bytes) -> Bill:
        """One unit's bill from its content. Raises BillError if it is not canonical."""
        return Bill(
            chain_id=self.chain_id,
            contract=self.contract,
            site=self.site,
            period=self.period,
            unit_index=unit_index,
            lines=tuple(lines_of(content)),
            salt=content[:SALT_BYTES].ljust(_WORD, b"\0"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BillBlock:
    """The bills of an aligned block of units, and the way from it to the root."""

    first: int
    contents: Sequence[bytes]
    path: tuple[Node, ...]


def lines_of(content: bytes) -> list[Line]:
    """One unit's lines from its content. Raises BillError where one is not canonical."""
    starts = range(SALT_BYTES, len(content), LINE_BYTES)
    return [decode_line(content[start : start + LINE_BYTES]) for start in starts]


def salts_digest(contents: Sequence[bytes]) -> bytes:
    """What only a holder of a period's first bills can say: SHA-256 of the salts of up to 64 of them."""
    return sha256(b"".join(content[:SALT_BYTES] for content in contents[:BLOCK])).digest()


def encode_block(block: BillBlock) -> bytes:
    """Header, siblings, one byte a unit for its number of lines, contents."""
    header = f"minglou-bills/1\n{block.first}\n{len(block.contents)}\n{len(block.path)}\n".encode()
    path = [node.hash + node.sums.to_bytes(_WORD) for node in block.path]
    counts = bytes((len(content) - SALT_BYTES) // LINE_BYTES for content in block.contents)
    return b"".join((header, *path, counts, *block.contents))


def decode_block(body: bytes) -> BillBlock:
    """A block from its bytes, its lines looked at and its place not verified yet. Raises BillError naming the fault."""
    header = _HEADER.match(body[:_HEADER_BYTES_MAX])
    if header is None:
        raise BillError("not a block of bills: it begins with minglou-bills/1 and three numbers")
    first, count, steps = (int(number) for number in header.groups())
    if count > BILLS_AT_ONCE or steps > _PATH_MAX:
        raise BillError(f"block of {count} bills with {steps} siblings; {BILLS_AT_ONCE} and {_PATH_MAX} are the most")
    nodes_at = header.end()
    counts_at = nodes_at + steps * _NODE_BYTES
    counts = body[counts_at : counts_at + count]
    edges = list(accumulate((SALT_BYTES + number * LINE_BYTES for number in counts), initial=counts_at + count))
    if len(counts) != count or max(counts) > LINES_MAX or edges[-1] != len(body):
        raise BillError(f"block at unit {first} has {len(body)} bytes; its numbers of lines ask for {edges[-1]}")
    contents = [body[start:end] for start, end in pairwise(edges)]
    check_lines(b"".join(content[SALT_BYTES:] for content in contents))
    path = tuple(
        Node(body[at : at + _WORD], int.from_bytes(body[at + _WORD : at + _NODE_BYTES]))
        for at in range(nodes_at, counts_at, _NODE_BYTES)
    )
    return BillBlock(first=first, contents=contents, path=path)


def verified_block(block: BillBlock, place: BillPlace, *, root: Node, unit_count: int) -> BillTree:
    """The block's own tree, which must lead to the root. Raises BillError where it does not, or is not whole."""
    if block.first % BILLS_AT_ONCE or len(block.contents) != min(BILLS_AT_ONCE, unit_count - block.first):
        raise BillError(
            f"block of {len(block.contents)} bills at unit {block.first} of {unit_count}; each has {BILLS_AT_ONCE}"
        )
    tree = BillTree(leaves_of(block.contents, place, first=block.first))
    rows = -(-unit_count // BILLS_AT_ONCE)
    if climb(tree.root, block.first // BILLS_AT_ONCE, rows, block.path) != root:
        raise BillError(
            f"bills from unit {block.first} lead to another root than the one on chain ({root.hash.hex()}); upload "
            f"what was posted"
        )
    return tree


def leaves_of(contents: Sequence[bytes], place: BillPlace, *, first: int = 0) -> list[Node]:
    """The leaves of units in a row. Raises BillError where sums do not fit."""
    # What all leaves begin with is hashed once.
    head, zeros = sha256(place.head()), bytes(_WORD - SALT_BYTES)
    leaves = []
    for unit, (content, word) in enumerate(zip(contents, _amount_words(contents), strict=True), first):
        leaf = head.copy()
        leaf.update(unit.to_bytes(_WORD) + word + sha256(content[SALT_BYTES:]).digest() + content[:SALT_BYTES] + zeros)
        leaves.append(Node(leaf.digest(), int.from_bytes(word)))
    return leaves


def _amount_words(contents: Sequence[bytes]) -> list[bytes]:
    """The four sums of each unit in one word, as `contracts.bill.Amounts` packs them."""
    lines = _lines(b"".join(content[SALT_BYTES:] for content in contents))
    edges = np.cumsum([0, *((len(content) - SALT_BYTES) // LINE_BYTES for content in contents)])
    amounts = _word_tail(lines, 7)
    if len(amounts) and int(amounts.max()) * len(amounts) >= _SUM_END:
        return _long_words(lines, amounts, edges)
    lanes = _LANE_OF_KIND[lines[:, _WORD - 1]]
    sums = np.zeros((len(contents), 1 + len(_LANE_NAMES)), np.int64)
    for lane in range(len(_LANE_NAMES)):
        running = np.concatenate(([0], np.cumsum(np.where(lanes == lane, amounts.astype(np.int64), 0))))
        sums[:, 1 + lane] = running[edges[1:]] - running[edges[:-1]]
    sums[:, 0] = sums.sum(axis=1)
    octets = sums.astype(">i8").tobytes()
    return [octets[at : at + _WORD] for at in range(0, len(octets), _WORD)]


def _long_words(lines: Octets, amounts: NDArray[np.uint64], edges: Integers) -> list[bytes]:
    """As above, for amounts whose sums may pass 64 bits."""
    words = []
    lanes = _LANE_OF_KIND[lines[:, _WORD - 1]].tolist()
    for start, end in pairwise(edges.tolist()):
        some = list(zip(lanes[start:end], amounts[start:end].tolist(), strict=True))
        own, shared, other = (
            sum(amount for lane, amount in some if lane == wanted) for wanted in range(len(_LANE_NAMES))
        )
        words.append(Amounts(total=own + shared + other, own=own, shared=shared, other=other).word().to_bytes(_WORD))
    return words


def check_lines(words: bytes) -> None:
    """Raises BillError unless every line is canonical: what `decode_line` would refuse, for many lines at once."""
    lines = _lines(words)
    kinds = lines[:, _WORD - 1]
    is_wrong = (kinds < min(LineKind)) | (kinds > max(LineKind)) | lines[:, : _WORD - 1].any(axis=1)
    for place in (3, 4, 5, 6, 7):
        is_wrong |= lines[:, place * _WORD : place * _WORD + 24].any(axis=1)
    days = _word_tail(lines, 4)
    is_wrong |= (days >= 10**8) | (_word_tail(lines, 5) >= 10**16)
    if is_wrong.any():
        at = int(np.flatnonzero(is_wrong)[0])
        decode_line(lines[at].tobytes())
        raise BillError(f"line {at} of the block is out of range")
    for quantity in {words[at + 2 * _WORD : at + 3 * _WORD] for at in range(0, len(words), LINE_BYTES)}:
        try:
            unpadded(quantity)
        except ContractsError as error:
            raise BillError(f"a line's quantity is not canonical: {error}") from error


def _lines(words: bytes) -> Octets:
    return np.frombuffer(words, np.uint8).reshape(-1, LINE_BYTES)


def _word_tail(lines: Octets, place: int) -> NDArray[np.uint64]:
    """The last 64 bits of one word of each line."""
    end = (place + 1) * _WORD
    return np.ascontiguousarray(lines[:, end - 8 : end]).view(">u8").reshape(-1).astype(np.uint64)
