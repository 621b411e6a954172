"""What the contracts say, folded from the followed events: a pure function of them, rebuilt whenever the chain takes
some back.

Questions about keys and bindings are asked of the head of the followed chain, finality of the block that it reports.
"""

import logging
from bisect import bisect_right
from collections.abc import Callable, Hashable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from cloud.chain.balances import Balances
from cloud.chain.events import StoredEvent
from cloud.chain.follower import BlockEvents
from cloud.chain.parsers import PARSERS
from cloud.chain.records import (
    AnchorRecord,
    AssignmentRecord,
    BindingRecord,
    ChallengeRecord,
    HeadRecord,
    KeyRecord,
    OwnerKeyRecord,
    PeriodRecord,
    TariffRecord,
    UnitRecord,
)
from cloud.chain.tariff_days import TariffDays, priced_days, tariff_days
from cloud.ingest.keys import GatewayKey, KeyState
from cloud.mail import FinalBlock
from contracts.calls import (
    anchor_log,
    bindings_events,
    challenges_events,
    registry_events,
    roll_events,
    tariffs,
    usage_fees_events,
)
from contracts.calls.bindings import Confirmed
from contracts.calls.challenges import PLACE_BILL, PLACE_SUM
from contracts.errors import ContractsError
from contracts.evidence import KEY_CLASSES, KeyClass
from contracts.onchain import origin_id
from contracts.tariff import decode_terms
from contracts.tree import SIZE_END

__all__ = [
    "AnchorRecord", "AssignmentRecord", "BindingRecord", "ChainView", "ChallengeRecord", "HeadRecord", "KeyRecord",
    "OwnerKeyRecord", "PeriodRecord", "TariffRecord", "UnitRecord",
]  # fmt: skip

_log = logging.getLogger("cloud.chain")


class ChainView:
    """The contracts' present state, as a listener of the follower."""

    def __init__(self, chain_id: int) -> None:
        self.chain_id = chain_id
        self.final: tuple[int, str] = (0, "")
        self.head_time_s = 0
        self._reset()

    def _reset(self) -> None:
        self.origins: dict[bytes, str] = {}
        self.keys: dict[bytes, list[KeyRecord]] = {}
        self.ended: set[bytes] = set()
        self.heads: dict[bytes, HeadRecord] = {}
        self.anchors: list[AnchorRecord] = []
        self.units: dict[bytes, UnitRecord] = {}
        self.roll: list[UnitRecord] = []
        self.pools: list[bytes] = []
        self.pool_tables: dict[bytes, list[roll_events.PoolKeysSet]] = {}
        self.volumes: dict[tuple[bytes, int], bytes] = {}  # by pool and period: the four words of the posted table
        self.households: dict[bytes, list[tuple[int, int]]] = {}  # unit: (from boundary date, residents)
        self.owner_keys: dict[bytes, OwnerKeyRecord] = {}
        self.assignments: dict[bytes, list[AssignmentRecord]] = {}
        self.bindings: dict[bytes, list[BindingRecord]] = {}
        self._bound: tuple[int, dict[tuple[bytes, int], list[tuple[bytes, BindingRecord]]]] = (-1, {})
        self.tariffs: dict[int, TariffRecord] = {}
        self.periods: dict[int, PeriodRecord] = {}
        self.challenges: dict[tuple[int, int, int], ChallengeRecord] = {}
        self.balances = Balances()
        self.credits: list[tuple[int, int, int, int]] = []  # unit index, amount, reason, block time
        self._forget_indexes()

    def _forget_indexes(self) -> None:
        """What is looked up by another name than events give; made again when next asked for."""
        self._keys_of_units: dict[bytes, list[OwnerKeyRecord]] | None = None
        self.pool_shares: dict[Hashable, Any] = {}  # of cloud.billing.pool_keys

    # -- listener ---------------------------------------------------------------------------------------------------

    def follow(self, blocks: Sequence[BlockEvents]) -> None:
        for one in blocks:
            self.head_time_s = one.block.timestamp
            for event in one.events:
                self._take(event)

    def rebuild(self, events: Sequence[StoredEvent]) -> None:
        self._reset()
        for event in events:
            self._take(event)

    def finalized(self, number: int, block_hash: str) -> None:
        self.final = (number, block_hash)

    def _take(self, stored: StoredEvent) -> None:
        if stored.contract not in _FOLDED:
            return
        event = PARSERS[stored.contract](stored.topics, stored.data)
        self.balances.take(event)
        taker = _TAKERS.get(type(event))
        if taker is not None:
            taker(self, event, stored)

    # -- questions --------------------------------------------------------------------------------------------------

    def gateway_key(self, origin: str) -> GatewayKey | None:
        """For ingest: the present key of an origin."""
        identity = origin_id(origin)
        keys = self.keys.get(identity)
        if not keys:
            return None
        last = keys[-1]
        is_ended = last.to_block is not None or identity in self.ended
        state = KeyState.REVOKED if is_ended else KeyState.IN_FORCE
        return GatewayKey(public=last.public, state=state, key_class=last.key_class)

    def key_of(self, origin: str, public: bytes) -> KeyRecord | None:
        """The record of one key of an origin, ended or not."""
        return next((key for key in self.keys.get(origin_id(origin), []) if key.public == public), None)

    def is_ended_by_fork(self, origin: str) -> bool:
        """Whether a fork of this origin stands on chain."""
        return origin_id(origin) in self.ended

    def final_block(self) -> FinalBlock | None:
        """For mail: the newest final block."""
        number, block_hash = self.final
        return (
            FinalBlock(chain_id=self.chain_id, number=number, hash=block_hash) if int(block_hash or "0", 16) else None
        )

    def final_super_size(self) -> int:
        """For mail: what of the super-log is anchored for good."""
        return max((anchor.size for anchor in self.anchors if anchor.block_number <= self.final[0]), default=0)

    def revoked_from_block(self, origin: str) -> int | None:
        """For mail: from which block no key of the origin is in force."""
        key = self.gateway_key(origin)
        if key is None or key.state is not KeyState.REVOKED:
            return None
        last = self.keys[origin_id(origin)][-1]
        return (last.to_block or last.from_block) + 1

    def first_anchor(self, super_index: int) -> AnchorRecord | None:
        """The earliest anchor whose super-log holds the leaf at `super_index`."""
        place = bisect_right(self.anchors, super_index, key=lambda anchor: anchor.size)  # sizes only grow
        return self.anchors[place] if place < len(self.anchors) else None

    def head(self, origin: str) -> HeadRecord:
        """The origin's accepted head."""
        return self.heads.get(origin_id(origin), HeadRecord())

    def origins_of(self, device: bytes) -> set[str]:
        """The logs that a device was given to, at one time or another."""
        return {self.origins[record.origin_id] for record in self.assignments.get(device, ())}

    def assignment(self, device: bytes, origin: str, index: int) -> AssignmentRecord | None:
        """The assignment under which an entry counts; None where it does not."""
        identity = origin_id(origin)
        for record in self.assignments.get(device, []):
            last = SIZE_END - 1 if record.last_index is None else record.last_index
            if record.origin_id == identity and record.first_index <= index <= last:
                return record
        return None

    def binding(self, device: bytes, date: int) -> BindingRecord | None:
        """What a device counts for on a date (YYYYMMDD); for boundaries that end a binding, that binding."""
        for record in self.bindings.get(device, []):
            if record.from_date <= date and (not record.to_date or date <= record.to_date):
                return record
        return None

    def bound(self) -> Mapping[tuple[bytes, int], Sequence[tuple[bytes, BindingRecord]]]:
        """Devices and their bindings by subject and role; made again when bindings were added."""
        if self._bound[0] != len(self.bindings):
            found: dict[tuple[bytes, int], list[tuple[bytes, BindingRecord]]] = {}
            for device, records in self.bindings.items():
                for record in records:
                    found.setdefault((record.subject, record.role), []).append((device, record))
            self._bound = (len(self.bindings), found)
        return self._bound[1]

    def keys_of_unit(self, unit: bytes) -> Sequence[OwnerKeyRecord]:
        """Every key that the unit's owners registered, in force or not."""
        if self._keys_of_units is None:
            self._keys_of_units = {}
            for key in self.owner_keys.values():
                self._keys_of_units.setdefault(key.unit, []).append(key)
        return self._keys_of_units.get(unit, ())

    def roll_of(self, period: int) -> Sequence[UnitRecord]:
        """The units that a period's bills are of: those of the roll when it was closed, or now while it is not."""
        count = self.unit_count_of(period)
        return self.roll if count == len(self.roll) else self.roll[:count]

    def unit_count_of(self, period: int) -> int:
        """How many these are; asked for alone by whoever does not need a large roll."""
        closed = self.periods.get(period)
        return len(self.roll) if closed is None else closed.unit_count

    def tariff_for(self, quantity: str, category: int, period: int) -> list[TariffDays]:
        """The days of a period on which an approved tariff prices a quantity, each day by the latest version."""
        asked = (quantity, category)
        days = self.tariff_days(period)
        return priced_days([one for one in days if (one.record.terms.quantity, one.record.terms.category) == asked])

    def tariff_days(self, period: int) -> list[TariffDays]:
        """The days of a period on which each approved tariff is in force, by version."""
        return tariff_days(self.tariffs, period)

    def residents(self, unit: bytes, date: int) -> int:
        """How many people live in a unit on a boundary date; 0 where nothing is set."""
        known = [(since, count) for since, count in self.households.get(unit, ()) if since <= date]
        return max(known)[1] if known else 0

    def pool_table(self, pool: bytes, date: int) -> roll_events.PoolKeysSet | None:
        """The table of keys that shares a pool on a boundary date; None where there is none."""
        held = [table for table in self.pool_tables.get(pool, ()) if table.valid_from <= date]
        return held[-1] if held else None

    # -- Registry, Roll, Bindings -----------------------------------------------------------------------------------

    def _gateway_key_set(self, event: registry_events.GatewayKeySet, _stored: StoredEvent) -> None:
        self.origins[event.origin_id] = event.origin
        public = event.x.to_bytes(32) + event.y.to_bytes(32)
        key_class: KeyClass = KEY_CLASSES[event.key_class - 1] if 1 <= event.key_class <= len(KEY_CLASSES) else "file"
        self.keys.setdefault(event.origin_id, []).append(
            KeyRecord(public=public, key_class=key_class, from_block=event.from_block)
        )

    def _gateway_key_ended(self, event: registry_events.GatewayKeyEnded, _stored: StoredEvent) -> None:
        for key in self.keys.get(event.origin_id, []):
            if sha256(key.public).digest() == event.key_id and key.to_block is None:
                key.to_block = event.to_block

    def _unit_added(self, event: roll_events.UnitAdded, _stored: StoredEvent) -> None:
        self._forget_indexes()
        unit = UnitRecord(
            alias=event.unit,
            index=event.index,
            area_centi_m2=event.area_centi_m2,
            category=event.category,
            building=event.building,
            floor=event.floor,
            head=event.head,
        )
        self.units[unit.alias] = unit
        self.roll.append(unit)

    def _head_set(self, event: roll_events.HeadSet, _stored: StoredEvent) -> None:
        self.units[event.unit].head = event.head
        for key in self.owner_keys.values():  # the buyer before took the unit's keys along
            if key.unit == event.unit:
                key.is_in_force = False

    def _pool_added(self, event: roll_events.PoolAdded, _stored: StoredEvent) -> None:
        self.pools.append(event.pool)

    def _pool_keys_set(self, event: roll_events.PoolKeysSet, _stored: StoredEvent) -> None:
        self._forget_indexes()
        self.pool_tables.setdefault(event.pool, []).append(event)

    def _residents_set(self, event: roll_events.ResidentsSet, _stored: StoredEvent) -> None:
        self.households.setdefault(event.unit, []).append((event.from_date, event.count))

    def _owner_key_set(self, event: roll_events.OwnerKeySet, _stored: StoredEvent) -> None:
        self._forget_indexes()
        public = event.x.to_bytes(32) + event.y.to_bytes(32)
        self.owner_keys[event.key_id] = OwnerKeyRecord(unit=event.unit, public=public, kind=event.kind)

    def _owner_key_ended(self, event: roll_events.OwnerKeyEnded, _stored: StoredEvent) -> None:
        if event.key_id in self.owner_keys:
            self.owner_keys[event.key_id].is_in_force = False

    def _device_assigned(self, event: registry_events.DeviceAssigned, stored: StoredEvent) -> None:
        self.assignments.setdefault(event.device, []).append(
            AssignmentRecord(
                origin_id=event.origin_id, first_index=event.first_index, last_index=None, block=stored.block_number
            )
        )

    def _assignment_ended(self, event: registry_events.AssignmentEnded, _stored: StoredEvent) -> None:
        self.assignments[event.device][event.number].last_index = event.last_index

    def _device_bound(self, event: bindings_events.DeviceBound, _stored: StoredEvent) -> None:
        self._bound = (-1, {})
        self._forget_indexes()
        self.bindings.setdefault(event.device, []).append(
            BindingRecord(subject=event.subject, role=event.role, from_date=event.from_date)
        )

    def _binding_ended(self, event: bindings_events.BindingEnded, _stored: StoredEvent) -> None:
        self.bindings[event.device][event.number].to_date = event.to_date

    def _binding_confirmed(self, event: bindings_events.BindingConfirmed, _stored: StoredEvent) -> None:
        self.bindings[event.device][event.number].state = Confirmed(event.confirmed)

    # -- AnchorLog --------------------------------------------------------------------------------------------------

    def _anchored(self, event: anchor_log.Anchored, stored: StoredEvent) -> None:
        self.anchors.append(
            AnchorRecord(
                size=event.size,
                root=event.root,
                block_number=stored.block_number,
                block_hash=stored.block_hash,
                block_time_s=stored.block_time_s,
                transaction_hash=stored.transaction_hash,
            )
        )

    def _accepted(self, event: anchor_log.Accepted, _stored: StoredEvent) -> None:
        self.heads[event.origin_id] = HeadRecord(size=event.size, root=event.root, accepted_at_s=event.accepted_at)

    def _fork_reported(self, event: anchor_log.ForkReported, _stored: StoredEvent) -> None:
        self.ended.add(event.origin_id)

    # -- UsageFees --------------------------------------------------------------------------------------------------

    def _tariff_announced(self, event: tariffs.TariffAnnounced, _stored: StoredEvent) -> None:
        try:
            terms = decode_terms(event.terms)
        except ContractsError as error:  # the contract refuses terms that are not whole; a follower must not die of one
            _log.warning("tariff %d: its terms cannot be read (%s); it prices nothing here", event.version, error)
            return
        self.tariffs[event.version] = TariffRecord(version=event.version, announced=event, terms=terms)

    def _tariff_approved(self, event: tariffs.TariffApproved, _stored: StoredEvent) -> None:
        if event.version in self.tariffs:
            self.tariffs[event.version].approved = True

    def _tariff_replaces(self, event: tariffs.TariffReplaces, _stored: StoredEvent) -> None:
        if event.version in self.tariffs:
            self.tariffs[event.version].replaces = event.replaced

    def _tariff_vetoed(self, event: tariffs.TariffVetoed, _stored: StoredEvent) -> None:
        if event.version in self.tariffs:
            self.tariffs[event.version].vetoed = True

    def _period_closed(self, event: usage_fees_events.PeriodClosed, stored: StoredEvent) -> None:
        self.periods[event.period] = PeriodRecord(
            period=event.period,
            root=event.root,
            sums=event.sums,
            unit_count=event.unit_count,
            window_end_s=event.window_end,
            closed_at_s=stored.block_time_s,
            block_number=stored.block_number,
            transaction_hash=stored.transaction_hash,
            total_area=event.total_area,
        )

    def _period_superseded(self, event: usage_fees_events.PeriodSuperseded, stored: StoredEvent) -> None:
        record = self.periods[event.period]
        record.root, record.sums, record.window_end_s = event.root, event.sums, event.window_end
        record.block_number, record.transaction_hash = stored.block_number, stored.transaction_hash
        record.corrections += 1

    def _debited(self, event: usage_fees_events.Debited, stored: StoredEvent) -> None:
        record = self.periods[event.period]
        record.debits.setdefault(event.first_index, []).append(stored.block_time_s)
        # A bill of zero fen is paid by its bit alone.
        for at, amount in enumerate(event.amounts):
            index = event.first_index + at
            if event.paid_bits >> at & 1 and index not in record.paid:
                record.paid[index] = amount

    def _volumes_posted(self, event: tariffs.VolumesPosted, _stored: StoredEvent) -> None:
        self.volumes[event.pool, event.period] = event.table

    def _paid(self, event: usage_fees_events.Paid, _stored: StoredEvent) -> None:
        self.periods[event.period].paid[event.unit_index] = event.amount

    def _receipt_presented(self, event: usage_fees_events.ReceiptPresented, _stored: StoredEvent) -> None:
        self.periods[event.period].paid[event.unit_index] = event.amount

    def _challenge_opened(self, event: challenges_events.ChallengeOpened, stored: StoredEvent) -> None:
        self.challenges[event.period, event.unit_index, event.line] = ChallengeRecord(
            period=event.period,
            unit_index=event.unit_index,
            line=event.line,
            amount=event.amount,
            deadline_s=event.deadline,
            opened_at_s=stored.block_time_s,
            transaction_hash=stored.transaction_hash,
        )

    def _answered(self, event: challenges_events.Answered | challenges_events.Judged, stored: StoredEvent) -> None:
        challenge = self.challenges[event.period, event.unit_index, event.line]
        challenge.state, challenge.charge, challenge.settled_at_s = "answered", event.charge, stored.block_time_s

    def _reversed(self, event: challenges_events.Reversed, stored: StoredEvent) -> None:
        challenge = self.challenges[event.period, event.unit_index, event.line]
        challenge.state, challenge.charge, challenge.settled_at_s = "reversed", 0, stored.block_time_s

    def _bill_shown(self, event: challenges_events.BillShown, stored: StoredEvent) -> None:
        challenge = self.challenges[event.period, event.unit_index, PLACE_BILL]
        challenge.state, challenge.charge, challenge.settled_at_s = "answered", challenge.amount, stored.block_time_s

    def _sum_corrected(self, event: challenges_events.SumCorrected, stored: StoredEvent) -> None:
        self.challenges[event.period, event.unit_index, PLACE_SUM] = ChallengeRecord(
            period=event.period,
            unit_index=event.unit_index,
            line=PLACE_SUM,
            amount=event.total,
            deadline_s=stored.block_time_s,
            opened_at_s=stored.block_time_s,
            transaction_hash=stored.transaction_hash,
            state="answered",
            charge=event.sum,
            settled_at_s=stored.block_time_s,
        )

    def _double_corrected(self, event: challenges_events.DoubleCorrected, stored: StoredEvent) -> None:
        key = (event.period, event.unit_index, event.second)
        challenge = self.challenges.setdefault(
            key,
            ChallengeRecord(
                period=event.period,
                unit_index=event.unit_index,
                line=event.second,
                amount=event.amount,
                deadline_s=stored.block_time_s,
                opened_at_s=stored.block_time_s,
                transaction_hash=stored.transaction_hash,
            ),
        )
        challenge.state, challenge.charge, challenge.settled_at_s = "reversed", 0, stored.block_time_s

    def _credited(self, event: usage_fees_events.Credited, stored: StoredEvent) -> None:
        self.credits.append((event.unit_index, event.amount, event.reason, stored.block_time_s))


_FOLDED = {"registry", "roll", "bindings", "anchor_log", "tariffs", "usage_fees", "challenges"}
"""Whose events are folded here; votes, fund, repairs and agreements are asked of their contracts."""
_TAKERS: dict[type, Callable[[ChainView, Any, StoredEvent], None]] = {
    registry_events.GatewayKeySet: ChainView._gateway_key_set,
    registry_events.GatewayKeyEnded: ChainView._gateway_key_ended,
    roll_events.UnitAdded: ChainView._unit_added,
    roll_events.HeadSet: ChainView._head_set,
    roll_events.PoolAdded: ChainView._pool_added,
    roll_events.PoolKeysSet: ChainView._pool_keys_set,
    roll_events.ResidentsSet: ChainView._residents_set,
    roll_events.OwnerKeySet: ChainView._owner_key_set,
    roll_events.OwnerKeyEnded: ChainView._owner_key_ended,
    registry_events.DeviceAssigned: ChainView._device_assigned,
    registry_events.AssignmentEnded: ChainView._assignment_ended,
    bindings_events.DeviceBound: ChainView._device_bound,
    bindings_events.BindingEnded: ChainView._binding_ended,
    bindings_events.BindingConfirmed: ChainView._binding_confirmed,
    anchor_log.Anchored: ChainView._anchored,
    anchor_log.Accepted: ChainView._accepted,
    anchor_log.ForkReported: ChainView._fork_reported,
    tariffs.TariffAnnounced: ChainView._tariff_announced,
    tariffs.TariffApproved: ChainView._tariff_approved,
    tariffs.TariffReplaces: ChainView._tariff_replaces,
    tariffs.TariffVetoed: ChainView._tariff_vetoed,
    tariffs.VolumesPosted: ChainView._volumes_posted,
    usage_fees_events.PeriodClosed: ChainView._period_closed,
    usage_fees_events.Debited: ChainView._debited,
    usage_fees_events.Paid: ChainView._paid,
    usage_fees_events.PeriodSuperseded: ChainView._period_superseded,
    usage_fees_events.ReceiptPresented: ChainView._receipt_presented,
    challenges_events.ChallengeOpened: ChainView._challenge_opened,
    challenges_events.Answered: ChainView._answered,
    challenges_events.Judged: ChainView._answered,
    challenges_events.Reversed: ChainView._reversed,
    challenges_events.BillShown: ChainView._bill_shown,
    challenges_events.SumCorrected: ChainView._sum_corrected,
    challenges_events.DoubleCorrected: ChainView._double_corrected,
    usage_fees_events.Credited: ChainView._credited,
}
