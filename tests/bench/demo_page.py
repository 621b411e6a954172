"""How long a person waits for the demo's page, and for the first reading on it."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from tests.bench.figure import Figure
from tests.end_to_end.demo_run import DemoRun, fetch

_ENTRIES = "网关记录 entries"


def figures() -> dict[str, Figure]:
    """One start in an empty directory."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        demo = DemoRun(Path(folder) / "demo")
        try:
            demo.until(lambda: "page: http" in demo.said(), seconds=60, what="the page's address")
            state = demo.said().partition("page: ")[2].split()[0] + "/state.json"
            demo.until(lambda: bool(fetch(state)), seconds=60, what="the page")
            opened_s = time.perf_counter() - started
            demo.until(lambda: bool(fetch(state)["figures"].get(_ENTRIES)), seconds=200, what="the first reading")
            note = f"its set-up's steps fill it from then on, readings after {time.perf_counter() - started:.0f} s"
        finally:
            demo.end()
    return {"demo.page_s": Figure(value=opened_s, unit="s", note=note)}
