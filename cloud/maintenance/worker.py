"""The chain side of maintenance as one part: what it wishes for, and how each wish becomes a transaction."""

from collections.abc import Mapping
from typing import Any

from cloud.chain.sender import AlreadyDone, Builder, NotYet, Transaction
from cloud.directory import DirectoryFile
from cloud.maintenance.acts import Acts
from cloud.maintenance.arriving import Arriving
from cloud.maintenance.enacting import Enacting
from cloud.maintenance.ground import Ground
from cloud.maintenance.orders import Orders
from cloud.maintenance.overdue import Overdue
from cloud.maintenance.overlaps import Overlaps
from cloud.maintenance.paying import Paying
from cloud.maintenance.recording import Recording
from contracts.errors import ContractsError

__all__ = ["Maintenance", "careful"]


class Maintenance:
    """Everything that anybody may do on chain for maintenance, done by the cloud because it holds what proves it."""

    def __init__(self, ground: Ground, directory: DirectoryFile) -> None:
        self.ground, self.acts, self.orders = ground, Acts(ground), Orders(ground, directory)
        self.enacting, self.arriving = Enacting(ground), Arriving(ground)
        self.recording, self.paying, self.overdue = Recording(ground), Paying(ground), Overdue(ground)
        self.overlaps = Overlaps(ground)

    async def step(self) -> bool:
        """Note what is due; whether anything new was."""
        if self.ground.view.head_time_s == 0:
            return False
        changed = await self.enacting.step()
        if not self.ground.deployment.service_agreements:
            return changed
        changed |= await self.recording.step()
        changed |= await self.paying.step()
        changed |= await self.overdue.step()
        changed |= await self.orders.step()
        return changed

    def builders(self) -> Mapping[str, Builder]:
        """Builders by the intents' kind."""
        builders: dict[str, Builder] = {
            "visit": self.recording.visit,
            "fee": self.paying.fee,
            "overdue": self.overdue.overdue,
            "claim": self.overdue.claim,
            "life": self.overdue.life,
            "act": self.acts.act,
            "arrival": self.arriving.arrival,
            "overlap": self.overlaps.overlap,
            "enact": self.enacting.enact,
            "machine-order": self.orders.machine_order,
            "machine-judge": self.orders.machine_judge,
            "order-clock": self.orders.order_clock,
        }
        return {kind: careful(builder) for kind, builder in builders.items()}


def careful(builder: Builder) -> Builder:
    """A builder whose wish ends with the reason where what people handed in fits no call: one such must not stop the
    outbox for everybody.
    """

    async def build(params: Mapping[str, Any]) -> Transaction | AlreadyDone | NotYet:
        try:
            return await builder(params)
        except ContractsError as error:
            return AlreadyDone(says=f"no contract takes it: {error}")

    return build
