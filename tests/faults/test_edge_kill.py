"""The gateway's seeded `kill -9`s as a test: a few seeds here, thousands in `make soak`."""

import os
from pathlib import Path

import pytest

from tests.faults.edge_kill import run_seed

BASE = int(os.environ.get("MINGLOU_SEED_BASE", "0"))
SEEDS = int(os.environ.get("MINGLOU_SEEDS", "2"))  # each takes seconds: real processes, five starts


@pytest.mark.parametrize("seed", range(BASE, BASE + SEEDS))
def test_kill_9_at_a_seeded_moment_loses_and_repeats_nothing(tmp_path: Path, seed: int) -> None:
    acknowledged, lost, repeated = run_seed(tmp_path / "gateway", seed)
    assert acknowledged > 0
    assert (lost, repeated) == (0, 0)
