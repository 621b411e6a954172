"""What one attempt to cheat did, who noticed it and at which check."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from provisioning.site import Title

__all__ = ["Cheat", "CheatReport", "CheatState", "Notice"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Somebody who noticed, and by which check."""

    who: str  # verifier, cloud, gateway, contract
    check: str
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheatReport:
    """One attempt from before it to after it."""

    before: str
    after: str
    noticed: tuple[Notice, ...]
    repaired: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cheat:
    """One way to cheat."""

    name: str
    title: Title
    run: Callable[[], Awaitable[CheatReport]]


@dataclass(slots=True, kw_only=True)
class CheatState:
    """One cheat as the page shows it."""

    cheat: Cheat
    state: str = "idle"  # idle, running, noticed, unnoticed, failed
    report: CheatReport | None = None
    error: str = ""

    def begin(self) -> None:
        """It is being done."""
        self.state, self.report, self.error = "running", None, ""

    def end(self, report: CheatReport) -> None:
        """It was done."""
        self.state, self.report = ("noticed" if report.noticed else "unnoticed"), report

    def fail(self, error: str) -> None:
        """It could not be done to its end."""
        self.state, self.error = "failed", error

    @property
    def sentence(self) -> str:
        """One line for the terminal."""
        if self.report is None:
            return f"{self.cheat.title.en}: {self.error or self.state}"
        if not self.report.noticed:
            return f"{self.cheat.title.en}: NOBODY NOTICED ({self.report.after})"
        return f"{self.cheat.title.en}: " + "; ".join(f"{n.who} noticed at {n.check}" for n in self.report.noticed)

    def to_json(self, *, allowed: bool) -> dict[str, Any]:
        """What the page's script reads."""
        return {
            "name": self.cheat.name,
            "title": asdict(self.cheat.title),
            "state": self.state,
            "allowed": allowed,
            "error": self.error,
            "report": asdict(self.report) if self.report else None,
        }
