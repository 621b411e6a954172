"""Devices that publish as fast as they are acknowledged: QoS 1, at most ten unacknowledged each, one process.

Run as a program it prints one JSON line: messages acknowledged, wall seconds, CPU seconds, and the acknowledgement
times' median and 99th percentile.
"""

import argparse
import json
import selectors
import socket
import time
from collections import deque

from tests.bench.figure import percentile
from tests.edge.mqtt_device import connect_packet, publish_packet
from tests.edge.site import PASSWORD

IN_FLIGHT = 10
_PUBACK_BYTES = 4


class LoadDevice:
    """One connection; payloads differ in their sequence number and their register."""

    def __init__(self, port: int, name: str, count: int, topic: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.sendall(connect_packet(name, name, PASSWORD, clean=False))
        connack = self.socket.recv(4)
        if connack[:2] != b"\x20\x02" or connack[3]:
            raise ConnectionError(f"{name}: login refused {connack.hex()}")
        start = time.time_ns() // 1_000_000
        self.packets = [
            publish_packet(
                topic,
                b'{"seq":%d,"ts":%d,"temp":21.25,"hum":40.5,"kwh":%d.%03d}'
                % (start + n, start + n, 1000 + n // 1000, n % 1000),
                n % 65_000 + 1,
            )
            for n in range(count)
        ]
        self.sent = self.acknowledged = 0
        self.times: deque[float] = deque()
        self.rest = b""

    def send(self, count: int, now: float) -> None:
        part = self.packets[self.sent : self.sent + count]
        if part:
            self.socket.sendall(b"".join(part))
            self.sent += len(part)
            self.times.extend([now] * len(part))


def run_load(port: int, names: list[str], messages: int, topic: str = "t/{name}") -> dict[str, float]:
    """Publish `messages` in all; wait until every one is acknowledged."""
    each = messages // len(names)
    devices = [LoadDevice(port, name, each, topic.format(name=name)) for name in names]
    selector = selectors.DefaultSelector()
    for device in devices:
        selector.register(device.socket, selectors.EVENT_READ, device)
    waits: list[float] = []
    started, cpu, left = time.perf_counter(), time.process_time(), each * len(devices)
    for device in devices:
        device.send(IN_FLIGHT, time.perf_counter())
    while left:
        for key, _ in selector.select(30):
            device = key.data
            chunk = device.rest + device.socket.recv(4096)
            if len(chunk) == len(device.rest):
                raise ConnectionError(f"closed with {left} messages unacknowledged")
            count, now = len(chunk) // _PUBACK_BYTES, time.perf_counter()
            device.rest = chunk[count * _PUBACK_BYTES :]
            device.acknowledged += count
            left -= count
            waits.extend([now - device.times.popleft() for _ in range(count)])
            device.send(count, now)
    wall = time.perf_counter() - started
    for device in devices:
        device.socket.close()
    return {
        "messages": each * len(devices), "wall_s": wall, "cpu_s": time.process_time() - cpu,
        "p50_ms": percentile(waits, 50) * 1000, "p99_ms": percentile(waits, 99) * 1000,
    }  # fmt: skip


def main() -> None:
    """Command line of the load."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--names", required=True, help="comma-separated")
    parser.add_argument("--messages", type=int, required=True)
    arguments = parser.parse_args()
    print(json.dumps(run_load(arguments.port, arguments.names.split(","), arguments.messages)), flush=True)


if __name__ == "__main__":
    main()
