"""Where an export's rows come from, and which of them were asked for."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cloud.chain.deployment import Deployment
from cloud.chain.view import ChainView
from cloud.directory import Directory
from cloud.store import Store

__all__ = ["PORTION", "Asked", "Source"]

PORTION = 5_000
"""Rows that are in memory at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The store, and what names its rows."""

    store: Store
    directory: Directory
    view: Callable[[], Awaitable[ChainView]]
    deployment: Deployment | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What of a table is wanted: instants in UTC milliseconds, the end excluded."""

    from_ms: int | None = None
    to_ms: int | None = None
    boundaries_only: bool = False

    def within(self, column: Any, *, unit_ms: int = 1) -> Sequence[Any]:
        """The conditions on a column of instants, in units of so many milliseconds."""
        conditions = []
        if self.from_ms is not None:
            conditions.append(column >= -(-self.from_ms // unit_ms))
        if self.to_ms is not None:
            conditions.append(column < -(-self.to_ms // unit_ms))
        return conditions
