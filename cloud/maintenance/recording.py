"""Visits brought to ServiceAgreements: each one that a gateway judged, at whatever level, for it is a fact.

The contract believes the crew's signatures and the gateway's entry, nothing of ours. What it would refuse for good is
not sent to it: the wish ends with the reason.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.chain.builders import transaction_of
from cloud.chain.intents import add_intent
from cloud.chain.sender import AlreadyDone, NotYet, Transaction
from cloud.maintenance.ground import Ground
from cloud.maintenance.logged import logged_entry
from cloud.store import tables
from cloud.visits.letters import RECORDED_WITHIN_S, find_judgement, find_judgements
from contracts.abi import encode_arguments
from contracts.calls import service_agreements
from contracts.calls.counterevidence import LoggedEntry
from contracts.calls.service_agreements import LoggedVisit, SeenVisit
from contracts.crew_signature import (
    DUTY_MANAGER,
    DUTY_MECHANIC,
    CrewKey,
    crew_signature,
)
from contracts.due import visit_day
from contracts.person import key_id_of
from contracts.signed_visit import SignedVisit, VisitSignature, signed_visit_from_json
from contracts.visit import NOBODY, Visit, VisitClass

__all__ = ["Recording", "line_of"]

Built = Transaction | AlreadyDone | NotYet
_AT_ONCE = 500
_FILE_LEVEL_MAX = 3  # what a gateway's key in a file can vouch for, as ServiceAgreements has it


@dataclass(frozen=True, slots=True, kw_only=True)
class _Crew:
    """The people of a visit by their keys on chain, in the record's order, and the mechanics' firm."""

    keys: Sequence[CrewKey]
    firm: int


class Recording:
    """Wishes and the builder of `visit` intents."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._after: tuple[int, bytes] = (0, b"")

    async def step(self) -> bool:
        """Wish for each judged visit that was not wished for; whether there was one.

        A step looks at 500 of those that came within a year: what its gateway never judged is not looked at for ever.
        """
        column, now_ms = tables.visits.c, self._ground.clock.now_ms()
        place = (column.received_at_ms, column.digest)
        after = max(self._after, (now_ms - RECORDED_WITHIN_S * 1000, b""))
        query = (
            select(column.digest, column.device, column.gateway, column.ended_at_s, column.received_at_ms)
            .add_columns(column.entry_log_id, column.entry_index)
            .where(column.wished_at_ms.is_(None), tuple_(*place) > tuple_(*after))
            .order_by(*place)
            .limit(_AT_ONCE)
        )
        async with self._ground.store.read() as connection:
            waiting = (await connection.execute(query)).all()
            judged = await find_judgements(connection, waiting)
        # The next step goes on behind them; behind the last ones it begins anew, for more may be judged by then.
        is_last = len(waiting) < _AT_ONCE
        self._after = (0, b"") if is_last else (waiting[-1].received_at_ms, waiting[-1].digest)
        if judged:
            async with self._ground.store.write() as connection:
                for digest in judged:
                    params = {"digest": digest.hex()}
                    await add_intent(connection, f"visit:{digest.hex()}", "visit", params, now_ms=now_ms)
                    await connection.execute(
                        update(tables.visits).where(column.digest == digest).values(wished_at_ms=now_ms)
                    )
        return bool(judged) or not is_last

    async def visit(self, params: Mapping[str, Any]) -> Built:
        """`{"digest"}`: the signed visit, its gateway's entry and the path to the accepted head."""
        digest = bytes.fromhex(params["digest"])
        recorded = self._ground.view.visits.get(digest)
        if recorded is not None:
            return AlreadyDone(says=f"recorded in block {recorded.block_number}")
        async with self._ground.store.read() as connection:
            row = (
                await connection.execute(select(tables.visits).where(tables.visits.c.digest == digest))
            ).one_or_none()
            if row is None:
                return AlreadyDone(says="the visit is kept no more")
            entry = await find_judgement(connection, row)
            if entry is None:
                return NotYet(says="its gateway has not judged it")
            signed = signed_visit_from_json(json.loads(row.file))
            crew = self._crew(signed)
            if not isinstance(crew, _Crew):
                return crew
            as_good = await self._as_good(signed.visit, crew.firm, entry)
            if as_good is not None:
                return as_good
            logged = await self._logged(connection, signed.visit.device, entry)
            if not isinstance(logged, LoggedVisit):
                return logged
        call = service_agreements.record_visit(
            self._ground.deployment.service_agreements,
            visit=signed.visit,
            firm=crew.firm,
            logged=logged,
            signatures=[
                crew_signature(key, one.signature) for key, one in zip(crew.keys, signed.signatures, strict=True)
            ],
        )
        return transaction_of(call)

    async def _as_good(self, visit: Visit, firm: int, entry: Any) -> AlreadyDone | None:
        """Whether the day's slot holds a visit of this class and these people that was seen as well, or a later day."""
        offset = await self._ground.utc_offset_s()
        day = visit_day(
            level=entry.value,
            ended_at_s=visit.ended_at_s,
            observed_at_ms=entry.observed_at_ms,
            utc_offset_s=offset,
        )
        is_repair = visit.visit_class is VisitClass.REPAIR
        slot = service_agreements.repair_slot(visit.ended_at_s) if is_repair else day % service_agreements.RING
        line = line_of(visit.device, visit.plan, firm)
        asked = service_agreements.visit(self._ground.deployment.service_agreements, line=line, slot=slot)
        kept = service_agreements.parse_visit(await self._ground.reader.call(asked.to, asked.data), slot=slot)
        if kept is None or (kept.day < day and not is_repair):
            return None
        if kept.day != day:
            return AlreadyDone(says=f"its slot holds a visit of day {kept.day}; it cannot be recorded any more")
        seen = SeenVisit(visit.visit_class, self._level(entry), len(visit.mechanics) == 2, visit.manager != NOBODY)
        people = (seen.visit_class, seen.two_people, seen.countersigned)
        best = [one.level for one in kept.seen if (one.visit_class, one.two_people, one.countersigned) == people]
        if any(level >= seen.level for level in best):
            return AlreadyDone(says=f"day {day} holds a visit of its class and people that was seen as well")
        return None

    def _level(self, entry: Any) -> int:
        key = self._ground.chain.gateway_key(entry.origin)
        is_file = key is None or key.key_class == "file"
        return min(entry.value, _FILE_LEVEL_MAX) if is_file else int(entry.value)

    async def _logged(
        self, connection: AsyncConnection, device: bytes, entry: Any
    ) -> LoggedVisit | AlreadyDone | NotYet:
        found = await logged_entry(self._ground, connection, device, entry)
        if not isinstance(found, LoggedEntry):
            return found
        return LoggedVisit(found.proof.entry, found.proof.index, found.assignment, found.head, found.proof.path)

    # -- who signed -------------------------------------------------------------------------------------------------

    def _crew(self, signed: SignedVisit) -> _Crew | AlreadyDone | NotYet:
        """The signers as Crews has them, if the contract would take their signatures."""
        view, visit = self._ground.view, signed.visit
        first = view.members.get(visit.mechanics[0])
        firm = first.firm if first is not None else 0
        people = [(alias, DUTY_MECHANIC if number == 0 else 0, firm) for number, alias in enumerate(visit.mechanics)]
        if visit.manager != NOBODY:
            people.append((visit.manager, DUTY_MANAGER, 0))
        keys = []
        for (alias, duty, of_firm), signature in zip(people, signed.signatures, strict=True):
            found = self._key(visit, alias, duty, of_firm, signature)
            if not isinstance(found, CrewKey):
                return found
            keys.append(found)
        return _Crew(keys=keys, firm=firm)

    def _key(
        self, visit: Visit, alias: bytes, duty: int, firm: int, signature: VisitSignature
    ) -> CrewKey | AlreadyDone | NotYet:
        view, who = self._ground.view, f"crew member {alias.hex()[:16]}…"
        if view.head_time_s > signature.signature.deadline:
            return AlreadyDone(says=f"{who}: the signature's deadline has passed; it was too late to record it")
        member = view.members.get(alias)
        if member is None or member.key is None or member.key_id != key_id_of(signature.public):
            if view.head_time_s > visit.ended_at_s + RECORDED_WITHIN_S:
                return AlreadyDone(says=f"{who} was not enrolled with this key within a year")
            return NotYet(says=f"{who} is not enrolled on chain with the key that signed")
        if member.firm != firm:
            return AlreadyDone(says=f"{who} serves firm {member.firm}, not {firm}; no contract takes the visit")
        if member.duties & duty != duty or (duty and member.licence_until_s < visit.ended_at_s):
            return AlreadyDone(says=f"{who} had not the duty or licence that the visit needs")
        if view.firm_licence_until_s(firm) < visit.ended_at_s:
            return AlreadyDone(says=f"firm {firm} was not licensed when the visit ended")
        return member.key


def line_of(device: bytes, plan: bytes, firm: int) -> bytes:
    """The name by which ServiceAgreements keeps the visits of a device, plan and firm."""
    from eth_utils.crypto import keccak

    return bytes(keccak(encode_arguments("line", ("bytes32", "bytes32", "uint256"), (device, plan, firm))))
