"""What people's own signatures announced (a swapped meter, a new key) is carried out when its public delay is over.

Anyone may do it; the cloud does, so that nobody who signed has to come back a week later.
"""

from collections.abc import Mapping
from typing import Any

from cloud.chain.sender import AlreadyDone, NotYet, Transaction
from cloud.maintenance.ground import Ground
from contracts.abi import Call
from contracts.calls import registry

__all__ = ["Enacting"]

Built = Transaction | AlreadyDone | NotYet
_ENACTABLE_S = 30 * 86_400  # Registry.ENACTABLE: what nobody carried out by then has lapsed


class Enacting:
    """Wishes for `enact`, and builds it."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def step(self) -> bool:
        """Wish for what is due; whether anything new was."""
        view = self._ground.view
        return await self._ground.wish([
            (f"enact:{number}", "enact", {"number": number})
            for number, batch in view.announced.items()
            if batch.effective_at_s <= view.head_time_s <= batch.effective_at_s + _ENACTABLE_S
        ])  # fmt: skip

    async def enact(self, params: Mapping[str, Any]) -> Built:
        """`{"number"}`: the announced batch, unless somebody carried it out or stopped it."""
        number = int(params["number"])
        batch = self._ground.view.announced.get(number)
        if batch is None:
            return AlreadyDone(says=f"batch {number} was carried out, or stopped")
        calls = [Call(to=to, data=data) for to, data in batch.calls]
        call = registry.enact(self._ground.deployment.registry, number=number, calls=calls)
        return Transaction(to=call.to, data=call.data)
