"""Which key a gateway signs with, as the Registry says on the followed chain."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

__all__ = ["GatewayKey", "KeyRing", "KeyState"]


class KeyState(StrEnum):
    """Where a gateway's key stands in the Registry."""

    IN_FORCE = "in_force"
    PENDING = "pending"  # proposed; its public delay has not passed
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayKey:
    """One gateway's present key."""

    public: bytes  # 64 bytes x || y
    state: KeyState
    key_class: str  # file, token or attested


class KeyRing(Protocol):
    """What ingest asks about origins; the followed chain answers."""

    def gateway_key(self, origin: str) -> GatewayKey | None:
        """The present key of `origin`; None where the Registry has never heard of it."""
        ...
