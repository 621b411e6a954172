"""A cloud without a chain in its settings: knows no gateway key, so it takes no batch, and has no news."""

from cloud.ingest.keys import GatewayKey
from cloud.mail import FinalBlock

__all__ = ["Unchained"]


class Unchained:
    """Answers every question about the chain with *nothing is known*."""

    def gateway_key(self, origin: str) -> GatewayKey | None:
        return None

    def final_block(self) -> FinalBlock | None:
        return None

    def final_super_size(self) -> int:
        return 0

    def revoked_from_block(self, origin: str) -> int | None:
        return None
