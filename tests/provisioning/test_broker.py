"""Both brokers of the demo give each user his own topics, and keep a session for the gateway while it is away."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import paho.mqtt.client as mqtt
import pytest

from provisioning.demo.processes import broker_program
from provisioning.demo.supervisor import Supervisor
from provisioning.demo.writing import write_passwords
from provisioning.names import SecretNames
from provisioning.settings import Places, Ports
from provisioning.site import Site
from tests.processes import free_port

SECONDS = 20


@pytest.fixture(params=["mosquitto", "nats"])
def broker(
    request: pytest.FixtureRequest, site: Site, names: SecretNames, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[int]:
    if request.param == "nats":
        monkeypatch.setenv("MINGLOU_WITHOUT", "mosquitto")
    port = free_port()
    ports = Ports(chain=1, cloud=2, control=3, status=4, endpoint=5, broker=port)
    places = Places(tmp_path)
    write_passwords(site, names, places, ports)
    started, done = threading.Event(), threading.Event()

    async def run() -> None:
        supervisor = Supervisor(print)
        await supervisor.start(broker_program(places, ports))
        started.set()
        await asyncio.to_thread(done.wait)
        await supervisor.stop()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        assert started.wait(SECONDS)
        yield port
    finally:
        done.set()
        thread.join(SECONDS)


@contextmanager
def client(
    port: int, user: str, password: str, received: queue.Queue[tuple[str, bytes]] | None = None
) -> Iterator[mqtt.Client]:
    made = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=user, protocol=mqtt.MQTTv311, clean_session=False)
    made.username_pw_set(user, password)
    if received is not None:
        made.on_message = lambda _client, _data, message: received.put((message.topic, message.payload))
    connected: queue.Queue[bool] = queue.Queue()
    made.on_connect = lambda _client, _data, _flags, reason, _properties: connected.put(not reason.is_failure)
    made.connect("127.0.0.1", port)
    made.loop_start()
    try:
        if not connected.get(timeout=SECONDS):
            raise PermissionError(user)
        yield made
    finally:
        made.disconnect()
        made.loop_stop()


def subscribe(gateway: mqtt.Client, *topics: str) -> None:
    """Subscribe and wait for the broker's word: what comes before it reaches nobody."""
    granted = threading.Event()
    gateway.on_subscribe = lambda *_: granted.set()
    gateway.subscribe([(topic, 1) for topic in topics])
    assert granted.wait(SECONDS)


def test_a_device_reaches_the_gateway_even_while_it_is_away(broker: int, names: SecretNames) -> None:
    received: queue.Queue[tuple[str, bytes]] = queue.Queue()
    with client(broker, "gateway", names.passwords["gateway"]) as gateway:
        subscribe(gateway, "lift/l2")
        with client(broker, "lift-l2", names.passwords["lift-l2"]) as lift:
            lift.publish("lift/l2", b"first", qos=1).wait_for_publish(SECONDS)
    with client(broker, "lift-l2", names.passwords["lift-l2"]) as lift:
        lift.publish("lift/l2", b"while away", qos=1).wait_for_publish(SECONDS)
    with client(broker, "gateway", names.passwords["gateway"], received):
        payloads = {received.get(timeout=SECONDS)[1]}
        if b"while away" not in payloads:
            payloads.add(received.get(timeout=SECONDS)[1])
    assert b"while away" in payloads


def test_a_device_cannot_speak_for_another(broker: int, names: SecretNames) -> None:
    received: queue.Queue[tuple[str, bytes]] = queue.Queue()
    with client(broker, "gateway", names.passwords["gateway"], received) as gateway:
        subscribe(gateway, "lift/l2", "access/garage")
        with client(broker, "lift-l2", names.passwords["lift-l2"]) as lift:
            # A broker may acknowledge what it does not let through, or hang up (MQTT 3.1.1, section 3.3.5).
            settled = threading.Event()
            lift.on_publish = lift.on_disconnect = lambda *_: settled.set()
            lift.publish("access/garage", b"forged", qos=1)
            assert settled.wait(SECONDS)
        with client(broker, "lift-l2", names.passwords["lift-l2"]) as lift:
            lift.publish("lift/l2", b"own", qos=1).wait_for_publish(SECONDS)
            assert received.get(timeout=SECONDS) == ("lift/l2", b"own")
    assert received.empty()


def test_a_wrong_password_is_refused(broker: int) -> None:
    with pytest.raises(PermissionError), client(broker, "lift-l2", "guess"):
        pass
