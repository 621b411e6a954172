"""What a lift lived through around a visit, and what its module told of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from devices.simulated.chance import Chance
from devices.simulated.lift.crew import Deed, play
from devices.simulated.lift.module import MODELS, reports
from devices.simulated.lift.noise import Heard, Noise, through
from devices.simulated.lift.passengers import rides
from devices.simulated.lift.physics import Lift, LiftForm

LEAD_S = 80 * 60  # modules that speak once an hour must be heard before and after
_UTC_TO_LOCAL_H = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A module's messages in the order of their arrival."""

    form: LiftForm
    model: str
    messages: Sequence[Heard]


def some_form(chance: Chance, model: str) -> LiftForm:
    """A lift as houses have them; model D is met in other houses, with other doors."""
    if model == "D":
        return LiftForm(
            floors=chance.one_of((3, 4, 5, 34, 40)), rated_speed_mm_s=chance.one_of((500, 2_500, 4_000)),
            inspection_speed_mm_s=chance.between(150, 300), door_ms=chance.between(4_000, 5_500),
            standing_ms=chance.between(6_000, 9_000), floor_height_mm=chance.between(3_200, 4_500),
        )  # fmt: skip
    return LiftForm(
        floors=chance.between(6, 28), rated_speed_mm_s=chance.one_of((1_000, 1_500, 1_750, 2_000)),
        inspection_speed_mm_s=chance.between(250, 600), door_ms=chance.between(2_000, 3_200),
        floor_height_mm=chance.between(2_800, 3_100),
    )  # fmt: skip


def live(
    chance: Chance, form: LiftForm, model: str, noise: Noise, deeds: Iterable[Deed], start_s: int, end_s: int
) -> Told:
    """A lift from some time before `start_s` to some time after `end_s`, with passengers and these deeds."""
    from_ms, to_ms = (start_s - LEAD_S) * 1000, (end_s + LEAD_S) * 1000
    lift = Lift(form=form, chance=chance, now_ms=from_ms)
    lift.counts.trips = chance.between(10_000, 400_000)
    lift.counts.door_cycles = lift.counts.trips * 13 // 10
    lift.counts.alarms, lift.counts.supply_drops = chance.between(0, 90), chance.between(0, 40)
    first_hour = (from_ms // 3_600_000 + _UTC_TO_LOCAL_H) % 24
    people = rides(chance, from_ms, to_ms, floors=form.floors, a_day=chance.between(90, 420), first_hour=first_hour)
    play(lift, [*people, *deeds], to_ms)
    told = list(reports(lift.sights[1:], MODELS[model], to_ms))
    return Told(form=form, model=model, messages=through(told, noise, chance))
