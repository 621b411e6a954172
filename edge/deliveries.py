"""Which messages are on disk already: the last 64 of every persistent session, and of every device that counts its own.

A redelivered message (DUP=1) whose packet id and payload were seen is acknowledged and not logged again. Where the
profile maps a sequence number, that number takes the packet id's place and DUP does not matter: a device that crashed
may well send the same message as a new one. A number that comes again with another payload is a device that started
counting anew, and is logged.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from hashlib import sha256

REMEMBERED = 64  # also the most that a peer may have unacknowledged
DIGEST_BYTES = 16


class _Ring:
    """The last messages of one session."""

    __slots__ = ("keys", "name", "order")

    def __init__(self, session: str) -> None:
        self.name = session.encode()
        self.keys: set[bytes] = set()
        self.order: deque[bytes] = deque()


class Deliveries:
    """The memory of a store's `delivery` table. Not for two threads at once: each ingest has its own sessions."""

    def __init__(self, packed: Iterable[bytes] = ()) -> None:
        self._rings: dict[str, _Ring] = {}
        for one in packed:
            for session, key in unpack(one):
                self._add(self._ring(session), key)

    def repeated(self, session: str, number: int, digest: bytes) -> bool:
        ring = self._rings.get(session)
        return ring is not None and number.to_bytes(8) + digest in ring.keys

    def remember(self, session: str, number: int, digest: bytes) -> bytes:
        """What must be committed together with the message's entries."""
        ring = self._rings.get(session) or self._ring(session)
        key = number.to_bytes(8) + digest
        self._add(ring, key)
        return len(ring.name).to_bytes(2) + ring.name + key

    def forget(self, session: str) -> None:
        """The peer began a new session: its packet ids mean nothing any more."""
        self._rings.pop(session, None)

    def pack(self) -> bytes:
        """Everything remembered, oldest first within each session."""
        return b"".join(
            len(ring.name).to_bytes(2) + ring.name + key for ring in self._rings.values() for key in ring.order
        )

    def _ring(self, session: str) -> _Ring:
        return self._rings.setdefault(session, _Ring(session))

    def _add(self, ring: _Ring, key: bytes) -> None:
        ring.keys.add(key)
        ring.order.append(key)
        if len(ring.order) > REMEMBERED:
            ring.keys.discard(ring.order.popleft())


def unpack(packed: bytes) -> Iterator[tuple[str, bytes]]:
    """Session and key (number, digest) of each remembered message."""
    at = 0
    while at < len(packed):
        name_end = at + 2 + int.from_bytes(packed[at : at + 2])
        key_end = name_end + 8 + DIGEST_BYTES
        yield packed[at + 2 : name_end].decode(), packed[name_end:key_end]
        at = key_end


def payload_digest(payload: bytes) -> bytes:
    """What tells payloads apart: 16 bytes of their SHA-256."""
    return sha256(payload).digest()[:DIGEST_BYTES]
