"""Write the due dates' vectors for the browser: `python -m tests.contracts.js.make_due`.

Made by `contracts.due`, which the contract is tested against.
"""

import json
import random
from pathlib import Path
from typing import Any

from contracts.due import CLASSES, LEVELS, DoneDay, Terms, due_on, fee, overdue_days, penalty, visit_day
from contracts.visit import VisitClass

PATH = Path(__file__).with_name("due.json")
CASES = 40


def due_vectors() -> dict[str, Any]:
    """Random terms and visits from a fixed seed, and what follows from them."""
    rng = random.Random(5002)
    return {
        "cases": [_case(rng) for _ in range(CASES)],
        "visit_days": [_visit_day(rng) for _ in range(CASES)],
    }


def random_terms(rng: random.Random, starts_on: int, **changes: Any) -> Terms:
    """Terms with any numbers that the contract takes."""
    fields: dict[str, Any] = {
        "device": bytes([1]) * 32,
        "plan": bytes([2]) * 32,
        "firm": 3,
        "starts_on": starts_on,
        "ends_on": starts_on + 900,
        "checklists": (bytes(32),) * 4,
        "interval_days": tuple(rng.choice([0, 1, 15, 30, 90, 180, 365]) for _ in CLASSES),
        "done_on": tuple(starts_on - rng.randrange(200) for _ in CLASSES),
        "grace_days": rng.choice([0, 0, 3, 30]),
        "fees": tuple(sorted(rng.randrange(100_000) for _ in CLASSES)),
        "factors": tuple(sorted(rng.randrange(1500) for _ in range(LEVELS))),
        "penalty": rng.randrange(10_000),
        "deposit": 1_000_000,
        "two_people": False,
        "countersigned": False,
        "level": 0,
        "account": "0x" + "11" * 20,
        "payer": "0x" + "22" * 20,
    }
    return Terms(**(fields | changes))


def random_done(rng: random.Random, starts_on: int, days: int) -> list[DoneDay]:
    """A few visits in so many days, at most one each day."""
    chosen = rng.sample(range(starts_on, starts_on + days), rng.randrange(min(days, 8)))
    return [DoneDay(day, VisitClass(rng.randrange(1, 5))) for day in sorted(chosen)]


def _case(rng: random.Random) -> dict[str, Any]:
    terms = random_terms(rng, 20_000)
    done = random_done(rng, terms.starts_on, 150)
    today = terms.starts_on + rng.randrange(200)
    first_silent = today - rng.randrange(90)
    silent = list(range(first_silent, first_silent + rng.randrange(40)))
    return {
        "interval_days": list(terms.interval_days),
        "done_on": list(terms.done_on),
        "grace_days": terms.grace_days,
        "fees": [str(amount) for amount in terms.fees],
        "factors": [str(factor) for factor in terms.factors],
        "penalty": str(terms.penalty),
        "done": [[each.day, int(each.visit_class)] for each in done],
        "today": today,
        "due_on": [due_on(terms, done, each, today=today) for each in CLASSES],
        "overdue": [overdue_days(terms, done, each, from_day=today - 60, through_day=today) for each in CLASSES],
        "earned": [[str(fee(terms, VisitClass(each), level)) for level in range(LEVELS)] for each in range(5)],
        "silent": silent,
        "overdue_beside_silence": [
            overdue_days(terms, done, each, from_day=today - 60, through_day=today, silent=silent) for each in CLASSES
        ],
        "costs": str(penalty(terms, 7)),
    }


def _visit_day(rng: random.Random) -> dict[str, Any]:
    ended = 1_788_220_800 + rng.randrange(10 * 86_400)
    fields: dict[str, Any] = {
        "level": rng.randrange(5),
        "ended_at_s": ended,
        "observed_at_ms": 1000 * (ended + rng.randrange(5 * 86_400)) + rng.randrange(1000),
        "utc_offset_s": rng.choice([0, 3600, 28_800]),
    }
    return {**fields, "day": visit_day(**fields)}


def written() -> str:
    """The file's text."""
    return json.dumps(due_vectors(), indent=1) + "\n"


if __name__ == "__main__":
    PATH.write_text(written())
