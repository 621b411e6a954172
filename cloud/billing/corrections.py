"""Estimated lines that entries measure by now: what they should have charged, as a line on the next bill.

The right amount is what Charges.vy gives for the same entries. What is owed is a charge of its own (kind 3 without a
tariff, which the arbiter judges); what was charged too much is a credit note. Either names its derivation by SHA-256.
A challenge that was settled counts: only what it left is corrected.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import groupby
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.bill_block import SALT_BYTES, lines_of
from cloud.billing.derivation import describe, metered_steps
from cloud.billing.estimation import days_between
from cloud.billing.intervals import PriceTimes, load_interval_readings, timed_devices
from cloud.billing.kept import open_bills, open_notes, read_contents
from cloud.billing.line_days import LineDays
from cloud.billing.metering import Metering
from cloud.billing.reckoning import DraftLine, Reckoning
from cloud.billing.usage import (
    OWN_ROLE,
    Bindings,
    Registers,
    Subject,
    bindings_of,
    date_text,
    dates_of_changes,
    load_registers,
    reaches_of,
    spans_of,
)
from cloud.chain.view import ChainView
from cloud.directory import Directory
from cloud.errors import BillingError
from cloud.store import tables
from contracts.bill import LINE_BYTES, Line, LineKind, decode_line
from contracts.tariff import Counting, TariffError, Terms

__all__ = ["CORRECTION", "Corrections", "corrections_by_unit", "corrections_of"]

CORRECTION = "correction"


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrections:
    """What a period's bills owe or give back, unit index and line each, in unit order."""

    lines: Sequence[tuple[int, DraftLine]]
    others: Sequence[tuple[int, DraftLine]] = ()  # the same corrections by other entries: as posted before some came
    problems: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Estimated:
    """One posted estimate."""

    period: int
    unit_index: int
    number: int
    line: Line


@dataclass(frozen=True, slots=True, kw_only=True)
class _Billed:
    """A correction that was posted and that no note explains."""

    period: int
    number: int
    digest: bytes

    def may_correct(self, one: _Estimated) -> bool:
        return one.period % 10**8 <= self.period // 10**8


async def corrections_of(
    connection: AsyncConnection, view: ChainView, directory: Directory, period: int, *, unit_index: int | None = None
) -> Corrections:
    """Every correction that a period's bills owe or give back. An estimate that a posted correction may already have
    corrected, without anybody being able to tell, is a problem in words and is not corrected: never twice.

    Args:
        unit_index: of one unit alone.
    """
    noted, estimates = await _open_estimates(connection, view, period, unit_index)
    lines, others, problems = list[tuple[int, DraftLine]](), list[tuple[int, DraftLine]](), list[str]()
    for index, some in groupby(estimates, key=lambda one: one.unit_index):
        billed = await _billed_without_note(connection, view, period, index, noted)
        due: list[tuple[_Estimated, Sequence[DraftLine | None]]] = []
        for one in some:
            try:
                possible = await _possible(connection, view, directory, period, one)
            except BillingError as error:
                problems.append(f"{_name(view, directory, index)}: {error}")
                continue
            same = next(
                (was for was in billed if any(line and line.line.subject == was.digest for line in possible)), None
            )
            if same is not None:
                billed.remove(same)
            elif any(possible):
                due.append((one, possible))
        for one, (first, *rest) in due:
            unclear = next((was for was in billed if was.may_correct(one)), None)
            if unclear is not None:
                problems.append(_unclear(view, directory, one, unclear))
                continue
            if first is not None:
                lines.append((index, first))
            others += [(index, line) for line in rest if line is not None]
    return Corrections(lines=sorted(lines, key=_by_unit), others=others, problems=problems)


def _by_unit(item: tuple[int, DraftLine]) -> tuple[int, bytes]:
    return item[0], item[1].line.subject


def _name(view: ChainView, directory: Directory, unit_index: int) -> str:
    named = directory.unit_of(view.roll[unit_index].alias)
    return named.name if named else f"unit {unit_index}"


def _unclear(view: ChainView, directory: Directory, one: _Estimated, billed: _Billed) -> str:
    return (
        f"{_name(view, directory, one.unit_index)}: line {one.number + 1} of {one.period} was an estimate that entries "
        f"measure by now, and line "
        f"{billed.number + 1} of {billed.period} corrects nobody can tell what; enter what is still owed by hand"
    )


async def _open_estimates(
    connection: AsyncConnection, view: ChainView, period: int, unit_index: int | None
) -> tuple[set[tuple[int, int, int]], list[_Estimated]]:
    """Whatever has a note (period, unit index, line), and the estimates of earlier periods that no other period's
    bills have corrected, unit by unit.
    """
    column = tables.line_notes.c
    query = select(tables.line_notes).where(column.period != period)
    if unit_index is not None:
        query = query.where(column.unit_index == unit_index)
    query = query.order_by(column.unit_index, column.period, column.line)
    notes = [row for row in await connection.execute(query) if row.period in view.periods]
    noted: set[tuple[int, int, int]] = set()
    corrected: set[tuple[int, int, int]] = set()
    estimates = []
    for row in notes:
        noted.add((row.period, row.unit_index, row.line))
        note: dict[str, Any] = json.loads(open_notes(connection, [(view.roll[row.unit_index].alias, row.content)])[0])
        if "corrects" in note:
            corrected.add((int(note["corrects"]["period"]), row.unit_index, int(note["corrects"]["line"])))
        elif row.period % 10**8 <= period // 10**8:
            estimates.append((row.period, row.unit_index, row.line))
    found = []
    for earlier, index, number in estimates:
        if (earlier, index, number) not in corrected:
            ((_, content),) = await read_contents(connection, earlier, index, 1)
            start = SALT_BYTES + number * LINE_BYTES
            line = decode_line(content[start : start + LINE_BYTES])
            found.append(_Estimated(period=earlier, unit_index=index, number=number, line=line))
    return noted, found


async def _billed_without_note(
    connection: AsyncConnection, view: ChainView, period: int, unit_index: int, noted: set[tuple[int, int, int]]
) -> list[_Billed]:
    """Corrections on other periods' bills of a unit of which nothing is noted."""
    column, unit = tables.posted_bills.c, view.roll[unit_index].alias
    query = select(column.period, column.content).where(column.unit == unit, column.period != period)
    rows = [row for row in await connection.execute(query.order_by(column.period)) if row.period in view.periods]
    contents = open_bills(connection, [(unit, row.content) for row in rows])
    return [
        _Billed(period=row.period, number=number, digest=line.subject)
        for row, content in zip(rows, contents, strict=True)
        for number, line in enumerate(lines_of(content))
        if line.quantity == CORRECTION and (row.period, unit_index, number) not in noted
    ]


async def _possible(
    connection: AsyncConnection, view: ChainView, directory: Directory, period: int, one: _Estimated
) -> list[DraftLine | None]:
    """The correcting lines by each day from which on entries measure an estimate, the first of them being the one that
    counts; None where the estimate was right. Nothing while it is challenged, or not measured yet.

    Raises:
        BillingError: it was posted in a form that no entry can measure.
    """
    charged = _charged(view, one)
    if charged is None:
        return []
    line, terms = one.line, _terms(view, one)
    subject = (view.roll[one.unit_index].alias, OWN_ROLE)
    bindings = bindings_of(view, [subject])
    registers = await load_registers(
        connection,
        view,
        dates={line.since, line.from_date, *dates_of_changes(bindings)},
        devices={device for device, _ in bindings.get(subject, ())},
        since=Reckoning.history_since(one.period),
    )
    timed = timed_devices(registers, bindings, subject, terms)
    if timed:
        await load_interval_readings(
            connection, view, registers, bindings=bindings, records=[view.tariffs[line.tariff]],
            zone=directory.timezone, days=(line.from_date, line.to_date),
        )  # fmt: skip
    measured = _Measured(
        registers=registers, bindings=bindings, subject=subject, line=line, terms=terms,
        residents=view.residents(subject[0], line.from_date),
        times=PriceTimes(registers, directory.timezone) if timed else None,
    )  # fmt: skip
    reaches = list(
        reaches_of(registers, bindings, subject, names=measured.names, from_date=line.from_date, to_date=line.to_date)
    )
    found = []
    for asked in [partial(measured.right, reach) for reach in reaches] or [
        partial(measured.told, view, directory, one)
    ]:
        try:
            right, corrects = asked()
        except BillingError:
            continue  # it cannot be told yet: a later period asks again
        document = {"period": str(one.period), "line": str(one.number), "charged": str(charged), **corrects}
        found.append(_line(period, document, right - charged) if right != charged else None)
    return found


def _terms(view: ChainView, one: _Estimated) -> Terms:
    """The terms of an estimate, which may not be one of ours: whoever posts bills writes what they like."""
    line = one.line
    try:
        for day in (line.since, line.from_date, line.to_date):
            date_text(day)
        terms = view.tariffs[line.tariff].terms
        terms.season(line.from_date, line.to_date)
        if terms.quantity == line.quantity and line.since <= line.from_date < line.to_date:
            return terms
    except (KeyError, ValueError, TariffError):
        pass
    raise BillingError(
        f"line {one.number + 1} of {one.period} is an estimate that no entry can measure; correct it by hand"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Measured:
    """An estimated line and the entries that may measure it."""

    registers: Registers
    bindings: Bindings
    subject: Subject
    line: Line
    terms: Terms
    residents: int
    times: PriceTimes | None  # for meters without the tariff's registers

    @property
    def names(self) -> Sequence[str]:
        """The registers whose entries measure the line."""
        return self.terms.registers if self.times is None else [self.terms.quantity]

    def right(self, reach: int) -> tuple[int, dict[str, Any]]:
        """Fen by the entries up to a day, as Charges.vy makes of them (of meters without the tariff's registers, which
        it leaves to the arbiter, as a bill would), and how. Raises BillingError.
        """
        line, terms, days = self.line, self.terms, (self.line.from_date, self.line.to_date)
        counted = [self._counted(name, days[0], reach) for name in self.names]
        used = [usage * days_between(*days) // days_between(days[0], reach) for usage in counted]
        if self.times is not None:
            used = self._by_price(self.times, used[0], reach)
        counts = terms.counting is not Counting.NONE and line.since < line.from_date
        prior = self._counted(line.quantity, line.since, line.from_date) if counts else 0
        return self._priced(used, prior, reach)

    def told(self, view: ChainView, directory: Directory, one: _Estimated) -> tuple[int, dict[str, Any]]:
        """The same where the line's opening was never heard, so that no contract can measure it: what its neighbours
        leave of what was counted, so that all months together are that. Raises BillingError.
        """
        line = self.line
        metering = Metering(
            self.registers, self.bindings, view, opening=one.period // 10**8,
            line_days=LineDays(view, directory, one.period), zone=directory.timezone,
        )  # fmt: skip
        part = metering.told(self.subject, view.tariffs[line.tariff], line.from_date, line.to_date)
        if part is None:
            raise BillingError("no entry tells yet where the line ends")
        last = max(point.day for estimate in part.estimates for point in estimate.inputs)
        return self._priced(part.used, part.prior, last)

    def _priced(self, used: Sequence[int], prior: int, reach: int) -> tuple[int, dict[str, Any]]:
        days = (self.line.from_date, self.line.to_date)
        season = self.terms.season(*days)
        right = season.charge(used=used, prior=prior, residents=self.residents)
        return right, {
            "from": date_text(days[0]),
            "to": date_text(days[1]),
            "measured_on": date_text(reach),
            "right": str(right),
            "used": str(sum(used)),
            "prior": str(prior),
            "steps": metered_steps(season, used=used, prior=prior, residents=self.residents),
        }

    def _by_price(self, times: PriceTimes, usage: int, reach: int) -> list[int]:
        """A usage shared out by the readings that are held; by time alone where several meters counted."""
        days = (self.line.from_date, self.line.to_date)
        spans = spans_of(
            self.registers, self.bindings, self.subject, register=self.terms.quantity, from_date=days[0], to_date=reach
        )
        start = spans[0].opening.value if len(spans) == 1 else 0
        return list(
            times.usage(
                self.terms, spans[0].device, days, opening=start, closing=start + usage, with_readings=len(spans) == 1
            ).used
        )

    def _counted(self, register: str, first: int, last: int) -> int:
        spans = spans_of(self.registers, self.bindings, self.subject, register=register, from_date=first, to_date=last)
        return sum(span.usage for span in spans)


def _charged(view: ChainView, one: _Estimated) -> int | None:
    """What is charged for an estimate by now; None while that is being judged."""
    challenge = view.challenges.get((one.period, one.unit_index, one.number))
    if challenge is None:
        return one.line.amount
    return challenge.charge if challenge.state != "open" else None


def _line(period: int, corrects: dict[str, Any], difference: int) -> DraftLine:
    document = json.dumps(corrects, sort_keys=True, separators=(",", ":")).encode()
    opening, closing = divmod(period, 10**8)
    line = Line(
        kind=LineKind.STANDING if difference > 0 else LineKind.CREDIT,
        subject=sha256(document).digest(),
        quantity=CORRECTION,
        tariff=0,
        since=opening,
        from_date=opening,
        to_date=closing,
        usage=0,
        amount=abs(difference),
    )
    return DraftLine(line=line, derivation=describe(line, corrects=corrects))


def corrections_by_unit(found: Sequence[tuple[int, DraftLine]]) -> dict[int, list[DraftLine]]:
    """The corrections of each unit that has some."""
    by_unit: dict[int, list[DraftLine]] = {}
    for unit_index, line in found:
        by_unit.setdefault(unit_index, []).append(line)
    return by_unit
