"""The replicated cloud under load while its parts are killed: what `tests.faults.cluster_run` finds in ten minutes.

`MINGLOU_CLUSTER_SECONDS` takes another length, for a quick look; the figures of a shorter run are then left out.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.bench.figure import Figure
from tests.processes import REPOSITORY

SECONDS = 600
SEED = 7


def figures() -> dict[str, Figure]:
    """Entries and wishes lost and doubled."""
    seconds = float(os.environ.get("MINGLOU_CLUSTER_SECONDS", SECONDS))
    with tempfile.TemporaryDirectory() as temporary:
        told = Path(temporary) / "outcome.json"
        command = [sys.executable, "-m", "tests.faults.cluster_run", "--seconds", str(seconds), "--seed", str(SEED)]
        subprocess.run([*command, "--into", told], cwd=REPOSITORY, check=False, timeout=seconds + 900)
        outcome = json.loads(told.read_text())
    if seconds < SECONDS:
        print(f"cluster: {seconds:.0f} s are too short for a figure")
        return {}
    kills = ", ".join(f"{count} x {name}" for name, count in outcome["kills"].items())
    felt = ", ".join(
        f"{kind} {one['acknowledged_s_max']}/{one['stored_s_max']}" for kind, one in outcome["recoveries"].items()
    )
    note = (
        f"{outcome['acknowledged']:,} entries acknowledged in {outcome['batches']:,} batches, {outcome['wishes']} "
        f"wishes for anchors ({outcome['overtaken']} overtaken by larger ones), in {seconds / 60:.0f} min; "
        f"killed with -9: {kills}; "
        f"longest seconds until acknowledged/stored again: {felt}"
    )
    return {
        "cloud.cluster_lost": Figure(value=outcome["lost"], unit="count", note=note, seed=SEED),
        "cloud.cluster_doubled": Figure(value=outcome["doubled"], unit="count", note=note, seed=SEED),
    }
