"""Photographs for tests: scenes drawn from a seed, each as unlike the others as real ones are."""

from hashlib import sha256
from io import BytesIO
from random import Random
from typing import Any

from PIL import Image, ImageDraw, ImageFilter

from cloud.visits.pictures import read_picture
from contracts.checklist import Photo

SIDE = 480


def scene(seed: int, *, side: int = SIDE) -> Image.Image:
    """Shapes of many greys and sizes on a shaded ground, a little out of focus."""
    rng = Random(seed)
    picture = Image.linear_gradient("L").resize((side, side)).convert("RGB").rotate(rng.randrange(360))
    draw = ImageDraw.Draw(picture)
    for _ in range(60):
        left, top = rng.randrange(side), rng.randrange(side)
        box = (left, top, left + rng.randrange(20, side // 3), top + rng.randrange(20, side // 3))
        shape = rng.choice((draw.rectangle, draw.ellipse))
        shape(box, fill=tuple(rng.randrange(256) for _ in range(3)))
    return picture.filter(ImageFilter.GaussianBlur(1))


def jpeg(picture: Image.Image, *, quality: int = 85, **more: Any) -> bytes:
    kept = BytesIO()
    picture.save(kept, "JPEG", quality=quality, **more)
    return kept.getvalue()


def photo_of(octets: bytes, at_s: int, media_type: str = "image/jpeg") -> Photo:
    """What a list says of a photograph."""
    try:
        dhash = read_picture(octets, media_type).dhash
    except Exception:  # noqa: BLE001 - a list may name what is no picture at all
        dhash = 0
    return Photo(
        sha256=sha256(octets).digest(), dhash=dhash.to_bytes(8), at_s=at_s, length=len(octets), media_type=media_type
    )
