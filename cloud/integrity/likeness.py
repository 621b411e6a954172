"""Whether one picture is another one, saved again: laid onto each other, do they agree everywhere?

Two photographs of one thing, taken on two days, are never the same: the camera stands elsewhere, and something lies
there that did not. A copy is the same picture cut at its edges, turned by a degree or two, lighter or darker, pressed
harder. So the newer picture is laid onto the older one by the affine map that fits best (Lucas and Kanade 1981, coarse
to fine, brightness left free), and asked: does it show nothing beyond the older one's edges, is it turned by
little, and does every part of it agree?
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
import numpy.typing as npt

__all__ = ["SIDE", "Likeness", "likeness", "turned_grey"]

SIDE = 128
"""Pixels a side of the greys that are compared."""

_LEVELS = 3  # 32, 64, 128
_STEPS = (12, 8, 6)
_LOST = (0.12, 0.10, 0.35)  # how far a map may move the edges at each level, in half sides
_WORTH = (0.90, 0.93, 0.0)  # how well it must fit to be looked at more finely
_BLOCK = 8
_COVERED = 0.6
_STILL = 1e-3
_KERNEL = np.array([1, 4, 6, 4, 1]) / 16

Grey = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Likeness:
    """How well a newer picture lies on an older one."""

    agreement: float  # correlation, -1 to 1
    beyond: float  # how far it reaches beyond the older one's edges, in half sides; below zero: it lies within
    turned: float  # radians
    worst: float  # mean difference in its worst part of 8 by 8 pixels, in standard deviations


_NONE = Likeness(agreement=-1.0, beyond=inf, turned=inf, worst=inf)


def turned_grey(grey: bytes, position: int) -> bytes:
    """A grey in one of its eight positions, in the order of `cloud.visits.pictures`."""
    picture = np.frombuffer(grey, np.uint8).reshape(SIDE, SIDE)
    turns = (
        lambda one: one, lambda one: np.rot90(one, 1), lambda one: np.rot90(one, 2), lambda one: np.rot90(one, 3),
        np.fliplr, np.flipud, np.transpose, lambda one: np.rot90(one, 2).T,
    )  # fmt: skip
    return np.ascontiguousarray(turns[position](picture)).tobytes()


def likeness(newer: bytes, older: bytes, *, share: float = 1.0) -> Likeness:
    """How well two greys of `SIDE` by `SIDE` pixels lie on each other, the newer one turned as the older one is.

    Args:
        share: of the older one's sides, about its middle, that the newer one seems to be.
    """
    new, old = (_pyramid(np.frombuffer(grey, np.uint8).reshape(SIDE, SIDE).astype(float)) for grey in (newer, older))
    begun = moved = np.array([0, share - 1, 0, 0, 0, share - 1])
    agreement = -1.0
    for level in range(_LEVELS):
        agreement, moved = _align(new[level], old[level], moved, _STEPS[level])
        if agreement < _WORTH[level] or np.abs(moved - begun).max() > _LOST[level]:
            return _NONE
    corners = [(across, down) for across in (-1, 1) for down in (-1, 1)]
    reach = max(
        max(
            abs(moved[0] + (1 + moved[1]) * across + moved[2] * down),
            abs(moved[3] + moved[4] * across + (1 + moved[5]) * down),
        )
        for across, down in corners
    )
    return Likeness(
        agreement=agreement,
        beyond=float(reach - 1),
        turned=float(abs(moved[2] - moved[4]) / 2),
        worst=_worst(new[-1], old[-1], moved),
    )


def _pyramid(picture: Grey) -> Sequence[Grey]:
    """Coarse to fine, each a little smoothed."""
    levels = [_smoothed(picture)]
    for _ in range(_LEVELS - 1):
        side = len(levels[0]) // 2
        levels.insert(0, _smoothed(levels[0].reshape(side, 2, side, 2).mean(axis=(1, 3))))
    return levels


def _smoothed(picture: Grey) -> Grey:
    side, reach = len(picture), len(_KERNEL) // 2
    padded = np.pad(picture, reach, mode="edge")
    rows = sum(weight * padded[:, at : at + side] for at, weight in enumerate(_KERNEL))
    smooth: Grey = np.asarray(sum(weight * rows[at : at + side] for at, weight in enumerate(_KERNEL)))
    return smooth


def _places(side: int, moved: Grey) -> tuple[Grey, Grey, Grey, Grey]:
    """Where the newer picture's pixels lie on the older one, and where they are themselves, from -1 to 1."""
    middle = (side - 1) / 2
    down, across = (np.mgrid[0:side, 0:side] - middle) / middle
    columns = middle * (1 + across + moved[0] + moved[1] * across + moved[2] * down)
    rows = middle * (1 + down + moved[3] + moved[4] * across + moved[5] * down)
    return columns, rows, across, down


def _sampled(picture: Grey, columns: Grey, rows: Grey) -> Grey:
    """Between pixels; beyond the edge, the edge."""
    last = len(picture) - 1.001
    columns, rows = np.clip(columns, 0, last), np.clip(rows, 0, last)
    column, row = columns.astype(int), rows.astype(int)
    right, low = columns - column, rows - row
    upper = picture[row, column] * (1 - right) + picture[row, column + 1] * right
    lower = picture[row + 1, column] * (1 - right) + picture[row + 1, column + 1] * right
    found: Grey = upper * (1 - low) + lower * low
    return found


def _is_within(side: int, columns: Grey, rows: Grey) -> npt.NDArray[np.bool_]:
    within: npt.NDArray[np.bool_] = (columns >= 0) & (columns <= side - 1) & (rows >= 0) & (rows <= side - 1)
    return within


def _align(new: Grey, old: Grey, moved: Grey, steps: int) -> tuple[float, Grey]:
    """The map, six numbers, under which the older picture looks most like the newer one; and how alike they are."""
    side, best, begun = len(new), (-1.0, moved), moved
    slope_down, slope_across = (np.asarray(one) for one in np.gradient(old))
    for _ in range(steps):
        columns, rows, across, down = _places(side, moved)
        within = _is_within(side, columns, rows)
        if within.mean() < _COVERED:
            break
        seen = _sampled(old, columns, rows)
        agreement = _correlation(seen[within], new[within])
        best = max(best, (agreement, moved), key=lambda one: one[0])
        step = _step(
            seen[within], new[within], across[within], down[within],
            _sampled(slope_across, columns, rows)[within] * (side - 1) / 2,
            _sampled(slope_down, columns, rows)[within] * (side - 1) / 2,
        )  # fmt: skip
        moved = moved + step
        if np.abs(moved - begun).max() > _LOST[-1] or np.abs(step).max() < _STILL:
            break
    return best


def _step(seen: Grey, new: Grey, across: Grey, down: Grey, to_right: Grey, downward: Grey) -> Grey:
    """One Gauss-Newton step; gain and offset of the brightness are found with it."""
    slopes = np.stack(
        [
            to_right, to_right * across, to_right * down, downward, downward * across, downward * down,
            -new, -np.ones(len(new)),
        ],
        axis=1,
    )  # fmt: skip
    normal = slopes.T @ slopes + np.eye(slopes.shape[1]) * 1e-3
    return np.asarray(np.linalg.solve(normal, slopes.T @ -seen)[:6], float)


def _correlation(one: Grey, other: Grey) -> float:
    one, other = one - one.mean(), other - other.mean()
    size = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / size if size else 0.0


def _worst(new: Grey, old: Grey, moved: Grey) -> float:
    """What the worst part differs by, once the brightness is fitted."""
    side, parts = len(new), len(new) // _BLOCK
    columns, rows, _, _ = _places(side, moved)
    within, seen = _is_within(side, columns, rows), _sampled(old, columns, rows)
    tones = np.stack([seen[within], np.ones(int(within.sum()))], axis=1)
    gain, offset = np.linalg.lstsq(tones, new[within], rcond=None)[0]
    spread = float(new.std())
    if not spread:
        return inf
    rest = np.where(within, np.abs(new - gain * seen - offset), 0.0) / spread
    blocks = rest.reshape(parts, _BLOCK, parts, _BLOCK).mean(axis=(1, 3))
    covered = within.reshape(parts, _BLOCK, parts, _BLOCK).mean(axis=(1, 3))
    return float((blocks / np.maximum(covered, 0.3)).max())
