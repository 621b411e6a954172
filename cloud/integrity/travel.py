"""Impossible travel: one mechanic at two places, with less time between than anybody's car needs."""

from collections.abc import Iterator, Sequence
from math import cos, radians, sqrt

from cloud.integrity.facts import Flag, FlagKind, Limits, VisitFacts

__all__ = ["cell_of", "distance_m", "shared_mechanics", "travel"]

_METRES_OF_A_CELL = 1_113  # a hundredth of a degree of latitude


def travel(visit: VisitFacts, others: Sequence[VisitFacts], limits: Limits) -> Sequence[Flag]:
    """One flag for each other visit that a mechanic of this one cannot have come from, or gone to, in time.

    Overlapping visits are `twice`'s.
    """
    return [flag for other in others for flag in _between(visit, other, limits)]


def _between(visit: VisitFacts, other: VisitFacts, limits: Limits) -> Iterator[Flag]:
    if visit.cell is None or other.cell is None:
        return
    metres = distance_m(visit.cell, other.cell)
    gaps = [_gap_s(visit.stretch_of(one), other.stretch_of(one)) for one in shared_mechanics(visit, other)]
    shortest = min(gaps, default=None)
    if shortest is None or shortest < 0 or metres * 3600 <= limits.speed_km_h * 1000 * shortest:
        return
    facts = {"metres": metres, "seconds": shortest}
    yield Flag(
        kind=FlagKind.TRAVEL, why="too-fast", visit=visit.digest, other=other.digest, grave=True, facts=facts
    )  # fmt: skip


def shared_mechanics(visit: VisitFacts, other: VisitFacts) -> Sequence[bytes]:
    """Mechanics of both; site managers sign where they sit, so they are left out."""
    there = set(other.signers[: other.mechanics])
    return [one for one in visit.signers[: visit.mechanics] if one in there]


def cell_of(text: str) -> tuple[int, int]:
    """The cell of a place written as `30.27,120.15`: its south-west corner in hundredths of a degree."""
    north, east = (round(float(part) * 100) for part in text.split(","))
    return north, east


def distance_m(one: tuple[int, int], other: tuple[int, int]) -> int:
    """The least that can lie between points of two cells, in metres: neighbours may be one street apart."""
    south = max(0, abs(one[0] - other[0]) - 1) * _METRES_OF_A_CELL
    narrow = cos(radians(max(abs(one[0]), abs(other[0])) / 100))
    east = max(0, abs(one[1] - other[1]) - 1) * _METRES_OF_A_CELL * narrow
    return int(sqrt(south**2 + east**2))


def _gap_s(one: tuple[int, int], other: tuple[int, int]) -> int:
    """Seconds between two stretches; below zero where they overlap."""
    return max(one[0] - other[1], other[0] - one[1])
