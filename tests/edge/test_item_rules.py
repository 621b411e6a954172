"""What a lift's module shows of each item of a list: every form of rule, seen, not seen and not observable."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from contracts.checklist import Result
from contracts.detail import DETAIL_BYTES_MAX, decode_detail, encode_detail
from contracts.entry import Kind, Series, device_id
from contracts.pack import read_pack
from contracts.rotating import SLOT_S, Moment, token
from contracts.visit import VisitClass
from devices.credential import CredentialCommitter
from devices.errors import ProfileError
from devices.mqtt_profile import MqttJsonProfile
from devices.profile import SHIPPED, load_profile
from edge.log_store import Group, LogStore
from edge.presence import DisplaySecrets, Nonces, PresenceDesk
from edge.presence.store import PresenceStore
from edge.visits.doors import CrewCards
from edge.visits.finding import UNPROVEN, Finding, PresenceFinding
from edge.visits.items import Track, asked_by, find
from edge.visits.judge import Judgement, judge, window_of
from edge.visits.rows import visit_rows
from edge.visits.sightings import ACCESS_GRANTED, DISPLAY_SLOT, EVERY_MS, Sightings, kept_for
from tests.bundles import ANNEX_A, bundle_of, filled
from tests.visits import ALIASES, LIFT, MECHANIC, OTHER, visit_of

MINUTE_MS = 60_000
START_MS = 1_763_000_000_000
PACK = read_pack(ANNEX_A)
VISIT = replace(visit_of(START_MS // 1000), plan=PACK.digest())
WINDOW = window_of(VISIT)
DISPLAY, DOOR, GATEWAY = (device_id(f"urn:minglou:site:b01:{name}") for name in ("display:d1", "access:m", "gateway:g"))
_profile = load_profile("lift-monitor-json")
assert isinstance(_profile, MqttJsonProfile)
RULES = {rule.item: rule for rule in _profile.visit_rules}
QUIET = {  # what a lift tells in an hour without anybody
    "lift.mode": 0, "lift.safety-chain": 0, "lift.trips": 7, "lift.door-cycles": 9, "lift.reopenings": 0,
    "lift.inspection-runs": 3, "lift.alarms": 1, "lift.supply-drops": 2, "lift.emergency-stops": 4,
    "lift.deceleration-mm-s2": 2600, "lift.levelling-mm": 2,
}  # fmt: skip


def heard(**told: Sequence[tuple[int, int]]) -> dict[str, Track]:
    """Tracks of a lift that is heard all day, with what it told besides: (minute of the visit, value)."""
    tracks: dict[str, Track] = {}
    for quantity, value in QUIET.items():
        more = [(START_MS + minute * MINUTE_MS, one) for minute, one in told.get(_key(quantity), ())]
        hourly = [(START_MS + hour * 60 * MINUTE_MS - MINUTE_MS, value) for hour in (-2, -1, 0)]
        last = more[-1][1] if more else value
        tracks[quantity] = [*hourly, *more, (START_MS + 60 * MINUTE_MS, last)]
    return tracks


def _key(quantity: str) -> str:
    return quantity.removeprefix("lift.").replace("-", "_")


def said(item: str, tracks: Mapping[str, Track]) -> Finding:
    return find(RULES[item], tracks, [WINDOW])[0]


def inspected(start: int, end: int) -> tuple[tuple[int, int], ...]:
    """The module tells of inspection each minute, as long as it stands."""
    return tuple((minute, 1) for minute in range(start, end))


INSPECTED = (*inspected(0, 34), (34, 0))


@pytest.mark.parametrize(
    ("item", "seen", "missed"),
    [
        ("inspection-mode", {"mode": INSPECTED}, {"mode": (*inspected(0, 9), (9, 0))}),
        ("inspection-runs", {"inspection_runs": ((3, 5),)}, {"inspection_runs": ((3, 4),)}),
        ("car-top-stop", {"safety_chain": ((2, 3), (3, 0))}, {"safety_chain": ((2, 4), (3, 0))}),
        ("pit-stop", {"safety_chain": ((2, 4), (3, 0))}, {"safety_chain": ((2, 4),)}),  # left pressed: not tried
        ("governor-contact", {"safety_chain": ((2, 5), (3, 0))}, {}),
        ("tension-weight", {"safety_chain": ((2, 6), (3, 0))}, {}),
        ("final-limits", {"safety_chain": ((2, 7), (3, 0))}, {}),
        ("car-door", {"safety_chain": ((2, 1), (3, 0))}, {}),
        ("landing-doors", {"safety_chain": ((2, 2), (3, 0))}, {}),
        ("emergency-electric", {"mode": ((2, 5), (3, 1), (34, 0))}, {"mode": INSPECTED}),
        ("fire-switch", {"mode": ((2, 2), (3, 0))}, {"mode": INSPECTED}),
        ("door-cycles", {"mode": INSPECTED, "door_cycles": ((9, 12),)}, {"door_cycles": ((9, 40),)}),
        ("door-reopening", {"mode": INSPECTED, "reopenings": ((9, 1),)}, {"reopenings": ((9, 3),)}),
        ("alarm", {"alarms": ((9, 2),)}, {"alarms": ((-30, 2),)}),
        ("light", {"supply_drops": ((9, 3),)}, {}),
        ("emergency-stops", {"emergency_stops": ((9, 5),)}, {}),
        (
            "braking",
            {"emergency_stops": ((9, 5),), "deceleration_mm_s2": ((9, 2500),)},
            {"deceleration_mm_s2": ((9, 1),)},
        ),
    ],
)
def test_each_rule_sees_what_was_done_and_misses_what_was_not(
    item: str, seen: dict[str, Sequence[tuple[int, int]]], missed: dict[str, Sequence[tuple[int, int]]]
) -> None:
    assert said(item, heard(**seen)) is Finding.CONFIRMED
    assert said(item, heard(**missed)) is Finding.NOT_SEEN
    deaf = {
        quantity: [one for one in track if one[0] < WINDOW[0] - 180 * MINUTE_MS] for quantity, track in heard().items()
    }
    assert said(item, deaf) is Finding.NOT_OBSERVABLE


def test_a_module_that_is_unplugged_on_inspection_shows_no_ten_minutes_of_it() -> None:
    """Switched to inspection for a second, pulled out, and plugged in again when the coffee is drunk."""
    unplugged = heard(mode=((0, 1), (11, 0)))
    assert find(RULES["inspection-mode"], unplugged, [WINDOW])[1]["seconds"] == 180
    assert said("inspection-mode", unplugged) is Finding.NOT_OBSERVABLE, "nobody knows, so it contradicts nobody either"
    assert said("inspection-mode", heard(mode=(*inspected(0, 5), *inspected(7, 12), (12, 0)))) is Finding.CONFIRMED


def test_a_car_that_is_left_beside_its_landing_or_not_braking_contradicts() -> None:
    assert said("levelling", heard(levelling_mm=((1, 30), (36, -10)))) is Finding.CONFIRMED
    assert said("levelling", heard(levelling_mm=((1, 3), (36, -11)))) is Finding.CONTRADICTED
    slow = heard(emergency_stops=((9, 5),), deceleration_mm_s2=((9, 200),))
    assert said("braking", slow) is Finding.CONTRADICTED


def test_a_counter_that_starts_anew_after_a_power_cut_still_counts_what_follows() -> None:
    assert said("inspection-runs", heard(inspection_runs=((3, 0), (9, 2)))) is Finding.CONFIRMED
    assert said("inspection-runs", heard(inspection_runs=((3, 0), (9, 1)))) is Finding.NOT_SEEN


def judged(
    tracks: Mapping[str, Track], visit_class: VisitClass = VisitClass.HALF_MONTH,
    but: Mapping[str, Result] | None = None, *, has_list: bool = True, presence: PresenceFinding = UNPROVEN,
) -> Judgement:  # fmt: skip
    rules = tuple(RULES.values())
    checklist = filled(PACK, visit_class, but=but) if has_list else None
    asked, due = asked_by(rules, PACK, visit_class, checklist), asked_by(rules, PACK, visit_class, None)
    return judge(VISIT, rules, tracks, asked=asked, due=due, presence=presence, key_class="file")


WORKED = heard(
    mode=(*inspected(0, 4), (4, 5), *inspected(5, 34), (34, 0)), inspection_runs=((10, 9),),
    door_cycles=((12, 20),), reopenings=((13, 1),),
    safety_chain=((6, 3), (7, 0), (8, 4), (9, 0), (10, 1), (11, 0), (12, 2), (13, 0), (14, 5), (15, 0)),
    alarms=((16, 2),), supply_drops=((18, 3),),
)  # fmt: skip


def test_each_item_of_the_list_gets_its_finding() -> None:
    whole = judged(WORKED)
    assert whole.level == 3
    shown = {code for codes in PACK.shows.values() for code in codes if code.startswith("A-1")}
    assert whole.verdict["list"] == dict.fromkeys(sorted(shown), "confirmed")
    lazy = judged(WORKED | {"lift.safety-chain": heard(safety_chain=((6, 3), (7, 0)))["lift.safety-chain"]})
    assert lazy.level == 2
    listed = lazy.verdict["list"]
    assert isinstance(listed, dict)
    assert {code for code, finding in listed.items() if finding == "not-seen"} == {
        "A-1-08", "A-1-21", "A-1-26", "A-1-27", "A-1-28", "A-1-31",
    }  # fmt: skip


def test_an_item_that_was_not_done_is_not_asked_for_and_keeps_the_visit_from_the_highest_level() -> None:
    unlit = WORKED | {"lift.supply-drops": heard()["lift.supply-drops"]}
    without_light = judged(unlit, but={"A-1-16": Result.FAULT})
    assert (without_light.level, without_light.facts["left_out"]) == (2, ["light"])
    assert "A-1-16" not in dict(without_light.verdict["list"])  # type: ignore[call-overload]
    assert "light" not in dict(without_light.verdict["items"])  # type: ignore[call-overload]
    tried = judged(WORKED, but={"A-1-16": Result.FAULT})
    assert tried.level == 3, "the machine shows that it was tried, whatever its result"
    assert "left_out" not in tried.facts


@pytest.mark.parametrize("result", [Result.ABSENT, Result.FAULT])
def test_a_list_on_which_everything_is_written_off_earns_no_more_than_what_the_machine_showed(result: Result) -> None:
    nothing = {item.code: result for item in PACK.items_of(VisitClass.YEAR)}
    idle = judged(heard(mode=INSPECTED), VisitClass.YEAR, nothing)
    assert idle.level == 2
    assert set(idle.facts["left_out"]) >= {"car-top-stop", "pit-stop", "light", "alarm"}  # type: ignore[call-overload]
    assert "list" not in idle.verdict


def test_a_higher_class_is_asked_for_the_lower_ones_items_too_and_a_repair_for_none() -> None:
    rules = tuple(RULES.values())
    asked = {one: set(asked_by(rules, PACK, one, filled(PACK, one))) for one in list(VisitClass)[1:]}
    assert asked[VisitClass.QUARTER] - asked[VisitClass.HALF_MONTH] == {"fire-switch", "tension-weight"}
    assert asked[VisitClass.YEAR] == set(RULES)
    assert set(asked_by(rules, PACK, VisitClass.REPAIR, None)) >= {"inspection-mode", "back-in-service"}


def test_leaving_the_list_away_asks_for_no_less() -> None:
    rules = tuple(RULES.values())
    bare = asked_by(rules, PACK, VisitClass.HALF_MONTH, None)
    assert bare == asked_by(rules, PACK, VisitClass.HALF_MONTH, filled(PACK, VisitClass.HALF_MONTH))
    assert set(asked_by(rules, None, VisitClass.HALF_MONTH, None)) == set(RULES), "a plan that nobody knows here"


@pytest.mark.parametrize("word", [Finding.NOT_SEEN, Finding.CONTRADICTED])
def test_a_display_that_saw_nobody_keeps_a_visit_from_the_highest_level(word: Finding) -> None:
    assert judged(WORKED, presence=PresenceFinding(word=word, signers=(word,))).level == 2
    assert judged(heard(), presence=PresenceFinding(word=word, signers=(word,))).level == 0


def test_where_a_display_is_paired_the_highest_level_takes_confirmed_presence() -> None:
    """Else whoever pulls its plug, or resets it, does as well as who was seen."""
    for word, level in ((Finding.NOT_OBSERVABLE, 2), (Finding.CONFIRMED, 3)):
        assert judged(WORKED, presence=PresenceFinding(word=word, signers=(word,), is_due=True)).level == level
    assert judged(WORKED, presence=UNPROVEN).level == 3, "no display stands there"
    assert judged(heard(), presence=PresenceFinding(word=Finding.NOT_OBSERVABLE, is_due=True)).level == 0


def test_a_yearly_visits_verdict_fits_its_entry() -> None:
    slots, spent = tuple(range(58_000_000, 58_000_016)), tuple(number.to_bytes(8) for number in range(16))
    three = (Finding.NOT_OBSERVABLE,) * 3
    full = PresenceFinding(
        word=three[0], signers=three, slots=slots, spent=spent, wrong=9, used=9, doors=3, limited=True
    )
    judgement = judged(WORKED, VisitClass.YEAR, presence=full)
    (_, _), (_, detail) = visit_rows(VISIT, judgement, START_MS)
    assert len(detail) <= DETAIL_BYTES_MAX
    assert b'"list"' in detail
    assert b'"inspection-runs"' in detail
    longer = {
        f"item-{number}" * 4: {"seconds": START_MS, "from_ms": START_MS, "to_ms": START_MS} for number in range(32)
    }
    (_, _), (_, detail) = visit_rows(VISIT, replace(judgement, facts=judgement.facts | longer), START_MS)
    assert b'"presence"' in detail, "what a profile says too much of is left out, never the visit"


# ---- profiles ----


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('item = "alarm"', 'item = "presence"', "choose another name"),
        ('code = "fire"', 'code = "smoke"', "one of the quantity's codes"),
        ("least = -10\nmost = 10", "least = -10\nmost = -11", "whole number from -10"),
        ('after = "lift.emergency-stops"', 'after = "lift.brakes"', "is mapped by no"),
        ('quantity = "access.granted"', 'quantity = "Access"', "Access"),
        ('form = "passed"', 'form = "seen"', "one of held"),
    ],
)
def test_a_mistake_in_a_rule_is_named(tmp_path: Path, before: str, after: str, says: str) -> None:
    text = (SHIPPED / "lift-monitor-json.toml").read_text(encoding="utf-8")
    assert before in text
    (tmp_path / "lift-monitor-json.toml").write_text(text.replace(before, after), encoding="utf-8")
    with pytest.raises(ProfileError, match=r"lift-monitor-json.toml:[0-9]+: ") as caught:
        load_profile(tmp_path / "lift-monitor-json.toml")
    assert says in str(caught.value)


def test_every_rule_of_the_shipped_profiles_shows_the_whole_visit_or_items_of_the_annex() -> None:
    module = load_profile("lift-module-json")
    assert isinstance(module, MqttJsonProfile)
    names = {*RULES, *(rule.item for rule in module.visit_rules)}
    assert names - set(PACK.shows) == {"inspection-mode", "back-in-service", "machine-room-door"}
    assert set(PACK.shows) <= names


# ---- the room beside the machine ----


class Fixed:
    """A clock that stands."""

    def __init__(self, at_ms: int = START_MS + 3_600_000) -> None:
        self._at_ms = at_ms

    def now_ms(self) -> int:
        return self._at_ms


def drawn(minute: int) -> bytes:
    """A nonce that the gateway gave out for the lift in a minute of the visit."""
    return Nonces(bytes(32), Fixed(START_MS + minute * MINUTE_MS)).draw(device_id(LIFT))


class Room:
    """A log beside a presence desk, with a display and a machine room's door."""

    def __init__(self, directory: Path) -> None:
        self.store = LogStore.open(directory / "log.sqlite3", "test.minglou.example/site/b01/e0")
        self.committer = CredentialCommitter(secret=bytes(32), new_nonce=lambda length: bytes(length))
        cards = CrewCards({ALIASES[MECHANIC]: "0013572468", ALIASES[OTHER]: "77"}, self.committer.salt)
        kept = {DISPLAY: {DISPLAY_SLOT: 240_000}, DOOR: {ACCESS_GRANTED: EVERY_MS}, GATEWAY: {"clock.step": EVERY_MS}}
        lift = device_id(LIFT)
        self.sightings = Sightings(directory / "visits.sqlite3", kept | {lift: kept_for(())}, cards.whose)
        self.presence_store = PresenceStore(directory / "presence.sqlite3")
        secrets = DisplaySecrets(directory)
        secrets.keep(DISPLAY, bytes(32))
        self.desk = PresenceDesk(
            gateway=GATEWAY, displays={lift: [DISPLAY]}, doors={lift: [DOOR]}, secrets=secrets,
            nonces=Nonces(bytes(32), Fixed()), store=self.presence_store, sightings=self.sightings, clock=Fixed(),
        )  # fmt: skip

    def log(self, device: bytes, kind: Kind, quantity: str, at_ms: int, value: int, **detail: object) -> None:
        encoded = encode_detail(detail, salt=bytes(16)) if detail else b""
        row = Series(kind, device, quantity).encode(at_ms, value, bytes(32), bytes(16)), encoded
        self.store.append(Group(rows=[row]))

    def open_door(self, card: str, minute: int) -> None:
        at_ms = START_MS + minute * MINUTE_MS
        self.log(DOOR, Kind.ACCESS, ACCESS_GRANTED, at_ms, 1, credential=self.committer(card), door="machine room")

    def report(self, minutes: Sequence[int]) -> None:
        for minute in minutes:
            at_ms = START_MS + minute * MINUTE_MS
            self.log(DISPLAY, Kind.STATUS, DISPLAY_SLOT, at_ms, at_ms // 30_000)

    def find(self, *codes: tuple[int, Moment], nonce: bytes | None = None) -> PresenceFinding:
        reader = self.store.reader()
        self.sightings.fold(reader, self.store.origin)
        reader.close()
        return self.desk.find(bundle_of(START_MS // 1000, MECHANIC, OTHER, codes=codes, nonce=nonce))

    def close(self) -> None:
        self.desk.close()
        self.sightings.close()
        self.store.close()


@pytest.fixture
def room(tmp_path: Path) -> "Room":
    return Room(tmp_path)


def test_the_mechanics_card_at_the_machine_room_is_presence(room: Room) -> None:
    room.open_door("0013572468", 5)
    room.open_door("5550001", 6)  # a card that is no crew's: nobody keeps where its holder went
    finding = room.find()
    assert finding.signers == (Finding.CONFIRMED, Finding.NOT_OBSERVABLE)
    assert len(room.sightings.tracks(DOOR, WINDOW)[ACCESS_GRANTED]) == 1
    room.open_door("77", 20)
    finding = room.find()
    assert (finding.word, finding.doors) == (Finding.CONFIRMED, 2)
    passed = find(RULES["machine-room-door"], room.sightings.tracks(DOOR, WINDOW), [WINDOW])
    assert passed == (Finding.CONFIRMED, {"times": 2})
    assert said("machine-room-door", heard()) is Finding.NOT_OBSERVABLE, "a door that tells nothing may be broken"
    room.close()


def test_a_card_of_another_hour_is_none(room: Room) -> None:
    room.open_door("0013572468", -60)
    room.open_door("77", 50)
    assert room.find().word is Finding.NOT_OBSERVABLE
    room.close()


@pytest.mark.parametrize(
    ("minutes", "step_ms", "word"),
    [
        (range(-12, 60, 5), None, Finding.NOT_SEEN),
        (range(-12, 20, 5), None, Finding.NOT_OBSERVABLE),  # switched off in the middle
        ((-200,), None, Finding.NOT_OBSERVABLE),
        (range(-12, 60, 5), 20_000, Finding.NOT_SEEN),
        (range(-12, 60, 5), 45_000, Finding.NOT_OBSERVABLE),
        (range(-12, 60, 5), 0, Finding.NOT_OBSERVABLE),  # the clock was never set
    ],
)
def test_nobody_is_missed_unless_the_display_was_heard_all_the_time_by_a_clock_that_ran(
    room: Room, minutes: Sequence[int], step_ms: int | None, word: Finding
) -> None:
    room.report(minutes)
    if step_ms is not None:
        room.log(GATEWAY, Kind.GATEWAY, "clock.step", START_MS - 20 * MINUTE_MS, step_ms)
    assert room.find().word is word
    room.close()


def test_a_nonce_is_a_fact_and_proves_no_presence_alone(room: Room) -> None:
    finding = room.find(nonce=drawn(1))
    assert (finding.nonce, finding.word) == (True, Finding.NOT_OBSERVABLE)
    assert not room.find(nonce=drawn(-60)).nonce, "it was drawn an hour before"
    assert not room.find(nonce=b"n" * 16).nonce, "it was never drawn"
    room.close()


def test_a_code_stays_spent_when_what_was_seen_is_made_anew(room: Room) -> None:
    moment = Moment(START_MS // 1000 // SLOT_S, token(bytes(32), device_id(LIFT), START_MS // 1000 // SLOT_S))
    finding = room.find((0, moment))
    assert finding.signers[0] is Finding.CONFIRMED
    other = bundle_of(START_MS // 1000, MECHANIC, codes=[(0, moment)], salt=9)
    rows = visit_rows(VISIT, judged(WORKED, presence=finding), START_MS)
    room.sightings.expect(device_id(LIFT), decode_detail(rows[1][1]))
    assert room.desk.find(other).used == 1, "before its verdict is folded"
    room.store.append(Group(rows=rows))
    room.find()
    assert not room.sightings._verdicts._coming, "what the log says is not kept in memory too"
    assert room.desk.find(other).used == 1
    assert room.sightings.spender(finding.spent[0]) == VISIT.digest()
    room.close()


def test_a_damaged_secret_stops_no_verdict(room: Room, tmp_path: Path) -> None:
    (file,) = (tmp_path / "presence").glob("*.secret")
    file.write_text("nonsense")
    finding = room.find()
    assert (finding.word, finding.is_due) == (Finding.NOT_OBSERVABLE, True)
    room.close()
