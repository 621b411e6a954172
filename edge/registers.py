"""What each meter's registers last said: the memory behind plausibility and boundary entries.

It is derived: a fold over the log. A snapshot in the log's `state` shortens the fold at start, nothing more.
A *believed* value is one that no rule suspects. Only believed values are remembered, so a suspect one can neither
become a boundary entry nor shift what later values are compared with.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date

from contracts.detail import decode_detail
from contracts.entry import Kind, decode_entry
from contracts.errors import ContractsError
from contracts.quantities import parse_boundary_quantity
from edge.calendar_days import LocalDays

Believed = tuple[int, int]
"""Value in the base unit, and when it was observed (UTC ms)."""


@dataclass(slots=True)
class RegisterState:
    """One register of one device."""

    last: Believed | None = None
    day_end_ms: int = 0  # midnight that ends the local day of `last`
    candidates: dict[date, Believed] = field(default_factory=dict)  # last believed before a midnight not yet logged
    last_boundary: date | None = None

    def may_be_due(self, now_ms: int) -> bool:
        """Whether a midnight has passed that may still lack its boundary entry."""
        return bool(self.candidates) or (self.last is not None and now_ms >= self.day_end_ms)


class Registers:
    """All cumulative registers, by (device id, OBIS code)."""

    def __init__(self, days: LocalDays) -> None:
        self.days = days
        self._states: dict[tuple[bytes, str], RegisterState] = {}

    def state(self, device: bytes, obis: str) -> RegisterState:
        return self._states.setdefault((device, obis), RegisterState())

    def values(self) -> list[RegisterState]:
        return list(self._states.values())

    def items(self) -> Iterator[tuple[tuple[bytes, str], RegisterState]]:
        return iter(list(self._states.items()))

    def believe(self, state: RegisterState, value: int, at_ms: int) -> bool:
        """Remember a believed value; whether a local midnight lies between it and the one before."""
        crossed = False
        if state.last is not None:
            if at_ms < state.last[1]:
                return False  # the clock was set back: the newest instant stays the measure of the day
            crossed = at_ms >= state.day_end_ms and self.pass_midnights(state, at_ms)
        state.last = (value, at_ms)
        if at_ms >= state.day_end_ms:
            state.day_end_ms = self.days.end_ms(at_ms)
        return crossed

    def pass_midnights(self, state: RegisterState, now_ms: int) -> bool:
        """Keep the last believed value as candidate of every midnight that has passed since; whether there was one."""
        if state.last is None or now_ms < state.day_end_ms:
            return False
        for day in self.days.boundaries(state.last[1], now_ms):
            if state.last_boundary is None or day > state.last_boundary:
                state.candidates.setdefault(day, state.last)
        state.day_end_ms = self.days.end_ms(now_ms)
        return True

    def boundary_logged(self, state: RegisterState, day: date) -> None:
        state.candidates.pop(day, None)
        if state.last_boundary is None or day > state.last_boundary:
            state.last_boundary = day

    # ---- snapshot and fold ----

    def snapshot(self, size: int) -> bytes:
        """The state after the first `size` entries, for `restore`."""
        states = [
            [
                device.hex(), obis, state.last, {str(day): kept for day, kept in list(state.candidates.items())},
                str(state.last_boundary) if state.last_boundary else "",
            ]
            for (device, obis), state in self.items()
        ]  # fmt: skip
        return json.dumps([size, states]).encode()

    def restore(self, snapshot: bytes | None) -> int:
        """Take a snapshot over; from which position on the log must be folded. A broken snapshot is none."""
        if snapshot is None:
            return 0
        try:
            size, states = json.loads(snapshot)
            for device, obis, last, candidates, last_boundary in states:
                state = self.state(bytes.fromhex(device), obis)
                state.last = (last[0], last[1]) if last else None
                state.day_end_ms = self.days.end_ms(last[1]) if last else 0
                state.candidates = {date.fromisoformat(day): (kept[0], kept[1]) for day, kept in candidates.items()}
                state.last_boundary = date.fromisoformat(last_boundary) if last_boundary else None
        except (ValueError, TypeError, IndexError):
            self._states.clear()
            return 0
        return int(size)

    def fold(self, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Replay logged entries: exactly what `believe` and `boundary_logged` were told when they were made."""
        for encoded, detail in rows:
            entry = decode_entry(encoded)
            if entry.kind is not Kind.READING or (detail and _is_suspect(detail)):
                continue
            boundary = parse_boundary_quantity(entry.quantity)
            if boundary is None:
                self.believe(self.state(entry.device, entry.quantity), entry.value, entry.observed_at_ms)
            else:
                self.boundary_logged(self.state(entry.device, boundary.obis), boundary.day)


def _is_suspect(detail: bytes) -> bool:
    try:
        return "suspect" in decode_detail(detail)
    except ContractsError:
        return True
