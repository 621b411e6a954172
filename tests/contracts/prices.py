"""Random terms and dates, from one seed: what the agreement tests and the soak of whole compounds draw from."""

from datetime import date, timedelta
from itertools import pairwise
from random import Random

from contracts.tariff import ALL_MONTHS, PRICE_END, Basis, Component, Counting, Season, TariffError, Terms, Window

REGISTERS = ("1-0:1.8.1", "1-0:1.8.2", "1-0:1.8.3", "1-0:1.8.4")


def random_terms(rng: Random, *, registers: int | None = None, quantity: str = "1-0:1.8.0") -> Terms:
    """Metered terms of every shape: tiers by nothing, period or year; up to four registers; up to four seasons."""
    count = registers or rng.choice((1, 1, 2, 3, 4))
    counting = rng.choice(tuple(Counting))
    return Terms(
        quantity=quantity,
        counting=counting,
        registers=REGISTERS[:count] if count > 1 else (quantity,),
        seasons=tuple(
            random_season(rng, months, count, tiers=1 if counting is Counting.NONE else rng.randint(1, 8))
            for months in random_seasons(rng)
        ),
    )


def random_seasons(rng: Random) -> list[tuple[int, ...]]:
    """The twelve months shared out, one to four ways; a season may wrap the new year."""
    cuts = sorted(rng.sample(range(12), rng.choice((1, 1, 2, 3, 4))))
    if len(cuts) == 1:
        return [ALL_MONTHS]
    months = [*ALL_MONTHS[cuts[0] :], *ALL_MONTHS[: cuts[0]]]
    edges = [cut - cuts[0] for cut in cuts] + [12]
    return [tuple(sorted(months[first:last])) for first, last in pairwise(edges)]


def random_season(rng: Random, months: tuple[int, ...], registers: int, *, tiers: int) -> Season:
    bounds = sorted(rng.sample(range(1, 5_000_000), tiers - 1))
    parts = [Component(name=f"tier {tier}", price=rng.randrange(2**33), tiers=1 << tier) for tier in range(tiers)]
    parts += [
        Component(name=f"component {place}", price=rng.choice((1, rng.randrange(2**30))), registers=rng.randrange(16))
        for place in range(rng.randint(0, 12 - tiers if tiers < 12 else 0))
    ][:4]
    return Season(
        months=months,
        bounds=tuple(bounds),
        persons=rng.randint(0, 5),
        extra=rng.choice((0, 100_000)) if bounds else 0,
        windows=random_windows(rng, registers) if registers > 1 else (),
        components=tuple(parts),
    )


def random_windows(rng: Random, registers: int) -> tuple[Window, ...]:
    """A day cut at random minutes; the last window wraps midnight."""
    cuts = sorted(rng.sample(range(1440), rng.randint(registers, 12)))
    ends = [*cuts[1:], cuts[0]]
    return tuple(
        Window(place % registers, first, end) for place, (first, end) in enumerate(zip(cuts, ends, strict=True))
    )


def random_standing(rng: Random) -> Terms:
    """A charge by area, residents, number, or once."""
    return Terms(
        quantity="fee",
        basis=rng.choice(tuple(Basis)[1:]),
        seasons=(Season(components=(Component(name="fee", price=rng.randrange(min(PRICE_END, 2**50))),)),),
    )


def random_span(rng: Random, terms: Terms) -> tuple[int, int]:
    """Boundary dates within one season, less than a year apart."""
    while True:
        first = date(2026, 1, 1) + timedelta(days=rng.randrange(730))
        last = first + timedelta(days=rng.choice((1, 7, 28, 30, 31, rng.randint(1, 300))))
        dates = int(f"{first:%Y%m%d}"), int(f"{last:%Y%m%d}")
        try:
            terms.season(*dates)
        except TariffError:
            continue  # a line that lies in two seasons is split; here another span is drawn
        return dates
