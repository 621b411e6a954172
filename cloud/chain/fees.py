"""What to offer for a transaction: pure arithmetic on wei."""

from dataclasses import dataclass

__all__ = ["FeeCapReached", "Fees", "first_fees", "replacement_fees"]

_BUMP_NUMERATOR, _BUMP_DENOMINATOR = 9, 8  # +12.5 %; nodes ask for 10 % more before they replace


class FeeCapReached(Exception):
    """A replacement would pass the cap; wait for the base fee to fall, or raise the cap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """EIP-1559 offer in wei per gas; on chains without a base fee `max_fee` is the gas price."""

    max_fee: int
    priority: int


def first_fees(base_fee: int, *, priority: int, cap: int) -> Fees:
    """Twice the base fee and a tip, so that six full blocks in a row do not strand the transaction; never above the
    cap.
    """
    max_fee = min(cap, 2 * base_fee + priority)
    return Fees(max_fee=max_fee, priority=min(priority, max_fee))


def replacement_fees(last: Fees, base_fee: int, *, priority: int, cap: int) -> Fees:
    """An offer that nodes accept in place of `last`: both parts at least 12.5 % higher, and up to date with the base
    fee.

    Raises:
        FeeCapReached: it would pass the cap.
    """
    fresh = first_fees(base_fee, priority=priority, cap=cap)
    max_fee = max(fresh.max_fee, _bumped(last.max_fee))
    if max_fee > cap:
        raise FeeCapReached(
            f"replacing needs {max_fee} wei per gas, the cap is {cap}; wait, or raise [chain] fee_cap_gwei"
        )
    return Fees(max_fee=max_fee, priority=min(max(fresh.priority, _bumped(last.priority)), max_fee))


def _bumped(fee: int) -> int:
    return -(-fee * _BUMP_NUMERATOR // _BUMP_DENOMINATOR)
