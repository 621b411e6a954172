"""What `contracts.tariff` and `contracts.bill` compute for one unit, for many at once: exact integers in columns.

Money and energy stay integers. 64 bits hold every product of a household's month; a row whose products could pass them
is computed by the one-row code instead, so a column never rounds and never wraps. Tests hold both against each other.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from contracts.bill import BillError
from contracts.bill import share as share_of_one
from contracts.tariff import NANOFEN, Season, TariffError

__all__ = ["Integers", "charge_column", "share_column"]

Integers = NDArray[np.int64]

_PRODUCT_END = 2**62
_TOTAL_END = 2**31  # base units: times 10^9, twice and with its rounding term it fits into 63 bits


def charge_column(season: Season, *, used: Integers, prior: Integers, residents: Integers) -> Integers:
    """Fen for what the registers of many units counted; row by row what `Season.charge` gives.

    Args:
        used: base units, one row a unit, one column a register in the order of the terms' registers.
        prior: base units before, in the tiers' own time, one a unit.
        residents: persons living there, one a unit.

    Raises:
        TariffError: a usage below zero; the message names the row.
    """
    total = used.sum(axis=1)
    if used.size and (used.min() < 0 or prior.min() < 0):
        row = np.flatnonzero((used < 0).any(axis=1) | (prior < 0))[0]
        raise TariffError(
            f"row {row}: usage {used[row].tolist()} after {int(prior[row])}; check the boundary registers"
        )
    compute = _by_one_register if used.shape[1] == 1 else _by_registers
    is_small = _is_small(season, used, total, prior)
    amounts = np.zeros(len(used), np.int64)
    if is_small.any():
        small = [column[is_small] for column in (used, prior, residents)]
        amounts[is_small] = compute(season, *small)
    for row in np.flatnonzero(~is_small):
        amounts[row] = season.charge(
            used=[int(part) for part in used[row]], prior=int(prior[row]), residents=int(residents[row])
        )
    return amounts


def share_column(pool: int, keys: Integers) -> Integers:
    """Every unit's part of a pool, in unit order; they add up to it exactly. Raises BillError if no key is above 0."""
    running = np.concatenate([np.zeros(1, np.int64), np.cumsum(keys, dtype=np.int64)])
    key_sum = int(running[-1])
    if key_sum <= 0:
        raise BillError("nobody to share with: the keys add up to zero")
    if pool * key_sum < _PRODUCT_END:
        return np.diff(pool * running // key_sum)
    befores = running[:-1].tolist()
    parts = [share_of_one(pool, before, key, key_sum) for before, key in zip(befores, keys.tolist(), strict=True)]
    return np.asarray(parts, np.int64)


def _is_small(season: Season, used: Integers, total: Integers, prior: Integers) -> NDArray[np.bool_]:
    """Rows all of whose products fit into 62 bits. A float is off by one part in 2^50, which the room above covers."""
    tiers = len(season.bounds) + 1
    prices = [season.price(tier, register) for tier in range(tiers) for register in range(used.shape[1])]
    reach = (prior.astype(np.float64) + total) * float(max(1, *prices))
    return (reach < float(_PRODUCT_END)) & (total < _TOTAL_END)


def _edges(season: Season, residents: Integers) -> list[Any]:
    """Where tiers end, one column a tier: residents above the stated number widen each."""
    widened = season.extra * np.maximum(0, residents - season.persons)
    return [0, *(bound + widened for bound in season.bounds), _PRODUCT_END]


def _by_one_register(season: Season, used: Integers, prior: Integers, residents: Integers) -> Integers:
    edges = _edges(season, residents)
    return _running(season, edges, prior + used[:, 0]) - _running(season, edges, prior)


def _running(season: Season, edges: Sequence[Any], usage: Integers) -> Integers:
    """Fen for a usage counted from the first tier, rounded once, half up."""
    nanofen = np.zeros(len(usage), np.int64)
    for tier, (below, upper) in enumerate(pairwise(edges)):
        nanofen += (np.minimum(usage, upper) - np.minimum(usage, below)) * season.price(tier)
    return (nanofen + NANOFEN // 2) // NANOFEN


def _by_registers(season: Season, used: Integers, prior: Integers, residents: Integers) -> Integers:
    """Each tier's usage is priced as the registers were mixed over the whole line, rounded once, half up.

    The charge is W / (total * 10^9) with W = sum of a tier's usage times the price of all registers. Whole fen and the
    rest of each price are summed apart, so that W itself, which has over 64 bits, is never written down.
    """
    total = used.sum(axis=1)
    edges = _edges(season, residents)
    whole, rest = np.zeros(len(used), np.int64), np.zeros(len(used), np.int64)
    for tier, (below, upper) in enumerate(pairwise(edges)):
        amount = np.minimum(prior + total, upper) - np.minimum(prior + total, below)
        amount -= np.minimum(prior, upper) - np.minimum(prior, below)
        prices = np.array([season.price(tier, register) for register in range(used.shape[1])], np.int64)
        fen, nanofen = np.divmod((used * prices).sum(axis=1), NANOFEN)
        whole += amount * fen
        rest += amount * nanofen
    divisor = np.maximum(1, total)
    charge, over = np.divmod(whole, divisor)
    over = over * NANOFEN + rest
    rounded = charge + (2 * over + divisor * NANOFEN) // (2 * divisor * NANOFEN)
    return np.where(total == 0, 0, rounded)
