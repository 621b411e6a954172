"""`make soak`: the fault tests again and again with fresh seeds, until the time is over or one fails.

    python -m tests.faults --minutes 30 --seeds 200 --base 100000

First the contracts' tests run once at Prague, whose chains have no P-256 precompile, then strangers' requests against
every operation of a running cloud, then crews' phones are killed, then a replicated cloud is loaded for ten minutes
while its parts are killed. Then each round runs every fault test with `--seeds` seeds from a base that no earlier round
had; the failing round's command is printed, so that it can be run again exactly.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

from tests.processes import REPOSITORY


def main() -> int:
    """Exit code of the first round that failed, else 0."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description="Fault tests with many seeds.")
    parser.add_argument("--minutes", type=float, default=10.0, help="no new round begins after this (default 10)")
    parser.add_argument("--seeds", type=int, default=100, help="seeds of each test in a round (default 100)")
    parser.add_argument("--base", type=int, default=1_000, help="first seed (default 1000; tests use those below)")
    parser.add_argument("--cluster-seconds", type=float, default=600.0, help="load on the cluster (default 600)")
    arguments = parser.parse_args()
    started, rounds = time.monotonic(), 0
    code = run_contracts_at_prague(seeds=arguments.seeds)
    if code == 0:
        code = run_hostile_requests(base=arguments.base, seeds=arguments.seeds)
    if code == 0:
        code = run_crew(base=arguments.base, seeds=arguments.seeds)
    if code == 0:
        code = run_cluster(seconds=arguments.cluster_seconds, seed=arguments.base)
    if code != 0:
        return code
    while rounds == 0 or time.monotonic() - started < arguments.minutes * 60:
        base = arguments.base + rounds * arguments.seeds
        code = run_round(base=base, seeds=arguments.seeds)
        if code != 0:
            settings = f"MINGLOU_SEED_BASE={base} MINGLOU_SEEDS={arguments.seeds}"
            print(
                f"round {rounds + 1} failed; again: {settings} .venv/bin/python -m pytest tests/faults", file=sys.stderr
            )
            return code
        rounds += 1
    print(f"soak: {rounds} rounds of {arguments.seeds} seeds without a fault, {time.monotonic() - started:.0f} s")
    return 0


def run_contracts_at_prague(*, seeds: int) -> int:
    """The contracts' tests at that fork, with our verifier at 0x100; gas is held to its bars at Osaka only."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--ignore-glob", "*test_gas*"]
    environment = {**os.environ, "MINGLOU_FORK": "prague", "MINGLOU_SEEDS": str(seeds)}
    return subprocess.run([*command, "tests/contracts/vyper"], cwd=REPOSITORY, env=environment).returncode


def run_hostile_requests(*, base: int, seeds: int) -> int:
    """Schemathesis with so many random requests of each operation."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "3600", "-k", "no_request"]
    environment = {**os.environ, "MINGLOU_SEED_BASE": str(base), "MINGLOU_SEEDS": str(seeds)}
    return subprocess.run([*command, "tests/cloud/test_openapi.py"], cwd=REPOSITORY, env=environment).returncode


def run_cluster(*, seconds: float, seed: int) -> int:
    """A load on the replicated cloud whose parts are killed; its exit code."""
    command = [sys.executable, "-m", "tests.faults.cluster_run", "--seconds", str(seconds), "--seed", str(seed)]
    return subprocess.run(command, cwd=REPOSITORY).returncode


def run_crew(*, base: int, seeds: int) -> int:
    """Crews' phones: killed more often, and a yearly visit with whole photographs."""
    files = ["tests/crew/test_kills.py", "tests/crew/test_yearly.py"]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "3600", *files]
    environment = {**os.environ, "MINGLOU_SEED_BASE": str(base), "MINGLOU_SEEDS": str(seeds)}
    return subprocess.run(command, cwd=REPOSITORY, env=environment).returncode


def run_round(*, base: int, seeds: int) -> int:
    """One pytest run over the fault tests; its exit code."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout", "3600", "tests/faults"]
    environment = {**os.environ, "MINGLOU_SEED_BASE": str(base), "MINGLOU_SEEDS": str(seeds)}
    return subprocess.run(command, cwd=REPOSITORY, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
