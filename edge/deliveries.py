"""Which messages are on disk already: the last 64 of every persistent session, and of every device that counts its own.

A redelivered message (DUP=1) whose packet id and payload were seen is acknowledged and not logged again. Where the
profile maps a sequence number, that number takes the packet id's place and DUP does not matter: a device that crashed
may well send the same message as a new one. A number that comes again with another payload is a device that started
counting anew, and is logged.

A broker's session is remembered longer. mosquitto 2.0 does not keep to the limit of unacknowledged messages: each
acknowledgement lets it send that many more, and acknowledgements that it has not read yet die with our connection.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from hashlib import blake2b

REMEMBERED = 64  # also the most that a peer may have unacknowledged
REMEMBERED_OF_BROKER = 8192
BROKER_SESSION = "broker:"
DIGEST_BYTES = 16
_KEY_BYTES = 8 + DIGEST_BYTES


class Ring:
    """The last messages of one session."""

    __slots__ = ("_keys", "_name", "_order", "_size")

    def __init__(self, session: str) -> None:
        self._size = REMEMBERED_OF_BROKER if session.startswith(BROKER_SESSION) else REMEMBERED
        name = session.encode()
        self._name = len(name).to_bytes(2) + name
        self._keys: set[bytes] = set()
        self._order: deque[bytes] = deque()

    def __contains__(self, key: bytes) -> bool:
        return key in self._keys

    def remember(self, key: bytes) -> bytes:
        """What must be committed together with the message's entries."""
        self._keys.add(key)
        order = self._order
        order.append(key)
        if len(order) > self._size:
            self._keys.discard(order.popleft())
        return self._name + key

    def pack(self) -> bytes:
        """All of it, oldest first."""
        return b"".join(self._name + key for key in self._order)


class Deliveries:
    """The memory of a store's `delivery` table. Not for two threads at once: each ingest has its own sessions."""

    def __init__(self, packed: Iterable[bytes] = ()) -> None:
        self._rings: dict[str, Ring] = {}
        for one in packed:
            for session, key in unpack(one):
                self.ring(session).remember(key)

    def ring(self, session: str) -> Ring:
        """The memory of one session, made when it is first asked for."""
        ring = self._rings.get(session)
        if ring is None:
            ring = self._rings[session] = Ring(session)
        return ring

    def forget(self, session: str) -> None:
        """The peer began a new session: its packet ids mean nothing any more."""
        self._rings.pop(session, None)

    def pack(self) -> bytes:
        """Everything remembered, oldest first within each session."""
        return b"".join(ring.pack() for ring in self._rings.values())


def message_key(number: int, topic: bytes, payload: bytes) -> bytes:
    """Packet id or sequence number, and 16 bytes of BLAKE2b of topic and payload."""
    return number.to_bytes(8) + blake2b(topic + b"\0" + payload, digest_size=DIGEST_BYTES).digest()


def unpack(packed: bytes) -> Iterator[tuple[str, bytes]]:
    """Session and key of each remembered message."""
    at = 0
    while at < len(packed):
        name_end = at + 2 + int.from_bytes(packed[at : at + 2])
        yield packed[at + 2 : name_end].decode(), packed[name_end : name_end + _KEY_BYTES]
        at = name_end + _KEY_BYTES
