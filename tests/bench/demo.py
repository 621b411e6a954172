"""The demo as a person meets it: its set-up in a fresh clone, and one month from meter to bill.

The set-up starts from nothing but git, Python and a package index, with the caches of pip, uv and npm empty; Debian's
packages are there already. It is taken once, for a second run would find what the first one fetched.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.figure import Figure, median
from tests.processes import REPOSITORY, program

RUNS = 5
RUN_SECONDS_MAX = 200


def figures() -> dict[str, Figure]:
    """Median of five months, and one set-up."""
    with tempfile.TemporaryDirectory() as folder:
        setup_s, steps = set_up(Path(folder))
    months = [month() for _ in range(RUNS)]
    spread = f"{min(months):.0f} to {max(months):.0f} s"
    return {
        "demo.setup_s": Figure(value=setup_s, unit="s", note=f"one fresh clone, empty caches: {steps}"),
        "demo.once_s": Figure(value=median(months), unit="s", note=f"median of {RUNS}, {spread}; every check passed"),
    }


def set_up(folder: Path) -> tuple[float, str]:
    """Seconds of the installer in a fresh clone with an empty home, and what its steps took."""
    clone, home = folder / "minglou", folder / "home"
    home.mkdir()
    subprocess.run(["git", "clone", "-q", str(REPOSITORY), str(clone)], check=True, timeout=120)
    environment = {**os.environ, "HOME": str(home), "UV_CACHE_DIR": str(home / "uv"), "PIP_NO_CACHE_DIR": "1"}
    settings = Path.home() / ".config" / "pip" / "pip.conf"
    if settings.exists():  # which index to ask is the machine's business, not the figure's
        environment["PIP_CONFIG_FILE"] = str(settings)
    started = time.perf_counter()
    words = [sys.executable, "requirements/install.py"]
    told = subprocess.run(words, cwd=clone, env=environment, check=True, capture_output=True, text=True, timeout=900)
    taken = time.perf_counter() - started
    return taken, ", ".join(steps_of(told.stdout))


def steps_of(told: str) -> list[str]:
    """`name seconds` of each step that the installer names."""
    return [f"{name} {seconds}" for name, seconds in re.findall(r"^  (\S.*?) \.\.\. ([\d.]+ s)", told, re.MULTILINE)]


def month() -> float:
    """Seconds of `minglou demo --once` in a folder of its own; a run that finds a fault is no figure."""
    with tempfile.TemporaryDirectory() as folder:
        command = [str(program("minglou")), "demo", "--once", "--dir", folder]
        started = time.perf_counter()
        told = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=RUN_SECONDS_MAX)
        if told.returncode != 0:
            raise RuntimeError(f"the demo ended with {told.returncode}:\n{told.stdout[-2000:]}\n{told.stderr[-2000:]}")
        return time.perf_counter() - started
