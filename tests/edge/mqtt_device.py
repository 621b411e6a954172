"""A small blocking MQTT client for tests, with every byte in the test's hands."""

import socket
import struct
import time

from tests.edge.site import PASSWORD


def remaining(length: int) -> bytes:
    encoded = bytearray()
    while True:
        length, low = length >> 7, length & 0x7F
        encoded.append(low | (0x80 if length else 0))
        if not length:
            return bytes(encoded)


def text(value: str | bytes) -> bytes:
    encoded = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(encoded)) + encoded


def packet(first: int, body: bytes) -> bytes:
    return bytes([first]) + remaining(len(body)) + body


def connect_packet(
    client_id: str, username: str | None, password: str | None, *, version: int = 4, clean: bool = True,
    keep_alive: int = 60, will: tuple[str, bytes] | None = None, expiry: int = 0,
) -> bytes:  # fmt: skip
    flags = (2 if clean else 0) | (4 if will else 0) | (0x80 if username is not None else 0)
    flags |= 0x40 if password is not None else 0
    body = text("MQTT") + bytes([version, flags]) + struct.pack(">H", keep_alive)
    if version == 5:
        properties = b"\x11" + struct.pack(">I", expiry) if expiry else b""
        body += remaining(len(properties)) + properties
    body += text(client_id)
    if will:
        body += (b"\0" if version == 5 else b"") + text(will[0]) + text(will[1])
    for one in (username, password):
        if one is not None:
            body += text(one)
    return packet(0x10, body)


def publish_packet(topic: str, payload: bytes, packet_id: int = 0, *, dup: bool = False, version: int = 4) -> bytes:
    first = 0x30 | (2 if packet_id else 0) | (8 if dup else 0)
    body = text(topic) + (struct.pack(">H", packet_id) if packet_id else b"")
    return packet(first, body + (b"\0" if version == 5 else b"") + payload)


class Device:
    """One connection."""

    def __init__(self, port: int, name: str, *, password: str = PASSWORD, version: int = 4, clean: bool = True,
                 will: tuple[str, bytes] | None = None, client_id: str | None = None, expiry: int = 0,
                 keep_alive: int = 60) -> None:  # fmt: skip
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.version = version
        self.buffer = b""
        self.send(connect_packet(
            client_id or name, name, password, version=version, clean=clean, will=will, expiry=expiry,
            keep_alive=keep_alive,
        ))  # fmt: skip
        self.connack = self.read_packet()

    def send(self, content: bytes) -> None:
        self.socket.sendall(content)

    def publish(self, topic: str, payload: bytes, packet_id: int = 0, *, dup: bool = False) -> None:
        self.send(publish_packet(topic, payload, packet_id, dup=dup, version=self.version))

    def publish_and_wait(self, topic: str, payload: bytes, packet_id: int, *, dup: bool = False) -> bytes:
        self.publish(topic, payload, packet_id, dup=dup)
        return self.read_packet()

    def read_packet(self) -> bytes:
        """The next packet, whole; empty when the gateway closed."""
        while True:
            if len(self.buffer) >= 2:
                length, head, shift = self.buffer[1] & 0x7F, 2, 7
                while self.buffer[head - 1] & 0x80 and len(self.buffer) > head:
                    length |= (self.buffer[head] & 0x7F) << shift
                    head, shift = head + 1, shift + 7
                if len(self.buffer) >= head + length:
                    whole, self.buffer = self.buffer[: head + length], self.buffer[head + length :]
                    return whole
            chunk = self.socket.recv(65536)
            if not chunk:
                return b""
            self.buffer += chunk

    def acknowledged(self, seconds: float) -> list[int]:
        """Packet ids of the PUBACKs that come within a time."""
        ids, deadline = [], time.monotonic() + seconds
        self.socket.settimeout(0.05)
        try:
            while time.monotonic() < deadline:
                try:
                    one = self.read_packet()
                except TimeoutError:
                    continue
                if not one:
                    break
                if one[0] == 0x40:
                    ids.append(int.from_bytes(one[2:4]))
        except OSError:
            pass
        return ids

    def close(self) -> None:
        self.socket.close()

    def __del__(self) -> None:
        if hasattr(self, "socket"):
            self.socket.close()
