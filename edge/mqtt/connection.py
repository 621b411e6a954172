"""One client's side of the endpoint, without I/O: bytes and the time in, messages and bytes out.

`receive` is the hot path: a PUBLISH is cut out of the bytes that came, nothing else is built for it than one tuple.
"""

from dataclasses import dataclass, field

from edge.errors import PacketError
from edge.mqtt import packet
from edge.mqtt.packet import Connect, Subscribe, Unsubscribe

PACKET_BYTES_MAX = 65_536
CONNECT_SECONDS_MAX = 10.0

Publish = tuple[bytes, bytes, bytes, bool]
"""Topic, payload, packet id (empty at QoS 0), DUP."""


@dataclass(slots=True)
class Received:
    """What one chunk of bytes brought."""

    connect: Connect | None = None
    messages: list[Publish] = field(default_factory=list)
    subscribes: list[Subscribe] = field(default_factory=list)
    unsubscribes: list[Unsubscribe] = field(default_factory=list)
    pings: int = 0
    closed: bool = False  # the client said goodbye, so its will must not be published


class Connection:
    """Framing and order of one client's packets. Whether it may log in, and what for, its owner decides."""

    __slots__ = ("_buffer", "connected_at", "greeted", "keep_alive_s", "last_at", "version", "waiting")

    def __init__(self, now: float) -> None:
        self._buffer = b""
        self.version = packet.V311
        self.connected_at = self.last_at = now
        self.keep_alive_s = 0
        self.greeted = False  # its CONNECT was accepted
        self.waiting = False  # its CONNECT is being checked: later packets stay in the buffer

    def accept(self, connect: Connect) -> None:
        self.greeted, self.waiting = True, False
        self.keep_alive_s = connect.keep_alive_s

    def expired(self, now: float) -> bool:
        """Whether the client has been silent for one and a half keep-alive times, or never logged in."""
        if not self.greeted:
            return now - self.connected_at > CONNECT_SECONDS_MAX
        return bool(self.keep_alive_s) and now - self.last_at > 1.5 * self.keep_alive_s

    def receive(self, chunk: bytes, now: float) -> Received:
        """What the bytes mean so far.

        Raises:
            PacketError: they are not MQTT as spoken here; close with the error's reason.
        """
        self.last_at = now
        received = Received()
        buffer = self._buffer + chunk if self._buffer else chunk
        at, end = 0, len(buffer)
        if self.waiting:
            if end > PACKET_BYTES_MAX:
                raise PacketError("too many bytes before the login was answered", reason=packet.PACKET_TOO_LARGE)
            self._buffer = buffer
            return received
        if end and not self.greeted and buffer[0] != packet.CONNECT << 4:
            raise PacketError("the first packet is not CONNECT", reason=packet.PROTOCOL_ERROR)
        while end - at >= 2:
            length, head = buffer[at + 1], at + 2
            if length & 0x80:
                shift, length = 7, length & 0x7F
                while True:
                    if head >= end:
                        length = -1
                        break
                    one = buffer[head]
                    head += 1
                    length |= (one & 0x7F) << shift
                    if not one & 0x80:
                        break
                    shift += 7
                    if shift > 21:
                        raise PacketError("a remaining length has more than four bytes")
                if length < 0:
                    break
            if length > PACKET_BYTES_MAX:
                raise PacketError(f"a packet of {length} bytes is too large", reason=packet.PACKET_TOO_LARGE)
            stop = head + length
            if stop > end:
                break
            first = buffer[at]
            at = stop
            if first & 0xF0 == 0x30 and self.greeted:
                received.messages.append(self._publish(first, buffer, head, stop))
            else:
                self._other(first, buffer[head:stop], received)
                if received.connect is not None or received.closed:
                    self.waiting = received.connect is not None
                    break
        self._buffer = buffer[at:] if at else buffer
        return received

    def _publish(self, first: int, buffer: bytes, head: int, stop: int) -> Publish:
        """3.3, cut out of the buffer."""
        topic_end = head + 2 + (buffer[head] << 8 | buffer[head + 1]) if stop - head >= 2 else stop + 1
        at = topic_end
        packet_id = b""
        qos = first & 0x06
        if qos:
            if qos != 0x02:
                raise PacketError("QoS 2 is not offered; publish at QoS 1", reason=packet.QOS_NOT_SUPPORTED)
            at += 2
            packet_id = buffer[topic_end:at]
            if packet_id == b"\0\0":
                raise PacketError("packet id 0 is not allowed", reason=packet.PROTOCOL_ERROR)
        elif first & 0x08:
            raise PacketError("DUP is set at QoS 0")
        if at > stop:
            raise PacketError("a publish ends before its fields do")
        if self.version == packet.V5:
            if at < stop and buffer[at] == 0:
                at += 1
            else:
                cursor = packet.Cursor(buffer[:stop], at)
                if packet.TOPIC_ALIAS in cursor.properties():
                    raise PacketError("topic aliases are not offered", reason=packet.PROTOCOL_ERROR)
                at = cursor.at
        return buffer[head + 2 : topic_end], buffer[at:stop], packet_id, bool(first & 0x08)

    def _other(self, first: int, body: bytes, received: Received) -> None:
        kind, flags = first >> 4, first & 0x0F
        if not self.greeted:
            if kind != packet.CONNECT or flags:
                raise PacketError("the first packet is not CONNECT", reason=packet.PROTOCOL_ERROR)
            received.connect = packet.decode_connect(body)
            self.version = received.connect.version
            return
        if kind == packet.SUBSCRIBE and flags == 2:
            received.subscribes.append(packet.decode_subscribe(body, self.version))
        elif kind == packet.UNSUBSCRIBE and flags == 2:
            received.unsubscribes.append(packet.decode_unsubscribe(body, self.version))
        elif kind == packet.PINGREQ and not flags and not body:
            received.pings += 1
        elif kind == packet.DISCONNECT and not flags:
            received.closed = not (self.version == packet.V5 and body[:1] == b"\x04")
        elif kind == packet.PUBACK and not flags:
            pass  # commands go out at QoS 0; a stray acknowledgement means nothing
        else:
            raise PacketError(f"packet type {kind} with flags {flags} is not allowed", reason=packet.PROTOCOL_ERROR)
