"""What the maintenance contracts say, folded from the followed events: a second listener of the follower.

The money of agreements and the pay of days are folded as ServiceAgreements counts them, so that a wish is only made for
what the contract would do; the contract is asked all the same before anything is sent.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from cloud.chain.events import StoredEvent
from cloud.chain.follower import BlockEvents
from cloud.chain.parsers import PARSERS
from cloud.maintenance.records import (
    AgreementRecord,
    AnnouncedBatch,
    ArrivalRecord,
    ClaimRecord,
    DayRecord,
    FirmRecord,
    LabelRecord,
    LineRecord,
    MemberRecord,
    Recorded,
    RecordedVisit,
)
from contracts.abi import by_field
from contracts.calls import counterevidence, crews_events, labels_events, registry_events, work_orders_events
from contracts.calls import service_agreements_events as agreed
from contracts.calls.relying_party_events import RelyingPartySet
from contracts.calls.service_agreements import recorded_visit
from contracts.crew_signature import CrewKey
from contracts.due import DoneDay, Terms
from contracts.errors import ContractsError
from contracts.person import KeyKind
from contracts.visit import VisitClass
from contracts.work_order import Order, OrderBook, source_of

__all__ = ["MaintenanceView"]

_log = logging.getLogger("cloud.maintenance")
_PARTY_SIGNER = 4  # see Registry


class MaintenanceView:
    """Crews, agreements, visits, claims and orders at the head of the followed chain."""

    def __init__(self) -> None:
        self.final: tuple[int, str] = (0, "")
        self.head_time_s = 0
        self.crew_changes = 0  # rises with each word of Crews
        self._reset()

    def _reset(self) -> None:
        self.announced: dict[int, AnnouncedBatch] = {}  # by signers alone, and neither enacted nor stopped yet
        self.firms: dict[int, FirmRecord] = {}
        self.members: dict[bytes, MemberRecord] = {}  # by alias
        self.relying_parties: dict[int, tuple[bytes, str]] = {}  # hash of the relying party's identifier, web origin
        self.agreements: dict[bytes, AgreementRecord] = {}  # proposed or agreed
        self.lines: dict[bytes, LineRecord] = {}
        self.visits: dict[bytes, RecordedVisit] = {}  # by digest
        self._silent: dict[bytes, set[int]] = {}  # days by device, as shown; those of life are not taken out
        self.living_days: dict[bytes, set[int]] = {}
        self.book = OrderBook()
        self.reports: dict[bytes, tuple[bytes, str]] = {}  # by order: its device, and the transaction that reported it
        self.arrivals: dict[bytes, list[ArrivalRecord]] = {}  # by order, as they were brought
        self.machine_orders: dict[bytes, bytes] = {}  # the machine's last order by its source
        self.faults: dict[str, tuple[int, int]] = {}  # by quantity: faulty and sound values as bits
        self.labels: dict[bytes, LabelRecord] = {}  # by digest
        self.overlaps: dict[frozenset[bytes], str] = {}  # transactions, by the digests of both visits

    # -- listener ---------------------------------------------------------------------------------------------------

    def follow(self, blocks: Sequence[BlockEvents]) -> None:
        for one in blocks:
            self.head_time_s = one.block.timestamp
            for event in one.events:
                self._take(event)

    def rebuild(self, events: Sequence[StoredEvent]) -> None:
        self._reset()
        self.crew_changes += 1
        for event in events:
            self._take(event)
        if events:
            self.head_time_s = max(self.head_time_s, events[-1].block_time_s)

    def finalized(self, number: int, block_hash: str) -> None:
        self.final = (number, block_hash)

    def _take(self, stored: StoredEvent) -> None:
        if stored.contract not in _FOLDED:
            return
        event = PARSERS[stored.contract](stored.topics, stored.data)
        self.crew_changes += stored.contract == "crews"
        if stored.contract == "work_orders" and event is not None:
            self._order(event, stored)
            return
        taker = _TAKERS.get(type(event))
        if taker is not None:
            taker(self, event, stored)

    # -- questions --------------------------------------------------------------------------------------------------

    def crew(self, alias: bytes) -> tuple[CrewKey, int] | None:
        """A person's key in force and firm; None where there is no such key."""
        member = self.members.get(alias)
        return None if member is None or member.key is None else (member.key, member.firm)

    def firm_licence_until_s(self, firm: int) -> int:
        """Until when a firm is licensed: for ever where it is 0, the site itself."""
        if firm == 0:
            return 2**63
        return self.firms[firm].licence_until_s if firm in self.firms else 0

    def line(self, line: bytes) -> LineRecord:
        """The visits of a line; none where there are none."""
        return self.lines.get(line) or LineRecord()

    def agreements_of(self, device: bytes, today: int) -> Sequence[AgreementRecord]:
        """The agreements about a device that a local day belongs to, the newest first."""
        found = [
            one
            for one in self.agreements.values()
            if one.is_agreed and one.terms.device == device and one.terms.starts_on <= today <= one.ends_on
        ]
        return sorted(found, key=lambda one: -one.terms.starts_on)

    def agreement_of(self, device: bytes, today: int) -> AgreementRecord | None:
        """The newest agreement about a device that a local day belongs to."""
        return next(iter(self.agreements_of(device, today)), None)

    def done_days(self, agreement: AgreementRecord) -> Sequence[DoneDay]:
        """The days on which a visit counts by an agreement, with the best one's class; another's line tells nothing."""
        return self.line(agreement.line).done(agreement.terms)

    def silent_days(self, device: bytes) -> frozenset[int]:
        """The days on which the device's gateway was shown to have been silent."""
        return frozenset(self._silent.get(device, set()) - self.living_days.get(device, set()))

    def claimed_days(self, agreement: bytes, visit_class: VisitClass) -> int:
        """Overdue days of a class that are claimed, provisionally or for good, as last counted."""
        claims = self.agreements[agreement].claims.values() if agreement in self.agreements else ()
        return sum(claim.days for claim in claims if claim.visit_class == visit_class)

    def recorded(self, digest: bytes) -> Recorded | None:
        """Where a visit stands on chain; None while it is not recorded."""
        visit = self.visits.get(digest)
        if visit is None:
            return None
        day = self.line(visit.line).days.get(visit.day)
        is_paid = day is not None and day.paid > 0 and not day.is_void and self._earns(visit) == day.paid
        return Recorded(
            transaction=visit.transaction_hash,
            paid_transaction=day.paid_transaction if day is not None and is_paid else None,
            paid_fen=day.paid if day is not None and is_paid else None,
        )

    def word(self, digest: bytes) -> str:
        """A visit's standing on chain in one word: `waiting`, `recorded` or `paid`."""
        found = self.recorded(digest)
        if found is None:
            return "waiting"
        return "recorded" if found.paid_transaction is None else "paid"

    def order_of(self, device: bytes, name: bytes) -> Order | None:
        """How the order of a name stands; None where none of this name is about the device."""
        return self.book.orders.get(name) if self.reports.get(name, (b"", ""))[0] == device else None

    def orders(self, device: bytes) -> Sequence[tuple[bytes, Order, str]]:
        """The orders about a device, the newest first: name, how it stands, the transaction that reported it."""
        found = [(name, at) for name, (of, at) in self.reports.items() if of == device and name in self.book.orders]
        return [(name, self.book.orders[name], at) for name, at in reversed(found)]

    def arrivals_at(self, device: bytes) -> Sequence[ArrivalRecord]:
        """Who said on chain that they came for an order about the device."""
        return [one for name, held in self.arrivals.items() if self.reports[name][0] == device for one in held]

    def label_of(self, digest: bytes) -> tuple[bytes, int, bool] | None:
        """The device and place of a label's digest, and whether it was revoked; None where none was bound."""
        label = self.labels.get(digest)
        return None if label is None else (label.device, label.place, label.is_revoked)

    def carrier_of(self, label: bytes) -> tuple[bytes, int | None] | None:
        """The device that a label's digest is bound to, and since when (s) it is revoked; None where none was bound."""
        held = self.labels.get(label)
        return None if held is None else (held.device, held.revoked_at_s)

    def _earns(self, visit: RecordedVisit) -> int:
        """Fen that this visit alone is worth by the agreement of its day."""
        for one in self.agreements.values():
            if one.is_agreed and one.line == visit.line and one.terms.starts_on <= visit.day <= one.ends_on:
                alone = DayRecord()
                alone.take(visit.seen)
                return alone.earns(one.terms)
        return 0

    # -- Crews ------------------------------------------------------------------------------------------------------

    def _firm_set(self, event: crews_events.FirmSet, _stored: StoredEvent) -> None:
        self.firms[event.firm] = FirmRecord(name_digest=event.name_digest, licence_until_s=event.licence_until)

    def _member_set(self, event: crews_events.MemberSet, _stored: StoredEvent) -> None:
        member = self.members.setdefault(event.alias, MemberRecord())
        member.firm, member.duties, member.licence_until_s = event.firm, event.duties, event.licence_until
        if member.key is not None:
            member.key = CrewKey(
                duties=event.duties,
                licence_until_s=event.licence_until,
                x=member.key.x,
                y=member.key.y,
                kind=member.key.kind,
                rp_id_hash=member.key.rp_id_hash,
                origin=member.key.origin,
            )

    def _crew_key_set(self, event: crews_events.CrewKeySet, _stored: StoredEvent) -> None:
        member, kind = self.members.setdefault(event.alias, MemberRecord()), KeyKind(event.kind)
        party = self.relying_parties.get(event.relying_party) if kind is KeyKind.WEBAUTHN else None
        rp_id_hash, origin = party or (bytes(32), "")
        member.key_id = event.key_id
        member.key = CrewKey(
            duties=member.duties,
            licence_until_s=member.licence_until_s,
            x=event.x,
            y=event.y,
            kind=kind,
            rp_id_hash=rp_id_hash,
            origin=origin,
        )

    def _crew_key_ended(self, event: crews_events.CrewKeyEnded, _stored: StoredEvent) -> None:
        self.members[event.alias].key_id = self.members[event.alias].key = None

    def _relying_party_set(self, event: RelyingPartySet, stored: StoredEvent) -> None:
        if stored.contract == "crews":
            self.relying_parties[event.number] = (event.rp_id_hash, event.origin)

    # -- ServiceAgreements ------------------------------------------------------------------------------------------

    def _proposed(self, event: agreed.Proposed, _stored: StoredEvent) -> None:
        try:
            terms = by_field(Terms, event.terms)
        except ContractsError as error:  # the contract checks them; a follower must not die of what it took
            _log.warning("agreement %s: its terms cannot be read (%s)", event.agreement.hex()[:16], error)
            return
        self.agreements[event.agreement] = AgreementRecord(
            name=event.agreement,
            line=event.line,
            terms=terms,
            ends_on=terms.ends_on,
            deposit=terms.deposit,
            claimed_through=[terms.starts_on - 1] * len(terms.fees),
        )

    def _retracted(self, event: agreed.Retracted, _stored: StoredEvent) -> None:
        self.agreements.pop(event.agreement, None)

    def _agreed(self, event: agreed.Agreed, _stored: StoredEvent) -> None:
        if event.agreement in self.agreements:
            self.agreements[event.agreement].is_agreed = True

    def _end_set(self, event: agreed.EndSet, _stored: StoredEvent) -> None:
        if event.agreement in self.agreements:
            self.agreements[event.agreement].ends_on = event.day

    def _budget_added(self, event: agreed.BudgetAdded, _stored: StoredEvent) -> None:
        if event.agreement in self.agreements:
            self.agreements[event.agreement].budget += event.amount

    def _deposit_added(self, event: agreed.DepositAdded, _stored: StoredEvent) -> None:
        if event.agreement in self.agreements:
            self.agreements[event.agreement].deposit += event.amount

    def _visit_recorded(self, event: agreed.VisitRecorded, stored: StoredEvent) -> None:
        number, seen = recorded_visit(event.lanes)
        self.visits[event.digest] = RecordedVisit(
            digest=event.digest,
            line=event.line,
            day=number,
            seen=seen,
            block_number=stored.block_number,
            block_time_s=stored.block_time_s,
            transaction_hash=stored.transaction_hash,
        )
        if seen.visit_class is not VisitClass.REPAIR:  # repairs have slots of their own, and no agreement pays them
            self._change_day(event.line, number, stored).take(seen)

    def _overlap_shown(self, event: counterevidence.OverlapShown, stored: StoredEvent) -> None:
        for line, number in ((event.line_a, event.day_a), (event.line_b, event.day_b)):
            self._change_day(line, number, stored).is_void = True
        self.overlaps[frozenset((event.digest_a, event.digest_b))] = stored.transaction_hash

    def _change_day(self, line: bytes, number: int, stored: StoredEvent) -> DayRecord:
        record = self.lines.setdefault(line, LineRecord())
        record.changes += 1
        record.changed_in_block = stored.block_number
        day = record.day(number)
        day.changed_in_block = stored.block_number
        return day

    def _fees_paid(self, event: agreed.FeesPaid, stored: StoredEvent) -> None:
        agreement = self.agreements.get(event.agreement)
        if agreement is None:
            return
        agreement.payments += 1
        agreement.budget += event.returned - event.amount
        agreement.deposit -= event.returned
        days = self.line(agreement.line).days
        for number in event.days:
            if number in days:
                days[number].paid = days[number].earns(agreement.terms)
                days[number].paid_transaction = stored.transaction_hash

    def _days_looked_at(self, event: agreed.DaysLookedAt, stored: StoredEvent) -> None:
        agreement = self.agreements.get(event.agreement)
        if agreement is None:
            return
        agreement.claimed_through[event.visit_class - 1] = event.through_day
        if event.overdue:
            amount = event.overdue * agreement.terms.penalty
            agreement.deposit -= amount
            agreement.claimed += amount
            agreement.claims[event.number] = ClaimRecord(
                number=event.number,
                visit_class=VisitClass(event.visit_class),
                from_day=event.from_day,
                through_day=event.through_day,
                days=event.overdue,
                claimed_at_s=stored.block_time_s,
            )

    def _claim_counted(self, event: agreed.ClaimCounted, _stored: StoredEvent) -> None:
        agreement = self.agreements.get(event.agreement)
        if agreement is None or event.number not in agreement.claims:
            return
        claim, penalty = agreement.claims[event.number], agreement.terms.penalty
        released = (claim.days - event.days) * penalty
        agreement.deposit += released
        agreement.claimed -= released
        if event.settled:
            agreement.budget += event.days * penalty
            agreement.claimed -= event.days * penalty
        claim.days, claim.is_settled = event.days, event.settled

    def _closed(self, event: agreed.Closed, _stored: StoredEvent) -> None:
        agreement = self.agreements.get(event.agreement)
        if agreement is not None:
            agreement.is_closed, agreement.budget, agreement.deposit = True, 0, 0

    # -- Labels -----------------------------------------------------------------------------------------------------

    def _label_bound(self, event: labels_events.LabelBound, _stored: StoredEvent) -> None:
        self.labels[event.digest] = LabelRecord(device=event.device, place=event.place)

    def _label_revoked(self, event: labels_events.LabelRevoked, stored: StoredEvent) -> None:
        if event.digest in self.labels:
            self.labels[event.digest].revoked_at_s = stored.block_time_s

    # -- Counterevidence, WorkOrders ----------------------------------------------------------------------------------

    def _silence_shown(self, event: counterevidence.SilenceShown, _stored: StoredEvent) -> None:
        self._silent.setdefault(event.device, set()).update(range(event.first_day, event.last_day + 1))

    def _life_shown(self, event: counterevidence.LifeShown, _stored: StoredEvent) -> None:
        self.living_days.setdefault(event.device, set()).add(event.day)

    def _announced(self, event: registry_events.Announced, _stored: StoredEvent) -> None:
        if event.parties == _PARTY_SIGNER:
            self.announced[event.number] = AnnouncedBatch(effective_at_s=event.effective_at, calls=event.calls)

    def _batch_over(self, event: registry_events.Enacted | registry_events.Vetoed, _stored: StoredEvent) -> None:
        """A signer's batch is one call: a veto leaves nothing of it."""
        self.announced.pop(event.number, None)

    def _order(self, event: work_orders_events.Event, stored: StoredEvent) -> None:
        match event:
            case work_orders_events.FaultKnown():
                self.faults[_text(event.quantity)] = (event.faulty, event.sound)
            case work_orders_events.ReportedByOwner():
                self.reports[event.order] = (event.device, stored.transaction_hash)
            case work_orders_events.ReportedByMachine():
                self.reports[event.order] = (event.device, stored.transaction_hash)
                self.machine_orders[source_of(event.device, _text(event.quantity))] = event.order
            case work_orders_events.Arrived():
                self._arrived(event, stored)
        try:
            self.book.apply(event, stored.block_time_s)
        except ContractsError as error:
            _log.warning("work orders: %s", error)

    def _arrived(self, event: work_orders_events.Arrived, stored: StoredEvent) -> None:
        if event.order in self.reports and event.order in self.book.orders:
            record = ArrivalRecord(
                order=event.order,
                round=self.book.orders[event.order].round,
                crew=event.crew,
                digest=event.arrival,
                at_s=event.arrived_at,
                block_number=stored.block_number,
                transaction_hash=stored.transaction_hash,
            )
            self.arrivals.setdefault(event.order, []).append(record)


def _text(quantity: bytes) -> str:
    return quantity.rstrip(b"\0").decode("ascii", "replace")


_FOLDED = {"registry", "crews", "labels", "service_agreements", "counterevidence", "work_orders"}
_TAKERS: dict[type, Callable[[MaintenanceView, Any, StoredEvent], None]] = {
    registry_events.Announced: MaintenanceView._announced,
    registry_events.Vetoed: MaintenanceView._batch_over,
    registry_events.Enacted: MaintenanceView._batch_over,
    crews_events.FirmSet: MaintenanceView._firm_set,
    crews_events.MemberSet: MaintenanceView._member_set,
    crews_events.CrewKeySet: MaintenanceView._crew_key_set,
    crews_events.CrewKeyEnded: MaintenanceView._crew_key_ended,
    RelyingPartySet: MaintenanceView._relying_party_set,
    agreed.Proposed: MaintenanceView._proposed,
    agreed.Retracted: MaintenanceView._retracted,
    agreed.Agreed: MaintenanceView._agreed,
    agreed.EndSet: MaintenanceView._end_set,
    agreed.BudgetAdded: MaintenanceView._budget_added,
    agreed.DepositAdded: MaintenanceView._deposit_added,
    agreed.VisitRecorded: MaintenanceView._visit_recorded,
    agreed.FeesPaid: MaintenanceView._fees_paid,
    agreed.DaysLookedAt: MaintenanceView._days_looked_at,
    agreed.ClaimCounted: MaintenanceView._claim_counted,
    agreed.Closed: MaintenanceView._closed,
    labels_events.LabelBound: MaintenanceView._label_bound,
    labels_events.LabelRevoked: MaintenanceView._label_revoked,
    counterevidence.OverlapShown: MaintenanceView._overlap_shown,
    counterevidence.SilenceShown: MaintenanceView._silence_shown,
    counterevidence.LifeShown: MaintenanceView._life_shown,
}
