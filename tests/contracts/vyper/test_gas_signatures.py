"""Gas of signatures beside its committed snapshot, and under the bars of the bench table."""

import json
from pathlib import Path

import pytest

from tests.bench.bars import bar_of
from tests.bench.gas_signatures import signature_figures
from tests.contracts.vyper.chain import Chain

SNAPSHOT = Path(__file__).parent / "gas_signatures.json"


def test_signatures_cost_what_the_snapshot_says_and_clear_their_bars(chain: Chain) -> None:
    taken = {key: figure.value for key, figure in signature_figures(chain).items()}
    for key, value in taken.items():
        assert bar_of(key).holds(value), f"{key}: {value}"
    assert taken == pytest.approx(json.loads(SNAPSHOT.read_text()), rel=0.005), "if meant, put it into the snapshot"
