"""The endpoint's codec: sound packets in any cut, damaged ones refused with PacketError and nothing else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge.errors import PacketError
from edge.mqtt import packet
from edge.mqtt.connection import Connection
from tests.edge.mqtt_device import connect_packet, publish_packet

versions = st.sampled_from([4, 5])
topics = st.text(alphabet="abc/+1é", min_size=1, max_size=20)
payloads = st.binary(max_size=300)


def logged_in(version: int) -> Connection:
    connection = Connection(0.0)
    received = connection.receive(connect_packet("c", "u", "p", version=version), 0.0)
    assert received.connect is not None
    connection.accept(received.connect)
    return connection


@settings(deadline=None)
@given(versions, st.lists(st.tuples(topics, payloads, st.integers(0, 65535), st.booleans()), max_size=8), st.data())
def test_messages_come_out_as_they_went_in_however_the_bytes_are_cut(version, messages, data) -> None:
    connection = logged_in(version)
    sent = b"".join(
        publish_packet(topic, payload, number, dup=dup and number > 0, version=version)
        for topic, payload, number, dup in messages
    )
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=5)))
    got = []
    for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        got.extend(connection.receive(sent[start:end], 1.0).messages)
    assert got == [
        (topic.encode(), payload, number.to_bytes(2) if number else b"", dup and number > 0)
        for topic, payload, number, dup in messages
    ]


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_before_the_login_raise_nothing_but_a_packet_error(content) -> None:
    try:
        Connection(0.0).receive(content, 0.0)
    except PacketError as error:
        assert error.reason >= 0x80


@settings(deadline=None)
@given(versions, st.lists(st.tuples(topics, payloads, st.integers(1, 9)), min_size=1, max_size=3), st.data())
def test_a_damaged_packet_raises_nothing_but_a_packet_error(version, messages, data) -> None:
    connection = logged_in(version)
    sent = bytearray(b"".join(publish_packet(t, p, n, version=version) for t, p, n in messages))
    sent += b"\x82\x0a\x00\x01\x00\x05a/b/c\x00" + b"\xa2\x09\x00\x01\x00\x05a/b/c" + b"\xc0\x00"
    for _ in range(data.draw(st.integers(1, 4))):
        sent[data.draw(st.integers(0, len(sent) - 1))] = data.draw(st.integers(0, 255))
    try:
        connection.receive(bytes(sent), 1.0)
    except PacketError as error:
        assert error.reason >= 0x80


@settings(deadline=None)
@given(versions, st.data())
def test_a_damaged_connect_raises_nothing_but_a_packet_error(version, data) -> None:
    sent = bytearray(connect_packet("client", "user", "secret", version=version, will=("w", b"x"), expiry=60))
    sent[data.draw(st.integers(0, len(sent) - 1))] = data.draw(st.integers(0, 255))
    try:
        Connection(0.0).receive(bytes(sent), 0.0)
    except PacketError as error:
        assert error.reason >= 0x80


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\x34\x07\x00\x01a\x00\x01xx", packet.QOS_NOT_SUPPORTED),
        (b"\x32\x05\x00\x01a\x00\x00", packet.PROTOCOL_ERROR),
        (b"\x38\x03\x00\x01a", packet.MALFORMED),
        (b"\x30\xff\xff\xff\xff\x01", packet.MALFORMED),
        (b"\x30\x81\x80\x40", packet.PACKET_TOO_LARGE),
        (b"\x10\x02\x00\x00", packet.PROTOCOL_ERROR),
        (b"\x82\x02\x00\x01", packet.PROTOCOL_ERROR),
        (b"\x80\x02\x00\x01", packet.PROTOCOL_ERROR),
    ],
)
def test_what_is_not_offered_is_refused_with_its_reason(content, reason) -> None:
    with pytest.raises(PacketError) as caught:
        logged_in(4).receive(content, 1.0)
    assert caught.value.reason == reason


def test_a_topic_alias_is_refused() -> None:
    body = b"\x00\x00" + b"\x03\x23\x00\x01" + b"x"
    with pytest.raises(PacketError, match="alias"):
        logged_in(5).receive(b"\x30" + bytes([len(body)]) + body, 1.0)


def test_a_silent_client_expires_after_one_and_a_half_keep_alive_times() -> None:
    connection = Connection(0.0)
    received = connection.receive(connect_packet("c", "u", "p", keep_alive=10), 0.0)
    assert received.connect is not None
    connection.accept(received.connect)
    connection.receive(b"\xc0\x00", 5.0)
    assert not connection.expired(19.9)
    assert connection.expired(20.1)


def test_bytes_behind_the_connect_wait_for_the_login() -> None:
    connection = Connection(0.0)
    publish = publish_packet("t", b"x", 1)
    received = connection.receive(connect_packet("c", "u", "p") + publish, 0.0)
    assert received.connect is not None
    assert received.messages == []
    assert connection.receive(publish, 0.1).messages == []
    connection.accept(received.connect)
    assert len(connection.receive(b"", 0.2).messages) == 2
