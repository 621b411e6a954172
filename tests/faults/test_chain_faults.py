"""Chain faults by the dozen, in every `make test`; `make soak` runs thousands of them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from tests.conftest import Endpoint
from tests.faults.chain_runs import run_seeds

RUNS_A_SEED = 8


def seeds() -> range:
    """The seeds of this run; `make soak` gives more, and others."""
    base = int(os.environ.get("MINGLOU_SEED_BASE", "0")) * RUNS_A_SEED
    return range(base, base + int(os.environ.get("MINGLOU_SEEDS", "3")) * RUNS_A_SEED)


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("over_http", [False, True], ids=["in one process", "over HTTP"])
def test_each_wish_comes_true_exactly_once_whatever_nodes_chain_and_process_do(
    tmp_path: Path, anvil: Endpoint, over_http: bool
) -> None:
    tally = asyncio.run(run_seeds(seeds(), url=anvil.url, folder=tmp_path, over_http=over_http))
    assert (tally.lost, tally.doubled) == (0, 0), tally.faulty
    assert tally.runs == len(seeds()) and tally.wishes > tally.runs
