"""From the unit that a device speaks to the base unit that entries hold: exact factors, integers out."""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from types import MappingProxyType

_THOUSAND = 1000

FACTOR_OF_UNITS: Mapping[tuple[str, str], Fraction] = MappingProxyType(
    {
        ("MWh", "Wh"): Fraction(1_000_000),
        ("kWh", "Wh"): Fraction(_THOUSAND),
        ("kW", "W"): Fraction(_THOUSAND),
        ("V", "mV"): Fraction(_THOUSAND),
        ("A", "mA"): Fraction(_THOUSAND),
        ("m3", "mL"): Fraction(1_000_000),
        ("L", "mL"): Fraction(_THOUSAND),
        ("m3", "L"): Fraction(_THOUSAND),
        ("s", "ms"): Fraction(_THOUSAND),
        ("degC", "mdegC"): Fraction(_THOUSAND),
        ("%", "0.01%"): Fraction(100),
    }
)
"""What one of the first unit is in the second. A unit is itself times one."""


def factor(unit: str, base_unit: str) -> Fraction | None:
    """How many base units one unit is, or None where the two have nothing to do with each other."""
    return Fraction(1) if unit == base_unit else FACTOR_OF_UNITS.get((unit, base_unit))


def known_units(base_unit: str) -> tuple[str, ...]:
    """The units that convert to a base unit."""
    return (base_unit, *(unit for unit, base in FACTOR_OF_UNITS if base == base_unit))


def whole(number: Decimal | int, numerator: int, denominator: int) -> int | None:
    """`number * numerator / denominator` where that is a whole number, else None. Never rounds."""
    if isinstance(number, int):
        product, rest = divmod(number * numerator, denominator)
        return None if rest else product
    top, bottom = number.as_integer_ratio()
    product, rest = divmod(top * numerator, bottom * denominator)
    return None if rest else product
