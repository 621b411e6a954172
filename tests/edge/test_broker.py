"""The gateway as a client of a real mosquitto: manual acknowledgement, persistent session, Home Assistant."""

import json
import threading
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.conftest import Endpoint
from tests.edge.cloud_stub import CloudStub
from tests.edge.mqtt_device import Device
from tests.edge.site import ORIGIN, Site
from tests.edge.test_gateway import reading
from tests.processes import wait_until


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(directory=tmp_path / "gateway")


def join(site: Site, mosquitto: Endpoint, version: str = "5") -> None:
    site.tables.append(
        f'[[mqtt.broker]]\nname="house"\nurl="{mosquitto.url}"\nclient_id="minglou-b01"\nprotocol="{version}"\n'
    )


def connected(site: Site) -> bool:
    return site.status()["counts"].get("brokers_connected") == 1


def publisher(mosquitto: Endpoint, name: str = "device") -> Device:
    return Device(mosquitto.port, name)


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_messages_through_a_broker_reach_the_cloud(site: Site, mosquitto: Endpoint, version: str) -> None:
    join(site, mosquitto, version)
    site.add_sensor("s1", line="house")
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        with site.running():
            wait_until(lambda: connected(site), seconds=5, what="the broker's client")
            device = publisher(mosquitto)
            for number in range(1, 31):
                device.publish_and_wait("t/s1", reading(number, f"{number}.0"), number)
            wait_until(lambda: len(cloud.of(ORIGIN, "1-0:1.8.0")) == 30, seconds=8, what="thirty readings")
        assert [one.value for one in cloud.of(ORIGIN, "1-0:1.8.0")] == [one * 1000 for one in range(1, 31)]


def test_kill_9_behind_a_broker_loses_and_doubles_nothing(site: Site, mosquitto: Endpoint) -> None:
    join(site, mosquitto)
    site.add_sensor("s1", line="house")
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        with site.running() as process:
            wait_until(lambda: connected(site), seconds=5, what="the broker's client")
            device, number = publisher(mosquitto), 0
            for _ in range(3):
                for _ in range(200):
                    number += 1
                    device.publish("t/s1", reading(number, f"{number}.0"), number)
                held = cloud.size(ORIGIN)
                wait_until(lambda held=held: cloud.size(ORIGIN) > held, seconds=8, what="some of them")
                process.kill()
                site.restart(process)
                wait_until(lambda: connected(site), seconds=5, what="the broker's client")
            wait_until(lambda: len(cloud.of(ORIGIN, "1-0:1.8.0")) >= number, seconds=15, what="all readings")
            assert len(device.acknowledged(0.5)) == number
        values = [one.value for one in cloud.of(ORIGIN, "1-0:1.8.0")]
        assert sorted(values) == [one * 1000 for one in range(1, number + 1)]
        assert cloud.refusals == []


def test_a_killed_broker_is_connected_to_again(site: Site, mosquitto: Endpoint) -> None:
    join(site, mosquitto)
    site.add_sensor("s1", line="house")
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        with site.running():
            wait_until(lambda: connected(site), seconds=5, what="the broker's client")
            mosquitto.program.kill()
            wait_until(lambda: not connected(site), seconds=5, what="the lost connection")
            mosquitto.program.restart()
            wait_until(lambda: connected(site), seconds=10, what="the connection again")
            publisher(mosquitto).publish_and_wait("t/s1", reading(1), 1)
            wait_until(lambda: len(cloud.of(ORIGIN, "1-0:1.8.0")) == 1, seconds=8, what="the reading")


class Listener:
    """Home Assistant's side: collects what is published under some filters."""

    def __init__(self, port: int, filters: list[str]) -> None:
        self.heard: dict[str, Any] = {}
        self._subscribed = threading.Event()
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id="listener")
        self.client.on_message = lambda _c, _d, message: self.heard.__setitem__(message.topic, message.payload)
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        self.client.subscribe([(name, 1) for name in filters])
        assert self._subscribed.wait(5)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def test_home_assistant_discovers_sensors_hears_states_and_commands_devices(site: Site, mosquitto: Endpoint) -> None:
    join(site, mosquitto)
    site.add_sensor("s1")
    site.tables.append('[home_assistant]\nbroker="house"\n')
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        with site.running():
            listener = Listener(mosquitto.port, ["homeassistant/#", "minglou/#"])
            device = Device(site.endpoint_port, "s1")
            device.send(b"\x82" + bytes([2 + 2 + len("t/s1/command") + 1]) + b"\x00\x05\x00\x0ct/s1/command\x00")
            assert device.read_packet() == b"\x90\x03\x00\x05\x00"
            device.publish_and_wait("t/s1", reading(1), 1)
            wait_until(lambda: any(name.endswith("/state") for name in listener.heard), seconds=8, what="a state")
            config = next(json.loads(body) for name, body in listener.heard.items() if name.endswith("/config"))
            state = next(json.loads(body) for name, body in listener.heard.items() if name.endswith("/state"))
            assert (config["unit_of_measurement"], config["device_class"]) == ("Wh", "energy")
            assert config["state_topic"] in listener.heard
            assert state["value"] == 1500
            gateway = config["state_topic"].split("/")[1]
            topic = f"minglou/{gateway}/urn_minglou_site_b01_sensor_s1/command"
            listener.client.publish(topic, b'{"relay":1}', qos=1)
            assert device.read_packet() == b"\x30\x19\x00\x0ct/s1/command" + b'{"relay":1}'
            listener.close()
