"""The endpoint's manners, over real sockets to the real process: who may log in, publish and listen."""

import socket
from collections.abc import Iterator

import pytest

from tests.edge.mqtt_device import Device, connect_packet
from tests.edge.site import Site
from tests.edge.test_gateway import reading
from tests.processes import wait_until


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(directory=tmp_path_factory.mktemp("gateway"))
    site.add_sensor("s1")
    site.add_sensor("s2")
    with site.running():
        yield site


def entries(site: Site) -> int:
    return int(site.status()["entries"])


def test_a_wrong_password_is_refused(site: Site) -> None:
    assert Device(site.endpoint_port, "s1", password="wrong").connack == b"\x20\x02\x00\x04"
    assert Device(site.endpoint_port, "s1", password="wrong", version=5).connack[:4] == b"\x20\x03\x00\x86"
    assert Device(site.endpoint_port, "nobody").connack == b"\x20\x02\x00\x04"


def test_a_client_without_a_name_is_refused(site: Site) -> None:
    with socket.create_connection(("127.0.0.1", site.endpoint_port), timeout=60) as line:
        line.sendall(connect_packet("x", None, None))
        assert line.recv(10) == b"\x20\x02\x00\x04"


def test_a_device_cannot_publish_in_anothers_name(site: Site) -> None:
    before = entries(site)
    device = Device(site.endpoint_port, "s1")
    device.publish("t/s2", reading(1), 1)
    assert device.read_packet() == b""
    polite = Device(site.endpoint_port, "s1", version=5)
    assert polite.publish_and_wait("t/s2", reading(1), 1) == b"\x40\x04\x00\x01\x87\x00"
    assert entries(site) == before


def test_a_device_may_listen_to_its_own_commands_only(site: Site) -> None:
    device = Device(site.endpoint_port, "s1")
    wanted = [b"t/s1/command", b"t/s2/command", b"#", b"t/s1"]
    body = b"\x00\x09" + b"".join(len(one).to_bytes(2) + one + b"\x01" for one in wanted)
    device.send(b"\x82" + bytes([len(body)]) + body)
    assert device.read_packet() == b"\x90\x06\x00\x09\x00\x80\x80\x80"


def test_a_persistent_session_is_known_again_and_a_clean_one_is_not(site: Site) -> None:
    assert Device(site.endpoint_port, "s1", clean=False, client_id="keep").connack == b"\x20\x02\x00\x00"
    assert Device(site.endpoint_port, "s1", clean=False, client_id="keep").connack == b"\x20\x02\x01\x00"
    assert Device(site.endpoint_port, "s1", clean=True, client_id="keep").connack == b"\x20\x02\x00\x00"
    assert Device(site.endpoint_port, "s1", clean=False, client_id="keep").connack == b"\x20\x02\x00\x00"


def test_a_second_login_takes_the_session_over(site: Site) -> None:
    first = Device(site.endpoint_port, "s1", version=5, client_id="same")
    second = Device(site.endpoint_port, "s1", version=5, client_id="same")
    assert first.read_packet() == b"\xe0\x02\x8e\x00"
    assert second.publish_and_wait("t/s1", reading(100), 3)[:4] == b"\x40\x02\x00\x03"


def test_a_redelivered_message_is_acknowledged_and_logged_once(site: Site) -> None:
    device = Device(site.endpoint_port, "s1")
    device.publish_and_wait("t/s1", reading(200), 5)
    before = entries(site)
    assert device.publish_and_wait("t/s1", reading(200), 9, dup=True) == b"\x40\x02\x00\x09"
    assert device.publish_and_wait("t/s1", reading(200), 11) == b"\x40\x02\x00\x0b"
    assert entries(site) == before
    device.publish_and_wait("t/s1", reading(200, "7.0"), 12)
    assert entries(site) > before, "the same number with another payload is a device that counts anew"


def test_a_message_that_is_no_reading_is_refused_and_the_device_stays(site: Site) -> None:
    before = entries(site)
    device = Device(site.endpoint_port, "s1", version=5)
    assert device.publish_and_wait("t/s1", b"not json", 4) == b"\x40\x04\x00\x04\x99\x00"
    old = Device(site.endpoint_port, "s1", client_id="old")
    assert old.publish_and_wait("t/s1", b'{"seq":1}', 4) == b"\x40\x02\x00\x04"
    assert entries(site) == before
    told = next(one for one in site.status()["devices"] if one["urn"].endswith(":s1"))
    assert told["refused"] >= 2
    assert told["last_error"]


def test_a_last_will_is_recorded_as_the_devices_own_word(site: Site) -> None:
    before = entries(site)
    Device(site.endpoint_port, "s2", will=("t/s2", reading(900)), client_id="will").close()
    wait_until(lambda: entries(site) > before, seconds=5, what="the will's entry")


def test_ping_is_answered_and_garbage_closes_only_its_own_connection(site: Site) -> None:
    good = Device(site.endpoint_port, "s2", client_id="good")
    with socket.create_connection(("127.0.0.1", site.endpoint_port), timeout=60) as bad:
        bad.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert bad.recv(100)[:1] in (b"", b"\x20")
    good.send(b"\xc0\x00")
    assert good.read_packet() == b"\xd0\x00"


def test_the_status_page_and_its_metrics_are_read_only(site: Site) -> None:
    def ask(request: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", site.status_port), timeout=60) as line:
            line.sendall(request)
            answer = b""
            while chunk := line.recv(65536):
                answer += chunk
            return answer

    assert b"<h1>urn:minglou:site:b01:gateway:g1</h1>" in ask(b"GET / HTTP/1.1\r\n\r\n")
    assert b"minglou_edge_entries " in ask(b"GET /metrics HTTP/1.1\r\n\r\n")
    assert ask(b"POST / HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 405")
    assert ask(b"GET /../key.pem HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404")
