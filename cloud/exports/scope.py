"""Who may export what: one question, asked in one place.

A household's readings, bills and payments go to its owner, and to a program with the API token. Manager and committee
get the site's own things; what pages show to everybody, everybody may export.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cloud.directory import Directory
from cloud.web.answers import Person, Role

__all__ = ["EVERYTHING", "PUBLIC", "Scope", "scope_of"]


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
    shared = [one.device for one in directory.shared_devices]
    if viewer.role is Role.OWNER:
        units = [unit.alias for door in viewer.units if (unit := directory.unit_named(door)) is not None]
        own = [one.device for unit in units for one in directory.devices_of_unit(unit)]
        return Scope(units=units, devices=[*own, *shared])
    if viewer.role in (Role.MANAGER, Role.COMMITTEE):
        return Scope(devices=shared, sees_site=True)
    return PUBLIC
