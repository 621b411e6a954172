"""One serial bus, many meters: the simulated building's pseudo-terminal and the real gateway."""

from collections import Counter
from pathlib import Path

import pytest

from contracts.entry import Entry, device_id
from contracts.quantities import parse_boundary_quantity
from tests.edge.cloud_stub import CloudStub
from tests.edge.house import House, compressed_clock, urn, wait_for_real_time
from tests.edge.site import ORIGIN, Site
from tests.processes import wait_until

REGISTER = "1-0:1.8.0"


def boundaries(cloud: CloudStub, address: str) -> list[Entry]:
    device = device_id(urn(address))
    return [entry for entry in list(cloud.log(ORIGIN).entries) if entry.device == device and "*" in entry.quantity]


def readings(cloud: CloudStub, address: str) -> list[Entry]:
    device = device_id(urn(address))
    return [entry for entry in cloud.of(ORIGIN, REGISTER) if entry.device == device]


def detail(cloud: CloudStub, entry: Entry) -> dict[str, object]:
    log = cloud.log(ORIGIN)
    return log.fields(log.entries.index(entry))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(directory=tmp_path / "gateway")


def test_every_hour_is_read_and_every_midnight_has_one_boundary_entry_per_meter(site: Site, tmp_path: Path) -> None:
    house = House(directory=tmp_path / "house", clock=compressed_clock(3, 9))
    house.meters(5)
    house.join(site)
    with CloudStub(site.public) as cloud, house.running():
        site.uplink = cloud.url
        with site.running():
            wait_for_real_time(house.clock, more_seconds=0.5)
            status = site.status()
        assert cloud.refusals == []
        for address in house.addresses:
            own = boundaries(cloud, address)
            assert 3 <= len(own) <= 4, "a midnight is missing"
            assert max(Counter(entry.quantity for entry in own).values()) == 1
            assert {detail(cloud, entry)["source"] for entry in own} == {"freeze"}
            days = [parse_boundary_quantity(entry.quantity) for entry in own]
            assert [day.day.toordinal() for day in days if day] == sorted(day.day.toordinal() for day in days if day)
            values = [entry.value for entry in readings(cloud, address)]
            assert len(values) >= 60
            assert values == sorted(values)
        assert status["counts"]["serial_exchanges"] >= 5 * 60
        assert status["counts"]["suspect"] == 0


def test_a_boundary_entry_stays_single_across_kills(site: Site, tmp_path: Path) -> None:
    house = House(directory=tmp_path / "house", clock=compressed_clock(4, 10))
    house.meters(4)
    house.join(site)
    with CloudStub(site.public) as cloud, house.running():
        site.uplink = cloud.url
        with site.running() as process:
            for _ in range(3):
                wait_until(lambda: process.is_running(), seconds=1, what="the gateway")
                held = cloud.size(ORIGIN)
                wait_until(lambda held=held: cloud.size(ORIGIN) > held + 60, seconds=8, what="some hours")
                process.kill()
                site.restart(process)
            wait_for_real_time(house.clock, more_seconds=0.5)
        assert cloud.refusals == []
        for address in house.addresses:
            own = Counter(entry.quantity for entry in boundaries(cloud, address))
            assert len(own) >= 4
            assert max(own.values()) == 1
        assert cloud.of(ORIGIN, "gap"), "the gateway's absence shows"


def test_an_absence_is_made_up_for_by_freezes_and_shows_as_a_gap(site: Site, tmp_path: Path) -> None:
    house = House(directory=tmp_path / "house", clock=compressed_clock(8, 12))
    house.meters(3)
    house.join(site)
    with CloudStub(site.public) as cloud, house.running():
        site.uplink = cloud.url
        with site.running():
            wait_until(lambda: len(boundaries(cloud, house.addresses[0])) >= 2, seconds=8, what="two midnights")
        wait_for_real_time(house.clock, more_seconds=-1.0)
        with site.running():
            wait_until(
                lambda: all(len(boundaries(cloud, one)) >= 8 for one in house.addresses),
                seconds=20, what="the missed midnights",
            )  # fmt: skip
        for address in house.addresses:
            own = boundaries(cloud, address)
            assert 8 <= len({entry.quantity for entry in own}) == len(own) <= 9
            assert {detail(cloud, entry)["source"] for entry in own} == {"freeze"}
        # A start that takes its time is some minutes of this clock, and may show as a gap of its own before that one.
        absences = [fields for gap in cloud.of(ORIGIN, "gap") if (fields := detail(cloud, gap))["reason"] == "stopped"]
        assert max(int(str(one["until_ms"])) - int(str(one["from_ms"])) for one in absences) > 2 * 86_400_000


def test_a_dead_meter_noise_and_late_answers_do_not_starve_the_others(site: Site, tmp_path: Path) -> None:
    house = House(directory=tmp_path / "house", clock=compressed_clock(2, 10))
    house.meters(4)
    house.join(site, address="000000009999", reply_timeout=0.05)
    with CloudStub(site.public) as cloud, house.running():
        site.uplink = cloud.url
        with site.running():
            for fault in ("noise", "cut", "doubled"):
                house.control(do="fault", device=house.addresses[0], fault=fault, count=5)
                held = cloud.size(ORIGIN)
                wait_until(lambda held=held: cloud.size(ORIGIN) > held + 12, seconds=8, what="more readings")
            wait_for_real_time(house.clock, more_seconds=0.5)
            status = site.status()
        assert cloud.refusals == []
        for address in house.addresses:
            values = [entry.value for entry in readings(cloud, address)]
            assert len(values) >= 15, "a damaged answer costs a gap of half a second, two and a half hours here"
            assert values == sorted(values)
        dead = next(one for one in status["devices"] if one["urn"] == urn("000000009999"))
        assert dead["readings"] == 0
        assert "no answer" in dead["last_error"]


def test_a_register_that_goes_backwards_is_suspect_and_never_a_boundary(site: Site, tmp_path: Path) -> None:
    house = House(directory=tmp_path / "house", clock=compressed_clock(3, 10))
    house.meters(1)
    house.join(site)
    address = house.addresses[0]
    with CloudStub(site.public) as cloud, house.running():
        site.uplink = cloud.url
        with site.running():
            wait_until(lambda: len(readings(cloud, address)) > 5, seconds=8, what="good readings")
            house.control(do="fault", device=address, fault="backwards", count=3)
            wait_for_real_time(house.clock, more_seconds=0.5)
        suspect = [one for one in readings(cloud, address) if detail(cloud, one).get("suspect")]
        assert suspect
        says = {str(detail(cloud, one)["suspect"]) for one in suspect}
        assert says <= {"['register-fell']", "['freeze-out-of-order']"}
        believed = [one.value for one in readings(cloud, address) if one not in suspect]
        assert believed == sorted(believed)
        bounds = [one.value for one in boundaries(cloud, address)]
        assert bounds == sorted(bounds)
        assert not {one.value for one in suspect} & set(bounds)


def test_an_unplugged_port_is_opened_again_by_its_path(site: Site, tmp_path: Path) -> None:
    house = House(directory=tmp_path / "house", clock=compressed_clock(3, 14))
    house.meters(2)
    house.join(site)
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        with house.running() as building, site.running() as process:
            wait_until(lambda: len(readings(cloud, house.addresses[1])) > 3, seconds=8, what="readings")
            building.kill()
            wait_until(lambda: site.status()["collectors"][-2]["restarts"] > 0, seconds=5, what="the lost port")
            held = len(readings(cloud, house.addresses[1]))
            building.restart()
            wait_until(lambda: len(readings(cloud, house.addresses[1])) > held + 3, seconds=10, what="readings again")
            assert process.is_running()
        assert cloud.refusals == []
