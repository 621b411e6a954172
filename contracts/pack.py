"""Data packs: which items a visit of which class holds, what each asks for, and how often a class is due.

A pack `minglou-pack/1` is canonical JSON; SHA-256 of its bytes is the `plan` word of every visit that follows it. It
says which of a machine's own signals show which items (`shows`), so that a gateway knows what to look for. Classes are
cumulative: a quarterly visit holds the half-monthly items too. A repair holds its own items alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from types import MappingProxyType

from contracts.detail import canonical_json, parse_canonical_json
from contracts.errors import ContractsError, DetailError
from contracts.fields import Fields
from contracts.packs import pack_bytes
from contracts.visit import CLASS_NAMES, VisitClass

FORMAT = "minglou-pack/1"
PACK_BYTES_MAX = 64 * 1024
ITEMS_MAX = 200
SPOTS = ("machine-room", "car-top", "car", "landing", "pit", "housing")
"""Where an item's work is done, in the order in which a body goes there."""

_CLASS_OF = {name: visit_class for visit_class, name in CLASS_NAMES.items()}
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,47}")
_CODE = re.compile(r"[A-Z0-9][A-Z0-9.-]{0,15}")
_RULE = re.compile(r"[a-z][a-z0-9-]{0,31}")
_TEXT_LENGTH_MAX = 400
_RULES_MAX = 64
_DAYS_MAX = 731
_VALUE_MAX = 10**9
_LANGUAGES = ("zh", "en")
_AREAS = ("built-up", "elsewhere")
_KEYS = (
    "format", "name", "title", "device_kind", "source", "checked_by", "checked_on", "verified", "valid_from", "people",
    "countersigned", "rescue_s", "classes", "items", "shows", "note",
)  # fmt: skip


class PackError(ContractsError):
    """Bytes are no data pack, or a class or item that it does not hold."""


class ItemKind(StrEnum):
    """What an item asks for."""

    QUALITATIVE = "Q"
    MAKER = "M"  # within what the maker's instructions say
    STANDARD = "S"  # within what a standard says
    NUMBER = "N"  # a measured number
    TEST = "T"  # a test that must be made: a photograph is needed


class Reach(StrEnum):
    """How a measured value lies to its limit."""

    WITHIN = "within"
    NEAR = "near"  # beyond the pack's warning value
    BEYOND = "beyond"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What a measured value must keep to. Values are whole numbers of `1 / factor` units: 70 at factor 10 is 7.0."""

    unit: str
    factor: int  # 1, 10, 100 or 1000
    minimum: int | None  # one of the two is None
    maximum: int | None
    warn: int  # the value from which on a page warns
    source: str

    def reach_of(self, value: int) -> Reach:
        """How this value lies to the limit; the limit itself is within."""
        if self.minimum is not None:
            return _reach(value < self.minimum, value < self.warn)
        assert self.maximum is not None
        return _reach(value > self.maximum, value > self.warn)


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One item of a list."""

    code: str
    visit_class: VisitClass  # the lowest one that holds it
    zh: str
    need_zh: str  # what is asked for, in the words of the source
    en: str
    kind: ItemKind
    spot: str  # one of SPOTS
    limit: Limit | None

    @property
    def needs_photo(self) -> bool:
        """Whether the item cannot be closed without evidence."""
        return self.kind is ItemKind.TEST

    @property
    def needs_value(self) -> bool:
        """Whether the item cannot be closed without a number."""
        return self.kind is ItemKind.NUMBER


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often a class is due, and how short an honest visit of it can be."""

    interval_days: int  # 0: never due
    warn_days: int  # after how many days pages warn
    dwell_min_s: int  # a shorter visit is asked about


@dataclass(frozen=True, slots=True, kw_only=True)
class Pack:
    """A data pack."""

    name: str
    title: Mapping[str, str]  # by language, zh and en
    device_kind: str
    source: str
    checked_by: str
    checked_on: str  # ISO date, or "" as long as nobody did
    verified: bool  # against the source's official print, by somebody who signs for it
    valid_from: date
    people: int  # mechanics that a visit takes
    countersigned: bool  # whether the site manager signs too
    rescue_s: Mapping[str, int]  # by area, built-up and elsewhere; empty where nobody can be trapped
    classes: Mapping[VisitClass, Pace]
    items: tuple[Item, ...]  # in the source's order
    shows: Mapping[str, tuple[str, ...]]  # a profile's rule -> the items that it shows
    note: Mapping[str, str]  # by language
    encoded: bytes = field(repr=False)  # the canonical bytes

    def digest(self) -> bytes:
        """The `plan` word of a visit."""
        return sha256(self.encoded).digest()

    def items_of(self, visit_class: VisitClass) -> tuple[Item, ...]:
        """The items of a class with those of the lower ones, in the order of the body's way.

        Raises:
            PackError: the pack does not have this class.
        """
        if visit_class not in self.classes:
            raise PackError(f"pack {self.name}: has no class {CLASS_NAMES[visit_class]}")
        if visit_class is VisitClass.REPAIR:
            held = [item for item in self.items if item.visit_class is VisitClass.REPAIR]
        else:
            held = [item for item in self.items if VisitClass.REPAIR < item.visit_class <= visit_class]
        return tuple(sorted(held, key=lambda item: SPOTS.index(item.spot)))

    def item(self, code: str) -> Item:
        """The item of a code. Raises `PackError`."""
        for item in self.items:
            if item.code == code:
                return item
        raise PackError(f"pack {self.name}: has no item {code[:20]!r}")

    def list_digest(self, visit_class: VisitClass) -> bytes:
        """What an agreement calls a class's cumulative list: SHA-256 of the canonical JSON of its codes, in order."""
        return sha256(canonical_json([item.code for item in self.items_of(visit_class)])).digest()


@lru_cache(maxsize=16)
def read_pack(name: str) -> Pack:
    """A pack that comes with Minglou. Raises `ContractsError` if there is none of this name."""
    return parse_pack(pack_bytes(name))


def parse_pack(encoded: bytes) -> Pack:
    """The pack of its canonical bytes.

    Raises:
        PackError: over 64 KB, not canonical, a field missing, unknown or out of range, an item twice, or a rule that
            shows an item which is not there.
    """
    if len(encoded) > PACK_BYTES_MAX:
        raise PackError(f"pack has {len(encoded)} bytes; {PACK_BYTES_MAX} is the limit")
    try:
        value = parse_canonical_json(encoded)
    except DetailError as error:
        raise PackError(f"pack is {error}") from error
    fields = Fields(value, place="", keys=_KEYS, refuse=PackError)
    fields.choice("format", (FORMAT,))
    pack = Pack(
        name=_matching(fields, "name", _NAME),
        title=_languages(fields, "title"),
        device_kind=_matching(fields, "device_kind", _NAME),
        source=_text(fields, "source"),
        checked_by=_text(fields, "checked_by"),
        checked_on=_text(fields, "checked_on"),
        verified=fields.boolean("verified"),
        valid_from=_date(fields, "valid_from"),
        people=_whole(fields, "people", 1, 2),
        countersigned=fields.boolean("countersigned"),
        rescue_s=_rescue(fields),
        classes=_classes(fields),
        items=tuple(_item(one) for one in fields.each_within(
            "items", ITEMS_MAX, "code", "class", "zh", "need_zh", "en", "kind", "at", optional=("limit",)
        )),
        shows=_shows(fields),
        note=_languages(fields, "note"),
        encoded=encoded,
    )  # fmt: skip
    _check_whole(pack)
    return pack


def _check_whole(pack: Pack) -> None:
    codes = [item.code for item in pack.items]
    if len(set(codes)) != len(codes):
        raise PackError(f"pack {pack.name}: an item's code stands twice")
    for item in pack.items:
        if item.visit_class not in pack.classes:
            raise PackError(f"pack {pack.name}: item {item.code} is of a class that the pack does not have")
    for rule, shown in pack.shows.items():
        if len(set(shown)) != len(shown) or not set(shown) <= set(codes):
            raise PackError(f"pack {pack.name}: rule {rule} shows an item twice, or one that is not there")


def _item(fields: Fields) -> Item:
    return Item(
        code=_matching(fields, "code", _CODE),
        visit_class=_CLASS_OF[fields.choice("class", tuple(_CLASS_OF))],
        zh=_text(fields, "zh"),
        need_zh=_text(fields, "need_zh"),
        en=_text(fields, "en"),
        kind=ItemKind(fields.choice("kind", tuple(ItemKind))),
        spot=fields.choice("at", SPOTS),
        limit=_limit(fields) if fields.has("limit") else None,
    )


def _limit(fields: Fields) -> Limit:
    limit = fields.within("limit", "unit", "factor", "warn", "source", optional=("min", "max"))
    if limit.has("min") == limit.has("max"):
        raise PackError("pack: a limit is either a min or a max")
    made = Limit(
        unit=_text(limit, "unit"),
        factor=_whole(limit, "factor", 1, 1000),
        minimum=_whole(limit, "min", -_VALUE_MAX, _VALUE_MAX) if limit.has("min") else None,
        maximum=_whole(limit, "max", -_VALUE_MAX, _VALUE_MAX) if limit.has("max") else None,
        warn=_whole(limit, "warn", -_VALUE_MAX, _VALUE_MAX),
        source=_text(limit, "source"),
    )
    if made.factor not in (1, 10, 100, 1000) or made.reach_of(made.warn) is Reach.BEYOND:
        raise PackError("pack: a limit's factor is 1, 10, 100 or 1000, and its warning value lies within it")
    return made


def _reach(is_beyond: bool, is_near: bool) -> Reach:
    if is_beyond:
        return Reach.BEYOND
    return Reach.NEAR if is_near else Reach.WITHIN


def _classes(fields: Fields) -> Mapping[VisitClass, Pace]:
    found: dict[VisitClass, Pace] = {}
    for one in fields.each_within("classes", len(_CLASS_OF), "class", "interval_days", "warn_days", "dwell_min_s"):
        visit_class = _CLASS_OF[one.choice("class", tuple(_CLASS_OF))]
        pace = Pace(
            interval_days=_whole(one, "interval_days", 0, _DAYS_MAX),
            warn_days=_whole(one, "warn_days", 0, _DAYS_MAX),
            dwell_min_s=_whole(one, "dwell_min_s", 0, 86_400),
        )
        if visit_class in found or pace.warn_days > pace.interval_days:
            raise PackError("pack: a class stands twice, or warns after it is due")
        found[visit_class] = pace
    if not found or list(found) != sorted(found):
        raise PackError("pack: its classes do not stand in their order, from repair to year")
    return MappingProxyType(found)


def _shows(fields: Fields) -> Mapping[str, tuple[str, ...]]:
    value = fields.raw("shows")
    if not isinstance(value, dict) or len(value) > _RULES_MAX:
        raise PackError(f"pack: shows is no object of at most {_RULES_MAX} rules")
    found = {}
    for rule, codes in value.items():
        is_list = isinstance(codes, list) and 0 < len(codes) <= ITEMS_MAX
        if not _RULE.fullmatch(rule) or not is_list or not all(isinstance(code, str) for code in codes):
            raise PackError(f"pack: shows.{rule[:40]} is no list of items")
        found[rule] = tuple(codes)
    return MappingProxyType(found)


def _rescue(fields: Fields) -> Mapping[str, int]:
    if fields.raw("rescue_s") == {}:
        return MappingProxyType({})
    rescue = fields.within("rescue_s", *_AREAS)
    return MappingProxyType({area: _whole(rescue, area, 1, 86_400) for area in _AREAS})


def _languages(fields: Fields, name: str) -> Mapping[str, str]:
    texts = fields.within(name, *_LANGUAGES)
    return MappingProxyType({language: _text(texts, language) for language in _LANGUAGES})


def _text(fields: Fields, name: str) -> str:
    text = fields.text(name)
    if len(text) > _TEXT_LENGTH_MAX:
        raise PackError(f"pack: {name} has {len(text)} characters; {_TEXT_LENGTH_MAX} is the limit")
    return text


def _matching(fields: Fields, name: str, pattern: re.Pattern[str]) -> str:
    text = fields.text(name)
    if not pattern.fullmatch(text):
        raise PackError(f"pack: {name} {text[:40]!r} does not follow {pattern.pattern}")
    return text


def _whole(fields: Fields, name: str, least: int, most: int) -> int:
    number = fields.integer(name)
    if not least <= number <= most:
        raise PackError(f"pack: {name} is {number}; it lies from {least} to {most}")
    return number


def _date(fields: Fields, name: str) -> date:
    text = fields.text(name)
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise PackError(f"pack: {name} {text[:20]!r} is no date such as 2017-08-01") from error
    if found.isoformat() != text:
        raise PackError(f"pack: {name} {text[:20]!r} is not written as {found.isoformat()}")
    return found
