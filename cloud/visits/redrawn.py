"""A stranger's picture drawn anew: small, upright, and without anything of the camera's file but the picture itself.

The app and pages do so in the browser; here it is done for browsers without scripts, and again for the others, whose
word it is not taken for.
"""

from io import BytesIO

from PIL import Image, ImageOps, UnidentifiedImageError

from cloud.visits.pictures import PictureRefused

__all__ = ["BYTES_MAX", "REDRAWN_BYTES_MAX", "redrawn"]

BYTES_MAX = 12 * 1024 * 1024  # of a camera's file
REDRAWN_BYTES_MAX = 512 * 1024
_FORMS = ("JPEG", "PNG", "WEBP")
_PIXELS_MAX = 50_000_000  # of a JPEG, which is read small; the others are read whole
_WHOLE_PIXELS_MAX = 12_000_000
_SCANS_MAX = 20  # of a progressive JPEG: each is another pass over the whole picture
_SIDE_MIN = 32
_SIDES = (1600, 1200, 800, 400)
_QUALITIES = (80, 60, 40)
_BROKEN = (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError, EOFError)


def redrawn(octets: bytes) -> bytes:
    """The picture as a JPEG of at most 1600 pixels a side and 512 KB.

    Raises:
        PictureRefused: no still JPEG, PNG or WebP, damaged, too large or too small.
    """
    if len(octets) > BYTES_MAX:
        raise PictureRefused(f"the photo has over {BYTES_MAX // 2**20} MB; take a smaller one")
    if octets.count(b"\xff\xda") > _SCANS_MAX and octets.startswith(b"\xff\xd8"):
        raise PictureRefused(f"the JPEG has over {_SCANS_MAX} passes; take the photo again")
    try:
        with Image.open(BytesIO(octets), formats=_FORMS) as picture:
            _check(picture)
            picture.draft("RGB", (_SIDES[0], _SIDES[0]))
            whole = ImageOps.exif_transpose(picture).convert("RGBA")
    except _BROKEN as error:
        raise PictureRefused("it is no photo that can be read; send a JPEG, PNG or WebP") from error
    ground = Image.new("RGB", whole.size, "white")
    ground.paste(whole, mask=whole.getchannel("A"))
    return _fitting(ground)


def _check(picture: Image.Image) -> None:
    width, height = picture.size
    limit = _PIXELS_MAX if picture.format == "JPEG" else _WHOLE_PIXELS_MAX
    if width * height > limit or min(width, height) < _SIDE_MIN:
        raise PictureRefused(f"the picture has {width} x {height} pixels; take a photo of at most {limit} pixels")
    if getattr(picture, "n_frames", 1) != 1 and picture.format != "JPEG":
        raise PictureRefused("the picture moves; take a photo")


def _fitting(picture: Image.Image) -> bytes:
    """The largest and finest form that is kept; nothing of the file's own notes is written."""
    for side in _SIDES:
        small = picture.copy()
        small.thumbnail((side, side), Image.Resampling.LANCZOS)
        for quality in _QUALITIES:
            kept = BytesIO()
            small.save(kept, "JPEG", quality=quality)
            if kept.tell() <= REDRAWN_BYTES_MAX:
                return kept.getvalue()
    raise PictureRefused("the picture is too full of grain; take the photo again in better light")
