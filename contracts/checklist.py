"""The filled list: what a crew says about every item of a visit, with the hashes of its photographs.

A list `minglou-checklist/1` is canonical JSON of at most 24 KB; SHA-256 of its bytes is the `checklist` word of the
visit record, so that whoever signs the visit signs every tick, number and photograph. Photographs themselves never
travel to a gateway. Which items there must be is the pack's business (`Checklist.check`).
"""

import re
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from hashlib import sha256
from typing import Any

from contracts.detail import INTEGER_END, canonical_json, parse_canonical_json
from contracts.errors import DetailError, QuantityError
from contracts.fields import Fields
from contracts.pack import ITEMS_MAX, Item, Pack, Reach
from contracts.quantities import check_obis
from contracts.rotating import TOKEN_BYTES
from contracts.visit import CLASS_NAMES, VisitClass, VisitError

FORMAT = "minglou-checklist/1"
CHECKLIST_BYTES_MAX = 24 * 1024
PHOTOS_MAX = 96
PHOTO_BYTES_MAX = 512 * 1024
DHASH_BYTES = 8
CHALLENGES = 2
CHALLENGE_TAG = b"minglou/challenge/1".ljust(32, b"\0")
MEDIA_TYPES = ("image/jpeg", "image/webp")
SALT_BYTES = 16

_CLASS_OF = {name: visit_class for visit_class, name in CLASS_NAMES.items()}
_CODE = re.compile(r"[A-Z0-9][A-Z0-9.-]{0,15}")
_NOTE_LENGTH_MAX = 200
_PARTS_MAX = 20
_COUNT_MAX = 999
_VALUE_MAX = 10**9
_TIME_END_S = 2**40
_KEYS = ("format", "pack", "class", "items", "photos", "challenge", "salt")
_OPTIONAL = ("parts", "order", "meter", "calibration")


class ChecklistError(VisitError):
    """Bytes are no filled list, or the list breaks a rule of its pack."""


class Result(StrEnum):
    """What the crew found at an item."""

    OK = "ok"
    ADJUSTED = "adjusted"
    REPLACED = "replaced"
    FAULT = "fault"  # found wrong and left so; a work order follows
    ABSENT = "absent"  # the machine does not have it (note A-1 of the annex)

    @property
    def is_done(self) -> bool:
        """Whether the crew says that the item is in order now: what the machine's own signals are asked about."""
        return self in (Result.OK, Result.ADJUSTED, Result.REPLACED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One item as the crew left it."""

    code: str
    result: Result
    value: int | None = None  # in 1 / factor of the pack's unit; after the work, if it was adjusted
    photos: tuple[int, ...] = ()  # places in the list's photographs
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Photo:
    """One photograph, by what is known of it without seeing it."""

    sha256: bytes
    dhash: bytes  # 8 bytes, contracts.dhash
    at_s: int  # Unix seconds, by the phone's clock
    length: int  # bytes
    media_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Something that was built in."""

    name: str
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSwap:
    """What the installer read when one meter took another's place."""

    old: bytes  # hash of the URN
    new: bytes
    quantity: str  # OBIS
    closing: int  # the old one's register, in the quantity's base unit
    opening: int  # the new one's
    day: date  # the local midnight from which on the new one counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What a calibrating firm says of a meter."""

    valid_until: date
    certificate: bytes  # SHA-256 of the certificate's file


@dataclass(frozen=True, slots=True, kw_only=True)
class Checklist:
    """A filled list."""

    plan: bytes  # SHA-256 of the pack
    visit_class: VisitClass
    items: tuple[Tick, ...]
    photos: tuple[Photo, ...] = ()
    challenge: tuple[str, ...] = ()  # the items that the display's code drew (`challenge_items`)
    parts: tuple[Part, ...] = ()
    order: bytes | None = None  # the work order that this repair answers
    meter: MeterSwap | None = None
    calibration: Calibration | None = None
    salt: bytes

    def __post_init__(self) -> None:
        if len(self.plan) != 32 or len(self.salt) != SALT_BYTES:
            raise ChecklistError(f"list: the pack's digest has 32 bytes, the salt {SALT_BYTES}")
        codes = [tick.code for tick in self.items]
        if len(set(codes)) != len(codes):
            raise ChecklistError("list: an item stands twice")
        for tick in self.items:
            if len(set(tick.photos)) != len(tick.photos) or any(not 0 <= at < len(self.photos) for at in tick.photos):
                raise ChecklistError(f"list: item {tick.code} names a photograph twice, or one that is not there")
        if len({photo.sha256 for photo in self.photos}) != len(self.photos):
            raise ChecklistError("list: a photograph stands twice")
        if len(set(self.challenge)) != len(self.challenge) or not set(self.challenge) <= set(codes):
            raise ChecklistError("list: a challenged item stands twice, or is none of the list's")

    def encode(self) -> bytes:
        """The canonical bytes.

        Raises:
            ChecklistError: they are more than 24 KB.
        """
        encoded = canonical_json(checklist_to_json(self))
        if len(encoded) > CHECKLIST_BYTES_MAX:
            raise ChecklistError(
                f"list has {len(encoded)} bytes; {CHECKLIST_BYTES_MAX} is the limit: shorten the notes"
            )
        return encoded

    def digest(self) -> bytes:
        """The `checklist` word of the visit record."""
        return sha256(self.encode()).digest()

    def done(self) -> frozenset[str]:
        """The codes that the crew says are in order."""
        return frozenset(tick.code for tick in self.items if tick.result.is_done)

    def check(self, pack: Pack) -> None:
        """Refuse a list that this pack does not allow.

        Every item of the class stands once, in the pack's order; a number has its value within the limit unless the
        item is a fault; a test that was made has a photograph.

        Raises:
            ChecklistError: the first item that breaks a rule, and what to do.
            PackError: the pack does not have this class.
        """
        if self.plan != pack.digest():
            raise ChecklistError(f"list: follows another pack than {pack.name} as it stands here; fetch the pack again")
        items = pack.items_of(self.visit_class)
        if [tick.code for tick in self.items] != [item.code for item in items]:
            raise ChecklistError(
                f"list: does not hold each of the {len(items)} items of its class once, in their order"
            )
        for tick, item in zip(self.items, items, strict=True):
            _check_tick(tick, item)

    def unanswered(self, token: bytes, pack: Pack) -> tuple[str, ...]:
        """The items that this token challenged and that stand here without a photograph, though they are not absent."""
        ticks = {tick.code: tick for tick in self.items}
        asked = challenge_items(token, pack, self.visit_class)
        return tuple(
            code for code in asked
            if code not in ticks or (ticks[code].result is not Result.ABSENT and not ticks[code].photos)
        )  # fmt: skip


def challenge_items(token: bytes, pack: Pack, visit_class: VisitClass) -> tuple[str, ...]:
    """The two items that need a fresh photograph, which nobody can know before the display showed its code.

    Args:
        token: of the visit's first scan of the display, 8 bytes.

    Returns:
        Two codes, or all there are if the class has fewer.
    """
    if len(token) != TOKEN_BYTES:
        raise ChecklistError(f"challenge: a token has {TOKEN_BYTES} bytes, not {len(token)}")
    codes = [item.code for item in pack.items_of(visit_class)]
    drawn = sha256(CHALLENGE_TAG + token + pack.digest()).digest()
    return tuple(
        codes.pop(int.from_bytes(drawn[4 * turn : 4 * turn + 4]) % len(codes))
        for turn in range(min(CHALLENGES, len(codes)))
    )


def checklist_to_json(checklist: Checklist) -> dict[str, Any]:
    """The list's JSON object, as bundles carry it."""
    value: dict[str, Any] = {
        "format": FORMAT,
        "pack": checklist.plan.hex(),
        "class": CLASS_NAMES[checklist.visit_class],
        "items": [_tick_to_json(tick) for tick in checklist.items],
        "photos": [
            {"sha256": photo.sha256.hex(), "dhash": photo.dhash.hex(), "at": photo.at_s, "bytes": photo.length,
             "type": photo.media_type}
            for photo in checklist.photos
        ],
        "challenge": list(checklist.challenge),
        "salt": checklist.salt.hex(),
    }  # fmt: skip
    if checklist.parts:
        value["parts"] = [{"name": part.name, "count": part.count} for part in checklist.parts]
    if checklist.order is not None:
        value["order"] = checklist.order.hex()
    if checklist.meter is not None:
        value["meter"] = _meter_to_json(checklist.meter)
    if checklist.calibration is not None:
        calibration = checklist.calibration
        value["calibration"] = {
            "valid_until": calibration.valid_until.isoformat(), "certificate": calibration.certificate.hex(),
        }  # fmt: skip
    return value


def parse_checklist(encoded: bytes, pack: Pack | None = None) -> Checklist:
    """The list of its canonical bytes.

    Args:
        pack: that it should follow; without one only the form is checked.

    Raises:
        ChecklistError: over 24 KB, not canonical, a field missing, unknown or out of range, or against the pack.
    """
    if len(encoded) > CHECKLIST_BYTES_MAX:
        raise ChecklistError(f"list has {len(encoded)} bytes; {CHECKLIST_BYTES_MAX} is the limit")
    try:
        value = parse_canonical_json(encoded)
    except DetailError as error:
        raise ChecklistError(f"list is {error}") from error
    checklist = checklist_from_json(value)
    if pack is not None:
        checklist.check(pack)
    return checklist


def checklist_from_json(value: object, *, place: str = "") -> Checklist:
    """The list of a JSON object; its form alone is checked. Raises `ChecklistError`."""
    fields = Fields(value, place=place, keys=_KEYS, refuse=ChecklistError, optional=_OPTIONAL)
    fields.choice("format", (FORMAT,))
    items = fields.each_within("items", ITEMS_MAX, "code", "result", optional=("value", "photos", "note"))
    photos = fields.each_within("photos", PHOTOS_MAX, "sha256", "dhash", "at", "bytes", "type")
    parts = fields.each_within("parts", _PARTS_MAX, "name", "count") if fields.has("parts") else []
    if fields.has("parts") and not parts:
        raise ChecklistError("list: parts stands there empty; leave it out")
    return Checklist(
        plan=fields.octets("pack", 32),
        visit_class=_CLASS_OF[fields.choice("class", tuple(_CLASS_OF))],
        items=tuple(_tick(one) for one in items),
        photos=tuple(_photo(one) for one in photos),
        challenge=_codes(fields.raw("challenge")),
        parts=tuple(Part(name=_text(one, "name"), count=_whole(one, "count", 1, _COUNT_MAX)) for one in parts),
        order=fields.octets("order", 32) if fields.has("order") else None,
        meter=_meter(fields) if fields.has("meter") else None,
        calibration=_calibration(fields) if fields.has("calibration") else None,
        salt=fields.octets("salt", SALT_BYTES),
    )


def _check_tick(tick: Tick, item: Item) -> None:
    if tick.result is Result.ABSENT and (tick.value is not None or tick.photos):
        raise ChecklistError(f"list: item {item.code} is absent, yet has a value or a photograph")
    if not tick.result.is_done:
        return
    if item.needs_photo and not tick.photos:
        raise ChecklistError(f"list: item {item.code} is a test; photograph its result before it can be closed")
    if item.needs_value and tick.value is None:
        raise ChecklistError(f"list: item {item.code} asks for a number; measure it before it can be closed")
    is_beyond = item.limit and tick.value is not None and item.limit.reach_of(tick.value) is Reach.BEYOND
    if is_beyond:
        raise ChecklistError(
            f"list: item {item.code} is beyond its limit at {tick.value}; adjust it, or call it a fault"
        )


def _tick_to_json(tick: Tick) -> dict[str, Any]:
    value: dict[str, Any] = {"code": tick.code, "result": tick.result.value}
    if tick.value is not None:
        value["value"] = tick.value
    if tick.photos:
        value["photos"] = list(tick.photos)
    if tick.note:
        value["note"] = tick.note
    return value


def _tick(fields: Fields) -> Tick:
    code = fields.text("code")
    if not _CODE.fullmatch(code):
        raise ChecklistError(f"list: {code[:40]!r} is no item's code")
    return Tick(
        code=code,
        result=Result(fields.choice("result", tuple(Result))),
        value=_whole(fields, "value", -_VALUE_MAX, _VALUE_MAX) if fields.has("value") else None,
        photos=_places(fields.raw("photos")) if fields.has("photos") else (),
        note=_text(fields, "note") if fields.has("note") else "",
    )


def _photo(fields: Fields) -> Photo:
    return Photo(
        sha256=fields.octets("sha256", 32),
        dhash=fields.octets("dhash", DHASH_BYTES),
        at_s=_whole(fields, "at", 1, _TIME_END_S - 1),
        length=_whole(fields, "bytes", 1, PHOTO_BYTES_MAX),
        media_type=fields.choice("type", MEDIA_TYPES),
    )


def _meter(fields: Fields) -> MeterSwap:
    meter = fields.within("meter", "old", "new", "quantity", "closing", "opening", "date")
    quantity = meter.text("quantity")
    try:
        check_obis(quantity)
    except QuantityError as error:
        raise ChecklistError(f"list: {error}") from error
    swap = MeterSwap(
        old=meter.octets("old", 32),
        new=meter.octets("new", 32),
        quantity=quantity,
        closing=_whole(meter, "closing", 0, INTEGER_END - 1),
        opening=_whole(meter, "opening", 0, INTEGER_END - 1),
        day=_date(meter, "date"),
    )
    if swap.old == swap.new:
        raise ChecklistError("list: a meter cannot take its own place")
    return swap


def _meter_to_json(meter: MeterSwap) -> dict[str, Any]:
    return {
        "old": meter.old.hex(), "new": meter.new.hex(), "quantity": meter.quantity, "closing": meter.closing,
        "opening": meter.opening, "date": meter.day.isoformat(),
    }  # fmt: skip


def _calibration(fields: Fields) -> Calibration:
    calibration = fields.within("calibration", "valid_until", "certificate")
    return Calibration(valid_until=_date(calibration, "valid_until"), certificate=calibration.octets("certificate", 32))


def _codes(value: object) -> tuple[str, ...]:
    is_list = isinstance(value, list) and len(value) <= CHALLENGES
    if not isinstance(value, list) or not is_list or not all(isinstance(code, str) for code in value):
        raise ChecklistError(f"list: challenge is no list of at most {CHALLENGES} codes")
    return tuple(value)


def _places(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= PHOTOS_MAX or any(type(at) is not int for at in value):
        raise ChecklistError("list: an item's photos is no list of their places; leave it out where there is none")
    return tuple(value)


def _text(fields: Fields, name: str) -> str:
    text = fields.text(name)
    if not 0 < len(text) <= _NOTE_LENGTH_MAX:
        raise ChecklistError(f"list: {name} has {len(text)} characters; it has 1 to {_NOTE_LENGTH_MAX}, or is left out")
    return text


def _whole(fields: Fields, name: str, least: int, most: int) -> int:
    number = fields.integer(name)
    if not least <= number <= most:
        raise ChecklistError(f"list: {name} is {number}; it lies from {least} to {most}")
    return number


def _date(fields: Fields, name: str) -> date:
    text = fields.text(name)
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise ChecklistError(f"list: {name} {text[:20]!r} is no date such as 2026-12-01") from error
    if found.isoformat() != text:
        raise ChecklistError(f"list: {name} {text[:20]!r} is not written as {found.isoformat()}")
    return found
