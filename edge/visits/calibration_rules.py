"""What a gateway's own readings say of a meter that was calibrated: pure, from what was logged around the visit.

Calibrated is the meter that was there before: its register goes on from where it stood, for what falls, or leaps
further than the meter can count, is another register. And while it was tested it was off: it answered nobody, where
others of its line did. A line on which nobody answered says nothing of one meter, and a meter that is asked too seldom
may have been off unnoticed. One that is calibrated on the spot is never off: its table in the gateway's settings says
`without = ["poll-gap"]`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from devices.plausibility import REGISTER_FELL, TOO_FAST
from devices.visit_rules import RuleForm, VisitRule
from edge.visits.finding import Finding
from edge.visits.items import Found, Window
from edge.visits.swap_rules import CLOCKS_MS

_RHYTHM = 5  # readings before the visit that tell how often the meter is read
_BACKED_OFF = 2  # a meter that is silent is asked ever more seldom: up to half of its pause may be its gateway's own

Telling = tuple[int, tuple[str, ...]]
"""When a value was read (ms), and why it was not believed; nothing for a believed one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterHeard:
    """How one meter and those beside it were read around a visit."""

    told: Mapping[str, Sequence[Telling]] = field(default_factory=dict)  # by register, oldest first
    silences: Sequence[Window] = ()  # from its last answer to its next, where the gateway asked in vain meanwhile
    beside: Sequence[int] = ()  # when other meters of its line were read, in order
    started_ms: int = 0  # of the visit
    ended_ms: int = 0
    interval_ms: int = 0  # how often it is asked; 0 for one that speaks by itself

    @property
    def window(self) -> Window:
        """The visit's time, by whichever clock."""
        return self.started_ms - CLOCKS_MS, self.ended_ms + CLOCKS_MS

    def heard_ms(self) -> list[int]:
        """Whenever it answered, in order."""
        told = {at_ms for one in self.told.values() for at_ms, _ in one}
        return sorted(told | {at_ms for silence in self.silences for at_ms in silence})

    def rhythm_ms(self) -> int:
        """The longest time for which it was not read of late before the visit, with nothing amiss; 0: nobody knows."""
        before = [at_ms for at_ms in self.heard_ms() if at_ms <= self.window[0]][-_RHYTHM:]
        return max([self.interval_ms, *(later - one for one, later in pairwise(before))])

    def own_ms(self, pause: Window, rhythm_ms: int) -> int:
        """How much of a pause is its own: for so long others of its line were read as ever."""
        start, end = pause
        others = [at_ms for at_ms in self.beside if start < at_ms < end]
        spaces = [later - one for one, later in pairwise([start, *others, end])] if others else []
        return sum(space for space in spaces if space <= 2 * rhythm_ms)


def find_in_calibration(rule: VisitRule, heard: MeterHeard | None) -> Found:
    """What one of the `CALIBRATION_FORMS` sees."""
    if heard is None:
        return Finding.NOT_OBSERVABLE, {}
    return _went_on(rule, heard) if rule.form is RuleForm.WENT_ON else _paused(rule, heard)


def _went_on(rule: VisitRule, heard: MeterHeard) -> Found:
    """One value that falls may be a misread one; two behind each other are what the register shows."""
    told = heard.told.get(rule.quantity, ())
    before = [at_ms for at_ms, says in told if at_ms <= heard.started_ms and not says]
    before += [start for start, _ in heard.silences if start <= heard.started_ms]
    after = [(at_ms, says) for at_ms, says in told if at_ms > heard.window[1]]
    if not before or not after:
        return Finding.NOT_OBSERVABLE, {}
    facts = {"before_ms": max(before), "after_ms": after[-1][0]}
    broken = [bool({REGISTER_FELL, TOO_FAST} & set(says)) for _, says in after]
    if any(one and other for one, other in pairwise(broken)):
        return Finding.CONTRADICTED, facts
    return (Finding.NOT_OBSERVABLE if after[-1][1] else Finding.CONFIRMED), facts


def _paused(rule: VisitRule, heard: MeterHeard) -> Found:
    """Whoever works on a meter takes it off or puts it back meanwhile: a pause around the whole visit is no work of
    it.
    """
    (start, end), times = heard.window, heard.heard_ms()
    if not times or times[0] > start or times[-1] < end:
        return Finding.NOT_OBSERVABLE, {}
    pauses = [(one, later) for one, later in pairwise(times) if one < end and start < later]
    facts = {"seconds": max(later - one for one, later in pauses) // 1000}
    least_ms = rule.minimum * 1000
    if all(later - one < least_ms for one, later in pauses):
        return Finding.NOT_SEEN, facts
    rhythm_ms = heard.rhythm_ms()
    needed_ms = _BACKED_OFF * (least_ms + rhythm_ms)
    for one, later in pauses:
        is_touched = start <= one or later <= end
        if is_touched and rhythm_ms and heard.own_ms((one, later), rhythm_ms) >= needed_ms:
            return Finding.CONFIRMED, {"seconds": (later - one) // 1000, "from_ms": one, "to_ms": later}
    return Finding.NOT_OBSERVABLE, facts
