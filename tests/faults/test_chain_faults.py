"""Chain faults by the dozen, in every `make test`; `make soak` runs thousands of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.conftest import Endpoint
from tests.faults.chain_runs import run_seeds
from tests.faults.gateway import seeds
from tests.postgres import PostgresServer


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("over_http", [False, True], ids=["in one process", "over HTTP"])
def test_each_wish_comes_true_exactly_once_whatever_nodes_chain_and_process_do(
    tmp_path: Path, anvil: Endpoint, over_http: bool
) -> None:
    chosen = seeds()[: max(1, len(seeds()) // 3)] if over_http else seeds()
    tally = asyncio.run(run_seeds(chosen, url=anvil.url, folder=tmp_path, over_http=over_http))
    assert (tally.lost, tally.doubled) == (0, 0), tally.faulty
    assert tally.runs == len(chosen) and tally.wishes > tally.runs and tally.faults > 10 * tally.runs


@pytest.mark.timeout(3600)
def test_the_same_holds_on_postgresql(tmp_path: Path, anvil: Endpoint, postgres: PostgresServer) -> None:
    chosen, store_url = seeds()[: max(1, len(seeds()) // 3)], postgres.url(postgres.new_database())
    tally = asyncio.run(run_seeds(chosen, url=anvil.url, folder=tmp_path, over_http=False, store_url=store_url))
    assert (tally.lost, tally.doubled) == (0, 0), tally.faulty
    assert tally.runs == len(chosen) and tally.wishes > tally.runs and tally.faults > 10 * tally.runs
