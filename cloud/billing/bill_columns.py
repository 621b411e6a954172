"""Many bills' bytes at once: lines, leaves and the sum tree of `contracts.bill`, written into columns and hashed.

A bill's line is eight words of 32 bytes. A column of lines differs between units only in subject, usage and amount, so
everything else is written once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
from numpy.typing import NDArray

from cloud.billing.pricing_columns import Integers
from contracts.abi import encode_arguments, padded
from contracts.bill import LANES, LINE_BYTES, TAG, Amounts, BillTree, LineKind, Node

__all__ = ["BillColumns", "LineColumn", "bill_columns"]

Octets = NDArray[np.uint8]

_WORD = 32
_SUBJECT, _QUANTITY, _TARIFF, _SINCE, _SPAN, _USAGE, _AMOUNT = range(1, 8)
_LANES = ("own", "shared", "other")
_HEAD_TYPES = ("bytes32", "uint256", "address", "bytes32", "uint256")


@dataclass(frozen=True, slots=True, kw_only=True)
class LineColumn:
    """One kind of line on the bills of many units."""

    kind: LineKind
    quantity: str
    tariff: int
    since: int
    span: int  # first day * 10^8 + the day after the last
    rows: Integers  # which units have it: indices of the roll, rising
    subjects: bytes  # 32 for all of them, or 32 for each
    usage: Integers  # base units, one a row
    amount: Integers  # fen, one a row


@dataclass(frozen=True, slots=True, kw_only=True)
class BillColumns:
    """All bills of a period: each unit's lines as bytes, and the tree over them."""

    lines: Sequence[bytes]  # one a unit: its lines' words, in order
    salts: Sequence[bytes]
    totals: Integers
    tree: BillTree


def bill_columns(
    columns: Sequence[LineColumn],
    *,
    unit_count: int,
    salts: Sequence[bytes],
    chain_id: int,
    contract: str,
    site: bytes,
    period: int,
) -> BillColumns:
    """The bills of a period from their columns of lines, in the columns' order on each bill.

    Args:
        salts: 32 bytes a unit, the last 16 zero.

    Raises:
        BillError: a bill's sums do not fit their lanes.
    """
    lines = _lines_of_units(columns, unit_count)
    sums = _sums(columns, unit_count)
    head = b"\0" + encode_arguments("bill leaf", _HEAD_TYPES, (TAG, chain_id, contract, site, period))
    words = _amount_words(sums)
    leaves = [
        Node(
            sha256(b"".join((head, unit.to_bytes(_WORD), word.to_bytes(_WORD), sha256(own).digest(), salt))).digest(),
            word,
        )
        for unit, (own, word, salt) in enumerate(zip(lines, words, salts, strict=True))
    ]
    return BillColumns(lines=lines, salts=salts, totals=sums.sum(axis=1), tree=BillTree(leaves))


def _encoded(column: LineColumn) -> Octets:
    """The words of each of a column's lines: one row of 256 bytes a unit."""
    words = np.zeros((len(column.rows), 8, _WORD), np.uint8)
    constant = {
        0: int(column.kind).to_bytes(_WORD),
        _QUANTITY: padded(column.quantity),
        _TARIFF: column.tariff.to_bytes(_WORD),
        _SINCE: column.since.to_bytes(_WORD),
        _SPAN: column.span.to_bytes(_WORD),
    }
    for place, word in constant.items():
        words[:, place] = np.frombuffer(word, np.uint8)
    words[:, _SUBJECT] = np.frombuffer(column.subjects, np.uint8).reshape(-1, _WORD)
    words[:, _USAGE, 24:] = _big_endian(column.usage)
    words[:, _AMOUNT, 24:] = _big_endian(column.amount)
    return words.reshape(-1, LINE_BYTES)


def _big_endian(numbers: Integers) -> Octets:
    return numbers.astype(">u8").view(np.uint8).reshape(-1, 8)


def _lines_of_units(columns: Sequence[LineColumn], unit_count: int) -> list[bytes]:
    """Each unit's lines one after the other: rows are laid out unit by unit, then cut."""
    counts = np.zeros(unit_count + 1, np.int64)
    for column in columns:
        counts[column.rows + 1] += 1
    starts = np.cumsum(counts)
    laid = np.empty((int(starts[-1]), LINE_BYTES), np.uint8)
    filled = starts[:-1].copy()
    for column in columns:
        laid[filled[column.rows]] = _encoded(column)
        filled[column.rows] += 1
    octets, edges = laid.tobytes(), (starts * LINE_BYTES).tolist()
    return [octets[edges[unit] : edges[unit + 1]] for unit in range(unit_count)]


def _sums(columns: Sequence[LineColumn], unit_count: int) -> Integers:
    """Own use, shared and other of each bill, in fen; a credit's line counts in none."""
    sums = np.zeros((unit_count, len(_LANES)), np.int64)
    for column in columns:
        lane = LANES.get(column.kind)
        if lane is not None:
            sums[column.rows, _LANES.index(lane)] += column.amount
    return sums


def _amount_words(sums: Integers) -> list[int]:
    return [
        Amounts(total=own + shared + other, own=own, shared=shared, other=other).word()
        for own, shared, other in sums.tolist()
    ]
