"""Contracts' views as of the followed block, which is what the sender's nonces speak of too."""

from dataclasses import dataclass
from typing import Protocol

from cloud.chain.client import ChainClient
from cloud.chain.sender import ChainPlace

__all__ = ["ContractReader", "FollowedReader"]


class ContractReader(Protocol):
    """Whoever can ask a contract."""

    async def call(self, to: str, data: bytes) -> bytes:
        """A view's result. Raises `CallReverted` with the contract's reason."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedReader:
    """Asks at the block up to which the chain is followed."""

    client: ChainClient
    place: ChainPlace

    async def call(self, to: str, data: bytes) -> bytes:
        """A view's result there. Raises `CallReverted` with the contract's reason."""
        followed = self.place.followed[0]
        return await self.client.call(to, data, at=followed if followed >= 0 else None)
