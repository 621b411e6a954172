"""Bills: random compounds, from registers to bills, closed to the cent against a second reckoning."""

from __future__ import annotations

import os
import time
from concurrent.futures import ProcessPoolExecutor

from tests.bench.figure import Figure
from tests.contracts.compounds import close_compound

COMPOUNDS = 100_000
BATCH = 2_000
FIRST_SEED = 1_000_000  # tests use those below


def figures() -> dict[str, Figure]:
    """How many compounds closed; one that does not close ends the run with its seed."""
    started = time.monotonic()
    firsts = range(FIRST_SEED, FIRST_SEED + COMPOUNDS, BATCH)
    with ProcessPoolExecutor(max_workers=os.cpu_count()) as pool:
        lines = sum(pool.map(close_batch, firsts))
    note = f"tiers x time of use x seasons x swaps x pools; {lines:,} lines, {time.monotonic() - started:.0f} s"
    return {"compounds.closed": Figure(value=COMPOUNDS, unit="count", note=note, seed=FIRST_SEED)}


def close_batch(first: int) -> int:
    return sum(close_compound(seed) for seed in range(first, first + BATCH))
