"""Arrivals brought to WorkOrders: each one that the cloud keeps, while its round and the contract's time allow it.

The contract believes the crew's signature, nothing of ours. What it will never take ends with the reason; what it does
not take now waits, for a key may yet be enrolled, or a firm yet accept.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select

from cloud.chain.builders import transaction_of
from cloud.chain.client import CallReverted
from cloud.chain.sender import AlreadyDone, NotYet, Transaction
from cloud.maintenance.ground import Ground
from cloud.store import tables
from contracts.arrival import SignedArrival, parse_arrival
from contracts.calls import work_orders
from contracts.person import key_id_of

__all__ = ["Arriving"]

Built = Transaction | AlreadyDone | NotYet


class Arriving:
    """The builder of `arrival` intents; each is noted with the arrival itself (`cloud.visits.arrivals`)."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def arrival(self, params: Mapping[str, Any]) -> Built:
        """`{"order", "digest"}`: the signed arrival, as it was handed in."""
        order, digest = bytes.fromhex(params["order"]), bytes.fromhex(params["digest"])
        column = tables.arrivals.c
        query = select(column.file).where(column.order_id == order, column.digest == digest)
        async with self._ground.store.read() as connection:
            file = (await connection.execute(query)).scalar_one_or_none()
        if file is None:
            return AlreadyDone(says="the arrival is kept no more")
        signed = parse_arrival(file.encode())
        return self._over(signed) or await self._too_late(signed) or self._absent(signed) or await self._call(signed)

    def _over(self, signed: SignedArrival) -> AlreadyDone | None:
        """Whether the chain has it, or can never take it."""
        said, view = signed.arrival, self._ground.view
        for one in view.arrivals.get(said.order, ()):
            if (one.crew, one.round) == (said.mechanic, said.round):
                what = "recorded" if one.digest == said.digest() else "another arrival of this person is recorded"
                return AlreadyDone(says=f"{what} in block {one.block_number}")
        order = view.book.orders.get(said.order)
        if order is not None and order.round > said.round:
            return AlreadyDone(says=f"it is of round {said.round}; the order is in round {order.round}")
        return None

    async def _too_late(self, signed: SignedArrival) -> AlreadyDone | None:
        now_s, terms = self._ground.view.head_time_s, await self._ground.work_terms()
        if now_s > signed.arrival.at_s + terms.report_within:
            return AlreadyDone(says=f"it is over {terms.report_within} s old; it was too late to record it")
        if now_s > signed.signature.signature.deadline:
            return AlreadyDone(says="the signature's deadline has passed; it was too late to record it")
        return None

    def _absent(self, signed: SignedArrival) -> NotYet | None:
        """What need not be asked of the contract every few seconds."""
        view, said = self._ground.view, signed.arrival
        if said.order not in view.book.orders:
            return NotYet(says="the order is not on the followed chain")
        member = view.members.get(said.mechanic)
        if member is None or member.key_id != key_id_of(signed.signature.public):
            return NotYet(
                says=f"crew member {said.mechanic.hex()[:16]}… is not enrolled on chain with the key that signed"
            )
        return None

    async def _call(self, signed: SignedArrival) -> Transaction | NotYet:
        said, signature = signed.arrival, signed.signature.signature
        address = self._ground.deployment.work_orders
        call = work_orders.arrive(
            address, order=said.order, arrival=said.digest(), at=said.at_s, signature=signature
        )  # fmt: skip
        try:
            await self._ground.reader.call(call.to, call.data)
        except CallReverted as refusal:
            return NotYet(says=f"WorkOrders does not take it now: {refusal}")
        return transaction_of(call)
