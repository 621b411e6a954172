"""What the demo says: named steps with their times, on the terminal and on the launcher's page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

__all__ = ["Progress", "Step"]

_LINES_MAX = 200


@dataclass(slots=True, kw_only=True)
class Step:
    """One named step of the demo."""

    name: str
    state: str = "running"  # running, done, failed
    seconds: float = 0.0
    says: str = ""


@dataclass(slots=True)
class Progress:
    """All steps so far, the latest lines, and figures that the page shows while the month runs."""

    steps: list[Step] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    figures: dict[str, int | str] = field(default_factory=dict)

    def say(self, line: str) -> None:
        """One line for people, on the terminal and on the page."""
        print(f"demo: {line}", flush=True)
        self.lines = [*self.lines, f"{time.strftime('%H:%M:%S')} {line}"][-_LINES_MAX:]

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """A step that is done when the block ends, failed when it raises."""
        step = Step(name=name)
        self.steps.append(step)
        started = time.monotonic()
        try:
            yield step
        except BaseException:
            step.state, step.seconds = "failed", time.monotonic() - started
            raise
        step.state, step.seconds = "done", time.monotonic() - started
        self.say(f"{name} ({step.seconds:.1f} s){': ' + step.says if step.says else ''}")
