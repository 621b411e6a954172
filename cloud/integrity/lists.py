"""Lists that leave much away: items called absent or faulty are asked of nobody, neither machine nor photograph."""

from collections.abc import Sequence

from cloud.integrity.facts import Flag, FlagKind, Limits, VisitFacts

__all__ = ["lists"]


def lists(visit: VisitFacts, _others: Sequence[VisitFacts], limits: Limits) -> Sequence[Flag]:
    """Flags a list with so many items left away that its class is not what was done; grave where most are."""
    if not visit.items or visit.left_away * 1000 < visit.items * limits.left_away_permille:
        return ()
    grave = visit.left_away * 1000 >= visit.items * limits.grave_left_away_permille
    facts = {"count": visit.left_away, "of": visit.items}
    return (Flag(kind=FlagKind.LIST, why="left-away", visit=visit.digest, grave=grave, facts=facts),)
