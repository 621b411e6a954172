"""Many seeded chain faults, kept as their runs end: `python -m tests.faults.chain_runs --faults 10000`.

Each line of a tally is one run, some thirty faults; the same command again goes on where it stopped, and processes with
other bases and tallies may run beside it. Every hundred runs a new chain and a new database begin, so that memory stays
flat.
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
from provisioning.demo.anvil import anvil_command
from tests.faults.chain_nodes import Anvil, served
from tests.faults.chain_run import Outcome, run_once
from tests.faults.chain_world import create
from tests.processes import REPOSITORY, free_port, is_listening, running

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
    seeds: Iterable[int],
    *,
    url: str,
    folder: Path,
    over_http: bool,
    tally_file: Path | None = None,
    store_url: str | None = None,
) -> Tally:
    """One run for each seed, all on one chain and one database: SQLite in `folder`, unless another is named."""
    tally, rng = Tally(), random.Random(next(iter(seeds), 0))
    async with AsyncExitStack() as stack:
        anvil = Anvil(url)
        stack.push_async_callback(anvil.close)
        place = store_url or sqlite_url(folder / f"chain-{'http' if over_http else 'direct'}.sqlite3")
        store, second = Store(place), Store(place)
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


def read_rows(tally_files: Iterable[Path]) -> list[dict[str, int]]:
    """The runs that ended, one for each seed."""
    lines = (line for path in tally_files if path.exists() for line in path.read_text().splitlines())
    return list({row["seed"]: row for row in map(json.loads, lines)}.values())


def main() -> int:
    """0 when no run lost or doubled a wish."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chain_runs", description="Seeded chain faults.")
    parser.add_argument("--faults", type=int, default=10_000, help="end when so many have been survived")
    parser.add_argument("--base", type=int, default=1_000_000, help="first seed")
    parser.add_argument("--tally", type=Path, default=TALLY, help="where each ended run is kept")
    arguments = parser.parse_args()
    return 0 if run_until(arguments.faults, base=arguments.base, tally_file=arguments.tally) else 1


def run_until(faults: int, *, base: int, tally_file: Path) -> bool:
    """Runs with ever new seeds until so many faults are in the tally; whether no wish was lost or doubled."""
    tally_file.parent.mkdir(exist_ok=True)
    started, rows = time.monotonic(), read_rows([tally_file])
    while sum(row["faults"] for row in rows) < faults:
        done = {row["seed"] for row in rows}
        todo = [seed for seed in range(base, base + len(done) + RUNS_A_CHAIN) if seed not in done]
        run_part(todo[:RUNS_A_CHAIN], tally_file)
        rows = read_rows([tally_file])
        told = ", ".join(f"{sum(row[name] for row in rows)} {name}" for name in ("wishes", "faults", "lost", "doubled"))
        print(f"{len(rows)} runs: {told}; {time.monotonic() - started:.0f} s", flush=True)
    return not any(row["lost"] or row["doubled"] for row in rows)


def run_part(seeds: list[int], tally_file: Path) -> Tally:
    """Some runs on a chain and a database of their own, in memory where there is such a place."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        folder, port = Path(name), free_port()
        with running(anvil_command(port), name="anvil", output_dir=folder, ready=lambda: is_listening(port)):
            return asyncio.run(
                run_seeds(seeds, url=f"http://127.0.0.1:{port}", folder=folder, over_http=False, tally_file=tally_file)
            )


if __name__ == "__main__":
    sys.exit(main())
