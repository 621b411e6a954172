"""What a photograph is, looked at by the cloud itself: whether it is one, and fingerprints to know its copies by.

Pictures come from strangers. They are opened only in the named form, after their head has said that they are small
enough, one at a time, and never twice.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

import numpy as np
from PIL import Image, UnidentifiedImageError

from cloud.errors import CloudError
from cloud.integrity.likeness import SIDE
from contracts.dhash import COLUMNS, ROWS, dhash

__all__ = ["POSITIONS", "Fingerprints", "PictureRefused", "read_picture", "shapes_from_bytes"]

_FORMS = {"image/jpeg": "JPEG", "image/webp": "WEBP"}
PIXELS_MAX = 4_000_000  # a phone sends at most 1600 a side
_SIDE_MAX = 4_096
_SCANS_MAX = 20  # of a progressive JPEG: each is another pass over the whole picture
_GPS = 0x8825  # EXIF's pointer to where a picture was taken

# What Pillow throws at a file that is no picture; struct.error out of a broken EXIF.
_BROKEN = (
    UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError, EOFError, struct.error,
)  # fmt: skip

_GREY_SIDE = 256
_SHAPE_SIDE = 16
_SHAPE_BYTES = _SHAPE_SIDE * _SHAPE_SIDE // 8
_TURNS = (
    None,
    Image.Transpose.ROTATE_90,
    Image.Transpose.ROTATE_180,
    Image.Transpose.ROTATE_270,
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE,
    Image.Transpose.TRANSVERSE,
)
POSITIONS = len(_TURNS)
"""In which a picture may lie: as it is, turned, and each in a mirror."""

_PART_PERMILLE = (900, 800)


class PictureRefused(CloudError):
    """Bytes are no photograph that is kept here; the message says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprints:
    """What a picture looks like. `turned` are its fine fingerprints in eight positions; `parts` that of the whole and
    of what is left where a tenth or a fifth is cut off on two sides.
    """

    dhash: int  # 64 bits, as the phone computes it
    turned: tuple[int, ...]
    parts: tuple[int, ...]
    grey: bytes  # of 128 by 128 pixels, to lay onto another; not kept

    def shapes(self) -> bytes:
        """The fine fingerprints as the store keeps them."""
        return b"".join(one.to_bytes(_SHAPE_BYTES) for one in (*self.turned, *self.parts))


def shapes_from_bytes(encoded: bytes) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """`turned` and `parts` out of the store."""
    found = [int.from_bytes(encoded[at : at + _SHAPE_BYTES]) for at in range(0, len(encoded), _SHAPE_BYTES)]
    return tuple(found[:POSITIONS]), tuple(found[POSITIONS:])


def read_picture(encoded: bytes, media_type: str) -> Fingerprints:
    """A photograph's fingerprints.

    Raises:
        PictureRefused: another form than the list says, damaged, too large, moving, or with the place where it was
            taken.
    """
    form = _FORMS.get(media_type)
    if form is None:
        raise PictureRefused(f"{media_type[:40]} is none of {', '.join(_FORMS)}; let the app reduce the picture")
    if form == "JPEG" and encoded.count(b"\xff\xda") > _SCANS_MAX:
        raise PictureRefused(f"the JPEG has over {_SCANS_MAX} passes; let the app reduce the picture")
    try:
        with Image.open(BytesIO(encoded), formats=[form]) as picture:
            _check(picture)
            picture.draft("L", (_GREY_SIDE, _GREY_SIDE))
            grey = picture.convert("L")
    except PictureRefused:
        raise
    except _BROKEN as error:
        raise PictureRefused(f"it is no {form} picture, or a damaged one; take it again") from error
    return _fingerprints(grey)


def _check(picture: Image.Image) -> None:
    width, height = picture.size
    if width * height > PIXELS_MAX or max(width, height) > _SIDE_MAX or min(width, height) < _SHAPE_SIDE:
        says = f"the picture has {width} x {height} pixels; {PIXELS_MAX} and {_SIDE_MAX} a side are the limit"
        raise PictureRefused(f"{says}; let the app reduce it")
    if getattr(picture, "n_frames", 1) != 1:
        raise PictureRefused("the picture moves; take a photograph")
    if _GPS in picture.getexif() or b"GPS" in _text_of(picture.info.get("xmp")):
        raise PictureRefused("the picture says where it was taken; let the app take that out, and sign again")


def _text_of(value: object) -> bytes:
    return value if isinstance(value, bytes) else str(value or "").encode()


def _fingerprints(grey: Image.Image) -> Fingerprints:
    whole = grey.resize((_GREY_SIDE, _GREY_SIDE), Image.Resampling.BOX)
    turned = [whole if turn is None else whole.transpose(turn) for turn in _TURNS]
    return Fingerprints(
        dhash=int.from_bytes(dhash(tuple(whole.resize((COLUMNS, ROWS), Image.Resampling.BOX).tobytes()))),
        turned=tuple(_brightening(one, _SHAPE_SIDE) for one in turned),
        parts=tuple(_brightening(one, _SHAPE_SIDE) for one in _parts_of(whole)),
        grey=whole.resize((SIDE, SIDE), Image.Resampling.BOX).tobytes(),
    )


def _parts_of(whole: Image.Image) -> Iterator[Image.Image]:
    """The whole, then its middle and its corners at each size."""
    yield whole
    for permille in _PART_PERMILLE:
        side = _GREY_SIDE * permille // 1000
        rest = _GREY_SIDE - side
        for left, top in ((rest // 2, rest // 2), (0, 0), (rest, 0), (0, rest), (rest, rest)):
            yield whole.crop((left, top, left + side, top + side))


def _brightening(picture: Image.Image, side: int) -> int:
    """A difference hash: a bit for each of side * side neighbours, whether it gets brighter to the right."""
    grey = np.asarray(picture.resize((side + 1, side), Image.Resampling.BOX))
    return int.from_bytes(np.packbits(grey[:, :-1] < grey[:, 1:]).tobytes())
