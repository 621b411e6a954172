"""The building's water meters over BLE: unmodified bleak, a private D-Bus and BlueZoo in its own environment."""

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bleak import BleakScanner
from bleak.exc import BleakDBusError

from devices.bthome import BthomeDevice, advertisement_from_bleak
from devices.bthome_profile import BthomeProfile
from devices.profile import load_profile
from devices.simulated.bluez import Bluez, missing
from tests.devices.conftest import BuildingProcess

Start = Callable[..., BuildingProcess]
BLUEZOO = Path(__file__).parents[2] / ".tools" / "bluezoo" / "bin" / "python"
GATEWAY, FIRST, SECOND = "AA:BB:CC:00:00:00", "AA:BB:CC:00:05:01", "AA:BB:CC:00:05:02"
WATER = f'[[water]]\nadapter = "hci1"\nble_address = "{FIRST}"\n[[water]]\nadapter = "hci2"\nble_address = "{SECOND}"\n'


@pytest.fixture
def bluez(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bluez]:
    reason = missing(BLUEZOO)
    if reason is not None:
        pytest.skip(reason)
    started = Bluez(tmp_path / "dbus", BLUEZOO, (GATEWAY, FIRST, SECOND))
    started.start()
    for name, value in started.environment.items():
        monkeypatch.setenv(name, value)
    yield started
    process_ids = started.process_ids
    started.stop()
    assert not any(Path(f"/proc/{process_id}").exists() for process_id in process_ids)


class Listener:
    """Scans with bleak on the gateway's adapter and decodes with the profile."""

    def __init__(self) -> None:
        profile = load_profile("bthome-water-pulse")
        assert isinstance(profile, BthomeProfile)
        self.devices = {address: BthomeDevice(profile) for address in (FIRST, SECOND)}
        self.values: dict[str, list[int]] = {FIRST: [], SECOND: []}

    def heard(self, device: Any, data: Any) -> None:
        advertisement = advertisement_from_bleak(device, data, time.monotonic())
        if advertisement.address in self.devices:
            readings = self.devices[advertisement.address].decode(advertisement)
            self.values[advertisement.address] += [reading.value for reading in readings]

    async def scan_until(self, condition: Callable[[], bool], seconds: float = 20.0) -> None:
        async with asyncio.timeout(seconds), BleakScanner(self.heard, bluez={"adapter": "hci0"}):
            while not condition():  # noqa: ASYNC110 - what is heard sets no event
                await asyncio.sleep(0.05)


def clock(seconds: int) -> str:
    now = time.time_ns() // 1_000_000
    return (
        f'[clock]\nkind = "demo"\nreal_start_ms = {now}\nreal_end_ms = {now + 1000 * seconds}\n'
        f"demo_start_ms = {now - 30 * 86_400_000}"
    )


def test_bleak_hears_both_water_meters_count(bluez: Bluez, start_building: Start) -> None:
    building = start_building(f'[bluetooth]\nbus = "{bluez.address}"\n{WATER}', clock=clock(30))
    assert "2 BLE water meters" in building.ready
    listener = Listener()
    asyncio.run(listener.scan_until(lambda: all(len(values) >= 3 for values in listener.values.values())))
    pulses = building.end()["water_pulses"]
    for address, values in listener.values.items():
        assert values == sorted(values)
        assert values[0] < values[-1] <= pulses[address] * 1000
        assert all(value % 1000 == 0 for value in values)


def test_the_meters_come_back_after_bluetoothd_was_killed(bluez: Bluez, start_building: Start) -> None:
    building = start_building(f'[bluetooth]\nbus = "{bluez.address}"\n{WATER}', clock=clock(60))
    listener = Listener()
    asyncio.run(listener.scan_until(lambda: bool(listener.values[FIRST])))
    bluez.kill_bluezoo()
    with pytest.raises(BleakDBusError):
        asyncio.run(Listener().scan_until(lambda: False, 1.0))
    bluez.start_bluezoo()
    again = Listener()
    asyncio.run(again.scan_until(lambda: bool(again.values[FIRST]) and bool(again.values[SECOND])))
    assert again.values[FIRST][0] >= listener.values[FIRST][-1]
    building.end()


def test_what_is_missing_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no BlueZoo beside" in str(missing(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert missing(BLUEZOO) == "BLE is left out: no dbus-daemon; install Debian's package dbus"
    assert os.environ["PATH"] == str(tmp_path)
