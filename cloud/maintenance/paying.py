"""Fees released: what ServiceAgreements owes the firm for recorded visits, as soon as they are final.

The contract decides what a day earns and pays it from the agreement's budget; anyone may trigger it. What it paid for a
visit that was contradicted since goes the other way by the same call.
"""

from collections.abc import Mapping
from typing import Any

from cloud.chain.builders import transaction_of
from cloud.chain.sender import AlreadyDone, NotYet, Transaction
from cloud.maintenance.ground import Ground, Wish
from cloud.maintenance.records import AgreementRecord, DayRecord
from contracts.calls import service_agreements
from contracts.due import CLAIM_DAYS_MAX

__all__ = ["Paying"]

Built = Transaction | AlreadyDone | NotYet


class Paying:
    """Wishes and the builder of `fee` intents."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._settled: dict[bytes, tuple[int, ...]] = {}  # by agreement: the situation in which nothing was due

    async def step(self) -> bool:
        """Wish for a payment of each agreement that owes one; one at a time, so that none is asked for twice."""
        wishes: list[Wish] = []
        for agreement in list(self._ground.view.agreements.values()):
            line = self._ground.view.line(agreement.line)
            final = min(self._ground.view.final[0], line.changed_in_block)
            situation = (line.changes, agreement.payments, final, int(agreement.is_agreed))
            if self._settled.get(agreement.name) == situation:
                continue
            if not self._due(agreement):
                self._settled[agreement.name] = situation
                continue
            prefix = f"fee:{agreement.name.hex()}:"
            if not await self._ground.is_open(prefix):
                key = f"{prefix}{line.changes}.{agreement.payments}"  # the situation: no other one has this name
                wishes.append((key, "fee", {"agreement": agreement.name.hex()}))
        return await self._ground.wish(wishes)

    async def fee(self, params: Mapping[str, Any]) -> Built:
        """`{"agreement"}`: what is due on at most 64 days, as far as the budget covers it."""
        name = bytes.fromhex(params["agreement"])
        agreement = self._ground.view.agreements.get(name)
        if agreement is None:
            return NotYet(says="the agreement is not on the followed chain")
        due = self._due(agreement)
        if not due:
            return AlreadyDone(says="nothing is due")
        days, budget, deposit = [], agreement.budget, agreement.deposit
        for number, day in due[:CLAIM_DAYS_MAX]:
            change = day.earns(agreement.terms) - day.paid
            if change <= budget and -change <= deposit:
                days.append(number)
                budget -= change
                deposit += min(change, 0)
        if not days:
            return NotYet(says=f"the budget holds {agreement.budget} fen, which covers no day's fee; add to it")
        call = service_agreements.pay_fees(self._ground.deployment.service_agreements, agreement=name, days=days)
        return transaction_of(call)

    def _due(self, agreement: AgreementRecord) -> list[tuple[int, DayRecord]]:
        """The agreement's days on which what was paid is not what they earn by visits that are final."""
        if not agreement.is_agreed or agreement.is_closed:
            return []
        days, final = self._ground.view.line(agreement.line).days, self._ground.view.final[0]
        return sorted(
            (
                (number, day)
                for number, day in days.items()
                if agreement.terms.starts_on <= number <= agreement.ends_on
                and day.changed_in_block <= final
                and day.earns(agreement.terms) != day.paid
            ),
            key=lambda found: found[0],
        )
