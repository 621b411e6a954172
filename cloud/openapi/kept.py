"""Real answers of a small site's month, for examples."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

__all__ = ["KEPT"]

KEPT: Mapping[str, Any] = json.loads((Path(__file__).parent / "examples.json").read_text(encoding="utf-8"))
