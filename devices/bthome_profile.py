"""Profiles of BTHome v2 devices: which of an advertisement's objects is which quantity."""

from dataclasses import dataclass

from contracts.entry import Kind
from devices.profile_header import Headed, Header, parse_quantity, parse_unit
from devices.toml_table import Table
from devices.visit_rules import VisitRule, parse_visit_rules

KINDS = {"reading": Kind.READING, "status": Kind.STATUS}


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRule:
    """The object that bthome-ble calls `name` (`count`, `water`, `volume_2`, …) becomes the value of `quantity`.

    The object's number times numerator / denominator is the value in base units, which must be whole unless
    `is_rounded_down`.
    """

    name: str
    kind: Kind
    quantity: str
    numerator: int
    denominator: int
    is_rounded_down: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BthomeProfile(Headed):
    """One family of BTHome v2 devices. `is_encrypted` ones are believed only under their bind key."""

    protocol = "bthome"
    is_encrypted: bool
    objects: tuple[ObjectRule, ...]
    visit_rules: tuple[VisitRule, ...] = ()


def parse_bthome_profile(top: Table, header: Header) -> BthomeProfile:
    """The profile in a TOML file whose header is read already. Raises `ProfileError`."""
    objects = tuple(_parse_object(table) for table in top.tables("object"))
    if not objects:
        top.fail("object", "is missing; add an [[object]] with name, quantity and unit")
    return BthomeProfile(
        header=header,
        is_encrypted=top.boolean("encrypted", False),
        objects=objects,
        visit_rules=parse_visit_rules(top, {}, registers=header.cumulative),
    )


def _parse_object(table: Table) -> ObjectRule:
    kind = KINDS[table.choice("kind", tuple(KINDS), "reading")]
    quantity = parse_quantity(table, "quantity", table.string("quantity"), kind)
    numerator, denominator = table.decimal("factor", "1").as_integer_ratio()
    scale = parse_unit(table, quantity) * numerator / denominator
    if scale <= 0:
        table.fail("factor", "must be above zero; it says how many of the unit one count is")
    rule = ObjectRule(
        name=table.string("name"),
        kind=kind,
        quantity=quantity,
        numerator=scale.numerator,
        denominator=scale.denominator,
        is_rounded_down=table.boolean("round_down", False),
    )
    table.finish()
    return rule
