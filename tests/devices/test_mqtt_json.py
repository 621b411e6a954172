"""MQTT messages by their profiles: exact numbers, codes, events, and every way a message can be wrong."""

import hashlib
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.detail import encode_detail
from contracts.entry import Kind
from devices.credential import CredentialCommitter, commitment
from devices.errors import DevicesError, MessageError
from devices.mqtt_json import Message, MqttJsonDevice
from devices.mqtt_profile import MqttJsonProfile
from devices.profile import SHIPPED, load_profile
from devices.reading import Reading

COMMITTER = CredentialCommitter(secret=bytes(32), new_nonce=lambda count: bytes(range(count)))


def device(profile: str | Path, topic: str = "t") -> MqttJsonDevice:
    loaded = load_profile(profile)
    assert isinstance(loaded, MqttJsonProfile)
    return MqttJsonDevice(loaded, topic, commit_credential=COMMITTER)


LIFT, ACCESS, SENSOR = device("lift-module-json"), device("access-controller-json"), device("sensor-json")


def test_a_lifts_report_gives_mode_trips_and_doors() -> None:
    payload = b'{"seq":17,"ts":1764000000000,"mode":"inspection","floor":5,"trips":1234,"door_cycles":2345,"fault":0}'
    assert LIFT.decode("t", payload) == Message(
        17,
        (
            Reading(
                kind=Kind.STATUS,
                quantity="lift.mode",
                value=1,
                meter_at_ms=1764000000000,
                detail={"floor": 5, "fault": 0},
            ),
            Reading(kind=Kind.STATUS, quantity="lift.trips", value=1234, meter_at_ms=1764000000000),
            Reading(kind=Kind.STATUS, quantity="lift.door-cycles", value=2345, meter_at_ms=1764000000000),
        ),
    )


def test_a_card_is_committed_to_and_never_kept() -> None:
    message = ACCESS.decode("t", b'{"seq":5,"ts":1764000000000,"event":"granted","card":"0013572468","door":"gate"}')
    (reading,) = message.readings
    assert (reading.kind, reading.quantity, reading.value) == (Kind.ACCESS, "access.granted", 1)
    assert "0013572468" not in encode_detail(reading.detail, salt=bytes(16)).decode()
    nonce = bytes(range(16))
    opened = commitment(COMMITTER.salt(nonce), "0013572468").hex()
    assert reading.detail["credential"] == {"commitment": opened, "nonce": nonce.hex()}


def test_a_commitment_opens_by_plain_sha256_of_salt_and_credential() -> None:
    assert commitment(b"salt", "card") == hashlib.sha256(b"saltcard").digest()


def test_two_uses_of_a_card_cannot_be_told_to_be_the_same() -> None:
    nonces = iter((b"a" * 16, b"b" * 16))
    committer = CredentialCommitter(secret=bytes(32), new_nonce=lambda _count: next(nonces))
    assert committer("1")["commitment"] != committer("1")["commitment"]


def test_a_door_held_open_has_no_card() -> None:
    (reading,) = ACCESS.decode("t", b'{"seq":6,"event":"held_open","door":"gate"}').readings
    assert reading.quantity == "access.held-open"
    assert reading.detail == {"door": "gate"}


@given(st.decimals(min_value=0, max_value=10**9, places=6))
def test_a_fraction_is_scaled_without_a_float_and_rounded_down(kwh: Decimal) -> None:
    message = SENSOR.decode("t", f'{{"seq":1,"kwh":{kwh}}}'.encode())
    assert message.readings[0].value == int(kwh * 1000)


def test_a_number_finer_than_the_base_unit_is_refused_unless_rounding_is_set(tmp_path: Path) -> None:
    path = tmp_path / "exact.toml"
    shipped = SHIPPED / "sensor-json.toml"
    path.write_text(shipped.read_text().replace('"sensor-json"', '"exact"').replace("round_down = true\n", ""))
    assert device(path).decode("t", b'{"seq":1,"kwh":0.25}').readings[0].value == 250
    with pytest.raises(MessageError, match=r"finer than 1-0:1\.8\.0 is kept"):
        device(path).decode("t", b'{"seq":1,"kwh":0.0001}')


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[" * 100_000, "not JSON|at most"),
        (b'{"seq":1,"kwh":NaN}', "not JSON"),
        (b'{"seq":1,"kwh":1e99999999999999999999}', "not JSON|usual size"),
        (b'{"seq":1,"kwh":1e400}', "usual size"),
        (b'{"seq":1,"kwh":"12"}', "needs a number"),
        (b'{"seq":1,"kwh":true}', "needs a number"),
        (b'{"seq":1,"kwh":9999999999999999999}', "63 bits"),
        (b'{"seq":-1,"kwh":1}', "sequence number"),
        (b'{"seq":1.5,"kwh":1}', "sequence number"),
        (b'{"seq":9007199254740992,"kwh":1}', "sequence number"),
        (b'{"kwh":1}', "seq is missing; a sequence number"),
        (b'{"seq":1,"ts":"now","kwh":1}', "expects a time as unix-ms"),
        (b'{"seq":1,"temp":21.5}', "nothing that its profile maps"),
        (b"3", "nothing that its profile maps|sequence"),
        (b" " * 70_000, "at most 65536"),
    ],
)
def test_a_message_that_does_not_fit_is_refused_with_the_reason(payload: bytes, says: str) -> None:
    with pytest.raises(MessageError, match=says):
        SENSOR.decode("t", payload)


@pytest.mark.parametrize(
    ("payload", "says"),
    [
        (b'{"seq":1,"mode":"sideways"}', "mode is 'sideways'; the profile knows normal, inspection"),
        (b'{"seq":1,"mode":3}', "the profile knows"),
        (b'{"seq":1,"trips":5}', "mode is missing; the profile requires it"),
        (b'{"seq":1,"mode":"normal","trips":1.5}', "finer than lift.trips"),
    ],
)
def test_a_lifts_message_that_does_not_fit_is_refused(payload: bytes, says: str) -> None:
    with pytest.raises(MessageError, match=says):
        LIFT.decode("t", payload)


@pytest.mark.parametrize(
    "payload", [b'{"seq":1,"event":"opened"}', b'{"seq":1}', b'{"seq":1,"event":"granted","card":[1]}']
)
def test_an_access_message_that_does_not_fit_is_refused(payload: bytes) -> None:
    with pytest.raises(MessageError):
        ACCESS.decode("t", payload)


def test_another_topic_is_refused() -> None:
    with pytest.raises(MessageError, match="none of this device's: t"):
        LIFT.decode("u", b"{}")


def test_credentials_need_a_committer() -> None:
    profile = load_profile("access-controller-json")
    assert isinstance(profile, MqttJsonProfile)
    with pytest.raises(MessageError, match="give a CredentialCommitter"):
        MqttJsonDevice(profile, "t")


def test_tasmota_speaks_on_two_topics() -> None:
    socket = device("tasmota-energy", "tasmota_1A2B3C")
    assert socket.topics == ("tele/tasmota_1A2B3C/SENSOR", "tele/tasmota_1A2B3C/LWT")
    # As in Tasmota's Power Monitoring documentation.
    sensor = (
        b'{"Time":"2023-02-03T00:00:00","ENERGY":{"TotalStartTime":"2022-01-01T00:00:00","Total":3.185,"Yesterday":0.252,'
        b'"Today":0.014,"Period":0,"Power":12,"ApparentPower":22,"ReactivePower":19,"Factor":0.53,"Voltage":227,"Current":0.098}}'
    )
    readings = socket.decode(socket.topics[0], sensor).readings
    assert {reading.quantity: reading.value for reading in readings} == {
        "1-0:1.8.0": 3185, "1-0:1.7.0": 12, "1-0:32.7.0": 227_000, "1-0:31.7.0": 98,
    }  # fmt: skip
    assert socket.decode(socket.topics[1], b"Offline").readings[0].value == 0
    with pytest.raises(MessageError, match="the profile knows Online, Offline"):
        socket.decode(socket.topics[1], b"Gone")
    with pytest.raises(MessageError, match="UTF-8"):
        socket.decode(socket.topics[1], b"\xff\xfe")


def test_shelly_counts_in_watt_hours() -> None:
    relay = device("shelly-gen2-switch", "shellyplus1pm-a8032ab12345")
    # As in Shelly's Switch component documentation.
    status = (
        b'{"id":0,"source":"WS_in","output":true,"apower":8.9,"voltage":237.5,"current":0.041,'
        b'"aenergy":{"total":6.532,"by_minute":[45.199,47.141,88.397],"minute_ts":1626935779}}'
    )
    readings = relay.decode("shellyplus1pm-a8032ab12345/status/switch:0", status).readings
    assert {reading.quantity: reading.value for reading in readings} == {
        "1-0:1.8.0": 6, "1-0:1.7.0": 8, "1-0:32.7.0": 237_500, "1-0:31.7.0": 41, "switch.output": 1,
    }  # fmt: skip


@pytest.mark.parametrize("time_format", ["unix-s", "iso8601"])
def test_a_devices_own_time_is_read_in_its_format(tmp_path: Path, time_format: str) -> None:
    shipped = SHIPPED / "sensor-json.toml"
    path = tmp_path / "timed.toml"
    path.write_text(shipped.read_text().replace('"sensor-json"', '"timed"').replace('"unix-ms"', f'"{time_format}"'))
    told = {"unix-s": "1764000000.25", "iso8601": '"2025-11-24T16:00:00.250Z"'}[time_format]
    message = device(path).decode("t", f'{{"seq":1,"ts":{told},"kwh":1}}'.encode())
    assert message.readings[0].meter_at_ms == 1764000000250


NAMES = ["seq", "ts", "mode", "floor", "trips", "door_cycles", "fault", "event", "card", "door", "kwh", "0"]

json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=6),
    max_leaves=12,
)


@given(json_values)
def test_no_json_does_more_than_be_refused(content: Any) -> None:
    payload = json.dumps(content).encode()
    for one in (LIFT, ACCESS, SENSOR):
        try:
            message = one.decode("t", payload)
        except DevicesError:
            continue
        for reading in message.readings:
            assert type(reading.value) is int
            encode_detail(reading.detail, salt=bytes(16))


@given(st.binary(max_size=80))
def test_no_bytes_do_more_than_be_refused(payload: bytes) -> None:
    for one in (LIFT, ACCESS, SENSOR):
        with pytest.raises(MessageError):
            one.decode("t", payload)
