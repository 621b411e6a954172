"""The files of the project as git holds them, for the tests of tidiness."""

from __future__ import annotations

import subprocess
from functools import cache
from pathlib import Path

from tests.processes import REPOSITORY

ROOMS = ("contracts", "devices", "edge", "cloud", "provisioning")
PACKAGES = ("minglou", *ROOMS)


@cache
def tracked() -> tuple[Path, ...]:
    """Every tracked file that is there, relative to the repository."""
    told = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True, timeout=280)
    names = told.stdout.decode().split("\0")
    return tuple(Path(name) for name in names if name and (REPOSITORY / name).is_file())


def tracked_with(*suffixes: str) -> tuple[Path, ...]:
    """The tracked files whose names end in one of `suffixes`."""
    return tuple(path for path in tracked() if path.name.endswith(suffixes))


@cache
def text_of(path: Path) -> str | None:
    """A tracked file's text, None when it is not text."""
    content = (REPOSITORY / path).read_bytes()
    if b"\0" in content[:8192]:
        return None
    return content.decode("utf-8")
