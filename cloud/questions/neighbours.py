"""What the middle household of a building used: something to hold one's own figure against, and nobody's own figure.

It is told of a building in which at least five households used something, rounded, and never with a name or a door.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Any

from cloud.billing.usage import (
    OWN_ROLE,
    Bindings,
    Registers,
    bindings_of,
    dates_of_changes,
    load_counts,
    spans_of,
)
from cloud.chain.view import ChainView
from cloud.directory import Directory
from cloud.errors import BillingError
from contracts.quantities import unit_of

__all__ = ["HOUSEHOLDS_MIN", "Days", "Neighbours", "used_by"]

HOUSEHOLDS_MIN = 5
_ROUNDED = {"Wh": 1_000, "mL": 100_000, "L": 100}  # to what people are shown as one, or a tenth of a cubic metre
_KEPT_MS = 600_000
_KEPT_MAX = 8_192


@dataclass(frozen=True, slots=True, kw_only=True)
class Days:
    """Of whom and of what days a middle is asked."""

    building: str
    category: int  # of units: flats are not held against shops
    register: str
    first: int  # boundary dates
    last: int


@dataclass(frozen=True, slots=True)
class _Told:
    median: int | None
    households: int
    at_ms: int


class Neighbours:
    """Buildings' middles. Each is kept for some minutes: one question reads a whole building's meters."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Days, _Told] = OrderedDict()

    async def median(
        self, connection: Any, view: ChainView, directory: Directory, days: Days, *, now_ms: int
    ) -> tuple[int | None, int]:
        """The middle household's use, rounded, and how many used anything; no middle where these are too few."""
        kept = self._kept.get(days)
        if kept is None or not 0 <= now_ms - kept.at_ms < _KEPT_MS:
            used = await _used_in(connection, view, directory, days)
            kept = self._kept[days] = _Told(_middle(used, days.register), len(used), now_ms)
            while len(self._kept) > _KEPT_MAX:
                self._kept.popitem(last=False)
        return kept.median, kept.households


def _middle(used: Sequence[int], register: str) -> int | None:
    if len(used) < HOUSEHOLDS_MIN:
        return None
    step = _ROUNDED.get(unit_of(register) or "", 1)
    return (median_low(used) + step // 2) // step * step


async def _used_in(connection: Any, view: ChainView, directory: Directory, days: Days) -> list[int]:
    """What each household used that used anything and has readings at both ends."""
    units = [
        unit.alias
        for unit in directory.units_in(days.building)
        if (roll := view.units.get(unit.alias)) is not None and roll.category == days.category
    ]
    bindings = bindings_of(view, [(alias, OWN_ROLE) for alias in units])
    devices = {device for some in bindings.values() for device, _ in some}
    dates = {days.first, days.last, *(day for day in dates_of_changes(bindings) if days.first < day < days.last)}
    registers = await load_counts(connection, view, register=days.register, dates=dates, devices=devices)
    found = [used_by(registers, bindings, alias, days.register, (days.first, days.last)) for alias in units]
    return [used for used in found if used]


def used_by(registers: Registers, bindings: Bindings, unit: bytes, register: str, days: tuple[int, int]) -> int | None:
    """What a unit's own meters of one register counted between two boundaries; None where no entries say so."""
    try:
        spans = spans_of(
            registers, bindings, (unit, OWN_ROLE), register=register, from_date=days[0], to_date=days[1]
        )  # fmt: skip
    except BillingError:
        return None
    return sum(span.usage for span in spans)
