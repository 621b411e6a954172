"""The simulated lift as its gateway hears it: a crew's visit in the past, and a passenger trapped on demand."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from devices.simulated.calendar import day_start_ms
from devices.simulated.chance import Chance
from devices.simulated.lift.module import MODELS, Report, reports
from devices.simulated.lift.physics import Lift, LiftForm
from devices.simulated.lift.schedule import DAY_MS, HOUR_MS, LiftSchedule
from devices.simulated.publisher import Link, Publisher
from devices.simulated.schedule import Numbered

FAULT = 17
TRAPPED = {"mode": "fault", "fault": FAULT, "trapped": "yes"}
STANDS_MS = 40_000  # longer than its gateway waits before it calls a passenger trapped


class TrappingSchedule(LiftSchedule):
    """What the module tells where somebody is trapped from one instant to another: by the lift of `physics`."""

    def __init__(self, *args: Any, trapped: range, **options: Any) -> None:
        super().__init__(*args, **options)
        self._trapped, self._told = trapped, _told_of(self._floors, trapped)

    def count(self, day: date) -> int:
        return super().count(day) + len(self._of(day))

    def contents(self, day: date) -> list[Report]:
        told = [
            (at_ms, content | TRAPPED if at_ms in self._trapped else content)
            for at_ms, content in super().contents(day)
        ]
        return sorted([*told, *self._of(day)], key=lambda row: row[0])

    def _of(self, day: date) -> list[Report]:
        start_ms = day_start_ms(day, self._zone)
        return [row for row in self._told if start_ms <= row[0] < start_ms + DAY_MS]


def _told_of(floors: int, trapped: range) -> list[Report]:
    """The two reports that the module makes at once: that somebody is trapped, and that nobody is any more."""
    lift = Lift(form=LiftForm(floors=floors), chance=Chance(FAULT, "l1", trapped.start), now_ms=trapped.start - 1)
    lift.advance(trapped.start)
    lift.break_down(FAULT, with_passenger=True)
    lift.advance(trapped.stop)
    lift.repair()
    at_once = replace(MODELS["B"], every_ms=0, busy_every_ms=0)
    _whole, *told = reports(lift.sights, at_once, trapped.stop + 1)
    return told


class LiftLine:
    """The module's own client. What it forgets when it begins anew its state file remembers."""

    def __init__(self, link: Link, zone: ZoneInfo, state_file: Path, schedule: Callable[..., LiftSchedule]) -> None:
        """`schedule` takes the class of schedule to make, and its further options."""
        self._link, self._zone, self._state_file, self._schedule = link, zone, state_file, schedule
        self._publisher: Publisher | None = None

    def start(self, begin_ms: int) -> None:
        self._begin(self._schedule(LiftSchedule), begin_ms)

    def step(self, now_ms: int) -> None:
        assert self._publisher is not None, "started"
        self._publisher.step(now_ms)

    def trap(self) -> int:
        """Somebody has been trapped for a while; since when (ms)."""
        now_ms = int(time.time() * 1000)
        since_ms = max(now_ms - STANDS_MS, now_ms // HOUR_MS * HOUR_MS + 1)  # after what it told at the whole hour
        self._trap(range(since_ms, since_ms + 2 * DAY_MS))
        return since_ms

    def free(self, since_ms: int) -> None:
        """Nobody is trapped any more from now on."""
        self._trap(range(since_ms, int(time.time() * 1000)))

    def stop(self) -> None:
        if self._publisher is not None:
            self._publisher.stop()
        self._publisher = None

    def _trap(self, trapped: range) -> None:
        self.stop()
        self._begin(self._schedule(TrappingSchedule, trapped=trapped), None)

    def _begin(self, schedule: LiftSchedule, begin_ms: int | None) -> None:
        self._publisher = Publisher(self._link, Numbered(schedule, self._zone), self._state_file)
        self._publisher.start(now_ms=int(time.time() * 1000), begin_ms=begin_ms)
