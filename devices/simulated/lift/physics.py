"""A traction lift: where the car is, how fast, which contacts of its safety chain are open, and what it has counted.

Time is milliseconds and only goes forward: `advance` lets it pass, every other method is an act at the present moment
by a passenger, a mechanic or fate. Each change of the state is kept as a `Sight`. What the machine forbids simply does
not happen, as in a real shaft: a run with an open chain, a ride on inspection, a governor that resets itself.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from heapq import heappop, heappush
from math import isqrt

from devices.simulated.chance import Chance

_INSPECTION_SPEED_MAX_MM_S = 630  # EN 81-20, 5.12.1.5.2.1
_REOPENS = 0.04  # of the door's closings, when somebody still wants in


class Mode(StrEnum):
    """What the controller says it is in."""

    NORMAL = "normal"
    INSPECTION = "inspection"
    EMERGENCY_ELECTRIC = "emergency_electric"
    FIRE = "fire"
    FAULT = "fault"
    OUT_OF_SERVICE = "out_of_service"


class Contact(IntEnum):
    """The safety chain's contacts in the order of its wiring."""

    CAR_DOOR = 1
    LANDING_DOOR = 2
    CAR_TOP_STOP = 3
    PIT_STOP = 4
    GOVERNOR = 5
    TENSION_WEIGHT = 6
    FINAL_LIMIT = 7
    EMERGENCY_EXIT = 8


DOORS = frozenset((Contact.CAR_DOOR, Contact.LANDING_DOOR))
SLOW = (Mode.INSPECTION, Mode.EMERGENCY_ELECTRIC)  # the car moves while a button is held, at inspection speed
RIDES = (Mode.NORMAL, Mode.OUT_OF_SERVICE)  # who is in the car when it goes out of service is still let out
_CALLS_MAX = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftForm:
    """One lift as it was built."""

    floors: int = 12
    floor_height_mm: int = 2_900
    rated_speed_mm_s: int = 1_500
    acceleration_mm_s2: int = 700
    inspection_speed_mm_s: int = 400
    brake_mm_s2: int = 2_600
    door_ms: int = 2_600  # to open, and as long to close
    standing_ms: int = 4_000  # open, while people walk
    levelling_mm: int = 3  # standard deviation of where it stops
    overrun_mm: int = 120  # from the last floor to the final limit

    def __post_init__(self) -> None:
        assert self.inspection_speed_mm_s <= _INSPECTION_SPEED_MAX_MM_S, "no lift moves faster with people on its roof"

    @property
    def top_mm(self) -> int:
        """Height of the last floor above the first."""
        return (self.floors - 1) * self.floor_height_mm

    def ride_ms(self, distance_mm: int) -> int:
        """How long a ride of that distance takes: up to speed, along, and down again."""
        ramp_mm = self.rated_speed_mm_s**2 // self.acceleration_mm_s2
        if distance_mm <= ramp_mm:
            return 2 * isqrt(distance_mm * 1_000_000 // self.acceleration_mm_s2)
        return (distance_mm - ramp_mm) * 1000 // self.rated_speed_mm_s + (
            2 * self.rated_speed_mm_s * 1000 // self.acceleration_mm_s2
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """The machine as it stood from `at_ms` on."""

    at_ms: int
    mode: Mode
    floor: int
    open_contacts: frozenset[Contact]
    speed_mm_s: int  # upwards above zero; the speed meant, not the ramp
    is_supplied: bool
    trips: int
    door_cycles: int
    reopenings: int
    inspection_runs: int
    alarms: int
    supply_drops: int
    emergency_stops: int
    decel_mm_s2: int  # peak of the last emergency stop
    level_mm: int  # how far above its floor the car stood at its last stop
    fault: int
    is_trapped: bool


@dataclass(slots=True)
class _Motion:
    """A car under way; `speed_mm_s` has the sign of its direction."""

    started_ms: int
    from_mm: int
    until_mm: int
    speed_mm_s: int
    number: int  # of this motion: what was planned for an earlier one is void


@dataclass(slots=True)
class _Switches:
    """What people have set."""

    car_top: bool = False
    car: bool = False
    emergency_electric: bool = False
    fire: bool = False
    out_of_service: bool = False
    finals_bridged: bool = False  # for the one test that must pass the limit


@dataclass(slots=True)
class _Counts:
    trips: int = 0
    door_cycles: int = 0
    reopenings: int = 0
    inspection_runs: int = 0
    alarms: int = 0
    supply_drops: int = 0
    emergency_stops: int = 0


@dataclass(slots=True, kw_only=True)
class Lift:
    """One lift from `now_ms` on, standing with closed doors at a floor."""

    form: LiftForm
    chance: Chance
    now_ms: int
    position_mm: int = 0
    sights: list[Sight] = field(default_factory=list)
    counts: _Counts = field(default_factory=_Counts)
    _switches: _Switches = field(default_factory=_Switches)
    _open: set[Contact] = field(default_factory=set)
    _due: list[tuple[int, int, Callable[[], None]]] = field(default_factory=list)
    _motion: _Motion | None = None
    _planned: int = 0
    _calls: list[tuple[int, int]] = field(default_factory=list)
    _is_busy: bool = False  # a call is being served
    _is_supplied: bool = True
    _fault: int = 0
    _is_trapped: bool = False
    _decel_mm_s2: int = 0
    _level_mm: int = 0

    def __post_init__(self) -> None:
        self._see()

    # ---- time ----

    def advance(self, to_ms: int) -> None:
        """Let time pass up to then."""
        assert to_ms >= self.now_ms, "time only goes forward"
        while self._due and self._due[0][0] <= to_ms:
            self.now_ms, _, action = heappop(self._due)
            action()
        self.now_ms = to_ms

    # ---- what it is in ----

    @property
    def mode(self) -> Mode:
        """What its switches and its fault make of it."""
        switches = self._switches
        if switches.car_top or switches.car:
            return Mode.INSPECTION
        if switches.emergency_electric:
            return Mode.EMERGENCY_ELECTRIC
        if self._fault:
            return Mode.FAULT
        if switches.fire:
            return Mode.FIRE
        return Mode.OUT_OF_SERVICE if switches.out_of_service else Mode.NORMAL

    @property
    def floor(self) -> int:
        """The floor it is at or nearest to, from 1."""
        height = self.form.floor_height_mm
        return min(self.form.floors, max(1, 1 + (self._place_mm() + height // 2) // height))

    @property
    def is_chain_closed(self) -> bool:
        """Whether the drive may have current."""
        bridged = {Contact.FINAL_LIMIT} if self._switches.finals_bridged else set()
        return not self._open - bridged

    # ---- passengers ----

    def call(self, from_floor: int, to_floor: int) -> None:
        """Somebody wants to ride; nobody waits for a lift that is not in service."""
        if self.mode is Mode.NORMAL and self._is_supplied and len(self._calls) < _CALLS_MAX:
            self._calls.append((from_floor, to_floor))
            self._serve_next()

    def press_alarm(self) -> None:
        """Somebody in the car presses the alarm."""
        if self._is_supplied:
            self.counts.alarms += 1
            self._see()

    # ---- mechanics ----

    def switch(self, name: str, on: bool) -> None:
        """Set a switch: car_top, car, emergency_electric, fire, out_of_service or finals_bridged."""
        was = self.mode
        setattr(self._switches, name, on)
        if self.mode is not Mode.NORMAL:
            self._calls.clear()
        elif was is not Mode.NORMAL and self._may_move():
            self._relevel()
        if self._motion is not None and (self.mode in SLOW) != (was in SLOW):
            self._stop_in_emergency()
        self._see()

    def run(self, direction: int) -> None:
        """Keep pressing up (1) or down (-1) on inspection or emergency electric operation."""
        if self.mode not in SLOW or not self._may_move():
            return
        end_mm = self._end_mm(direction)
        distance_mm = (end_mm - self.position_mm) * direction
        if distance_mm <= 0:
            return
        self.counts.inspection_runs += 1
        self._start(end_mm, direction * self.form.inspection_speed_mm_s)
        self._plan(
            self._moving(lambda: self._reach_end(end_mm)), -(-distance_mm * 1000 // self.form.inspection_speed_mm_s)
        )

    def halt(self) -> None:
        """Let go of the button."""
        if self._motion is not None and self.mode in SLOW:
            self._stop()
            self._see()

    def dispatch(self, floor: int) -> None:
        """A test ride from the controller, at rated speed and with its doors shut, while it is out of service."""
        if self.mode is Mode.OUT_OF_SERVICE and self._may_move():
            self._ride(floor, lambda: None)

    def open_contact(self, contact: Contact) -> None:
        """Open one contact of the chain by hand; a car under way stops at once."""
        self._open.add(contact)
        if self._motion is not None and not self.is_chain_closed:
            self._stop_in_emergency()
        self._see()

    def close_contact(self, contact: Contact) -> None:
        """Close it again; the governor's stays open until somebody resets it."""
        if contact is not Contact.GOVERNOR:
            self._open.discard(contact)
            self._see()

    def reset_governor(self) -> None:
        """Put the tripped governor back."""
        self._open.discard(Contact.GOVERNOR)
        self._see()

    def open_doors(self) -> None:
        """Open car and landing door where the car stands, by the car's button or by hand on inspection."""
        if self._motion is None and not self._open & DOORS:
            self.counts.door_cycles += 1
            self._open |= DOORS
            self._see()

    def open_landing_door(self) -> None:
        """Open the landing door alone, by hand from the roof of the car."""
        if self._motion is None and not self._open & DOORS:
            self.counts.door_cycles += 1
            self._open.add(Contact.LANDING_DOOR)
            self._see()

    def close_doors(self) -> None:
        """Close both."""
        self._open -= DOORS
        self._see()

    def reopen_doors(self) -> None:
        """Something stands in the closing door."""
        if self._open & DOORS:
            self.counts.reopenings += 1
            self._see()

    def drop_supply(self) -> None:
        """The main supply fails or is switched off: the brake falls in."""
        if self._is_supplied:
            if self._motion is not None:
                self._stop_in_emergency()
            self._is_supplied = False
            self._calls.clear()
            self._see()

    def restore_supply(self) -> None:
        """It comes back, and the controller starts anew at the nearest floor."""
        if not self._is_supplied:
            self._is_supplied = True
            self.counts.supply_drops += 1
            if self.mode is Mode.NORMAL:
                self._relevel()
            self._see()

    # ---- fate ----

    def break_down(self, fault: int, *, with_passenger: bool = False) -> None:
        """The controller finds a fault and stops."""
        if self._motion is not None:
            self._stop_in_emergency()
        self._fault = fault
        self._is_trapped = with_passenger
        self._calls.clear()
        self._see()

    def repair(self) -> None:
        """The fault is gone."""
        self._fault, self._is_trapped = 0, False
        if self.mode is Mode.NORMAL and self._may_move():
            self._relevel()
        self._see()

    # ---- inside ----

    def _may_move(self) -> bool:
        return self._is_supplied and self.is_chain_closed and self._motion is None

    def _serve_next(self) -> None:
        if self._is_busy or not self._calls or self.mode is not Mode.NORMAL or not self._may_move():
            return
        from_floor, to_floor = self._calls.pop(0)
        self._is_busy = True
        self._ride(from_floor, lambda: self._let_people_walk(lambda: self._ride(to_floor, self._let_out)))

    def _let_out(self) -> None:
        self._let_people_walk(self._end_call)

    def _end_call(self) -> None:
        self._is_busy = False
        self._serve_next()

    def _ride(self, floor: int, then: Callable[[], None]) -> None:
        if not self._may_move() or self.mode not in RIDES:
            self._is_busy = False  # it went out of service while doors were open: people take the stairs
            return
        target_mm = (floor - 1) * self.form.floor_height_mm
        distance_mm = abs(target_mm - self.position_mm)
        if distance_mm < self.form.floor_height_mm // 2:
            then()
            return
        speed_mm_s = self.form.rated_speed_mm_s
        self._start(target_mm, speed_mm_s if target_mm > self.position_mm else -speed_mm_s)

        def arrive() -> None:
            self._motion = None
            self.position_mm = target_mm
            self._level_mm = self.chance.bell(self.form.levelling_mm, limit=4 * self.form.levelling_mm)
            self.counts.trips += 1
            self._see()
            then()

        self._plan(self._moving(arrive), self.form.ride_ms(distance_mm))

    def _let_people_walk(self, then: Callable[[], None]) -> None:
        if self.mode not in RIDES or not self._is_supplied:
            self._is_busy = False
            return
        self.open_doors()
        reopens = self.chance.happens(_REOPENS)
        standing_ms = self.form.door_ms + self.form.standing_ms

        def close() -> None:
            if self._open & DOORS and self._is_busy and self._is_supplied:
                self.close_doors()
                then()
            else:
                self._is_busy = False

        if reopens:
            self._plan(self.reopen_doors, standing_ms)
        self._plan(close, (standing_ms if reopens else 0) + standing_ms + self.form.door_ms)

    def _relevel(self) -> None:
        self.position_mm = (self.floor - 1) * self.form.floor_height_mm
        self._open -= DOORS
        self._is_busy = False

    def _end_mm(self, direction: int) -> int:
        """Where a slow run ends: at the last floors, or at the final limit where that is being tried."""
        reach_mm = self.form.overrun_mm if self._switches.finals_bridged else 0
        return self.form.top_mm + reach_mm if direction > 0 else -reach_mm

    def _reach_end(self, end_mm: int) -> None:
        self._stop()
        if not 0 <= end_mm <= self.form.top_mm:
            self._open.add(Contact.FINAL_LIMIT)
        self._see()

    def _start(self, until_mm: int, speed_mm_s: int) -> None:
        assert self._may_move(), "an open chain or a dead supply moves nothing"
        self._planned += 1
        self._motion = _Motion(self.now_ms, self.position_mm, until_mm, speed_mm_s, self._planned)
        self._see()

    def _stop(self) -> None:
        self.position_mm = self._place_mm()
        self._motion = None
        if Contact.FINAL_LIMIT in self._open and 0 <= self.position_mm <= self.form.top_mm:
            self._open.discard(Contact.FINAL_LIMIT)

    def _stop_in_emergency(self) -> None:
        assert self._motion is not None
        is_fast = abs(self._motion.speed_mm_s) > _INSPECTION_SPEED_MAX_MM_S
        self._stop()
        self._is_busy = False
        if is_fast:
            self.counts.emergency_stops += 1
            self._decel_mm_s2 = self.form.brake_mm_s2 + self.chance.bell(120, limit=400)

    def _place_mm(self) -> int:
        if self._motion is None:
            return self.position_mm
        went_mm = self._motion.speed_mm_s * (self.now_ms - self._motion.started_ms) // 1000
        low_mm, high_mm = sorted((self._motion.from_mm, self._motion.until_mm))
        return max(low_mm, min(high_mm, self._motion.from_mm + went_mm))

    def _moving(self, action: Callable[[], None]) -> Callable[[], None]:
        """The action, if the present motion is still going on then."""
        assert self._motion is not None
        number = self._motion.number

        def act() -> None:
            if self._motion is not None and self._motion.number == number:
                action()

        return act

    def _plan(self, action: Callable[[], None], after_ms: int) -> None:
        self._planned += 1
        heappush(self._due, (self.now_ms + after_ms, self._planned, action))

    def _see(self) -> None:
        counts = self.counts
        self.sights.append(
            Sight(
                at_ms=self.now_ms, mode=self.mode, floor=self.floor, open_contacts=frozenset(self._open),
                speed_mm_s=0 if self._motion is None else self._motion.speed_mm_s, is_supplied=self._is_supplied,
                trips=counts.trips, door_cycles=counts.door_cycles, reopenings=counts.reopenings,
                inspection_runs=counts.inspection_runs, alarms=counts.alarms, supply_drops=counts.supply_drops,
                emergency_stops=counts.emergency_stops, decel_mm_s2=self._decel_mm_s2, level_mm=self._level_mm,
                fault=self._fault, is_trapped=self._is_trapped,
            )
        )  # fmt: skip
