"""Estimated lines that entries measure by now: what they should have charged, as a line on the next bill.

The right amount is what Charges.vy gives for the same entries. What is owed is a charge of its own (kind 3 without a
tariff, which the arbiter judges); what was charged too much is a credit note. Either names its derivation by SHA-256.
A challenge that was settled counts: only what it left is corrected.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from cloud.billing.bill_block import SALT_BYTES
from cloud.billing.derivation import describe, metered_steps
from cloud.billing.estimation import days_between
from cloud.billing.kept import open_bills, open_notes, read_contents
from cloud.billing.reckoning import OWN_ROLE, DraftLine
from cloud.billing.usage import bindings_of, date_text, dates_of_changes, load_registers, reach_of, spans_of
from cloud.chain.view import ChainView
from cloud.errors import BillingError
from cloud.store import tables
from contracts.bill import LINE_BYTES, Line, LineKind, decode_line
from contracts.tariff import Counting

__all__ = ["CORRECTION", "corrections_by_unit", "corrections_of"]

CORRECTION = "correction"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Estimated:
    """One posted estimate."""

    period: int
    unit_index: int
    number: int
    line: Line


async def corrections_of(connection: AsyncConnection, view: ChainView, period: int) -> list[tuple[int, DraftLine]]:
    """Unit index and line of every correction that a period's bills owe or give back, in unit order."""
    found = []
    for one in await _open_estimates(connection, view, period):
        try:
            correction = await _correction(connection, view, period, one)
        except BillingError:
            continue  # nothing measures it yet: a later period asks again
        if correction is not None and not await _is_billed(connection, view, period, one, correction.line.subject):
            found.append((one.unit_index, correction))
    return sorted(found, key=lambda item: (item[0], item[1].line.subject))


async def _open_estimates(connection: AsyncConnection, view: ChainView, period: int) -> list[_Estimated]:
    """Estimates of earlier periods that no other period's bills have corrected."""
    column = tables.line_notes.c
    query = select(tables.line_notes).where(column.period != period)
    query = query.order_by(column.period, column.unit_index, column.line)
    notes = [row for row in await connection.execute(query) if row.period in view.periods]
    corrected: set[tuple[int, int, int]] = set()
    estimates = []
    for row in notes:
        note: dict[str, Any] = json.loads(open_notes(connection, [(view.roll[row.unit_index].alias, row.content)])[0])
        if "corrects" in note:
            corrected.add((int(note["corrects"]["period"]), row.unit_index, int(note["corrects"]["line"])))
        elif row.period % 10**8 <= period // 10**8:
            estimates.append((row.period, row.unit_index, row.line))
    found = []
    for earlier, unit_index, number in estimates:
        if (earlier, unit_index, number) not in corrected:
            ((_, content),) = await read_contents(connection, earlier, unit_index, 1)
            start = SALT_BYTES + number * LINE_BYTES
            line = decode_line(content[start : start + LINE_BYTES])
            found.append(_Estimated(period=earlier, unit_index=unit_index, number=number, line=line))
    return found


async def _is_billed(connection: AsyncConnection, view: ChainView, period: int, one: _Estimated, digest: bytes) -> bool:
    """Whether another period's bill of the unit names this very correction, noted or not."""
    column, unit = tables.posted_bills.c, view.roll[one.unit_index].alias
    query = select(column.content).where(column.unit == unit, column.period.not_in([period, one.period]))
    rows = [(unit, content) for content in (await connection.execute(query)).scalars()]
    return any(digest in content for content in open_bills(connection, rows))


async def _correction(connection: AsyncConnection, view: ChainView, period: int, one: _Estimated) -> DraftLine | None:
    """The correcting line; None where the estimate was right, or is being challenged. Raises BillingError while no
    entry measures it.
    """
    charged = _charged(view, one)
    if charged is None:
        return None
    line, terms = one.line, view.tariffs[one.line.tariff].terms
    subject = (view.roll[one.unit_index].alias, OWN_ROLE)
    bindings = bindings_of(view, [subject])
    registers = await load_registers(
        connection,
        view,
        dates={line.since, line.from_date, *dates_of_changes(bindings)},
        devices={device for device, _ in bindings.get(subject, ())},
        since=line.to_date,
    )
    days = (line.from_date, line.to_date)
    reach = reach_of(registers, bindings, subject, names=terms.registers, from_date=days[0], to_date=days[1])
    if reach is None:
        raise BillingError("no entry measures the estimate yet")
    counted = [
        sum(
            span.usage
            for span in spans_of(registers, bindings, subject, register=name, from_date=days[0], to_date=reach)
        )
        for name in terms.registers
    ]
    used = [usage * days_between(*days) // days_between(days[0], reach) for usage in counted]
    prior = 0
    if terms.counting is not Counting.NONE and line.since < line.from_date:
        before = spans_of(
            registers, bindings, subject, register=line.quantity, from_date=line.since, to_date=line.from_date
        )
        prior = sum(span.usage for span in before)
    season, residents = terms.season(*days), view.residents(subject[0], line.from_date)
    right = season.charge(used=used, prior=prior, residents=residents)
    if right == charged:
        return None
    corrects = {
        "period": str(one.period),
        "line": str(one.number),
        "from": date_text(days[0]),
        "to": date_text(days[1]),
        "measured_on": date_text(reach),
        "charged": str(charged),
        "right": str(right),
        "used": str(sum(used)),
        "prior": str(prior),
        "steps": metered_steps(season, used=used, prior=prior, residents=residents),
    }
    return _line(period, corrects, right - charged)


def _charged(view: ChainView, one: _Estimated) -> int | None:
    """What the estimate charges by now; None while a challenge of it is open."""
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
