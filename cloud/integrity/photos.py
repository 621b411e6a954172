"""Photographs of another visit: the same file, or the same picture compressed again, turned, mirrored or cut."""

from collections.abc import Iterator, Sequence

from cloud.integrity.facts import Flag, FlagKind, Limits, Photo, VisitFacts
from cloud.integrity.likeness import likeness, turned_grey
from cloud.integrity.travel import shared_mechanics

__all__ = ["bits_between", "in_a_mirror", "photos"]

_DAY_S = 86_400
_SIDE = 8
_BITS = _SIDE * _SIDE
_ROW = (1 << _SIDE) - 1
_MIDDLES = {1: 0.9, 6: 0.8}  # which of a picture's parts are its middle, and how much of its sides
_ALL = (1 << _BITS) - 1


def photos(visit: VisitFacts, others: Sequence[VisitFacts], limits: Limits) -> Sequence[Flag]:
    """One grave flag for each visit that a photograph comes from; lesser ones where a phone's word alone says that two
    are alike, where the photographs that were asked for are missing, were not taken during the visit, or never came.
    """
    return [*_copies(visit, others, limits), *_stale(visit, limits), *_missing(visit, limits)]


def _copies(visit: VisitFacts, others: Sequence[VisitFacts], limits: Limits) -> Iterator[Flag]:
    """Of photographs that are new; the others were held against everything already."""
    mine = [(photo, in_a_mirror(photo.dhash)) for photo in visit.photos if photo.is_new]
    for other in others if mine else ():
        bits = bits_between(visit, other, limits)
        pairs = [(one, flips, theirs) for one, flips in mine for theirs in other.photos]
        is_later = visit.started_at_s >= other.started_at_s
        copies = sum(
            one.sha256 == theirs.sha256 or _is_copy(*((one, theirs) if is_later else (theirs, one)), bits, limits)
            for one, _, theirs in pairs
        )
        alike = sum(
            not (one.is_here and theirs.is_here) and _least(flips, theirs.dhash) <= limits.photo_bits
            for one, flips, theirs in pairs
        )
        if copies or alike:
            yield Flag(
                kind=FlagKind.PHOTO, why="copy" if copies else "alike", visit=visit.digest, other=other.digest,
                grave=bool(copies), facts={"count": copies or alike},
            )  # fmt: skip


def bits_between(visit: VisitFacts, other: VisitFacts, limits: Limits) -> int:
    """By how many bits pictures of two visits may differ to be laid onto each other: a copy is mostly one's own."""
    is_near = visit.device == other.device or bool(shared_mechanics(visit, other))
    return limits.shape_bits if is_near else limits.far_shape_bits


def _is_copy(newer: Photo, older: Photo, bits: int, limits: Limits) -> bool:
    """Whether the newer picture is a part of the older one; the same part, but for what saving it again does."""
    if not (newer.grey and older.grey and newer.is_here and older.is_here):
        return False
    differ, position, part = min(
        ((turned ^ part).bit_count(), position, number)
        for position, turned in enumerate(newer.turned)
        for number, part in enumerate(older.parts)
    )
    if differ > bits:
        return False
    found = likeness(turned_grey(newer.grey, position), older.grey, share=_MIDDLES.get(part, 1.0))
    return (
        found.agreement >= limits.copy_agreement
        and found.beyond <= limits.copy_beyond
        and found.turned <= limits.copy_turned
        and found.worst <= limits.copy_worst
    )


def _least(flips: Sequence[int], dhash: int) -> int:
    """By how many of 64 bits a hash differs from another one as it is, mirrored, upside down or both: all that a dHash
    alone can tell, and what is said of photographs that are not both here.
    """
    return min((flip ^ dhash).bit_count() for flip in flips)


def in_a_mirror(dhash: int) -> tuple[int, ...]:
    """A dHash as it is, mirrored, upside down and both."""
    mirrored = _mirrored(dhash)
    return dhash, mirrored, _upside_down(dhash), _upside_down(mirrored)


def _mirrored(dhash: int) -> int:
    """The dHash of the picture seen in a mirror: each row from behind, and darker where it was brighter."""
    turned = 0
    for row in range(_SIDE):
        bits = (dhash >> (_SIDE * row)) & _ROW
        turned |= int(f"{bits:08b}"[::-1], 2) << (_SIDE * row)
    return turned ^ _ALL


def _upside_down(dhash: int) -> int:
    return int.from_bytes(dhash.to_bytes(_SIDE)[::-1])


def _stale(visit: VisitFacts, limits: Limits) -> Iterator[Flag]:
    early, late = visit.started_at_s - limits.photo_margin_s, visit.ended_at_s + limits.photo_margin_s
    count = sum(not early <= photo.at_s <= late for photo in visit.photos)
    if count:
        facts = {"count": count, "of": len(visit.photos)}
        yield Flag(kind=FlagKind.PHOTO, why="other-time", visit=visit.digest, grave=False, facts=facts)
    if visit.lacks_challenge:
        yield Flag(kind=FlagKind.PHOTO, why="not-asked-ones", visit=visit.digest, grave=False)


def _missing(visit: VisitFacts, limits: Limits) -> Iterator[Flag]:
    """Signed by their hashes alone, and never sent: of such a photograph nobody can say that it is no copy."""
    count = sum(not photo.is_here for photo in visit.photos)
    for why, days in (("missing", limits.missing_photo_days), ("still-missing", limits.grave_missing_photo_days)):
        if count and visit.waited_s >= days * _DAY_S:
            facts = {"count": count, "of": len(visit.photos), "days": days}
            yield Flag(kind=FlagKind.PHOTO, why=why, visit=visit.digest, grave=why == "still-missing", facts=facts)
