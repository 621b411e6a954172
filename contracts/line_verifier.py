"""Verify one line of a bill: does it charge what its signed readings say, and what the announced prices make of that?

The same checks, with the same names, run in the browser (`contracts/js/line.js`). A unit's part of a pool is computed
there alone, for it asks the roll; and a line by readings between boundaries by `contracts.interval_line`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

from contracts.bill import Bill, BillError, BillProof, LineKind
from contracts.entry import Kind
from contracts.evidence import Binding, Evidence
from contracts.onchain import ChainView
from contracts.report import Check, NotCheckedError, Outcome, run_check
from contracts.tariff import Basis, Counting, Terms, decode_terms

__all__ = ["LineCheckName", "verify_line"]

_METERED = (LineKind.OWN, LineKind.SHARED)
_ABSENT = {
    LineKind.ESTIMATED: "this line is an estimate until the meter is read",
    LineKind.INTERVAL: "the readings between boundaries are not in this file; the line's page has them",
    LineKind.STANDING: "only the chain knows the roll; the line's page asks it",
    LineKind.CREDIT: "this line rests on a right, not on readings",
}


class LineCheckName(StrEnum):
    """The checks, in the order in which they are made and told."""

    READINGS = "readings"
    TARIFF = "tariff"


_REMEDIES = {
    LineCheckName.READINGS: "The line charges another usage than its signed readings. Dispute the line.",
    LineCheckName.TARIFF: "The amount does not follow from the announced prices. Dispute the line.",
}


def verify_line(
    proof: BillProof, number: int, readings: Sequence[Evidence], chain: ChainView | None = None
) -> tuple[Check, ...]:
    """The checks of one line of a bill whose own checks are made elsewhere.

    Args:
        readings: evidence of the boundary entries that the line rests on, each verified, in any order.
    """
    reckoning = _Reckoning(proof, number, readings, chain)
    usage = run_check(LineCheckName.READINGS, reckoning.check_usage, _REMEDIES[LineCheckName.READINGS])

    def check_amount() -> str:
        if usage.outcome is not Outcome.PASSED:
            raise NotCheckedError("rests on the check readings, which has not passed")
        return reckoning.check_amount()

    return usage, run_check(LineCheckName.TARIFF, check_amount, _REMEDIES[LineCheckName.TARIFF])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """A boundary entry, and for whom its meter counts."""

    device: bytes
    register: str
    day: int
    value: int
    binding: Binding | None

    @property
    def bound(self) -> tuple[int, int]:
        """Between which boundary dates the meter counts; 0 where that is open."""
        binding = self.binding
        if binding is None:
            return 0, 0
        return _day(f"{binding.from_date:%Y%m%d}"), _day(f"{binding.to_date:%Y%m%d}") if binding.to_date else 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Span:
    """What one register of one meter counted; a reading that is missing has no value."""

    register: str
    first: int
    last: int
    opened: int | None = None
    closed: int | None = None
    used: tuple[_Reading, ...] = ()

    @property
    def usage(self) -> int:
        return (self.closed or 0) - (self.opened or 0)


@dataclass(slots=True)
class _Reckoning:
    """One run over one line."""

    proof: BillProof
    number: int
    evidence: Sequence[Evidence]
    chain: ChainView | None
    readings: list[_Reading] = field(default_factory=list)
    used: list[int] = field(default_factory=list)
    prior: int = 0

    @property
    def bill(self) -> Bill:
        return self.proof.bill

    def check_usage(self) -> str:
        line = self.bill.lines[self.number]
        if line.kind not in _METERED:
            raise NotCheckedError(_ABSENT[line.kind])
        terms = self._terms()
        self.readings = [_reading_of(one) for one in self.evidence]
        stretches = [
            (register, line.from_date, line.to_date) for register in (terms.registers if terms else (line.quantity,))
        ]
        since = line.from_date if terms is not None and terms.counting is Counting.NONE else line.since
        before = (line.quantity, since, line.from_date)
        spans = {stretch: self._spans(*stretch) for stretch in [*stretches, before]}
        self.used = [sum(span.usage for span in spans[stretch]) for stretch in stretches]
        self.prior = sum(span.usage for span in spans[before])
        self._check_complete(spans)
        own = [span for stretch in stretches for span in spans[stretch]]
        self._check_subject(own)
        if sum(self.used) != line.usage:
            raise BillError(f"the line charges {line.usage}, the readings say {sum(self.used)}")
        return " + ".join(f"{span.closed} - {span.opened}" for span in own) + f" = {line.usage}"

    def check_amount(self) -> str:
        line = self.bill.lines[self.number]
        if self.chain is None:
            raise NotCheckedError("only the chain knows the published tariff")
        if line.kind is not LineKind.OWN:
            raise NotCheckedError("a part of a pool needs the roll; the line's page computes it")
        terms = self._terms()
        if terms is None:
            raise NotCheckedError(f"the file does not bring the terms of tariff {line.tariff}")
        held = self.chain.tariff(line.tariff)
        if not held.is_in_force(line.from_date, line.to_date):
            raise BillError(f"tariff {line.tariff} is not in force over the line's days")
        if sha256(dict(self.proof.terms)[line.tariff]).digest() != held.digest:
            raise BillError(f"the file's terms of tariff {line.tariff} are not those that were announced")
        if terms.basis is not Basis.METER or terms.quantity != line.quantity:
            raise BillError(
                f"tariff {line.tariff} is for {terms.quantity} by {terms.basis.name.lower()}, not for the line"
            )
        self._check_since(terms)
        season = terms.season(line.from_date, line.to_date)
        residents = 0
        if season.extra:
            residents = self.chain.residents(self.chain.unit_at(self.bill.unit_index), line.from_date)
        amount = season.charge(used=self.used, prior=self.prior, residents=residents)
        if amount != line.amount:
            raise BillError(f"the line charges {line.amount} fen, the tariff makes {amount}")
        return f"tariff {line.tariff} makes {amount} fen of {line.usage}"

    def _terms(self) -> Terms | None:
        """The terms that the file brings, not yet held against the chain."""
        encoded = dict(self.proof.terms).get(self.bill.lines[self.number].tariff)
        return None if encoded is None else decode_terms(encoded)

    def _spans(self, register: str, begins: int, ends: int) -> list[_Span]:
        """What a register counted between two boundary dates, meter by meter, in the order in which they counted."""
        meters = dict.fromkeys((one.bound, one.device) for one in self.readings)
        if len(meters) > 1 and any(one.binding is None for one in self.readings):
            raise BillError("the readings are of two meters, and nothing says that they count for one unit")
        found = []
        for (bound_from, bound_to), device in sorted(meters):
            first, last = max(bound_from, begins), min(bound_to or ends, ends)
            own = [one for one in self.readings if one.device == device and one.bound == (bound_from, bound_to)]
            opening = tuple(one for one in own if one.register == register and one.day == first)
            closing = tuple(one for one in own if one.register == register and one.day == last)
            if first >= last or not (opening or closing):
                continue
            # Two values for one boundary are equivocation, and the lower charge stands.
            opened = max((one.value for one in opening), default=None)
            closed = min((one.value for one in closing), default=None)
            found.append(
                _Span(register=register, first=first, last=last, opened=opened, closed=closed, used=opening + closing)
            )
        return found or ([] if begins == ends else [_Span(register=register, first=begins, last=ends)])

    def _check_complete(self, spans: dict[tuple[str, int, int], list[_Span]]) -> None:
        """Refuse readings that belong to no span, and spans that leave a day out or run backwards."""
        used = {id(reading) for some in spans.values() for span in some for reading in span.used}
        stray = next((one for one in self.readings if id(one) not in used), None)
        if stray is not None:
            raise BillError(f"the reading of {stray.register} at {stray.day} does not belong to this line")
        for (register, begins, ends), some in spans.items():
            at = begins
            for span in some:
                missing = at if span.first != at else span.first if span.opened is None else span.last
                if span.first != at or span.opened is None or span.closed is None:
                    raise NotCheckedError(f"the reading of {register} at {missing} is not in this file")
                if span.closed < span.opened:
                    raise BillError(f"{register} falls from {span.opened} to {span.closed}")
                at = span.last
            if at != ends:
                raise NotCheckedError(f"the reading of {register} at {at} is not in this file")

    def _check_subject(self, spans: Sequence[_Span]) -> None:
        """Whether the meters count for this bill's unit, or for this line's pool."""
        line, is_own = self.bill.lines[self.number], self.bill.lines[self.number].kind is LineKind.OWN
        if is_own and line.subject != spans[-1].used[-1].device:
            raise BillError("the readings are of another meter than the line's")
        bindings = list(_bindings(spans))
        subject = line.subject if not is_own else None
        if is_own and bindings and self.chain is not None:
            subject = self.chain.unit_at(self.bill.unit_index)
        role = "own" if is_own else "pool"
        if any(one.role != role or (subject is not None and one.unit != subject) for one in bindings):
            raise BillError(f"the readings are of a meter that counts for another {'unit' if is_own else 'pool'}")

    def _check_since(self, terms: Terms) -> None:
        """Tiers count from the period's or the year's beginning, or later with the meter."""
        line = self.bill.lines[self.number]
        if terms.counting is Counting.NONE or line.since == line.from_date:
            return
        first = self.bill.period // 10**8
        if terms.counting is Counting.YEAR:
            first = line.from_date // 10_000 * 10_000 + 101
        if not first <= line.since < line.from_date:
            raise BillError(f"the steps count from {line.since}, another day than they may")


def _bindings(spans: Sequence[_Span]) -> Iterator[Binding]:
    for span in spans:
        for reading in span.used:
            if reading.binding is not None:
                yield reading.binding


def _reading_of(evidence: Evidence) -> _Reading:
    entry = evidence.entry()
    register, _, day = entry.quantity.partition("*")
    if entry.kind is not Kind.READING or not day:
        raise BillError("a reading of the line is not a boundary's")
    binding = evidence.assignment.binding if evidence.assignment is not None else None
    return _Reading(device=entry.device, register=register, day=_day(day), value=entry.value, binding=binding)


def _day(text: str) -> int:
    return int(text)
