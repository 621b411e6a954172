"""What pages show of a meter's swap."""

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from contracts.quantities import unit_of

__all__ = ["MeterSwapAnswer", "Register", "Standing", "SwapRequest", "SwapTerms"]


class Standing(StrEnum):
    """How far a swap has come."""

    WAITING = "waiting"  # its gateway has not judged it yet
    AGAINST = "against"  # the gateway's own readings speak against it
    TO_CONFIRM = "to_confirm"
    RELAYED = "relayed"  # the owner has signed; the public delay runs, or the chain has not been asked yet
    DONE = "done"  # the new meter counts for the unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Register:
    """One end of a swap: what people noted, and what the gateway read, in the quantity's base unit."""

    noted: int
    read: int | None
    read_at_ms: int | None
    word: str  # confirmed, not-seen, contradicted, not-observable, or unjudged


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapTerms:
    """What the owner's page needs to sign the swap (`contracts.meter_swap`)."""

    chain_id: int
    contract: str  # Bindings, 0x…
    key_public: bytes  # 64
    nonce: int
    deadline_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MeterSwapAnswer:
    """One swap of a flat's meter."""

    visit: str  # 64 hex
    quantity: str
    day: date  # from which on the new meter counts
    ended_at_ms: int
    standing: Standing
    closing: Register
    opening: Register
    photos: tuple[str, str]  # hashes of the closing and the opening register's photograph
    entry: tuple[str, int] | None  # the gateway's word on the visit
    act: tuple[str, str] | None  # how the owner's half stands, and why
    terms: SwapTerms | None  # while it waits for the owner's key

    @property
    def unit(self) -> str:
        """The base unit of both registers; empty where Minglou knows none for such a meter."""
        return unit_of(self.quantity) or ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapRequest:
    """A swap as the owner's key signed it in the page."""

    unit: str
    visit: bytes
    nonce: int
    deadline_s: int
    signature: bytes  # 64: r || s
    public: bytes  # 64
