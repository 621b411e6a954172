"""What to offer for a transaction: pure arithmetic on wei."""

from dataclasses import dataclass
from typing import Any

from cloud.errors import ChainError

__all__ = ["Asked", "FeeCapReached", "Fees", "first_fees", "replacement_fees"]

_BUMP_NUMERATOR, _BUMP_DENOMINATOR = 9, 8  # +12.5 %; nodes ask for 10 % more before they replace


class FeeCapReached(ChainError):
    """The chain asks for more than the cap; wait for it to fall, or raise the cap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fees:
    """An offer in wei per gas; where there is no base fee, `max_fee` is the gas price and all of it is paid."""

    max_fee: int
    priority: int
    is_legacy: bool = False

    def fields(self) -> dict[str, Any]:
        """A transaction's type and fee fields."""
        if self.is_legacy:
            return {"gasPrice": self.max_fee}
        return {"type": 2, "maxFeePerGas": self.max_fee, "maxPriorityFeePerGas": self.priority}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the chain asks for now: `price` is the base fee, on chains without one the nodes' gas price."""

    price: int
    priority: int  # a tip on top; the settings', and none on legacy chains
    is_legacy: bool = False

    @property
    def least(self) -> int:
        """Less than this is not included now."""
        return self.price if self.is_legacy else self.price + min(self.priority, 1)


def first_fees(asked: Asked, *, cap: int) -> Fees:
    """Twice the base fee and a tip, so that six full blocks in a row do not strand the transaction; never above the
    cap. On chains without a base fee just the price, for there all that is offered is paid.

    Raises:
        FeeCapReached: even the least that is included now is above the cap.
    """
    if asked.least > cap:
        raise FeeCapReached(
            f"the chain asks for {asked.least} wei per gas, the cap is {cap}; wait, or raise [chain] fee_cap_gwei"
        )
    if asked.is_legacy:
        return Fees(max_fee=asked.price, priority=asked.price, is_legacy=True)
    max_fee = min(cap, 2 * asked.price + asked.priority)
    return Fees(max_fee=max_fee, priority=min(asked.priority, max_fee))


def replacement_fees(last: Fees, asked: Asked, *, cap: int) -> Fees:
    """An offer that nodes accept in place of `last`: both parts at least 12.5 % higher, and up to date with the chain.

    On a chain where gas is free nothing is higher than nothing: then it equals `last`.

    Raises:
        FeeCapReached: it would pass the cap.
    """
    fresh = first_fees(asked, cap=cap)
    max_fee = max(fresh.max_fee, _bumped(last.max_fee))
    if max_fee > cap:
        raise FeeCapReached(
            f"replacing needs {max_fee} wei per gas, the cap is {cap}; wait, or raise [chain] fee_cap_gwei"
        )
    if last.is_legacy:
        return Fees(max_fee=max_fee, priority=max_fee, is_legacy=True)
    return Fees(max_fee=max_fee, priority=min(max(fresh.priority, _bumped(last.priority)), max_fee))


def _bumped(fee: int) -> int:
    return -(-fee * _BUMP_NUMERATOR // _BUMP_DENOMINATOR)
