"""How fast the command line answers, the whole process counted."""

from __future__ import annotations

import subprocess

from tests.bench.figure import Figure, median, seconds_of
from tests.processes import program

RUNS = 11


def figures() -> dict[str, Figure]:
    """Median of the wall seconds of `minglou --help`, after one run that fills the file cache."""
    command = [str(program("minglou")), "--help"]
    bare = [str(program("python")), "-c", "pass"]

    def run(words: list[str]) -> None:
        subprocess.run(words, check=True, stdout=subprocess.DEVNULL, timeout=30)

    run(command)
    taken = median(seconds_of(lambda: run(command), runs=RUNS))
    floor = median(seconds_of(lambda: run(bare), runs=RUNS))
    note = f"median of {RUNS}; a Python that does nothing took {floor:.3f} s in the same run"
    return {"cli.help_s": Figure(value=taken, unit="s", note=note)}
