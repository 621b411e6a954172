"""Who may export what: one question, asked in one place.

A household's readings, bills and payments go to its owner, and to an operator's program. Manager and committee
get the site's own things; what pages show to everybody, everybody may export.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cloud.directory import Directory
from cloud.identity.roles import Role
from cloud.web.answers import Person

__all__ = ["EVERYTHING", "PUBLIC", "Scope", "scope_of", "scope_of_role"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What one asker may have. `None` for units or devices means all of them."""

    units: Sequence[bytes] | None = ()  # aliases: whose bills and payments
    devices: Sequence[bytes] | None = ()  # whose readings
    sees_site: bool = False  # gateways' oddities

    def has_readings(self) -> bool:
        return self.devices is None or bool(self.devices)

    def has_bills(self) -> bool:
        return self.units is None or bool(self.units)


EVERYTHING = Scope(units=None, devices=None, sees_site=True)
"""A program of the operator."""
PUBLIC = Scope()


def scope_of(viewer: Person | None, directory: Directory) -> Scope:
    """What a signed-in person may export; the same as the pages show them."""
    if viewer is None:
        return PUBLIC
    if viewer.role is Role.OWNER:
        shared = [one.device for one in directory.shared_devices]
        units = [unit.alias for door in viewer.units if (unit := directory.unit_named(door)) is not None]
        own = [one.device for unit in units for one in directory.devices_of_unit(unit)]
        return Scope(units=units, devices=[*own, *shared])
    # An operator in person sees the site; every household's things go to programs alone, which are named and end.
    return scope_of_role(Role.MANAGER if viewer.role is Role.OPERATOR else viewer.role, directory)


def scope_of_role(role: Role, directory: Directory) -> Scope:
    """What a program with a token of this role may export."""
    if role is Role.OPERATOR:
        return EVERYTHING
    if role in (Role.MANAGER, Role.COMMITTEE):
        return Scope(devices=[one.device for one in directory.shared_devices], sees_site=True)
    return PUBLIC
