"""What contradicts the copy: said loudly, and both versions kept as files that a court can read.

Each has a folder of its own with `report.json`, what is held and what was shown, bytes as they were. A log with a fork
or a rewritten frame stays refused until a person has looked and removed its folder; nothing is ever overwritten.
"""

import hashlib
import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Contradiction", "Contradictions"]

_log = logging.getLogger("cloud.mirror")


@dataclass(frozen=True, slots=True, kw_only=True)
class Contradiction:
    """The cloud shows something that cannot be true beside what the mirror holds."""

    kind: str  # fork: two histories signed by one gateway; rewritten: bytes without a signature; shrunk: less than was
    origin: str
    size: int  # up to which both should agree
    says: str
    held: bytes  # frame or note of the mirror's own copy
    shown: bytes  # what the cloud shows instead

    @property
    def ends_the_log(self) -> bool:
        """Whether nothing more of this log is taken."""
        return self.kind != "shrunk"


class Contradictions:
    """The folder of proofs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open_ones(self) -> dict[str, str]:
        """Logs that are refused, and why."""
        found = {}
        for report in sorted(self._folder.glob("*/report.json")):
            fields = json.loads(report.read_text())
            if fields["ends_the_log"]:
                found[str(fields["origin"])] = str(fields["says"])
        return found

    def count(self) -> int:
        """How many were ever found and not removed."""
        return sum(1 for _ in self._folder.glob("*/report.json"))

    def keep(self, found: Contradiction, *, at_ms: int) -> None:
        """Write both versions down, durably, before anything else happens. The same one again is the same folder."""
        digest = hashlib.sha256(found.held + b"\0" + found.shown).hexdigest()[:12]
        folder = self._folder / f"{found.origin.replace('/', '_')}-{found.kind}-{found.size}-{digest}"
        if (folder / "report.json").exists():
            return
        _log.error("CONTRADICTION (%s): %s. Both versions: %s", found.kind, found.says, folder)
        folder.mkdir(parents=True, exist_ok=True)
        report = {
            "format": "minglou-contradiction/1",
            "kind": found.kind,
            "origin": found.origin,
            "size": found.size,
            "says": found.says,
            "ends_the_log": found.ends_the_log,
            "found_at_ms": at_ms,
        }
        _write(folder / "held", found.held)
        _write(folder / "shown", found.shown)
        _write(folder / "report.json", json.dumps(report, indent=1, ensure_ascii=False).encode() + b"\n")


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
