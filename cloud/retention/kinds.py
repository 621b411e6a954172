"""Kinds of data that are kept equally long, and what of them bills and disputes still need, as conditions."""

from sqlalchemy import ColumnElement, and_, or_, select

from cloud.retention.holds import Holds
from cloud.store import tables
from contracts.entry import Kind
from contracts.quantities import VISIT_VERDICT

__all__ = ["is_kind", "needed"]

_ENTRIES = tables.entries.c
_BOUNDARIES = tables.boundaries.c
_IS_BOUNDARY = _ENTRIES.quantity.contains("*")
_IS_VERDICT = _ENTRIES.quantity == VISIT_VERDICT
_KINDS: dict[str, ColumnElement[bool]] = {
    "access": _ENTRIES.kind == int(Kind.ACCESS),
    "readings": and_(_ENTRIES.kind == int(Kind.READING), ~_IS_BOUNDARY),
    "status": and_(_ENTRIES.kind == int(Kind.STATUS), ~_IS_VERDICT),
    "visits": or_(_ENTRIES.kind == int(Kind.VISIT), and_(_ENTRIES.kind == int(Kind.STATUS), _IS_VERDICT)),
    "boundaries": and_(_ENTRIES.kind == int(Kind.READING), _IS_BOUNDARY),
}


def is_kind(name: str) -> ColumnElement[bool]:
    """The condition on entries that are kept equally long."""
    return _KINDS[name]


def needed(name: str, log_id: int, start: int, end: int, holds: Holds) -> ColumnElement[bool] | None:
    """The condition on a log's entries of one kind that are still needed; None where nothing can be."""
    if name == "readings" and holds.readings:
        return or_(*(_ENTRIES.observed_at_ms.between(first, last) for first, last in holds.reading_times()))
    if name == "boundaries" and holds.boundaries:
        days = or_(*(_BOUNDARIES.boundary_date.between(first, last) for first, last in holds.boundaries))
        here = and_(_BOUNDARIES.log_id == log_id, _BOUNDARIES.entry_index >= start, _BOUNDARIES.entry_index < end)
        return _ENTRIES.entry_index.in_(select(_BOUNDARIES.entry_index).where(here, days))
    return None
