"""Photographs as a phone would take them: rendered from what stands there, how it is looked at, and how it was forged.

A scene is what a corner of a machine room or a pit looks like: a few large things and many small ones, always the same.
A view is one photograph of it: the camera stands a little elsewhere each time, other light, other clutter, noise. A
forgery is an old photograph saved again: cut at the edges, turned by a degree or two, brighter, pressed harder.
"""

from __future__ import annotations

import io
from functools import lru_cache

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from devices.simulated.chance import Chance
from tests.fakes.world import Picture

_SCENE = (320, 240)
_SHOT = (192, 144)
_THINGS, _CLUTTER = 28, 4


def jpeg_of(picture: Picture) -> bytes:
    """The photograph as a JPEG file."""
    shot = _shot(picture.scene, picture.view)
    quality = 82
    if picture.forgery:
        shot, quality = _forge(shot, Chance(picture.forgery, "forgery"))
    file = io.BytesIO()
    shot.save(file, "JPEG", quality=quality)
    return file.getvalue()


@lru_cache(maxsize=512)
def _scene(number: int) -> Image.Image:
    chance = Chance(number, "scene")
    image = Image.new("RGB", _SCENE, _colour(chance, 40, 170))
    draw = ImageDraw.Draw(image)
    for thing in range(_THINGS):
        _draw_thing(draw, chance, large=thing < 8)
    return image


def _draw_thing(draw: ImageDraw.ImageDraw, chance: Chance, *, large: bool) -> None:
    reach = 130 if large else 36
    left, top = chance.between(-20, _SCENE[0]), chance.between(-20, _SCENE[1])
    box = (left, top, left + chance.between(8, reach), top + chance.between(8, reach))
    colour = _colour(chance, 10, 245)
    kind = chance.between(0, 3)
    if kind == 0:
        draw.ellipse(box, fill=colour)
    elif kind == 1:
        draw.line(box, fill=colour, width=chance.between(2, 9))
    else:
        draw.rectangle(box, fill=colour)


def _shot(scene: int, view: int) -> Image.Image:
    """One photograph: nobody stands twice at the same spot."""
    chance = Chance(view, "view")
    image = _scene(scene).copy()
    draw = ImageDraw.Draw(image)
    for _ in range(chance.between(0, _CLUTTER)):
        _draw_thing(draw, chance, large=chance.happens(0.5))
    image = image.rotate(chance.bell(5, limit=15), resample=Image.Resampling.BILINEAR, expand=False)
    zoom = chance.between(620, 900)
    width, height = _SCENE[0] * zoom // 1000, _SCENE[1] * zoom // 1000
    left, top = chance.between(0, _SCENE[0] - width), chance.between(0, _SCENE[1] - height)
    image = image.crop((left, top, left + width, top + height)).resize(_SHOT, Image.Resampling.BILINEAR)
    image = ImageEnhance.Brightness(image).enhance(chance.between(600, 1_350) / 1000)
    noise = Image.effect_noise(_SHOT, chance.between(4, 18)).convert("RGB")
    return Image.blend(image, noise, 0.06)


def _forge(shot: Image.Image, chance: Chance) -> tuple[Image.Image, int]:
    """Saved again: cut by up to 4 of 100 a side, turned by up to 2 degrees, lighter or darker, JPEG 40 to 75."""
    width, height = shot.size
    turned = shot.rotate(chance.between(-20, 20) / 10, resample=Image.Resampling.BILINEAR)
    cut = [chance.between(0, 40) * side // 1000 for side in (width, height, width, height)]
    image = turned.crop((cut[0], cut[1], width - cut[2], height - cut[3])).resize(_SHOT, Image.Resampling.BILINEAR)
    if chance.happens(0.3):
        image = image.filter(ImageFilter.GaussianBlur(0.8))
    image = ImageEnhance.Brightness(image).enhance(chance.between(850, 1_150) / 1000)
    quarter = chance.between(0, 9)
    if quarter == 0:  # some phones turn a picture by a quarter
        image = image.rotate(90, expand=True)
    return image, chance.between(40, 75)


def _colour(chance: Chance, low: int, high: int) -> tuple[int, int, int]:
    return chance.between(low, high), chance.between(low, high), chance.between(low, high)
