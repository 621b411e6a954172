"""What a monitor has to say: findings as JSON lines, each said when it begins and when it is over."""

import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum

import httpx

__all__ = ["Finding", "Kind", "Reporter"]

_WEBHOOK_SECONDS = 10.0
_TRIES = 3


class Kind(StrEnum):
    """What is wrong."""

    FORK = "fork"  # a key has signed two histories; the proof is a file
    ROLLBACK = "rollback"  # a smaller log is served, or anchored, than was seen before
    GAP = "gap"  # what a signed checkpoint covers is not served, or is not what it covers
    SIGNATURE = "signature"  # a checkpoint that no registered key has signed
    ANCHOR = "anchor"  # the chain holds a root that is not this log's
    COSIGNATURES = "cosignatures"  # fewer witnesses than the trust file asks for
    STALE = "stale"  # a log has not grown for too long
    UNANCHORED = "unanchored"  # the super-log is not anchored for too long
    UNREACHABLE = "unreachable"  # somebody does not answer: nothing is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is wrong, as long as it is."""

    kind: Kind
    log: str
    says: str
    remedy: str
    proof: str | None = None  # path of a file

    @property
    def key(self) -> str:
        """The same for the same trouble in the next round."""
        return f"{self.kind} {self.log}"


class Reporter:
    """Prints a line for each finding that begins or ends, and tells the webhook."""

    def __init__(self, webhook: str | None = None, write: Callable[[str], object] = sys.stdout.write) -> None:
        self._webhook, self._write = webhook, write
        self._open: dict[str, Finding] = {}

    def report(self, found: list[Finding], *, now_s: int, summary: dict[str, object]) -> None:
        """All that is wrong now."""
        present = {finding.key: finding for finding in found}
        for key, finding in present.items():
            if key not in self._open:
                self._say("found", finding, now_s)
        for key in [key for key in self._open if key not in present]:
            self._say("over", self._open[key], now_s)
        self._open = present
        self._line({"at": _instant(now_s), "event": "checked", **summary, "open": len(present)})

    def _say(self, event: str, finding: Finding, now_s: int) -> None:
        line = {"at": _instant(now_s), "event": event, **asdict(finding)}
        self._line(line)
        if self._webhook is not None:
            self._tell(self._webhook, line)

    def _tell(self, url: str, line: dict[str, object]) -> None:
        error = ""
        for _ in range(_TRIES):
            try:
                answer = httpx.post(url, json=line, timeout=_WEBHOOK_SECONDS, trust_env=False)
                if answer.is_success:
                    return
                error = f"answered {answer.status_code}"
            except httpx.HTTPError as failure:
                error = str(failure) or type(failure).__name__
        self._line({"at": line["at"], "event": "untold", "says": f"webhook {url} {error}"})

    def _line(self, line: dict[str, object]) -> None:
        self._write(json.dumps(line, ensure_ascii=False) + "\n")


def _instant(now_s: int) -> str:
    return datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
