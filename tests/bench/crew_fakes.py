"""How many faked visits are caught, and how many honest crews are accused: the corpus' held-out half, all of it.

The rules are those that gateway and cloud run. Two modules that no rule was written for, other seeds and worse lines.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from tests.bench.figure import Figure
from tests.fakes.corpus import FAKES, Lot
from tests.fakes.held_out import FIRST_SEED, held_out
from tests.fakes.rates import Score, Share
from tests.fakes.scoring import Outcome, outcome_of
from tests.fakes.visits import Kind

CHUNK = 10


def figures() -> dict[str, Figure]:
    """Judge every case once, on all processors."""
    score = Score(outcomes_of(sorted(held_out(), key=lambda lot: (lot.seed, lot.kind))))
    found = {"crew.fake_caught": _figure(score.all_caught(), _missed_in(score, FAKES))}
    for kind in FAKES:
        key = f"crew.fake_caught_{kind.value.replace('-', '_')}"
        found[key] = _figure(score.caught(kind), _missed_in(score, (kind,)))
    beside = f"machine agrees in all: {score.agreed()}; it was silent: {score.untold()}"
    found["crew.false_alarm"] = _figure(score.false_alarms(), f"{_why(score)}; {beside}")
    found["crew.false_doubt"] = _figure(score.false_doubts(), f"items: {_items(score)}")
    return found


def outcomes_of(lots: Iterable[Lot]) -> Sequence[Outcome]:
    """In the order of the lots."""
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as processes:
        return list(processes.map(outcome_of, lots, chunksize=CHUNK))


def _figure(share: Share, note: str) -> Figure:
    return Figure(value=share.rate, unit="ratio", note=f"{share}; {note}", seed=FIRST_SEED)


def _missed_in(score: Score, kinds: Sequence[Kind]) -> str:
    """What was not caught, by what it was and the module that was there."""
    missed = Counter(
        f"{one.kind} {one.variant}".rstrip() + f" on {one.model}"
        for one in score.missed() if one.kind in kinds
    )  # fmt: skip
    return "missed: " + (", ".join(f"{count} {what}" for what, count in missed.most_common()) or "none")


def _why(score: Score) -> str:
    """Why honest visits were alarmed."""
    causes = Counter(
        cause for one in score.missed() if one.kind is Kind.HONEST
        for cause in (one.grave or (f"level {one.level} on {one.model}",))
    )  # fmt: skip
    return "because of: " + (", ".join(f"{count} {what}" for what, count in causes.most_common()) or "nothing")


def _items(score: Score) -> str:
    doubted = Counter(
        f"{code} on {one.model}" for one in score.outcomes if one.kind is Kind.HONEST for code in one.doubted
    )  # fmt: skip
    return ", ".join(f"{count} {what}" for what, count in doubted.most_common()) or "none"
