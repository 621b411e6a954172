"""What a gateway's own readings say about a meter swap: pure, from the registers that it believed.

The crew notes what both displays showed; the gateway has the last value that the old meter told and the first one of
the new. Within one step of the register they agree. Where the meter can have counted the difference between reading
and swap, nobody knows; anything else is contradicted. Bills rest on the gateway's values, whatever the crew noted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from devices.plausibility import HOUR_MS, Limits
from devices.visit_rules import CLOSING, RuleForm, VisitRule
from edge.registers import Believed
from edge.visits.finding import Finding
from edge.visits.items import Found

if TYPE_CHECKING:
    from contracts.checklist import MeterSwap

CLOCKS_MS = 10 * 60_000  # by which the crew's phone and the gateway may disagree on the time
Told = Sequence[Believed]
"""What one register was believed to show: (value, instant in ms), oldest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapSeen:
    """What the gateway read of both meters around one visit.

    `last` and `first` hold every cumulative register; the findings look at the one that the crew noted.
    """

    noted: "MeterSwap"
    limits: Limits
    started_ms: int
    ended_ms: int
    last: Mapping[str, Believed]  # of the old meter, up to the visit's end
    first: Mapping[str, Believed]  # of the new one, from the visit's beginning
    old_after_ms: int = 0  # when the old one was heard after the visit; 0: it was not
    new_before_ms: int = 0  # when the new one was heard before; 0: it was not

    def heard_before(self, at_ms: int) -> "SwapSeen":
        """The same, where the new meter counted for somebody already."""
        return replace(self, new_before_ms=self.new_before_ms or at_ms)


def seen_of(
    noted: "MeterSwap", limits: Limits, times_ms: tuple[int, int], old: Mapping[str, Told], new: Mapping[str, Told]
) -> SwapSeen:
    """What two meters' registers, by quantity, say about a swap between these times."""
    started_ms, ended_ms = times_ms
    until, since = ended_ms + CLOCKS_MS, started_ms - CLOCKS_MS
    after = [at_ms for told in old.values() for _, at_ms in told if at_ms > until]
    before = [at_ms for told in new.values() for _, at_ms in told if at_ms < since]
    ended = {name: [one for one in told if one[1] <= until] for name, told in old.items()}
    begun = {name: [one for one in told if one[1] >= since] for name, told in new.items()}
    return SwapSeen(
        noted=noted, limits=limits, started_ms=started_ms, ended_ms=ended_ms,
        last={name: told[-1] for name, told in ended.items() if told},
        first={name: told[0] for name, told in begun.items() if told},
        old_after_ms=min(after, default=0), new_before_ms=max(before, default=0),
    )  # fmt: skip


def find_in_swap(rule: VisitRule, seen: SwapSeen | None) -> Found:
    """What one of the `SWAP_FORMS` sees; without a swap in the list there is nothing to see."""
    if seen is None:
        return Finding.NOT_OBSERVABLE, {}
    if rule.form is RuleForm.EXCHANGED:
        return _exchanged(seen)
    return _closed(rule, seen) if rule.end == CLOSING else _opened(seen)


def is_agreed(seen: SwapSeen, findings: Mapping[str, Finding]) -> bool:
    """Whether nothing that was seen speaks against the swap: then its registers end one account and begin the other.

    Args:
        findings: of the rules of `SWAP_FORMS`, by rule.
    """
    known = seen.noted.quantity in seen.last and seen.noted.quantity in seen.first
    return known and not any(one in (Finding.CONTRADICTED, Finding.NOT_SEEN) for one in findings.values())


def _closed(rule: VisitRule, seen: SwapSeen) -> Found:
    last = seen.last.get(seen.noted.quantity)
    if last is None:
        return Finding.NOT_OBSERVABLE, {}
    value, at_ms = last
    facts = _facts(seen.noted.closing, last)
    if seen.ended_ms - at_ms > rule.minimum * 1000:
        return Finding.NOT_OBSERVABLE, facts  # what it counted since is anybody's guess
    return _compared(seen.noted.closing - value, seen.ended_ms + CLOCKS_MS - at_ms, seen.limits), facts


def _opened(seen: SwapSeen) -> Found:
    first = seen.first.get(seen.noted.quantity)
    if first is None:
        return (Finding.NOT_SEEN if seen.last else Finding.NOT_OBSERVABLE), {}
    value, at_ms = first
    facts = _facts(seen.noted.opening, first)
    return _compared(value - seen.noted.opening, at_ms - seen.started_ms + CLOCKS_MS, seen.limits), facts


def _exchanged(seen: SwapSeen) -> Found:
    """One meter fell silent where the other began to speak."""
    if seen.old_after_ms:
        return Finding.CONTRADICTED, {"old_heard_at_ms": seen.old_after_ms}
    if seen.new_before_ms:
        return Finding.CONTRADICTED, {"new_heard_at_ms": seen.new_before_ms}
    if not seen.last:
        return Finding.NOT_OBSERVABLE, {}  # it was silent before as well, or nothing was heard at all
    return (Finding.CONFIRMED if seen.first else Finding.NOT_SEEN), {}


def _facts(noted: int, read: Believed) -> dict[str, int]:
    """By how much more the crew noted than was read, and when that was. Not what was read: a verdict is no secret, and
    a household's register is.
    """
    return {"difference": noted - read[0], "read_at_ms": read[1]}


def _compared(rise: int, elapsed_ms: int, limits: Limits) -> Finding:
    """Whether what was shown later can be what was shown before: the same, more by what can be counted, or neither."""
    if abs(rise) <= limits.register_step:
        return Finding.CONFIRMED
    most = limits.register_step + (limits.rise_per_hour_max or 0) * max(0, elapsed_ms) // HOUR_MS
    return Finding.NOT_OBSERVABLE if 0 < rise <= most else Finding.CONTRADICTED
