"""Visits of a door's controller and of the gateway itself: what their own signals show of the work on them."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast
from zoneinfo import ZoneInfo

import pytest

from contracts.bundle import Bundle, bundle_to_json
from contracts.entry import Kind, device_id
from contracts.pack import read_pack
from contracts.visit import NOBODY, VisitClass
from devices.credential import CredentialCommitter
from devices.errors import ProfileError
from devices.gateway_profile import GatewayProfile
from devices.mqtt_profile import MqttJsonProfile
from devices.profile import SHIPPED, load_profile
from devices.visit_rules import VisitRule
from edge.calendar_days import LocalDays
from edge.committer import Committer
from edge.credentials import hash_password
from edge.errors import SettingsError
from edge.registers import Registers
from edge.roster import make_roster
from edge.settings import read_settings
from edge.visits.doors import CrewCards
from edge.visits.opening import fulfillable
from edge.voice import GAP_STOPPED, Voice
from edge.watch import Line, Watch
from tests.bundles import filled
from tests.edge.cloud_stub import CloudStub
from tests.edge.mqtt_device import Device
from tests.edge.site import GATEWAY, ORIGIN, PASSWORD, Site
from tests.edge.visit_room import VisitRoom
from tests.processes import wait_until
from tests.visits import ALIASES, CONTRACT, MECHANIC, signed, visit_of

START_MS = 1_763_000_000_000
START_S, MINUTE_MS, HOUR_MS = START_MS // 1000, 60_000, 3_600_000
NOW_MS = START_MS + 30 * HOUR_MS
DOOR = "urn:minglou:site:b01:access:gate"
VOICE = Voice(GATEWAY)
CREWS_CARD, TEST_CARD, STRANGERS_CARD = "0013572468", "0000000001", "5550001"
_access, _gateway = load_profile("access-controller-json"), load_profile("gateway")
assert isinstance(_access, MqttJsonProfile)
assert isinstance(_gateway, GatewayProfile)


def visit(urn: str, pack_name: str, visit_class: VisitClass, *, start_s: int = START_S) -> Bundle:
    """A visit by a pack of these devices; everything on its list was done."""
    pack = read_pack(pack_name)
    checklist = filled(pack, visit_class)
    record = replace(
        visit_of(start_s, urn=urn), plan=pack.digest(), visit_class=visit_class,
        checklist=checklist.digest(),
    )  # fmt: skip
    return Bundle(signed=signed(record), checklist=checklist)


# ---- the gateway itself ----


def gateways_room(directory: Path) -> VisitRoom:
    assert isinstance(_gateway, GatewayProfile)
    return VisitRoom(directory, {VOICE.device: _gateway.visit_rules}, NOW_MS)


def start(room: VisitRoom, minute: int, boot: str) -> None:
    room.submit(VOICE.software(START_MS + minute * MINUTE_MS, {"version": "1", "boot": boot}))


def test_a_gateway_whose_card_and_supply_were_changed_says_so_itself_and_no_more_than_level_2(tmp_path: Path) -> None:
    with gateways_room(tmp_path) as room:
        start(room, -5000, "old")
        at_ms = START_MS + 10 * MINUTE_MS
        room.submit(VOICE.gap(at_ms, GAP_STOPPED, at_ms - 5 * MINUTE_MS, at_ms, {"reason": "stopped"}))
        start(room, 10, "new")
        room.submit(VOICE.epoch_open(at_ms, 1, {"reason": "own-head-elsewhere"}))
        (whole,) = room.judged(visit(GATEWAY, "gateway-service", VisitClass.YEAR))
        assert whole.items == dict.fromkeys(["software-start", "epoch", "gap"], "confirmed")
        assert whole.level == 2, "it testifies for itself"


@pytest.mark.parametrize(("boot", "finding", "level"), [("old", "not-seen", 0), ("new", "confirmed", 2)])
def test_a_program_that_was_started_again_is_no_change_of_supply(
    tmp_path: Path, boot: str, finding: str, level: int
) -> None:
    with gateways_room(tmp_path) as room:
        start(room, -5000, "old")
        start(room, 10, boot)
        (verdict,) = room.judged(visit(GATEWAY, "gateway-service", VisitClass.YEAR))
        assert (verdict.items["software-start"], verdict.level) == (finding, level)
        assert verdict.items["epoch"] == "not-seen", "what a gateway did not log did not happen to it"


def test_a_device_that_fell_silent_is_no_stop_of_the_gateway(tmp_path: Path) -> None:
    with gateways_room(tmp_path) as room:
        room.submit(VOICE.gap(START_MS + MINUTE_MS, 2, START_MS, START_MS + MINUTE_MS, {"device": "x"}))
        (verdict,) = room.judged(visit(GATEWAY, "gateway-service", VisitClass.YEAR))
        assert verdict.items["gap"] == "not-seen"


# ---- a door's controller ----


class DoorRoom(VisitRoom):
    """A door whose crews' cards and test card the gateway knows."""

    def __init__(self, directory: Path, rules: Sequence[VisitRule]) -> None:
        self.commit = CredentialCommitter(secret=bytes(32), new_nonce=lambda length: bytes(length))
        cards = CrewCards({ALIASES[MECHANIC]: CREWS_CARD, NOBODY: TEST_CARD}, self.commit.salt)
        super().__init__(directory, {device_id(DOOR): rules}, NOW_MS, whose=cards.whose)

    def pass_by(self, minute: int, event: str, card: str) -> None:
        at_ms = START_MS + minute * MINUTE_MS
        self.tell(device_id(DOOR), Kind.ACCESS, f"access.{event}", [(at_ms, 1)], credential=self.commit(card))

    def line(self, minute: int, value: int) -> None:
        self.tell(device_id(DOOR), Kind.STATUS, "device.online", [(START_MS + minute * MINUTE_MS, value)])


WORK = ["access-granted", "access-denied", "held-open", "restart"]


def test_a_service_of_a_door_is_seen_in_its_cards_its_alarm_and_its_line(tmp_path: Path) -> None:
    assert isinstance(_access, MqttJsonProfile)
    with DoorRoom(tmp_path, _access.visit_rules) as room:
        room.pass_by(5, "granted", CREWS_CARD)
        room.pass_by(6, "denied", TEST_CARD)
        room.pass_by(8, "held-open", STRANGERS_CARD)
        room.line(10, 0)
        room.line(12, 1)
        room.line(60, 0)
        (verdict,) = room.judged(visit(DOOR, "access-controller", VisitClass.HALF_YEAR))
        assert verdict.items == dict.fromkeys(WORK, "confirmed")
        assert verdict.level == 3


def test_passers_by_do_no_service_of_a_door(tmp_path: Path) -> None:
    assert isinstance(_access, MqttJsonProfile)
    with DoorRoom(tmp_path, _access.visit_rules) as room:
        for minute in range(5, 30, 5):
            room.pass_by(minute, "granted", STRANGERS_CARD)
            room.pass_by(minute, "denied", STRANGERS_CARD)
            room.pass_by(minute, "held-open", STRANGERS_CARD)
        room.line(60, 0)
        (verdict,) = room.judged(visit(DOOR, "access-controller", VisitClass.HALF_YEAR))
        assert verdict.items == dict.fromkeys(WORK, "not-seen") | {"held-open": "confirmed"}
        assert verdict.level == 0
        seen = room.sightings.tracks(device_id(DOOR), (START_MS, START_MS + HOUR_MS))
        assert (seen["access.granted"], seen["access.denied"]) == ([], []), "nobody keeps where their holders went"
        assert {value for _, value in seen["access.held-open"]} == {0}


def test_a_door_that_tells_nothing_contradicts_nobody(tmp_path: Path) -> None:
    assert isinstance(_access, MqttJsonProfile)
    with DoorRoom(tmp_path, _access.visit_rules) as room:
        room.line(60, 0)
        (verdict,) = room.judged(visit(DOOR, "access-controller", VisitClass.HALF_YEAR))
        assert set(verdict.items.values()) == {"not-observable"}


def test_a_line_that_was_lost_between_two_looks_is_told_as_lost_and_back(tmp_path: Path) -> None:
    device, line = device_id(DOOR), {"now": (False, 0)}

    def lines() -> dict[bytes, Line]:
        return {device: line["now"]}

    def after(now: Line) -> list[int]:
        line["now"] = now
        watch.look()
        return room.said(device, "device.online")

    with gateways_room(tmp_path) as room:
        watch = Watch({}, room.sightings, room.committer, room.clock, [device])
        watch.lines = lines
        assert after((False, 0)) == after((True, 1)) == [], "the gateway's own start says nothing of a device"
        assert after((False, 1)) == after((False, 1)) == [0]
        assert after((True, 2)) == after((True, 2)) == [0, 1]
        assert after((True, 3)) == [0, 1, 0, 1]
        assert after((False, 3)) == [0, 1, 0, 1, 0]
        watch = Watch({}, room.sightings, room.committer, room.clock, [device])  # the gateway is started again
        watch.lines = lines
        assert after((False, 0)) == [0, 1, 0, 1, 0]
        assert after((True, 1)) == [0, 1, 0, 1, 0, 1]


# ---- the real process ----


def test_a_door_that_a_mechanic_tried_and_switched_off_is_judged_by_its_own_gateway(tmp_path: Path) -> None:
    site = Site(directory=tmp_path / "gateway")
    site.users["gate"] = hash_password(PASSWORD)
    cards = site.directory / "cards.toml"
    site.tables.append(
        f'[[device]]\nurn="{DOOR}"\nprofile="access-controller-json"\nmqtt="endpoint"\ntopic="t/gate"\n'
        f'username="gate"\n[maintenance]\ncontract="{CONTRACT}"\ncrew_cards_file="cards.toml"\n'
    )
    site.directory.mkdir(parents=True)
    cards.write_text(
        f'[cards]\n"{NOBODY.hex()}" = "{TEST_CARD}"\n"{ALIASES[MECHANIC].hex()}" = "{CREWS_CARD}"\n', encoding="utf-8"
    )
    cards.chmod(0o600)
    ended_s = int(time.time()) - 300
    bundle = visit(DOOR, "access-controller", VisitClass.HALF_YEAR, start_s=ended_s - 35 * 60)

    def publish(door: Device, number: int, at_s: int, event: str, card: str) -> None:
        told = {"seq": number, "ts": at_s * 1000, "event": event, "card": card, "door": "gate"}
        assert door.publish_and_wait("t/gate", json.dumps(told).encode(), number)[0] == 0x40

    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        # As long as a visit waits for its machine, the gateway looks at lines and log without a rest.
        cloud.mail = [
            {"number": 1, "kind": "visit", "body": bundle_to_json(bundle), "signature": None},
            {"number": 2, "kind": "anchored", "body": {"size": "1"}},
        ]
        with site.running():
            wait_until(lambda: site.status()["anchored"] == 1, seconds=30, what="the mail")
            door = Device(site.endpoint_port, "gate")
            publish(door, 1, ended_s - 1200, "granted", CREWS_CARD)
            publish(door, 2, ended_s - 1140, "denied", TEST_CARD)
            wait_until(lambda: bool(cloud.of(ORIGIN, "access.denied")), seconds=30, what="the test card")
            door.socket.close()
            wait_until(lambda: lines(cloud) == [0], seconds=30, what="the lost line")
            door = Device(site.endpoint_port, "gate")
            wait_until(lambda: lines(cloud) == [0, 1], seconds=30, what="the line that is back")
            publish(door, 3, ended_s + 720, "held_open", STRANGERS_CARD)
            wait_until(lambda: bool(cloud.of(ORIGIN, "visit")), seconds=30, what="the verdict")
        (judged,) = cloud.of(ORIGIN, "visit")
        (at,) = [at for at, one in enumerate(cloud.log(ORIGIN).entries) if one is judged]
        verdict = cloud.log(ORIGIN).fields(at + 1)["verdict"]
        assert verdict["items"] == dict.fromkeys(WORK, "confirmed") | {"held-open": "not-seen"}
        assert verdict["presence"] == "confirmed", "his card opened the door that he looked after"
        assert judged.value == 2
    assert cloud.refusals == []


def lines(cloud: CloudStub) -> list[int]:
    """What the log says of the controller's line."""
    return [one.value for one in cloud.of(ORIGIN, "device.online")]


# ---- what is written in settings and profiles ----


def test_what_is_not_fitted_at_a_device_has_no_rule_and_must_be_one_of_its_profile(tmp_path: Path) -> None:
    site = Site(directory=tmp_path)
    table = '[[device]]\nurn="urn:minglou:site:b01:lift:l1"\nprofile="lift-monitor-json"\nmqtt="endpoint"\ntopic="t"\n'

    def rules(without: str) -> set[str]:
        site.tables = [f'{table}username="l1"\nwithout={without}\n']
        registers = Registers(LocalDays(ZoneInfo("Asia/Shanghai")))
        roster = make_roster(read_settings(site.write()), registers, cast(Committer, None), bytes(32))
        return {rule.item for rule in roster.visit_rules[device_id("urn:minglou:site:b01:lift:l1")]}

    assert rules("[]") - rules('["fire-switch", "light"]') == {"fire-switch", "light"}
    with pytest.raises(SettingsError, match=r"without names \['smoke'\]; its profile has inspection-mode"):
        rules('["smoke"]')


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ('quantity = "access.denied"', 'quantity = "access.refused"', "an event of none here"),
        ('by = "test-card"', 'by = "anybody"', "one of anyone"),
        ('code = "yes"', 'code = "on"', "no, yes"),
        ('code = "yes"', 'code = "yes"\nby = "known"', "is not known here"),
    ],
)
def test_a_mistake_in_a_rule_about_events_is_named(tmp_path: Path, before: str, after: str, says: str) -> None:
    text = (SHIPPED / "access-controller-json.toml").read_text(encoding="utf-8")
    assert before in text
    path = tmp_path / "access-controller-json.toml"
    path.write_text(text.replace(before, after), encoding="utf-8")
    with pytest.raises(ProfileError, match=r"access-controller-json.toml:[0-9]+: ") as caught:
        load_profile(path)
    assert says in str(caught.value)


def test_every_item_that_a_pack_of_these_devices_shows_has_its_rule_and_without_known_cards_none_asks_for_one() -> None:
    assert isinstance(_access, MqttJsonProfile)
    assert isinstance(_gateway, GatewayProfile)
    for rules, pack in ((_access.visit_rules, "access-controller"), (_gateway.visit_rules, "gateway-service")):
        assert {rule.item for rule in rules} == set(read_pack(pack).shows)
    for none in (None, CrewCards({}, lambda nonce: nonce)):
        assert {rule.item for rule in fulfillable(_access.visit_rules, none)} == {"held-open", "restart"}
    cards = CrewCards({ALIASES[MECHANIC]: CREWS_CARD}, lambda nonce: nonce)
    assert {rule.item for rule in fulfillable(_access.visit_rules, cards)} == set(WORK) - {"access-denied"}
