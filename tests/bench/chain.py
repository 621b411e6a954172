"""Seeded chain faults: what the tallies of `tests.faults.chain_runs` hold, topped up where they hold too few."""

from __future__ import annotations

from tests.bench.figure import Figure
from tests.faults.chain_runs import TALLY, read_rows, run_until

FAULTS = 10_000


def figures() -> dict[str, Figure]:
    """Faults survived, and wishes lost or doubled in them, over all kept runs."""
    tallies = sorted(TALLY.parent.glob("chain-faults*.jsonl"))
    missing = FAULTS - sum(row["faults"] for row in read_rows(tallies))
    if missing > 0:
        own = sum(row["faults"] for row in read_rows([TALLY]))
        run_until(own + missing, base=1_000_000, tally_file=TALLY)
    rows = read_rows(sorted(TALLY.parent.glob("chain-faults*.jsonl")))
    faults, wishes = (sum(row[name] for row in rows) for name in ("faults", "wishes"))
    note = (
        f"{faults:,} faults and {wishes:,} wishes in {len(rows)} seeded runs before a real anvil and three failing "
        "nodes; effects counted by the events of a contract that does not refuse a second one"
    )
    seed = min(row["seed"] for row in rows)
    return {
        "chain.fault_runs": Figure(value=faults, unit="count", note=note, seed=seed),
        "chain.fault_lost": Figure(value=sum(row["lost"] for row in rows), unit="count", note=note, seed=seed),
        "chain.fault_doubled": Figure(value=sum(row["doubled"] for row in rows), unit="count", note=note, seed=seed),
    }
