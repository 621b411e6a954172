"""The real process between a device and a cloud that verifies everything."""

import json
import stat
from pathlib import Path

import pytest

from edge.keys import write_secret
from tests.edge.cloud_stub import CloudStub
from tests.edge.mqtt_device import Device
from tests.edge.site import ORIGIN, Site
from tests.processes import wait_until

NOW_MS = 1_795_000_000_000


def reading(sequence: int, kwh: str = "1.5") -> bytes:
    return f'{{"seq":{sequence},"ts":{NOW_MS + sequence},"temp":21.25,"hum":40.5,"kwh":{kwh}}}'.encode()


def e1(origin: str = ORIGIN) -> str:
    return origin[:-1] + "1"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(directory=tmp_path / "gateway")


def test_a_published_reading_reaches_the_cloud_signed(site: Site) -> None:
    urn = site.add_sensor("s1")
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        with site.running():
            device = Device(site.endpoint_port, "s1")
            assert device.connack == b"\x20\x02\x00\x00"
            assert device.publish_and_wait("t/s1", reading(1), 7) == b"\x40\x02\x00\x07"
            wait_until(lambda: bool(cloud.of(ORIGIN, "1-0:1.8.0")), seconds=5, what="the reading at the cloud")
            status = site.status()
        entries = cloud.log(ORIGIN).entries
        assert [entry.quantity for entry in entries[:2]] == ["epoch.open", "software"]
        assert cloud.of(ORIGIN, "1-0:1.8.0")[0].value == 1500
        assert cloud.refusals == []
        assert status["state"] == "running"
        assert status["devices"][0]["urn"] == urn
        assert set(cloud.log(ORIGIN).fields(0)) == {"claim_code", "software", "uplink_token_digest", "salt"}


def test_nothing_is_signed_before_the_clouds_head_was_seen(site: Site) -> None:
    site.add_sensor("s1")
    with CloudStub(site.public) as cloud:
        cloud.head = 503, {"error": "busy", "message": "later"}
        site.uplink = cloud.url
        with site.running():
            device = Device(site.endpoint_port, "s1")
            assert device.publish_and_wait("t/s1", reading(1), 1)[0] == 0x40
            status = site.status()
            assert (status["checkpoint_size"], status["state"]) == (0, "waiting_for_head")
            assert status["entries"] > 2
            cloud.head = None
            wait_until(lambda: bool(cloud.of(ORIGIN, "1-0:1.8.0")), seconds=5, what="the reading at the cloud")


def test_a_head_that_this_gateway_did_not_sign_teaches_it_nothing(site: Site, tmp_path: Path) -> None:
    other = Site(directory=tmp_path / "other")
    other.add_sensor("s1")
    with CloudStub(other.public) as cloud:
        other.uplink = cloud.url
        with other.running():
            wait_until(lambda: cloud.size(ORIGIN) > 1, seconds=5, what="another gateway's log")
        forged = cloud.log(ORIGIN).note
    with CloudStub(site.public) as cloud:
        cloud.head = 200, {"size": 1_000_000, "checkpoint": forged}
        site.uplink = cloud.url
        with site.running() as process:
            wait_until(lambda: "did not sign" in str(site.status()["uplink_error"]), seconds=5, what="the complaint")
            assert site.status()["epoch"] == 0
            assert "epoch" not in process.said()
            cloud.head = None
            wait_until(lambda: cloud.size(ORIGIN) > 1, seconds=5, what="the log, once the cloud stops lying")


def test_a_lost_answer_is_asked_for_again_and_nothing_is_doubled(site: Site) -> None:
    site.add_sensor("s1")
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        with site.running():
            device = Device(site.endpoint_port, "s1")
            wait_until(lambda: cloud.size(ORIGIN) > 1, seconds=5, what="the first batch")
            cloud.lose_answers = True
            for number in range(1, 6):
                device.publish_and_wait("t/s1", reading(number), number)
            wait_until(lambda: len(cloud.of(ORIGIN, "1-0:1.8.0")) == 5, seconds=8, what="five readings")
        assert len(cloud.of(ORIGIN, "1-0:1.8.0")) == 5
        assert cloud.refusals == []


def test_kill_9_loses_nothing_acknowledged_and_doubles_nothing(site: Site) -> None:
    site.add_sensor("s1")
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        with site.running() as process:
            acknowledged: set[int] = set()
            number = 0
            for _ in range(3):
                device = Device(site.endpoint_port, "s1", clean=False)
                for _ in range(40):
                    number += 1
                    device.publish("t/s1", reading(number, f"{number}.0"), number)
                acknowledged.update(device.acknowledged(0.03))
                process.kill()
                acknowledged.update(device.acknowledged(0.2))
                site.restart(process)
                device = Device(site.endpoint_port, "s1", clean=False)
                for missing in sorted(set(range(1, number + 1)) - acknowledged):
                    device.publish("t/s1", reading(missing, f"{missing}.0"), missing, dup=True)
                wait_until(
                    lambda device=device, number=number: (
                        acknowledged.update(device.acknowledged(0.1)) or len(acknowledged) == number
                    ),
                    seconds=5,
                    what="all acknowledgements",
                )
            wait_until(lambda: len(cloud.of(ORIGIN, "1-0:1.8.0")) >= number, seconds=8, what="all readings")
        values = [entry.value for entry in cloud.of(ORIGIN, "1-0:1.8.0")]
        assert sorted(values) == [one * 1000 for one in range(1, number + 1)]
        assert cloud.refusals == []


def test_a_restored_card_never_forks_but_opens_an_epoch(site: Site) -> None:
    site.add_sensor("s1")
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        with site.running():
            device = Device(site.endpoint_port, "s1")
            device.publish_and_wait("t/s1", reading(1), 1)
            wait_until(lambda: len(cloud.of(ORIGIN, "1-0:1.8.0")) == 1, seconds=5, what="the first reading")
        saved = (site.data_dir / "e0.sqlite3").read_bytes()
        with site.running():
            device = Device(site.endpoint_port, "s1")
            device.publish_and_wait("t/s1", reading(2, "2.5"), 1)
            wait_until(lambda: len(cloud.of(ORIGIN, "1-0:1.8.0")) == 2, seconds=5, what="the second reading")
        for path in site.data_dir.glob("e0.sqlite3*"):
            path.unlink()
        (site.data_dir / "e0.sqlite3").write_bytes(saved)
        held = cloud.size(ORIGIN)
        with site.running() as process:
            device = Device(site.endpoint_port, "s1")
            device.publish_and_wait("t/s1", reading(3, "3.5"), 1)
            wait_until(lambda: bool(cloud.of(e1(), "1-0:1.8.0")), seconds=8, what="the reading in epoch 1")
            assert "epoch e1 opened: own-head-elsewhere" in process.said()
        assert cloud.size(ORIGIN) == held
        opening = cloud.log(e1()).fields(0)
        assert opening["old_origin"] == ORIGIN
        assert opening["seen_head"]["size"] == held
        assert [entry.value for entry in cloud.of(e1(), "1-0:1.8.0")] == [3500]
        assert cloud.refusals == []


def test_a_changed_reading_in_the_store_opens_an_epoch_and_is_never_forwarded(site: Site) -> None:
    import sqlite3

    site.add_sensor("s1")
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        with site.running():
            Device(site.endpoint_port, "s1").publish_and_wait("t/s1", reading(1), 1)
            wait_until(lambda: len(cloud.of(ORIGIN, "1-0:1.8.0")) == 1, seconds=5, what="the reading")
        log = sqlite3.connect(site.data_dir / "e0.sqlite3")
        start, entries = log.execute("SELECT start, entries FROM block ORDER BY start DESC").fetchone()
        changed = bytearray(entries)
        changed[-80] ^= 1
        log.execute("UPDATE block SET entries = ? WHERE start = ?", (bytes(changed), start))
        log.commit()
        log.close()
        with site.running() as process:
            assert "epoch e1 opened: store-broken" in process.said()
            wait_until(lambda: cloud.size(e1()) > 1, seconds=5, what="the new epoch")
        assert cloud.refusals == []
        assert (site.data_dir / "e0.sqlite3").exists()


def test_identity_is_the_same_every_time_and_its_files_are_private(site: Site) -> None:
    site.write()
    first, second = site.ask("identity"), site.ask("identity")
    assert first.returncode == 0, first.stderr
    assert first.stdout == second.stdout
    identity = json.loads(first.stdout)
    assert set(identity) >= {"origin", "public", "class", "claim_code", "spki"}
    assert identity["public"] == site.public.hex()
    for name in ("key.pem", "data/claim.code"):
        assert stat.S_IMODE((site.directory / name).stat().st_mode) == 0o600


def test_a_key_that_others_can_read_is_refused(site: Site) -> None:
    site.write()
    (site.directory / "key.pem").chmod(0o644)
    answer = site.ask("run")
    assert answer.returncode == 1
    assert "chmod 600" in answer.stderr


def test_a_key_behind_a_password_signs_with_it_and_with_no_other(site: Site) -> None:
    password = site.key_password_file = site.directory / "key.password"
    write_secret(password, b"correct horse\n")
    site.add_sensor("s1")
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        assert b"ENCRYPTED" in (site.directory / "key.pem").read_bytes()
        with site.running():
            wait_until(lambda: cloud.size(ORIGIN) > 0, seconds=8, what="the first batch")
        password.write_bytes(b"another\n")
        answer = site.ask("run")
    assert answer.returncode == 1
    assert "key.pem" in answer.stderr and "password" in answer.stderr
    assert "another" not in answer.stderr


def test_status_asks_the_running_gateway(site: Site) -> None:
    with site.running():
        answer = site.ask("status")
        assert answer.returncode == 0, answer.stderr
        assert ORIGIN in answer.stdout


def test_sigterm_ends_cleanly_with_everything_signed(site: Site) -> None:
    site.add_sensor("s1")
    site.checkpoint = "entries=4000\nseconds=60"
    with CloudStub(site.public) as cloud:
        site.uplink = cloud.url
        with site.running() as process:
            wait_until(lambda: cloud.size(ORIGIN) > 0, seconds=5, what="the first batch")
            Device(site.endpoint_port, "s1").publish_and_wait("t/s1", reading(1), 1)
            assert process.stop() == 0
        with site.running():
            wait_until(lambda: len(cloud.of(ORIGIN, "1-0:1.8.0")) == 1, seconds=5, what="the reading")
