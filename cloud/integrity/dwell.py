"""Too short: less time between the scans, or on inspection, than the class of visit takes anybody."""

from collections.abc import Sequence

from cloud.integrity.facts import Flag, FlagKind, Limits, VisitFacts

__all__ = ["claimed_s", "dwell", "dwell_s"]


def dwell(visit: VisitFacts, _others: Sequence[VisitFacts], limits: Limits) -> Sequence[Flag]:
    """Flags a visit whose people stayed, or whose machine was worked on, for too short a time.

    Grave only where both say so, or the stay is a small part of the least by the crew's own scans too: somebody may
    forget to scan out, may work faster than others, or may first come by the display when he leaves. Where he says so,
    and the machine saw him work for long enough, there is nothing to ask.
    """
    least, least_work = (known.get(visit.visit_class, 0) for known in (limits.dwell_min_s, limits.inspection_min_s))
    claimed, stayed, flags = claimed_s(visit), dwell_s(visit), []
    inspected = visit.verdict.inspection_s if visit.verdict else None
    is_brief = inspected is not None and inspected < least_work
    has_worked = inspected is not None and not is_brief
    if stayed is not None and claimed is not None and stayed < least and not (has_worked and claimed >= least):
        is_tiny = max(stayed, claimed) * 1000 < least * limits.grave_dwell_permille
        flags.append(_flag(visit, "short-stay", is_brief or is_tiny, {"seconds": stayed, "least": least}))
    if is_brief and inspected is not None:
        facts = {"seconds": inspected, "least": least_work, "claimed": visit.ended_at_s - visit.started_at_s}
        flags.append(_flag(visit, "short-work", bool(flags) and flags[0].grave, facts))
    return flags


def dwell_s(visit: VisitFacts) -> int | None:
    """How long they stayed: what the gateway found between proven scans, else what they claim."""
    claimed = claimed_s(visit)
    if claimed is not None and visit.verdict is not None and visit.verdict.dwell_s is not None:
        return visit.verdict.dwell_s
    return claimed


def claimed_s(visit: VisitFacts) -> int | None:
    """Between the first scan in and the last one out, of any code. None where nobody scanned out: who forgets it stayed
    as long as he says.
    """
    came = [scan.at_s for scan in visit.scans if scan.sense == "in"]
    left = [scan.at_s for scan in visit.scans if scan.sense == "out"]
    return max(0, max(left) - min(came)) if came and left else None


def _flag(visit: VisitFacts, why: str, grave: bool, facts: dict[str, int]) -> Flag:
    return Flag(kind=FlagKind.DWELL, why=why, visit=visit.digest, grave=grave, facts=facts)
