"""Visits to a meter that stays: what the log holds of its readings around one, for the rules that ask for them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from devices.visit_rules import CALIBRATION_FORMS, VisitRule
from edge.committer import Committer
from edge.registers import Registers
from edge.roster import Roster
from edge.visits.calibration_rules import MeterHeard
from edge.visits.items import SILENT_MS
from edge.visits.readings import heard_of
from edge.visits.swap_rules import CLOCKS_MS

if TYPE_CHECKING:
    from contracts.visit import Visit


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A meter's place on its line."""

    beside: frozenset[bytes] = frozenset()  # the others of the line
    interval_ms: int = 0  # how often it is asked; 0 for one that speaks by itself


def places_of(roster: Roster) -> dict[bytes, Place]:
    """Where every device stands: on a bus, at a broker, or in the air."""
    lines = [{meter.recorder.device: seconds * 1000 for meter, seconds in bus} for bus in roster.meters.values()]
    lines += [{one.recorder.device: 0 for one in broker} for broker in roster.mqtt.values()]
    lines.append({sensor.recorder.device: 0 for sensor in roster.sensors.values()})
    return {
        device: Place(beside=frozenset(line.keys() - {device}), interval_ms=interval_ms)
        for line in lines
        for device, interval_ms in line.items()
    }


class Calibrations:
    """Looks at the log for the meter of a visit."""

    def __init__(
        self, rules: Mapping[bytes, Sequence[VisitRule]], places: Mapping[bytes, Place], gateway: bytes,
        registers: Registers, committer: Committer,
    ) -> None:  # fmt: skip
        """`rules`: of every device; `gateway`: in whose name silent meters are told."""
        asking = {device: [rule for rule in own if rule.form in CALIBRATION_FORMS] for device, own in rules.items()}
        self._rules = {device: own for device, own in asking.items() if own}
        self._places = places
        self._gateway = gateway
        self._registers = registers
        self._committer = committer

    def heard_after(self, device: bytes, at_ms: int) -> bool:
        """Whether a register that is asked about was read and believed after a time; one that is not is waited for."""
        last = [self._registers.state(device, rule.quantity).last for rule in self._rules.get(device, ())]
        return any(one is not None and one[1] > at_ms for one in last)

    def look(self, visit: "Visit") -> MeterHeard | None:
        """What the log holds of the meter from shortly before a visit to shortly behind it; None of other devices."""
        if visit.device not in self._rules:
            return None
        place = self._places.get(visit.device, Place())
        started_ms, ended_ms = visit.started_at_s * 1000, visit.ended_at_s * 1000
        around = started_ms - CLOCKS_MS - SILENT_MS, ended_ms + CLOCKS_MS + SILENT_MS
        reader = self._committer.store.reader()
        try:
            heard = heard_of(reader, visit.device, place.beside, self._gateway, around)
        finally:
            reader.close()
        return replace(heard, started_ms=started_ms, ended_ms=ended_ms, interval_ms=place.interval_ms)
