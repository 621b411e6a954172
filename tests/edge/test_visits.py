"""Visits at the gateway: judged by what the machine said, once, whatever the mail holds."""

import json
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.detail import decode_detail
from contracts.entry import Kind, Series, device_id
from contracts.signed_visit import SignedVisit, signed_visit_to_json
from contracts.visit import Visit
from devices.mqtt_profile import MqttJsonProfile
from devices.profile import load_profile
from devices.simulated.schedule import MINUTE_MS
from edge.credentials import hash_password
from edge.log_reader import LogReader
from edge.log_store import Group, LogStore
from edge.visits.finding import UNPROVEN, Finding, PresenceFinding
from edge.visits.items import Track, asked_by
from edge.visits.judge import Judgement, judge, window_of
from edge.visits.sightings import Sightings, kept_for
from tests.edge.cloud_stub import CloudStub
from tests.edge.mqtt_device import Device
from tests.edge.site import ORIGIN, PASSWORD, Site
from tests.processes import wait_until
from tests.visits import CONTRACT, LIFT, OTHER, VISIT_STAGES, mailed, signed, visit_of

HOUR_MS = 60 * MINUTE_MS
START_MS = 1_763_000_000_000
CODES = {"normal": 0, "inspection": 1, "out_of_service": 4}
_profile = load_profile("lift-module-json")
assert isinstance(_profile, MqttJsonProfile)
RULES = _profile.visit_rules
PRESENT = PresenceFinding(word=Finding.CONFIRMED, signers=(Finding.CONFIRMED,))


def told(start_ms: int, *, is_visited: bool) -> list[tuple[int, str, int]]:
    """Instants, modes and door cycles that a lift reports around a visit: every hour, and at each stage of it."""
    reports = [(start_ms + hour * HOUR_MS - 20 * MINUTE_MS, "normal", 100) for hour in (-3, -2, -1, 0)]
    cycles = 100
    for minute, mode, more in VISIT_STAGES if is_visited else ():
        cycles += more
        reports.append((start_ms + minute * MINUTE_MS, mode, cycles))
    reports += [(start_ms + hour * HOUR_MS - 10 * MINUTE_MS, "normal", cycles + 3) for hour in (1, 2)]
    return reports


def tracks(reports: Sequence[tuple[int, str, int]]) -> dict[str, Track]:
    return {
        "lift.mode": [(at_ms, CODES[mode]) for at_ms, mode, _ in reports],
        "lift.door-cycles": [(at_ms, cycles) for at_ms, _, cycles in reports],
    }


VISIT = visit_of(START_MS // 1000)


def judged_by_all(
    seen: dict[str, Track], *, presence: PresenceFinding = UNPROVEN, key_class: str = "file"
) -> Judgement:
    """As a visit is judged whose plan the gateway does not know: by every rule of the profile."""
    asked = asked_by(RULES, None, VISIT.visit_class, None)
    return judge(VISIT, RULES, seen, asked=asked, presence=presence, key_class=key_class)


@pytest.mark.parametrize(("key_class", "level"), [("file", 3), ("token", 4), ("attested", 4)])
def test_a_visit_that_the_machine_saw_whole_is_worth_what_the_gateways_key_is(key_class: str, level: int) -> None:
    judgement = judged_by_all(tracks(told(START_MS, is_visited=True)), key_class=key_class)
    assert judgement.level == level
    items = judgement.verdict["items"]
    assert items == dict.fromkeys(["inspection-mode", "door-cycles", "stop-switch", "back-in-service"], "confirmed")
    assert judgement.facts["stop-switch"] == {
        "seconds": 180, "from_ms": START_MS + 15 * MINUTE_MS, "to_ms": START_MS + 18 * MINUTE_MS,
    }  # fmt: skip
    assert judgement.facts["door-cycles"] == {"rise": 9}


def test_a_paper_visit_is_seen_as_nothing_however_busy_the_lift_was() -> None:
    busy = [
        (at_ms, mode, cycles + number * 40)
        for number, (at_ms, mode, cycles) in enumerate(told(START_MS, is_visited=False))
    ]
    judgement = judged_by_all(tracks(busy), key_class="attested")
    assert judgement.level == 0
    assert judgement.verdict["items"] == {
        "inspection-mode": "not-seen", "door-cycles": "not-seen", "stop-switch": "not-seen",
        "back-in-service": "confirmed",
    }  # fmt: skip


def test_presence_alone_is_level_1() -> None:
    seen = tracks(told(START_MS, is_visited=False))
    assert judged_by_all(seen, presence=PRESENT).level == 1


@pytest.mark.parametrize(
    ("change", "item", "finding"),
    [
        (lambda at, mode, n: (at, "normal" if mode == "out_of_service" else mode, n), "stop-switch", "not-seen"),
        (lambda at, mode, n: (at, mode, 100), "door-cycles", "not-seen"),
        (lambda at, mode, n: (at, "inspection" if at > START_MS else mode, n), "back-in-service", "contradicted"),
    ],
)
def test_what_the_machine_did_not_show_makes_it_level_2(
    change: Callable[[int, str, int], tuple[int, str, int]], item: str, finding: str
) -> None:
    seen = tracks([change(*report) for report in told(START_MS, is_visited=True)])
    judgement = judged_by_all(seen, key_class="token")
    items = judgement.verdict["items"]
    assert isinstance(items, dict)
    assert (judgement.level, items[item]) == (2, finding)


def test_a_silent_machine_cannot_say_and_says_so() -> None:
    silent = [report for report in told(START_MS, is_visited=False) if report[0] < START_MS - 3 * HOUR_MS]
    judgement = judged_by_all(tracks(silent))
    assert judgement.level == 0
    assert set(dict(judgement.verdict["items"]).values()) == {"not-observable"}  # type: ignore[call-overload]
    assert judgement.facts["heard"] == 0


@pytest.mark.parametrize("shift_minutes", [-9, 9])
def test_a_phone_may_disagree_with_the_lift_by_the_tolerance(shift_minutes: int) -> None:
    seen = tracks(told(START_MS + shift_minutes * MINUTE_MS, is_visited=True))
    assert judged_by_all(seen).level == 3


@pytest.mark.parametrize("shift_hours", [-2, 2])
def test_a_visit_of_another_hour_is_not_this_one(shift_hours: int) -> None:
    seen = tracks(told(START_MS + shift_hours * HOUR_MS, is_visited=True))
    assert judged_by_all(seen).level == 0


@given(st.lists(st.tuples(st.integers(-4, 4).map(lambda h: START_MS + h * HOUR_MS), st.integers(0, 5)), max_size=12))
def test_no_track_breaks_the_judge(samples: list[tuple[int, int]]) -> None:
    ordered = sorted(samples)
    judgement = judged_by_all({"lift.mode": ordered, "lift.door-cycles": ordered})
    assert 0 <= judgement.level <= 3


# ---- the real process ----


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(directory=tmp_path / "gateway")
    add_lift(site)
    return site


def add_lift(site: Site) -> None:
    """One lift at the endpoint, and the contract whose visits are judged."""
    site.users["l1"] = hash_password(PASSWORD)
    site.tables.append(
        f'[[device]]\nurn="{LIFT}"\nprofile="lift-module-json"\nmqtt="endpoint"\ntopic="t/l1"\nusername="l1"\n'
        f'[maintenance]\ncontract="{CONTRACT}"\n'
    )


def publish(site: Site, start_ms: int, *, is_visited: bool, first: int = 0) -> None:
    """A lift that reports, with its own time, what happened around `start_ms`."""
    lift = Device(site.endpoint_port, "l1")
    for number, (at_ms, mode, cycles) in enumerate(told(start_ms, is_visited=is_visited), first + 1):
        report = {
            "seq": number,
            "ts": at_ms,
            "mode": mode,
            "floor": 3,
            "trips": cycles,
            "door_cycles": cycles,
            "fault": 0,
        }
        assert lift.publish_and_wait("t/l1", json.dumps(report).encode(), number)[0] == 0x40
    lift.socket.close()


def started_ms(*, hours_ago: float) -> int:
    return int((time.time() - hours_ago * 3600) * 1000) // 1000 * 1000


def judged(cloud: CloudStub, visit: Visit) -> list[int]:
    """Where the visit stands in the log."""
    entries = list(cloud.log(ORIGIN).entries)
    return [at for at, one in enumerate(entries) if one.kind is Kind.VISIT and one.detail_digest == visit.digest()]


def is_all_uploaded(site: Site) -> bool:
    told = site.status()
    return bool(told["uploaded"] == told["entries"])


def wait_for_verdict(cloud: CloudStub, visit: Visit) -> tuple[int, dict[str, Any]]:
    """The level of a visit that is judged once, and its verdict, which stands right behind it."""
    wait_until(lambda: bool(judged(cloud, visit)), seconds=10, what="the visit's entry")
    (at,) = judged(cloud, visit)
    seen, verdict = cloud.log(ORIGIN).entries[at : at + 2]
    assert (seen.quantity, verdict.kind, verdict.quantity) == ("visit", Kind.STATUS, "visit.verdict")
    assert seen.device == verdict.device == device_id(LIFT)
    assert seen.value == verdict.value
    detail = decode_detail(cloud.log(ORIGIN).details[at + 1])
    assert detail["visit"] == visit.digest().hex()
    return seen.value, detail


def test_an_honest_visit_a_paper_visit_and_a_late_one_are_judged_by_what_the_gateway_saw(site: Site) -> None:
    start_ms = started_ms(hours_ago=30)
    honest, paper = signed(visit_of(start_ms // 1000)), signed(visit_of(start_ms // 1000 + 2 * 3600, salt=2))
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        with site.running():
            publish(site, start_ms, is_visited=True)
            publish(site, start_ms + 4 * HOUR_MS, is_visited=False, first=100)
            cloud.mail = [mailed(1, honest)]
            level, detail = wait_for_verdict(cloud, honest.visit)
            assert level == 3
            assert detail["verdict"]["key_class"] == "file"
            assert detail["facts"]["inspection-mode"]["seconds"] == 32 * 60
        with site.running():  # what was seen is remembered over a restart
            cloud.mail.append(mailed(2, paper))
            assert wait_for_verdict(cloud, paper.visit)[0] == 0
            cloud.mail.append(mailed(3, honest))
            cloud.mail.append({"number": 4, "kind": "anchored", "body": {"size": "1"}})
            wait_until(lambda: site.status()["anchored"] == 1, seconds=8, what="the mail behind the replay")
            assert "was judged before" in site.status()["notices"][-1]
        assert len(judged(cloud, honest.visit)) == 1
        assert cloud.refusals == []


def forged(visit: Visit) -> SignedVisit:
    """Somebody else's signature beside the mechanic's key."""
    right, wrong = signed(visit), signed(visit, OTHER)
    one = replace(right.signatures[0], signature=wrong.signatures[0].signature)
    return replace(
        right, signatures=(replace(one, signature=replace(one.signature, key_id=right.signatures[0].signature.key_id)),)
    )


def test_what_is_not_a_visit_of_this_gateway_leaves_no_entry_and_stops_nothing(site: Site) -> None:
    now_s = int(time.time())
    visit = visit_of(now_s - 7200)
    refused = [
        (forged(visit), "did not sign"),
        (signed(visit_of(now_s - 7200, urn="urn:minglou:site:b02:lift:l9")), "none that this gateway"),
        (signed(visit, contract="0x" + "d2" * 20), "is signed for 0xd2"),
        (signed(visit, chain_id=1), "on chain 1"),
    ]
    doubted = [
        (signed(visit_of(now_s + 3600)), "still to come"),
        (signed(visit_of(now_s - 61 * 86_400)), "60 days ago"),
    ]
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        cloud.mail = [mailed(number, one) for number, (one, _) in enumerate([*refused, *doubted], 1)]
        cloud.mail.append({"number": 50, "kind": "visit", "body": {"nonsense": True}, "signature": None})
        cloud.mail.append({"number": 51, "kind": "anchored", "body": {"size": "1"}})
        with site.running():
            wait_until(lambda: site.status()["anchored"] == 1, seconds=8, what="the mail behind them")
            for _, says in (*refused, *doubted):
                wait_until(lambda says=says: says in " | ".join(site.status()["notices"]), seconds=8, what=says)
            assert site.status()["counts"]["visits_refused"] == len(refused) + 1
        assert not [one for one in cloud.log(ORIGIN).entries if one.kind is Kind.VISIT]


def test_garbage_in_a_visits_place_is_refused_and_the_gateway_lives(site: Site) -> None:
    rng = random.Random(7)
    whole = signed_visit_to_json(signed(visit_of(int(time.time()) - 7200)))
    junk: list[Any] = [None, True, -1, "", "zz", [], {}, [[]], {"a": 1}, "0" * 70_000]
    bodies: list[dict[str, Any]] = []
    for number in range(60):
        body = json.loads(json.dumps(whole))
        place = rng.choice([body, body["visit"], body["signatures"][0]])
        place[rng.choice(sorted(place))] = junk[number % len(junk)]
        bodies += [body] if body != whole else []
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        cloud.mail = [{"number": at, "kind": "visit", "body": body} for at, body in enumerate(bodies, 1)]
        cloud.mail.append({"number": 100, "kind": "anchored", "body": {"size": "1"}})
        with site.running():
            wait_until(lambda: site.status()["anchored"] == 1, seconds=8, what="the mail behind the garbage")
            assert site.status()["counts"]["visits_refused"] == len(bodies)
            collectors = {one["name"]: one["restarts"] for one in site.status()["collectors"]}
            assert collectors["mail"] == collectors["visits"] == 0


def test_a_visit_waits_for_its_machine_over_a_kill_and_is_judged_once(site: Site) -> None:
    """Killed between mail and log: the message was taken, the machine had not spoken yet."""
    start_ms = started_ms(hours_ago=1.2)
    visit = signed(visit_of(start_ms // 1000))
    reports = told(start_ms, is_visited=True)
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        cloud.mail = [mailed(1, visit), {"number": 2, "kind": "anchored", "body": {"size": "1"}}]
        with site.running() as process:
            wait_until(lambda: site.status()["anchored"] == 1, seconds=8, what="the mail")
            process.kill()
            site.restart(process)
            assert judged(cloud, visit.visit) == []
            lift = Device(site.endpoint_port, "l1")
            for number, (at_ms, mode, cycles) in enumerate(reports, 1):
                report = {
                    "seq": number,
                    "ts": at_ms,
                    "mode": mode,
                    "floor": 3,
                    "trips": 1,
                    "door_cycles": cycles,
                    "fault": 0,
                }
                assert lift.publish_and_wait("t/l1", json.dumps(report).encode(), number)[0] == 0x40
            assert wait_for_verdict(cloud, visit.visit)[0] == 3
            process.kill()
            site.restart(process)
            cloud.mail.append({"number": 3, "kind": "anchored", "body": {"size": "2"}})
            wait_until(lambda: site.status()["anchored"] == 2, seconds=8, what="the mail after the kill")
        assert len(judged(cloud, visit.visit)) == 1
        assert cloud.refusals == []


def test_a_broken_store_of_what_was_seen_is_made_anew_from_the_log(site: Site) -> None:
    start_ms = started_ms(hours_ago=30)
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        with site.running():
            publish(site, start_ms, is_visited=True)
        (site.data_dir / "visits.sqlite3").write_bytes(b"garbage" * 1000)
        visit = signed(visit_of(start_ms // 1000))
        cloud.mail = [mailed(1, visit)]
        with site.running():
            assert wait_for_verdict(cloud, visit.visit)[0] == 3


def test_the_windows_of_a_visit_are_its_times_and_the_tolerance() -> None:
    assert window_of(VISIT) == (START_MS - 10 * MINUTE_MS, START_MS + 45 * MINUTE_MS)


def test_a_new_epoch_remembers_what_was_judged_and_judges_what_was_not(site: Site) -> None:
    start_ms = started_ms(hours_ago=30)
    done, left = signed(visit_of(start_ms // 1000)), signed(visit_of(start_ms // 1000, salt=2))
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        cloud.mail = [mailed(1, done)]
        with site.running():
            publish(site, start_ms, is_visited=True)
            assert wait_for_verdict(cloud, done.visit)[0] == 3
            # What the cloud has and this log does not know it has would be judged again in the next one.
            wait_until(lambda: is_all_uploaded(site), seconds=10, what="a log that knows what the cloud has")
        log = sqlite3.connect(site.data_dir / "e0.sqlite3")
        start, entries = log.execute("SELECT start, entries FROM block ORDER BY start DESC").fetchone()
        log.execute("UPDATE block SET entries = ? WHERE start = ?", (bytes(len(entries)), start))
        log.commit()
        log.close()
        cloud.mail = [mailed(1, done), mailed(2, left)]
        epoch = ORIGIN.replace("/e0", "/e1")
        with site.running() as process:
            assert "epoch e1 opened: store-broken" in process.said()
            wait_until(lambda: bool(cloud.of(epoch, "visit")), seconds=10, what="the visit in the new epoch")
            assert "was judged before" in " ".join(site.status()["notices"])
        assert [(one.detail_digest, one.value) for one in cloud.of(epoch, "visit")] == [(left.visit.digest(), 3)]
        assert cloud.refusals == []


def test_a_log_put_back_from_a_copy_is_looked_through_again(tmp_path: Path) -> None:
    window = window_of(VISIT)

    def logged(name: str, reports: Sequence[tuple[int, str, int]]) -> LogReader:
        store = LogStore.open(tmp_path / f"{name}.sqlite3", ORIGIN)
        series = Series(Kind.STATUS, device_id(LIFT), "lift.mode")
        store.append(
            Group(rows=[(series.encode(at, CODES[mode], bytes(32), bytes(16)), b"") for at, mode, _ in reports])
        )
        store.close()
        return LogReader(store.path)

    sightings = Sightings(tmp_path / "visits.sqlite3", {device_id(LIFT): kept_for(RULES)})
    for name, is_visited in (("whole", False), ("put-back", True)):
        reports = told(START_MS, is_visited=is_visited)
        reader = logged(name, reports if is_visited else reports * 4)
        sightings.fold(reader, ORIGIN)
        reader.close()
        seen = dict(sightings.tracks(device_id(LIFT), window)["lift.mode"])
        assert (CODES["out_of_service"] in seen.values()) == is_visited
    sightings.close()


def test_a_gateway_that_has_no_visit_to_judge_loads_no_abi_library() -> None:
    """It would cost a small board seconds of its start."""
    asked = "import sys, edge.gateway; sys.exit(bool({'eth_abi', 'contracts.pack', 'edge.presence'} & {*sys.modules}))"
    assert subprocess.run([sys.executable, "-c", asked], timeout=280, check=False).returncode == 0
