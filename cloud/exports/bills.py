"""Posted bills and their lines as tables."""

from collections.abc import AsyncIterator, Iterator, Sequence

from cloud.billing.kept import bill_place, read_contents
from cloud.chain.view import ChainView, PeriodRecord
from cloud.exports.formats import day_of_number
from cloud.exports.portion import PORTION, Asked, Source
from cloud.exports.scope import Scope
from cloud.exports.sheet import Row, Sheet, day, instant, integer, text
from contracts.bill import Bill, LineKind
from contracts.quantities import unit_of

__all__ = ["BILL_COLUMNS", "LINE_COLUMNS", "bill_rows", "line_rows"]

_NAMED = (
    integer("period", "opening date * 10^8 + closing date"),
    integer("unit_index", "the bill's place in the period's tree"),
    text("unit", "the unit's name, where the directory knows it"),
)
_CHECKED = (
    text("root_sha256", "root of the period's bill tree, as it stands on chain"),
    text("transaction_hash", "which posted it"),
)
BILL_COLUMNS = Sheet(
    name="bills",
    says="Posted bills. The bill's file (GET /bills/UNIT/PERIOD/bill.json) leads from its lines to the root on chain.",
    columns=(
        *_NAMED,
        day("opening_date", "first day"),
        day("closing_date", "day after the last"),
        integer("total_fen", "0.01 CNY"),
        integer("own_fen", "own use"),
        integer("shared_fen", "shares of common meters"),
        integer("other_fen", "standing charges"),
        integer("paid_fen", "what was debited, paid or receipted; empty while open"),
        instant("window_ends_at_utc", "until when a line can be challenged"),
        *_CHECKED,
    ),
)
LINE_COLUMNS = Sheet(
    name="bill-lines",
    says="Lines of posted bills, in the bill's order; boundary entries at the two dates carry the metered ones.",
    columns=(
        *_NAMED,
        integer("line", "its place on the bill, from 0"),
        text("kind", "own, shared, standing, credit, estimated, interval"),
        text("subject_sha256", "device at closing, pool, or what gives the right to charge"),
        text("quantity", "OBIS code or name of the charge"),
        integer("tariff_version", "of the terms on chain; 0 for none"),
        day("counts_since_date", "from when tiers count"),
        day("from_date", "first day"),
        day("to_date", "day after the last"),
        integer("usage", "in the unit beside it; of a shared line the pool's"),
        text("usage_unit", "Wh, mL, L; empty where nothing is metered"),
        integer("amount_fen", "0.01 CNY"),
        *_CHECKED,
    ),
)


async def bill_rows(source: Source, scope: Scope, asked: Asked) -> AsyncIterator[Sequence[Row]]:
    """One row a bill."""
    view = await source.view()
    async for closed, bills in _posted(source, scope, asked, view):
        yield [(*_names(source, view, bill), *_bill(bill, closed)) for bill in bills]


async def line_rows(source: Source, scope: Scope, asked: Asked) -> AsyncIterator[Sequence[Row]]:
    """One row a line."""
    view = await source.view()
    async for closed, bills in _posted(source, scope, asked, view):
        yield [(*_names(source, view, bill), *line) for bill in bills for line in _lines(bill, closed)]


def _names(source: Source, view: ChainView, bill: Bill) -> Row:
    unit = source.directory.unit_of(view.roll[bill.unit_index].alias)
    return bill.period, bill.unit_index, unit.name if unit else None


def _bill(bill: Bill, closed: PeriodRecord) -> Row:
    amounts = bill.amounts
    return (
        day_of_number(closed.period // 10**8),
        day_of_number(closed.period % 10**8),
        *(amounts.total, amounts.own, amounts.shared, amounts.other),
        closed.paid.get(bill.unit_index),
        closed.window_end_s * 1000,
        closed.root.hex(),
        closed.transaction_hash,
    )


def _lines(bill: Bill, closed: PeriodRecord) -> list[Row]:
    return [
        (
            number,
            LineKind(line.kind).name.lower(),
            line.subject.hex(),
            line.quantity,
            line.tariff,
            day_of_number(line.since),
            day_of_number(line.from_date),
            day_of_number(line.to_date),
            line.usage,
            unit_of(line.quantity) or "",
            line.amount,
            closed.root.hex(),
            closed.transaction_hash,
        )
        for number, line in enumerate(bill.lines)
    ]


async def _posted(
    source: Source, scope: Scope, asked: Asked, view: ChainView
) -> AsyncIterator[tuple[PeriodRecord, Sequence[Bill]]]:
    """Posted bills by portions, in the order of periods and units; only of periods that stand on chain."""
    for period, closed in sorted(view.periods.items()):
        if source.deployment is None or not _is_asked(asked, closed):
            continue
        place = bill_place(source.deployment, period)
        for first, count in _runs(scope, view, closed.unit_count):
            async with source.store.read() as connection:
                contents = await read_contents(connection, period, first, count)
            yield closed, [place.bill(index, content) for index, (_, content) in enumerate(contents, first)]


def _runs(scope: Scope, view: ChainView, unit_count: int) -> Iterator[tuple[int, int]]:
    """First unit and number of units that are read at once."""
    if scope.units is None:
        yield from ((first, PORTION) for first in range(0, unit_count, PORTION))
        return
    indexes = (view.units[unit].index for unit in scope.units if unit in view.units)
    yield from ((index, 1) for index in sorted(indexes) if index < unit_count)


def _is_asked(asked: Asked, closed: PeriodRecord) -> bool:
    closed_ms = closed.closed_at_s * 1000
    return (asked.from_ms is None or closed_ms >= asked.from_ms) and (asked.to_ms is None or closed_ms < asked.to_ms)
