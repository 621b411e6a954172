"""Downlink mail, lies of the cloud, long outages: the real process against the stub."""

import sqlite3
from pathlib import Path

import pytest

from contracts.batch import BATCH_ENTRIES_MAX
from contracts.entry import Kind
from tests.bench.edge_load import run_load
from tests.edge.cloud_stub import CloudStub
from tests.edge.mqtt_device import Device
from tests.edge.site import ORIGIN, Site
from tests.edge.test_gateway import reading
from tests.processes import wait_until

HASH = "ab" * 32


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(directory=tmp_path / "gateway")
    site.add_sensor("s1")
    return site


def block(number: int, at: int, chain: str = "31337") -> dict[str, object]:
    return {"number": at, "kind": "block", "body": {"chain_id": chain, "number": str(number), "hash": f"0x{HASH}"}}


def test_a_block_hash_becomes_one_beacon_entry_across_restarts(site: Site) -> None:
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        cloud.mail = [block(100, 1), block(101, 2, chain="1"), block(99, 3)]
        with site.running():
            wait_until(lambda: bool(cloud.of(ORIGIN, "block:31337")), seconds=8, what="the beacon")
        cloud.mail.append(block(102, 4))
        with site.running():
            wait_until(lambda: len(cloud.of(ORIGIN, "block:31337")) == 2, seconds=8, what="the second beacon")
        beacons = cloud.of(ORIGIN, "block:31337")
        assert [(one.kind, one.value) for one in beacons] == [(Kind.BEACON, 100), (Kind.BEACON, 102)]
        assert beacons[0].detail_digest.hex() == HASH
        assert cloud.refusals == []


def test_a_revoked_gateway_keeps_its_entries_and_signs_nothing_any_more(site: Site) -> None:
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        with site.running() as process:
            wait_until(lambda: cloud.size(ORIGIN) > 0, seconds=8, what="the first batch")
            cloud.mail = [{"number": 1, "kind": "revoked", "body": {"origin": ORIGIN, "from_block": "7"}}]
            wait_until(lambda: site.status()["state"] == "revoked", seconds=8, what="the revocation")
            assert "edge: revoked" in process.said()
            signed = site.status()["checkpoint_size"]
            assert Device(site.endpoint_port, "s1").publish_and_wait("t/s1", reading(1), 1)[0] == 0x40
            assert site.status()["entries"] > signed
        with site.running():
            assert site.status()["state"] == "revoked"
            assert site.status()["checkpoint_size"] == signed


def test_pruned_entries_keep_their_leaf_hashes_and_every_root(site: Site) -> None:
    from edge.log_store import Group, LogStore

    store = LogStore.open(site.directory / "e0.sqlite3", ORIGIN)
    rows = [(bytes([number]) * 224, b"") for number in range(100)]
    store.append(Group(rows=rows))
    reader = store.reader()
    leaves, root = reader.leaves(0, 100), reader.frontier_at(77).root()
    assert store.prune(50) == 48, "whole blocks of sixteen"
    assert reader.leaves(0, 100) == leaves
    assert reader.rows(48, 100) == rows[48:]
    assert reader.frontier_at(77).root() == root
    reader.close()
    store.close()
    again = LogStore.open(site.directory / "e0.sqlite3", ORIGIN)
    assert again.size == 100
    again.close()


def test_a_long_outage_is_caught_up_in_batches_the_cloud_takes(site: Site) -> None:
    for number in range(20):
        site.add_sensor(f"d{number}")
    with CloudStub(site.public) as cloud:
        cloud.head = 503, {"error": "busy", "message": "away"}
        site.uplink = cloud.url
        names = [f"d{number}" for number in range(20)]
        with site.running() as process:
            run_load(site.endpoint_port, names, 6_000)
            process.kill()
            site.restart(process)
            run_load(site.endpoint_port, names, 6_000)
            held = site.status()["entries"]
            assert held >= 12_000 > 2 * BATCH_ENTRIES_MAX
            assert site.status()["checkpoint_size"] == 0
            cloud.head = None
            wait_until(lambda: cloud.size(ORIGIN) >= held, seconds=30, what="the whole backlog")
        assert cloud.refusals == []
        assert len(cloud.of(ORIGIN, "1-0:1.8.0")) == 12_000


@pytest.mark.parametrize(
    "lie",
    [
        (409, {"error": "gap", "message": "m", "size": 0}),
        (409, {"error": "fork", "message": "m", "size": 3}),
        (200, {"size": 10**9}),
        (200, {"size": 0}),
        (200, {"nonsense": True}),
        (422, {"error": "wrong_root", "message": "m", "size": 1}),
        (500, {}),
    ],
)
def test_a_cloud_that_answers_wrongly_neither_forks_the_log_nor_makes_it_forget(
    site: Site, lie: tuple[int, dict[str, object]]
) -> None:
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        with site.running():
            wait_until(lambda: cloud.size(ORIGIN) > 0, seconds=8, what="the first batch")
            cloud.answer = lie
            device = Device(site.endpoint_port, "s1")
            device.publish_and_wait("t/s1", reading(1), 1)
            wait_until(lambda: cloud.lies > 0, seconds=8, what="a batch that is lied about")
            cloud.answer = None
            device.publish_and_wait("t/s1", reading(2, "2.5"), 2)
            wait_until(lambda: len(cloud.of(ORIGIN, "1-0:1.8.0")) == 2, seconds=30, what="both readings")
            assert site.status()["epoch"] == 0
        assert cloud.refusals == []


def test_a_cloud_that_says_yes_and_takes_nothing_is_said_and_not_flooded(site: Site) -> None:
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        with site.running():
            wait_until(lambda: cloud.size(ORIGIN) > 0, seconds=8, what="the first batch")
            cloud.answer = (200, {"size": 0})
            device = Device(site.endpoint_port, "s1")
            device.publish_and_wait("t/s1", reading(1), 1)
            wait_until(
                lambda: "cloud was sent" in site.status()["uplink_error"], seconds=20, what="what is wrong, said"
            )
            cloud.answer = None
            wait_until(lambda: len(cloud.of(ORIGIN, "1-0:1.8.0")) == 1, seconds=60, what="the reading")
        assert cloud.refusals == []


def test_a_full_disk_acknowledges_nothing_says_so_and_goes_on_when_there_is_room(site: Site) -> None:
    import os

    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        disk = site.directory / "disk"
        disk.mkdir(parents=True)
        mounted = os.system(f"mount -t tmpfs -o size=1m tmpfs {disk} 2>/dev/null") == 0
        if not mounted:
            pytest.skip("needs the right to mount a small tmpfs")
        try:
            site.write()
            site.config.write_text(site.config.read_text().replace('data_dir="data"', f'data_dir="{disk}"'))
            _full_disk(site, cloud, disk)
        finally:
            os.system(f"umount -l {disk}")


def _full_disk(site: Site, cloud: CloudStub, disk: Path) -> None:
    from tests.edge.site import PROGRAM
    from tests.processes import running

    filler = disk / "filler"
    command = [*PROGRAM, "edge", "run", "--config", str(site.config)]
    with running(command, name="edge", output_dir=site.directory) as process:
        process.wait_ready(lambda: "edge: ready" in process.said(), seconds=15)
        wait_until(lambda: cloud.size(ORIGIN) > 0, seconds=8, what="the first batch")
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass
        device = Device(site.endpoint_port, "s1")
        for number in range(1, 400):
            device.publish("t/s1", reading(number, f"{number}.0"), number)
        wait_until(lambda: site.status()["state"] == "disk_full", seconds=10, what="the full disk to be said")
        early = device.acknowledged(0.3)
        assert len(early) < 399
        filler.unlink()
        late = device.acknowledged(3.0)
        assert sorted(early + late) == list(range(1, 400))
        wait_until(lambda: len(cloud.of(ORIGIN, "1-0:1.8.0")) == 399, seconds=10, what="all readings")
        assert site.status()["state"] == "running"


def test_the_log_is_readable_with_sqlite_alone(site: Site) -> None:
    with site.running():
        Device(site.endpoint_port, "s1").publish_and_wait("t/s1", reading(1), 1)
    log = sqlite3.connect(site.data_dir / "e0.sqlite3")
    assert log.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert log.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    log.close()
