"""What the meters of a line's subject counted over its days: by their registers, by their readings, or estimated.

Pure functions of what was read; `cloud.billing.reckoning` prices what they give.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import tzinfo

from cloud.billing.estimation import Estimate, estimate_line, estimate_usage
from cloud.billing.intervals import IntervalUsage, PriceTimes, timed_devices
from cloud.billing.line_days import LineDays
from cloud.billing.seasons import tier_start
from cloud.billing.usage import (
    OWN_ROLE,
    Bindings,
    MeterSpan,
    Registers,
    Subject,
    date_text,
    meters_of,
    span_of,
    spans_of,
)
from cloud.chain.view import ChainView, TariffRecord
from cloud.errors import BillingError
from contracts.tariff import Terms

__all__ = ["POOL_NOT_ESTIMATED", "MeteredPart", "Metering"]

POOL_NOT_ESTIMATED = (
    "a pool is not estimated: the contract reckons a shared line from signed entries alone, so every owner who asked "
    "would be given the line back; draft again when the gateway has sent the entry"
)
_SPANS_BEFORE_MAX = 3  # of one answer: contracts/vyper/line_proof.vy


@dataclass(frozen=True, slots=True, kw_only=True)
class MeteredPart:
    """What one metered line will charge for: usage read, not priced yet."""

    subject: Subject
    residents: int
    record: TariffRecord
    from_date: int
    to_date: int
    since: int
    prior: int
    device: bytes  # that counted last
    used: Sequence[int]  # base units by register
    spans: Sequence[MeterSpan] = ()
    estimates: Sequence[Estimate] = ()
    intervals: Sequence[IntervalUsage] = ()
    before: Sequence[MeterSpan] = ()  # that the usage before the line rests on


class _NoReadingsError(BillingError):
    """A meter whose boundary entries say what it counted, and nothing says when."""


class Metering:
    """Usage by line of one period.

    Args:
        line_days: where lines begin and end: two estimated lines that meet in a missing boundary join there.
        zone: by whose clocks prices change.
    """

    def __init__(
        self,
        registers: Registers,
        bindings: Bindings,
        view: ChainView,
        *,
        opening: int,
        line_days: LineDays,
        zone: tzinfo,
    ) -> None:
        self._registers, self._bindings, self._view = registers, bindings, view
        self._opening, self._line_days = opening, line_days
        self._times = PriceTimes(registers, zone)

    def part(self, subject: Subject, record: TariffRecord, first: int, last: int) -> MeteredPart:
        """What one line will charge for. Raises BillingError where nothing can be told."""
        timed = timed_devices(self._registers, self._bindings, subject, record.terms)
        try:
            return self._measured(subject, record, first, last, timed)
        except _NoReadingsError:
            raise  # the tariff does not fit what the gateway logs: nothing that will pass
        except BillingError as error:
            if subject[1] != OWN_ROLE:
                raise BillingError(f"{error}; {POOL_NOT_ESTIMATED}") from error
            return self._estimated(subject, record, first, last, timed)

    def told(self, subject: Subject, record: TariffRecord, first: int, last: int) -> MeteredPart | None:
        """What a line that opens in a boundary that nobody heard takes of what was counted, as its neighbours leave it:
        None while no entry tells where it ends. Raises BillingError where nothing can be told.
        """
        timed = timed_devices(self._registers, self._bindings, subject, record.terms)
        part = self._estimated(subject, record, first, last, timed)
        return part if all(one.is_told for one in part.estimates) else None

    def _measured(
        self, subject: Subject, record: TariffRecord, first: int, last: int, timed: Collection[bytes]
    ) -> MeteredPart:
        terms = record.terms
        used, spans, intervals = (self._by_price if timed else self._by_register)(subject, terms, first, last, timed)
        since = self._tiers_since(subject, terms, first)
        before = self._spans(subject, terms.quantity, since, first) if since < first else ()
        return MeteredPart(
            subject=subject,
            residents=self._residents(subject, first),
            record=record,
            from_date=first,
            to_date=last,
            since=since,
            prior=sum(span.usage for span in before),
            before=before,
            device=self._meters(subject, terms.quantity if timed else terms.registers[0], first, last)[-1][2],
            used=used,
            spans=spans,
            intervals=intervals,
        )

    def _by_register(
        self, subject: Subject, terms: Terms, first: int, last: int, _: Collection[bytes]
    ) -> tuple[list[int], list[MeterSpan], list[IntervalUsage]]:
        """Usage by register, as the meters' own registers counted it."""
        by_register = [self._spans(subject, register, first, last) for register in terms.registers]
        used = [sum(span.usage for span in spans) for spans in by_register]
        return used, [span for spans in by_register for span in spans], []

    def _by_price(
        self, subject: Subject, terms: Terms, first: int, last: int, timed: Collection[bytes]
    ) -> tuple[list[int], list[MeterSpan], list[IntervalUsage]]:
        """The same where at least one meter has no such registers: meter by meter."""
        used, spans, intervals = [0] * len(terms.registers), list[MeterSpan](), list[IntervalUsage]()
        for whole in self._spans(subject, terms.quantity, first, last):
            days = (whole.from_date, whole.to_date)
            if whole.device not in timed:
                parts = [
                    span_of(self._registers, whole.device, register, *days, whole.confirmed)
                    for register in terms.registers
                ]
                counted = [part.usage for part in parts]
            else:
                parts = [whole]
                one = self._times.usage(
                    terms, whole.device, days, opening=whole.opening.value, closing=whole.closing.value
                )
                if not one.readings:
                    raise _NoReadingsError(
                        f"meter {whole.device.hex()[:12]}… has neither tariff registers nor readings between "
                        f"{date_text(days[0])} and {date_text(days[1])}; let the gateway read it between midnights, or "
                        f"give it a tariff with one price"
                    )
                intervals.append(one)
                counted = list(one.used)
            spans += parts
            used = [before + more for before, more in zip(used, counted, strict=True)]
        return used, spans, intervals

    def _estimated(
        self, subject: Subject, record: TariffRecord, first: int, last: int, timed: Collection[bytes]
    ) -> MeteredPart:
        """What the meters are taken to have counted. Raises BillingError where nothing can be told."""
        terms = record.terms
        meters = self._meters(subject, terms.quantity, first, last)
        used, estimates, intervals = [0] * len(terms.registers), list[Estimate](), list[IntervalUsage]()
        for starts, ends, device, _ in meters:
            names = [terms.quantity] if device in timed else terms.registers
            anchors = self._line_days.of(device, terms.quantity)
            found = estimate_line(self._registers, device, names, starts, ends, anchors)
            estimates += found
            counted: Sequence[int] = [one.usage for one in found]
            if device in timed:
                intervals.append(self._times.estimated(terms, found[0]))
                counted = intervals[-1].used
            used = [before + more for before, more in zip(used, counted, strict=True)]
        since = self._tiers_since(subject, terms, first)
        before = [
            estimate_usage(
                self._registers, device, terms.quantity, starts, ends, self._line_days.of(device, terms.quantity)
            )
            for starts, ends, device, _ in (
                self._meters(subject, terms.quantity, since, first) if since < first else ()
            )
        ]
        return MeteredPart(
            subject=subject,
            residents=self._residents(subject, first),
            record=record,
            from_date=first,
            to_date=last,
            since=since,
            prior=sum(one.usage for one in before),
            device=meters[-1][2],
            used=used,
            estimates=[*before, *estimates],
            intervals=intervals,
        )

    def _tiers_since(self, subject: Subject, terms: Terms, first: int) -> int:
        """The day from which tiers count. Where the year's first boundary was not heard they count from the first one
        that was: that charges too little rather than too much, and an answer on chain reaches it.
        """
        since = tier_start(terms, self._opening, first, self._counted_since(subject, terms.quantity, first))
        for starts, ends, device, _ in self._meters(subject, terms.quantity, since, first) if since < first else ():
            if not self._registers.at(device, terms.quantity, starts):
                held = [day for day in self._registers.days(device, terms.quantity) if starts < day <= ends]
                return min(held, default=ends)
            break
        return since

    def _meters(self, subject: Subject, register: str, first: int, last: int) -> list[tuple[int, int, bytes, bool]]:
        return meters_of(self._registers, self._bindings, subject, register=register, from_date=first, to_date=last)

    def _residents(self, subject: Subject, day: int) -> int:
        return self._view.residents(subject[0], day) if subject[1] == OWN_ROLE else 0

    def _spans(self, subject: Subject, register: str, from_date: int, to_date: int) -> Sequence[MeterSpan]:
        return spans_of(
            self._registers, self._bindings, subject, register=register, from_date=from_date, to_date=to_date
        )

    def _counted_since(self, subject: Subject, register: str, day: int) -> int:
        """From when on the subject's meters counted without a gap up to a day: meters that were swapped join, as many
        as an answer to a challenge takes.
        """
        at = day
        for _ in range(_SPANS_BEFORE_MAX):
            before = [
                record.from_date
                for device, record in self._bindings.get(subject, ())
                if record.from_date < at <= (record.to_date or at) and register in self._registers.names(device)
            ]
            if not before:
                break
            at = min(before)
        return at
