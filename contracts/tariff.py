"""Prices in exact integers: what pricing.vy computes, bit for bit.

A price is in nanofen (10^-9 fen) per base unit of the quantity (Wh, mL), so that 0.423625 CNY a kWh is 42,362,500; it
is the sum of named components. Terms travel as their ABI bytes; the chain holds their SHA-256. Charges that no meter
counts are in `contracts.standing`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import sha256
from itertools import pairwise
from typing import Any

from contracts.abi import decode_values, encode_arguments, padded, unpadded
from contracts.errors import ContractsError

NANOFEN = 10**9
TIERS_MAX = 8
REGISTERS_MAX = 4
SEASONS_MAX = 4
WINDOWS_MAX = 12
COMPONENTS_MAX = 12
TERMS_BYTES_MAX = 10_752
ALL_TIERS = 2**TIERS_MAX - 1
ALL_REGISTERS = 2**REGISTERS_MAX - 1
ALL_MONTHS = tuple(range(1, 13))
DAY_MINUTES = 1440
MONTH_PARTS = 377_580  # lcm of 28, 29, 30 and 31: a day of any month is a whole number of them
USAGE_END = 2**64
PRICE_END = 2**56

_COMPONENT_TYPE = "(bytes32,uint256,uint256,uint256)"
_SEASON_TYPE = f"(uint256,uint256[],uint256,uint256,uint256[],{_COMPONENT_TYPE}[])"
TERMS_TYPE = f"(bytes32,uint256,uint256,uint256,uint256,bytes32,bytes32[],{_SEASON_TYPE}[])"


class TariffError(ContractsError):
    """Terms or a usage that no bill can rest on."""


class Basis(IntEnum):
    """What a charge is counted by."""

    METER = 1
    AREA = 2  # 0.01 m2 and month: the property fee, which needs the owners' resolution
    HEADS = 3  # resident and month: waste
    COUNT = 4  # a stated number and month: parking places; the arbiter judges it
    ONCE = 5  # a stated number, once


class Counting(IntEnum):
    """Over what time tiers count."""

    NONE = 0
    PERIOD = 1
    YEAR = 2


class Key(IntEnum):
    """By what a pool is shared."""

    AREA = 0
    EQUAL = 1
    TABLE = 2  # in the roll: area times floor factor, for example
    VOLUME = 3  # what the units' own meters counted in the period: the booster pump


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """One named part of a price."""

    name: str
    price: int  # nanofen per base unit
    tiers: int = ALL_TIERS  # bit t: counts in tier t
    registers: int = ALL_REGISTERS  # bit r: counts for register r

    def __post_init__(self) -> None:
        if not 0 <= self.price < PRICE_END:
            raise TariffError(f"component {self.name}: price {self.price} is out of range")


@dataclass(frozen=True, slots=True)
class Window:
    """When a time-of-use register counts: minutes of the local day, the end not included; may wrap midnight."""

    register: int
    first: int
    end: int

    def word(self) -> int:
        """As the contract packs it."""
        return self.register << 32 | self.first << 16 | self.end

    @classmethod
    def from_word(cls, word: int) -> "Window":
        """The window that a word packs."""
        return cls(word >> 32, word >> 16 & 0xFFFF, word & 0xFFFF)


@dataclass(frozen=True, slots=True, kw_only=True)
class Season:
    """The months in which one set of tiers, windows and prices holds."""

    components: tuple[Component, ...]
    months: tuple[int, ...] = ALL_MONTHS
    bounds: tuple[int, ...] = ()  # where each tier but the last ends, base units
    persons: int = 0  # residents whom the bounds are made for
    extra: int = 0  # added to every bound for each resident above them
    windows: tuple[Window, ...] = ()

    @property
    def mask(self) -> int:
        """Bit m for month m."""
        return sum(1 << month for month in self.months)

    def price(self, tier: int, register: int = 0) -> int:
        """Nanofen per base unit: the sum of the components that count there."""
        return sum(
            component.price
            for component in self.components
            if component.tiers >> tier & 1 and component.registers >> register & 1
        )

    def charge(self, *, used: Sequence[int], prior: int = 0, residents: int = 0) -> int:
        """Fen for what the registers counted.

        Args:
            used: base units by register, in the order of the terms' registers.
            prior: base units before, in the tiers' own time.
            residents: persons living there, where bounds rise with them.
        """
        total = sum(used)
        if min(used, default=0) < 0 or prior < 0 or max(total, prior) >= USAGE_END:
            raise TariffError(f"usage {list(used)} after {prior} is out of range; check the boundary registers")
        if total == 0:
            return 0
        widened = self.extra * max(0, residents - self.persons)
        edges = [0, *(bound + widened for bound in self.bounds), 2**255]
        if len(used) == 1:
            return self._running(edges, prior + total) - self._running(edges, prior)
        nanofen = 0
        for tier, (below, upper) in enumerate(pairwise(edges)):
            amount = min(prior + total, upper) - min(prior + total, below) - (min(prior, upper) - min(prior, below))
            if amount:
                nanofen += amount * sum(part * self.price(tier, register) for register, part in enumerate(used))
        return (2 * nanofen + total * NANOFEN) // (2 * total * NANOFEN)

    def _running(self, edges: Sequence[int], usage: int) -> int:
        """Fen for a usage counted from the first tier, by one register."""
        nanofen = sum(
            (min(usage, upper) - min(usage, below)) * self.price(tier)
            for tier, (below, upper) in enumerate(pairwise(edges))
            if usage > below
        )
        return (nanofen + NANOFEN // 2) // NANOFEN

    def abi(self) -> tuple[Any, ...]:
        """The fields in the contract's order."""
        parts = [(padded(part.name), part.tiers, part.registers, part.price) for part in self.components]
        windows = [window.word() for window in self.windows]
        return (self.mask, list(self.bounds), self.persons, self.extra, windows, parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """One version's price list for one quantity."""

    quantity: str  # without date: 1-0:1.8.0
    seasons: tuple[Season, ...]
    category: int = 0  # of units: 0 residential
    basis: Basis = Basis.METER
    counting: Counting = Counting.NONE
    key: Key = Key.AREA
    document: bytes = bytes(32)  # digest of the published decision; of standing charges the right to them
    registers: tuple[str, ...] = field(default=())  # empty here means the quantity itself, where a meter counts

    def __post_init__(self) -> None:
        if self.basis is Basis.METER and not self.registers:
            object.__setattr__(self, "registers", (self.quantity,))
        _check(self)

    @classmethod
    def tiered(
        cls,
        *,
        quantity: str,
        tiers: Sequence[tuple[int | None, int]],
        counting: Counting = Counting.PERIOD,
        category: int = 0,
        document: bytes = bytes(32),
        name: str = "energy",
        key: Key = Key.AREA,
    ) -> "Terms":
        """The plainest terms: one register, one season, (up to, price) a tier, None for the open one."""
        components = tuple(
            Component(name=name, price=price, tiers=1 << place) for place, (_, price) in enumerate(tiers)
        )
        bounds = tuple(up_to for up_to, _ in tiers if up_to is not None)
        if len(bounds) != len(tiers) - 1 or tiers[-1][0] is not None:
            raise TariffError(f"tariff for {quantity}: the last tier, and only that, must be open")
        return cls(
            quantity=quantity,
            seasons=(Season(components=components, bounds=bounds),),
            category=category,
            counting=counting if bounds else Counting.NONE,
            key=key,
            document=document,
        )

    def season(self, from_date: int, to_date: int) -> Season:
        """The season that holds every day from one boundary date up to the other. Raises TariffError if none does."""
        months = months_of(from_date, to_date)
        for season in self.seasons:
            if months <= set(season.months):
                return season
        raise TariffError(f"tariff for {self.quantity}: {from_date} to {to_date} lies in two seasons; split the line")

    def encode(self) -> bytes:
        """The ABI bytes that are announced."""
        seasons = [season.abi() for season in self.seasons]
        words = (
            padded(self.quantity),
            self.category,
            int(self.basis),
            int(self.counting),
            int(self.key),
            self.document,
            [padded(register) for register in self.registers],
            seasons,
        )
        return encode_arguments("terms", (TERMS_TYPE,), (words,))

    @property
    def digest(self) -> bytes:
        """What the chain holds of the terms."""
        return sha256(self.encode()).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """Terms and the days on which they hold."""

    terms: Terms
    valid_from: int  # boundary date YYYYMMDD
    valid_to: int = 0  # boundary date, 0 while open


def decode_terms(encoded: bytes) -> Terms:
    """Terms from their announced bytes. Raises TariffError or AbiError if they are no such terms."""
    if len(encoded) > TERMS_BYTES_MAX:
        raise TariffError(f"terms have {len(encoded)} bytes; {TERMS_BYTES_MAX} is the limit")
    words = decode_values("terms", (TERMS_TYPE,), encoded)[0]
    quantity, category, basis, counting, key, document, registers, seasons = words
    try:
        basis, counting, key = Basis(basis), Counting(counting), Key(key)
    except ValueError as error:
        raise TariffError(f"terms: {error}") from error
    return Terms(
        quantity=unpadded(quantity),
        seasons=tuple(_season(season) for season in seasons),
        category=category,
        basis=basis,
        counting=counting,
        key=key,
        document=document,
        registers=tuple(unpadded(register) for register in registers),
    )


def _season(words: Sequence[Any]) -> Season:
    months, bounds, persons, extra, windows, components = words
    return Season(
        months=tuple(month for month in ALL_MONTHS if months >> month & 1),
        bounds=tuple(bounds),
        persons=persons,
        extra=extra,
        windows=tuple(Window.from_word(word) for word in windows),
        components=tuple(
            Component(name=unpadded(name), price=price, tiers=tiers, registers=registers)
            for name, tiers, registers, price in components
        ),
    )


def _check(terms: Terms) -> None:
    """Refuse what pricing.vy refuses."""
    what = f"tariff for {terms.quantity}"
    metered = terms.basis is Basis.METER
    if metered != bool(terms.registers) or len(terms.registers) > REGISTERS_MAX:
        raise TariffError(f"{what}: metered terms name one to {REGISTERS_MAX} registers, others none")
    months = [month for season in terms.seasons for month in season.months]
    if sorted(months) != list(ALL_MONTHS) or len(terms.seasons) > SEASONS_MAX:
        raise TariffError(f"{what}: the seasons must share out the twelve months once; they have {sorted(months)}")
    for season in terms.seasons:
        if not metered and (season.bounds or season.extra):
            raise TariffError(f"{what}: only metered terms have tiers")
        if season.bounds and terms.counting is Counting.NONE:
            raise TariffError(f"{what}: tiers count over the period or the year, not over nothing")
        edges = (0, *season.bounds)
        if any(below >= upper for below, upper in pairwise(edges)) or len(edges) > TIERS_MAX:
            raise TariffError(f"{what}: tiers at {list(season.bounds)} do not rise, or are more than {TIERS_MAX}")
        if edges[-1] >= USAGE_END or not 0 <= season.extra < USAGE_END:
            raise TariffError(f"{what}: a bound is out of range")
        if len(season.windows) > WINDOWS_MAX or len(season.components) > COMPONENTS_MAX:
            raise TariffError(f"{what}: at most {WINDOWS_MAX} windows and {COMPONENTS_MAX} components a season")
        if len(terms.registers) > 1:
            _check_day(what, season.windows, len(terms.registers))


def _check_day(what: str, windows: Sequence[Window], registers: int) -> None:
    minutes = 0
    for window, before in zip(windows, (*windows[-1:], *windows), strict=False):
        fits = window.first == before.end and 0 <= window.first < DAY_MINUTES and 0 <= window.end < DAY_MINUTES
        if not fits or not 0 <= window.register < registers:
            raise TariffError(f"{what}: window {window} does not begin where the one before ends")
        minutes += (window.end - window.first) % DAY_MINUTES or DAY_MINUTES
    if minutes != DAY_MINUTES:
        raise TariffError(f"{what}: the windows cover {minutes} minutes; a day has {DAY_MINUTES}")


def months_of(from_date: int, to_date: int) -> set[int]:
    """The months (1 to 12) that have a day between two boundary dates; at most thirteen steps, as the contract."""
    last = to_date // 100
    if to_date % 100 == 1:
        last -= 1
        last -= 88 if last % 100 == 0 else 0
    month, months = from_date // 100, set()
    for _ in range(13):
        months.add(month % 100)
        if month >= last:
            break
        month = next_month(month)
    return months


def next_month(month: int) -> int:
    """202701 after 202612."""
    return month + 89 if month % 100 == 12 else month + 1


def price_per_thousand(yuan: str) -> int:
    """Nanofen per base unit for a price in CNY per thousand of them: CNY per kWh where energy is counted in Wh.

    Args:
        yuan: decimal text with at most 6 decimals, such as "0.423625" (CNY per kWh).

    Raises:
        TariffError: not such a number.
    """
    return _scaled(yuan, 8)


def price_per_million(yuan: str) -> int:
    """Nanofen per base unit for a price in CNY per million of them: CNY per m3 where water is counted in mL.

    Args:
        yuan: decimal text with at most 5 decimals.
    """
    return _scaled(yuan, 5)


def price_per_hundred(yuan: str) -> int:
    """Nanofen per base unit for a price in CNY per hundred of them: CNY per m2 where area is counted in 0.01 m2."""
    return _scaled(yuan, 9)


def price_each(yuan: str) -> int:
    """Nanofen for a price in CNY for each: a resident, a parking place."""
    return _scaled(yuan, 11)


def _scaled(yuan: str, decimals: int) -> int:
    whole, _, fraction = yuan.partition(".")
    if not whole.isascii() or not (whole + fraction).isdigit() or len(fraction) > min(6, decimals):
        raise TariffError(f"price {yuan!r} is no decimal number with at most {min(6, decimals)} decimals")
    scale: int = 10**decimals
    return int(whole) * scale + int(fraction.ljust(decimals, "0") or "0")
