"""A thousand kills, crashes, reloads and changes of network of crews' phones: what is lost, and what is sent twice."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tests.bench.figure import Figure
from tests.crew.camera import chromium_with
from tests.crew.kills import Outcome, run_seed
from tests.processes import program

ROUNDS, KILLS, BASE = 20, 50, 10_000


def figures() -> dict[str, Figure]:
    """Twenty phones, each interrupted 50 times; `MINGLOU_BENCH_ROUNDS` takes fewer: a quick look without figures."""
    rounds = int(os.environ.get("MINGLOU_BENCH_ROUNDS", str(ROUNDS)))
    chromium, whole = program("chromium"), Outcome()
    with chromium_with(chromium) as browser:
        for seed in range(BASE, BASE + rounds):
            with tempfile.TemporaryDirectory() as folder:
                whole.add(run_seed(Path(folder), chromium, browser.browser_type, seed, kills=KILLS))
            print(f"  phone {seed - BASE + 1} of {rounds}: {whole.kills.total()} interruptions", flush=True)
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(whole.kills.items()))
    note = f"{kinds}; {whole.visits} visits with {whole.photos} photographs reached the cloud"
    for problem in (*whole.lost, *whole.doubled):
        print(problem, flush=True)
    print(f"{note}; {whole.kept} steps kept, {len(whole.lost)} lost, {len(whole.doubled)} doubled", flush=True)
    if rounds != ROUNDS:
        return {}
    return {
        "crew.kill_runs": Figure(value=whole.kills.total(), unit="count", note=note, seed=BASE),
        "crew.kill_lost": Figure(
            value=len(whole.lost), unit="count", note=f"of {whole.kept:,} steps that the app called kept", seed=BASE
        ),
        "crew.kill_doubled": Figure(
            value=len(whole.doubled), unit="count", note=f"of {whole.visits} visits", seed=BASE
        ),
    }
