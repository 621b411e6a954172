"""What a tariff makes of usage, in the pieces that pages show."""

from itertools import pairwise
from typing import Any

from sqlalchemy import or_, select

from cloud.billing.usage import read_boundaries
from cloud.chain.view import ChainView, TariffRecord
from cloud.directory import DirectoryUnit
from cloud.questions.ground import Ground, day_of
from cloud.store import tables
from cloud.store.months import entries_at
from cloud.web.answers import MonthSoFar, TierPart, Title
from contracts.quantities import ENERGY_IMPORT
from contracts.tariff import Counting, Season, next_month

__all__ = ["line_title", "month_so_far", "tier_parts"]

_DAY_MS = 86_400_000
_STANDING_TITLES = {
    "fee.area": Title(zh="物业费（按面积）", en="Property fee, by floor area"),
    "fee.waste": Title(zh="垃圾处理费（按人）", en="Waste, by resident"),
    "fee.parking": Title(zh="停车费", en="Parking"),
}


def line_title(quantity: str, *, is_shared: bool) -> Title:
    """What a line without a name of its own is called, by its OBIS medium."""
    if quantity.startswith("1-"):
        return Title(zh="公共用电", en="Common electricity") if is_shared else Title(zh="用电", en="Electricity")
    if quantity.startswith("8-"):
        return Title(zh="公共用水", en="Common water") if is_shared else Title(zh="用水", en="Water")
    return _STANDING_TITLES.get(quantity, Title(zh="其他", en="Other"))


def tier_parts(season: Season, *, prior: int, used: int, residents: int = 0) -> tuple[TierPart, ...]:
    """What each step takes of a usage of one register that begins at `prior`. The parts' amounts telescope, so they
    add up to the line.
    """
    parts: list[TierPart] = []
    for number, (below, upper) in enumerate(pairwise(_edges(season, residents)), 1):
        starts = max(below, prior)
        ends = prior + used if upper is None else min(upper, prior + used)
        if ends > starts or (not used and below <= prior and (upper is None or prior < upper)):
            amount = season.charge(used=[max(0, ends - starts)], prior=starts, residents=residents)
            parts.append(
                TierPart(
                    number=number,
                    from_wh=below,
                    to_wh=upper,
                    used_wh=max(0, ends - starts),
                    price_nanofen_per_wh=season.price(number - 1),
                    amount_fen=amount,
                )
            )
    return tuple(parts)


def _edges(season: Season, residents: int) -> list[Any]:
    """Where the steps begin and end; the last one has no end."""
    widened = season.extra * max(0, residents - season.persons)
    return [0, *(bound + widened for bound in season.bounds), None]


async def month_so_far(
    ground: Ground, connection: Any, view: ChainView, unit: DirectoryUnit, *, now_ms: int
) -> MonthSoFar | None:
    """A unit's electricity since the last closed period, or since its meter was bound."""
    bound = [(device, record) for device, record in view.bound().get((unit.alias, 1), ()) if not record.to_date]
    for device, binding in bound:
        closings = [period % 10**8 for period in view.periods if period % 10**8 >= binding.from_date]
        opening_date = max(closings, default=binding.from_date)
        openings = await read_boundaries(connection, view, device, ENERGY_IMPORT, opening_date)
        column = tables.entries.c
        is_register = or_(column.quantity == ENERGY_IMPORT, column.quantity.like(f"{ENERGY_IMPORT}*%"))
        last = await ground.latest_entry(connection, device, is_register) if openings else None
        if last is None:
            continue
        usage = last.value - openings[0].value
        prior, record = await _prior(connection, view, device, opening_date, openings[0].value, binding.from_date, unit)
        if record is None or usage < 0 or len(record.terms.registers) != 1:
            return None  # an estimate by time of use would need more registers than this page reads
        until = next_month(opening_date // 100) * 100 + 1
        season = record.terms.season(opening_date, until)
        residents = view.residents(unit.alias, opening_date)
        tier, left = _tier_at(season, prior + usage, residents)
        opened_ms = await _observed_at(connection, openings[0].log_id, openings[0].index)
        elapsed_ms = max(1, last.observed_at_ms - opened_ms)
        return MonthSoFar(
            opening=day_of(opening_date),
            until_ms=last.observed_at_ms,
            usage_wh=usage,
            amount_fen=season.charge(used=[usage], prior=prior, residents=residents),
            tier=tier,
            tier_left_wh=left,
            days_to_next_tier=None if left is None or not usage else left * elapsed_ms // (usage * _DAY_MS),
            last_reading=await ground.reference(connection, last),
        )
    return None


async def _prior(
    connection: Any,
    view: ChainView,
    device: bytes,
    opening_date: int,
    opening_value: int,
    bound_from: int,
    unit: DirectoryUnit,
) -> tuple[int, TariffRecord | None]:
    """Usage of the tariff's year before the opening, and the tariff in force."""
    roll = view.units.get(unit.alias)
    category = roll.category if roll else 0
    open_ended = opening_date * 10**8 + opening_date
    record = view.tariff_for(ENERGY_IMPORT, category, open_ended)
    if record is None or record.terms.counting is not Counting.YEAR:
        return 0, record
    since = max(opening_date // 10_000 * 10_000 + 101, bound_from)
    starts = await read_boundaries(connection, view, device, ENERGY_IMPORT, since) if since < opening_date else []
    return (opening_value - starts[0].value if starts else 0), record


def _tier_at(season: Season, total: int, residents: int) -> tuple[int, int | None]:
    """The step that the next unit falls into, and how much is left of it."""
    for number, upper in enumerate(_edges(season, residents)[1:], 1):
        if upper is None or total < upper:
            return number, None if upper is None else upper - total
    raise AssertionError("the last step has no end")


async def _observed_at(connection: Any, log_id: int, index: int) -> int:
    query = select(tables.entries.c.observed_at_ms).where(await entries_at(connection, log_id, index))
    return int((await connection.execute(query)).scalar_one())
