"""Two visits that one mechanic cannot both have made, brought to Counterevidence because a person decided to.

A rule of `cloud.integrity` only asks. The contract takes nobody's word: it checks the mechanic's signatures under both
records and both gateways' entries. What it accepts makes both days count for nothing, and what was paid for them goes
back out of the firm's deposit; so no rule brings it there, and the manager or the owners' committee may.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.chain.builders import transaction_of
from cloud.chain.intents import intent_state
from cloud.chain.sender import AlreadyDone, NotYet, Transaction
from cloud.maintenance.ground import Ground
from cloud.maintenance.logged import logged_entry
from cloud.store import tables
from cloud.visits.letters import find_judgement
from contracts.calls import counterevidence
from contracts.person import key_id_of
from contracts.signed_visit import SignedVisit, VisitSignature, signed_visit_from_json

__all__ = ["Overlap", "OverlapState", "Overlaps"]

Built = Transaction | AlreadyDone | NotYet
_TOLERANCE_S = 600  # of Counterevidence: between clocks, and between two visits


class OverlapState(StrEnum):
    """How far two visits have come on the way to the contract."""

    OFFERED = "offered"
    SENT = "sent"
    SHOWN = "shown"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """Two visits that the contract would compare, and how far that is."""

    state: OverlapState
    transaction: str = ""  # 0x…, that showed it
    says: str = ""  # why it was refused


@dataclass(frozen=True, slots=True, kw_only=True)
class _Signed:
    """A visit that one mechanic signed."""

    row: Any
    signed: SignedVisit
    by: VisitSignature


class Overlaps:
    """Says of two visits whether they can be brought, brings them, and builds `overlap` intents."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def of(self, one: bytes, other: bytes) -> Overlap | None:
        """How far two visits have come; None where the contract would not compare them."""
        transaction = self._ground.view.overlaps.get(frozenset((one, other)))
        if transaction is not None:
            return Overlap(state=OverlapState.SHOWN, transaction=transaction)
        async with self._ground.store.read() as connection:
            if await self._shared(connection, one, other) is None:
                return None
            known = await intent_state(connection, _key(one, other))
        if known is None:
            return Overlap(state=OverlapState.OFFERED)
        state, says = known
        is_over = state in ("refused", "done")
        return Overlap(state=OverlapState.REFUSED if is_over else OverlapState.SENT, says=says if is_over else "")

    async def bring(self, one: bytes, other: bytes) -> bool:
        """Wish that two visits are brought to the contract; False where it would not compare them."""
        found = await self.of(one, other)
        if found is None:
            return False
        first, second = sorted((one, other))
        params = {"first": first.hex(), "second": second.hex()}
        await self._ground.wish([(_key(one, other), "overlap", params)])
        return True

    async def overlap(self, params: Mapping[str, Any]) -> Built:
        """`{"first", "second"}`: both visits with one mechanic's signatures and their gateways' entries."""
        pair = (bytes.fromhex(params["first"]), bytes.fromhex(params["second"]))
        if frozenset(pair) in self._ground.view.overlaps:
            return AlreadyDone(says="the overlap is shown")
        async with self._ground.store.read() as connection:
            shared = await self._shared(connection, *pair)
            if shared is None:
                return AlreadyDone(says="the visits are kept no more, or their mechanic's key has ended")
            mechanic, found = shared
            visits = []
            for one in found:
                visit = await self._evidence(connection, one)
                if not isinstance(visit, counterevidence.SignedVisit):
                    return visit
                visits.append(visit)
        first, second = visits
        address = self._ground.deployment.counterevidence
        return transaction_of(counterevidence.report_overlap(address, mechanic=mechanic, a=first, b=second))

    async def _evidence(
        self, connection: AsyncConnection, one: _Signed
    ) -> counterevidence.SignedVisit | AlreadyDone | NotYet:
        entry = await find_judgement(connection, one.row)
        if entry is None:
            return NotYet(says="a gateway has not judged its visit yet")
        logged = await logged_entry(self._ground, connection, one.row.device, entry)
        if not isinstance(logged, counterevidence.LoggedEntry):
            return logged
        return counterevidence.SignedVisit(one.signed.visit, one.signed.contract, one.by.signature, logged)

    async def _shared(
        self, connection: AsyncConnection, one: bytes, other: bytes
    ) -> tuple[bytes, tuple[_Signed, _Signed]] | None:
        """A mechanic who signed both visits with the key that Crews has, where they overlap at two devices."""
        query = select(tables.visits).where(tables.visits.c.digest.in_((one, other)))
        rows = sorted((await connection.execute(query)).all(), key=lambda row: row.digest)
        if len(rows) != 2 or rows[0].device == rows[1].device:
            return None
        first, second = (signed_visit_from_json(json.loads(row.file)) for row in rows)
        start_s = max(first.visit.started_at_s, second.visit.started_at_s)
        if min(first.visit.ended_at_s, second.visit.ended_at_s) <= start_s + _TOLERANCE_S:
            return None
        for alias in first.visit.mechanics:
            mine, theirs = self._signature(first, alias), self._signature(second, alias)
            if mine is not None and theirs is not None:
                pair = (_Signed(row=rows[0], signed=first, by=mine), _Signed(row=rows[1], signed=second, by=theirs))
                return alias, pair
        return None

    def _signature(self, signed: SignedVisit, alias: bytes) -> VisitSignature | None:
        """What a mechanic signed a record with, if it is the key that Crews has of him."""
        member = self._ground.view.members.get(alias)
        if member is None or member.key is None or alias not in signed.visit.mechanics:
            return None
        found = signed.signatures[signed.visit.mechanics.index(alias)]
        return found if member.key_id == key_id_of(found.public) else None


def _key(one: bytes, other: bytes) -> str:
    first, second = sorted((one, other))
    return f"overlap:{first.hex()}:{second.hex()}"
