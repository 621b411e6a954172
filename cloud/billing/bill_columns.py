"""Many bills' lines at once, written into columns as the words of `contracts.bill`.

A bill's line is eight words of 32 bytes. A column of lines differs between units only in subject, usage and amount, so
everything else is written once.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cloud.billing.pricing_columns import Integers
from contracts.abi import padded
from contracts.bill import LINE_BYTES, LINES_MAX, BillError, Line, LineKind

__all__ = ["LineColumn", "bill_contents", "joined", "of_units"]

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


def of_units(column: LineColumn, first: int, last: int) -> LineColumn | None:
    """A column's lines of units `first` to `last` - 1, counted from there; None where it has none."""
    start, end = np.searchsorted(column.rows, (first, last))
    if start == end:
        return None
    each = len(column.subjects) > 32
    return LineColumn(
        kind=column.kind,
        quantity=column.quantity,
        tariff=column.tariff,
        since=column.since,
        span=column.span,
        rows=column.rows[start:end] - first,
        subjects=column.subjects[32 * start : 32 * end] if each else column.subjects,
        usage=column.usage[start:end],
        amount=column.amount[start:end],
    )


def joined(column: LineColumn | None, some: Iterable[tuple[int, Line]]) -> LineColumn:
    """A column with further lines of its kind, in unit order."""
    added = sorted(some, key=lambda one: one[0])
    line = added[0][1]
    rows = np.array([unit for unit, _ in added], np.int64)
    usage = np.array([one.usage for _, one in added], np.int64)
    amount = np.array([one.amount for _, one in added], np.int64)
    subjects = np.frombuffer(b"".join(one.subject for _, one in added), np.uint8).reshape(-1, 32)
    if column is not None:
        rows, usage = np.concatenate((column.rows, rows)), np.concatenate((column.usage, usage))
        amount = np.concatenate((column.amount, amount))
        subjects = np.concatenate((np.frombuffer(column.subjects, np.uint8).reshape(-1, 32), subjects))
    place = np.argsort(rows, kind="stable")
    return LineColumn(
        kind=line.kind,
        quantity=line.quantity,
        tariff=line.tariff,
        since=line.since,
        span=line.span,
        rows=rows[place],
        subjects=subjects[place].tobytes(),
        usage=usage[place],
        amount=amount[place],
    )
