"""What the gateway finds of one item of a visit, and of its crew's presence."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Finding(StrEnum):
    """What machine or display say about one item of a visit."""

    CONFIRMED = "confirmed"
    NOT_SEEN = "not-seen"  # it was heard all the time, and did not show it
    CONTRADICTED = "contradicted"  # it showed the opposite
    NOT_OBSERVABLE = "not-observable"  # it was silent, or there is nothing that could show it


_WORST_FIRST = (Finding.CONTRADICTED, Finding.NOT_SEEN, Finding.NOT_OBSERVABLE, Finding.CONFIRMED)


def worst(findings: Iterable[Finding]) -> Finding:
    """Of several findings the one that speaks most against the visit; nothing is not observable."""
    return min(findings, key=_WORST_FIRST.index, default=Finding.NOT_OBSERVABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceFinding:
    """What a visit's presence proof is worth.

    `slots` are those of the right codes, `spent` the marks by which the log keeps them from serving the same person
    again; `dwell_s` is the time between the first and the last of them. A nonce and the phone's word on the place stand
    beside and prove nothing alone.
    """

    word: Finding  # the mechanics' worst
    signers: tuple[Finding, ...] = ()  # the mechanics, then the site manager
    slots: tuple[int, ...] = ()
    spent: tuple[bytes, ...] = ()
    dwell_s: int = 0
    wrong: int = 0  # codes that no display of the device ever showed
    used: int = 0  # right codes that served another visit of the same person before
    doors: int = 0  # signers whose own card opened the machine room
    limited: bool = False  # somebody guessed too often of late, and his codes are not judged
    nonce: bool = False
    inside: bool | None = None  # within the building's surroundings, says the phone
    is_due: bool = False  # a display is paired beside the device: who was there could have shown it
    is_silent: bool = False  # and it was not heard over the whole visit

    def facts(self) -> dict[str, object]:
        """As the verdict entry's detail holds it; what is nothing is left out."""
        told: dict[str, object] = {"signers": [finding.value for finding in self.signers]}
        told |= {"slots": list(self.slots), "dwell_s": self.dwell_s, "wrong": self.wrong, "nonce": self.nonce}
        told |= {name: count for name, count in (("used", self.used), ("doors", self.doors)) if count}
        if self.spent:
            told["spent"] = [mark.hex() for mark in self.spent]
        told |= {name: True for name, is_so in (("limited", self.limited), ("silent", self.is_silent)) if is_so}
        if self.inside is not None:
            told["inside"] = self.inside
        return told


UNPROVEN = PresenceFinding(word=Finding.NOT_OBSERVABLE)
"""Of a visit at a device beside which nothing could prove presence."""
