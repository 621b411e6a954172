"""What looks odd of a visit beside other visits: rules that raise flags for people to ask about.

The rules are pure: what a visit says of itself, other visits and limits go in, flags come out; the worker beside them
reads and keeps. A flag stands in public with its reason in both languages, the firm may explain, and a person decides.
No flag changes a level, a fee or a penalty: nobody is punished by an algorithm alone.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from cloud.integrity.codes import codes
from cloud.integrity.dwell import dwell
from cloud.integrity.facts import Flag, Limits, VisitFacts
from cloud.integrity.lists import lists
from cloud.integrity.phone import phone
from cloud.integrity.photos import photos
from cloud.integrity.travel import travel
from cloud.integrity.twice import twice

__all__ = ["RULES", "Flag", "Limits", "VisitFacts", "flags_of_visit"]

Rule = Callable[[VisitFacts, Sequence[VisitFacts], Limits], Sequence[Flag]]

RULES: Sequence[Rule] = (travel, twice, dwell, photos, phone, codes, lists)
"""Each takes a visit, others that it may be held against (never itself) and the limits."""


def flags_of_visit(visit: VisitFacts, others: Sequence[VisitFacts], limits: Limits) -> tuple[Flag, ...]:
    """Everything that looks odd of a visit.

    A flag about two visits asks the firm of the later one, whichever of them was looked at: who came first cannot have
    known. Where another site keeps that one, it asks about the one that is here.
    """
    others = [other for other in others if other.digest != visit.digest]
    later = {other.digest for other in others if other.is_here and _age(other) > _age(visit)}
    found = (flag for rule in RULES for flag in rule(visit, others, limits))
    return tuple(_turned(flag, flag.other) if flag.other and flag.other in later else flag for flag in found)


def _turned(flag: Flag, later: bytes) -> Flag:
    return replace(flag, visit=later, other=flag.visit)


def _age(visit: VisitFacts) -> tuple[int, bytes]:
    return visit.started_at_s, visit.digest
