"""Prices in exact integers: what Tariffs.vy computes, bit for bit.

A price is in nanofen (10^-9 fen) per base unit of the quantity (Wh, mL), so that 0.423625 CNY a kWh is 42,362,500. One
rounding, half up to the fen, ends each running cost.
"""

from dataclasses import dataclass
from typing import Any

from contracts.abi import padded
from contracts.errors import ContractsError

NANOFEN = 10**9
LAST_TIER = 2**64 - 1
TIERS_MAX = 8
TIER_TYPE = "(uint256,uint256)"


class TariffError(ContractsError):
    """A tariff or a usage that no bill can rest on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One step of a tariff."""

    up_to: int  # base units since the tiers began to count; the last tier has LAST_TIER
    price: int  # nanofen per base unit

    def abi(self) -> tuple[int, int]:
        """The fields in the contract's order."""
        return (self.up_to, self.price)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """One version of a price list for one quantity."""

    quantity: str  # without date: 1-0:1.8.0
    category: int  # of units: 0 residential
    by_year: bool  # tiers count from the line's `since`; otherwise from the period's opening
    valid_from: int  # boundary date YYYYMMDD
    valid_to: int  # boundary date, 0 while open
    document: bytes  # digest of the published decision and its price components
    tiers: tuple[Tier, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.tiers) <= TIERS_MAX:
            raise TariffError(f"tariff for {self.quantity}: {len(self.tiers)} tiers; give 1 to {TIERS_MAX}")
        below = 0
        for tier in self.tiers:
            if tier.up_to <= below or not 0 <= tier.price < 2**64:
                raise TariffError(
                    f"tariff for {self.quantity}: tier up to {tier.up_to} does not rise or its price is off"
                )
            below = tier.up_to
        if below != LAST_TIER:
            raise TariffError(f"tariff for {self.quantity}: the last tier must be open (up_to {LAST_TIER})")
        padded(self.quantity)

    def fen(self, usage: int) -> int:
        """Price of so much usage counted from the first tier, in fen.

        Args:
            usage: base units, 0 or more.
        """
        if usage < 0:
            raise TariffError(f"usage {usage} of {self.quantity} is below zero; check the boundary registers")
        nanofen = 0
        below = 0
        for tier in self.tiers:
            upper = min(usage, tier.up_to)
            nanofen += (upper - below) * tier.price
            below = upper
        return (nanofen + NANOFEN // 2) // NANOFEN

    def charge(self, *, used: int, prior: int = 0) -> int:
        """Fen for one period.

        Args:
            used: base units from the period's opening to its closing, over all meters of a swap.
            prior: base units from the line's `since` to the opening; yearly tiers only.
        """
        if prior and not self.by_year:
            raise TariffError(
                f"tariff for {self.quantity} counts by month; {prior} of earlier usage have no place in it"
            )
        return self.fen(prior + used) - self.fen(prior)

    def abi(self) -> tuple[Any, ...]:
        """The arguments of `announce` in the contract's order."""
        return (
            padded(self.quantity),
            self.category,
            self.by_year,
            self.valid_from,
            self.valid_to,
            self.document,
            [tier.abi() for tier in self.tiers],
        )


def price_per_thousand(yuan: str) -> int:
    """Nanofen per base unit for a price in CNY per thousand of them: CNY per kWh where energy is counted in Wh.

    Args:
        yuan: decimal text with at most 6 decimals, such as "0.423625" (CNY per kWh).

    Raises:
        TariffError: not such a number.
    """
    return _scaled(yuan, 8)


def price_per_million(yuan: str) -> int:
    """Nanofen per base unit for a price in CNY per million of them: CNY per m3 where water is counted in mL.

    Args:
        yuan: decimal text with at most 5 decimals.
    """
    return _scaled(yuan, 5)


def _scaled(yuan: str, decimals: int) -> int:
    whole, _, fraction = yuan.partition(".")
    if not whole.isascii() or not (whole + fraction).isdigit() or len(fraction) > min(6, decimals):
        raise TariffError(f"price {yuan!r} is no decimal number with at most {min(6, decimals)} decimals")
    scale: int = 10**decimals
    return int(whole) * scale + int(fraction.ljust(decimals, "0") or "0")
