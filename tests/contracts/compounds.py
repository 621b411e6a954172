"""Whole compounds, from one seed each: registers to bills, closed to the cent against a second reckoning in fractions.

A compound has a few units with meters (some swapped inside the period), terms of any shape (tiers, time of use,
seasons, households), pools by every kind of key, standing charges and a main meter. Closed means: every line is the
exact price rounded once; every pool's shares add up to it; the main meter's difference is a pool of its own; and all
bills together are all charges together.
"""

from calendar import monthrange
from collections import Counter
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from math import floor
from random import Random

from contracts.bill import share
from contracts.key_table import floor_factor_key
from contracts.standing import standing_charge
from contracts.tariff import NANOFEN, Basis, Key, Season, Terms
from tests.contracts.prices import random_span, random_standing, random_terms


@dataclass(frozen=True, slots=True)
class Meter:
    """What one unit's or pool's meters counted: registers of each meter at both ends, one meter after a swap."""

    spans: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...]

    @property
    def used(self) -> list[int]:
        """By register, over both sides of a swap."""
        columns = len(self.spans[0][0])
        return [sum(closing[at] - opening[at] for opening, closing in self.spans) for at in range(columns)]


class OpenError(Exception):
    """A compound does not close; the message says where."""


def close_compound(seed: int) -> int:
    """Bill one compound and check that it closes. Returns the number of its lines; raises OpenError."""
    rng = Random(seed)
    terms, fee = random_terms(rng), random_standing(rng)
    span = random_span(rng, terms)
    season = terms.season(*span)
    areas = [rng.randint(1_000, 30_000) for _ in range(rng.randint(1, 9))]
    meters = [random_meter(rng, len(terms.registers)) for _ in areas]
    priors = [rng.choice((0, rng.randrange(6_000_000))) for _ in areas]
    residents = [rng.randint(0, 8) for _ in areas]
    own = [
        season.charge(used=meter.used, prior=prior, residents=persons)
        for meter, prior, persons in zip(meters, priors, residents, strict=True)
    ]
    for meter, prior, persons, amount in zip(meters, priors, residents, own, strict=True):
        expect(slow_charge(season, meter.used, prior, persons), amount, f"seed {seed}: own line")
    standing = [
        standing_charge(fee, count=area if fee.basis is Basis.AREA else persons, from_date=span[0], to_date=span[1])
        for area, persons in zip(areas, residents, strict=True)
    ]
    for area, persons, amount in zip(areas, residents, standing, strict=True):
        count = area if fee.basis is Basis.AREA else persons
        expect(slow_standing(fee, count, *span), amount, f"seed {seed}: standing charge")
    pools, shared = close_pools(rng, seed, terms, season, areas, meters)
    bills = [sum(lane) for lane in zip(own, standing, *shared, strict=True)]
    if sum(bills) != sum(own) + sum(standing) + sum(pools):
        raise OpenError(
            f"seed {seed}: bills of {sum(bills)} fen for charges of {sum(own) + sum(standing) + sum(pools)}"
        )
    return len(areas) * (2 + len(pools))


def close_pools(
    rng: Random, seed: int, terms: Terms, season: Season, areas: list[int], meters: list[Meter]
) -> tuple[list[int], list[list[int]]]:
    """Costs of the pools and each unit's shares; the last pool is the main meter's difference."""
    counted = [random_meter(rng, len(terms.registers)).used for _ in range(rng.randint(0, 3))]
    # The main meter counts what all others do, and what gets lost between.
    lost = [rng.randrange(50_000) for _ in terms.registers]
    columns = [[meter.used[at] for meter in meters] + [pool[at] for pool in counted] for at in range(len(lost))]
    main = [sum(column) + loss for column, loss in zip(columns, lost, strict=True)]
    difference = [whole - sum(column) for whole, column in zip(main, columns, strict=True)]
    costs, shared = [], []
    for used in [*counted, difference]:
        cost = season.charge(used=used)
        keys = keys_of(rng, rng.choice(tuple(Key)), areas)
        parts, before = [], 0
        for key in keys:
            parts.append(share(cost, before, key, sum(keys)))
            before += key
        if sum(parts) != cost or min(parts) < 0:
            raise OpenError(f"seed {seed}: shares of {sum(parts)} fen for a pool of {cost}")
        for key, part in zip(keys, parts, strict=True):
            if abs(part - Fraction(cost * key, sum(keys))) >= 1:
                raise OpenError(f"seed {seed}: a share is a whole fen or more from its part")
        costs.append(cost)
        shared.append(parts)
    return costs, shared


def keys_of(rng: Random, key: Key, areas: list[int]) -> list[int]:
    """Sharing keys of every kind; volumes may be zero, but not all of them."""
    if key is Key.AREA:
        return areas
    if key is Key.EQUAL:
        return [1] * len(areas)
    if key is Key.TABLE:
        return [floor_factor_key(area, rng.randint(-1, 33)) for area in areas]
    volumes = [rng.choice((0, rng.randrange(40_000_000))) for _ in areas]
    return volumes if any(volumes) else [1, *volumes[1:]]


def random_meter(rng: Random, registers: int) -> Meter:
    """One meter, or two around a swap."""
    spans = []
    for _ in range(rng.choice((1, 1, 1, 2))):
        opening = tuple(rng.randrange(10_000_000) for _ in range(registers))
        closing = tuple(value + rng.choice((0, rng.randrange(700_000))) for value in opening)
        spans.append((opening, closing))
    return Meter(tuple(spans))


def slow_charge(season: Season, used: list[int], prior: int, residents: int) -> int:
    """The same charge straight from the text: unit by tier, in fractions, rounded half up once (or as a difference)."""
    total = sum(used)
    if total == 0:
        return 0
    widened = [bound + season.extra * max(0, residents - season.persons) for bound in season.bounds]

    def fen(first: int, last: int) -> Fraction:
        nanofen = Fraction(0)
        at = first
        for tier, bound in enumerate([*widened, max(last, *widened, 0) + 1]):
            part = max(0, min(last, bound) - at)
            for register, counted in enumerate(used):
                nanofen += Fraction(part * counted, total) * season.price(tier, register)
            at = max(at, min(last, bound))
        return nanofen / NANOFEN

    half = Fraction(1, 2)
    if len(used) == 1:
        return floor(fen(0, prior + total) + half) - floor(fen(0, prior) + half)
    return floor(fen(prior, prior + total) + half)


def slow_standing(fee: Terms, count: int, from_date: int, to_date: int) -> int:
    """Day by day: each is its part of its month."""
    months = Fraction(1)
    if fee.basis is not Basis.ONCE:
        first, last = (date(day // 10_000, day // 100 % 100, day % 100) for day in (from_date, to_date))
        days = (first + timedelta(days=at) for at in range((last - first).days))
        lengths = Counter((day.year, day.month) for day in days)
        months = sum((Fraction(held, monthrange(*month)[1]) for month, held in lengths.items()), Fraction(0))
    return floor(count * fee.seasons[0].price(0) * months / NANOFEN + Fraction(1, 2))


def expect(expected: int, amount: int, what: str) -> None:
    if expected != amount:
        raise OpenError(f"{what} of {amount} fen; the second reckoning gives {expected}")
