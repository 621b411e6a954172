"""Where the published vectors are."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PUBLISHED = Path(__file__).resolve().parents[3] / "shared" / "vectors"


@pytest.fixture
def published() -> Callable[[str], Any]:
    """Reads one published vector file from beside the repository; skips where it is not there."""

    def read(name: str) -> Any:
        path = PUBLISHED / name
        if not path.exists():
            pytest.skip(f"{path} is not here; the transcribed vectors beside this test still run")
        return json.loads(path.read_text())

    return read
