"""Arrivals: signed words that somebody reached a device where a work order waits. They are kept here, and brought to
WorkOrders, which holds who came and when.

On chain or not, an arrival is said until the device's gateway shows it: once a repair visit of the same mechanic is
judged, and the code that he scanned on arriving is among those that the gateway found right.
"""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import func, select

from cloud.chain.intents import add_intent
from cloud.directory import DirectoryFile
from cloud.maintenance.records import ArrivalRecord
from cloud.maintenance.view import MaintenanceView
from cloud.store import Store, insert_new, tables
from cloud.visits.letters import KEPT_S, find_judgements
from cloud.visits.room import VisitRefused
from cloud.visits.verdicts import verdict_of
from contracts.arrival import (
    FORMAT,
    Arrival,
    ArrivalError,
    SignedArrival,
    arrival_to_json,
    parse_arrival,
    verify_arrival,
)
from contracts.clock import Clock
from contracts.errors import ContractsError
from contracts.presence import parse_presence
from contracts.rotating import Moment
from contracts.signed_visit import signed_visit_from_json
from contracts.visit import VisitClass
from contracts.work_order import Order

__all__ = ["ArrivalRoom", "Came", "came_since"]

OF_ORDER_MAX = 20
_CLOCK_S = 600  # by which a phone's clock may be off
_CONFIRMED = "confirmed"
_INSPECTION = "inspection-mode"


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """Somebody reached a device to repair it."""

    at_ms: int
    is_shown: bool  # by the device's gateway; else by the crew's word alone
    transaction: str | None  # 0x…, that recorded it


class ArrivalRoom:
    """Takes arrivals."""

    def __init__(
        self,
        *,
        store: Store,
        directory: DirectoryFile,
        clock: Clock,
        chain_id: int,
        contract: str,
        view: MaintenanceView | None,
    ) -> None:
        """`contract` is WorkOrders' address; empty, as `view` is None, where no chain with one is followed."""
        self._store, self._directory, self._clock = store, directory, clock
        self._place, self._view = (chain_id, contract.lower()), view

    @property
    def contract(self) -> str:
        """The work orders that arrivals are signed for; empty takes none."""
        return self._place[1]

    async def take(self, encoded: bytes) -> dict[str, Any]:
        """Keep one `minglou-arrival/1` and wish for it on chain; the same again changes nothing.

        Returns:
            The order and the arrival's digest, hex, and whether the chain has it: `waiting` or `recorded`.

        Raises:
            VisitRefused: it is about no order here, of another place or time, or not signed by one of the crew.
        """
        signed, order = self._checked(encoded)
        arrival, column, now_ms = signed.arrival, tables.arrivals.c, self._clock.now_ms()
        params = {"order": arrival.order.hex(), "digest": arrival.digest().hex()}
        row = {
            "order_id": arrival.order, "digest": arrival.digest(), "device": arrival.device,
            "at_s": max(arrival.at_s, _begun_at_s(order)), "received_at_ms": now_ms,
            "file": json.dumps(arrival_to_json(signed), separators=(",", ":")),
        }  # fmt: skip
        async with self._store.write() as connection:
            others = select(func.count()).where(column.order_id == arrival.order, column.digest != arrival.digest())
            if (await connection.execute(others)).scalar_one() >= OF_ORDER_MAX:
                says = f"{OF_ORDER_MAX} arrivals are kept for this order already; finish it by its visit"
                raise VisitRefused(429, "too_many", says)
            await insert_new(connection, tables.arrivals, row)
            await add_intent(connection, f"arrival:{params['digest']}", "arrival", params, now_ms=now_ms)
        assert self._view is not None, "checked"
        is_recorded = _recorded(self._view, arrival) is not None
        return {**params, "chain": "recorded" if is_recorded else "waiting"}

    def _checked(self, encoded: bytes) -> tuple[SignedArrival, Order]:
        if self._view is None or not self._place[1]:
            raise VisitRefused(503, "no_chain", "this cloud follows no chain with work orders")
        try:
            signed = parse_arrival(encoded)
        except ContractsError as error:
            raise VisitRefused(400, "malformed", f"{error}; send one {FORMAT}") from error
        if (signed.chain_id, signed.contract) != self._place:
            says = f"it is signed for {signed.contract} on chain {signed.chain_id}; this site's is {self._place[1]}"
            raise VisitRefused(422, "wrong_contract", f"{says} on {self._place[0]}")
        order = self._view.order_of(signed.arrival.device, signed.arrival.order)
        if order is None:
            says = "no such order about this device is on the followed chain; send it again once its report is"
            raise VisitRefused(404, "unknown_order", says)
        self._check_scan(signed.arrival)
        self._check_time(signed.arrival, order)
        try:
            verify_arrival(signed)
        except ArrivalError as error:
            raise VisitRefused(422, "bad_signature", str(error)) from error
        member = self._directory.read().crew_of(signed.arrival.mechanic)
        if member is None or member.public != signed.signature.public:
            raise VisitRefused(403, "unknown_crew", "this crew member has another key here, or none")
        return signed, order

    def _check_scan(self, arrival: Arrival) -> None:
        """Refuse what was scanned elsewhere. Whether a display's code is right its gateway alone can tell."""
        scan = arrival.scan
        if (scan.label is None) == (scan.moment is None):
            says = "its scan is of a display's code or of a printed label, not both and not neither"
            raise VisitRefused(400, "malformed", says)
        if scan.label is not None and not self._carries(arrival.device, scan.label):
            raise VisitRefused(422, "wrong_label", "the code that was scanned is not this device's, or was withdrawn")

    def _carries(self, device: bytes, label: bytes) -> bool:
        """Whether a printed label is a device's, or that of a display or door beside it: on chain first."""
        assert self._view is not None, "checked"
        directory, held = self._directory.read(), self._view.label_of(label)
        if held is not None:
            carrier, is_revoked = directory.device_of(held[0]), held[2]
        else:
            found = directory.label_of(label)
            carrier, is_revoked = (found[0] if found else None), False
        return carrier is not None and not is_revoked and device in (carrier.device, carrier.of)

    def _check_time(self, arrival: Arrival, order: Order) -> None:
        now_s, at_s, scan = self._clock.now_ms() // 1000, arrival.at_s, arrival.scan
        if not now_s - KEPT_S < at_s <= now_s + _CLOCK_S:
            raise VisitRefused(422, "bad_time", "it lies ahead, or over 60 days back; check the phone's clock")
        if at_s < _begun_at_s(order) - _CLOCK_S:
            raise VisitRefused(422, "bad_time", "it lies before the fault that its order is about")
        if scan.moment is not None and abs(scan.at_s - scan.moment.starts_at_s) > _CLOCK_S:
            says = "the display showed this code at another time; scan it where it hangs, and check the phone's clock"
            raise VisitRefused(422, "bad_time", says)


def _begun_at_s(order: Order) -> int:
    """When the fault was seen, or reported."""
    return order.seen_at or order.reported_at


def _recorded(view: MaintenanceView, arrival: Arrival) -> ArrivalRecord | None:
    """What the followed chain has of an arrival."""
    wanted = (arrival.mechanic, arrival.digest())
    return next((one for one in view.arrivals.get(arrival.order, ()) if (one.crew, one.digest) == wanted), None)


async def came_since(connection: Any, device: bytes, since_s: int, view: MaintenanceView | None) -> Sequence[Came]:
    """Who came to repair a device from a time on, the first first: arrivals, and repair visits, which need none.

    A visit that its gateway saw nothing of is nobody's coming; one that it did see began when a right code was shown,
    or the machine was first taken out of service, whatever the phone said. An arrival that the chain alone has was
    brought by somebody else, or lost here with a database.

    Args:
        view: what the chain has of them; None where none is followed.
    """
    column = tables.visits.c
    query = select(tables.visits).where(
        column.device == device, column.visit_class == int(VisitClass.REPAIR), column.started_at_s >= since_s
    )
    visits = (await connection.execute(query)).all()
    judged = await find_judgements(connection, visits)
    confirmed: set[tuple[bytes, Moment]] = set()
    found: list[Came] = []
    for visit in visits:
        entry = judged.get(visit.digest)
        recorded = view.recorded(visit.digest) if view else None
        transaction = recorded.transaction if recorded else None
        if entry is None:
            found.append(Came(at_ms=visit.started_at_s * 1000, is_shown=False, transaction=transaction))
        elif entry.value >= 1:
            facts = (await verdict_of(connection, entry)).get("facts", {})
            codes = set(_right_codes(visit, facts))
            confirmed |= codes
            found.append(replace(_seen(visit, facts, codes), transaction=transaction))
    held = tables.arrivals.c
    rows = await connection.execute(select(held.at_s, held.file).where(held.device == device, held.at_s >= since_s))
    arrivals = [(row.at_s, parse_arrival(row.file.encode()).arrival) for row in rows]
    found += _arrived(arrivals, confirmed, view.arrivals_at(device) if view else ())
    return sorted((one for one in found if one.at_ms >= since_s * 1000), key=lambda one: (one.at_ms, not one.is_shown))


def _arrived(
    arrivals: Iterable[tuple[int, Arrival]],
    confirmed: Collection[tuple[bytes, Moment]],
    on_chain: Iterable[ArrivalRecord],
) -> Iterator[Came]:
    """Arrivals that are kept here, each with its time, then those that the chain alone has."""
    recorded = {(one.order, one.crew, one.digest): one for one in on_chain}
    for at_s, arrival in arrivals:
        record = recorded.pop((arrival.order, arrival.mechanic, arrival.digest()), None)
        is_shown = arrival.scan.moment is not None and (arrival.mechanic, arrival.scan.moment) in confirmed
        yield Came(at_ms=at_s * 1000, is_shown=is_shown, transaction=record.transaction_hash if record else None)
    for record in recorded.values():
        yield Came(at_ms=record.at_s * 1000, is_shown=False, transaction=record.transaction_hash)


def _seen(visit: Any, facts: Mapping[str, Any], codes: Collection[tuple[bytes, Moment]]) -> Came:
    """When a visit began by what its gateway saw; by its crew's word where that tells no time."""
    said_ms, begins_ms = visit.started_at_s * 1000, [moment.starts_at_s * 1000 for _alias, moment in codes]
    inspection = facts.get(_INSPECTION)
    if isinstance(inspection, dict) and isinstance(inspection.get("from_ms"), int):
        begins_ms.append(max(inspection["from_ms"], said_ms))  # it may have stood so before they came
    return Came(at_ms=min(begins_ms, default=said_ms), is_shown=bool(begins_ms), transaction=None)


def _right_codes(visit: Any, facts: Mapping[str, Any]) -> Iterator[tuple[bytes, Moment]]:
    """Each mechanic with those of his codes that the gateway found right."""
    found = facts.get("presence")
    words, slots = (found.get("signers"), found.get("slots")) if isinstance(found, dict) else (None, None)
    if visit.presence is None or not isinstance(words, list) or not isinstance(slots, list):
        return  # nobody could be seen there, or too much was to be told
    presence = parse_presence(visit.presence.encode())
    mechanics = signed_visit_from_json(json.loads(visit.file)).visit.mechanics
    for by, (alias, word) in enumerate(zip(mechanics, words, strict=False)):
        if word == _CONFIRMED:
            yield from ((alias, moment) for moment in presence.moments_of(by) if moment.slot in slots)
