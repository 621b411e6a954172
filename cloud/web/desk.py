"""What the pages of one's own and others' access stand on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloud.identity.identity import Identity
from cloud.identity.people import Grant
from cloud.identity.roles import Role, Strength
from cloud.identity.tokens import Tokens
from cloud.integrity.desk import FlagDesk
from cloud.web.answers import Person, Title

if TYPE_CHECKING:
    from cloud.maintenance.overlaps import Overlaps

__all__ = ["Desk", "Door"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One flat or shop that a role can be held in."""

    name: str  # b07-0501
    alias: bytes
    title: Title


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """Identity, with the site's own words for flats and roles."""

    identity: Identity
    tokens: Tokens
    flags: FlagDesk
    person: Callable[[Grant, Strength], Person | None]
    doors: Callable[[], Sequence[Door]]
    role_title: Callable[[Role], Title]
    overlaps: "Overlaps | None" = None  # without a chain there is nobody to show them to

    def door_named(self, name: str) -> Door | None:
        return next((door for door in self.doors() if door.name == name), None)

    def door_of(self, alias: bytes | None) -> Door | None:
        return next((door for door in self.doors() if door.alias == alias), None)
