"""Which of many pictures look alike: fine fingerprints compared by the thousand, in a thread beside the event loop."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from cloud.integrity.facts import Limits, Photo, VisitFacts
from cloud.integrity.photos import bits_between, in_a_mirror
from cloud.visits.pictures import POSITIONS

__all__ = ["alike", "worth_opening"]

Shapes = npt.NDArray[np.uint64]  # pictures by fingerprints by 4 words of 64 bits
Counts = npt.NDArray[np.int64]
_SHAPE_WORDS, _SHAPE_BYTES = 4, 32
_FAR = 8 * _SHAPE_BYTES + 1


def worth_opening(
    visit: VisitFacts, others: Sequence[VisitFacts], limits: Limits, *, count: int
) -> list[tuple[bytes, bytes]]:
    """Visit and hash of the photographs that are to be laid onto each other: of pairs that are near in either direction
    the nearest, so that many that look a little alike push out no copy.

    Args:
        count: how many are named at the most.
    """
    mine = [photo for photo in visit.photos if photo.is_new and photo.is_here]
    held = [(other, photo) for other in others for photo in other.photos if photo.is_here]
    if not mine or not held:
        return []
    bits = np.array([bits_between(visit, other, limits) for other, _ in held], np.int64)
    turned, parts = (_shapes([getattr(photo, of) for _, photo in held]) for of in ("turned", "parts"))
    pairs = []
    for photo in mine:
        differ = np.minimum(_least(photo.turned, parts), _least(photo.parts, turned))
        pairs += [(int(differ[at]), photo, *held[at]) for at in np.flatnonzero(differ <= bits).tolist()]
    found: list[tuple[bytes, bytes]] = []
    for _, photo, other, theirs in sorted(pairs, key=lambda pair: pair[0]):
        both = ((visit.digest, photo.sha256), (other.digest, theirs.sha256))
        more = [one for one in both if one not in found]
        if len(found) + len(more) <= count:
            found += more
    return found


def alike(photos: Sequence[Photo], rows: Sequence[Any], own: Sequence[bool], limits: Limits) -> Mapping[bytes, int]:
    """The visits of which a picture differs by few enough bits from one of these photographs, in any position; and by
    how many the nearest does.

    Args:
        rows: of `visit_files`, with `shapes` where one of the photographs is here.
        own: of each row, whether it is of the same device or people.
    """
    found: dict[bytes, int] = {}
    for differ, bits in _each(photos, rows, np.array(own, bool), limits):
        for at in np.flatnonzero(differ <= bits).tolist():
            digest, least = rows[at].digest, int(differ[at])
            found[digest] = min(found.get(digest, least), least)
    return found


def _each(
    photos: Sequence[Photo], rows: Sequence[Any], own: npt.NDArray[np.bool_], limits: Limits
) -> Sequence[tuple[Counts, Counts]]:
    """How far every row's picture is from each photograph, and how far it may be."""
    found: list[tuple[Counts, Counts]] = []
    here, rest = ([photo for photo in photos if photo.is_here is is_here] for is_here in (True, False))
    if here:
        shapes = _words(b"".join(row.shapes for row in rows)).reshape(len(rows), -1, _SHAPE_WORDS)
        turned, parts = shapes[:, :POSITIONS], shapes[:, POSITIONS:]
        bits = np.where(own, limits.shape_bits, limits.far_shape_bits)
        found += [(np.minimum(_least(one.turned, parts), _least(one.parts, turned)), bits) for one in here]
    if rest:
        dhashes, bits = _words(b"".join(row.dhash for row in rows)), np.full(len(rows), limits.photo_bits)
        for one in rest:
            flips = np.array(in_a_mirror(one.dhash), np.uint64)
            found.append((np.bitwise_count(dhashes[:, None] ^ flips[None, :]).min(axis=1).astype(np.int64), bits))
    return found


def _least(mine: Sequence[int], theirs: Shapes) -> Counts:
    """Of each picture, by how many bits the nearest of its fingerprints differs from the nearest of mine."""
    least = np.full(len(theirs), _FAR, np.int64)
    for one in mine:
        differ = np.bitwise_count(theirs ^ _words(one.to_bytes(_SHAPE_BYTES))).sum(axis=2, dtype=np.int64)
        least = np.minimum(least, differ.min(axis=1))
    return least


def _shapes(pictures: Sequence[Sequence[int]]) -> Shapes:
    octets = b"".join(one.to_bytes(_SHAPE_BYTES) for picture in pictures for one in picture)
    return _words(octets).reshape(len(pictures), -1, _SHAPE_WORDS)


def _words(octets: bytes) -> npt.NDArray[np.uint64]:
    return np.frombuffer(octets, ">u8").astype(np.uint64)
