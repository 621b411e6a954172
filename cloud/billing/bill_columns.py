"""Many bills' lines at once, written into columns as the words of `contracts.bill`.

A bill's line is eight words of 32 bytes. A column of lines differs between units only in subject, usage and amount, so
everything else is written once.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloud.billing.pricing_columns import Integers
from contracts.abi import padded
from contracts.bill import LINE_BYTES, LINES_MAX, BillError, LineKind

__all__ = ["LineColumn", "bill_contents"]

Octets = NDArray[np.uint8]

_WORD = 32
_SUBJECT, _QUANTITY, _TARIFF, _SINCE, _SPAN, _USAGE, _AMOUNT = range(1, 8)


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


def bill_contents(columns: Sequence[LineColumn], salts: Sequence[bytes]) -> list[bytes]:
    """Each unit's content, salt and lines, from columns of lines, in the columns' order on each bill.

    Args:
        salts: 16 bytes a unit.

    Raises:
        BillError: a unit has more lines than a bill can hold.
    """
    lines = _lines_of_units(columns, len(salts))
    return [salt + own for salt, own in zip(salts, lines, strict=True)]


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
    if counts.max(initial=0) > LINES_MAX:
        unit = int(np.argmax(counts)) - 1
        raise BillError(f"bill of unit {unit} has {counts.max()} lines; {LINES_MAX} can be challenged")
    starts = np.cumsum(counts)
    laid = np.empty((int(starts[-1]), LINE_BYTES), np.uint8)
    filled = starts[:-1].copy()
    for column in columns:
        laid[filled[column.rows]] = _encoded(column)
        filled[column.rows] += 1
    octets, edges = laid.tobytes(), (starts * LINE_BYTES).tolist()
    return [octets[edges[unit] : edges[unit + 1]] for unit in range(unit_count)]
