"""Which messages are on disk already: the last 64 of every persistent session, and of every device that counts its own.

A redelivered message (DUP=1) whose packet id and payload were seen is acknowledged and not logged again. Where the
profile maps a sequence number, that number takes the packet id's place and DUP does not matter: a device that crashed
may well send the same message as a new one. A number that comes again with another payload is a device that started
counting anew, and is logged.
"""

from collections.abc import Iterable
from hashlib import sha256

from edge.log_store import DeliveryRow

REMEMBERED = 64  # also the most that a peer may have unacknowledged

_Key = tuple[int, bytes]


class Deliveries:
    """The memory of one store's `delivered` table. Not for two threads at once: each ingest has its own sessions."""

    def __init__(self, rows: Iterable[DeliveryRow] = ()) -> None:
        self._rings: dict[str, dict[_Key, int]] = {}
        for session, _slot, count, number, digest in rows:
            self._rings.setdefault(session, {})[number, bytes(digest)] = count

    def repeated(self, session: str, number: int, digest: bytes) -> bool:
        ring = self._rings.get(session)
        return ring is not None and (number, digest) in ring

    def remember(self, session: str, number: int, digest: bytes) -> DeliveryRow:
        """The row that must be committed together with the message's entries."""
        ring = self._rings.get(session)
        if ring is None:
            ring = self._rings[session] = {}
        count = next(reversed(ring.values())) + 1 if ring else 0
        ring.pop((number, digest), None)
        ring[number, digest] = count
        if len(ring) > REMEMBERED:
            del ring[next(iter(ring))]
        return session, count % REMEMBERED, count, number, digest

    def forget(self, session: str) -> None:
        """The peer began a new session: its packet ids mean nothing any more."""
        self._rings.pop(session, None)


def payload_digest(payload: bytes) -> bytes:
    """What tells payloads apart: 16 bytes of their SHA-256."""
    return sha256(payload).digest()[:16]
