"""What a gateway's own readings say about a meter swap, and how a new meter's first midnight waits for it."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from contracts.entry import Kind
from contracts.quantities import boundary_quantity
from devices.dlt645.profile import Dlt645Profile
from devices.errors import ProfileError
from devices.profile import load_profile
from devices.visit_rules import SWAP_FORMS, VisitRule
from edge.bus.schedule import BusSchedule, MeterPlan
from edge.committer import Submission
from edge.recorder import DeviceRecorder
from edge.registers import Believed
from edge.visits.finding import Finding
from edge.visits.readings import believed_since
from edge.visits.swap_rules import SwapSeen, find_in_swap, is_agreed, seen_of
from tests.edge.test_recorder import DAY, HOUR, LIMITS, MIDNIGHT, REGISTER, Log, reading
from tests.meter_swaps import noted_of

OLD, NEW = "urn:minglou:site:b01:meter:old", "urn:minglou:site:b01:meter:new"
_profile = load_profile("dlt645-2007-single-phase")
assert isinstance(_profile, Dlt645Profile)
RULES: Mapping[str, VisitRule] = {rule.item: rule for rule in _profile.visit_rules if rule.form in SWAP_FORMS}
LIMIT = _profile.limits[REGISTER]
START, END = MIDNIGHT - 6 * HOUR, MIDNIGHT - 5 * HOUR
CLOSED, OPENED = 4_000_000, 120


def swap(old: list[Believed], new: list[Believed], *, closing: int = CLOSED, opening: int = OPENED) -> SwapSeen:
    noted = noted_of(OLD, NEW, closing=closing, opening=opening, day=DAY)
    return seen_of(noted, LIMIT, (START, END), {REGISTER: old}, {REGISTER: new})


HONEST = swap(
    [(CLOSED - 400, START - HOUR), (CLOSED, START + HOUR // 2)], [(OPENED, END - HOUR // 4), (OPENED + 300, END + HOUR)]
)


def words(seen: SwapSeen) -> dict[str, str]:
    return {item: find_in_swap(rule, seen)[0].value for item, rule in RULES.items()}


def test_what_both_displays_showed_and_the_gateway_read_is_confirmed() -> None:
    assert words(HONEST) == dict.fromkeys(("closing-register", "opening-register", "exchange"), "confirmed")
    assert find_in_swap(RULES["closing-register"], HONEST)[1] == {"difference": 0, "read_at_ms": START + HOUR // 2}
    assert is_agreed(HONEST, {item: Finding(word) for item, word in words(HONEST).items()})
    assert (HONEST.last[REGISTER], HONEST.first[REGISTER][0]) == ((CLOSED, START + HOUR // 2), OPENED)


@pytest.mark.parametrize(
    ("rise", "word"),
    [(10, "confirmed"), (-10, "confirmed"), (300, "not-observable"), (-20, "contradicted"), (60_000, "contradicted")],
)
def test_a_number_that_the_meter_can_have_reached_since_is_possible_and_no_other(rise: int, word: str) -> None:
    seen = replace(HONEST, noted=replace(HONEST.noted, closing=CLOSED + rise))
    assert words(seen)["closing-register"] == word
    seen = replace(HONEST, noted=replace(HONEST.noted, opening=OPENED + rise if rise < 0 else OPENED))
    assert words(seen)["opening-register"] == ("not-observable" if rise < -10 else "confirmed")


def test_an_old_reading_says_nothing_of_the_closing_register() -> None:
    seen = swap([(CLOSED, END - 2 * HOUR)], [(OPENED, END)])
    assert words(seen) == {
        "closing-register": "not-observable", "opening-register": "confirmed", "exchange": "confirmed",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ([(CLOSED, START), (CLOSED + 90, END + HOUR)], [(OPENED, END)], "contradicted"),  # it still hangs there
        ([(CLOSED, START)], [(OPENED - 90, START - HOUR), (OPENED, END)], "contradicted"),  # it hung somewhere before
        ([(CLOSED, START)], [], "not-seen"),
        ([], [(OPENED, END)], "not-observable"),
    ],
)
def test_one_meter_must_fall_silent_where_the_other_begins(old: list[Believed], new: list[Believed], word: str) -> None:
    seen = swap(old, new)
    assert words(seen)["exchange"] == word
    assert is_agreed(seen, {item: Finding(found) for item, found in words(seen).items()}) is False


def test_a_rule_about_a_swap_names_a_register_that_never_falls(tmp_path: Path) -> None:
    text = (Path("devices/profiles") / "dlt645-2007-single-phase.toml").read_text(encoding="utf-8")
    broken = tmp_path / "dlt645-2007-single-phase.toml"
    broken.write_text(
        text.replace('form = "exchanged"\nquantity = "1-0:1.8.0"', 'form = "exchanged"\nquantity = "1-0:1.8.1"')
    )
    with pytest.raises(ProfileError, match=r"no cumulative register here"):
        load_profile(broken)


# ---- a new meter's first midnight ----


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    log = Log(tmp_path / "e0.sqlite3")
    yield log
    log.committer.stop()
    log.committer.store.close()


def spare(log: Log) -> DeviceRecorder:
    recorder = DeviceRecorder(NEW, LIMITS, log.registers, log.committer, is_spare=True)
    recorder.know(Kind.READING, [REGISTER])
    return recorder


def boundaries(log: Log) -> list[tuple[str, int, object]]:
    return [(name, value, detail["source"]) for name, value, detail in log.rows() if "*" in name]


def test_a_new_meters_first_midnight_waits_for_the_visit_that_put_it_up(log: Log) -> None:
    recorder = spare(log)
    recorder.rows([reading(OPENED)], MIDNIGHT - 5 * HOUR)
    recorder.rows([reading(OPENED + 900)], MIDNIGHT - HOUR)
    recorder.rows([reading(OPENED + 1200)], MIDNIGHT + HOUR)
    assert recorder.boundary(reading(OPENED + 1000, boundary=DAY), MIDNIGHT + 2 * HOUR) is False
    recorder.sweep(MIDNIGHT + 30 * HOUR, 0)
    assert (boundaries(log), recorder.boundaries_missing(DAY)) == ([], [])
    assert recorder.swap_boundary(REGISTER, DAY, (OPENED, MIDNIGHT - 5 * HOUR), bytes(32), MIDNIGHT + 31 * HOUR)
    assert recorder.swap_boundary(REGISTER, DAY, (0, 0), bytes(32), MIDNIGHT + 31 * HOUR) is False
    recorder.rows([reading(OPENED + 2000)], MIDNIGHT + 32 * HOUR)
    recorder.sweep(MIDNIGHT + 33 * HOUR, 0)
    assert boundaries(log) == [
        (boundary_quantity(REGISTER, DAY), OPENED, "swap"),
        (boundary_quantity(REGISTER, DAY + timedelta(days=1)), OPENED + 1200, "last_reading"),
    ]


def test_it_does_not_wait_for_ever(log: Log) -> None:
    recorder = spare(log)
    recorder.rows([reading(OPENED)], MIDNIGHT - HOUR)
    recorder.sweep(MIDNIGHT + 71 * HOUR, 0)
    assert boundaries(log) == []
    recorder.sweep(MIDNIGHT + 73 * HOUR, 0)
    assert boundaries(log)[0] == (boundary_quantity(REGISTER, DAY), OPENED, "last_reading")


def test_readings_are_found_from_the_logs_end_and_suspects_left_out(log: Log) -> None:
    recorder = log.recorder()
    for hour in range(5):
        rows = recorder.rows([reading(1000 + 10 * hour)], MIDNIGHT + hour * HOUR)
        log.committer.submit(Submission(rows))
    log.committer.submit(Submission(recorder.rows([reading(7)], MIDNIGHT + 5 * HOUR)))
    log.rows()
    reader = log.committer.store.reader()
    found = believed_since(reader, [recorder.device, bytes(32)], MIDNIGHT + 2 * HOUR)
    reader.close()
    assert found == {
        recorder.device: {REGISTER: [(1020 + 10 * more, MIDNIGHT + (2 + more) * HOUR) for more in range(3)]},
        bytes(32): {},
    }


def test_a_spare_is_asked_in_every_interval_and_at_once_when_a_neighbour_falls_silent() -> None:
    known, new = MeterPlan(number=0, interval_ms=HOUR), MeterPlan(number=1, interval_ms=HOUR, is_spare=True)
    schedule = BusSchedule([known, new])
    schedule.answered(known, 1)
    for hour in range(6):
        schedule.silent(new, hour * HOUR + 1)
        assert new.due_ms == (hour + 1) * HOUR
    schedule.silent(known, 5 * HOUR + 60_000)
    assert schedule.next_meter(5 * HOUR + 60_001) is new
