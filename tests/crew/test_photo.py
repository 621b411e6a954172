"""Photos in Debian's Chromium: made smaller, without what the camera wrote beside them, named by their bytes."""

import random
from base64 import b64decode, b64encode
from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from playwright.sync_api import Browser, Page

from contracts.dhash import cells_of, dhash, distance
from tests.crew.camera import blank_page, phone

REDUCE = """async (photo) => {
  const { reduce } = await import("/static/crew/photo.js");
  const file = new Blob([Uint8Array.from(atob(photo), (character) => character.charCodeAt(0))]);
  try {
    const { bytes, ...rest } = await reduce(file);
    let text = "";
    for (const byte of bytes) text += String.fromCharCode(byte);
    return { ...rest, bytes: btoa(text) };
  } catch (error) {
    return { refused: error.word ?? String(error) };
  }
}"""
PLACE = "31; 14"


@pytest.fixture(scope="module")
def page(browser: Browser, address: str) -> Iterator[Page]:
    with phone(browser) as context:
        problems: list[str] = []
        yield blank_page(context, address, problems)
        assert problems == []


def reduced(page: Page, photo: bytes) -> dict[str, Any]:
    """What photo.js makes of a file."""
    made: dict[str, Any] = page.evaluate(REDUCE, b64encode(photo).decode())
    return made | {"bytes": b64decode(made["bytes"])} if "bytes" in made else made


def machine_room(width: int, height: int, *, seed: int = 1) -> Image.Image:
    """A picture with large and small features, as a photo has: fields that differ from their neighbours, and grain."""
    rng = random.Random(seed)
    fields = bytearray()
    for _ in range(8):
        light = rng.randint(60, 190)
        for _ in range(9):
            light += 40 if light < 60 or (light < 200 and rng.random() < 0.5) else -40
            fields.append(light)
    picture = Image.frombytes("L", (9, 8), bytes(fields)).resize((width, height), Image.Resampling.BOX)
    small = (width // 8, height // 8)
    grain = Image.frombytes("L", small, rng.randbytes(small[0] * small[1])).resize((width, height))
    return Image.merge("RGB", (picture, Image.blend(picture, grain, 0.2), picture))


def jpeg(picture: Image.Image, *, quality: int = 85, exif: Image.Exif | None = None) -> bytes:
    encoded = BytesIO()
    picture.save(encoded, "JPEG", quality=quality, exif=exif or Image.Exif())
    return encoded.getvalue()


def with_place(*, turned: int = 1) -> Image.Exif:
    exif = Image.Exif()
    exif[Base.Orientation] = turned
    exif[Base.Make] = "a maker who writes his name"
    exif.get_ifd(IFD.GPSInfo)[GPS.GPSLatitude] = (31.0, 14.0, 0.0)
    exif.get_ifd(IFD.GPSInfo)[GPS.GPSLatitudeRef] = "N"
    return exif


def test_a_photo_keeps_no_place_and_its_hash_is_that_of_its_bytes(page: Page) -> None:
    taken = jpeg(machine_room(4000, 3000), exif=with_place())
    assert Image.open(BytesIO(taken)).getexif().get_ifd(IFD.GPSInfo)
    made = reduced(page, taken)
    kept = Image.open(BytesIO(made["bytes"]))
    assert (kept.format, kept.size, made["type"]) == ("JPEG", (1600, 1200), "image/jpeg")
    assert (made["width"], made["height"]) == (1600, 1200)
    assert dict(kept.getexif()) == {}
    assert b"Exif" not in made["bytes"]
    assert b"a maker" not in made["bytes"]
    assert len(made["bytes"]) <= 512 * 1024
    assert made["sha256"] == sha256(made["bytes"]).hexdigest()


def test_a_photo_taken_upright_stands_upright(page: Page) -> None:
    made = reduced(page, jpeg(machine_room(1200, 900), exif=with_place(turned=6)))
    assert Image.open(BytesIO(made["bytes"])).size == (900, 1200)


def test_the_picture_hash_is_the_clouds_and_stays_when_the_photo_is_compressed_anew(page: Page) -> None:
    first = reduced(page, jpeg(machine_room(1600, 1200)))
    kept = Image.open(BytesIO(first["bytes"]))
    assert distance(hash_of(first), difference_hash(kept)) <= 2
    again = reduced(page, jpeg(kept.resize((1100, 825)), quality=45))
    assert again["sha256"] != first["sha256"]
    assert distance(hash_of(again), hash_of(first)) <= 6
    other = reduced(page, jpeg(machine_room(1600, 1200, seed=2)))
    assert distance(hash_of(other), hash_of(first)) > 10


def hash_of(made: dict[str, Any]) -> bytes:
    return bytes.fromhex(made["dhash"])


def difference_hash(picture: Image.Image) -> bytes:
    grey = picture.convert("L")
    return dhash(cells_of(grey.tobytes(), *grey.size))


def test_the_noisiest_photo_still_fits_what_the_cloud_takes(page: Page) -> None:
    made = reduced(
        page,
        jpeg(Image.frombytes("L", (1600, 1200), random.Random(3).randbytes(1600 * 1200)).convert("RGB"), quality=95),
    )
    assert len(made["bytes"]) <= 512 * 1024


def test_what_is_no_photo_has_a_word(page: Page) -> None:
    assert reduced(page, b"%PDF-1.7") == {"refused": "picture_unreadable"}
    assert reduced(page, jpeg(Image.new("RGB", (16, 400)))) == {"refused": "picture_small"}
