"""What the parts of maintenance share: where they read, how they wish, and the site's local days."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select

from cloud.chain.deployment import Deployment
from cloud.chain.intents import add_intent, wish_again
from cloud.chain.reading import ContractReader
from cloud.chain.view import ChainView
from cloud.maintenance.view import MaintenanceView
from cloud.store import Store, tables
from contracts.calls import tariffs, work_orders
from contracts.clock import Clock
from contracts.due import DAY_S, local_day
from contracts.onchain import origin_id
from contracts.work_order import Terms

__all__ = ["Ground", "Wish"]

Wish = tuple[str, str, dict[str, Any]]
"""Business key, kind, parameters: see `cloud.chain.intents.add_intent`."""
_UNSETTLED = ("pending", "sent")  # what is mined in a followed block is in the view
_AGAIN_MS = 3_600_000


@dataclass(kw_only=True)
class Ground:
    """One site's chain side, as maintenance sees it."""

    store: Store
    reader: ContractReader
    deployment: Deployment
    chain: ChainView
    view: MaintenanceView
    clock: Clock
    known_offset: list[int] = field(default_factory=list)
    known_work_terms: list[Terms] = field(default_factory=list)

    async def utc_offset_s(self) -> int:
        """What the contracts' days are ahead of UTC: fixed at deployment, so asked once."""
        if not self.known_offset:
            asked = tariffs.utc_offset_seconds(self.deployment.tariffs)
            answer = await self.reader.call(asked.to, asked.data)
            self.known_offset.append(tariffs.parse_utc_offset_seconds(answer))
        return self.known_offset[0]

    async def work_terms(self) -> Terms:
        """The rules of WorkOrders: fixed at deployment, so asked once."""
        if not self.known_work_terms:
            asked = work_orders.terms(self.deployment.work_orders)
            answer = await self.reader.call(asked.to, asked.data)
            self.known_work_terms.append(work_orders.parse_terms(answer))
        return self.known_work_terms[0]

    async def today(self) -> int:
        """The local day of the newest followed block."""
        return local_day(self.view.head_time_s, utc_offset_s=await self.utc_offset_s())

    async def midnight_ms(self, day: int) -> int:
        """When a local day begins."""
        return (day * DAY_S - await self.utc_offset_s()) * 1000

    def assignment_number(self, device: bytes, origin: str, index: int) -> int | None:
        """Which of the device's assignments in the Registry holds an index; None where none does."""
        identity = origin_id(origin)
        for number, one in enumerate(self.chain.assignments.get(device, ())):
            is_before_end = one.last_index is None or index <= one.last_index
            if one.origin_id == identity and one.first_index <= index and is_before_end:
                return number
        return None

    async def wish(self, wishes: Sequence[Wish]) -> bool:
        """Note what is not noted yet; whether there was anything. What contracts refused many times an hour ago and is
        wished for still is tried again.
        """
        if not wishes:
            return False
        column, now_ms = tables.intents.c, self.clock.now_ms()
        keys = [key for key, _kind, _params in wishes]
        query = select(column.business_key, column.state, column.changed_at_ms).where(column.business_key.in_(keys))
        async with self.store.read() as connection:
            known = {row.business_key: row for row in await connection.execute(query)}
        new = [wish for wish in wishes if wish[0] not in known]
        again = [
            row.business_key
            for row in known.values()
            if row.state == "refused" and row.changed_at_ms < now_ms - _AGAIN_MS
        ]
        if not new and not again:
            return False
        async with self.store.write() as connection:
            for key, kind, params in new:
                await add_intent(connection, key, kind, params, now_ms=now_ms)
            for key in again:
                await wish_again(connection, key, now_ms=now_ms)
        return True

    async def is_open(self, prefix: str) -> bool:
        """Whether a wish whose business key begins so is on its way."""
        column = tables.intents.c
        is_its = column.business_key.startswith(prefix, autoescape=True) & column.state.in_(_UNSETTLED)
        async with self.store.read() as connection:
            return (await connection.execute(select(column.intent_id).where(is_its).limit(1))).first() is not None
