"""One meter takes another's place on a real bus: the gateway reads both, and judges the numbers that the crew noted."""

import time
from datetime import date, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from contracts.bundle import bundle_to_json
from contracts.entry import Entry, device_id
from contracts.quantities import boundary_quantity
from edge.calendar_days import LocalDays
from tests.edge.cloud_stub import CloudStub
from tests.edge.house import House, urn
from tests.edge.site import ORIGIN, Site
from tests.meter_swaps import REGISTER, noted_of, swap_bundle
from tests.processes import wait_until
from tests.visits import CONTRACT

OLD, NEW = ("000000000001", "000000000002"), ("000000000101", "000000000102")
OPENED = 1_230
DAYS = LocalDays(ZoneInfo("Asia/Shanghai"))


def of(cloud: CloudStub, address: str, quantity: str = REGISTER) -> list[Entry]:
    return [entry for entry in cloud.of(ORIGIN, quantity) if entry.device == device_id(urn(address))]


def fields(cloud: CloudStub, entry: Entry) -> dict[str, object]:
    log = cloud.log(ORIGIN)
    return log.fields(log.entries.index(entry))


def swap(cloud: CloudStub, house: House, old: str, new: str) -> tuple[int, int]:
    """As the crew does it: load off, a last reading, the new meter up. When (ms), and what the old one showed last."""
    stood = house.control(do="switch-off", address=old)["energy_wh"] // 10 * 10
    wait_until(lambda: of(cloud, old) and of(cloud, old)[-1].value == stood, seconds=30, what="the last reading")
    return int(house.control(do="swap", address=old, new=new, opening_wh=OPENED)["at_ms"]), stood


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(directory=tmp_path / "gateway")


def test_the_gateway_reads_both_registers_and_bears_out_the_true_number_alone(site: Site, tmp_path: Path) -> None:
    house = House(directory=tmp_path / "house", clock="", addresses=list(OLD))
    site.tables = [
        f'[[serial]]\nname="bus1"\nport="{house.link}"\nbaud=115200\nparity="even"\nreply_timeout_seconds=0.1\n',
        f'[maintenance]\ncontract="{CONTRACT}"\n',
    ]
    for address in (*OLD, *NEW):
        site.tables.append(
            f'[[device]]\nurn="{urn(address)}"\nprofile="dlt645-2007-single-phase"\nbus="bus1"\naddress="{address}"\n'
            f"poll_seconds=1\nspare={str(address in NEW).lower()}\n"
        )
    with CloudStub(site.public) as cloud, house.running():
        site.uplink = cloud.url
        with site.running():
            wait_until(lambda: all(of(cloud, one) for one in OLD), seconds=30, what="readings")
            noted = []
            for number, (old, new) in enumerate(zip(OLD, NEW, strict=True)):
                at_ms, stood = swap(cloud, house, old, new)
                ended_s = at_ms // 1000 + 1
                day = DAYS.day_of(ended_s * 1000) + timedelta(days=1)
                lie = 500_000 * number  # the second crew writes down 500 kWh more
                swapped = noted_of(urn(old), urn(new), closing=stood + lie, opening=OPENED // 10 * 10, day=day)
                bundle = swap_bundle(swapped, started_at_s=ended_s - 300, ended_at_s=ended_s, old=urn(old))
                noted.append((bundle, day, stood))
                cloud.mail.append({"number": number + 1, "kind": "visit", "body": bundle_to_json(bundle)})
            wait_until(lambda: len(cloud.of(ORIGIN, "visit.verdict")) == 2, seconds=60, what="both verdicts")
            wait_until(lambda: len(of(cloud, NEW[1])) > 2, seconds=30, what="readings of the new meter")
        assert cloud.refusals == []
        honest, false = sorted(cloud.of(ORIGIN, "visit.verdict"), key=lambda one: -one.value)
        (bundle, day, stood), (_, other_day, _) = noted
        said = fields(cloud, honest)
        assert (honest.value, said["visit"]) == (3, bundle.visit.digest().hex())
        assert said["verdict"]["list"] == dict.fromkeys(("MS-02", "MS-06", "MS-07"), "confirmed")  # type: ignore[index]
        assert said["facts"]["closing-register"]["difference"] == 0  # type: ignore[index]
        assert str(stood) not in str(said), "a household's register stands in no verdict"
        closing, opening = (of(cloud, one, boundary_quantity(REGISTER, day)) for one in (OLD[0], NEW[0]))
        assert [(one.value, fields(cloud, one)["source"]) for one in closing] == [(stood, "swap")]
        assert [fields(cloud, one)["source"] for one in opening] == ["swap"]
        assert OPENED // 10 * 10 <= opening[0].value == of(cloud, NEW[0])[0].value

        lie = fields(cloud, false)
        assert (false.value, lie["verdict"]["items"]["closing-register"]) == (2, "contradicted")  # type: ignore[index]
        assert lie["facts"]["closing-register"]["difference"] == 500_000  # type: ignore[index]
        for address in (OLD[1], NEW[1]):
            assert not of(cloud, address, boundary_quantity(REGISTER, other_day)), "it ends nobody's account"


def test_a_swap_with_a_meter_that_is_not_this_gateways_or_on_another_day_is_refused(site: Site, tmp_path: Path) -> None:
    house = House(directory=tmp_path / "house", clock="", addresses=[OLD[0]])
    house.join(site, address=NEW[0])
    site.tables.append(f'[maintenance]\ncontract="{CONTRACT}"\n')
    with CloudStub(site.public) as cloud:
        now_s = int(time.time())
        day = DAYS.day_of(now_s * 1000) + timedelta(days=1)
        for number, (new, when) in enumerate(((NEW[1], day), (NEW[0], date(2026, 1, 1)))):
            swapped = noted_of(urn(OLD[0]), urn(new), closing=1, opening=0, day=when)
            bundle = swap_bundle(swapped, started_at_s=now_s - 300, ended_at_s=now_s, old=urn(OLD[0]))
            cloud.mail.append({"number": number + 1, "kind": "visit", "body": bundle_to_json(bundle)})
        cloud.mail.append({"number": 3, "kind": "anchored", "body": {"size": "1"}})
        site.uplink = cloud.url
        with site.running():
            wait_until(lambda: site.status()["anchored"] == 1, seconds=20, what="the mail behind them")
            says = " ".join(site.status()["notices"])
        assert "spare = true" in says and "counts from" in says
        assert not cloud.of(ORIGIN, "visit")
