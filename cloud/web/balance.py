"""Sub-meters against their main meter: does what all counted add up to what went in?"""

from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from cloud.web.answers import BalanceDay, BusBalance
from cloud.web.bills import refusal
from cloud.web.chart import labelled
from cloud.web.page import Pages

WIDTH, HEIGHT = 600, 100
_GAP_SHARE = 0.28


@dataclass(frozen=True, slots=True, kw_only=True)
class LossBar:
    """One day's loss in the chart's own units."""

    day: BalanceDay
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True, kw_only=True)
class LossChart:
    """Losses as bars from a line of nothing, and the band that cables and meters explain behind them."""

    bars: tuple[LossBar, ...]
    labelled_days: tuple[date, ...]  # what stands under the bars
    zero_y: float
    band_y: float
    band_height: float
    width: int = WIDTH
    height: int = HEIGHT


def routes(pages: Pages) -> APIRouter:
    """The router of this page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/balance")
    async def balance(request: Request, to: Annotated[date | None, Query()] = None) -> Response:
        visit = await pages.visit(request)
        found = await pages.questions.balance(visit.viewer, to) if visit.viewer else None
        if found is None:
            return refusal(pages, visit)
        values = {"balance": found, "charts": [loss_chart(bus) for bus in found.buses], "loss_permille": loss_permille}
        return pages.render(visit, "balance.html", values=values)

    return router


def loss_permille(difference: int, main: int) -> int | None:
    """The loss in parts of a thousand, rounded half away from nothing; None where nothing went in."""
    if not main:
        return None
    sign = -1 if difference < 0 else 1
    return sign * ((2000 * abs(difference) + main) // (2 * main))


def _loss(day: BalanceDay) -> int | None:
    return None if day.difference is None or day.main is None else loss_permille(day.difference, day.main)


def loss_chart(bus: BusBalance) -> LossChart | None:
    """Lay out the bars by permille; None where fewer than two days have a balance."""
    losses = [_loss(day) for day in bus.days]
    known = [loss for loss in losses if loss is not None]
    if len(known) < 2:
        return None
    highest, lowest = max(*known, bus.high_permille, 1), min(*known, bus.low_permille, 0)
    scale = HEIGHT / (highest - lowest)

    def y(loss: int) -> float:
        return round((highest - loss) * scale, 2)

    slot = WIDTH / len(bus.days)
    bars = tuple(
        LossBar(
            day=day,
            x=round(at * slot + slot * _GAP_SHARE / 2, 2),
            y=y(max(loss, 0)),
            width=round(slot * (1 - _GAP_SHARE), 2),
            height=round(max(abs(loss) * scale, 1), 2),
        )
        for at, (day, loss) in enumerate(zip(bus.days, losses, strict=True))
        if loss is not None
    )
    band_y = y(bus.high_permille)
    return LossChart(
        bars=bars,
        labelled_days=labelled([day.day for day in bus.days]),
        zero_y=y(0),
        band_y=band_y,
        band_height=round(y(bus.low_permille) - band_y, 2),
    )
