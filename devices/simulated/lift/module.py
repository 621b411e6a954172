"""The monitoring modules that watch a lift: each model tells some of what the machine shows, in its own way and rhythm.

A and B speak the profiles `lift-module-json` and `lift-monitor-json`. C and D are other makers' ideas of the same job:
no rule was written with them in sight.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from devices.simulated.lift.physics import DOORS, RIDES, Contact, Mode, Sight

MINUTE_MS = 60_000
_FOUR = ("mode", "floor", "trips", "door_cycles", "fault")
_ALL = (
    "mode", "floor", "chain", "trips", "door_cycles", "reopenings", "inspection_runs", "alarms", "supply_drops",
    "emergency_stops", "decel_mm_s2", "level_mm", "fault", "trapped",
)  # fmt: skip
COUNTERS = frozenset(
    ("trips", "door_cycles", "reopenings", "inspection_runs", "alarms", "supply_drops", "emergency_stops")
)
Report = tuple[int, dict[str, object]]
"""When a module says something, and what; number and time are added by whoever sends it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """One model of module. Times in ms; 0 is never."""

    name: str
    fields: tuple[str, ...]
    at_changes_of: tuple[str, ...]
    every_ms: int = 0  # a whole report
    busy_every_ms: int = 0  # the same while the lift is not in normal service
    leaves_unchanged_out: bool = False  # of reports between the whole ones
    has_battery: bool = False
    forgets_counts: bool = False  # when its supply comes back
    doors_count: int = 1  # by which a door's opening raises the count
    shows_stop_as_mode: bool = False  # an open stop switch reads as out of service
    modes: Mapping[str, str] = field(default_factory=dict)  # what it calls another mode than the controller does
    contacts: Mapping[str, str] = field(default_factory=dict)  # which contacts it cannot tell from others

    @property
    def told(self) -> frozenset[str]:
        """The traces of work (`crew.TRACES`) that it tells apart from a day's ordinary life."""
        traces = {"doors"} if "door_cycles" in self.fields else set()
        traces |= COUNTERS & set(self.fields) - {"door_cycles", "trips"}
        if "chain" in self.fields:
            traces |= {f"chain:{contact.name.lower()}" for contact in Contact}
        traces |= {f"mode:{mode}" for mode in Mode if mode.value not in self.modes}
        return frozenset(traces)

    @property
    def merged(self) -> Mapping[str, str]:
        """Traces that it tells under another's name."""
        return {f"chain:{contact}": f"chain:{name}" for contact, name in self.contacts.items()}


_SLOW_IS_INSPECTION = MappingProxyType({"emergency_electric": "inspection"})
MODELS: Mapping[str, Model] = MappingProxyType(
    {
        "A": Model(
            name="A", fields=_FOUR, at_changes_of=("mode",), every_ms=60 * MINUTE_MS, shows_stop_as_mode=True,
            modes=_SLOW_IS_INSPECTION,
        ),
        "B": Model(
            name="B", fields=_ALL, every_ms=MINUTE_MS, busy_every_ms=MINUTE_MS, leaves_unchanged_out=True,
            has_battery=True,
            at_changes_of=("mode", "chain", "alarms", "supply_drops", "emergency_stops", "trapped"),
        ),
        "C": Model(
            name="C", fields=tuple(name for name in _ALL if name not in ("alarms", "supply_drops")),
            leaves_unchanged_out=True, at_changes_of=("mode", "chain", "trips", "emergency_stops"), forgets_counts=True,
            doors_count=2,
        ),
        "D": Model(
            name="D", fields=_ALL, every_ms=15 * MINUTE_MS, leaves_unchanged_out=True,
            at_changes_of=("mode", "chain"), contacts=MappingProxyType({"pit_stop": "car_top_stop"}),
            modes=_SLOW_IS_INSPECTION,
        ),
    }
)  # fmt: skip


def reports(sights: Sequence[Sight], model: Model, end_ms: int) -> Iterator[Report]:
    """What a module of that model says from the first sight until `end_ms`, in order."""
    origin = sights[0]
    last: dict[str, object] = {}
    was = origin
    due_ms = origin.at_ms
    for number, sight in enumerate(sights):
        next_ms = min(end_ms, sights[number + 1].at_ms) if number + 1 < len(sights) else end_ms
        if sight.at_ms >= end_ms:
            return
        if model.forgets_counts and sight.is_supplied and not was.is_supplied:
            origin = sight
        was = sight
        told = _tell(sight, model, origin)
        is_awake = sight.is_supplied or model.has_battery
        if is_awake and last and any(told[name] != last[name] for name in model.at_changes_of):
            yield sight.at_ms, _changed(told, last) if model.leaves_unchanged_out else told
            last = told
        elif not last and is_awake:
            yield sight.at_ms, told
            last, due_ms = told, _next(sight.at_ms, model, told)
        due_ms = min(due_ms, _next(sight.at_ms, model, told))
        while due_ms < next_ms and _rhythm_ms(model, told):
            if is_awake:
                yield due_ms, dict(told)
                last = told
            due_ms = _next(due_ms, model, told)


def _rhythm_ms(model: Model, told: Mapping[str, object]) -> int:
    if told["mode"] != Mode.NORMAL.value and model.busy_every_ms:
        return model.busy_every_ms
    return model.every_ms


def _next(at_ms: int, model: Model, told: Mapping[str, object]) -> int:
    """The next whole report behind an instant: modules count from their own midnight."""
    rhythm_ms = _rhythm_ms(model, told)
    return (at_ms // rhythm_ms + 1) * rhythm_ms if rhythm_ms else at_ms


def _changed(told: Mapping[str, object], last: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in told.items() if name == "mode" or value != last[name]}


def _tell(sight: Sight, model: Model, origin: Sight) -> dict[str, object]:
    """A sight in a module's words."""
    whole: dict[str, object] = {
        "mode": _mode(sight, model), "floor": sight.floor, "chain": _chain(sight, model), "fault": sight.fault,
        "decel_mm_s2": sight.decel_mm_s2, "level_mm": sight.level_mm, "trapped": "yes" if sight.is_trapped else "no",
    }  # fmt: skip
    for name in COUNTERS:
        count: int = getattr(sight, name)
        if model.forgets_counts:
            count -= getattr(origin, name)
        whole[name] = count * (model.doors_count if name == "door_cycles" else 1)
    return {name: whole[name] for name in model.fields}


def _mode(sight: Sight, model: Model) -> str:
    is_stopped = not sight.open_contacts.isdisjoint((Contact.CAR_TOP_STOP, Contact.PIT_STOP))
    if model.shows_stop_as_mode and is_stopped:
        return Mode.OUT_OF_SERVICE.value
    return model.modes.get(sight.mode.value, sight.mode.value)


def _chain(sight: Sight, model: Model) -> str:
    """The first open contact; doors that let people in and out are none."""
    seen = sight.open_contacts - DOORS if sight.mode in RIDES else sight.open_contacts
    if not seen:
        return "closed"
    name = min(seen).name.lower()
    return model.contacts.get(name, name)
