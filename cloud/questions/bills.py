"""An owner's unit and bills: every line with the signed entries under it, its steps, its share and its dispute."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import bindparam, select

from cloud.billing.derivation import sentence
from cloud.billing.derive import derive_lines, read_line_registers
from cloud.billing.kept import read_bill, read_content
from cloud.billing.pool_keys import pool_shares
from cloud.billing.relay import Relay, SignedAct
from cloud.billing.usage import Registers, Subject, bindings_of
from cloud.billing.volumes import UnitShare, read_shares
from cloud.chain.view import ChainView, ChallengeRecord, PeriodRecord, TariffRecord, UnitRecord
from cloud.directory import DirectoryUnit
from cloud.errors import BillingError, ChainError
from cloud.identity.roles import Role
from cloud.questions.charges import line_title, tier_parts
from cloud.questions.ground import day_of, title
from cloud.questions.line_evidence import METERED, BillEntries, key_proof, timed_places, zone_of
from cloud.questions.months import MonthQuestions
from cloud.store import tables
from cloud.web.answers import (
    Bill,
    BillLine,
    BillState,
    BillSummary,
    ChallengeRequest,
    ChallengeTerms,
    DayPoint,
    Dispute,
    DisputeState,
    Person,
    ReadingRef,
    RelayAnswer,
    Share,
    TierPart,
    Title,
    Unit,
)
from contracts.bill import BLOCK, LANES, LINES_MAX, Line, LineKind
from contracts.bill import Bill as PostedBill
from contracts.bill_file import bill_to_json
from contracts.calls.challenges import PLACE_BILL, PLACE_SUM
from contracts.person import KeyKind, key_id_of
from contracts.quantities import COLD_WATER, unit_of
from contracts.tariff import Counting, Key

__all__ = ["BILLS_OF_UNIT", "BillQuestions", "dispute_state"]

_SIGNATURE_SECONDS = 3600
# Made once: making a statement costs more than running it.
_POSTED, _INTENT = tables.posted_bills.c, tables.intents.c
BILLS_OF_UNIT = (
    select(_POSTED.period, _POSTED.unit_index, _POSTED.total)
    .where(_POSTED.unit == bindparam("unit"))
    .order_by(_POSTED.period.desc())
)
_WAITING = select(_INTENT.business_key, _INTENT.created_at_ms).where(
    _INTENT.business_key.in_(bindparam("keys", expanding=True)), _INTENT.state != "refused"
)


def dispute_state(challenge: ChallengeRecord) -> DisputeState:
    """A challenge's state in the words of the pages."""
    if challenge.state == "open":
        return DisputeState.OPEN
    is_won = challenge.state == "reversed" or (challenge.charge or 0) < challenge.amount
    return DisputeState.WON if is_won else DisputeState.LOST


class BillQuestions(MonthQuestions):
    """Units, bills, disputes."""

    async def unit(self, viewer: Person, door: str) -> Unit | None:
        unit = self.directory.unit_named(door)
        if unit is None or not self.is_mine(viewer, door):
            return None
        key, is_owner = self._owner_key(unit), viewer.role is Role.OWNER
        months = await self.months_of(viewer, unit)
        if not is_owner:
            await self.note_look(viewer, unit.alias, f"/home {door}")
        return Unit(
            door=door,
            title=title(unit.title),
            area_centi_m2=unit.area_centi_m2,
            balance_fen=await self._balance(unit) if is_owner else None,
            months=months,
            registered_key=key.hex() if key and is_owner else None,
        )

    async def flat(self, viewer: Person, door: str) -> Title | None:
        unit = self.directory.unit_named(door)
        if unit is None or not self.is_mine(viewer, door):
            return None
        if viewer.role is not Role.OWNER:
            await self.note_look(viewer, unit.alias, f"/bills/{door}")
        return title(unit.title)

    async def bills(self, viewer: Person, door: str) -> Sequence[BillSummary]:
        unit = self.directory.unit_named(door)
        if unit is None or not self.is_mine(viewer, door):
            return ()
        return [one for one in await self.bills_of_unit(unit) if self.is_since(viewer, one.opening)]

    async def bills_of_unit(self, unit: DirectoryUnit) -> list[BillSummary]:
        """All posted bills of a unit, newest first."""
        async with self.store.question() as connection:
            rows = (await connection.execute(BILLS_OF_UNIT, {"unit": unit.alias})).all()
        return self.summaries(unit, rows)

    def summaries(self, unit: DirectoryUnit, rows: Iterable[Any]) -> list[BillSummary]:
        """What rows of `BILLS_OF_UNIT` say."""
        view = self.view
        return [
            self._bill_summary(view, view.periods[row.period], unit, row.unit_index, row.total)
            for row in rows
            if view is not None and row.period in view.periods
        ]

    async def bill(self, viewer: Person, door: str, period: str, *, line: int | None = None) -> Bill | None:
        place = await self._closed(viewer, door, period)
        if place is None:
            return None
        unit, closed, roll = place
        assert self.view is not None
        async with self.store.glance() as connection:
            posted = await self._read(connection, closed, roll)
            if posted is None:
                return None
            if line is None:
                lines = await self._charges(connection, self.view, closed, posted)
            else:
                lines = await self._told(connection, self.view, closed, posted, line, viewer)
        return self._whole(self.view, unit, closed, posted, lines)

    def _whole(
        self,
        view: ChainView,
        unit: DirectoryUnit,
        closed: PeriodRecord,
        posted: PostedBill,
        lines: tuple[BillLine, ...],
    ) -> Bill:
        return Bill(
            summary=self._bill_summary(view, closed, unit, posted.unit_index, posted.amounts.total),
            unit_title=title(unit.title),
            posted_at_ms=closed.closed_at_s * 1000,
            window_ends_at_ms=closed.window_end_s * 1000,
            lines=lines,
            transaction=closed.transaction_hash,
        )

    async def _charges(
        self, connection: Any, view: ChainView, closed: PeriodRecord, posted: PostedBill
    ) -> tuple[BillLine, ...]:
        """Every line with what a bill's page says of it."""
        numbers = range(len(posted.lines))
        entries = await BillEntries.read(connection, view, posted, posted.lines)
        disputes = await self._disputes_of(connection, view, closed, posted, numbers)
        return tuple(
            _charge(self._title(posted.lines[number]), posted.lines[number], number, entries, disputes.get(number))
            for number in numbers
        )

    async def _told(
        self, connection: Any, view: ChainView, closed: PeriodRecord, posted: PostedBill, number: int, viewer: Person
    ) -> tuple[BillLine, ...]:
        """One line with all that its own page tells; none where the bill has no such line."""
        if not 0 <= number < len(posted.lines):
            return ()
        line, unit = posted.lines[number], view.roll[posted.unit_index]
        registers = Registers()
        if line.kind in METERED:
            registers = await read_line_registers(connection, view, period=closed.period, unit=unit, line=line)
        entries = BillEntries(view, posted, registers)
        await entries.refer(self, connection, line)
        disputes = await self._disputes_of(connection, view, closed, posted, [number])
        (derivation,) = await derive_lines(
            connection, view, self.directory, period=closed.period, unit=unit, lines=posted.lines, numbers=[number],
            registers=registers,
        )  # fmt: skip
        charge = _charge(self._title(line), line, number, entries, disputes.get(number))
        told = await self._line(connection, view, posted, line, charge, entries)
        days = self._days(view, registers, viewer, entries.subject(line), line) if line.kind in METERED else ()
        timed, zone = len(timed_places(derivation)), zone_of(derivation)
        return (replace(told, sentence=_said(derivation), days=tuple(days), timed_readings=timed, zone=zone),)

    def _days(
        self, view: ChainView, registers: Registers, viewer: Person, subject: Subject, line: Line
    ) -> Sequence[DayPoint]:
        """The line's days. What its own meters counted is the household's; a pool's is everybody's who shares it."""
        days = (line.from_date, line.to_date)
        return self.days_in(registers, bindings_of(view, [subject]), subject, viewer, line.quantity, days)

    async def bill_file(self, viewer: Person, door: str, period: str) -> bytes | None:
        place = await self._closed(viewer, door, period)
        if place is None:
            return None
        _, closed, roll = place
        assert self.view is not None and self.cloud.chain is not None
        async with self.store.glance() as connection:
            proof = await read_bill(connection, self.view, self.cloud.chain.deployment, closed.period, roll.index)
        return None if proof is None else json.dumps(bill_to_json(proof), separators=(",", ":")).encode()

    async def challenge_terms(self, viewer: Person, door: str, period: str, line: int) -> ChallengeTerms | None:
        found = await self._posted(viewer, door, period)
        if found is None or self.cloud.chain is None or self.view is None:
            return None
        unit, closed, posted = found
        public = self._owner_key(unit)
        if public is None or not 0 <= line < len(posted.lines):
            return None
        now_ms = self.cloud.settings.clock.now_ms()
        return ChallengeTerms(
            chain_id=self.cloud.chain.deployment.chain_id,
            contract=self.cloud.chain.deployment.challenges,
            fees=self.cloud.chain.deployment.usage_fees,
            key_id=key_id_of(public),
            key_public=public,
            nonce=now_ms,
            deadline_s=max(self.view.head_time_s, now_ms // 1000) + _SIGNATURE_SECONDS,
            period=closed.period,
            unit_index=posted.unit_index,
            line=line,
            line_amount_fen=posted.lines[line].amount,
            deposit_fen=await self._deposit() or 0,
            window_ends_at_ms=closed.window_end_s * 1000,
        )

    async def relay_challenge(self, viewer: Person, request: ChallengeRequest) -> RelayAnswer:
        found = await self._posted(viewer, request.unit, request.period)
        if found is None or self.cloud.chain is None or self.view is None:
            return RelayAnswer(accepted=False, code="unknown_bill", remedy="reload the page")
        relay = Relay(
            store=self.store, view=self.view, deployment=self.cloud.chain.deployment, clock=self.cloud.settings.clock
        )
        act = SignedAct(
            public=request.public, nonce=request.nonce, deadline_s=request.deadline_s, signature=request.signature
        )
        answer = await relay.challenge(found[1].period, found[2].unit_index, request.line, act)
        return RelayAnswer(accepted=answer.accepted, code=answer.code, remedy=answer.says)

    # -- parts ------------------------------------------------------------------------------------------------------

    async def _posted(
        self, viewer: Person, door: str, period: str
    ) -> tuple[DirectoryUnit, PeriodRecord, PostedBill] | None:
        """A posted bill that is the viewer's."""
        place = await self._closed(viewer, door, period)
        if place is None:
            return None
        unit, closed, roll = place
        async with self.store.glance() as connection:
            posted = await self._read(connection, closed, roll)
        return None if posted is None else (unit, closed, posted)

    async def _closed(
        self, viewer: Person, door: str, period: str
    ) -> tuple[DirectoryUnit, PeriodRecord, UnitRecord] | None:
        """Where the viewer's bill of a closed period stands; a look at it is kept before anything is read."""
        unit = self.directory.unit_named(door)
        closed = self.view.periods.get(int(period)) if self.view and period.isdecimal() else None
        roll = self.view.units.get(unit.alias) if self.view and unit else None
        if unit is None or closed is None or roll is None or not self.is_mine(viewer, door):
            return None
        if not self.is_since(viewer, day_of(closed.period // 10**8)):
            return None
        if viewer.role is not Role.OWNER:
            await self.note_look(viewer, unit.alias, f"/bills/{door}/{period}")
        return unit, closed, roll

    async def _read(self, connection: Any, closed: PeriodRecord, roll: UnitRecord) -> PostedBill | None:
        assert self.cloud.chain is not None
        return await read_content(connection, self.cloud.chain.deployment, closed.period, roll.index)

    def _bill_summary(
        self, view: ChainView, closed: PeriodRecord, unit: DirectoryUnit, index: int, total: int
    ) -> BillSummary:
        challenges = _challenges_of(view, closed.period, index)
        reduced = sum(one.amount - (one.charge or 0) for one in challenges if one.state != "open")
        return BillSummary(
            unit=unit.name,
            period=str(closed.period),
            opening=day_of(closed.period // 10**8),
            closing=day_of(closed.period % 10**8),
            total_fen=max(0, total - reduced),
            state=_bill_state(view, closed, index, challenges, reduced),
        )

    async def _line(
        self, connection: Any, view: ChainView, bill: PostedBill, line: Line, charge: BillLine, entries: BillEntries
    ) -> BillLine:
        """A charge with its readings, steps and share."""
        index, record = bill.unit_index, view.tariffs.get(line.tariff)
        spans = entries.spans(line, line.quantity, line.from_date, line.to_date)
        prior = 0
        if record is not None and line.since not in (0, line.from_date):
            before = entries.spans(line, line.quantity, line.since, line.from_date)
            prior = sum(span.usage for span in before)
        first = entries.reference(spans[0].opening) if spans else None
        last = entries.reference(spans[-1].closing) if spans else None
        by_year = record is not None and record.terms.counting is Counting.YEAR
        return replace(
            charge,
            opening=first,
            closing=last,
            tiers=self._tiers(view, line, index, record, prior),
            used_before_wh=prior,
            tier_period="year" if by_year else "month",
            counts_from=day_of(line.since) if by_year and line.since else None,
            share=await self._share(connection, view, bill, line, record, prior, (first, last)),
            readings=entries.readings(line),
            meters=entries.meters(spans) if len(spans) > 1 else (),
            key_proof=await key_proof(connection, view, bill, line, record),
        )

    def _tiers(
        self, view: ChainView, line: Line, index: int, record: TariffRecord | None, prior: int
    ) -> tuple[TierPart, ...]:
        """The steps of a line by one register; where tiers meet time of use, a step has no price of its own."""
        if record is None or line.kind not in METERED or len(record.terms.registers) != 1:
            return ()
        season = record.terms.season(line.from_date, line.to_date)
        is_own = line.kind is not LineKind.SHARED
        residents = view.residents(view.roll[index].alias, line.from_date) if is_own else 0
        return tier_parts(season, prior=prior, used=line.usage, residents=residents)

    def _title(self, line: Line) -> Title:
        pool = self.directory.pool_of(line.subject) if line.kind is LineKind.SHARED else None
        return (
            title(pool.title) if pool is not None else line_title(line.quantity, is_shared=line.kind is LineKind.SHARED)
        )

    async def _share(
        self,
        connection: Any,
        view: ChainView,
        bill: PostedBill,
        line: Line,
        record: TariffRecord | None,
        prior: int,
        ends: tuple[ReadingRef | None, ReadingRef | None],
    ) -> Share | None:
        if line.kind is not LineKind.SHARED or record is None or len(record.terms.registers) != 1:
            return None
        place = await self._place(connection, view, bill, line, record)
        if place is None:
            return None  # the page shows the line without its share, which is what there is
        whole = record.terms.season(line.from_date, line.to_date).charge(used=[line.usage], prior=prior)
        return Share(
            pool=self._title(line),
            pool_usage_wh=line.usage,
            pool_amount_fen=whole,
            key=place.key,
            key_before=place.before,
            key_sum=place.key_sum,
            key_is_area=record.terms.key is Key.AREA,
            all_shares_fen=whole if place.key_sum else 0,  # shares telescope: they always add up to the whole
            opening=ends[0],
            closing=ends[1],
            key_unit=self._volume_unit(line.subject) if record.terms.key is Key.VOLUME else "",
        )

    async def _place(
        self, connection: Any, view: ChainView, bill: PostedBill, line: Line, record: TariffRecord
    ) -> UnitShare | None:
        """Where the unit stands among the keys that share a pool; None where that cannot be told."""
        if record.terms.key is Key.VOLUME:
            return (await read_shares(connection, view, bill.period, bill.unit_index)).get(line.subject)
        try:
            keys = pool_shares(
                view, line.subject, record.terms.key, (line.from_date, line.to_date),
                units=view.unit_count_of(bill.period),
            )  # fmt: skip
        except BillingError:
            return None
        return keys.of(bill.unit_index)

    def _volume_unit(self, pool: bytes) -> str:
        named = self.directory.pool_of(pool)
        return unit_of(named.volume_register if named else COLD_WATER) or ""

    async def _disputes_of(
        self, connection: Any, view: ChainView, closed: PeriodRecord, bill: PostedBill, numbers: Sequence[int]
    ) -> Mapping[int, Dispute]:
        """Challenges of these lines, by line: those on the followed chain, and those that wait to come there."""
        index = bill.unit_index
        places = {number: view.challenges.get((closed.period, index, number)) for number in numbers}
        found = {number: await self._dispute(one) for number, one in places.items() if one is not None}
        waiting = {f"challenge:{closed.period}:{index}:{number}": number for number in numbers if number not in found}
        for row in await connection.execute(_WAITING, {"keys": sorted(waiting)}) if waiting else ():
            number = waiting[row.business_key]
            found[number] = await self._sent(closed, bill.lines[number], row.created_at_ms)
        return found

    async def _dispute(self, challenge: ChallengeRecord) -> Dispute:
        is_settled = challenge.state != "open"
        refund = challenge.amount - (challenge.charge or 0) if is_settled else 0
        return Dispute(
            state=dispute_state(challenge),
            opened_at_ms=challenge.opened_at_s * 1000,
            answer_due_at_ms=challenge.deadline_s * 1000,
            settled_at_ms=challenge.settled_at_s * 1000 if challenge.settled_at_s else None,
            old_fen=challenge.amount,
            new_fen=challenge.charge if is_settled else None,
            refund_fen=refund,
            deposit_fen=await self._deposit() or 0,
            deposit_returned=refund > 0,
            transaction=challenge.transaction_hash,
        )

    async def _sent(self, closed: PeriodRecord, line: Line, created_at_ms: int) -> Dispute:
        """A challenge that is signed and queued but not on the followed chain yet."""
        return Dispute(
            state=DisputeState.SENT,
            opened_at_ms=created_at_ms,
            answer_due_at_ms=closed.window_end_s * 1000,
            settled_at_ms=None,
            old_fen=line.amount,
            new_fen=None,
            refund_fen=0,
            deposit_fen=await self._deposit() or 0,
            deposit_returned=False,
            transaction=None,
        )

    def _owner_key(self, unit: DirectoryUnit) -> bytes | None:
        """The unit's key in force that a page can sign with."""
        keys = self.view.keys_of_unit(unit.alias) if self.view else ()
        return next((key.public for key in keys if key.is_in_force and key.kind == KeyKind.SOFTWARE), None)

    async def _balance(self, unit: DirectoryUnit) -> int | None:
        """What the followed events leave of a unit's prepaid account; None where that cannot be told."""
        roll = self.view.units.get(unit.alias) if self.view else None
        deposit = await self._deposit()
        return (
            None if self.view is None or roll is None or deposit is None else self.view.balances.of(roll.index, deposit)
        )

    async def _deposit(self) -> int | None:
        """What a challenge sets aside, fixed at deployment; None while no node has told it."""
        if self.cloud.chain is None:
            return None
        try:
            terms = await self.cloud.chain.terms()
        except ChainError:
            return None
        return terms.deposit


def _charge(named: Title, line: Line, number: int, entries: BillEntries, dispute: Dispute | None) -> BillLine:
    """What a line charges, and what the signed readings say to it."""
    spans = entries.spans(line, line.quantity, line.from_date, line.to_date)
    return BillLine(
        number=number,
        kind=LANES.get(line.kind, "other"),
        title=named,
        quantity=line.quantity,
        amount_fen=line.amount,
        usage_wh=line.usage,
        signed_usage_wh=sum(span.usage for span in spans) if spans else None,
        meter_confirmed=bool(spans) and all(span.confirmed for span in spans),
        dispute=dispute,
    )


def _said(derivation: Mapping[str, Any]) -> Title | None:
    if not derivation["matches"]:
        return None
    return Title(zh=sentence(derivation, "zh"), en=sentence(derivation, "en"))


def _challenges_of(view: ChainView, period: int, index: int) -> list[ChallengeRecord]:
    places = ((period, index, line) for line in (*range(LINES_MAX), PLACE_SUM, PLACE_BILL))
    return [view.challenges[place] for place in places if place in view.challenges]


def _bill_state(
    view: ChainView, closed: PeriodRecord, index: int, challenges: Sequence[ChallengeRecord], reduced: int
) -> BillState:
    if any(challenge.state == "open" for challenge in challenges):
        return BillState.DISPUTED
    if index in closed.paid:
        return BillState.CORRECTED if reduced else BillState.DEBITED
    was_tried = bool(closed.debits.get(index // BLOCK * BLOCK))
    return BillState.UNPAID if was_tried and view.head_time_s > closed.window_end_s else BillState.OPEN
