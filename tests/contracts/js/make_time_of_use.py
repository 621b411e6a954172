"""Write the time of use's vectors for the browser: `python -m tests.contracts.js.make_time_of_use`.

Made by `contracts.time_of_use`, by which bills are made.
"""

import json
import random
from dataclasses import asdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from contracts.bill import Line, LineKind
from contracts.interval_line import LineEntry, usage_by_price
from contracts.tariff import Component, Counting, Season, Terms, Window
from contracts.time_of_use import TimedReading, price_calendar, time_of_use

PATH = Path(__file__).with_name("time_of_use.json")
# With nights of changed clocks: Berlin's in March and October, New York's in November, half an hour's on Lord Howe.
PLACES = (
    ("Asia/Shanghai", date(2026, 11, 1)), ("Europe/Berlin", date(2026, 3, 27)), ("Europe/Berlin", date(2026, 10, 24)),
    ("America/New_York", date(2026, 10, 30)), ("Australia/Lord_Howe", date(2026, 10, 3)),
    ("Asia/Kathmandu", date(2026, 6, 1)),
)  # fmt: skip
CASES_EACH = 4
TOTAL, RATES = "1-0:1.8.0", ("1-0:1.8.1", "1-0:1.8.2")


def vectors() -> list[dict[str, Any]]:
    """Random windows, days and readings from a fixed seed, and what is made of them."""
    rng = random.Random(645)
    return [_case(rng, zone, day) for zone, day in PLACES for _ in range(CASES_EACH)]


def _case(rng: random.Random, zone: str, first: date) -> dict[str, Any]:
    last = first + timedelta(days=rng.randrange(1, 6))
    edges = sorted(rng.sample(range(0, 1440, 10), 3))
    windows = [Window(at, edge, edges[(at + 1) % 3]) for at, edge in enumerate(edges)]
    days = [int(f"{day:%Y%m%d}") for day in (first, last)]
    calendar = price_calendar(windows, ZoneInfo(zone), *days)
    times = sorted(rng.sample(range(calendar.start_ms + 1, calendar.end_ms, 7_919), rng.randrange(40)))
    values = sorted(rng.randrange(10**6) for _ in range(len(times) + 2))
    readings = [TimedReading(at, value) for at, value in zip(times, values[1:-1], strict=True)]
    used, told = time_of_use(calendar, opening=values[0], closing=values[-1], readings=readings, registers=3)
    return {
        "zone": zone,
        "from": days[0],
        "to": days[1],
        "windows": [[window.register, window.first, window.end] for window in windows],
        "opening": str(values[0]),
        "closing": str(values[-1]),
        "readings": [[at, str(value)] for at, value, _ in readings],
        "changes": [list(change) for change in calendar.changes],
        "end_ms": calendar.end_ms,
        "used": [str(one) for one in used],
        "told": [[one.at_ms, str(one.value), one.is_between] for one in told],
    }


def lines() -> list[dict[str, Any]]:
    """Whole lines of one meter, or of two that were swapped, with all that they rest on."""
    rng = random.Random(62056)
    return [_line(rng, zone, day, swapped=swapped) for zone, day in PLACES[:3] for swapped in (False, True)]


def _line(rng: random.Random, zone: str, first: date, *, swapped: bool) -> dict[str, Any]:
    days = [int(f"{first + timedelta(days=count):%Y%m%d}") for count in (0, 2, 4)]
    terms = Terms(
        quantity=TOTAL,
        registers=RATES,
        counting=Counting.YEAR,
        seasons=(
            Season(
                components=tuple(
                    Component(name=f"p{at}", price=7_000_000 * (at + 3), registers=1 << at) for at in (0, 1)
                ),
                bounds=(10_000,),
                windows=(Window(0, 480, 1320), Window(1, 1320, 480)),
            ),
        ),
    )
    meters = [(b"m", days[0], days[1]), (b"n", days[1], days[2])] if swapped else [(b"m", days[0], days[2])]
    entries = []
    for at, (device, begins, ends) in enumerate(meters):
        calendar = price_calendar((), ZoneInfo(zone), begins, ends)
        times = sorted(rng.sample(range(calendar.start_ms + 1, calendar.end_ms, 60_000), 12))
        values = sorted(rng.randrange(10**5) for _ in range(14))
        bound = {"bound_from": 20260101 if at == 0 else begins, "bound_to": ends if swapped and at == 0 else 0}
        known = {"device": device * 32, **bound}
        said = [(f"{TOTAL}*{begins}", calendar.start_ms, values[0]), (f"{TOTAL}*{ends}", calendar.end_ms, values[-1])]
        said += [(TOTAL, instant, value) for instant, value in zip(times, values[1:-1], strict=True)]
        if at == 0:
            said.append((f"{TOTAL}*20260101", 0, 0))
        entries += [
            LineEntry(quantity=quantity, observed_at_ms=instant, value=value, **known)
            for quantity, instant, value in said
        ]
    empty = Line(
        kind=LineKind.INTERVAL, subject=meters[-1][0] * 32, quantity=TOTAL, tariff=1, since=20260101, from_date=days[0],
        to_date=days[2], usage=0, amount=0,
    )  # fmt: skip
    counted = usage_by_price(empty, terms, entries, ZoneInfo(zone))
    amount = terms.season(days[0], days[2]).charge(used=counted.used, prior=counted.prior)
    rng.shuffle(entries)
    return {
        "zone": zone,
        "terms": terms.encode().hex(),
        "line": {"subject": empty.subject.hex(), "since": 20260101, "from": days[0], "to": days[2]},
        "entries": [{**asdict(one), "device": one.device.hex(), "value": str(one.value)} for one in entries],
        "used": [str(one) for one in counted.used],
        "prior": str(counted.prior),
        "bridged": counted.bridged,
        "amount": str(amount),
    }


def written() -> str:
    """The file's text."""
    some = {"cases": vectors(), "lines": lines()}
    parts = [f'"{name}": [\n' + ",\n".join(json.dumps(one) for one in found) + "\n]" for name, found in some.items()]
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    PATH.write_text(written())
