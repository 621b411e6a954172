"""When each meter of one bus is due. Pure: times in, the next work out.

Registers are read on the grid of their interval (every full hour), a moment that was missed is not made up for: the
next reading says the same and more. Boundaries are always made up for.
"""

from dataclasses import dataclass, field

_SKIPPED_POLLS_MAX = 16


@dataclass(slots=True)
class MeterPlan:
    """What is known of one meter's turn."""

    number: int
    interval_ms: int
    due_ms: int = 0  # 0: at once
    silences: int = 0  # polls without an answer, in a row
    answered_ms: int = 0
    is_spare: bool = False  # it will take another meter's place: asked in every interval, for it may hang there by now

    @property
    def is_silent(self) -> bool:
        return self.silences > 0


@dataclass(slots=True)
class BusSchedule:
    """All meters of one bus."""

    meters: list[MeterPlan] = field(default_factory=list)

    def next_meter(self, now_ms: int) -> MeterPlan | None:
        """Whose turn it is: meters that answer before those that are silent, then the longest due; None: nobody's."""
        due = [meter for meter in self.meters if meter.due_ms <= now_ms]
        return min(due, key=lambda meter: (meter.silences, meter.due_ms), default=None)

    def next_due_ms(self) -> int | None:
        """When the next meter is due; None on an empty bus."""
        return min((meter.due_ms for meter in self.meters), default=None)

    def answered(self, meter: MeterPlan, now_ms: int) -> None:
        meter.silences = 0
        meter.answered_ms = now_ms
        meter.due_ms = _next_on_grid(now_ms, meter.interval_ms)

    def silent(self, meter: MeterPlan, now_ms: int) -> None:
        """Ask a silent meter more and more seldom, so that its timeouts cost the others little."""
        meter.silences += 1
        if meter.silences == 1 and meter.answered_ms:
            self._ask_spares(now_ms)  # perhaps one of them hangs in its place
        skipped = 0 if meter.is_spare else min(2 ** (meter.silences - 1), _SKIPPED_POLLS_MAX) - 1
        meter.due_ms = _next_on_grid(now_ms, meter.interval_ms) + skipped * meter.interval_ms

    def _ask_spares(self, now_ms: int) -> None:
        for meter in self.meters:
            if meter.is_spare and meter.is_silent:
                meter.due_ms = min(meter.due_ms, now_ms)


def _next_on_grid(now_ms: int, interval_ms: int) -> int:
    return now_ms - now_ms % interval_ms + interval_ms
