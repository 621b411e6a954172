"""The simulated lift: whatever people do to it, it stays a lift, and its modules tell only what its state shows."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.visit import VisitClass
from devices.simulated.chance import Chance
from devices.simulated.lift.crew import Deed, Round, items_of, look_in, observable, play, service
from devices.simulated.lift.module import MODELS, Report, reports
from devices.simulated.lift.noise import Noise, through
from devices.simulated.lift.passengers import rides
from devices.simulated.lift.physics import RIDES, SLOW, Contact, Lift, LiftForm, Mode, Sight

START_MS = 1_790_000_000_000
HOUR_MS = 3_600_000
FORM = LiftForm()
COUNTERS = ("trips", "door_cycles", "reopenings", "inspection_runs", "alarms", "supply_drops", "emergency_stops")
YEAR = VisitClass.YEAR

SWITCHES = ("car_top", "car", "emergency_electric", "fire", "out_of_service", "finals_bridged")
ACTS = st.one_of(
    st.tuples(st.just("switch"), st.tuples(st.sampled_from(SWITCHES), st.booleans())),
    st.tuples(st.sampled_from(["open_contact", "close_contact"]), st.tuples(st.sampled_from(Contact))),
    st.tuples(st.just("run"), st.tuples(st.sampled_from([1, -1]))),
    st.tuples(st.just("call"), st.tuples(st.integers(1, FORM.floors), st.integers(1, FORM.floors))),
    st.tuples(st.just("dispatch"), st.tuples(st.integers(1, FORM.floors))),
    st.tuples(st.just("break_down"), st.tuples(st.integers(1, 40))),
    st.tuples(
        st.sampled_from(
            ["halt", "reset_governor", "open_doors", "open_landing_door", "close_doors", "reopen_doors", "drop_supply",
             "restore_supply", "press_alarm", "repair"]
        ),
        st.just(()),
    ),
)  # fmt: skip
LIVES = st.lists(st.tuples(st.integers(1, 90_000), ACTS), max_size=60)


def lived(life: list[tuple[int, tuple[str, tuple[object, ...]]]], seed: int = 1) -> Lift:
    lift, at_ms, deeds = Lift(form=FORM, chance=Chance(seed), now_ms=START_MS), START_MS, []
    for gap_ms, (act, arguments) in life:
        at_ms += gap_ms
        deeds.append(Deed(at_ms, act, arguments))
    play(lift, deeds, at_ms + 120_000)
    return lift


@settings(max_examples=150, deadline=None)
@given(LIVES)
def test_whatever_people_do_the_lift_stays_safe(life: list[tuple[int, tuple[str, tuple[object, ...]]]]) -> None:
    lift = lived(life)
    for sight in lift.sights:
        if sight.speed_mm_s:
            assert sight.open_contacts <= {Contact.FINAL_LIMIT}, "an open chain moves nothing"
            assert sight.is_supplied, "the brake holds a lift without supply"
            assert sight.mode in (*SLOW, *RIDES, Mode.FIRE)
        if sight.mode in SLOW:
            assert abs(sight.speed_mm_s) <= 630
        assert 1 <= sight.floor <= FORM.floors
    assert -FORM.overrun_mm <= lift.position_mm <= FORM.top_mm + FORM.overrun_mm
    for before, after in pairwise(lift.sights):
        assert before.at_ms <= after.at_ms
        assert all(getattr(before, name) <= getattr(after, name) for name in COUNTERS)


def test_a_tripped_governor_stays_open_until_somebody_resets_it() -> None:
    lift = Lift(form=FORM, chance=Chance(1), now_ms=START_MS)
    lift.open_contact(Contact.GOVERNOR)
    lift.close_contact(Contact.GOVERNOR)
    lift.call(1, 5)
    lift.advance(START_MS + HOUR_MS)
    assert (lift.counts.trips, lift.sights[-1].open_contacts) == (0, {Contact.GOVERNOR})
    lift.reset_governor()
    lift.call(1, 5)
    lift.advance(START_MS + 2 * HOUR_MS)
    assert lift.counts.trips == 3, "who waited is served as well"


def test_passengers_ride_and_are_counted() -> None:
    lift = Lift(form=FORM, chance=Chance(2), now_ms=START_MS)
    play(lift, rides(lift.chance, START_MS, START_MS + 24 * HOUR_MS, floors=12, a_day=200), START_MS + 25 * HOUR_MS)
    assert 150 < lift.counts.trips < 420
    assert lift.counts.door_cycles > lift.counts.trips / 2
    assert (lift.counts.inspection_runs, lift.counts.emergency_stops, lift.mode) == (0, 0, Mode.NORMAL)


def test_a_ride_at_rated_speed_takes_what_its_ramps_and_distance_take() -> None:
    assert FORM.ride_ms(29_000) == (29_000 - 3_214) * 1000 // 1_500 + 2 * 1_500_000 // 700
    assert FORM.ride_ms(2_900) == 2 * 2_035


@pytest.mark.parametrize("visit_class", [one for one in VisitClass if one])
@pytest.mark.parametrize("seed", range(3))
def test_a_visit_gives_the_lift_back_whole(visit_class: VisitClass, seed: int) -> None:
    lift, done = visited(visit_class, seed)
    minutes = (done.end_ms - done.start_ms) // 60_000
    assert 20 <= minutes <= {1: 110, 2: 150, 3: 240, 4: 420}[int(visit_class)]
    assert (lift.mode, lift.sights[-1].open_contacts, lift.sights[-1].fault) == (Mode.NORMAL, frozenset(), 0)
    assert sum(spent_in(lift.sights, mode) for mode in SLOW) > 8 * 60_000


@pytest.mark.parametrize("model", sorted(MODELS))
@pytest.mark.parametrize("seed", range(2))
def test_what_is_left_out_leaves_no_trace_and_what_is_done_does(model: str, seed: int) -> None:
    whole = traces(*visited(YEAR, seed), model)
    told, merged = MODELS[model].told, MODELS[model].merged
    groups = observable(YEAR, told, merged)
    assert groups, "every model can tell something"
    for group in groups:
        lost = whole - traces(*visited(YEAR, seed, group), model)
        assert lost & told, f"{model}: leaving out {sorted(group)} takes no trace away"


def test_somebody_who_looks_in_is_seen_for_no_longer_than_that() -> None:
    done = look_in(START_MS, Chance(3))
    lift = Lift(form=FORM, chance=Chance(3), now_ms=START_MS - HOUR_MS)
    play(lift, done.deeds, START_MS + HOUR_MS)
    assert 30_000 <= spent_in(lift.sights, Mode.INSPECTION) <= 180_000
    assert lift.counts.inspection_runs == 0


def test_model_a_speaks_every_hour_and_at_each_change_of_mode_only() -> None:
    lift, done = visited(VisitClass.HALF_MONTH, 1)
    told = told_by(lift, done, "A")
    assert all(set(content) == {"mode", "floor", "trips", "door_cycles", "fault"} for _, content in told)
    for (_, before), (at_ms, after) in pairwise(told):
        assert at_ms % HOUR_MS == 0 or before["mode"] != after["mode"]


def test_model_b_tells_all_each_minute_and_only_changes_between() -> None:
    lift, done = visited(VisitClass.QUARTER, 1)
    told = told_by(lift, done, "B")
    whole = [at_ms for at_ms, content in told if len(content) == 14]
    assert all(later - earlier == 60_000 for earlier, later in pairwise(whole[1:]))
    between = [content for _, content in told if len(content) < 14]
    assert between
    assert all("mode" in content for content in between)
    assert {content["chain"] for content in between if "chain" in content} >= {"pit_stop", "tension_weight", "closed"}


def test_model_c_forgets_its_counts_when_its_supply_comes_back() -> None:
    lift = Lift(form=FORM, chance=Chance(4), now_ms=START_MS)
    play(
        lift,
        [Deed(START_MS + 60_000 * at, "call", (1, 5 + at % 2)) for at in range(1, 9)]
        + [Deed(START_MS + 600_000, "drop_supply"), Deed(START_MS + 660_000, "restore_supply"),
           Deed(START_MS + 700_000, "call", (1, 8))],
        START_MS + 900_000,
    )  # fmt: skip
    trips = [content["trips"] for _, content in reports(lift.sights, MODELS["C"], lift.now_ms) if "trips" in content]
    assert trips[-1] == 2 < max(trips)  # type: ignore[operator, type-var]


def test_a_bad_line_loses_doubles_and_delays_but_never_changes_what_was_said() -> None:
    told: list[Report] = [(START_MS + 60_000 * minute, {"minute": minute}) for minute in range(2_000)]
    heard = through(told, Noise(lost=0.05, doubled=0.05, cut_off=1.0), Chance(5))
    numbers = [one.number for one in heard]
    assert 1_850 < len(set(numbers)) < 2_000
    assert len(numbers) > len(set(numbers))
    assert all(one.content == {"minute": one.number - 1} for one in heard)
    assert max(one.arrived_ms - one.told_ms for one in heard) > 10 * 60_000
    assert [one.arrived_ms for one in heard] == sorted(one.arrived_ms for one in heard)


def visited(visit_class: VisitClass, seed: int, left_out: frozenset[str] = frozenset()) -> tuple[Lift, Round]:
    """A lift that nobody but a crew used, before, during and after its visit."""
    assert left_out <= set(items_of(visit_class))
    chance = Chance(seed, "visit")
    lift = Lift(form=FORM, chance=chance, now_ms=START_MS - HOUR_MS)
    done = service(START_MS, chance, FORM, visit_class, left_out=left_out)
    play(lift, done.deeds, done.end_ms + HOUR_MS)
    return lift, done


def told_by(lift: Lift, done: Round, model: str) -> list[Report]:
    return list(reports(lift.sights, MODELS[model], done.end_ms + HOUR_MS))


def traces(lift: Lift, done: Round, model: str) -> set[str]:
    """What a module's messages show of work, by the names of `crew.TRACES`."""
    told = told_by(lift, done, model)
    found = {f"chain:{content['chain']}" for _, content in told if "chain" in content}
    found |= {f"mode:{content['mode']}" for _, content in told}
    now: dict[str, object] = {}
    for _, content in told:
        for name in COUNTERS:
            rose = name in now and name in content and content[name] != now[name]
            if rose and (now["mode"] != "normal" or name == "supply_drops"):
                found.add("doors" if name == "door_cycles" else name)
        now |= content
    return found


def spent_in(sights: list[Sight], mode: Mode) -> int:
    """Milliseconds in a mode."""
    return sum(after.at_ms - before.at_ms for before, after in pairwise(sights) if before.mode is mode)
