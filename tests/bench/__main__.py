"""`make bench`: measure group by group, judge, keep, print. `make bench ONLY=edge` runs one group.

Each group runs in its own process, so that one that fails, hangs or fills its memory does not touch the others'.
"""

from __future__ import annotations

import argparse
import importlib
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.bars import BARS, bar_of
from tests.bench.figure import Figure
from tests.bench.results import merge, read_results, write_results
from tests.bench.table import terminal_table, write_readmes
from tests.processes import REPOSITORY

GROUPS = (
    "cli",
    "verify",
    "edge",
    "chain",
    "gas",
    "compounds",
    "bills",
    "cloud",
    "overload",
    "cloud_rebuild",
    "pages",
    "sites",
    "cluster",
    "web",
    "crew_qr",
    "crew_fakes",
    "crew_app",
    "crew_kills",
    "demo_page",
    "demo",
)
GROUP_SECONDS_MAX = 3600


def main() -> int:
    """Exit code 0 when every group measured and every figure it gave clears its bar."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure and keep the figures.")
    parser.add_argument("--only", metavar="GROUP", help="one of: " + ", ".join(GROUPS))
    parser.add_argument("--show", action="store_true", help="print the kept figures and bring the READMEs up to them")
    parser.add_argument("--measure", nargs=2, metavar=("GROUP", "FILE"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        return measure(arguments.measure[0], Path(arguments.measure[1]))
    failed = [] if arguments.show else run_groups((arguments.only,) if arguments.only else GROUPS)
    results = read_results()
    write_readmes(results)
    print(terminal_table(results))
    return 1 if failed else 0


def run_groups(groups: tuple[str, ...]) -> list[str]:
    """Run `groups` one after another, keeping each one's figures as soon as it ends; what failed."""
    failed = []
    for group in groups:
        if not (REPOSITORY / "tests" / "bench" / f"{group}.py").exists():
            print(f"{group}: there is no tests/bench/{group}.py; nothing measured", flush=True)
            failed.append(group)
            continue
        print(f"{group} ...", flush=True)
        started = time.monotonic()
        taken = measured(group)
        if taken is None:
            failed.append(group)
            continue
        command = f"make bench ONLY={group}"
        write_results(merge(read_results(), taken, command=command, now=datetime.now(UTC)))
        missed = [key for key, figure in taken.items() if not bar_of(key).holds(figure.value)]
        failed += missed
        print(f"{group}: {len(taken)} figures in {time.monotonic() - started:.0f} s", flush=True)
        for key in missed:
            print(f"  MISSED {key}: {taken[key].value:g}, bar {BARS[key].bar}", flush=True)
    return failed


def measured(group: str) -> dict[str, Figure] | None:
    """The group's figures from a process of its own; None when it failed or took too long."""
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "figures.json"
        command = [sys.executable, "-m", "tests.bench", "--measure", group, str(answer)]
        try:
            subprocess.run(command, cwd=REPOSITORY, check=True, timeout=GROUP_SECONDS_MAX)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            print(f"{group}: not measured: {error}", file=sys.stderr, flush=True)
            return None
        return {key: Figure(**row) for key, row in json.loads(answer.read_text()).items()}


def measure(group: str, answer: Path) -> int:
    """In the group's own process: measure, and leave the figures at `answer`."""
    figures: dict[str, Figure] = importlib.import_module(f"tests.bench.{group}").figures()
    for key in figures:
        bar_of(key)
    answer.write_text(json.dumps({key: asdict(figure) for key, figure in figures.items()}), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
