"""What a camera sees of a printed label in nine conditions: 640 by 480 frames from seeds, for the reader's bench.

The label is the one of every device, a link of 38 characters at level M. Each frame has a background of its own noise.
How hard each condition is, is set so that the reader with its fast flags reads no more of our frames than it read of
those by which it was chosen (127 of 180, blur 10, dim 13, dirt 4, inverted 0 of 20 each).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from io import BytesIO
from types import MappingProxyType

import segno
from PIL import Image, ImageChops, ImageDraw, ImageFilter

WIDTH, HEIGHT, SEEDS = 640, 480, 20
LINK = "https://minglou.example/d/7h3k9q2m4x8r"
_GREY, _WHITE = 128, 255


def frame(condition: str, seed: int) -> Image.Image:
    """One frame in grey."""
    rng = random.Random(f"{condition}/{seed}")
    return CONDITIONS[condition](rng)


def _label(module_px: float, *, dark: int = 0, light: int = 255) -> Image.Image:
    """The printed label with its white margin."""
    code = segno.make(LINK, error="m", micro=False, boost_error=False)
    picture = BytesIO()
    code.save(picture, kind="png", scale=12, border=4)
    side = round(code.symbol_size(border=4)[0] * module_px)
    label = Image.open(picture).convert("L").resize((side, side), Image.Resampling.BOX)
    return label.point(lambda value: dark + value * (light - dark) // 255)


def _wall(rng: random.Random, *, sigma: float = 50.0) -> Image.Image:
    """Grain of the camera and of the wall behind the label."""
    noise = Image.frombytes("L", (WIDTH, HEIGHT), rng.randbytes(WIDTH * HEIGHT))
    return noise.point(lambda value: int(_GREY + (value - 128) * sigma / 74))


def _on_wall(rng: random.Random, label: Image.Image, *, turn: float = 0.0) -> Image.Image:
    """The label somewhere on the wall, turned by so many degrees."""
    mask = Image.new("L", label.size, _WHITE)
    if turn:
        label, mask = (one.rotate(turn, Image.Resampling.BICUBIC, expand=True) for one in (label, mask))
    wall = _wall(rng)
    at = tuple(rng.randint(0, max(0, room - side)) for room, side in zip(wall.size, label.size, strict=True))
    wall.paste(label, (at[0], at[1]), mask)
    return wall


def _clean(rng: random.Random) -> Image.Image:
    return _on_wall(rng, _label(rng.uniform(5, 8)), turn=rng.uniform(-4, 4))


def _small(rng: random.Random) -> Image.Image:
    return _on_wall(rng, _label(rng.uniform(2.6, 3.4)), turn=rng.uniform(-4, 4))


def _rotated(rng: random.Random) -> Image.Image:
    return _on_wall(rng, _label(rng.uniform(5, 7)), turn=rng.uniform(10, 350))


def _perspective(rng: random.Random) -> Image.Image:
    """Seen from the side: the far edge is up to a third shorter."""
    label = _label(8)
    side, near = label.size[0], rng.uniform(0.1, 0.17) * label.size[0]
    corners = [(0.0, 0.0), (0.0, float(side)), (float(side), side - near), (float(side), near)]
    tilted = label.transform(label.size, Image.Transform.PERSPECTIVE, _coefficients(corners, side),
                             Image.Resampling.BICUBIC, fillcolor=_GREY)  # fmt: skip
    return _on_wall(rng, tilted)


def _glare(rng: random.Random) -> Image.Image:
    """A lamp's reflection over part of the label."""
    seen = _on_wall(rng, _label(7))
    lamp = Image.new("L", seen.size, 0)
    x, y, radius = rng.randint(200, 440), rng.randint(150, 330), rng.randint(30, 55)
    ImageDraw.Draw(lamp).ellipse((x - radius, y - radius, x + radius, y + radius), fill=170)
    return ImageChops.add(seen, lamp.filter(ImageFilter.GaussianBlur(12)))


def _blur(rng: random.Random) -> Image.Image:
    """Out of focus: readable at one end of the range, hopeless at the other."""
    module_px = 6.0
    return _on_wall(rng, _label(module_px)).filter(ImageFilter.GaussianBlur(rng.uniform(0.30, 0.68) * module_px))


def _dim(rng: random.Random) -> Image.Image:
    """A pit without a lamp: little light, much grain."""
    label = _on_wall(rng, _label(6, dark=30, light=rng.randint(66, 100)))
    grain = Image.frombytes("L", (WIDTH, HEIGHT), rng.randbytes(WIDTH * HEIGHT)).point(lambda value: value // 6)
    return ImageChops.subtract(ImageChops.add(label, grain), Image.new("L", label.size, 21))


def _dirt(rng: random.Random) -> Image.Image:
    """Oil and scratches: dark and light spots over a growing part of the label."""
    label = _label(6)
    draw, side = ImageDraw.Draw(label), label.size[0]
    for _ in range(rng.randint(9, 26)):
        x, y, radius = rng.uniform(0, side), rng.uniform(0, side), rng.uniform(3, 11)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=rng.choice((20, 60, 200)))
    return _on_wall(rng, label, turn=rng.uniform(-4, 4))


def _inverted(rng: random.Random) -> Image.Image:
    """Light on dark, as an engraved or a night display shows it."""
    return _on_wall(rng, ImageChops.invert(_label(rng.uniform(5, 8))), turn=rng.uniform(-4, 4))


CONDITIONS: Mapping[str, Callable[[random.Random], Image.Image]] = MappingProxyType(
    {
        "clean": _clean,
        "small": _small,
        "rotated": _rotated,
        "perspective": _perspective,
        "glare": _glare,
        "blur": _blur,
        "dim and noise": _dim,
        "dirt": _dirt,
        "inverted": _inverted,
    }
)


def _coefficients(corners: list[tuple[float, float]], side: int) -> tuple[float, ...]:
    """Pillow's eight numbers that carry the square's corners to these ones (upper left, then counter-clockwise)."""
    square = [(0.0, 0.0), (0.0, float(side)), (float(side), float(side)), (float(side), 0.0)]
    rows = []
    for (x, y), (u, v) in zip(corners, square, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y, u])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y, v])
    return tuple(_solved(rows))


def _solved(rows: list[list[float]]) -> list[float]:
    """Eight linear equations by Gauss's elimination."""
    for column in range(len(rows)):
        pivot = max(range(column, len(rows)), key=lambda row: abs(rows[row][column]))
        rows[column], rows[pivot] = rows[pivot], rows[column]
        divisor = rows[column][column]
        assert not math.isclose(divisor, 0.0), "four corners of which no three lie on a line"
        rows[column] = [value / divisor for value in rows[column]]
        for row, values in enumerate(rows):
            if row != column:
                factor = values[column]
                rows[row] = [value - factor * other for value, other in zip(values, rows[column], strict=True)]
    return [row[-1] for row in rows]
