"""What lifts and access controllers publish, and when: pure functions of (seed, device, time).

Every message has a number that counts from the building's first day, so that a restarted device goes on with the next
one and a gateway sees what it missed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol
from zoneinfo import ZoneInfo

from devices.simulated.calendar import EPOCH_DAY, day_start_ms, local_date, next_day
from devices.simulated.chance import between, draw, share
from devices.simulated.consumption import TRIP_HOURS, TRIP_SHAPE, Consumption

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
_CADENCE_DAYS = 14  # TSG T5002-2017: a half-month visit at most every 15 days
VISIT_STAGES = (
    (0, "inspection", 0),
    (5, "inspection", 2),
    (10, "inspection", 3),
    (15, "out_of_service", 0),
    (18, "inspection", 0),
    (25, "inspection", 3),
    (30, "inspection", 1),
    (35, "normal", 0),
)
"""A mechanic's visit as the module reports it: after so many minutes the mode, and door cycles since the last report.

He tries the doors from the car's roof, presses the stop switch there for three minutes, and gives the lift back.
"""
VISIT_MINUTES = VISIT_STAGES[-1][0]
VISIT_DOOR_CYCLES = sum(cycles for _, _, cycles in VISIT_STAGES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One message that a device publishes at `at_ms`; `content` lacks only `seq` and `ts`."""

    number: int
    at_ms: int
    content: dict[str, object]


class Schedule(Protocol):
    """A device's messages, day by day."""

    def count(self, day: date) -> int:
        """How many messages a day has; cheap, for numbering."""
        ...

    def contents(self, day: date) -> list[tuple[int, dict[str, object]]]:
        """(at_ms, content) of a day's messages, in order."""
        ...


class Lift:
    """A lift's module: a report each hour, at each change of mode, and every few minutes of a mechanic's visit.

    The mechanic comes at `visits_ms`, or, where that is None, every 14th day in the morning; now and then the lift has
    a fault.
    """

    def __init__(
        self, seed: int, name: str, zone: ZoneInfo, floors: int, visits_ms: tuple[int, ...] | None = None
    ) -> None:
        self._seed = seed
        self._name = name
        self._zone = zone
        self._floors = floors
        self._visits_ms = visits_ms
        self._trips = Consumption(seed, f"{name}/trips", zone, TRIP_SHAPE)

    def count(self, day: date) -> int:
        return 24 + len(VISIT_STAGES) * len(self._visits(day)) + (2 if self._has_fault(day) else 0)

    def contents(self, day: date) -> list[tuple[int, dict[str, object]]]:
        start_ms = day_start_ms(day, self._zone)
        times = [start_ms + hour * HOUR_MS for hour in range(24)]
        visits = self._visits(day)
        broken_ms = start_ms + (13 * 60 + between(1, 400, self._seed, self._name, day, "broke")) * MINUTE_MS
        repaired_ms = broken_ms + between(12, 55, self._seed, self._name, day, "repair") * MINUTE_MS
        broken = range(broken_ms, repaired_ms) if self._has_fault(day) else range(0)
        times += [visit_ms + minute * MINUTE_MS for visit_ms in visits for minute, _, _ in VISIT_STAGES]
        times += [broken_ms, repaired_ms] if broken else []
        earlier = self._visits_before(day)
        return [(at_ms, self._report(at_ms, visits, earlier, broken)) for at_ms in sorted(times)]

    def _report(self, at_ms: int, visits: Sequence[int], earlier: int, broken: range) -> dict[str, object]:
        mode, cycles = "normal", VISIT_DOOR_CYCLES * earlier
        for visit_ms in visits:
            for minute, stage, stage_cycles in VISIT_STAGES:
                if at_ms >= visit_ms + minute * MINUTE_MS:
                    mode, cycles = stage, cycles + stage_cycles
        if at_ms in broken:
            mode = "fault"
        trips = self._trips.at(at_ms)
        floor = 1 + draw(self._seed, self._name, "floor", at_ms) % self._floors
        fault = between(10, 40, self._seed, self._name, at_ms // HOUR_MS, "code") if mode == "fault" else 0
        return {"mode": mode, "floor": floor, "trips": trips, "door_cycles": trips * 13 // 10 + cycles, "fault": fault}

    def _visits(self, day: date) -> list[int]:
        """When the mechanic comes on a day."""
        start_ms = day_start_ms(day, self._zone)
        if self._visits_ms is not None:
            return [visit_ms for visit_ms in self._visits_ms if 0 <= visit_ms - start_ms < 24 * HOUR_MS]
        if (day - EPOCH_DAY).days % _CADENCE_DAYS != self._day_of_fortnight:
            return []
        return [start_ms + 9 * HOUR_MS + between(10, 80, self._seed, self._name, day, "visit") * MINUTE_MS]

    def _visits_before(self, day: date) -> int:
        """How many visits there were before a day: the doors remember them."""
        if self._visits_ms is not None:
            start_ms = day_start_ms(day, self._zone)
            return sum(visit_ms < start_ms for visit_ms in self._visits_ms)
        return max(0, ((day - EPOCH_DAY).days + _CADENCE_DAYS - 1 - self._day_of_fortnight) // _CADENCE_DAYS)

    @property
    def _day_of_fortnight(self) -> int:
        """Which day of each fortnight is the mechanic's."""
        return draw(self._seed, self._name, "mechanic") % _CADENCE_DAYS

    def _has_fault(self, day: date) -> bool:
        return draw(self._seed, self._name, day, "fault") % 23 == 0


class AccessController:
    """A door: people come and go by the day's shape; now and then a card is refused or the door is held open."""

    def __init__(self, seed: int, name: str, zone: ZoneInfo, cards: int = 60, entries_a_day: int = 50) -> None:
        self._seed = seed
        self._name = name
        self._zone = zone
        self._cards = cards
        self._entries_a_day = entries_a_day
        self._hours = [hour for hour, weight in enumerate(TRIP_HOURS) for _ in range(weight)]

    def count(self, day: date) -> int:
        fewer = 0.75 if day.weekday() >= 5 else 1.0
        return int(self._entries_a_day * fewer * (0.8 + 0.4 * share(self._seed, self._name, day, "count")))

    def contents(self, day: date) -> list[tuple[int, dict[str, object]]]:
        start_ms = day_start_ms(day, self._zone)
        events = [self._event(start_ms, draw(self._seed, self._name, day, index)) for index in range(self.count(day))]
        return sorted(events, key=lambda event: event[0])

    def _event(self, start_ms: int, chance: int) -> tuple[int, dict[str, object]]:
        hour = self._hours[chance % len(self._hours)]
        at_ms = start_ms + hour * HOUR_MS + (chance >> 16) % HOUR_MS
        luck = (chance >> 40) % 100
        if luck == 0:
            return at_ms, {"event": "held_open", "door": self._name}
        if luck <= 2:
            stranger = f"{draw(self._seed, 'stranger', chance) % 10**10:010d}"
            return at_ms, {"event": "denied", "card": stranger, "door": self._name, "reason": "unknown card"}
        card = f"{draw(self._seed, 'card', (chance >> 48) % self._cards) % 10**10:010d}"
        return at_ms, {"event": "granted", "card": card, "door": self._name}


class Numbered:
    """A schedule's events with their numbers, from any event or instant on."""

    def __init__(self, schedule: Schedule, zone: ZoneInfo) -> None:
        self._schedule = schedule
        self._zone = zone
        self._first_numbers = [0]  # of each day from EPOCH_DAY on

    def from_number(self, number: int) -> Iterator[Event]:
        """All events from this number on, without end."""
        day = EPOCH_DAY
        while self._first_number(next_day(day)) <= number:
            day = next_day(day)
        return (event for event in self._from_day(day) if event.number >= number)

    def from_time(self, at_ms: int) -> Iterator[Event]:
        """All events from this instant on, without end."""
        return (event for event in self._from_day(local_date(at_ms, self._zone)) if event.at_ms >= at_ms)

    def _from_day(self, day: date) -> Iterator[Event]:
        while True:
            first = self._first_number(day)
            for index, (at_ms, content) in enumerate(self._schedule.contents(day)):
                yield Event(number=first + index, at_ms=at_ms, content=content)
            day = next_day(day)

    def _first_number(self, day: date) -> int:
        index = max(0, (day - EPOCH_DAY).days)
        while len(self._first_numbers) <= index:
            counted = date.fromordinal(EPOCH_DAY.toordinal() + len(self._first_numbers) - 1)
            self._first_numbers.append(self._first_numbers[-1] + self._schedule.count(counted))
        return self._first_numbers[index]
