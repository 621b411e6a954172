"""What every profile says, whatever its protocol: name, source, limits, and the digest of its meaning."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from contracts.detail import canonical_json
from contracts.entry import Kind, check_quantity
from contracts.errors import EntryError, QuantityError
from contracts.quantities import unit_of
from devices.plausibility import Limits
from devices.scale import factor, known_units, whole
from devices.toml_table import Table

FORMAT = "minglou-profile/1"
_SAYS_NOTHING_OF_MEANING = frozenset({"title", "source", "verified"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """`digest` is SHA-256 of the canonical JSON of all that changes what a device's bytes mean."""

    name: str
    title: str
    source: str
    verified: bool  # whether a captured or published message of such a device was decoded right
    digest: bytes
    limits: Mapping[str, Limits]

    @property
    def cumulative(self) -> frozenset[str]:
        """The registers that never fall."""
        return frozenset(quantity for quantity, limits in self.limits.items() if limits.cumulative)


@dataclass(frozen=True, slots=True, kw_only=True)
class Headed:
    """A profile of any protocol, as far as all are alike."""

    header: Header

    @property
    def name(self) -> str:
        return self.header.name

    @property
    def digest(self) -> bytes:
        return self.header.digest

    @property
    def limits(self) -> Mapping[str, Limits]:
        return self.header.limits


def parse_header(top: Table, name: str) -> Header:
    """The parts of a profile that all protocols share.

    Raises:
        ProfileError: a missing or wrong key; file, line and remedy are named.
    """
    top.choice("format", (FORMAT,))
    if top.string("name") != name:
        top.fail("name", f"is {top.string('name')!r}, but the file is {name}.toml; make them the same")
    meaning = {key: value for key, value in top.content.items() if key not in _SAYS_NOTHING_OF_MEANING}
    return Header(
        name=name,
        title=top.string("title"),
        source=top.string("source"),
        verified=top.boolean("verified"),
        digest=hashlib.sha256(canonical_json(meaning)).digest(),
        limits={quantity: _parse_limits(table, quantity) for quantity, table in top.named_tables("limits")},
    )


def parse_quantity(table: Table, key: str, quantity: str, kind: Kind) -> str:
    """A quantity that an entry of this kind may carry."""
    try:
        check_quantity(kind, quantity)
    except (EntryError, QuantityError) as error:
        table.fail(key, f"{error}")
    if "*" in quantity:
        table.fail(key, f"{quantity!r} has a boundary date; the gateway adds it, remove it here")
    return quantity


def parse_unit(table: Table, quantity: str, key: str = "unit") -> Fraction:
    """How many of the quantity's base units one of the unit that the table names is; 1 where neither has a unit."""
    base_unit = unit_of(quantity)
    if key not in table:
        if base_unit is not None:
            table.fail(key, f"is missing; {quantity} is kept in {base_unit}, write one of {known_units(base_unit)}")
        return Fraction(1)
    unit = table.string(key)
    exact = factor(unit, base_unit or table.string("base_unit", unit))
    if exact is None:
        table.fail(
            key, f"is {unit!r}; {quantity} is kept in {base_unit}, write one of {known_units(base_unit or unit)}"
        )
    return exact


def _parse_limits(table: Table, quantity: str) -> Limits:
    unit = parse_unit(table, quantity)

    def bound(key: str) -> int | None:
        if key not in table:
            return None
        scaled = whole(table.decimal(key), unit.numerator, unit.denominator)
        if scaled is None:
            table.fail(key, f"is no whole number of {unit_of(quantity)}; round it")
        return scaled

    limits = Limits(
        cumulative=table.boolean("cumulative", False),
        minimum=bound("minimum"),
        maximum=bound("maximum"),
        rise_per_hour_max=bound("rise_per_hour_max"),
        register_step=bound("register_step") or 1,
    )
    table.finish()
    return limits
