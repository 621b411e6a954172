"""A flat's supply behind its meter: switched off and on again, and measured by one meter after another."""

import json
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Protocol
from zoneinfo import ZoneInfo

from devices.simulated.calendar import day_start_ms


class Register(Protocol):
    """What a meter shows, as a function of time: `Consumption`, or a part of it. Wh."""

    def at(self, at_ms: int) -> int: ...
    def at_midnight(self, day: date) -> int: ...
    def valley_at(self, at_ms: int) -> int: ...
    def valley_at_midnight(self, day: date) -> int: ...


@dataclass
class Supply:
    """What is used behind one meter's terminals: nothing while it is switched off. It remembers which meters hung there
    in a file, for whoever starts the building again finds it as he left it.
    """

    used: Register
    zone: ZoneInfo
    path: Path
    off_ms: list[list[int]] = field(default_factory=list)  # from and to, without the latter while it is off
    hung: list[tuple[str, int, int]] = field(default_factory=list)  # address, since when (ms), register it came with

    def recall(self) -> None:
        """What the file says; nothing where there is none."""
        if self.path.exists():
            told = json.loads(self.path.read_text(encoding="utf-8"))
            self.off_ms = told["off_ms"]
            self.hung = [(str(address), int(since), int(opening)) for address, since, opening in told["hung"]]

    def switch_off(self, now_ms: int) -> None:
        """The load is off from now on."""
        if not self.off_ms or len(self.off_ms[-1]) == 2:
            self.off_ms.append([now_ms])
            self._keep()

    def hang(self, address: str, now_ms: int, opening: int) -> None:
        """Another meter hangs here from now on, and the load is on again."""
        if self.off_ms and len(self.off_ms[-1]) == 1:
            self.off_ms[-1].append(now_ms)
        self.hung.append((address, now_ms, opening))
        self._keep()

    def register(self) -> Register:
        """What the meter that hangs here now shows."""
        return Hung(self, *self.hung[-1][1:]) if self.hung else self

    def at(self, at_ms: int) -> int:
        """Used since the building's first day."""
        return self.used.at(at_ms) - sum(self.used.at(end) - self.used.at(start) for start, end in self._pauses(at_ms))

    def valley_at(self, at_ms: int) -> int:
        """The part of it in the valley hours."""
        pauses = self._pauses(at_ms)
        return self.used.valley_at(at_ms) - sum(
            self.used.valley_at(end) - self.used.valley_at(start) for start, end in pauses
        )

    def at_midnight(self, day: date) -> int:
        start_ms = day_start_ms(day, self.zone)
        return self.at(start_ms) if self._pauses(start_ms) else self.used.at_midnight(day)

    def valley_at_midnight(self, day: date) -> int:
        start_ms = day_start_ms(day, self.zone)
        return self.valley_at(start_ms) if self._pauses(start_ms) else self.used.valley_at_midnight(day)

    def _pauses(self, at_ms: int) -> list[tuple[int, int]]:
        """When it was off, up to an instant."""
        return [(times[0], min([at_ms, *times[1:]])) for times in self.off_ms if times[0] < at_ms]

    def _keep(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps({"off_ms": self.off_ms, "hung": self.hung}), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Hung:
    """The register of a meter that was hung up at an instant: what it came with, and what was used since."""

    supply: Supply
    since_ms: int
    opening: int

    def at(self, at_ms: int) -> int:
        return self.opening + self.supply.at(max(at_ms, self.since_ms)) - self.supply.at(self.since_ms)

    def valley_at(self, at_ms: int) -> int:
        return self.supply.valley_at(max(at_ms, self.since_ms)) - self.supply.valley_at(self.since_ms)

    def at_midnight(self, day: date) -> int:
        return self.at(day_start_ms(day, self.supply.zone))

    def valley_at_midnight(self, day: date) -> int:
        return self.valley_at(day_start_ms(day, self.supply.zone))
