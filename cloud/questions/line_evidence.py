"""What a bill's line rests on: the meters' boundary entries, and the unit's key where a table shares a pool."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cloud.billing.pool_keys import key_in_table
from cloud.billing.usage import (
    BoundaryEntry,
    MeterSpan,
    Registers,
    Subject,
    dates_of_changes,
    load_registers,
    spans_of,
)
from cloud.chain.view import ChainView, TariffRecord
from cloud.errors import BillingError
from cloud.questions.ground import Ground
from cloud.web.answers import ReadingRef
from contracts.bill import Bill, Line, LineKind
from contracts.key_table import NO_KEY, key_proof_to_json
from contracts.tariff import Counting

__all__ = ["METERED", "BillEntries", "key_proof", "timed_places", "zone_of"]

METERED = (LineKind.OWN, LineKind.SHARED, LineKind.ESTIMATED, LineKind.INTERVAL)


class BillEntries:
    """The boundary entries that a bill's lines rest on, read at once."""

    def __init__(self, view: ChainView, bill: Bill, registers: Registers) -> None:
        self._view, self._bill, self._registers = view, bill, registers
        self._references: Mapping[tuple[str, int], ReadingRef] = {}

    @classmethod
    async def read(cls, connection: Any, view: ChainView, bill: Bill, lines: Sequence[Line]) -> "BillEntries":
        """Every register of these lines' meters at the lines' dates."""
        metered = [line for line in lines if line.kind in METERED]
        bound = {subject: view.bound().get(subject, ()) for subject in (_subject(view, bill, line) for line in metered)}
        dates = {day for line in metered for day in (line.since, line.from_date, line.to_date) if day}
        devices = {device for some in bound.values() for device, _ in some}
        dates |= dates_of_changes(bound)
        registers = await load_registers(connection, view, dates=dates, devices=devices) if metered else Registers()
        return cls(view, bill, registers)

    async def refer(self, ground: Ground, connection: Any, line: Line) -> None:
        """Read what pages show of the entries that a line rests on."""
        self._references = await ground.references(connection, self._entries(line)) if line.kind in METERED else {}

    def spans(self, line: Line, register: str, from_date: int, to_date: int) -> Sequence[MeterSpan]:
        """What one register of the line's meters counted between two boundary dates, meter by meter; empty where an
        entry is missing: the page shows the line without it, which is what there is.
        """
        if line.kind not in METERED:
            return ()
        subject = _subject(self._view, self._bill, line)
        bindings = {subject: self._view.bound().get(subject, ())}
        try:
            return spans_of(self._registers, bindings, subject, register=register, from_date=from_date, to_date=to_date)
        except BillingError:
            return ()

    def subject(self, line: Line) -> Subject:
        """Whose meters count a line: the unit's own, or a pool's."""
        return _subject(self._view, self._bill, line)

    def reference(self, entry: BoundaryEntry) -> ReadingRef | None:
        """An entry as pages refer to it; None where it was erased."""
        return self._references.get((entry.origin, entry.index))

    def meters(self, spans: Sequence[MeterSpan]) -> tuple[tuple[ReadingRef, ReadingRef], ...]:
        """Opening and closing entry of each meter; none where one was erased."""
        ends = [(self.reference(span.opening), self.reference(span.closing)) for span in spans]
        known = [(opening, closing) for opening, closing in ends if opening is not None and closing is not None]
        return tuple(known) if len(known) == len(ends) else ()

    def readings(self, line: Line) -> tuple[ReadingRef, ...]:
        """Every boundary entry that the line rests on, by day: each register over its days, the total since steps
        count.
        """
        record = self._view.tariffs.get(line.tariff)
        if record is None or line.kind not in METERED:
            return ()
        found = {
            (entry.origin, entry.index): reading
            for register, first, last in _asked(line, record)
            for entry in _ends(self.spans(line, register, first, last))
            if (reading := self.reference(entry)) is not None
        }
        return tuple(sorted(found.values(), key=lambda reading: reading.quantity.rpartition("*")[2]))

    def _entries(self, line: Line) -> Iterator[BoundaryEntry]:
        record = self._view.tariffs.get(line.tariff)
        yield from _ends(self.spans(line, line.quantity, line.from_date, line.to_date))
        for register, first, last in _asked(line, record) if record is not None else ():
            yield from _ends(self.spans(line, register, first, last))


def _subject(view: ChainView, bill: Bill, line: Line) -> Subject:
    return (line.subject, 2) if line.kind is LineKind.SHARED else (view.roll[bill.unit_index].alias, 1)


def _asked(line: Line, record: TariffRecord) -> Sequence[tuple[str, int, int]]:
    # A meter without tariff registers: its total, and readings between that say when.
    registers = [line.quantity] if line.kind is LineKind.INTERVAL else record.terms.registers
    asked = [(register, line.from_date, line.to_date) for register in registers]
    if record.terms.counting is not Counting.NONE and line.since < line.from_date:
        asked.insert(0, (line.quantity, line.since, line.from_date))
    return asked


def _ends(spans: Sequence[MeterSpan]) -> Iterator[BoundaryEntry]:
    for span in spans:
        yield span.opening
        yield span.closing


def timed_places(derivation: Mapping[str, Any]) -> Sequence[tuple[str, int]]:
    """Where the readings stand that share a line out by price, each once, in order: none of them a boundary entry."""
    points = (point for interval in derivation.get("intervals", ()) for point in interval["points"])
    inputs = (one for point in points for one in point["inputs"] if "origin" in one)
    return sorted({(str(one["origin"]), int(one["index"])) for one in inputs})


def zone_of(derivation: Mapping[str, Any]) -> str:
    """By whose clocks prices change; empty for a line that no clock prices."""
    return next((str(interval["zone"]) for interval in derivation.get("intervals", ())), "")


async def key_proof(connection: Any, view: ChainView, bill: Bill, line: Line, record: TariffRecord | None) -> str:
    """Where the unit's key stands in the table that shares the pool, as the page's check takes it; else empty."""
    if record is None:
        return ""
    try:
        proof = await key_in_table(connection, view, line, record.terms, period=bill.period, unit_index=bill.unit_index)
    except BillingError:
        return ""  # the check says that it is not on the page
    return "" if proof is NO_KEY else json.dumps(key_proof_to_json(proof), separators=(",", ":"))
