"""MQTT 3.1.1 and 5 packets as the endpoint speaks them: bytes in, values out. QoS 2 is refused.

Sources: OASIS MQTT Version 3.1.1 (2014) and MQTT Version 5.0 (2019), chapters 2 and 3.
"""

import struct
from dataclasses import dataclass

from edge.errors import PacketError

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK = 1, 2, 3, 4, 8, 9
UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT = 10, 11, 12, 13, 14
V311, V5 = 4, 5

MALFORMED, PROTOCOL_ERROR, UNSUPPORTED_VERSION = 0x81, 0x82, 0x84
BAD_CREDENTIALS, NOT_AUTHORIZED, SERVER_BUSY, KEEP_ALIVE_TIMEOUT = 0x86, 0x87, 0x89, 0x8D
TAKEN_OVER, PACKET_TOO_LARGE, PAYLOAD_INVALID, QOS_NOT_SUPPORTED = 0x8E, 0x95, 0x99, 0x9B

PINGRESP_BYTES = b"\xd0\x00"

# Identifier -> how its value is coded (MQTT 5, 2.2.2.2): b byte, h two, i four bytes, v varint, s string, d binary,
# p pair of strings.
_PROPERTY_FORMS = {
    0x01: "b", 0x02: "i", 0x03: "s", 0x08: "s", 0x09: "d", 0x0B: "v", 0x11: "i", 0x12: "s", 0x13: "h", 0x15: "s",
    0x16: "d", 0x17: "b", 0x18: "i", 0x19: "b", 0x1A: "s", 0x1C: "s", 0x1F: "s", 0x21: "h", 0x22: "h", 0x23: "h",
    0x24: "b", 0x25: "b", 0x26: "p", 0x27: "i", 0x28: "b", 0x29: "b", 0x2A: "b",
}  # fmt: skip
SESSION_EXPIRY, RECEIVE_MAXIMUM, TOPIC_ALIAS = 0x11, 0x21, 0x23


@dataclass(frozen=True, slots=True, kw_only=True)
class Will:
    """What the client wants said when it vanishes."""

    topic: bytes
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Connect:
    """A client's first packet."""

    version: int
    client_id: str
    clean_start: bool
    session_expiry_s: int
    keep_alive_s: int
    username: str | None
    password: bytes | None
    will: Will | None

    @property
    def is_persistent(self) -> bool:
        """Whether the session outlives the connection."""
        return self.session_expiry_s > 0 if self.version == V5 else not self.clean_start


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscribe:
    """Topic filters with the quality of service asked for."""

    packet_id: bytes
    filters: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsubscribe:
    """Topic filters to forget."""

    packet_id: bytes
    filters: tuple[str, ...]


class Cursor:
    """Reads the fields of one packet's body in order; running over its end is malformed."""

    __slots__ = ("at", "body")

    def __init__(self, body: bytes, at: int = 0) -> None:
        self.body = body
        self.at = at

    def take(self, length: int) -> bytes:
        start, self.at = self.at, self.at + length
        if self.at > len(self.body):
            raise PacketError("a packet ends before its fields do")
        return self.body[start : self.at]

    def byte(self) -> int:
        return self.take(1)[0]

    def two(self) -> int:
        return int.from_bytes(self.take(2))

    def binary(self) -> bytes:
        return self.take(self.two())

    def string(self) -> str:
        try:
            text = self.binary().decode()
        except UnicodeDecodeError as error:
            raise PacketError("a string is not UTF-8") from error
        if "\0" in text:
            raise PacketError("a string holds U+0000")
        return text

    def varint(self) -> int:
        value = shift = 0
        while True:
            one = self.byte()
            value |= (one & 0x7F) << shift
            if not one & 0x80:
                return value
            shift += 7
            if shift > 21:
                raise PacketError("a variable byte integer has more than four bytes")

    def properties(self) -> dict[int, object]:
        """MQTT 5 properties; of a repeated one the last, user properties are dropped."""
        end = self.varint() + self.at
        if end > len(self.body):
            raise PacketError("properties are longer than their packet")
        found: dict[int, object] = {}
        while self.at < end:
            name = self.varint()
            form = _PROPERTY_FORMS.get(name)
            if form is None:
                raise PacketError(f"property 0x{name:02x} does not exist")
            found[name] = self._property(form)
        if self.at != end:
            raise PacketError("a property runs over the end of the properties")
        return found

    def end(self) -> None:
        if self.at != len(self.body):
            raise PacketError("bytes follow a packet's last field")

    def _property(self, form: str) -> object:
        if form == "b":
            return self.byte()
        if form == "h":
            return self.two()
        if form == "i":
            return int.from_bytes(self.take(4))
        if form == "v":
            return self.varint()
        if form == "s":
            return self.string()
        if form == "d":
            return self.binary()
        return self.string(), self.string()


def decode_connect(body: bytes) -> Connect:
    """3.1. Raises `PacketError` with the reason to close with."""
    cursor = Cursor(body)
    if cursor.string() != "MQTT":
        raise PacketError("the protocol is not MQTT 3.1.1 or 5", reason=UNSUPPORTED_VERSION)
    version = cursor.byte()
    if version not in (V311, V5):
        raise PacketError(f"MQTT protocol level {version} is not spoken here", reason=UNSUPPORTED_VERSION)
    flags = cursor.byte()
    if flags & 0x01 or (flags >> 3 & 3) == 3 or (not flags & 0x04 and flags & 0x38):
        raise PacketError(f"connect flags 0x{flags:02x} are not allowed")
    keep_alive_s = cursor.two()
    properties = cursor.properties() if version == V5 else {}
    client_id = cursor.string()
    will = _decode_will(cursor, version) if flags & 0x04 else None
    username = cursor.string() if flags & 0x80 else None
    password = cursor.binary() if flags & 0x40 else None
    cursor.end()
    expiry = properties.get(SESSION_EXPIRY, 0)
    return Connect(
        version=version, client_id=client_id, clean_start=bool(flags & 0x02),
        session_expiry_s=expiry if isinstance(expiry, int) else 0, keep_alive_s=keep_alive_s,
        username=username, password=password, will=will,
    )  # fmt: skip


def _decode_will(cursor: Cursor, version: int) -> Will:
    if version == V5:
        cursor.properties()
    topic = cursor.string().encode()
    return Will(topic=topic, payload=cursor.binary())


def decode_subscribe(body: bytes, version: int) -> Subscribe:
    """3.8."""
    cursor = Cursor(body)
    packet_id = _packet_id(cursor)
    if version == V5:
        cursor.properties()
    filters = []
    while cursor.at < len(body):
        name, options = cursor.string(), cursor.byte()
        if not name or (options & 3) == 3 or options & (0xC0 if version == V5 else 0xFC):
            raise PacketError(f"subscription {name[:40]!r} with options 0x{options:02x} is not allowed")
        filters.append((name, options & 3))
    if not filters:
        raise PacketError("a subscribe names no topic", reason=PROTOCOL_ERROR)
    return Subscribe(packet_id=packet_id, filters=tuple(filters))


def decode_unsubscribe(body: bytes, version: int) -> Unsubscribe:
    """3.10."""
    cursor = Cursor(body)
    packet_id = _packet_id(cursor)
    if version == V5:
        cursor.properties()
    filters = []
    while cursor.at < len(body):
        filters.append(cursor.string())
    if not filters:
        raise PacketError("an unsubscribe names no topic", reason=PROTOCOL_ERROR)
    return Unsubscribe(packet_id=packet_id, filters=tuple(filters))


def _packet_id(cursor: Cursor) -> bytes:
    packet_id = cursor.take(2)
    if packet_id == b"\0\0":
        raise PacketError("packet id 0 is not allowed", reason=PROTOCOL_ERROR)
    return packet_id


def encode_remaining_length(length: int) -> bytes:
    """2.2.3 / 1.5.5: a variable byte integer."""
    encoded = bytearray()
    while True:
        length, low = length >> 7, length & 0x7F
        encoded.append(low | (0x80 if length else 0))
        if not length:
            return bytes(encoded)


def _packet(first: int, body: bytes) -> bytes:
    return bytes([first]) + encode_remaining_length(len(body)) + body


def encode_connack(version: int, reason: int, *, session_present: bool, receive_maximum: int, client_id: str) -> bytes:
    """3.2. An MQTT 5 client learns that QoS 2, retained messages, wildcards and aliases are not offered.

    `client_id` is the one assigned to a client that gave none, else empty.
    """
    if version == V311:
        code = {0: 0, UNSUPPORTED_VERSION: 1, BAD_CREDENTIALS: 4, NOT_AUTHORIZED: 5}.get(reason, 3)
        return _packet(CONNACK << 4, bytes([session_present, code]))
    properties = b""
    if reason == 0:
        properties = b"\x21" + receive_maximum.to_bytes(2) + b"\x24\x01" + b"\x25\x00" + b"\x28\x00" + b"\x2a\x00"
        if client_id:
            properties += b"\x12" + encode_string(client_id)
    body = bytes([session_present, reason]) + encode_remaining_length(len(properties)) + properties
    return _packet(CONNACK << 4, body)


def encode_puback(packet_id: bytes, reason: int = 0) -> bytes:
    """3.4: without a reason it is the same four bytes in both versions."""
    if reason == 0:
        return b"\x40\x02" + packet_id
    return b"\x40\x04" + packet_id + bytes([reason, 0])


def encode_suback(version: int, packet_id: bytes, codes: list[int]) -> bytes:
    """3.9: granted QoS, or 0x80 (3.1.1) / a reason (5) for a refused filter."""
    return _packet(SUBACK << 4, packet_id + (b"\0" if version == V5 else b"") + bytes(codes))


def encode_unsuback(version: int, packet_id: bytes, count: int) -> bytes:
    """3.11."""
    return _packet(UNSUBACK << 4, packet_id + (b"\0" + bytes(count) if version == V5 else b""))


def encode_disconnect(version: int, reason: int) -> bytes:
    """3.14: what the endpoint says before it closes on an MQTT 5 client; 3.1.1 has no such packet."""
    return b"" if version != V5 else _packet(DISCONNECT << 4, bytes([reason, 0]))


def encode_publish(version: int, topic: str, payload: bytes) -> bytes:
    """3.3 at QoS 0: how commands reach a device."""
    body = encode_string(topic) + (b"\0" if version == V5 else b"") + payload
    return _packet(PUBLISH << 4, body)


def encode_string(text: str) -> bytes:
    encoded = text.encode()
    return struct.pack(">H", len(encoded)) + encoded
