"""Numbers, money and dates as pages print them. Integers in, text out; nothing here rounds money."""

from datetime import UTC, date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_date, format_datetime

from cloud.web.language import Language

MINUS = "\u2212"
_SCALES = {"Wh": 1_000, "mL": 1_000_000, "L": 1_000}  # of base units in one that people are shown
_DATE_PATTERNS = {"zh": "y年M月d日", "en": "d MMM y"}
_DAY_PATTERNS = {"zh": "M月d日", "en": "d MMM"}
_INSTANT_PATTERNS = {"zh": "y年M月d日 HH:mm", "en": "d MMM y, HH:mm"}
_SECOND_PATTERNS = {"zh": "y年M月d日 HH:mm:ss", "en": "d MMM y, HH:mm:ss"}


def money(fen: int) -> str:
    """`¥1,234.56` of 123456 fen."""
    sign = MINUS if fen < 0 else ""
    return f"{sign}¥{abs(fen) // 100:,}.{abs(fen) % 100:02d}"


def kilowatt_hours(watt_hours: int) -> str:
    """kWh with the two digits that a meter shows, three where there are that many."""
    sign = MINUS if watt_hours < 0 else ""
    whole, rest = divmod(abs(watt_hours), 1000)
    return f"{sign}{whole:,}.{rest:03d}" if rest % 10 else f"{sign}{whole:,}.{rest // 10:02d}"


def price(nanofen: int, unit: str) -> str:
    """`¥0.538` for one of the units that are shown, as many digits as the tariff has, at least two.

    Args:
        nanofen: for one base unit.
    """
    digits = 11 - len(str(_SCALES.get(unit, 1))) + 1
    yuan, rest = divmod(nanofen, 10**digits)
    return f"¥{yuan}.{f'{rest:0{digits}d}'.rstrip('0').ljust(2, '0')}"


def limit(value: int, unit: str, language: Language) -> str:
    """Where a price step ends, without digits after the point where there are none but zeros."""
    whole, rest = divmod(value, _SCALES.get(unit, 1))
    figure, shown = (f"{whole:,}", _shown(unit, language)) if rest == 0 else quantity_value(value, unit, language)
    return f"{figure} {shown}".rstrip()


def quantity_value(value: int, unit: str, language: Language) -> tuple[str, str]:
    """A register's figure and the unit beside it: Wh as kWh, mL and L as m3, the rest as it is."""
    sign = MINUS if value < 0 else ""
    if unit == "Wh":
        return kilowatt_hours(value), _shown(unit, language)
    if unit in _SCALES:
        whole, rest = divmod(abs(value), _SCALES[unit])
        return f"{sign}{whole:,}.{rest * 1000 // _SCALES[unit]:03d}", _shown(unit, language)
    return f"{sign}{abs(value):,}", _shown(unit, language)


def _shown(unit: str, language: Language) -> str:
    """The name of what people are shown for a base unit."""
    if unit == "Wh":
        return language.energy_unit
    return "m³" if unit in _SCALES else "" if unit == "count" else unit


def exact_value(register: int, unit: str, language: Language) -> tuple[str, str]:
    """The same of a register to its last base unit, for a number that somebody signs; it is never below zero."""
    millilitres = register % 1000 if unit == "mL" else 0
    figure, shown = quantity_value(register, unit, language)
    return (f"{figure}{millilitres:03d}".rstrip("0") if millilitres else figure), shown


def area(centi_m2: int) -> str:
    """`89.30` of 8930."""
    return f"{centi_m2 // 100:,}.{centi_m2 % 100:02d}"


def permille(parts: int) -> str:
    """`2.3 %` of 23 parts in a thousand, on one line."""
    return f"{MINUS if parts < 0 else ''}{abs(parts) // 10}.{abs(parts) % 10}\N{NO-BREAK SPACE}%"


def percent(parts: int) -> str:
    """`12 %`, on one line."""
    return f"{parts}\N{NO-BREAK SPACE}%"


def whole(number: int) -> str:
    return f"{number:,}"


def day(value: date, language: Language) -> str:
    """A date with its year."""
    return _dated(value, _DATE_PATTERNS[language.key], language.locale)


def short_day(value: date, language: Language) -> str:
    """A date without its year."""
    return _dated(value, _DAY_PATTERNS[language.key], language.locale)


@lru_cache(maxsize=4096)
def _dated(value: date, pattern: str, locale: Locale) -> str:
    """A chart names forty days, and everybody's chart the same ones."""
    return str(format_date(value, format=pattern, locale=locale))


def instant(at_ms: int, language: Language, timezone: ZoneInfo, *, seconds: bool = False) -> str:
    """A moment on the site's wall clock."""
    patterns = _SECOND_PATTERNS if seconds else _INSTANT_PATTERNS
    local = datetime.fromtimestamp(at_ms / 1000, tz=UTC).astimezone(timezone)
    return str(format_datetime(local, format=patterns[language.key], locale=language.locale))


def iso_instant(at_ms: int) -> str:
    """For the datetime attribute."""
    return datetime.fromtimestamp(at_ms / 1000, tz=UTC).isoformat(timespec="seconds")
