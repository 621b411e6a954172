"""Gas of the fund and of repairs beside its committed snapshot."""

import json
from pathlib import Path

import pytest

from tests.bench.bars import bar_of
from tests.bench.gas_fund import all_figures
from tests.contracts.vyper.chain import Chain
from tests.contracts.vyper.work_site import WorkSite

SNAPSHOT = Path(__file__).parent / "gas_fund.json"


def test_fund_and_repairs_cost_what_the_snapshot_says(chain: Chain) -> None:
    snapshot = chain.snapshot()
    taken = {key: figure.value for key, figure in all_figures(WorkSite(chain)).items()}
    chain.revert_to(snapshot)
    for key, value in taken.items():
        assert bar_of(key).holds(value), f"{key}: {value}"
    # Signatures and digests differ in their zero bytes from run to run.
    assert taken == pytest.approx(json.loads(SNAPSHOT.read_text()), rel=0.01), "if meant, put it into the snapshot"
