"""A real gateway process with devices that publish to it, for tests that kill it.

No cloud answers: the gateway keeps what it is told and waits, as it does when a building is cut off.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from paho.mqtt.client import Client, MQTTMessageInfo
from paho.mqtt.enums import CallbackAPIVersion

from contracts.entry import Kind, decode_entry
from edge.credentials import hash_password
from edge.log_reader import LogReader
from tests.processes import Program, free_port, program, running, wait_until

SOCKET = "tasmota"  # told apart by its packets alone: its messages carry no number of their own
LIFT = "lift"  # its messages carry a sequence number
PASSWORD = "long-enough-for-a-test"


def seeds() -> range:
    """The seeds of this run; `make soak` gives more, and others."""
    base = int(os.environ.get("MINGLOU_SEED_BASE", "0"))
    return range(base, base + int(os.environ.get("MINGLOU_SEEDS", "3")))


def write_settings(folder: Path, *, endpoint_port: int, broker_port: int | None) -> Path:
    """The settings of a gateway with two devices, on its own endpoint or at a broker; the file's path."""
    place = 'mqtt="endpoint"' if broker_port is None else 'mqtt="house"'
    lines = [
        '[gateway]\norigin="demo.minglou.example/cuiyuan/b07/e0"\nurn="urn:minglou:cuiyuan:b07:gateway:g1"',
        'data_dir="data"\nkey_file="key.pem"\ntimezone="Asia/Shanghai"',
        f'[uplink]\nurl="http://127.0.0.1:{free_port()}"\nchain_id=31337',
    ]
    if broker_port is None:
        (folder / "users.toml").write_text(
            "[users]\n" + "".join(f'{name} = "{hash_password(PASSWORD)}"\n' for name in (SOCKET, LIFT))
        )
        lines.append(f'[mqtt.endpoint]\nlisten="127.0.0.1:{endpoint_port}"\ncredentials_file="users.toml"')
    else:
        lines.append(f'[[mqtt.broker]]\nname="house"\nurl="mqtt://127.0.0.1:{broker_port}"\nclient_id="minglou-b07"')
    for name, profile in ((SOCKET, "tasmota-energy"), (LIFT, "lift-module-json")):
        lines.append(
            f'[[device]]\nurn="urn:minglou:cuiyuan:b07:device:{name}"\nprofile="{profile}"\n{place}\n'
            f'topic="{name}"\nusername="{name}"'
        )
    path = folder / "gateway.toml"
    path.write_text("\n".join(lines) + "\n")
    return path


@contextmanager
def gateway(settings: Path) -> Iterator[Program]:
    """`minglou edge run` from the moment that its collectors are up."""
    minglou = program("minglou")
    subprocess.run([minglou, "edge", "identity", "--config", settings], check=True, capture_output=True, timeout=280)
    command = [minglou, "edge", "run", "--config", settings]
    with running(command, name="edge", output_dir=settings.parent, directory=settings.parent) as started:
        started.wait_ready(lambda: is_up(started, times=1), seconds=20)
        yield started


def is_up(started: Program, *, times: int) -> bool:
    """Whether the gateway has said for the `times`-th time that its collectors are up."""
    return started.said().count("edge: ready") >= times


def crash(started: Program, *, starts: int) -> None:
    """`kill -9`, then the same command again; `starts` counts this one."""
    started.kill()
    started.restart()
    started.wait_ready(lambda: is_up(started, times=starts), seconds=20)


class Publisher:
    """A device that publishes numbered messages at QoS 1 with a session that lasts, as fast as it may."""

    def __init__(self, name: str, port: int, *, inflight: int) -> None:
        self.name = name
        self._sent: dict[int, int] = {}  # message number to packet id
        self._acknowledged: set[int] = set()  # packet ids; a run sends fewer messages than there are
        self._client = Client(CallbackAPIVersion.VERSION2, client_id=f"module-{name}", clean_session=False)
        self._client.username_pw_set(name, PASSWORD)
        self._client.max_inflight_messages_set(inflight)
        self._client.reconnect_delay_set(min_delay=1, max_delay=1)
        self._client.on_publish = lambda client, userdata, mid, reason, properties: self._acknowledged.add(mid)
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()

    def publish(self, number: int) -> None:
        """Send message `number`, or keep it until it can be sent."""
        topic, content = message(self.name, number)
        told: MQTTMessageInfo = self._client.publish(topic, json.dumps(content), qos=1)
        self._sent[number] = told.mid

    def is_through(self) -> bool:
        """Whether all that was sent is acknowledged."""
        return self._acknowledged.issuperset(self._sent.values())

    def close(self) -> None:
        """Leave; what was acknowledged stays so."""
        self._client.disconnect()
        self._client.loop_stop()


def message(name: str, number: int) -> tuple[str, dict[str, object]]:
    """Topic and content of message `number` of a device; the number comes back as a register in the log."""
    if name == SOCKET:
        return f"tele/{SOCKET}/SENSOR", {"ENERGY": {"Total": number / 1000}}
    content = {"seq": number, "ts": 1_764_000_000_000 + number, "mode": "normal", "floor": 1, "trips": number}
    return LIFT, content


def logged(folder: Path, *, from_number: int = 1) -> dict[str, Counter[int]]:
    """How often the log holds each device's numbers; 0 belongs to the probe."""
    registers = {"1-0:1.8.0": SOCKET, "lift.trips": LIFT}
    found = {SOCKET: Counter[int](), LIFT: Counter[int]()}
    for path in sorted((folder / "data").glob("e[0-9]*.sqlite3")):
        with closing(LogReader(path)) as reader:
            entries = [decode_entry(row) for row, _ in reader.rows(0, reader.size())]
        for entry in entries:
            if entry.kind in (Kind.READING, Kind.STATUS) and entry.value >= from_number:
                name = registers.get(entry.quantity)
                if name is not None:
                    found[name][entry.value] += 1
    return found


def wait_subscribed(folder: Path, port: int) -> None:
    """Publish message 0, which nobody counts, until the log has it: from then on the broker keeps what comes."""
    probe = Publisher(LIFT, port, inflight=1)

    def is_logged() -> bool:
        probe.publish(0)
        return logged(folder, from_number=0)[LIFT][0] > 0

    wait_until(is_logged, seconds=20, what="the gateway's subscription at the broker")
    probe.close()


def publish_through_crashes(started: Program, port: int, *, seed: int, messages: int, crashes: int) -> None:
    """Both devices publish messages 1 to `messages` while the gateway is killed at moments that `seed` chooses."""
    rng = random.Random(seed)
    publishers = [Publisher(name, port, inflight=rng.choice((1, 5, 20))) for name in (SOCKET, LIFT)]
    moments = set(rng.sample(range(1, messages), crashes))
    starts = 1
    for number in range(1, messages + 1):
        for publisher in publishers:
            publisher.publish(number)
        if number in moments:
            threading.Event().wait(rng.uniform(0, 0.06))
            starts += 1
            crash(started, starts=starts)
    wait_until(
        lambda: all(publisher.is_through() for publisher in publishers),
        seconds=40,
        what=f"all acknowledgements (seed {seed}); the gateway said:\n{started.said()[-1000:]}",
    )
    for publisher in publishers:
        publisher.close()
