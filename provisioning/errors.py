"""What can go wrong while a site is brought into being; every message says what to do."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ChainSetupError",
    "EnrolmentError",
    "KeyFileError",
    "Mistake",
    "PersonRefusedError",
    "ProvisioningError",
    "SiteFileError",
]


class ProvisioningError(Exception):
    """Root of this room's errors."""


class KeyFileError(ProvisioningError):
    """A key file is missing, damaged, or readable by others."""


class EnrolmentError(ProvisioningError):
    """A gateway's claim does not fit what the site file or the Registry says."""


class PersonRefusedError(ProvisioningError):
    """Somebody's key cannot be enrolled as it was asked."""


class ChainSetupError(ProvisioningError):
    """The chain refused or did not answer a set-up transaction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """One mistake in a site file: where it stands, what is wrong, what to write instead."""

    line: int  # counted from 1; 0 when the mistake belongs to no line
    what: str
    remedy: str

    def __str__(self) -> str:
        place = f"line {self.line}: " if self.line else ""
        return f"{place}{self.what}; {self.remedy}"


class SiteFileError(ProvisioningError):
    """A site file has mistakes; all that were found are listed, in the order of the file."""

    def __init__(self, name: str, mistakes: tuple[Mistake, ...]) -> None:
        self.name = name
        self.mistakes = tuple(sorted(mistakes, key=lambda mistake: mistake.line))
        count = len(self.mistakes)
        heading = f"{name}: {count} mistake{'s' if count != 1 else ''}"
        super().__init__("\n".join([heading, *(f"  {mistake}" for mistake in self.mistakes)]))
