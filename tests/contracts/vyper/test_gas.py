"""Gas of each transaction beside its committed snapshot: a change of code that costs more must say so in its diff."""

import json
from pathlib import Path

import pytest

from tests.bench.figure import Figure
from tests.bench.gas import accept_figures, anchor_figures, billing_figures, challenge_figures, fresh_site

SNAPSHOT = Path(__file__).parent / "gas.json"
TOLERANCE = 0.01  # signatures and addresses differ in their zero bytes from run to run
BARS = {
    "gas.anchor": 62_000,
    "gas.per_event": 4,
    "gas.accept": 75_000,
    "gas.challenge": 500_000,
    "gas.period_close": 120_000,
    "gas.debit_each_64": 10_000,
}


@pytest.mark.slow
def test_every_transaction_costs_what_the_snapshot_says_and_clears_its_bar() -> None:
    figures: dict[str, Figure] = {}
    with fresh_site() as site:
        figures |= anchor_figures(site) | accept_figures(site)
    with fresh_site() as site:
        figures |= challenge_figures(site)
    with fresh_site() as site:
        figures |= billing_figures(site)
    taken = {key: figure.value for key, figure in figures.items()}
    assert taken.keys() == BARS.keys()
    for key, bar in BARS.items():
        assert taken[key] <= bar, f"{key}: {taken[key]}"
    kept = json.loads(SNAPSHOT.read_text())
    for key, value in taken.items():
        assert value == pytest.approx(kept[key], rel=TOLERANCE), (
            f"{key}: measured {value}; if meant, put it into gas.json"
        )
