"""The people who ride a lift all day, by the hours of the day, and now and then lean on its alarm."""

from collections.abc import Iterator

from devices.simulated.chance import Chance
from devices.simulated.consumption import TRIP_HOURS
from devices.simulated.lift.crew import Deed

HOUR_MS = 3_600_000
_ALARM_LEANS = 0.002  # of all rides: a child, an elbow, a handcart
_DOOR_TESTS = 0.01  # somebody holds the door again and again for a neighbour


def rides(
    chance: Chance, start_ms: int, end_ms: int, *, floors: int, a_day: int, first_hour: int = 0
) -> Iterator[Deed]:
    """What passengers do from `start_ms` to `end_ms`.

    Args:
        a_day: rides on an ordinary day.
        first_hour: of the local day, at `start_ms`.
    """
    per_weight = a_day / sum(TRIP_HOURS)
    at_ms = start_ms
    while at_ms < end_ms:
        hour = (first_hour + (at_ms - start_ms) // HOUR_MS) % 24
        next_ms = min(end_ms, start_ms + ((at_ms - start_ms) // HOUR_MS + 1) * HOUR_MS)
        expected = TRIP_HOURS[hour] * per_weight * (next_ms - at_ms) / HOUR_MS
        count = int(expected) + chance.happens(expected % 1)
        for _ in range(count):
            yield from _ride(chance, chance.between(at_ms, next_ms - 1), floors)
        at_ms = next_ms


def _ride(chance: Chance, at_ms: int, floors: int) -> Iterator[Deed]:
    """Most people come from the entrance or go there."""
    upper = chance.between(2, floors)
    down = chance.happens(0.5)
    from_floor, to_floor = (upper, 1) if down else (1, upper)
    if chance.happens(0.08):
        to_floor = chance.between(1, floors)
    yield Deed(at_ms, "call", (from_floor, to_floor))
    if chance.happens(_ALARM_LEANS):
        yield Deed(at_ms + 15_000, "press_alarm")
    if chance.happens(_DOOR_TESTS):
        yield Deed(at_ms + 5_000, "reopen_doors")
        yield Deed(at_ms + 7_000, "reopen_doors")
