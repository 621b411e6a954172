"""The desk of visits beside its log: what breaks one visit or one file holds up no other."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from contracts import p256
from contracts.bundle import Bundle
from contracts.entry import Kind, device_id
from contracts.quantities import VISIT_VERDICT
from contracts.visit import VisitClass
from devices.mqtt_profile import MqttJsonProfile
from devices.profile import load_profile
from edge.visits.desk import DOUBTED_SECONDS
from edge.visits.finding import UNPROVEN, Finding, PresenceFinding
from edge.visits.sightings import Sightings, kept_for
from edge.watch import Watch
from tests.bundles import bundle_of
from tests.edge.test_visits import CODES, HOUR_MS, RULES, START_MS, told
from tests.edge.visit_room import ORIGIN, VisitRoom
from tests.visits import LIFT, MECHANIC, OTHER, VISIT_STAGES, signed, visit_of

DEVICE = device_id(LIFT)
NOW_MS = START_MS + 30 * HOUR_MS


def room_in(directory: Path, presence: object = None) -> VisitRoom:
    return VisitRoom(directory, {DEVICE: RULES}, NOW_MS, presence)


def service(room: VisitRoom, start_ms: int = START_MS) -> None:
    """The lift tells of work on it."""
    reports = told(start_ms, is_visited=True)
    room.tell(DEVICE, Kind.STATUS, "lift.mode", [(at_ms, CODES[mode]) for at_ms, mode, _ in reports])
    room.tell(DEVICE, Kind.STATUS, "lift.door-cycles", [(at_ms, cycles) for at_ms, _, cycles in reports])


class Broken:
    """A part that one visit breaks."""

    def __init__(self, visit: Bundle) -> None:
        self._digest = visit.visit.digest()

    def find(self, bundle: Bundle) -> PresenceFinding:
        if bundle.visit.digest() == self._digest:
            raise RuntimeError("a fault that nobody thought of")
        return UNPROVEN


def test_a_visit_that_breaks_its_judge_is_set_aside_told_and_holds_up_no_other(tmp_path: Path) -> None:
    start_s = START_MS // 1000
    poison, good = bundle_of(start_s), bundle_of(start_s, salt=2)
    with room_in(tmp_path, Broken(poison)) as room:
        service(room)
        (verdict,) = room.judged(poison, good)
        assert room.verdict_on(poison) is None
        assert verdict == room.verdict_on(good)
        assert (room.desk.refused, room.desk.judged) == (1, 1)
        assert "cannot be judged: RuntimeError" in room.says[-1]
        assert room.desk.acknowledged(2) == b"2", "its message is done with"


def spoil(path: Path, name: str) -> None:
    """Overwrite one page of a database: the root of a table or an index."""
    with closing(sqlite3.connect(path)) as file:
        ((page_size,),) = file.execute("PRAGMA page_size").fetchall()
        ((page,),) = file.execute("SELECT rootpage FROM sqlite_master WHERE name = ?", (name,)).fetchall()
    with path.open("r+b") as raw:
        raw.seek((page - 1) * page_size)
        raw.write(b"\xff" * page_size)


def test_a_damaged_page_of_what_was_seen_is_noticed_and_made_anew_from_the_log(tmp_path: Path) -> None:
    with room_in(tmp_path) as room:
        service(room)
        assert [one.level for one in room.judged(bundle_of(START_MS // 1000))] == [3]
    spoil(tmp_path / "visits.sqlite3", "seen_by_time")
    later_ms = START_MS + 20 * HOUR_MS
    with room_in(tmp_path) as room:
        assert [one.level for one in room.judged(bundle_of(START_MS // 1000, salt=2))] == [3]
        service(room, later_ms)
        assert [one.level for one in room.judged(bundle_of(later_ms // 1000))] == [3]


# ---- what is remembered, whatever the clock says ----

FAR_MS = 2_208_988_800_000  # the year 2040


def test_a_clock_that_ran_ahead_for_a_while_costs_no_visit_its_evidence(tmp_path: Path) -> None:
    with room_in(tmp_path) as room:
        service(room)
        room.look()
        room.clock.at_ms = FAR_MS
        room.tell(DEVICE, Kind.STATUS, "lift.mode", [(FAR_MS, 3)])
        room.look()
        room.clock.at_ms = NOW_MS
        room.tell(DEVICE, Kind.STATUS, "lift.mode", [(NOW_MS - 60_000, 0)])
        assert [one.level for one in room.judged(bundle_of(START_MS // 1000))] == [3]
        assert room.sightings.latest(DEVICE, "lift.mode", NOW_MS)[-1] == (NOW_MS - 60_000, 0)
        assert not room.sightings.heard_after(DEVICE, NOW_MS, NOW_MS), "what is still to come was told by nobody"


def test_a_spent_code_stays_spent_over_a_clock_that_ran_ahead(tmp_path: Path) -> None:
    mark, visit = bytes(8), bytes(range(32))
    with room_in(tmp_path) as room:
        spent = {"visit": visit.hex(), "facts": {"presence": {"spent": [mark.hex()]}}, "verdict": {}}
        room.tell(DEVICE, Kind.STATUS, VISIT_VERDICT, [(START_MS, 3)], **spent)
        room.look()
        room.tell(DEVICE, Kind.STATUS, "lift.mode", [(FAR_MS, 0)])
        room.look()
        assert room.sightings.spender(mark) == visit
    with room_in(tmp_path) as room:
        assert room.sightings.spender(mark) == visit


def test_what_was_seen_is_forgotten_after_sixty_days_of_running(tmp_path: Path) -> None:
    running = [0.0]
    with room_in(tmp_path) as room:
        service(room)
        sightings = Sightings(tmp_path / "own.sqlite3", {DEVICE: kept_for(RULES)}, monotonic=lambda: running[0])
        reader = room.store.reader()
        sightings.fold(reader, ORIGIN)
        reader.close()
        window = (START_MS, START_MS + HOUR_MS)
        for day, is_kept in ((59, True), (62, False)):
            running[0] = day * 86_400.0
            room.tell(DEVICE, Kind.STATUS, "lift.mode", [(NOW_MS + day * 60_000, day % 2)])
            reader = room.store.reader()
            sightings.fold(reader, ORIGIN)
            reader.close()
            assert bool(sightings.tracks(DEVICE, window)["lift.mode"]) is is_kept
        sightings.close()


def test_a_device_that_shouts_fills_its_own_share_alone(tmp_path: Path) -> None:
    other = device_id("urn:minglou:site:b01:lift:l2")
    with VisitRoom(tmp_path, {DEVICE: RULES, other: RULES}, NOW_MS) as room:
        room.sightings._share = 50
        service(room)
        room.look()
        for start in range(0, 400, 100):
            told_ms = [(START_MS + at * 60_000, at % 2) for at in range(start, start + 100)]
            room.tell(other, Kind.STATUS, "lift.mode", told_ms)
            room.look()
        ((kept,),) = room.sightings._connection.execute("SELECT count(*) FROM seen WHERE device = ?", (other,))
        assert kept <= 50
        assert room.sightings.latest(other, "lift.mode", NOW_MS)[-1] == (START_MS + 399 * 60_000, 1), "the newest stay"
        assert [one.level for one in room.judged(bundle_of(START_MS // 1000))] == [3]


# ---- a clock that is wrong when a visit comes ----


@pytest.mark.parametrize("by_ms", [FAR_MS - NOW_MS, -90 * 24 * HOUR_MS], ids=["years ahead", "months behind"])
def test_a_visit_that_the_clock_disagrees_with_waits_for_it_and_is_judged_then(tmp_path: Path, by_ms: int) -> None:
    visit = bundle_of(START_MS // 1000)
    with room_in(tmp_path) as room:
        service(room)
        room.step_clock(by_ms)
        room.taken(visit)
        assert room.verdict_on(visit) is None and room.desk.refused == 0
        assert "or this gateway's is wrong, then check NTP" in room.says[-1]
        assert room.desk.acknowledged(1) == b"0", "after a start it comes again"
        room.taken()
        assert len(room.says) == 1, "told once"
        room.step_clock(-by_ms)
        room.taken()
        verdict = room.verdict_on(visit)
        assert verdict is not None and verdict.level == 3
        assert room.desk.acknowledged(1) == b"1"


def test_a_clock_that_jumps_while_a_visit_waits_does_not_end_its_wait(tmp_path: Path) -> None:
    """Five hours at once are not three hours in which the machine was silent."""
    visit = bundle_of(START_MS // 1000)
    with room_in(tmp_path) as room:
        room.clock.at_ms = START_MS + 40 * MINUTE_MS
        room.tell(DEVICE, Kind.STATUS, "lift.mode", [(START_MS - 60 * MINUTE_MS, 0), (START_MS + 5 * MINUTE_MS, 1)])
        room.taken(visit)
        room.step_clock(5 * HOUR_MS)
        room.taken()
        assert room.verdict_on(visit) is None
        room.step_clock(-9 * 24 * HOUR_MS)
        room.taken()
        assert room.verdict_on(visit) is None, "it is still to come by this clock"
        room.step_clock(9 * 24 * HOUR_MS - 5 * HOUR_MS)
        room.clock.at_ms += 4 * HOUR_MS
        room.taken()
        assert room.verdict_on(visit) is not None


def test_a_visit_that_the_clock_never_agrees_with_is_refused_after_two_days(tmp_path: Path) -> None:
    old = bundle_of((NOW_MS - 61 * 24 * HOUR_MS) // 1000)
    with room_in(tmp_path) as room:
        room.taken(old)
        room.running_s = DOUBTED_SECONDS - 1
        room.taken()
        assert room.desk.refused == 0
        room.running_s = DOUBTED_SECONDS
        room.taken()
        assert room.desk.refused == 1 and "over 60 days ago" in room.says[-1]
        assert room.verdict_on(old) is None and room.desk.acknowledged(1) == b"1"


def test_only_so_many_visits_wait_for_the_clock_and_they_hold_up_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.visits.desk.DOUBTED_MAX", 2)
    old = [bundle_of((NOW_MS - 61 * 24 * HOUR_MS) // 1000, salt=salt) for salt in range(4)]
    with room_in(tmp_path) as room:
        service(room)
        room.taken(*old)
        assert room.desk.refused == 2
        assert [one.level for one in room.judged(bundle_of(START_MS // 1000))] == [3]


def test_a_visit_that_waits_for_the_clock_takes_no_work_from_another(tmp_path: Path) -> None:
    honest, ahead = bundle_of(BEFORE, MECHANIC, minutes=38), bundle_of(AFTER, OTHER, minutes=120, salt=2)
    with room_in(tmp_path) as room:
        run_over_midnight(room)
        room.clock.at_ms = (MIDNIGHT_S + 65 * 60) * 1000
        room.taken(ahead, honest)
        verdict = room.verdict_on(honest)
        assert verdict is not None and verdict.level == 2 and "taken_s" not in verdict.facts
        assert room.verdict_on(ahead) is None


# ---- one piece of work is one visit's ----

MIDNIGHT_S = 1_763_049_600  # local
MINUTE_MS = 60_000


def run_over_midnight(room: VisitRoom) -> None:
    """The lift stands on inspection for ten minutes, from 23:55 to 00:05, and is heard before and after."""
    told_ms = [(minutes, 0) for minutes in (-180, -120, -60)] + [(-5, 1), (5, 0)] + [(60, 0), (120, 0)]
    at_ms = [(MIDNIGHT_S * 1000 + minutes * MINUTE_MS, code) for minutes, code in told_ms]
    room.tell(DEVICE, Kind.STATUS, "lift.mode", at_ms)


BEFORE, AFTER = MIDNIGHT_S - 40 * 60, MIDNIGHT_S - 60


@pytest.mark.parametrize(
    ("other", "starts_s", "minutes"),
    [
        (MECHANIC, AFTER, 31),  # the next day's visit of the same crew, of which each day would be paid
        (MECHANIC, MIDNIGHT_S - 20 * 60, 50),  # one that began while the first one lasted
        (OTHER, MIDNIGHT_S - 2 * 60, 40),  # another crew's
        (OTHER, BEFORE, 38),
    ],
)
@pytest.mark.parametrize("is_together", [True, False])
def test_one_inspection_is_one_visits_work(
    tmp_path: Path, other: p256.PrivateKey, starts_s: int, minutes: int, is_together: bool
) -> None:
    first = bundle_of(BEFORE, MECHANIC, minutes=38)
    second = bundle_of(starts_s, other, minutes=minutes, salt=2)
    with room_in(tmp_path) as room:
        run_over_midnight(room)
        verdicts = room.judged(first, second) if is_together else room.judged(first)
    if not is_together:
        with room_in(tmp_path) as room:  # what was credited stands in the log
            verdicts += room.judged(second)
    assert sorted(one.level for one in verdicts) == [0, 2]
    credited, other_visit = sorted(verdicts, key=lambda one: -one.level)
    assert credited.items["inspection-mode"] == "confirmed"
    assert credited.facts["work"]["to_ms"] - credited.facts["work"]["from_ms"] == 10 * MINUTE_MS
    assert other_visit.items["inspection-mode"] == "not-seen"
    assert other_visit.facts["taken_s"] >= 300


class Shown:
    """A display that one visit's people scanned, and the other's did not."""

    def __init__(self, visit: Bundle) -> None:
        self._digest = visit.visit.digest()

    def find(self, bundle: Bundle) -> PresenceFinding:
        is_shown = bundle.visit.digest() == self._digest
        return PresenceFinding(word=Finding.CONFIRMED if is_shown else Finding.NOT_SEEN, is_due=True)


@pytest.mark.parametrize("is_ready_first", [True, False], ids=["and ready first", "and ready together"])
def test_a_visit_whose_people_were_shown_to_be_there_is_credited_before_one_that_came_first(
    tmp_path: Path, *, is_ready_first: bool
) -> None:
    """A fake over another crew's work, handed in before it: the crew that scanned the display keeps its work."""
    fake = bundle_of(BEFORE, OTHER, minutes=15 if is_ready_first else 38)
    honest = bundle_of(MIDNIGHT_S - 20 * 60, MECHANIC, minutes=50, salt=2)
    with room_in(tmp_path, Shown(honest)) as room:
        room.tell(DEVICE, Kind.STATUS, "lift.mode", [((MIDNIGHT_S - 60 * 60) * 1000, 0)])
        for minutes, code in ((-18, 1), (-8, 0), (2, 0)):
            room.tell(DEVICE, Kind.STATUS, "lift.mode", [((MIDNIGHT_S + minutes * 60) * 1000, code)])
        room.clock.at_ms = (MIDNIGHT_S + 31 * 60) * 1000
        room.taken(fake, honest)
        assert room.verdict_on(fake) is None, "the machine has not told yet what came after the other one"
        room.tell(DEVICE, Kind.STATUS, "lift.mode", [((MIDNIGHT_S + 60 * 60) * 1000, 0)])
        room.clock.at_ms = (MIDNIGHT_S + 61 * 60) * 1000
        room.taken()
        (late, true) = (room.verdict_on(one) for one in (fake, honest))
        assert true is not None and late is not None
        assert true.items["inspection-mode"] == "confirmed" and true.level >= 2
        assert late.items["inspection-mode"] == "not-seen" and late.level == 0


def test_a_visit_that_its_crew_signs_again_and_a_repair_take_nothing_from_each_other(tmp_path: Path) -> None:
    """The same people, plan and day: one of them is paid. A repair is paid by its order."""
    start_s = START_MS // 1000
    with room_in(tmp_path) as room:
        service(room)
        again = [bundle_of(start_s, salt=salt) for salt in (1, 2)]
        repaired = replace(visit_of(start_s + 600, minutes=15, mechanics=(OTHER,)), visit_class=VisitClass.REPAIR)
        repair = Bundle(signed=signed(repaired, OTHER))
        levels = [one.level for one in room.judged(*again, repair)]
    assert levels[:2] == [3, 3]
    assert levels[2] >= 2


def test_two_crews_one_after_the_other_each_keep_their_own_work(tmp_path: Path) -> None:
    gap_minutes = 40
    reports = [(minutes, "normal", 100) for minutes in (-190, -130, -70)]
    cycles = 100
    for start in (0, gap_minutes):
        for minute, mode, more in VISIT_STAGES:
            cycles += more
            reports.append((start + minute, mode, cycles))
    reports += [(minutes, "normal", cycles) for minutes in (90, 150, 210)]
    with room_in(tmp_path) as room:
        for quantity, value in (("lift.mode", 1), ("lift.door-cycles", 2)):
            seen = [(START_MS + one[0] * MINUTE_MS, CODES.get(str(one[value]), one[value])) for one in reports]
            room.tell(DEVICE, Kind.STATUS, quantity, [(at_ms, int(code)) for at_ms, code in seen])
        crews = [bundle_of(START_MS // 1000 + at * 60, key) for at, key in ((0, MECHANIC), (gap_minutes, OTHER))]
        assert [one.level for one in room.judged(*crews)] == [3, 3]


# ---- a module that is unplugged ----


@pytest.mark.parametrize(
    ("line", "kept", "is_seen"),
    [
        ([(2, 0), (12, 1)], [], False),  # one second of inspection, the plug, and a coffee
        ([(2, 0), (12, 1)], [(11, 1)], True),  # it kept what it saw, and told it when it was back
        ([(2, 0), (4, 1)], [], True),  # as lines are lost
        ([(20, 0), (40, 1)], [], True),
        ([], [], True),
    ],
)
def test_what_a_module_said_last_stands_no_longer_than_its_line(
    tmp_path: Path, line: list[tuple[int, int]], kept: list[tuple[int, int]], *, is_seen: bool
) -> None:
    with room_in(tmp_path) as room:
        for minute, code in sorted([(-130, 0), (-70, 0), (-20, 0), (1, 1), (13, 0), (70, 0), (130, 0), *kept]):
            room.tell(DEVICE, Kind.STATUS, "lift.mode", [(START_MS + minute * MINUTE_MS, code)])
        for minute, code in line:
            room.tell(DEVICE, Kind.STATUS, "device.online", [(START_MS + minute * MINUTE_MS, code)])
        (verdict,) = room.judged(bundle_of(START_MS // 1000))
        assert verdict.items["inspection-mode"] == ("confirmed" if is_seen else "not-observable")
        assert (verdict.level >= 2) is is_seen


# ---- a display that falls silent ----

DISPLAY = device_id("urn:minglou:site:b01:display:d1")


def test_a_display_that_is_not_heard_any_more_is_told_once_and_its_return_too(tmp_path: Path) -> None:
    profile = load_profile("display-json")
    assert isinstance(profile, MqttJsonProfile)
    running = [0.0]
    with room_in(tmp_path) as room:
        sightings = Sightings(tmp_path / "own.sqlite3", {DISPLAY: {"display.slot": 240_000}})
        watch = Watch(
            {DISPLAY: profile.watch_rules}, sightings, room.committer, room.clock, monotonic=lambda: running[0]
        )

        def look(*, after_ms: int, is_heard: bool, seconds: float = 3600) -> list[int]:
            room.clock.at_ms += after_ms
            running[0] += seconds
            if is_heard:
                room.tell(DISPLAY, Kind.STATUS, "display.slot", [(room.clock.at_ms, room.clock.at_ms // 30_000)])
            reader = room.store.reader()
            sightings.fold(reader, ORIGIN)
            reader.close()
            watch.look()
            return room.said(DISPLAY, "display.silent")

        assert look(after_ms=0, is_heard=True) == []
        assert look(after_ms=2 * HOUR_MS, is_heard=False, seconds=1) == []
        assert look(after_ms=2 * HOUR_MS, is_heard=False, seconds=1) == [], "a clock that was set makes nobody silent"
        assert look(after_ms=MINUTE_MS, is_heard=False) == [1]
        assert look(after_ms=HOUR_MS, is_heard=False) == [1]
        assert look(after_ms=HOUR_MS, is_heard=True) == [1, 0]
        watch = Watch(
            {DISPLAY: profile.watch_rules}, sightings, room.committer, room.clock, monotonic=lambda: running[0]
        )
        assert look(after_ms=9 * HOUR_MS, is_heard=False) == [1, 0], "it was the gateway that was off"
        assert look(after_ms=4 * HOUR_MS, is_heard=False) == [1, 0, 1]
        sightings.close()


def test_a_code_that_a_rule_needs_told_again_is_kept_as_often_and_others_are_not(tmp_path: Path) -> None:
    profile = load_profile("lift-monitor-json")
    assert isinstance(profile, MqttJsonProfile)
    with VisitRoom(tmp_path, {DEVICE: profile.visit_rules}, NOW_MS) as room:
        for start, code in ((0, 0), (30, 1), (60, 0)):
            minutes = [(START_MS + (start + minute) * MINUTE_MS, code) for minute in range(30)]
            room.tell(DEVICE, Kind.STATUS, "lift.mode", minutes)
        room.look()
        kept = [value for _, value in room.sightings.latest(DEVICE, "lift.mode", NOW_MS)]
        assert kept == [0] * 3 + [1] * 30 + [0] * 3
