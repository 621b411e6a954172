"""The gateway's figures: messages a second to a durable, hashed, signed log; start to first entry forwarded.

One message carries three quantities, so it becomes three entries. The load generator and the gateway share the cores.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from edge.log_reader import LogReader
from tests.bench.edge_load import LoadDevice
from tests.bench.figure import Figure, median
from tests.edge.cloud_stub import CloudStub
from tests.edge.site import ORIGIN, Site
from tests.processes import REPOSITORY, Program, free_port, is_listening, program, running, wait_until

RUNS = 5
DEVICES = 100
DIRECT_MESSAGES = 100_000
BROKER_MESSAGES = 20_000
IDLE_DEVICES, IDLE_INTERVAL_S = 300, 15
PROFILE = REPOSITORY / "tests" / "bench" / "edge_sensor.toml"
_TICKS = 100


def figures() -> dict[str, Figure]:
    """All of the group; a few minutes."""
    return {**direct_figures(), **broker_figures(), **start_figures(), **idle_figures()}


def load(port: int, messages: int) -> dict[str, float]:
    """Run the load in a process of its own; its figures."""
    names = ",".join(f"s{number}" for number in range(DEVICES))
    command = [sys.executable, "-m", "tests.bench.edge_load", "--port", str(port), "--names", names]
    done = subprocess.run(
        [*command, "--messages", str(messages)], capture_output=True, text=True, check=True, cwd=REPOSITORY, timeout=300
    )
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def make_site(directory: Path, line: str = "endpoint", devices: int = DEVICES) -> Site:
    """A gateway with the load's devices."""
    site = Site(directory=directory, checkpoint="entries=256\nseconds=2.0")
    for number in range(devices):
        site.add_sensor(f"s{number}", profile=str(PROFILE), line=line)
    return site


def wait_signed(site: Site) -> None:
    """Until the running gateway has signed its first checkpoint."""
    wait_until(lambda: site.status()["checkpoint_size"] > 0, seconds=20, what="the first checkpoint")


def cpu_seconds(process: Program) -> float:
    """CPU seconds that a process has used, its threads included."""
    fields = Path(f"/proc/{process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def rss_mb(process: Program) -> float:
    """Resident memory of a process."""
    pages = int(Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


def direct_figures() -> dict[str, Figure]:
    """Devices connected to the gateway itself."""
    rates, cpu, latency = [], [], []
    with tempfile.TemporaryDirectory() as directory:
        for run in range(RUNS):
            site = make_site(Path(directory) / str(run))
            with CloudStub(site.public) as cloud:
                # The head is answered, so the log is signed as it grows; the batches wait, as in an outage.
                cloud.answer = 503, {"error": "busy", "message": "later"}
                site.uplink = cloud.url
                with site.running() as process:
                    wait_signed(site)
                    load(site.endpoint_port, 10 * DEVICES)  # scrypt checks each password once, not in the figure
                    before = cpu_seconds(process)
                    measured = load(site.endpoint_port, DIRECT_MESSAGES)
                    cpu.append((cpu_seconds(process) - before) / measured["messages"] * 10_000)
                    memory = rss_mb(process)
                    status = site.status()
                assert status["entries"] >= 3 * measured["messages"], "an acknowledged message is not in the log"
                assert status["entries"] - status["checkpoint_size"] < 2000, "the log was not signed as it grew"
            rates.append(measured["messages"] / measured["wall_s"])
            latency.append(measured["p99_ms"])
    rate = median(rates)
    note = (
        f"median of {RUNS} ({', '.join(f'{one:,.0f}' for one in sorted(rates))}); {3 * rate:,.0f} entries/s; "
        f"{median(cpu):.2f} CPU s per 10,000 messages; {DEVICES} devices, at most 10 unacknowledged each; "
        f"acknowledged in {median(latency):.0f} ms (p99); {memory:.0f} MB resident; signed, not forwarded meanwhile"
    )
    return {"edge.direct_per_s": Figure(value=rate, unit="messages/s", note=note)}


def broker_figures() -> dict[str, Figure]:
    """Through mosquitto, beside the bare writer in the same run, turn by turn."""
    gateway, floor = [], []
    with tempfile.TemporaryDirectory() as directory:
        for run in range(RUNS):
            gateway.append(_broker_run(Path(directory) / f"gateway{run}"))
            floor.append(_floor_run(Path(directory) / f"floor{run}"))
    ratio = median([ours / bare for ours, bare in zip(gateway, floor, strict=True)])
    note = f"median of {RUNS}; floor {median(floor):,.0f}/s in the same run; both through mosquitto, 64 unacknowledged"
    rate = median(gateway)
    return {
        "edge.ratio_to_floor": Figure(value=ratio, unit="ratio", note=note),
        "edge.broker_per_s": Figure(value=rate, unit="messages/s", note=f"{3 * rate:,.0f} entries/s; {note}"),
    }


def _broker(directory: Path) -> tuple[list[str], int]:
    directory.mkdir(parents=True, exist_ok=True)
    port = free_port()
    settings = directory / "mosquitto.conf"
    settings.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nuser root\n", encoding="utf-8"
    )
    return [str(program("mosquitto")), "-c", str(settings)], port


def _broker_run(directory: Path) -> float:
    command, port = _broker(directory)
    site = make_site(directory, line="house")
    site.tables.insert(0, f'[[mqtt.broker]]\nname="house"\nurl="mqtt://127.0.0.1:{port}"\nclient_id="gateway"\n')
    with (
        running(command, name="mosquitto", output_dir=directory, ready=lambda: is_listening(port)),
        CloudStub(site.public) as cloud,
    ):
        cloud.answer = 503, {"error": "busy", "message": "later"}
        site.uplink = cloud.url
        with site.running():
            wait_signed(site)
            wait_until(lambda: site.status()["counts"].get("brokers_connected", 0) == 1, seconds=10, what="the broker")
            reader = LogReader(site.data_dir / "e0.sqlite3")
            start = reader.size()
            began = time.perf_counter()
            load(port, BROKER_MESSAGES)
            wait_until(lambda: reader.size() - start >= 3 * BROKER_MESSAGES, seconds=120, what="all entries on disk")
            reader.close()
            return BROKER_MESSAGES / (time.perf_counter() - began)


def _floor_run(directory: Path) -> float:
    command, port = _broker(directory)
    store = directory / "floor.sqlite3"
    floor = [sys.executable, "-m", "tests.bench.edge_floor", "--port", str(port), "--store", str(store)]
    with (
        running(command, name="mosquitto", output_dir=directory, ready=lambda: is_listening(port)),
        running(floor, name="floor", output_dir=directory) as process,
    ):
        process.wait_ready(lambda: "floor: ready" in process.said(), seconds=10)
        began = time.perf_counter()
        load(port, BROKER_MESSAGES)
        wait_until(lambda: _rows(store) >= BROKER_MESSAGES, seconds=120, what="all messages on disk")
        return BROKER_MESSAGES / (time.perf_counter() - began)


def _rows(store: Path) -> int:
    import sqlite3

    reader = sqlite3.connect(f"{store.as_uri()}?mode=ro", uri=True)
    try:
        return int(reader.execute("SELECT coalesce(max(id), 0) FROM message").fetchone()[0])
    finally:
        reader.close()


def start_figures() -> dict[str, Figure]:
    """From the start of the process to its first entry held, and verified, by the cloud."""
    taken = []
    with tempfile.TemporaryDirectory() as directory:
        for run in range(RUNS + 2):
            site = make_site(Path(directory) / str(run))
            with CloudStub(site.public) as cloud:
                site.uplink = cloud.url
                command = [str(program("minglou")), "edge", "run", "--config", str(site.write())]
                began = time.perf_counter()
                with running(command, name="edge", output_dir=site.directory):
                    wait_until(lambda cloud=cloud: cloud.size(ORIGIN) > 0, seconds=10, what="the first entry")
                    taken.append(time.perf_counter() - began)
    note = f"median of {RUNS}, process start included; {DEVICES} devices configured; polled every 20 ms"
    return {"edge.first_forward_s": Figure(value=median(taken[2:]), unit="s", note=note)}


def idle_figures() -> dict[str, Figure]:
    """300 devices that report every 15 s, forwarded as they come: memory and share of one core over half a minute."""
    with tempfile.TemporaryDirectory() as directory:
        site = make_site(Path(directory) / "site", devices=IDLE_DEVICES)
        with CloudStub(site.public) as cloud:
            site.uplink, cloud.mail_seconds = cloud.url, 25.0
            with site.running() as process:
                devices = [
                    LoadDevice(site.endpoint_port, f"s{number}", 3, f"t/s{number}") for number in range(IDLE_DEVICES)
                ]
                before, began = cpu_seconds(process), time.perf_counter()
                for number in range(2 * IDLE_DEVICES):
                    devices[number % IDLE_DEVICES].send(1, 0.0)
                    due = began + (number + 1) * IDLE_INTERVAL_S / IDLE_DEVICES
                    time.sleep(max(0.0, due - time.perf_counter()))
                share = (cpu_seconds(process) - before) / (time.perf_counter() - began)
                memory = rss_mb(process)
                wait_until(lambda: cloud.size(ORIGIN) > 6 * IDLE_DEVICES, seconds=10, what="all entries")
                for device in devices:
                    device.socket.close()
    note = f"{IDLE_DEVICES} devices connected, one message of three quantities each {IDLE_INTERVAL_S} s, forwarded"
    return {
        "edge.rss_mb": Figure(value=memory, unit="MB", note=note),
        "edge.idle_cpu": Figure(value=share, unit="of one core", note=note),
    }
