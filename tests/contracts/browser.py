"""The browser's modules under Node, asked about cases that Python drew."""

import json
import subprocess
from pathlib import Path
from typing import Any

_SCRIPT = Path(__file__).parent / "js" / "recompute.js"


def asked(node: Path, kind: str, cases: list[dict[str, Any]], **given: Any) -> list[Any]:
    """What the modules make of the cases: bills, quorum or due (tests/contracts/js/recompute.js)."""
    question = json.dumps({"kind": kind, "cases": cases, **given})
    run = subprocess.run([node, _SCRIPT], input=question, capture_output=True, text=True, timeout=110, check=False)
    assert run.returncode == 0, run.stderr[-4000:]
    answers: list[Any] = json.loads(run.stdout)
    assert len(answers) == len(cases)
    return answers
