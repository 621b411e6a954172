"""The simulated building's meters over a real pseudo-terminal, asked through our own connection."""

import signal
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from devices.dlt645.connection import Timing
from devices.dlt645.discovery import Discovery
from devices.dlt645.meter import freeze, local_midnight_ms, poll, settlement
from devices.dlt645.profile import Dlt645Profile
from devices.dlt645.request import Answered, NoAnswer, Noise, ReadAddress, ReadData, Refused, Unasked
from devices.plausibility import suspicions
from devices.profile import load_profile
from tests.devices.conftest import BuildingProcess, Master

Start = Callable[..., BuildingProcess]
Open = Callable[..., Master]
ZONE = ZoneInfo("Asia/Shanghai")
METER = "000000000161"
ONE_METER = f'[[meter]]\naddress = "{METER}"\narea_centi_m2 = 8930\n'
DAY_MS = 86_400_000


def profile(name: str = "dlt645-2007-single-phase") -> Dlt645Profile:
    loaded = load_profile(name)
    assert isinstance(loaded, Dlt645Profile)
    return loaded


def meters(count: int) -> str:
    flats = "".join(f'[[meter]]\naddress = "{number:012d}"\n' for number in range(5011, 5011 + 10 * (count - 1), 10))
    return flats + '[[meter]]\naddress = "000000000001"\nkind = "common"\n'


def now_ms() -> int:
    """The gateway's clock: a quarter of an hour slow in a day's last minutes, in which no freeze is read."""
    at_ms = time.time_ns() // 1_000_000
    is_late = datetime.fromtimestamp(at_ms / 1000, ZONE).strftime("%H:%M") >= "23:45"
    return at_ms - 15 * 60_000 if is_late else at_ms


def test_25_meters_answer_with_their_true_registers(start_building: Start, open_master: Open) -> None:
    building = start_building(meters(25))
    assert "25 meters" in building.ready
    master = open_master(building.bus)
    addresses = [f"{number:012d}" for number in range(5011, 5011 + 240, 10)] + ["000000000001"]
    seen = {}
    for address in addresses:
        before = building.command(do="register", address=address)["energy_wh"]
        job = master.do(poll(profile(), address))
        after = building.command(do="register", address=address)["energy_wh"]
        (reading,) = job.readings
        assert before // 10 * 10 <= reading.value <= after, job.problems
        seen[address] = reading.value
    assert len(set(seen.values())) == 25
    assert building.end()["frames_answered"] == 25


def test_the_full_profile_reads_tariffs_volts_and_amperes(start_building: Start, open_master: Open) -> None:
    building = start_building(ONE_METER)
    job = open_master(building.bus).do(poll(profile("dlt645-2007-single-phase-full"), METER))
    values = {reading.quantity: reading.value for reading in job.readings}
    assert job.problems == ()
    assert values["1-0:1.8.0"] == sum(values[f"1-0:1.8.{tariff}"] for tariff in range(1, 5)) > 0
    assert 218_000 <= values["1-0:32.7.0"] <= 236_000
    assert 0 <= values["1-0:31.7.0"] <= 60_000


def test_a_three_phase_meter_gives_each_phase(start_building: Start, open_master: Open) -> None:
    building = start_building(meters(1))
    job = open_master(building.bus).do(poll(profile("dlt645-2007-three-phase"), "000000000001"))
    assert job.problems == ()
    assert {reading.quantity for reading in job.readings} >= {"1-0:32.7.0", "1-0:52.7.0", "1-0:72.7.0", "1-0:71.7.0"}


@pytest.mark.parametrize("days_late", [0, 1, 61])
def test_a_daily_freeze_is_read_even_weeks_late(start_building: Start, open_master: Open, days_late: int) -> None:
    building = start_building(ONE_METER)
    boundary = datetime.now(ZONE).date() - timedelta(days=days_late)
    job = open_master(building.bus).do(freeze(profile(), METER, boundary, ZONE, now_ms))
    (reading,) = job.readings
    midnight_ms = local_midnight_ms(boundary, ZONE)
    assert (reading.quantity, reading.boundary, reading.meter_at_ms) == ("1-0:1.8.0", boundary, midnight_ms)
    assert reading.detail["source"] == "freeze"
    truth = building.command(do="register", address=METER, at_ms=midnight_ms)["energy_wh"]
    assert reading.value == truth // 10 * 10


def test_a_freeze_that_the_meter_no_longer_keeps_is_not_asked_for() -> None:
    job = freeze(profile(), METER, datetime.now(ZONE).date() - timedelta(days=62), ZONE, now_ms)
    assert job.request is None
    assert "keeps 62 daily freezes" in job.problems[0]


def test_a_freeze_of_another_midnight_is_refused(start_building: Start, open_master: Open) -> None:
    building = start_building(ONE_METER)
    tomorrow_ms = now_ms() + DAY_MS  # a gateway whose clock is a day ahead
    boundary = datetime.fromtimestamp(tomorrow_ms / 1000, ZONE).date()
    job = open_master(building.bus).do(freeze(profile(), METER, boundary, ZONE, lambda: tomorrow_ms))
    assert job.readings == ()
    assert "not at the midnight that begins" in job.problems[0]


def test_a_freeze_read_across_midnight_is_asked_for_again(start_building: Start, open_master: Open) -> None:
    building = start_building(ONE_METER)
    today = datetime.now(ZONE).date()
    times = iter((now_ms(), now_ms(), now_ms() + DAY_MS))
    job = open_master(building.bus).do(freeze(profile(), METER, today, ZONE, lambda: next(times)))
    assert job.readings == ()
    assert "ask again" in job.problems[0]


def test_a_monthly_settlement_is_read(start_building: Start, open_master: Open) -> None:
    building = start_building(ONE_METER)
    boundary = datetime.now(ZONE).date().replace(day=1)
    full = profile("dlt645-2007-single-phase-full")
    (reading,) = open_master(building.bus).do(settlement(full, METER, boundary, ZONE, now_ms)).readings
    truth = building.command(do="register", address=METER, at_ms=local_midnight_ms(boundary, ZONE))["energy_wh"]
    assert (reading.value, reading.boundary) == (truth // 10 * 10, boundary)


def test_a_settlement_on_another_day_is_refused(start_building: Start, open_master: Open) -> None:
    building = start_building(ONE_METER)
    boundary = date(2026, 3, 15)
    full = profile("dlt645-2007-single-phase-full")
    clock_ms = local_midnight_ms(date(2026, 3, 20), ZONE)
    job = open_master(building.bus).do(settlement(full, METER, boundary, ZONE, lambda: clock_ms))
    assert job.readings == ()
    assert "settles at DDhh 0100, not at 00 h of day 15" in job.problems[0]


def test_long_data_comes_in_segments(start_building: Start, open_master: Open) -> None:
    building = start_building(ONE_METER + "segment_bytes = 6\n")
    today = datetime.now(ZONE).date()
    job = open_master(building.bus).do(freeze(profile(), METER, today, ZONE, now_ms))
    assert job.problems == ()
    assert [reading.boundary for reading in job.readings] == [today]
    assert building.end()["frames_answered"] == 1 + 4


def test_a_register_that_the_meter_lacks_is_refused_by_name(start_building: Start, open_master: Open) -> None:
    building = start_building(ONE_METER)
    outcome = open_master(building.bus).ask(ReadData(address=METER, data_id="00FF0000"))
    assert isinstance(outcome, Refused)
    assert outcome.says == "no such data"


def test_a_silent_meter_is_given_up_and_answers_again_later(start_building: Start, open_master: Open) -> None:
    building = start_building(ONE_METER)
    master = open_master(building.bus)
    building.fault(METER, "silent", 2)
    job = master.do(poll(profile(), METER))
    assert job.readings == ()
    assert "no answer to 00010000 in 2 tries (silence)" in job.problems[0]
    assert master.do(poll(profile(), METER)).readings


@pytest.mark.parametrize("fault", ["noise", "cut", "silent"])
def test_one_bad_answer_is_repaired_by_asking_again(start_building: Start, open_master: Open, fault: str) -> None:
    building = start_building(ONE_METER)
    master = open_master(building.bus)
    for _ in range(5):
        building.fault(METER, fault)
        assert master.do(poll(profile(), METER)).readings
    assert any(isinstance(event, Noise) for event in master.events) == (fault != "silent")


def test_a_doubled_answer_counts_once(start_building: Start, open_master: Open) -> None:
    building = start_building(ONE_METER)
    master = open_master(building.bus)
    building.fault(METER, "doubled")
    assert len(master.do(poll(profile(), METER)).readings) == 1
    assert len(master.do(poll(profile(), METER)).readings) == 1
    assert sum(isinstance(event, Answered) for event in master.events) == 2


def test_a_late_answer_is_not_taken_for_another_question(start_building: Start, open_master: Open) -> None:
    building = start_building(meters(2))
    master = open_master(building.bus)
    building.fault("000000005011", "late", 2)
    assert isinstance(master.ask(ReadData(address="000000005011", data_id="00010000")), NoAnswer)
    give_up = time.monotonic() + 10
    while not any(isinstance(event, Unasked) for event in master.events):
        assert time.monotonic() < give_up
        outcome = master.ask(ReadData(address="000000000001", data_id="00010000"))
        assert isinstance(outcome, Answered)
        assert outcome.address == "000000000001"


def test_a_register_that_goes_backwards_is_suspect(start_building: Start, open_master: Open) -> None:
    building = start_building(ONE_METER)
    master = open_master(building.bus)
    first = master.do(poll(profile(), METER)).readings[0]
    building.fault(METER, "backwards")
    second = master.do(poll(profile(), METER)).readings[0]
    third = master.do(poll(profile(), METER)).readings[0]
    limits, previous = profile().limits[first.quantity], (first.value, 0)
    assert suspicions(limits, second.value, 1000, previous) == ("register-fell",)
    assert suspicions(limits, third.value, 1000, previous) == ()


def test_meters_that_answer_together_are_told_apart(start_building: Start, open_master: Open) -> None:
    addresses = ["000000000001", "000000005011"]
    building = start_building("".join(f'[[meter]]\naddress = "{address}"\n' for address in addresses))
    hasty = Timing(baud=115_200, reply_timeout_seconds=0.03, gap_seconds=0.02, retries=0)
    master = open_master(building.bus, hasty)
    found: set[str] = set()
    for _ in range(5):  # a busy machine may answer a hasty search too late, as a bad line may
        search = Discovery()
        while search.request is not None:
            search.take(master.ask(search.request))
        found.update(search.found)
        if len(found) == len(addresses):
            break
    assert sorted(found) == addresses
    assert any(isinstance(event, Noise) for event in master.events)


def test_the_only_meter_says_its_address(start_building: Start, open_master: Open) -> None:
    building = start_building(ONE_METER)
    outcome = open_master(building.bus).ask(ReadAddress())
    assert isinstance(outcome, Answered)
    assert outcome.address == METER


def test_registers_go_on_after_a_kill_and_the_bus_keeps_its_name(start_building: Start, open_master: Open) -> None:
    building = start_building(ONE_METER)
    before = open_master(building.bus).do(poll(profile(), METER)).readings[0].value
    building.end(signal.SIGKILL)
    building = start_building(ONE_METER)
    after = open_master(building.bus).do(poll(profile(), METER)).readings[0].value
    assert before <= after <= before + 100


def test_the_gateway_may_close_and_open_the_bus_as_it_likes(start_building: Start, open_master: Open) -> None:
    building = start_building(ONE_METER)
    for _ in range(5):
        master = open_master(building.bus)
        assert master.do(poll(profile(), METER)).readings
        master.close()
