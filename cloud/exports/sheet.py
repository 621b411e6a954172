"""The shape of an export: named, typed columns. Units stand in the names, instants are UTC, integers are exact."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

__all__ = ["Column", "ColumnKind", "Row", "Sheet"]

Row = tuple[Any, ...]
"""One value for each column: str, int, date, or None. Instants are UTC milliseconds as int."""


class ColumnKind(Enum):
    """What a column's values are."""

    TEXT = "text"
    INTEGER = "integer"  # 64 bits, signed
    INSTANT = "instant"  # UTC milliseconds
    DAY = "day"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column."""

    name: str
    kind: ColumnKind
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One kind of table."""

    name: str
    says: str
    columns: Sequence[Column]


def text(name: str, says: str) -> Column:
    return Column(name=name, kind=ColumnKind.TEXT, says=says)


def integer(name: str, says: str) -> Column:
    return Column(name=name, kind=ColumnKind.INTEGER, says=says)


def instant(name: str, says: str) -> Column:
    return Column(name=name, kind=ColumnKind.INSTANT, says=says)


def day(name: str, says: str) -> Column:
    return Column(name=name, kind=ColumnKind.DAY, says=says)
