"""What lies between a module and the log: lost and doubled messages, hours without a line, clocks that are off."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from devices.simulated.chance import Chance
from devices.simulated.lift.module import Report

HOUR_MS = 3_600_000
CLOCK_OFF_MAX_MS = 9 * 60_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """One message as a gateway receives it: when, which number, the module's own time, and what it says."""

    arrived_ms: int
    number: int
    told_ms: int
    content: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How bad a line is; shares are of all messages or all visits."""

    lost: float = 0.002
    doubled: float = 0.005
    cut_off: float = 0.03  # lines that break for hours: the module sends later what it kept
    cut_off_hours_max: int = 6
    clock_spread_ms: int = 2 * 60_000
    gateway_restarts: float = 0.03  # messages of those seconds arrive after it is up again

    def grown(self, factor: float) -> "Noise":
        """The same line, worse by that factor."""
        return replace(
            self, lost=self.lost * factor, doubled=self.doubled * factor, cut_off=self.cut_off * factor,
            gateway_restarts=self.gateway_restarts * factor,
        )  # fmt: skip


def clock_off_ms(chance: Chance, noise: Noise) -> int:
    """By how much somebody's clock is wrong."""
    return chance.bell(noise.clock_spread_ms, limit=CLOCK_OFF_MAX_MS)


def through(reports: Sequence[Report], noise: Noise, chance: Chance, *, first_number: int = 1) -> list[Heard]:
    """A module's reports as they arrive, in the order of their arrival."""
    off_ms = clock_off_ms(chance, noise)
    start_ms, end_ms = reports[0][0], reports[-1][0]
    away = _outage(chance, noise.cut_off, start_ms, end_ms, noise.cut_off_hours_max * HOUR_MS)
    restart = _outage(chance, noise.gateway_restarts, start_ms, end_ms, 90_000)
    heard: list[Heard] = []
    for number, (at_ms, content) in enumerate(reports, start=first_number):
        arrived_ms = at_ms + chance.between(20, 900)
        for gap in (away, restart):
            if arrived_ms in gap:
                arrived_ms = gap.stop + chance.between(0, 5_000)
        one = Heard(arrived_ms=arrived_ms, number=number, told_ms=at_ms + off_ms, content=content)
        if not chance.happens(noise.lost):
            heard.append(one)
        if chance.happens(noise.doubled):
            heard.append(replace(one, arrived_ms=arrived_ms + chance.between(200, 20_000)))
    return sorted(heard, key=lambda one: one.arrived_ms)


def _outage(chance: Chance, probability: float, start_ms: int, end_ms: int, length_max_ms: int) -> range:
    if not chance.happens(probability):
        return range(0)
    from_ms = chance.between(start_ms, end_ms)
    return range(from_ms, from_ms + chance.between(length_max_ms // 20, length_max_ms))
