"""In two visits at once: one mechanic at two devices, or two visits that claim the same work of one machine."""

from collections.abc import Sequence

from cloud.integrity.facts import Flag, FlagKind, Limits, VisitFacts
from cloud.integrity.travel import shared_mechanics

__all__ = ["twice"]

_REPAIR = 0


def twice(visit: VisitFacts, others: Sequence[VisitFacts], limits: Limits) -> Sequence[Flag]:
    """One flag for each other visit at the same time.

    One person at two devices is grave. Two visits at one device are not by themselves: an inspector or another firm may
    have come on the same morning, and a fake may lean on an honest visit beside it.
    """
    return [flag for other in others for flag in _with(visit, other, limits)]


def _with(visit: VisitFacts, other: VisitFacts, limits: Limits) -> Sequence[Flag]:
    if other.device == visit.device:
        return _one_machine(visit, other)
    return _one_person(visit, other, limits)


def _one_person(visit: VisitFacts, other: VisitFacts, limits: Limits) -> Sequence[Flag]:
    people = shared_mechanics(visit, other)
    seconds = max((_overlap_s(visit.stretch_of(one), other.stretch_of(one)) for one in people), default=0)
    if seconds <= limits.overlap_s:
        return ()
    facts = {"seconds": seconds}
    return (
        Flag(kind=FlagKind.TWICE, why="one-person", visit=visit.digest, other=other.digest, grave=True, facts=facts),
    )


def _one_machine(visit: VisitFacts, other: VisitFacts) -> Sequence[Flag]:
    """By the verdicts' own stretches of work, or the visits' times where the machine had none to tell; not before both
    are judged, for a repair and the service behind it may touch each other.

    One mechanic who signs two services over one piece of work is grave; a repair within a service is not, and beside it
    is nothing to ask about, though the switch was turned once for both.
    """
    if visit.verdict is None or other.verdict is None:
        return ()
    is_crew, has_repair = bool(shared_mechanics(visit, other)), _REPAIR in (visit.visit_class, other.visit_class)
    if is_crew and has_repair and _overlap_s(_times(visit), _times(other)) <= 0:
        return ()
    seconds = max(_overlap_s(one, another) for one in _work(visit) for another in _work(other))
    if seconds <= 0:
        return ()
    is_own = is_crew and not has_repair
    why = "one-work" if is_own else "one-machine"
    facts = {"seconds": seconds}
    return (Flag(kind=FlagKind.TWICE, why=why, visit=visit.digest, other=other.digest, grave=is_own, facts=facts),)


def _work(visit: VisitFacts) -> Sequence[tuple[int, int]]:
    return visit.work or (_times(visit),)


def _times(visit: VisitFacts) -> tuple[int, int]:
    return visit.started_at_s, visit.ended_at_s


def _overlap_s(one: tuple[int, int], other: tuple[int, int]) -> int:
    """Seconds that two stretches share; below zero, how far they lie apart."""
    return min(one[1], other[1]) - max(one[0], other[0])
