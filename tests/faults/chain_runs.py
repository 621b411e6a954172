"""Many runs of chain faults, kept as they end: `python -m tests.faults.chain_runs --runs 10000 --base 0`.

Each line of the tally is one run; the same command again goes on where it stopped. Every few hundred runs a new chain
and a new database begin, so that memory stays flat.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from cloud.chain.client import SigningKey
from cloud.store import Store, sqlite_url
from tests.faults.chain_nodes import Anvil, served
from tests.faults.chain_run import Outcome, run_once
from tests.faults.chain_world import create
from tests.processes import REPOSITORY, free_port, is_listening, program, running

TALLY = REPOSITORY / ".reports" / "chain-faults.jsonl"
RUNS_A_CHAIN = 100


@dataclass
class Tally:
    """Sums over runs."""

    runs: int = 0
    wishes: int = 0
    faults: int = 0
    lost: int = 0
    doubled: int = 0
    faulty: list[int] = field(default_factory=list)  # seeds

    def add(self, seed: int, outcome: Outcome) -> None:
        self.runs += 1
        self.wishes += outcome.wishes
        self.faults += outcome.faults
        self.lost += outcome.lost
        self.doubled += outcome.doubled
        if outcome.lost or outcome.doubled:
            self.faulty.append(seed)


async def run_seeds(
    seeds: Iterable[int], *, url: str, folder: Path, over_http: bool, tally_file: Path | None = None
) -> Tally:
    """One run for each seed, all on one chain and one database."""
    tally, rng = Tally(), random.Random(next(iter(seeds), 0))
    async with AsyncExitStack() as stack:
        anvil = Anvil(url)
        stack.push_async_callback(anvil.close)
        path = folder / f"chain-{'http' if over_http else 'direct'}.sqlite3"
        store, second = Store(sqlite_url(path)), Store(sqlite_url(path))
        stack.push_async_callback(store.close)
        stack.push_async_callback(second.close)
        await store.migrate()
        key = SigningKey("0x" + rng.randbytes(32).hex())
        world = await create(anvil, store, key, rng, None)
        if over_http:
            urls = [await stack.enter_async_context(served(face)) for face in world.faces]
            world.nodes = dict.fromkeys(urls)
        for seed in seeds:
            outcome = await run_once(world, seed, second=second)
            tally.add(seed, outcome)
            if tally_file is not None:
                row = {name: getattr(outcome, name) for name in ("wishes", "faults", "lost", "doubled")}
                with tally_file.open("a") as file:
                    file.write(json.dumps({"seed": seed, **row}) + "\n")
    return tally


def done_seeds(tally_file: Path) -> set[int]:
    """The seeds whose runs ended."""
    if not tally_file.exists():
        return set()
    return {int(json.loads(line)["seed"]) for line in tally_file.read_text().splitlines()}


def main() -> int:
    """0 when no run lost or doubled a wish."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chain_runs", description="Seeded chain faults.")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--base", type=int, default=1_000_000, help="first seed")
    parser.add_argument("--tally", type=Path, default=TALLY, help="where each ended run is kept")
    arguments = parser.parse_args()
    arguments.tally.parent.mkdir(exist_ok=True)
    done = done_seeds(arguments.tally)
    todo = [seed for seed in range(arguments.base, arguments.base + arguments.runs) if seed not in done]
    started, failed = time.monotonic(), []
    for first in range(0, len(todo), RUNS_A_CHAIN):
        part = todo[first : first + RUNS_A_CHAIN]
        tally = run_part(part, arguments.tally)
        failed += tally.faulty
        print(
            f"{first + len(part)} of {len(todo)} runs, {time.monotonic() - started:.0f} s, faulty: {failed}", flush=True
        )
    return 1 if failed else 0


def run_part(seeds: list[int], tally_file: Path) -> Tally:
    """Some runs on a chain and a database of their own, in memory where there is such a place."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        folder, port = Path(name), free_port()
        command: list[str | Path] = [
            program("anvil"),
            "--port",
            str(port),
            "--silent",
            "--hardfork",
            "osaka",
            "--chain-id",
            "31337",
        ]
        with running(command, name="anvil", output_dir=folder, ready=lambda: is_listening(port)):
            return asyncio.run(
                run_seeds(seeds, url=f"http://127.0.0.1:{port}", folder=folder, over_http=False, tally_file=tally_file)
            )


if __name__ == "__main__":
    sys.exit(main())
