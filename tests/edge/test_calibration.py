"""Visits by which a meter was calibrated: its register that went on, and the time for which it did not answer."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.entry import Kind, device_id
from contracts.pack import read_pack
from contracts.visit import VisitClass
from devices.bthome_profile import BthomeProfile
from devices.dlt645.profile import Dlt645Profile
from devices.errors import ProfileError
from devices.gateway_profile import GatewayProfile
from devices.plausibility import REGISTER_FELL, TOO_FAST
from devices.profile import SHIPPED, load_profile, shipped_profiles
from devices.reading import Reading
from devices.visit_rules import CALIBRATION_FORMS, VisitRule
from edge.calendar_days import LocalDays
from edge.committer import Committer, Submission
from edge.recorder import DeviceRecorder
from edge.registers import Registers
from edge.roster import make_roster
from edge.settings import read_settings
from edge.visits.calibration import Calibrations, Place, places_of
from edge.visits.calibration_rules import MeterHeard, Telling, find_in_calibration
from edge.visits.finding import Finding
from edge.voice import GAP_DEVICE_SILENT, Voice
from tests.edge.site import GATEWAY as GATEWAYS_URN
from tests.edge.site import Site
from tests.edge.test_device_visits import HOUR_MS, MINUTE_MS, NOW_MS, START_MS, START_S, visit
from tests.edge.visit_room import Verdict, VisitRoom

METER, BESIDE = "urn:minglou:site:b01:meter:m1", "urn:minglou:site:b01:meter:m2"
REGISTER = "1-0:1.8.0"
STEADY_WH = 40_000
VISIT_MINUTES = 35
OFF = (3, 30)
_profile = load_profile("dlt645-2007-single-phase")
assert isinstance(_profile, Dlt645Profile)
LIMITS, ALL_RULES = _profile.limits, _profile.visit_rules
RULES = {rule.item: rule for rule in ALL_RULES if rule.form in CALIBRATION_FORMS}


# ---- what the rules see ----


def told(every: int, *, off: tuple[int, int] = (0, 0), until: int = 100) -> list[int]:
    """The minutes in which a meter is read, by how often it is, but for those in which it is off."""
    return [minute for minute in range(-190, until, every) if not off[0] <= minute < off[1]]


def at_ms(minutes: Sequence[int]) -> list[int]:
    return [START_MS + minute * MINUTE_MS for minute in minutes]


def meter(
    minutes: Sequence[int], says: Callable[[int], tuple[str, ...]] = lambda minute: (), *,
    beside: Sequence[int] | None = None, every: int = 1, silences: Sequence[tuple[int, int]] = (),
) -> MeterHeard:  # fmt: skip
    """A visit from minute 0 to 35; the meters beside it are read all the time unless told otherwise."""
    tellings: list[Telling] = [(one_ms, says(minute)) for minute, one_ms in zip(minutes, at_ms(minutes), strict=True)]
    return MeterHeard(
        told={REGISTER: tellings}, beside=at_ms(told(every) if beside is None else beside),
        silences=[(START_MS + one * MINUTE_MS, START_MS + other * MINUTE_MS) for one, other in silences],
        started_ms=START_MS, ended_ms=START_MS + VISIT_MINUTES * MINUTE_MS, interval_ms=every * MINUTE_MS,
    )  # fmt: skip


def words(heard: MeterHeard | None) -> tuple[str, str]:
    """What register and pause show."""
    return (
        find_in_calibration(RULES["register-went-on"], heard)[0].value,
        find_in_calibration(RULES["poll-gap"], heard)[0].value,
    )


def test_a_meter_that_was_off_alone_and_counts_on_is_confirmed() -> None:
    heard = meter(told(1, off=OFF))
    assert words(heard) == ("confirmed", "confirmed")
    assert find_in_calibration(RULES["poll-gap"], heard)[1] == {
        "seconds": 28 * 60, "from_ms": START_MS + 2 * MINUTE_MS, "to_ms": START_MS + 30 * MINUTE_MS,
    }  # fmt: skip


def test_a_meter_that_answered_all_the_time_was_not_off() -> None:
    assert words(meter(told(1))) == ("confirmed", "not-seen")
    assert words(meter(told(1, off=(10, 18)))) == ("confirmed", "not-seen"), "eight minutes are no test of its errors"


@pytest.mark.parametrize("broken", [REGISTER_FELL, TOO_FAST])
def test_a_register_that_was_set_back_or_is_another_meters_contradicts(broken: str) -> None:
    set_back = meter(told(1, off=OFF), lambda minute: (broken,) if minute >= OFF[1] else ())
    assert words(set_back) == ("contradicted", "confirmed")
    caught_up = meter(told(1, off=OFF), lambda minute: (broken,) if OFF[1] <= minute < 60 else ())
    assert words(caught_up)[0] == "contradicted", "that it counted on since makes it no other register"


def test_one_value_that_was_misread_accuses_nobody() -> None:
    minutes = told(1, off=OFF)
    assert words(meter(minutes, lambda minute: (REGISTER_FELL,) if minute == 60 else ()))[0] == "confirmed"
    last = meter(minutes, lambda minute: (REGISTER_FELL,) if minute == minutes[-1] else ())
    assert words(last)[0] == "not-observable", "nobody knows yet which of the two it is"
    noisy = meter(minutes, lambda minute: ("above-maximum",) if minute > 50 else ())
    assert words(noisy)[0] == "not-observable"


def test_a_meter_that_is_read_by_the_hour_may_have_been_off_unnoticed() -> None:
    minutes = told(60, until=200)
    assert words(meter(minutes, beside=minutes, every=60)) == ("confirmed", "not-observable")


def test_a_meter_that_is_read_by_the_hour_is_seen_to_be_away_for_half_a_day() -> None:
    minutes = [-420, -360, *range(-300, -280), 90, 150]
    away = meter([-420, -360, 30, 90], beside=[-420, -360, -300, -240, -180, -120, -60, 0, 30, 90], every=60)
    assert words(away) == ("confirmed", "confirmed")
    assert words(meter(minutes, beside=[], every=60))[1] == "not-observable"


@pytest.mark.parametrize(
    "beside",
    [
        [],  # alone on its line, or nobody answered at all
        told(1, off=OFF),  # the line was dead, or the whole gateway
        told(1, off=(3, 28)),  # the line was dead for nearly as long
    ],
)
def test_a_line_on_which_nobody_answered_says_nothing_of_one_meter(beside: list[int]) -> None:
    assert words(meter(told(1, off=OFF), beside=beside)) == ("confirmed", "not-observable")


def test_a_meter_that_was_silent_around_the_whole_visit_was_taken_off_and_put_back_by_somebody_else() -> None:
    assert words(meter(told(1, off=(-60, 60)))) == ("confirmed", "not-observable")
    assert words(meter(told(1, off=(-60, 40)))) == ("confirmed", "confirmed"), "put back in the visit's time"


def test_a_meter_that_comes_back_from_a_laboratory_is_known_by_the_gap_that_its_gateway_told() -> None:
    back = meter(range(20, 100), silences=[(-3000, 20)])
    assert words(back) == ("confirmed", "confirmed")
    assert words(meter(range(20, 100))) == ("not-observable", "not-observable"), "who was it before?"


@pytest.mark.parametrize(
    "minutes",
    [[], told(1, until=20), range(50, 100), [-100], [99]],
    ids=["never", "not since", "not before", "once before", "once since"],
)
def test_a_silent_meter_contradicts_nobody(minutes: Sequence[int]) -> None:
    assert set(words(meter(minutes))) == {"not-observable"}
    assert set(words(None)) == {"not-observable"}


def test_how_often_a_meter_speaks_by_itself_is_told_by_what_it_told_before() -> None:
    by_itself = replace(meter(told(1, off=OFF)), interval_ms=0)
    assert words(by_itself)[1] == "confirmed"
    seldom = [minute for minute in told(1, off=OFF) if minute > -16 or minute % 30 == 0]
    assert words(replace(meter(seldom), interval_ms=0))[1] == "confirmed"
    lazy = [minute for minute in told(1, off=OFF) if minute > 0 or minute % 30 == 0]
    assert words(replace(meter(lazy), interval_ms=0))[1] == "not-observable"


minutes_any = st.lists(st.integers(-10_000, 10_000), max_size=30)


@given(minutes_any, minutes_any, st.lists(st.tuples(st.integers(-9999, 9999), st.integers(-9999, 9999)), max_size=3))
def test_nothing_that_was_told_breaks_the_rules(
    minutes: list[int], beside: list[int], silences: list[tuple[int, int]]
) -> None:
    heard = meter(sorted(minutes), beside=sorted(beside), silences=silences, every=0)
    for rule in RULES.values():
        finding, facts = find_in_calibration(rule, heard)
        assert finding in set(Finding) and all(isinstance(one, int) for one in facts.values())
    if not minutes and not silences:
        assert set(words(heard)) == {"not-observable"}
    if all(later - one < 10 for one, later in pairwise(sorted(minutes))) and not silences:
        assert words(heard)[1] != "confirmed"


# ---- with the gateway's own log ----


class MeterRoom(VisitRoom):
    """Two meters on one bus; what they answer goes through the gateway's own recorders."""

    def __init__(self, directory: Path, rules: Sequence[VisitRule] = ALL_RULES) -> None:
        place = Place(beside=frozenset({device_id(BESIDE)}), interval_ms=MINUTE_MS)
        super().__init__(directory, {device_id(METER): rules}, NOW_MS, places={device_id(METER): place})
        self.recorders = {urn: DeviceRecorder(urn, LIMITS, self.registers, self.committer) for urn in (METER, BESIDE)}

    def poll(self, urn: str, minutes: Sequence[int], register: Callable[[int], int]) -> None:
        rows = []
        for minute, one_ms in zip(minutes, at_ms(minutes), strict=True):
            reading = Reading(kind=Kind.READING, quantity=REGISTER, value=register(minute))
            rows += self.recorders[urn].rows([reading], one_ms)
        self.committer.submit(Submission(rows))
        self._wait()

    def calibrated(self, minutes: Sequence[int], register: Callable[[int], int] = lambda minute: STEADY_WH) -> Verdict:
        """The verdict on a visit by the calibration's pack, where the meter beside answered all the time."""
        self.poll(BESIDE, told(1), lambda minute: STEADY_WH)
        self.poll(METER, minutes, register)
        (verdict,) = self.judged(visit(METER, "meter-calibration", VisitClass.REPAIR))
        return verdict


def test_an_honest_calibration_is_seen_whole_and_tells_no_register(tmp_path: Path) -> None:
    with MeterRoom(tmp_path) as room:
        verdict = room.calibrated(told(1, off=OFF), lambda minute: STEADY_WH + 10 * max(0, minute))
        assert (verdict.level, dict(verdict.items)) == (3, {"register-went-on": "confirmed", "poll-gap": "confirmed"})
        assert set(verdict.facts["register-went-on"]) == {"before_ms", "after_ms"}, "a household's register is a secret"


def test_a_list_that_was_filled_at_a_desk_shows_no_work_and_a_register_that_fell_is_told(tmp_path: Path) -> None:
    with MeterRoom(tmp_path) as room:
        room.clock.step_ms = HOUR_MS  # a meter that is not believed is waited for
        verdict = room.calibrated(told(1), lambda minute: STEADY_WH - (500 if minute > 20 else 0))
        assert dict(verdict.items) == {"register-went-on": "contradicted", "poll-gap": "not-seen"}
        assert verdict.level == 0


def test_where_meters_are_calibrated_on_the_spot_no_pause_is_asked_for(tmp_path: Path) -> None:
    with MeterRoom(tmp_path, [rule for rule in ALL_RULES if rule.item != "poll-gap"]) as room:
        assert dict(room.calibrated(told(1)).items) == {"register-went-on": "confirmed"}


def test_a_gap_that_the_gateway_told_of_another_meter_is_not_this_ones(tmp_path: Path) -> None:
    with MeterRoom(tmp_path) as room:
        voice, until_ms = Voice(GATEWAYS_URN), START_MS + 20 * MINUTE_MS
        for urn, named in ((BESIDE, {"device": device_id(BESIDE).hex()}), (METER, {"device": 7})):
            told_of = {"reason": "no-answer", "of": urn[-2:], **named}
            room.submit(voice.gap(until_ms, GAP_DEVICE_SILENT, until_ms - 48 * HOUR_MS, until_ms, told_of))
        verdict = room.calibrated(range(20, 100))
        assert set(verdict.items.values()) == {"not-observable"}


def test_other_work_on_a_meter_is_asked_nothing_about_a_calibration(tmp_path: Path) -> None:
    with MeterRoom(tmp_path) as room:
        room.poll(METER, told(1), lambda minute: STEADY_WH)
        (swap,) = room.judged(visit(METER, "meter-swap", VisitClass.REPAIR))
        assert swap.items == {}, "its list notes no swap"
        bundle = visit(METER, "meter-calibration", VisitClass.REPAIR)
        (calibration,) = room.judged(bundle)
        assert set(calibration.items) == set(read_pack("meter-calibration").shows)


def test_a_calibration_is_judged_as_soon_as_the_meter_is_believed_again(tmp_path: Path) -> None:
    with MeterRoom(tmp_path) as room:
        device = device_id(METER)
        looked = Calibrations({device: ALL_RULES, b"other": ()}, {}, bytes(32), room.registers, room.committer)
        assert not looked.heard_after(device, START_MS)
        room.registers.believe(room.registers.state(device, REGISTER), STEADY_WH, START_MS + 1)
        assert looked.heard_after(device, START_MS) and not looked.heard_after(device, START_MS + 1)
        assert not looked.heard_after(b"other", 0)
        other = visit("urn:minglou:site:b01:lift:l1", "meter-calibration", VisitClass.REPAIR, start_s=START_S)
        assert looked.look(other.visit) is None


def test_beside_a_meter_are_the_others_of_its_own_line(tmp_path: Path) -> None:
    site = Site(directory=tmp_path)

    def device(name: str, table: str) -> str:
        return f'[[device]]\nurn="urn:minglou:site:b01:meter:{name}"\n{table}\n'

    bus = 'profile="dlt645-2007-single-phase"\nbus="bus{}"\naddress="00000000000{}"'
    site.tables = [
        '[ble]\nadapter="hci0"\n',
        *(f'[[serial]]\nname="bus{number}"\nport="/dev/tty{number}"\nbaud=2400\nparity="even"\n' for number in (1, 2)),
        *(device(f"m{at}", bus.format(line, at)) for at, line in ((1, 1), (2, 1), (3, 2))),
        device("m4", bus.format(1, 4) + "\npoll_seconds=60\nwithout=['poll-gap']"),
        device("w1", 'profile="bthome-water-volume"\nble_address="AA:BB:CC:00:00:01"'),
    ]
    registers = Registers(LocalDays(ZoneInfo("Asia/Shanghai")))
    roster = make_roster(read_settings(site.write()), registers, cast(Committer, None), bytes(32))
    places = places_of(roster)
    one, two, three, four, water = (device_id(f"urn:minglou:site:b01:meter:{name}") for name in (
        "m1", "m2", "m3", "m4", "w1"
    ))  # fmt: skip
    assert places[one] == Place(beside=frozenset({two, four}), interval_ms=HOUR_MS)
    assert places[four] == Place(beside=frozenset({one, two}), interval_ms=MINUTE_MS)
    assert places[three] == Place(interval_ms=HOUR_MS) and places[water] == Place()
    assert "poll-gap" in {rule.item for rule in roster.visit_rules[one]}
    assert "poll-gap" not in {rule.item for rule in roster.visit_rules[four]}, "it is calibrated on the spot"
    assert [rule.item for rule in roster.visit_rules[water]] == ["register-went-on"]


# ---- what is written in profiles ----


def test_every_meters_profile_has_the_rules_of_the_calibrations_pack_that_it_can_show() -> None:
    shows = set(read_pack("meter-calibration").shows)
    found = {}
    for name in shipped_profiles():
        profile = load_profile(name)
        assert not isinstance(profile, GatewayProfile) or not profile.limits
        found[name] = {rule.item for rule in profile.visit_rules if rule.form in CALIBRATION_FORMS}
        if isinstance(profile, Dlt645Profile):
            assert found[name] == shows, "who is asked can also be missed"
        elif isinstance(profile, BthomeProfile):
            assert found[name] == {"register-went-on"}
        else:
            assert found[name] <= {"register-went-on"}, "a radio falls silent without a hand on it"
    assert found["shelly-gen2-switch"] == found["tasmota-energy"] == {"register-went-on"}


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('"went-on"\nquantity = "1-0:1.8.0"', '"went-on"\nquantity = "1-0:1.7.0"', "no cumulative register"),
        ("seconds = 600\nshows_work", "shows_work", "seconds"),
        ("seconds = 600\nshows_work", "seconds = 0\nshows_work", "seconds"),
        ('form = "went-on"', 'form = "went-on"\nseconds = 3', "is not known here"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_rule_about_calibration_is_named(tmp_path: Path, before: str, after: str, says: str) -> None:
    text = (SHIPPED / "dlt645-2007-single-phase.toml").read_text(encoding="utf-8")
    assert before in text
    path = tmp_path / "dlt645-2007-single-phase.toml"
    path.write_text(text.replace(before, after), encoding="utf-8")
    with pytest.raises(ProfileError, match=r"dlt645-2007-single-phase.toml:[0-9]+: ") as caught:
        load_profile(path)
    assert says in str(caught.value)
