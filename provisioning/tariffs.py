"""A site file's tariff as the contract holds and computes it."""

from __future__ import annotations

from datetime import date
from hashlib import sha256

from contracts import tariff as pricing
from provisioning.site import Tariff

__all__ = ["contract_tariff"]

_NANOFEN_PER_MICRO = 100  # 0.000001 yuan per 1,000 base units, in 1e-9 fen per base unit


def contract_tariff(tariff: Tariff, valid_from: date) -> pricing.Tariff:
    """The tariff with prices in 1e-9 fen per base unit, in force from the given day on."""
    terms = pricing.Terms.tiered(
        quantity=tariff.quantity,
        counting=pricing.Counting.YEAR if tariff.span == "year" else pricing.Counting.PERIOD,
        document=sha256(tariff.source.encode()).digest(),
        tiers=[(tier.up_to, tier.price_micro * _NANOFEN_PER_MICRO) for tier in tariff.tiers],
    )
    return pricing.Tariff(terms=terms, valid_from=int(f"{valid_from:%Y%m%d}"))
