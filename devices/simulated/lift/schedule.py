"""What a simulated building's lift publishes, day by day: a pure function of (seed, name, time).

Visits are lived through by the lift of `physics`; on other days nothing happens that a formula does not tell as well,
so that a month costs no more than its hours. Who rides during a visit takes the stairs: the counts stand still then.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from itertools import count
from zoneinfo import ZoneInfo

from contracts.visit import VisitClass
from devices.simulated.calendar import EPOCH_DAY, day_start_ms
from devices.simulated.chance import Chance, between, draw
from devices.simulated.consumption import TRIP_SHAPE, Consumption
from devices.simulated.lift.crew import Round, play, service
from devices.simulated.lift.module import COUNTERS, MODELS, Model, Report, reports
from devices.simulated.lift.physics import Lift, LiftForm

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
_CADENCE_DAYS = 14  # TSG T5002-2017: a half-month visit at most every 15 days
_FAULT_DAYS = 23  # one day in so many has a fault
_BEFORE_MS = MINUTE_MS  # the crew calls the lift a minute before it begins


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lived:
    """A visit as the module told it, and what was counted and missed by its end."""

    stretch: range  # ms
    told: tuple[Report, ...]
    risen: Mapping[str, int]  # of all visits up to and with this one
    missed_trips: int


def visit_round(seed: int, name: str, floors: int, start_ms: int) -> Round:
    """The half-month visit that a building's crew makes when it comes at `start_ms`; its end is the crew's own."""
    return _live(seed, name, floors, start_ms)[0]


@lru_cache(maxsize=256)
def _live(seed: int, name: str, floors: int, start_ms: int) -> tuple[Round, Lift]:
    chance, form = Chance(seed, name, start_ms, "visit"), LiftForm(floors=floors)
    lift = Lift(form=form, chance=chance, now_ms=start_ms - _BEFORE_MS)
    done = service(start_ms, chance, form, VisitClass.HALF_MONTH)
    play(lift, done.deeds, max(done.end_ms, done.deeds[-1].at_ms) + 1)
    return done, lift


class LiftSchedule:
    """A lift's module: a report each hour, and what its model tells of a visit or a fault when it happens.

    The crew comes at `visits_ms`, or, where that is None, every 14th day in the morning.
    """

    def __init__(
        self, seed: int, name: str, zone: ZoneInfo, floors: int, visits_ms: Sequence[int] | None = None,
        model: str = "A",
    ) -> None:  # fmt: skip
        self._seed = seed
        self._name = name
        self._zone = zone
        self._floors = floors
        self._model: Model = replace(MODELS[model], every_ms=HOUR_MS)
        self._trips = Consumption(seed, f"{name}/trips", zone, TRIP_SHAPE)
        self._coming = self._fortnights() if visits_ms is None else iter(sorted(visits_ms))
        self._next_ms = next(self._coming, None)
        self._starts: list[int] = []
        self._lived: list[_Lived] = []

    def count(self, day: date) -> int:
        start_ms, visits = self._day(day)
        told = sum(start_ms <= at_ms < start_ms + DAY_MS for visit in visits for at_ms, _ in visit.told)
        return told + len(_quiet_hours(start_ms, visits)) + (2 if self._fault(day, start_ms, visits) else 0)

    def contents(self, day: date) -> list[Report]:
        start_ms, visits = self._day(day)
        told = [row for visit in visits for row in visit.told if start_ms <= row[0] < start_ms + DAY_MS]
        broken = self._fault(day, start_ms, visits)
        times = _quiet_hours(start_ms, visits) + ([broken.start, broken.stop] if broken else [])
        told += [(at_ms, self._report(at_ms, is_broken=at_ms in broken)) for at_ms in times]
        return sorted(told, key=lambda row: row[0])

    def _day(self, day: date) -> tuple[int, list[_Lived]]:
        """A day's start, and the visits that touch it."""
        start_ms = day_start_ms(day, self._zone)
        end_ms = start_ms + DAY_MS
        self._live_until(end_ms)
        first = bisect_right(self._starts, start_ms - DAY_MS)
        near = self._lived[first : bisect_right(self._starts, end_ms)]
        return start_ms, [one for one in near if one.stretch.start < end_ms and one.stretch.stop > start_ms]

    def _live_until(self, end_ms: int) -> None:
        """Live through every visit that begins by then; each is lived once."""
        while self._next_ms is not None and self._next_ms - _BEFORE_MS < end_ms:
            self._lived.append(self._visit(self._next_ms))
            self._starts.append(self._next_ms - _BEFORE_MS)
            self._next_ms = next(self._coming, None)

    def _visit(self, start_ms: int) -> _Lived:
        _, lift = _live(self._seed, self._name, self._floors, start_ms)
        stretch = range(start_ms - _BEFORE_MS, lift.now_ms)
        before = self._counts(stretch.start)
        told = tuple(
            (at_ms, {name: _sum(value, before.get(name)) for name, value in content.items()})
            for at_ms, content in reports(lift.sights, self._model, stretch.stop)
        )
        last = self._lived[-1] if self._lived else None
        risen = {name: getattr(lift.sights[-1], name) + (last.risen[name] if last else 0) for name in COUNTERS}
        missed = self._trips.at(stretch.stop) - self._trips.at(stretch.start) + (last.missed_trips if last else 0)
        return _Lived(stretch=stretch, told=told, risen=risen, missed_trips=missed)

    def _counts(self, at_ms: int) -> dict[str, int]:
        """What is counted at an instant that no visit holds."""
        number = bisect_right(self._starts, at_ms) - 1
        last = self._lived[number] if 0 <= number < len(self._lived) else None
        rides = self._trips.at(at_ms) - (last.missed_trips if last else 0)
        counts = dict.fromkeys(COUNTERS, 0) | {
            "trips": rides, "door_cycles": rides * 13 // 10, "reopenings": rides // 25, "alarms": rides // 600
        }  # fmt: skip
        return {name: counts[name] + (last.risen[name] if last else 0) for name in COUNTERS}

    def _report(self, at_ms: int, *, is_broken: bool) -> dict[str, object]:
        fault = between(10, 40, self._seed, self._name, at_ms // HOUR_MS, "code") if is_broken else 0
        whole: dict[str, object] = {
            "mode": "fault" if is_broken else "normal",
            "floor": 1 + draw(self._seed, self._name, "floor", at_ms) % self._floors,
            "chain": "closed", "fault": fault, "decel_mm_s2": 0, "trapped": "no",
            "level_mm": between(-6, 6, self._seed, self._name, "level", at_ms), **self._counts(at_ms),
        }  # fmt: skip
        return {name: whole[name] for name in self._model.fields}

    def _fault(self, day: date, start_ms: int, visits: Sequence[_Lived]) -> range:
        """From when to when the lift is broken on a day; nobody breaks it under the mechanic's hands."""
        if visits or draw(self._seed, self._name, day, "fault") % _FAULT_DAYS:
            return range(0)
        broken_ms = start_ms + (13 * 60 + between(1, 400, self._seed, self._name, day, "broke")) * MINUTE_MS
        return range(broken_ms, broken_ms + between(12, 55, self._seed, self._name, day, "repair") * MINUTE_MS)

    def _fortnights(self) -> Iterator[int]:
        """Every 14th morning from the building's first day on."""
        first = draw(self._seed, self._name, "mechanic") % _CADENCE_DAYS
        for number in count():
            day = date.fromordinal(EPOCH_DAY.toordinal() + first + number * _CADENCE_DAYS)
            minute = between(10, 80, self._seed, self._name, day, "visit")
            yield day_start_ms(day, self._zone) + 9 * HOUR_MS + minute * MINUTE_MS


def _quiet_hours(start_ms: int, visits: Sequence[_Lived]) -> list[int]:
    """The whole hours of a day at which no visit goes on."""
    hours = [start_ms + hour * HOUR_MS for hour in range(24)]
    return [at_ms for at_ms in hours if not any(at_ms in visit.stretch for visit in visits)]


def _sum(value: object, before: int | None) -> object:
    return value + before if before is not None and isinstance(value, int) else value
