"""What a monitor has to say: findings as JSON lines, each said when it begins and when it is over."""

import json
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum

import httpx

from cloud.monitor.sources import host_of

__all__ = ["ASK", "Finding", "Kind", "Reporter"]

ASK = "ask the operator, tell the committee, and keep this monitor's state and proofs"
_WEBHOOK_SECONDS = 10.0
_TRIES = 3
_UNTOLD_MAX = 1_000


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
    MONITOR = "monitor"  # this monitor itself failed to look: its disk, or an answer that it did not expect


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
    """Prints a line for each finding that begins or ends, and tells the webhook until it has taken each."""

    def __init__(self, webhook: str | None = None, write: Callable[[str], object] = sys.stdout.write) -> None:
        self._webhook, self._write = webhook, write
        self._open: dict[str, Finding] = {}
        self._untold: deque[dict[str, object]] = deque(maxlen=_UNTOLD_MAX)

    def report(self, found: list[Finding], *, now_s: int, summary: dict[str, object]) -> None:
        """All that is wrong now."""
        present = {finding.key: finding for finding in found}
        for key, finding in present.items():
            if key not in self._open:
                self._say("found", finding, now_s)
        for key in [key for key in self._open if key not in present]:
            self._say("over", self._open[key], now_s)
        self._open = present
        if self._webhook is not None:
            self._tell_all(self._webhook, now_s)
        self._line({"at": _instant(now_s), "event": "checked", **summary, "open": len(present)})

    def _say(self, event: str, finding: Finding, now_s: int) -> None:
        line = {"at": _instant(now_s), "event": event, **asdict(finding)}
        self._line(line)
        if self._webhook is not None:
            self._untold.append(line)

    def _tell_all(self, url: str, now_s: int) -> None:
        """What the webhook has not taken yet, in order; the rest waits for the next round."""
        while self._untold:
            error = self._tell(url, self._untold[0])
            if error is not None:
                says = f"webhook {host_of(url)} {error}; {len(self._untold)} lines wait for it"
                self._line({"at": _instant(now_s), "event": "untold", "says": says})
                return
            self._untold.popleft()

    def _tell(self, url: str, line: dict[str, object]) -> str | None:
        """What went wrong; None where the line was taken."""
        error = ""
        for _ in range(_TRIES):
            try:
                with httpx.stream("POST", url, json=line, timeout=_WEBHOOK_SECONDS, trust_env=False) as answer:
                    if answer.is_success:
                        return None
                    error = f"answered {answer.status_code}"
            except (httpx.HTTPError, httpx.InvalidURL) as failure:
                error = type(failure).__name__
        return error

    def _line(self, line: dict[str, object]) -> None:
        self._write(json.dumps(line, ensure_ascii=False) + "\n")


def _instant(now_s: int) -> str:
    return datetime.fromtimestamp(now_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
