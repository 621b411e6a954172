"""What is measured: OBIS codes for meters, dotted names elsewhere, and the boundary form of a reading's quantity.

Source: IEC 62056-6-1 (OBIS, groups A to E; the F field never appears), Minglou's entry format.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from types import MappingProxyType

from contracts.errors import QuantityError

QUANTITY_BYTES_MAX = 32

_OBIS = re.compile(r"(\d{1,3})-(\d{1,3}):(\d{1,3})\.(\d{1,3})\.(\d{1,3})")
_DOTTED = re.compile(r"[a-z][a-z0-9_-]*(?:\.[a-z0-9_-]+)*")
_BEACON = re.compile(r"block:([1-9][0-9]*)")
_DAY = re.compile(r"\d{8}")

ENERGY_IMPORT = "1-0:1.8.0"
ENERGY_EXPORT = "1-0:2.8.0"
COLD_WATER = "8-0:1.0.0"
HOT_WATER = "9-0:1.0.0"
GAS = "7-0:3.0.0"
HEAT = "6-0:1.0.0"
VISIT = "visit"
VISIT_VERDICT = "visit.verdict"
EPOCH_OPEN = "epoch.open"
KEY_ROTATE = "key.rotate"
CONFIG_MEANING = "config.meaning"
GAP = "gap"
CLOCK_STEP = "clock.step"
SOFTWARE = "software"
LIFT_MODE = "lift.mode"
LIFT_TRIPS = "lift.trips"
LIFT_DOOR_CYCLES = "lift.door-cycles"
LIFT_REOPENINGS = "lift.reopenings"
LIFT_INSPECTION_RUNS = "lift.inspection-runs"
LIFT_SAFETY_CHAIN = "lift.safety-chain"  # 0 closed, else the first open contact
LIFT_ALARMS = "lift.alarms"
LIFT_SUPPLY_DROPS = "lift.supply-drops"
LIFT_EMERGENCY_STOPS = "lift.emergency-stops"
LIFT_DECELERATION = "lift.deceleration-mm-s2"
LIFT_LEVELLING = "lift.levelling-mm"  # signed: above the landing is positive
LIFT_TRAPPED = "lift.trapped"  # 1: as the lift's module says
LIFT_ENTRAPMENT = "lift.entrapment"  # 1: as the gateway concludes from what it watches
LIFT_STOPPED = "lift.stopped"  # 1: not in service for too long, as the gateway concludes
DEVICE_ONLINE = "device.online"  # 0: its line to the gateway was lost, 1: it is back, as the gateway saw
DISPLAY_SLOT = "display.slot"  # of a display: the slot that it shows
DISPLAY_PAIRED = "display.paired"
DISPLAY_FORGOTTEN = "display.forgotten"
DISPLAY_DISPUTED = "display.disputed"  # 1: another display told a secret in its name
DISPLAY_SILENT = "display.silent"  # 1: not heard for too long, as the gateway concludes

UNIT_OF_OBIS: Mapping[str, str] = MappingProxyType(
    {
        ENERGY_IMPORT: "Wh",
        "1-0:1.8.1": "Wh",
        "1-0:1.8.2": "Wh",
        "1-0:1.8.3": "Wh",
        "1-0:1.8.4": "Wh",
        ENERGY_EXPORT: "Wh",
        "1-0:1.7.0": "W",
        "1-0:32.7.0": "mV",
        "1-0:52.7.0": "mV",
        "1-0:72.7.0": "mV",
        "1-0:31.7.0": "mA",
        "1-0:51.7.0": "mA",
        "1-0:71.7.0": "mA",
        HEAT: "Wh",
        GAS: "L",
        COLD_WATER: "mL",
        HOT_WATER: "mL",
    }
)
"""Base units of the registers that Minglou scales: an entry's value is an integer of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryQuantity:
    """A register at a period's boundary: its OBIS code and the site's local date that begins at that midnight."""

    obis: str
    day: date

    def __str__(self) -> str:
        return f"{self.obis}*{self.day:%Y%m%d}"


def boundary_quantity(obis: str, day: date) -> str:
    """`boundary_quantity("1-0:1.8.0", date(2026, 12, 1))` is `1-0:1.8.0*20261201`.

    Raises:
        QuantityError: `obis` is not an OBIS code, or the year is not four digits.
    """
    check_obis(obis)
    if day.year < 1000:
        raise QuantityError(f"boundary date {day} has a year before 1000; check the site's calendar")
    return str(BoundaryQuantity(obis=obis, day=day))


def parse_boundary_quantity(quantity: str) -> BoundaryQuantity | None:
    """The boundary that a reading's quantity names, or None for an ordinary reading.

    Raises:
        QuantityError: there is a `*`, but no OBIS code before it or no calendar date behind it.
    """
    obis, star, day = quantity.partition("*")
    if not star:
        return None
    check_obis(obis)
    if not _DAY.fullmatch(day) or not day.isascii() or day[0] == "0":
        raise QuantityError(f"quantity {quantity!r}: a boundary date is eight digits such as 20261201")
    try:
        return BoundaryQuantity(obis=obis, day=date(int(day[:4]), int(day[4:6]), int(day[6:])))
    except ValueError as error:
        raise QuantityError(f"quantity {quantity!r}: {day} is no calendar date") from error


def check_obis(quantity: str) -> None:
    """Raises `QuantityError` unless `quantity` is an OBIS code A-B:C.D.E in canonical decimal."""
    match = _OBIS.fullmatch(quantity)
    if not match or not quantity.isascii() or any(str(int(g)) != g or int(g) > 255 for g in match.groups()):
        raise QuantityError(f"quantity {quantity!r}: write an OBIS code without its F field, such as 1-0:1.8.0")


def check_dotted_name(quantity: str) -> None:
    """Raises `QuantityError` unless `quantity` is a lower-case dotted name such as `lift.mode`."""
    if not _DOTTED.fullmatch(quantity):
        raise QuantityError(f"quantity {quantity!r}: write a lower-case dotted name such as lift.mode")


def beacon_quantity(chain_id: int) -> str:
    """The quantity of a beacon entry for one chain: `block:<chain id>`."""
    return f"block:{chain_id}"


def parse_beacon_quantity(quantity: str) -> int:
    """The chain id that a beacon's quantity names.

    Raises:
        QuantityError: it is not `block:` and a positive canonical decimal.
    """
    match = _BEACON.fullmatch(quantity)
    if not match:
        raise QuantityError(f"quantity {quantity!r}: a beacon's is block:<chain id>")
    return int(match[1])


@lru_cache(maxsize=1024)
def unit_of(quantity: str) -> str | None:
    """The base unit of a reading's quantity (its boundary form included), or None where Minglou knows none."""
    return UNIT_OF_OBIS.get(quantity.partition("*")[0])
