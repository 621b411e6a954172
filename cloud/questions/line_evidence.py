"""What a bill's line rests on: the meters' boundary entries, and the unit's key where a table shares a pool."""

import json
from collections.abc import Sequence
from typing import Any

from cloud.billing.pool_keys import key_in_table
from cloud.billing.usage import MeterSpan, read_spans
from cloud.chain.view import ChainView, TariffRecord
from cloud.errors import BillingError
from cloud.questions.ground import Ground
from cloud.web.answers import ReadingRef
from contracts.bill import Line, LineKind
from contracts.key_table import NO_KEY, key_proof_to_json
from contracts.tariff import Counting

__all__ = ["METERED", "key_proof", "line_readings", "line_spans"]

METERED = (LineKind.OWN, LineKind.SHARED, LineKind.ESTIMATED)


async def line_spans(
    connection: Any, view: ChainView, line: Line, index: int, register: str, from_date: int, to_date: int
) -> Sequence[MeterSpan]:
    """What one register of the line's meters counted between two boundary dates, meter by meter; empty where an entry
    is missing: the page shows the line without it, which is what there is.
    """
    if line.kind not in METERED:
        return ()
    subject, role = (line.subject, 2) if line.kind is LineKind.SHARED else (view.roll[index].alias, 1)
    try:
        return await read_spans(
            connection, view, subject=subject, role=role, register=register, from_date=from_date, to_date=to_date
        )
    except BillingError:
        return ()


async def line_readings(
    ground: Ground, connection: Any, view: ChainView, line: Line, index: int, record: TariffRecord | None
) -> tuple[ReadingRef, ...]:
    """Every boundary entry that the line rests on, by day: each register over its days, the total since steps count."""
    if record is None or line.kind not in METERED:
        return ()
    asked = [(register, line.from_date, line.to_date) for register in record.terms.registers]
    if record.terms.counting is not Counting.NONE and line.since < line.from_date:
        asked.insert(0, (line.quantity, line.since, line.from_date))
    found: dict[tuple[str, int], ReadingRef] = {}
    for register, first, last in asked:
        for span in await line_spans(connection, view, line, index, register, first, last):
            for entry in (span.opening, span.closing):
                reading = await ground.reference_at(connection, entry.origin, entry.index)
                if reading is not None:
                    found[entry.origin, entry.index] = reading
    return tuple(sorted(found.values(), key=lambda reading: reading.quantity.rpartition("*")[2]))


def key_proof(view: ChainView, line: Line, index: int, record: TariffRecord | None) -> str:
    """Where the unit's key stands in the table that shares the pool, as the page's check takes it; else empty."""
    if record is None:
        return ""
    try:
        proof = key_in_table(view, line, record.terms, index)
    except BillingError:
        return ""  # the check says that it is not on the page
    return "" if proof is NO_KEY else json.dumps(key_proof_to_json(proof), separators=(",", ":"))
