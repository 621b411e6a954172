"""What stops the sender, cause by cause: each says what to do, and each closes by itself when its cause is gone."""

import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from cloud.chain.errors import Disagreement, FinalityLost, Unreachable

__all__ = ["Breaker", "Cause", "cause_of"]

_log = logging.getLogger("cloud.chain")


class Cause(StrEnum):
    """Why nothing is sent."""

    FUNDS = "no_funds"
    FEE_CAP = "fee_above_cap"
    REFUSED = "contract_refuses"
    UNREACHABLE = "unreachable"
    DISAGREEMENT = "disagreement"
    FINALITY = "finality_lost"


def cause_of(error: Exception) -> Cause | None:
    """The cause that an error of the chain's speaks of; None where it is none of these."""
    if isinstance(error, FinalityLost):
        return Cause.FINALITY
    if isinstance(error, Disagreement):
        return Cause.DISAGREEMENT
    return Cause.UNREACHABLE if isinstance(error, Unreachable) else None


@dataclass(slots=True)
class _Trouble:
    says: str
    since: float
    is_told: bool = False


Tell = Callable[[str], Awaitable[None]]


class Breaker:
    """Open causes. A cause is told to people once it has lasted for a while: a node that restarts is no news.

    Args:
        tell: keeps a line for people.
        patience_seconds: how long a cause lasts before it is told.
    """

    def __init__(
        self, tell: Tell, *, patience_seconds: float = 15.0, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._tell, self._patience, self._monotonic = tell, patience_seconds, monotonic
        self._troubles: dict[tuple[Cause, str], _Trouble] = {}

    @property
    def open(self) -> dict[str, str]:
        """Cause and what to do, for those that last."""
        return {cause.value: trouble.says for (cause, _who), trouble in self._troubles.items() if trouble.is_told}

    def is_open(self, *causes: Cause, who: str = "sender") -> bool:
        """Whether one who works on the chain has any of these troubles, told or not."""
        return any((cause, who) in self._troubles for cause in causes)

    async def trouble(self, cause: Cause, says: str, *, who: str = "sender", at_once: bool = False) -> None:
        """The cause stands; `says` what it is and what to do, `who` has met it and will find it gone."""
        trouble = self._troubles.setdefault((cause, who), _Trouble(says, self._monotonic()))
        trouble.says = says
        if not trouble.is_told and (at_once or self._monotonic() - trouble.since >= self._patience):
            is_news = cause.value not in self.open
            trouble.is_told = True
            if is_news:
                _log.error("cloud: sending has stopped (%s): %s", cause.value, says)
                await self._tell(f"sending has stopped ({cause.value}): {says}")

    async def gone(self, *causes: Cause, who: str = "sender") -> None:
        """These causes are gone for the one who had met them."""
        for cause in causes:
            trouble = self._troubles.pop((cause, who), None)
            if trouble is not None and trouble.is_told and cause.value not in self.open:
                _log.info("cloud: sending goes on (%s is over)", cause.value)
                await self._tell(f"sending goes on: {cause.value} is over")
