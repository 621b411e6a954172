"""One unit's bill for one period: lines, leaf, and the sum tree whose root the operator posts (DESIGN section 7).

Bytes: a line is eight 32-byte words, the lines digest is SHA-256 over all of them, the leaf names chain, contract,
site, period and unit, and each tree node carries four sums (total, own use, shared, other) as uint64 lanes of one word.
bill_tree.vy computes the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from hashlib import sha256
from typing import Any, NamedTuple

from contracts.abi import AbiError, encode_arguments, padded, unpadded
from contracts.errors import ContractsError

TAG = padded("minglou/bill/1")
LANE_END = 2**64
LINE_BYTES = 8 * 32
LINES_MAX = 24
BLOCK_LEVEL = 6
BLOCK = 1 << BLOCK_LEVEL  # bills that one debit takes: an aligned subtree
BILL_TYPE = "(uint256,bytes32,bytes32)"
NODE_TYPE = "(bytes32,uint256)"
LINE_TYPE = "(uint256,bytes32,bytes32,uint256,uint256,uint256,uint256,uint256)"

_TOP_BITS = sum(1 << (64 * lane + 63) for lane in range(4))
_WORD_END = 2**256
_DATE_END = 10**8
_LEAF_TYPES = ("bytes32", "uint256", "address", "bytes32", "uint256", "uint256", "uint256", "bytes32", "bytes32")


class BillError(ContractsError):
    """A bill, a line or a proof of one does not add up or does not fit its tree."""


class LineKind(IntEnum):
    """What a line charges for."""

    OWN = 1
    SHARED = 2
    STANDING = 3  # by floor area, residents, a stated number, or once: its subject is the right to it
    CREDIT = 4  # names a credit note; outside the bill's sums
    ESTIMATED = 5  # own use of which an entry is missing or not believed, told by a named rule
    INTERVAL = 6  # own use of a meter without tariff registers, by time of use from its readings between boundaries


LANES = {
    LineKind.OWN: "own",
    LineKind.ESTIMATED: "own",
    LineKind.INTERVAL: "own",
    LineKind.SHARED: "shared",
    LineKind.STANDING: "other",
}
"""The lane of the sums that a kind's lines are in; credits are in none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """Four sums in fen."""

    total: int
    own: int
    shared: int
    other: int

    def __post_init__(self) -> None:
        if not all(0 <= amount < LANE_END for amount in (self.total, self.own, self.shared, self.other)):
            raise BillError(
                f"amounts {self.total}, {self.own}, {self.shared}, {self.other} fen do not fit into 64 bits"
            )
        if self.total != self.own + self.shared + self.other:
            raise BillError(f"total {self.total} fen is not {self.own} + {self.shared} + {self.other}")

    def word(self) -> int:
        """The four lanes in one word, total first."""
        return self.total << 192 | self.own << 128 | self.shared << 64 | self.other

    @classmethod
    def from_word(cls, word: int) -> "Amounts":
        """The sums that a word carries. Raises BillError if they do not add up."""
        total, own, shared, other = ((word >> lane) % LANE_END for lane in (192, 128, 64, 0))
        return cls(total=total, own=own, shared=shared, other=other)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One charge on a bill, or the name of one credit note."""

    kind: LineKind
    subject: bytes  # device at closing, pool, digest of the right to charge or of the credit note
    quantity: str  # without date; empty where there is none
    tariff: int  # version of the terms, 0 for none
    since: int  # boundary date from which tiers count
    from_date: int  # boundary dates of the line's days, within the period
    to_date: int
    usage: int  # base units; the pool's for shared lines
    amount: int  # fen

    def __post_init__(self) -> None:
        if len(self.subject) != 32:
            raise BillError(f"line's subject has {len(self.subject)} bytes, not 32")
        if not 0 <= self.amount < LANE_END or not 0 <= self.usage < LANE_END or not 0 <= self.tariff < LANE_END:
            raise BillError(f"line of {self.amount} fen for {self.usage} is out of range; credits are separate notes")
        if not 0 <= self.since < _DATE_END or not 0 <= self.from_date < _DATE_END or not 0 <= self.to_date < _DATE_END:
            raise BillError(f"line's dates {self.since}, {self.from_date}, {self.to_date} are not YYYYMMDD")

    @property
    def span(self) -> int:
        """The line's days in one word: first day * 10^8 + the day after the last."""
        return self.from_date * _DATE_END + self.to_date

    def abi(self) -> tuple[Any, ...]:
        """The fields in the contract's order."""
        return (
            int(self.kind),
            self.subject,
            padded(self.quantity),
            self.tariff,
            self.since,
            self.span,
            self.usage,
            self.amount,
        )

    def encode(self) -> bytes:
        """The line's eight words."""
        numbers = (self.tariff, self.since, self.span, self.usage, self.amount)
        head = int(self.kind).to_bytes(32) + self.subject + padded(self.quantity)
        return head + b"".join(number.to_bytes(32) for number in numbers)


def decode_line(words: bytes) -> Line:
    """A line from its eight words. Raises BillError if they are not canonical."""
    if len(words) != LINE_BYTES:
        raise BillError(f"line has {len(words)} bytes, not {LINE_BYTES}")
    parts = [words[start : start + 32] for start in range(0, LINE_BYTES, 32)]
    kind, tariff, since, span, usage, amount = (int.from_bytes(parts[place]) for place in (0, 3, 4, 5, 6, 7))
    return Line(
        kind=line_kind(kind),
        subject=parts[1],
        quantity=_quantity(parts[2]),
        tariff=tariff,
        since=since,
        from_date=span // _DATE_END,
        to_date=span % _DATE_END,
        usage=usage,
        amount=amount,
    )


def _quantity(word: bytes) -> str:
    try:
        return unpadded(word)
    except AbiError as error:
        raise BillError(f"line's quantity is not canonical: {error}") from error


def line_kind(kind: object) -> LineKind:
    """A kind from its number. Raises BillError if there is none."""
    if type(kind) is not int or kind not in LineKind.__members__.values():
        raise BillError(
            f"line has kind {kind!r}; there are {', '.join(f'{one} {one.name.lower()}' for one in LineKind)}"
        )
    return LineKind(kind)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """One unit's bill for one period."""

    chain_id: int
    contract: str  # address of UsageFees
    site: bytes
    period: int  # opening date * 10^8 + closing date
    unit_index: int
    lines: tuple[Line, ...]
    salt: bytes  # 32 bytes: 16 random ones, zero-padded on the right

    def __post_init__(self) -> None:
        if len(self.lines) > LINES_MAX:
            raise BillError(
                f"bill of unit {self.unit_index} has {len(self.lines)} lines; {LINES_MAX} can be challenged"
            )
        if len(self.salt) != 32 or len(self.site) != 32:
            raise BillError(f"bill of unit {self.unit_index}: salt and site are 32 bytes each")

    @property
    def amounts(self) -> Amounts:
        """What the lines add up to, by kind."""
        own, shared, other = (
            sum(line.amount for line in self.lines if LANES.get(line.kind) == lane)
            for lane in ("own", "shared", "other")
        )
        return Amounts(total=own + shared + other, own=own, shared=shared, other=other)

    @property
    def lines_digest(self) -> bytes:
        """SHA-256 over the words of all lines."""
        return sha256(b"".join(line.encode() for line in self.lines)).digest()

    def leaf(self) -> "Node":
        """The bill's leaf in the period's tree."""
        return leaf_node(
            chain_id=self.chain_id,
            contract=self.contract,
            site=self.site,
            period=self.period,
            unit_index=self.unit_index,
            amounts=self.amounts,
            lines_digest=self.lines_digest,
            salt=self.salt,
        )

    def abi(self) -> tuple[int, bytes, bytes]:
        """What the contract needs of a bill: amounts, lines digest, salt."""
        return (self.amounts.word(), self.lines_digest, self.salt)


class Node(NamedTuple):
    """A node of the bill tree: its hash and the sums below it."""

    hash: bytes
    sums: int  # the word of an `Amounts`

    def abi(self) -> tuple[bytes, int]:
        """The fields in the contract's order."""
        return (self.hash, self.sums)


@dataclass(frozen=True, slots=True, kw_only=True)
class BillProof:
    """A bill with its place in the posted tree: what an owner gets as `minglou-bill/1`."""

    bill: Bill
    path: tuple[Node, ...]
    unit_count: int
    root: Node
    terms: tuple[tuple[int, bytes], ...] = ()  # (version, announced bytes) of the tariffs that its lines name


def leaf_node(
    *,
    chain_id: int,
    contract: str,
    site: bytes,
    period: int,
    unit_index: int,
    amounts: Amounts,
    lines_digest: bytes,
    salt: bytes,
) -> Node:
    """A leaf from its parts, for a bill whose lines are not at hand."""
    word = amounts.word()
    values = (TAG, chain_id, contract, site, period, unit_index, word, lines_digest, salt)
    return Node(sha256(b"\0" + encode_arguments("bill leaf", _LEAF_TYPES, values)).digest(), word)


def parent(left: Node, right: Node) -> Node:
    """The node above two. Raises BillError where a sum would pass 64 bits."""
    sums = (left.sums + right.sums) % _WORD_END
    carries = (left.sums & right.sums) | ((left.sums | right.sums) & ~sums)
    if carries & _TOP_BITS:
        raise BillError("a sum of bills does not fit into 64 bits; split the site")
    hashed = sha256(b"\1" + left.hash + left.sums.to_bytes(32) + right.hash + right.sums.to_bytes(32))
    return Node(hashed.digest(), sums)


class BillTree:
    """The sum tree of a period: one leaf per unit of the roll, in unit order, in RFC 9162's shape."""

    def __init__(self, leaves: Iterable[Node]) -> None:
        row = list(leaves)
        if not row:
            raise BillError("a period without units has no bills")
        self.unit_count = len(row)
        self._rows = [row]
        while len(row) > 1:
            above = [parent(row[place], row[place + 1]) for place in range(0, len(row) - 1, 2)]
            # An odd node at the end moves up unchanged: the shape of RFC 9162 section 2.1.1.
            row = above + row[len(above) * 2 :]
            self._rows.append(row)

    @classmethod
    def of_bills(cls, bills: Sequence[Bill]) -> "BillTree":
        """The tree of all bills of one period. Raises BillError if they are not the roll's, in order."""
        for place, bill in enumerate(bills):
            if bill.unit_index != place or bill.period != bills[0].period:
                raise BillError(
                    f"bill {place} is of unit {bill.unit_index}, period {bill.period}; one bill a unit, in order"
                )
        return cls(bill.leaf() for bill in bills)

    @classmethod
    def of_blocks(cls, roots: Sequence[Node], unit_count: int, level: int) -> "BillTree":
        """The rows from a level up, over the roots of all aligned blocks of 2^level units; those below are empty."""
        tree = cls(roots)
        tree.unit_count = unit_count
        tree._rows = [*([] for _ in range(level)), *tree._rows]
        return tree

    @property
    def root(self) -> Node:
        """What the operator posts."""
        return self._rows[-1][0]

    def path(self, unit_index: int) -> tuple[Node, ...]:
        """Siblings of a bill from the leaf up."""
        return self._siblings(0, unit_index)

    def block_path(self, first_index: int, *, level: int = BLOCK_LEVEL) -> tuple[Node, ...]:
        """Siblings above the aligned block of 2^level bills, 64 unless said otherwise, that begins at this unit."""
        if first_index % (1 << level):
            raise BillError(f"block at unit {first_index} is not aligned to {1 << level}")
        return self._siblings(level, first_index >> level)

    def row(self, level: int) -> Sequence[Node]:
        """The nodes of one level, leaves being level 0; the root's own level is the last."""
        return self._rows[level]

    @property
    def height(self) -> int:
        """The root's level."""
        return len(self._rows) - 1

    def _siblings(self, level: int, place: int) -> tuple[Node, ...]:
        if not 0 <= place << level < self.unit_count:
            raise BillError(f"unit {place << level} is beyond the {self.unit_count} units of the tree")
        path = []
        for row in self._rows[level:-1]:
            if place ^ 1 < len(row):
                path.append(row[place ^ 1])
            place >>= 1
        return tuple(path)


def verify_bill(proof: BillProof) -> None:
    """Check that lines, leaf, path and root agree. Raises BillError naming the step that does not."""
    bill = proof.bill
    if climb(bill.leaf(), bill.unit_index, proof.unit_count, proof.path) != proof.root:
        raise BillError(f"bill of unit {bill.unit_index} does not lead to the root {proof.root.hash.hex()}")


def climb(node: Node, index: int, size: int, path: Sequence[Node]) -> Node:
    """The root above a node at `index` in a row of `size` nodes. Raises BillError if the path does not fit."""
    if not 0 <= index < size:
        raise BillError(f"unit {index} is beyond the {size} units of the tree")
    inner = (index ^ (size - 1)).bit_length()
    length = inner + (index >> inner).bit_count()
    if len(path) != length:
        raise BillError(f"path has {len(path)} nodes; unit {index} of {size} needs {length}")
    for level, sibling in enumerate(path):
        node = parent(sibling, node) if level >= inner or index >> level & 1 else parent(node, sibling)
    return node


def doubled(lines: Sequence[Line]) -> tuple[int, int] | None:
    """Places of the first two lines that charge the same thing for the same day; None where no two do.

    A right that states its amount itself may be used more than once, and a credit asks for nothing (line_proof.vy).
    """
    seen: dict[tuple[bytes, str], list[int]] = {}
    for place, line in enumerate(lines):
        if line.kind is LineKind.CREDIT or (line.kind is LineKind.STANDING and line.tariff == 0):
            continue
        same = seen.setdefault((line.subject, line.quantity), [])
        for other in same:
            if max(lines[other].from_date, line.from_date) < min(lines[other].to_date, line.to_date):
                return other, place
        same.append(place)
    return None


def share(pool: int, before: int, key: int, key_sum: int) -> int:
    """One unit's part of a pool: telescoping, so that all parts add up to it and each can be checked alone.

    Args:
        pool: fen to share.
        before: sum of the keys of the units before this one.
        key: this unit's key (area in 0.01 m2, 1 where all are equal, a table's).
        key_sum: sum of all keys, above 0.
    """
    return pool * (before + key) // key_sum - pool * before // key_sum


def shares(pool: int, keys: Sequence[int]) -> tuple[int, ...]:
    """Every unit's part of a pool, in unit order; they add up to it exactly."""
    key_sum = sum(keys)
    if key_sum <= 0:
        raise BillError("nobody to share with: the keys add up to zero")
    parts = []
    before = 0
    for key in keys:
        parts.append(share(pool, before, key, key_sum))
        before += key
    return tuple(parts)


def binding_commitment(
    *,
    device: bytes,
    subject: bytes,
    role: int,
    from_date: int,
    to_date: int,
    opening_register: int,
    closing_register: int,
    photo_digest: bytes,
    salt: bytes,
) -> bytes:
    """What the Registry holds of a binding beside its open fields; to_date and closing register are 0 while open."""
    types = ("bytes32", "bytes32", "uint256", "uint256", "uint256", "int256", "int256", "bytes32", "bytes32")
    values = (device, subject, role, from_date, to_date, opening_register, closing_register, photo_digest, salt)
    return sha256(encode_arguments("binding", types, values)).digest()
