"""A crew's phones without a browser: they scan, tick, photograph and sign, and give the bundle that the crew app gives.

Everything goes through `contracts`, so the bytes are the app's. Keys are software keys and labelled so; pictures are
drawn, for nobody is there to take them. What a phone says of itself is true: what the visit is worth, the gateway says.
"""

from __future__ import annotations

import io
import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from contracts import p256
from contracts.bundle import Bundle
from contracts.checklist import Checklist, Photo, Result, Tick, challenge_items
from contracts.dhash import cells_of, dhash, luminance
from contracts.label import Place, label_digest, parse_link
from contracts.pack import Item, Pack
from contracts.presence import PHONE_BYTES, Phone, Presence, Scan
from contracts.rotating import parse_moment
from contracts.signed_visit import sign_visit
from contracts.visit import NOBODY, SALT_BYTES, Visit, VisitClass

if TYPE_CHECKING:
    from PIL import Image

__all__ = ["Person", "Picture", "Visiting", "draw_picture", "picture_of"]

_WIDTH, _HEIGHT = 160, 120
_BLOCKS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with a key and, if it is a phone of the crew, its own chain of visits."""

    alias: bytes
    key: p256.PrivateKey
    phone: bytes = field(default_factory=lambda: secrets.token_bytes(PHONE_BYTES))
    number: int = 1  # of visits that the phone signed, with the one at hand
    previous: bytes = NOBODY


@dataclass(frozen=True, slots=True)
class Picture:
    """A photograph's bytes, and what the list says of it."""

    octets: bytes
    photo: Photo


class Visiting:
    """One visit from the first scan to the signed bundle."""

    def __init__(self, *, device: bytes, pack: Pack, visit_class: VisitClass) -> None:
        self._device = device
        self._pack = pack
        self._class = visit_class
        self._scans: list[Scan] = []
        self.pictures: list[Picture] = []

    def scan(self, text: str, *, by: int, at_s: int, place: Place, sense: str = "in", way: str = "camera") -> None:
        """Read a label's or a display's link at the device.

        Raises:
            LabelError, RotatingCodeError: it is none.
        """
        link = parse_link(text)
        moment = parse_moment(link.moment) if link.moment else None
        label = None if moment else label_digest(link.code)
        self._scans.append(Scan(by=by, sense=sense, place=place, way=way, at_s=at_s, label=label, moment=moment))

    def fill(self, *, at_s: int, absent: Sequence[str] = (), camera: Callable[[int], Picture]) -> Checklist:
        """Tick every item as in order but those that the machine does not have.

        Tests are photographed by `camera`, which is told when, and so are the two items that the display's first code
        draws.
        """
        token = next((scan.moment.token for scan in self._scans if scan.moment), None)
        challenge = challenge_items(token, self._pack, self._class) if token else ()
        ticks = []
        for item in self._pack.items_of(self._class):
            if item.code in absent:
                ticks.append(Tick(code=item.code, result=Result.ABSENT))
                continue
            places: tuple[int, ...] = ()
            if item.needs_photo or item.code in challenge:
                places = (len(self.pictures),)
                self.pictures.append(camera(at_s))
            ticks.append(Tick(code=item.code, result=Result.OK, value=_value(item), photos=places))
        return Checklist(
            plan=self._pack.digest(), visit_class=self._class, items=tuple(ticks),
            photos=tuple(picture.photo for picture in self.pictures), challenge=challenge,
            salt=secrets.token_bytes(SALT_BYTES),
        )  # fmt: skip

    def sign(
        self, checklist: Checklist, *, mechanics: Sequence[Person], manager: Person | None, started_at_s: int,
        ended_at_s: int, chain_id: int, contract: str, nonce: int, deadline: int,
    ) -> Bundle:  # fmt: skip
        """The bundle, signed by all: mechanics first, then the site manager.

        Args:
            nonce: milliseconds since 1970.
            deadline: Unix seconds until which the chain may take the signatures.
        """
        presence = self._presence(mechanics)
        visit = Visit(
            device=self._device, plan=self._pack.digest(), visit_class=self._class, checklist=checklist.digest(),
            started_at_s=started_at_s, ended_at_s=ended_at_s, presence=presence.digest(),
            mechanics=tuple(person.alias for person in mechanics), manager=manager.alias if manager else NOBODY,
            salt=secrets.token_bytes(SALT_BYTES),
        )  # fmt: skip
        people = [*mechanics, *([manager] if manager else ())]
        signed = sign_visit(
            visit, [person.key for person in people], chain_id=chain_id, contract=contract, nonce=nonce,
            deadline=deadline,
        )  # fmt: skip
        return Bundle(signed=signed, checklist=checklist, presence=presence)

    def _presence(self, mechanics: Sequence[Person]) -> Presence:
        """Without a scan too: then it says that the phones were used, and nothing more."""
        return Presence(
            device=self._device,
            scans=tuple(self._scans),
            phones=tuple(
                Phone(by=by, id=person.phone, number=person.number, previous=person.previous)
                for by, person in enumerate(mechanics)
            ),
            salt=secrets.token_bytes(SALT_BYTES),
        )


def draw_picture(rng: random.Random, *, at_s: int) -> Picture:
    """A small JPEG of coloured blocks, unlike every other one; it holds no place and no time."""
    from PIL import Image

    colours = [tuple(rng.randrange(256) for _ in range(3)) for _ in range(_BLOCKS * _BLOCKS)]
    picture = Image.new("RGB", (_BLOCKS, _BLOCKS))
    picture.putdata(colours)
    return picture_of(picture.resize((_WIDTH, _HEIGHT), Image.Resampling.BICUBIC), at_s=at_s)


def picture_of(picture: Image.Image, *, at_s: int, quality: int = 85) -> Picture:
    """A photograph as the app sends it: a JPEG, with its hashes."""
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    pixels = picture.convert("RGB").tobytes()
    grey = [luminance(*pixels[at : at + 3]) for at in range(0, len(pixels), 3)]
    octets = file.getvalue()
    photo = Photo(
        sha256=sha256(octets).digest(), dhash=dhash(cells_of(grey, *picture.size)), at_s=at_s, length=len(octets),
        media_type="image/jpeg",
    )  # fmt: skip
    return Picture(octets, photo)


def _value(item: Item) -> int | None:
    """A measured number that keeps to its limit, where the item asks for one."""
    return item.limit.warn if item.limit and item.needs_value else None
