"""What every codec gives: one quantity's value, as an integer in its base unit."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType

from contracts.entry import Kind

NO_DETAIL: Mapping[str, object] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
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
    detail: Mapping[str, object] = field(default_factory=lambda: NO_DETAIL)
