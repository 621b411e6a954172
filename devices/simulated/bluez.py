"""BlueZ without a radio: a private D-Bus and BlueZoo, Samsung's stand-in for bluetoothd, as processes of their own.

BlueZoo is GPL-2.0 and lives in an environment of its own: it is only ever started, never imported, and not patched.
What it cannot do: more than one advertisement an adapter, whole-second scans, no signal strength, no passive scanning.
"""

import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from dbus_fast import BusType, Message, MessageType
from dbus_fast.aio import MessageBus

from devices.errors import BuildingError

START_SECONDS = 15.0
STOP_SECONDS = 5.0
_BUS_CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>{address}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


def missing(bluezoo_python: str | Path) -> str | None:
    """One line that says what is not installed for BLE, or None if all is there."""
    if shutil.which("dbus-daemon") is None:
        return "BLE is left out: no dbus-daemon; install Debian's package dbus"
    if not _bluezoo(bluezoo_python).is_file():
        return f"BLE is left out: no BlueZoo beside {bluezoo_python}; run make to install it into .tools/bluezoo"
    return None


class Bluez:
    """A private bus with one virtual adapter for each address: hci0 is the gateway's, the others the water meters'."""

    def __init__(self, directory: Path, bluezoo_python: str | Path, adapters: tuple[str, ...]) -> None:
        self._directory = directory
        self._bluezoo_python = bluezoo_python
        self._adapters = adapters
        self._daemon: subprocess.Popen[bytes] | None = None
        self._bluezoo: subprocess.Popen[bytes] | None = None
        self.address = f"unix:path={directory / 'bus'}"

    @property
    def environment(self) -> dict[str, str]:
        """What every process that should meet this BlueZ needs."""
        return {"DBUS_SYSTEM_BUS_ADDRESS": self.address}

    @property
    def process_ids(self) -> tuple[int, ...]:
        return tuple(process.pid for process in (self._daemon, self._bluezoo) if process is not None)

    def start(self) -> None:
        """Start both and wait until all adapters are there.

        Raises:
            BuildingError: something is not installed, or did not come up; the message names its log.
        """
        reason = missing(self._bluezoo_python)
        if reason is not None:
            raise BuildingError(reason)
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / "bus").unlink(missing_ok=True)
        config = self._directory / "bus.conf"
        config.write_text(_BUS_CONFIG.format(address=self.address))
        self._daemon = self._run("dbus-daemon", ["dbus-daemon", f"--config-file={config}", "--nofork"])
        self._wait(lambda: (self._directory / "bus").exists(), "dbus-daemon")
        self.start_bluezoo()

    def start_bluezoo(self) -> None:
        """Start BlueZoo alone, as after `kill_bluezoo`."""
        adapters = [argument for address in self._adapters for argument in ("--adapter", address)]
        command = [str(_bluezoo(self._bluezoo_python)), "--quiet", "--auto-enable", "--scan-interval", "1", *adapters]
        self._bluezoo = self._run("bluezoo", command)
        last = f"/org/bluez/hci{len(self._adapters) - 1}"
        self._wait(lambda: asyncio.run(_has_adapter(self.address, last)), "bluezoo")

    def kill_bluezoo(self) -> None:
        """End BlueZoo as a crash of bluetoothd would."""
        _end(self._bluezoo, is_gentle=False)
        self._bluezoo = None

    def stop(self) -> None:
        """End both; nothing stays behind."""
        _end(self._bluezoo, is_gentle=True)
        _end(self._daemon, is_gentle=True)
        self._bluezoo = self._daemon = None

    def _run(self, name: str, command: list[str]) -> subprocess.Popen[bytes]:
        with (self._directory / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **self.environment}
            )

    def _wait(self, is_ready: Callable[[], bool], name: str) -> None:
        give_up = time.monotonic() + START_SECONDS
        while not is_ready():
            process = self._bluezoo if name == "bluezoo" else self._daemon
            if time.monotonic() > give_up or (process is not None and process.poll() is not None):
                self.stop()
                raise BuildingError(f"{name} did not come up; read {self._directory / f'{name}.log'}")
            time.sleep(0.05)


def _bluezoo(bluezoo_python: str | Path) -> Path:
    return Path(bluezoo_python).with_name("bluezoo")


def _end(process: subprocess.Popen[bytes] | None, *, is_gentle: bool) -> None:
    if process is None:
        return
    process.terminate() if is_gentle else process.kill()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(STOP_SECONDS)


async def _has_adapter(address: str, path: str) -> bool:
    """Whether BlueZ is on the bus and has the adapter."""
    bus = MessageBus(bus_address=address, bus_type=BusType.SYSTEM)
    try:
        await bus.connect()
    except OSError:
        return False
    try:
        reply = await bus.call(
            Message(
                destination="org.bluez", path="/", interface="org.freedesktop.DBus.ObjectManager",
                member="GetManagedObjects",
            )
        )  # fmt: skip
        return reply.message_type is MessageType.METHOD_RETURN and path in reply.body[0]
    finally:
        bus.disconnect()
