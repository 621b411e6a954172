"""What a tariff makes of usage, in the pieces that pages show."""

from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import or_

from cloud.billing.usage import load_registers
from cloud.chain.view import ChainView, TariffRecord
from cloud.directory import DirectoryUnit
from cloud.questions.ground import Ground, day_of
from cloud.store import tables
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


async def month_so_far(ground: Ground, view: ChainView, unit: DirectoryUnit) -> MonthSoFar | None:
    """A unit's electricity since the last closed period, or since its meter was bound."""
    meters = list(_priced_meters(view, unit))
    if not meters:
        return None  # and the store need not be opened
    async with ground.store.glance() as connection:
        for device, opening_date, since, record in meters:
            held = await load_registers(connection, view, dates={opening_date, since}, devices=[device])
            openings, starts = (held.at(device, ENERGY_IMPORT, day) for day in (opening_date, since))
            last = await _last_reading(ground, connection, device) if openings else None
            if last is None:
                continue
            usage = last.value - openings[0].value
            prior = openings[0].value - starts[0].value if starts else 0
            season = record.terms.season(opening_date, next_month(opening_date // 100) * 100 + 1)
            residents = view.residents(unit.alias, opening_date)
            if usage < 0:
                return None
            tier, left = _tier_at(season, prior + usage, residents)
            opening = day_of(opening_date)
            elapsed_ms = max(1, last.observed_at_ms - _midnight_ms(ground, opening))
            return MonthSoFar(
                opening=opening,
                until_ms=last.observed_at_ms,
                usage_wh=usage,
                amount_fen=season.charge(used=[usage], prior=prior, residents=residents),
                tier=tier,
                tier_left_wh=left,
                days_to_next_tier=None if left is None or not usage else left * elapsed_ms // (usage * _DAY_MS),
                last_reading=await ground.reference(connection, last),
            )
    return None


def _priced_meters(view: ChainView, unit: DirectoryUnit) -> Iterator[tuple[bytes, int, int, TariffRecord]]:
    """Device, boundary date of the last bill, date from which steps count, and tariff of what a page can estimate."""
    for device, binding in view.bound().get((unit.alias, 1), ()):
        if binding.to_date:
            continue
        closings = [period % 10**8 for period in view.periods if period % 10**8 >= binding.from_date]
        opening_date = max(closings, default=binding.from_date)
        record = _tariff(view, unit, opening_date)
        # An estimate by time of use would need more registers than a page reads.
        if record is not None and len(record.terms.registers) == 1:
            yield device, opening_date, _steps_since(record, opening_date, binding.from_date), record


def _tariff(view: ChainView, unit: DirectoryUnit, opening_date: int) -> TariffRecord | None:
    """The tariff in force when a period began that has not ended yet."""
    roll = view.units.get(unit.alias)
    day_after = int((day_of(opening_date) + timedelta(days=1)).strftime("%Y%m%d"))
    found = view.tariff_for(ENERGY_IMPORT, roll.category if roll else 0, opening_date * 10**8 + day_after)
    return found[0].record if found else None


def _steps_since(record: TariffRecord, opening_date: int, bound_from: int) -> int:
    """The boundary date from which the tariff's steps count."""
    by_year = record.terms.counting is Counting.YEAR
    return min(opening_date, max(opening_date // 10_000 * 10_000 + 101, bound_from)) if by_year else opening_date


async def _last_reading(ground: Ground, connection: Any, device: bytes) -> Any:
    column = tables.entries.c
    is_register = or_(column.quantity == ENERGY_IMPORT, column.quantity.like(f"{ENERGY_IMPORT}*%"))
    return await ground.latest_entry(connection, device, is_register)


def _midnight_ms(ground: Ground, day: date) -> int:
    """When a boundary date begins on the site's wall clock."""
    return int(datetime.combine(day, time(), ground.directory.timezone).timestamp() * 1000)


def _tier_at(season: Season, total: int, residents: int) -> tuple[int, int | None]:
    """The step that the next unit falls into, and how much is left of it."""
    for number, upper in enumerate(_edges(season, residents)[1:], 1):
        if upper is None or total < upper:
            return number, None if upper is None else upper - total
    raise AssertionError("the last step has no end")
