"""What a tariff makes of usage, in the pieces that pages show."""

from itertools import pairwise
from typing import Any

from cloud.web.answers import TierPart, Title
from contracts.tariff import Season

__all__ = ["line_title", "step_at", "tier_parts"]

_OWN_TITLES = {
    "6-": Title(zh="供暖", en="Heating"),
    "7-": Title(zh="燃气", en="Gas"),
    "9-": Title(zh="热水", en="Hot water"),
}
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
    if not is_shared and quantity[:2] in _OWN_TITLES:
        return _OWN_TITLES[quantity[:2]]
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


def step_at(season: Season, total: int, residents: int) -> tuple[int, int | None]:
    """The step that the next unit falls into, and how much is left of it."""
    for number, upper in enumerate(_edges(season, residents)[1:], 1):
        if upper is None or total < upper:
            return number, None if upper is None else upper - total
    raise AssertionError("the last step has no end")
