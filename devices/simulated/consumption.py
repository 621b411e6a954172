"""How a cumulative register grows: by an amount a day that chance varies, spread over the hours by a daily shape."""

from dataclasses import dataclass
from datetime import date
from itertools import accumulate
from zoneinfo import ZoneInfo

from devices.simulated.calendar import EPOCH_DAY, day_start_ms, local_date, next_day
from devices.simulated.chance import between, share

SLOTS = 24
VALLEY_SLOTS = frozenset((22, 23, 0, 1, 2, 3, 4, 5, 6, 7))
"""The hours of the valley tariff in Zhejiang (22 to 8)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """`daily_mean` is in the register's base unit; `hours` are weights; days and hours vary by `spread` (0 to 1)."""

    daily_mean: int
    hours: tuple[int, ...]
    spread: float = 0.35
    weekend: float = 1.0
    initial_max: int = 0


FLAT_HOURS = (5, 4, 4, 4, 4, 5, 9, 14, 10, 7, 7, 9, 14, 9, 7, 7, 8, 12, 20, 24, 24, 21, 15, 9)
COMMON_HOURS = (10, 10, 10, 10, 10, 10, 9, 8, 5, 4, 4, 5, 5, 4, 4, 4, 5, 8, 12, 13, 13, 12, 11, 10)
WATER_HOURS = (1, 0, 0, 0, 0, 2, 9, 14, 8, 4, 3, 6, 9, 4, 2, 2, 4, 8, 13, 14, 12, 9, 5, 2)
TRIP_HOURS = (2, 1, 1, 0, 1, 3, 10, 20, 18, 9, 8, 10, 12, 9, 8, 8, 11, 18, 22, 17, 13, 9, 6, 3)


def flat_shape(area_centi_m2: int) -> Shape:
    """A flat's electricity: about 90 Wh a day and square metre."""
    mean_wh = max(2_000, area_centi_m2 * 90 // 100)
    return Shape(daily_mean=mean_wh, hours=FLAT_HOURS, weekend=1.15, initial_max=3_000_000)


COMMON_SHAPE = Shape(daily_mean=62_000, hours=COMMON_HOURS, spread=0.12, initial_max=20_000_000)
WATER_SHAPE = Shape(daily_mean=310, hours=WATER_HOURS, weekend=1.2, initial_max=40_000)
TRIP_SHAPE = Shape(daily_mean=190, hours=TRIP_HOURS, weekend=0.8, initial_max=50_000)


class Consumption:
    """One register as a pure function of time: `at` never falls, and a new object of the same seed agrees exactly.

    Days are added up from the building's first day; those sums are kept, so that asking again costs a lookup.
    """

    def __init__(self, seed: int, device: str, zone: ZoneInfo, shape: Shape) -> None:
        self._seed = seed
        self._device = device
        self._zone = zone
        self._shape = shape
        self._midnights = [between(0, shape.initial_max, seed, device, "initial")]
        self._valley_midnights = [self._midnights[0] * 3 // 10]
        self._last_day = EPOCH_DAY  # the day whose midnight is the last in the lists
        self._day: date | None = None
        self._day_from_ms = self._day_until_ms = 0
        self._day_sums: list[int] = []

    def at(self, at_ms: int) -> int:
        """The register's value at an instant."""
        if not self._day_from_ms <= at_ms < self._day_until_ms:
            self._open_day(local_date(at_ms, self._zone))
        elapsed_ms = at_ms - self._day_from_ms
        slot, within = divmod(elapsed_ms * SLOTS, self._day_until_ms - self._day_from_ms)
        low, high = self._day_sums[slot], self._day_sums[slot + 1]
        return low + (high - low) * within // (self._day_until_ms - self._day_from_ms)

    def at_midnight(self, day: date) -> int:
        """The value at the local midnight that begins a day."""
        self._add_up_to(day)
        return self._midnights[max(0, (day - EPOCH_DAY).days)]

    def valley_at_midnight(self, day: date) -> int:
        """The part of it that was used in the valley hours."""
        self._add_up_to(day)
        return self._valley_midnights[max(0, (day - EPOCH_DAY).days)]

    def valley_at(self, at_ms: int) -> int:
        """The valley part at an instant."""
        total = self.at(at_ms)
        assert self._day is not None
        slot = (at_ms - self._day_from_ms) * SLOTS // (self._day_until_ms - self._day_from_ms)
        used = self.valley_at_midnight(self._day)
        for earlier in VALLEY_SLOTS:
            if earlier < slot:
                used += self._day_sums[earlier + 1] - self._day_sums[earlier]
            elif earlier == slot:
                used += total - self._day_sums[slot]
        return used

    def _open_day(self, day: date) -> None:
        self._day = day
        self._day_from_ms = day_start_ms(day, self._zone)
        self._day_until_ms = day_start_ms(next_day(day), self._zone)
        self._day_sums = list(accumulate(self._slots(day), initial=self.at_midnight(day)))

    def _add_up_to(self, day: date) -> None:
        while self._last_day < day:
            slots = self._slots(self._last_day)
            self._midnights.append(self._midnights[-1] + sum(slots))
            self._valley_midnights.append(self._valley_midnights[-1] + sum(slots[slot] for slot in VALLEY_SLOTS))
            self._last_day = next_day(self._last_day)

    def _slots(self, day: date) -> list[int]:
        """What each of the day's 24 slots uses."""
        shape = self._shape
        day_factor = 1 + shape.spread * (2 * share(self._seed, self._device, day) - 1)
        if day.weekday() >= 5:
            day_factor *= shape.weekend
        unit = shape.daily_mean * day_factor / sum(shape.hours)
        tilt = share(self._seed, self._device, day, "tilt") * 2 - 1
        return [
            int(unit * weight * (1 + shape.spread * tilt * (1 if (slot + day.day) % 3 else -2)))
            for slot, weight in enumerate(shape.hours)
        ]
