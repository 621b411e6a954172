"""The committed results: figures with where, when and how they were taken, and what they were before."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.bench.bars import bar_of
from tests.bench.figure import Figure
from tests.processes import REPOSITORY

RESULTS = REPOSITORY / "tests" / "bench" / "results.json"
HISTORY_MAX = 20

# Which folders a figure speaks of: a change there makes it stale.
ROOMS: dict[str, tuple[str, ...]] = {
    "edge": ("edge", "devices"),
    "gas": ("contracts/vyper",),
    "compounds": (":(glob)contracts/*.py",),
    "cloud": ("cloud",),
    "chain": ("cloud/chain", "contracts/vyper"),
    "verify": (":(glob)contracts/*.py", "contracts/calls"),
    "web": ("cloud/web", "contracts/js"),
    "crew": (
        "cloud/web/static",
        "contracts/js",
        "edge/visits",
        "edge/presence",
        "cloud/integrity",
        "devices/simulated",
    ),
    "cli": ("minglou",),
    "demo": ("edge", "cloud", "contracts", "devices", "provisioning"),
    "install": ("requirements", "firmware"),
    "soak": ("edge", "cloud", "contracts"),
}


@dataclass(frozen=True, slots=True)
class Results:
    """The file as it stands; `figures` and `history` are keyed by figure."""

    taken_at: str
    machine: str
    figures: dict[str, dict[str, Any]]
    history: dict[str, list[dict[str, Any]]]


def read_results(path: Path = RESULTS) -> Results:
    """The results on disk, empty when there are none yet."""
    if not path.exists():
        return Results("", machine(), {}, {})
    told = json.loads(path.read_text(encoding="utf-8"))
    return Results(told["taken_at"], told["machine"], told["figures"], told.get("history", {}))


def write_results(results: Results, path: Path = RESULTS) -> None:
    """Write atomically, sorted, one line a figure, so that a change reads well in a diff."""
    lines = [
        "{",
        f' "schema": 1, "taken_at": {json.dumps(results.taken_at)},',
        f' "machine": {json.dumps(results.machine)},',
    ]
    for name, table in (("figures", results.figures), ("history", results.history)):
        rows = [f"  {json.dumps(key)}: {json.dumps(table[key], ensure_ascii=False)}" for key in sorted(table)]
        lines.append(f' "{name}": {{\n' + ",\n".join(rows) + ("\n }," if name == "figures" else "\n }"))
    partial = path.with_suffix(".partial")
    partial.write_text("\n".join([*lines, "}"]) + "\n", encoding="utf-8")
    partial.replace(path)


def merge(results: Results, taken: dict[str, Figure], *, command: str, now: datetime) -> Results:
    """Results with `taken` in place of what those keys had, which goes into history."""
    figures, history = dict(results.figures), {key: list(rows) for key, rows in results.history.items()}
    moment = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for key, figure in taken.items():
        if key in figures:
            old = {name: figures[key].get(name) for name in ("value", "commit", "taken_at")}
            history[key] = [*history.get(key, []), old][-HISTORY_MAX:]
        figures[key] = record(key, figure, command=command, moment=moment)
    return Results(moment, machine(), figures, history)


def record(key: str, figure: Figure, *, command: str, moment: str) -> dict[str, Any]:
    """One figure as the file holds it."""
    bar = bar_of(key)
    row: dict[str, Any] = {
        "value": int(figure.value) if figure.value == int(figure.value) else float(f"{figure.value:.6g}"),
        "unit": figure.unit,
        "bar": bar.bar,
        "holds": bar.holds(figure.value),
        "note": figure.note,
        "commit": commit_of(key),
        "taken_at": moment,
        "command": command,
    }
    if figure.seed is not None:
        row["seed"] = figure.seed
    return row


def commit_of(key: str) -> str:
    """The commit that the figure was taken at; a plus sign says that its rooms held uncommitted changes."""
    dirty = git("status", "--porcelain", "--", *rooms_of(key)) != ""
    return git("rev-parse", "--short=10", "HEAD") + ("+" if dirty else "")


def is_stale(key: str, figure: dict[str, Any]) -> bool:
    """Whether the figure's rooms changed after it was taken, or its commit is not in this history."""
    commit = str(figure["commit"])
    if commit.endswith("+"):
        return True
    try:
        return git("rev-list", "-1", f"{commit}..HEAD", "--", *rooms_of(key)) != ""
    except subprocess.CalledProcessError:
        return True


def rooms_of(key: str) -> tuple[str, ...]:
    """The folders that the figure speaks of."""
    return ROOMS[key.partition(".")[0]]


def git(*words: str) -> str:
    """What git answers."""
    told = subprocess.run(["git", *words], cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=30)
    return told.stdout.strip()


def machine() -> str:
    """Cores, memory and architecture of this machine, without its name."""
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores, {gibibytes:.0f} GiB, {platform.machine()}, Python {platform.python_version()}"
