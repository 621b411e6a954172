"""What every codec gives: one quantity's value, as an integer in its base unit."""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import NamedTuple

from contracts.entry import Kind

NO_DETAIL: Mapping[str, object] = MappingProxyType({})


class Reading(NamedTuple):
    """One value that a device told.

    `kind` is READING, STATUS or ACCESS. `value` is in the quantity's base unit (Wh, mL, mV, mA), a count or a code.
    `meter_at_ms` is the device's own time (UTC milliseconds) where it said one. `boundary` is the local date at whose
    first instant the device itself froze the register, else None. `detail` fits the canonical JSON of
    `contracts.detail`.
    """

    kind: Kind
    quantity: str
    value: int
    meter_at_ms: int | None = None
    boundary: date | None = None
    detail: Mapping[str, object] = NO_DETAIL
