"""`kill -9` of the gateway at seeded moments, under load; the cloud verifies all: nothing lost, nothing doubled.

Each seed draws how many messages are in flight, when the process dies, and whether the device repeats what was
acknowledged too. `run_seed` gives (acknowledged, lost, repeated); the test and the figures share it.
"""

import random
import time
from collections import Counter
from pathlib import Path

from tests.edge.cloud_stub import CloudStub
from tests.edge.mqtt_device import Device
from tests.edge.site import ORIGIN, Site
from tests.processes import wait_until

KILLS = 4
REGISTER = "1-0:1.8.0"


def payload(number: int) -> bytes:
    """One message; its register tells which it was."""
    return f'{{"seq":{number},"ts":{1_795_000_000_000 + number},"temp":1.5,"hum":2.5,"kwh":{number}}}'.encode()


def run_seed(directory: Path, seed: int) -> tuple[int, int, int]:
    """One gateway killed `KILLS` times; how many messages were acknowledged, lost and logged twice."""
    rng = random.Random(seed)
    site = Site(directory=directory)
    site.add_sensor("s1")
    acknowledged: set[int] = set()
    sent = 0
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        with site.running() as process:
            for _ in range(KILLS):
                device = Device(site.endpoint_port, "s1", clean=False)
                assert not device.connack[3], "login refused"
                for missing in sorted(set(range(1, sent + 1)) - acknowledged):
                    device.publish("t/s1", payload(missing), missing, dup=True)
                for _ in range(rng.randint(1, 50)):
                    sent += 1
                    device.publish("t/s1", payload(sent), sent)
                acknowledged.update(device.acknowledged(rng.random() * 0.05))
                time.sleep(rng.random() * 0.02)
                process.kill()
                acknowledged.update(device.acknowledged(0.1))
                device.close()
                site.restart(process)
            device = Device(site.endpoint_port, "s1", clean=False)
            for missing in sorted(set(range(1, sent + 1)) - acknowledged):
                device.publish("t/s1", payload(missing), missing, dup=True)
            wait_until(
                lambda: acknowledged.update(device.acknowledged(0.1)) or len(acknowledged) == sent,
                seconds=20, what="all acknowledgements",
            )  # fmt: skip
            wait_until(lambda: cloud.size(ORIGIN) >= site.status()["entries"], seconds=20, what="the whole log")
        assert cloud.refusals == [], cloud.refusals
        logged = Counter(entry.value // 1000 for entry in cloud.of(ORIGIN, REGISTER))
    lost = len(acknowledged - set(logged))
    return len(acknowledged), lost, sum(count - 1 for count in logged.values())
