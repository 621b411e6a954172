"""The directory's crew as the chain has it: whose key is in force serves, whose was ended does not.

The file names whom the chain does not know, and firms in words. So a new key needs no edited file: it serves once the
two parties' batch is enacted, and a lost phone's key is refused as soon as it is ended.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

from cloud.directory import CrewMember, Directory, Words
from cloud.maintenance.records import MemberRecord
from contracts.calls.crews import Duty

__all__ = ["CrewOnChain", "Roster"]

_DUTIES = {Duty.MECHANIC: "mechanic", Duty.SITE_MANAGER: "manager", Duty.INSTALLER: "installer"}  # who signs visits


class CrewOnChain(Protocol):
    """What of `MaintenanceView` is read here."""

    @property
    def crew_changes(self) -> int: ...

    @property
    def members(self) -> Mapping[bytes, MemberRecord]: ...


class Roster:
    """Lays the chain's people over a directory."""

    def __init__(self, chain: CrewOnChain) -> None:
        self._chain = chain

    @property
    def version(self) -> int:
        """Another number whenever `over` may give something else."""
        return self._chain.crew_changes

    def over(self, directory: Directory) -> Directory:
        """The directory with the chain's people in place of those of its own that the chain knows."""
        members = dict(self._chain.members)
        serving = [_named(directory, alias, member) for alias, member in members.items() if _serves(member)]
        others = [one for one in directory.crew if one.alias not in members]
        return replace(directory, crew=(*serving, *others))


def _serves(member: MemberRecord) -> bool:
    return member.key is not None and any(member.duties & duty for duty in _DUTIES)


def _named(directory: Directory, alias: bytes, member: MemberRecord) -> CrewMember:
    assert member.key is not None
    known = directory.crew_of(alias)
    return CrewMember(
        alias=alias,
        public=member.key.x.to_bytes(32) + member.key.y.to_bytes(32),
        firm=known.firm if known else _firm(directory, member.firm),
        firm_number=member.firm,
        duty=next(name for duty, name in _DUTIES.items() if member.duties & duty),
        installs=bool(member.duties & Duty.INSTALLER),
    )


def _firm(directory: Directory, number: int) -> Words:
    """The firm in words; the site's own people are the site's."""
    firm = directory.firm_numbered(number)
    if firm is not None:
        return firm.title
    return Words(zh=f"{number} 号单位", en=f"firm {number}") if number else directory.title
