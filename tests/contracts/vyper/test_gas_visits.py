"""Gas of visits beside its committed snapshot."""

import json
from pathlib import Path

import pytest

from tests.bench.bars import bar_of
from tests.bench.gas_visits import visit_figures
from tests.contracts.vyper.service import Service

SNAPSHOT = Path(__file__).parent / "gas_visits.json"


def test_visits_cost_what_the_snapshot_says(service: Service) -> None:
    taken = {key: figure.value for key, figure in visit_figures(service).items()}
    for key, value in taken.items():
        assert bar_of(key).holds(value), f"{key}: {value}"
    # Signatures and digests differ in their zero bytes from run to run.
    assert taken == pytest.approx(json.loads(SNAPSHOT.read_text()), rel=0.01), "if meant, put it into the snapshot"
