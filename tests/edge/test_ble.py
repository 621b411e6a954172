"""Water meters that advertise, through a real D-Bus and a stand-in for bluetoothd that bleak cannot tell apart."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.entry import device_id
from devices.simulated.bluez import Bluez, missing
from tests.edge.cloud_stub import CloudStub
from tests.edge.house import House, compressed_clock, wait_for_real_time
from tests.edge.site import ORIGIN, Site
from tests.processes import REPOSITORY, wait_until

BLUEZOO = REPOSITORY / ".tools" / "bluezoo" / "bin" / "python"
WATER = "AA:BB:CC:00:00:01"
URN = "urn:minglou:site:b01:water:w1"
REGISTER = "8-0:1.0.0"

pytestmark = [
    pytest.mark.skipif(missing(BLUEZOO) is not None, reason=str(missing(BLUEZOO))),
    pytest.mark.timeout(600),
]


@pytest.fixture
def bluez(tmp_path: Path) -> Iterator[Bluez]:
    bluez = Bluez(tmp_path / "dbus", BLUEZOO, ("00:00:00:00:00:01", WATER))
    bluez.start()
    yield bluez
    bluez.stop()


@pytest.fixture
def site(tmp_path: Path, bluez: Bluez) -> Site:
    site = Site(directory=tmp_path / "gateway", environment=bluez.environment)
    site.tables.append('[ble]\nadapter="hci0"\nsilence_seconds=4\n')
    site.tables.append(f'[[device]]\nurn="{URN}"\nprofile="bthome-water-pulse"\nble_address="{WATER}"\n')
    return site


def water_house(tmp_path: Path, bluez: Bluez, days: float, seconds: float) -> House:
    house = House(directory=tmp_path / "house", clock=compressed_clock(days, seconds), environment=bluez.environment)
    house.addresses = ["000000000001"]
    house.extra = f'[bluetooth]\nbus="{bluez.address}"\n[[water]]\nadapter="hci1"\nble_address="{WATER}"\n'
    return house


def water(cloud: CloudStub) -> list[int]:
    return [entry.value for entry in cloud.of(ORIGIN, REGISTER)]


def test_pulses_become_readings_and_each_midnight_one_boundary_entry(site: Site, tmp_path: Path, bluez: Bluez) -> None:
    house = water_house(tmp_path, bluez, 4, 20)
    site.clock = house.clock
    with CloudStub(site.public) as cloud, house.running():
        site.uplink = cloud.url
        with site.running():
            wait_for_real_time(house.clock, more_seconds=2.0)
        assert len(water(cloud)) >= 4
        assert water(cloud) == sorted(water(cloud))
        device = device_id(URN)
        own = Counter(one.quantity for one in cloud.log(ORIGIN).entries if one.device == device and "*" in one.quantity)
        assert len(own) >= 3
        assert max(own.values()) == 1
        assert cloud.refusals == []


def test_a_scanner_that_fell_silent_is_made_anew(site: Site, tmp_path: Path, bluez: Bluez) -> None:
    house = water_house(tmp_path, bluez, 20, 90)
    site.clock = house.clock
    with CloudStub(site.public) as cloud, house.running() as building:
        site.uplink = cloud.url
        with site.running():
            wait_until(lambda: len(water(cloud)) >= 2, seconds=30, what="readings")
            bluez.kill_bluezoo()
            bluez.start_bluezoo()
            building.stop()
            building.restart()
            held = len(water(cloud))
            wait_until(lambda: len(water(cloud)) > held + 1, seconds=60, what="readings of the new scanner")
            ble = next(one for one in site.status()["collectors"] if one["name"] == "ble")
            assert ble["restarts"] >= 1
