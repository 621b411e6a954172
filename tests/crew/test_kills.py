"""Kills, crashes, reloads and a network that comes and goes: a few here, a thousand in `make bench ONLY=crew_kills`."""

import os
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.crew.kills import run_seed

BASE = int(os.environ.get("MINGLOU_SEED_BASE", "0"))
SEEDS = max(1, int(os.environ.get("MINGLOU_SEEDS", "1")) // 20)
KILLS = 25 if "MINGLOU_SEEDS" in os.environ else 4


@pytest.mark.timeout(900)  # in soak
@pytest.mark.parametrize("seed", range(BASE, BASE + SEEDS))
def test_a_phone_that_dies_loses_nothing_and_sends_nothing_twice(
    browser: Browser, chromium: Path, tmp_path: Path, seed: int
) -> None:
    outcome = run_seed(tmp_path, chromium, browser.browser_type, seed, kills=KILLS)
    assert outcome.kept > 0
    assert (outcome.lost, outcome.doubled) == ([], [])
