"""What devices publish, and when: pure functions of (seed, device, time). The lifts' stands in `lift.schedule`.

Every message has a number that counts from the building's first day, so that a restarted device goes on with the next
one and a gateway sees what it missed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Protocol
from zoneinfo import ZoneInfo

from devices.simulated.calendar import EPOCH_DAY, day_start_ms, local_date, next_day
from devices.simulated.chance import draw, share
from devices.simulated.consumption import TRIP_HOURS

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS


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
