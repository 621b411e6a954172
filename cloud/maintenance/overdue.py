"""Overdue days: looked at, claimed, counted again, and settled after thirty days.

A claim is provisional: a visit that proves to have been in time takes it back. It settles only once a sign of the
gateway's life since the claimed days stands on chain, which the cloud shows from the log that it holds.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sqlalchemy import select

from cloud.chain.builders import contract_head, transaction_of
from cloud.chain.proving import entry_proof, wait_for_heads
from cloud.chain.sender import AlreadyDone, NotYet, Transaction
from cloud.maintenance.ground import Ground, Wish
from cloud.maintenance.records import AgreementRecord, ClaimRecord
from cloud.maintenance.waiting import waiting_days
from cloud.store import log_id_of, tables
from contracts.calls import counterevidence, service_agreements
from contracts.calls.counterevidence import LoggedEntry
from contracts.due import AFTERMATH_DAYS, CLAIM_DAYS_MAX, CLASSES, DAY_S, PROVISIONAL_S, DoneDay, overdue_days
from contracts.visit import VisitClass

__all__ = ["Overdue"]

Built = Transaction | AlreadyDone | NotYet
_REACH_DAYS = 366  # back from today that a claim may begin
_UNLOOKED_DAYS_MAX = 60  # after which even days that nothing is missing from are looked at
_STRETCH_DAYS = 7  # the first overdue day is claimed at once, those behind it by the week
_PROVISIONAL_DAYS = PROVISIONAL_S // DAY_S
_FALLS_S = 366 * DAY_S
_ENTRIES_TRIED = 8
_WAITED_DAYS = AFTERMATH_DAYS - 30  # behind an agreement's end: what is claimed later may come too late for its deposit


class Overdue:
    """Wishes and the builders of `overdue`, `claim` and `life` intents."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._looked: dict[tuple[bytes, VisitClass], tuple[int, ...]] = {}

    async def step(self) -> bool:
        """Wish for each class's overdue days, and for what open claims wait for; whether anything is new."""
        today = await self._ground.today()
        wishes: list[Wish] = []
        for agreement in list(self._ground.view.agreements.values()):
            if not agreement.is_agreed or agreement.is_closed:
                continue
            for visit_class in CLASSES:
                if agreement.terms.interval_of(visit_class) and self._is_to_look(agreement, visit_class, today):
                    wishes += await self._look(agreement, visit_class, today)
            for claim in agreement.open_claims():
                wishes += self._count(agreement, claim, today)
        return await self._ground.wish(wishes)

    # -- wishes -----------------------------------------------------------------------------------------------------

    def _is_to_look(self, agreement: AgreementRecord, visit_class: VisitClass, today: int) -> bool:
        """Whether a day has begun, or anything has changed, since the class was last looked at."""
        now = (
            today,
            self._ground.view.line(agreement.line).changes,
            len(self._ground.view.silent_days(agreement.terms.device)),
            agreement.claimed_through[visit_class - 1],
            agreement.deposit,
        )
        is_new = self._looked.get((agreement.name, visit_class)) != now
        self._looked[agreement.name, visit_class] = now
        return is_new

    async def _look(self, agreement: AgreementRecord, visit_class: VisitClass, today: int) -> list[Wish]:
        looked_through = agreement.claimed_through[visit_class - 1]
        from_day = max(looked_through + 1, today - _REACH_DAYS)
        through_day = min(today - 1, agreement.ends_on, from_day + CLAIM_DAYS_MAX - 1)
        if through_day < from_day:
            return []
        overdue = self._overdue(agreement, visit_class, from_day, through_day)
        while overdue * agreement.terms.penalty > agreement.deposit:  # as far as the deposit covers it
            through_day -= 1
            overdue = self._overdue(agreement, visit_class, from_day, through_day)
        is_due = overdue > 0 and not self._is_in_stretch(agreement, visit_class, from_day, through_day)
        if not is_due and through_day - from_day < _UNLOOKED_DAYS_MAX:
            return []
        prefix = f"overdue:{agreement.name.hex()}:{int(visit_class)}:"
        if await self._ground.is_open(prefix):
            self._looked.pop((agreement.name, visit_class), None)  # not looked at after all
            return []
        params = {"agreement": agreement.name.hex(), "class": int(visit_class), "through": through_day}
        situation = f"{through_day}.{looked_through}.{agreement.deposit}"  # what ended in another may be due in this
        return [(f"{prefix}{situation}", "overdue", params)]

    def _is_in_stretch(
        self, agreement: AgreementRecord, visit_class: VisitClass, from_day: int, through_day: int
    ) -> bool:
        """Whether these days only go on with what was claimed last, and not for a week yet."""
        goes_on = any(
            claim.visit_class == visit_class and claim.through_day == from_day - 1
            for claim in agreement.claims.values()
        )
        return goes_on and through_day < min(from_day + _STRETCH_DAYS - 1, agreement.ends_on)

    def _overdue(
        self,
        agreement: AgreementRecord,
        visit_class: VisitClass,
        from_day: int,
        through_day: int,
        *,
        waiting: Collection[DoneDay] = (),
    ) -> int:
        return overdue_days(
            agreement.terms,
            [*self._ground.view.line(agreement.line).done(agreement.terms), *waiting],
            visit_class,
            from_day=from_day,
            through_day=through_day,
            silent=self._ground.view.silent_days(agreement.terms.device),
        )

    def _count(self, agreement: AgreementRecord, claim: ClaimRecord, today: int) -> list[Wish]:
        name, now_s = agreement.name.hex(), self._ground.view.head_time_s
        overdue = self._still(agreement, claim)
        params = {"agreement": name, "number": claim.number}
        if overdue < claim.days:
            return [(f"claim:{name}:{claim.number}:{overdue}", "claim", params)]
        if now_s < claim.claimed_at_s + PROVISIONAL_S:
            return []
        if self._has_lived(agreement, claim, today):
            return [(f"claim:{name}:{claim.number}:settle", "claim", params)]
        if now_s >= claim.claimed_at_s + _FALLS_S:
            return [(f"claim:{name}:{claim.number}:fall", "claim", params)]
        return [(f"life:{name}:{claim.number}", "life", params)]

    def _still(self, agreement: AgreementRecord, claim: ClaimRecord) -> int:
        """How many of a claim's days are overdue by what is known now; never more than were claimed."""
        return min(claim.days, self._overdue(agreement, claim.visit_class, claim.from_day, claim.through_day))

    def _has_lived(self, agreement: AgreementRecord, claim: ClaimRecord, today: int) -> bool:
        lived = self._ground.view.living_days.get(agreement.terms.device, ())
        return any(claim.through_day < day <= today - _PROVISIONAL_DAYS for day in lived)

    # -- builders ---------------------------------------------------------------------------------------------------

    async def overdue(self, params: Mapping[str, Any]) -> Built:
        """`{"agreement", "class", "through"}`: one look at a class's days since the last."""
        agreement, visit_class = self._agreement(params), VisitClass(params["class"])
        if agreement is None:
            return NotYet(says="the agreement is not on the followed chain")
        through_day = int(params["through"])
        if agreement.claimed_through[visit_class - 1] >= through_day:
            return AlreadyDone(says="these days were looked at")
        from_day = max(agreement.claimed_through[visit_class - 1] + 1, await self._ground.today() - _REACH_DAYS)
        if through_day < from_day or agreement.is_closed or through_day > agreement.ends_on:
            return AlreadyDone(says="these days are not the agreement's to claim any more")
        overdue = self._overdue(agreement, visit_class, from_day, through_day)
        if await self._ground.today() <= agreement.ends_on + _WAITED_DAYS:
            waiting = await waiting_days(self._ground, agreement) if overdue else ()
            while overdue > self._overdue(agreement, visit_class, from_day, through_day, waiting=waiting):
                through_day -= 1
                overdue = self._overdue(agreement, visit_class, from_day, through_day)
            if waiting and not overdue:
                return NotYet(says="a visit that would cover these days is not recorded yet")
        if overdue * agreement.terms.penalty > agreement.deposit:
            return AlreadyDone(says=f"the deposit of {agreement.deposit} fen does not cover {overdue} days")
        call = service_agreements.claim_overdue(
            self._ground.deployment.service_agreements,
            agreement=agreement.name,
            visit_class=visit_class,
            through_day=through_day,
        )
        return transaction_of(call)

    async def claim(self, params: Mapping[str, Any]) -> Built:
        """`{"agreement", "number"}`: a claim counted again, and settled where its time has come."""
        agreement, claim = self._claim(params)
        if agreement is None or claim is None:
            return AlreadyDone(says="no such claim is open")
        is_over = self._ground.view.head_time_s >= claim.claimed_at_s + PROVISIONAL_S
        today = await self._ground.today()
        falls = self._ground.view.head_time_s >= claim.claimed_at_s + _FALLS_S
        settles = is_over and (falls or self._has_lived(agreement, claim, today))
        if self._still(agreement, claim) == claim.days and not settles:
            return AlreadyDone(says="the claim stands as counted")
        if settles and not falls:
            days = (agreement, claim.visit_class, claim.from_day, claim.through_day)
            if self._overdue(*days, waiting=await waiting_days(self._ground, agreement)) < self._overdue(*days):
                return NotYet(says="a visit that would cover some of the days is not recorded yet")
        call = service_agreements.count_claim(
            self._ground.deployment.service_agreements, agreement=agreement.name, number=claim.number
        )
        return transaction_of(call)

    async def life(self, params: Mapping[str, Any]) -> Built:
        """`{"agreement", "number"}`: an entry of the device's gateway from a day between those claimed and 30 days
        ago.
        """
        agreement, claim = self._claim(params)
        if agreement is None or claim is None:
            return AlreadyDone(says="no such claim is open")
        today = await self._ground.today()
        if self._has_lived(agreement, claim, today):
            return AlreadyDone(says="a later sign of the gateway's life is shown")
        device = agreement.terms.device
        first, end = claim.through_day + 1, today - _PROVISIONAL_DAYS + 1
        async with self._ground.store.read() as connection:
            for row in await self._entries(connection, device, first, end):
                number = self._ground.assignment_number(device, row.origin, row.entry_index)
                if number is None:
                    continue
                place, now_ms = (row.origin, row.entry_index), self._ground.clock.now_ms()
                chain = self._ground.chain
                behind = await wait_for_heads(self._ground.store, connection, chain, [place], now_ms=now_ms)
                if behind is not None:
                    return behind
                head = chain.head(row.origin)
                proof = await entry_proof(connection, row.log_id, row.entry_index, head.size)
                if proof is not None:
                    logged = LoggedEntry(number, contract_head(head), proof)
                    address = self._ground.deployment.counterevidence
                    return transaction_of(counterevidence.report_life(address, device=device, logged=logged))
        return NotYet(says=f"no entry of the device's gateway from days {first} to {end - 1} is held")

    async def _entries(self, connection: Any, device: bytes, first: int, end: int) -> Sequence[Any]:
        """Entries of some days, first of the device itself, then what its gateways logged of themselves."""
        column, found = tables.entries.c, []
        origins = sorted(self._ground.chain.origins_of(device))
        log_ids = [one for origin in origins if (one := await log_id_of(connection, origin)) is not None]
        gateways = select(column.device).where(column.log_id.in_(log_ids), column.entry_index == 0)
        devices = [device, *(await connection.execute(gateways)).scalars()]
        days = (await self._ground.midnight_ms(first), await self._ground.midnight_ms(end) - 1)
        for one in devices:
            query = (
                select(column.log_id, column.entry_index, tables.logs.c.origin)
                .join(tables.logs, tables.logs.c.log_id == column.log_id)
                .where(column.log_id.in_(log_ids), column.device == one, column.observed_at_ms.between(*days))
                .order_by(column.observed_at_ms)
                .limit(_ENTRIES_TRIED)
            )
            found += (await connection.execute(query)).all()
        return found

    def _agreement(self, params: Mapping[str, Any]) -> AgreementRecord | None:
        return self._ground.view.agreements.get(bytes.fromhex(params["agreement"]))

    def _claim(self, params: Mapping[str, Any]) -> tuple[AgreementRecord | None, ClaimRecord | None]:
        agreement = self._agreement(params)
        claim = None if agreement is None else agreement.claims.get(int(params["number"]))
        return agreement, None if claim is None or claim.is_settled else claim
