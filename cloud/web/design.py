"""The design page: every component that pages are made of, by the same templates, with made-up figures.

It is open to everybody and says nothing of a site. Tests look at it in all themes, for what holds of a component here
holds of it on every page.
"""

from datetime import date, timedelta

from fastapi import APIRouter, Request
from starlette.responses import Response

from cloud.web.answers import DayKind, DayPoint, MeterStand, MonthSoFar, SameDays, Steps, Title
from cloud.web.chart import day_chart
from cloud.web.page import Pages

TOKENS = (
    "ground", "paper", "ink", "quiet", "line", "accent", "on-accent", "accent-soft", "good", "warn", "warn-soft", "bad",
    "bad-soft",
)  # fmt: skip
_FIRST, _MIDNIGHT_MS = date(2026, 11, 1), 1_795_708_800_000
_USED = (32, 28, 35, 40, 52, 61, 33, 30, 29, 36, 38, 55, 63, 31)
_HOW = {
    4: DayKind.SPREAD, 5: DayKind.SPREAD, 8: DayKind.DOUBTFUL, 9: DayKind.DOUBTFUL, 11: DayKind.RESET,
    13: DayKind.MISSING,
}  # fmt: skip
_UNKNOWN = (DayKind.RESET, DayKind.MISSING)


def _days() -> list[DayPoint]:
    """Two weeks in which everything happens that a chart can show."""
    return [
        DayPoint(
            day=_FIRST + timedelta(days=at),
            usage=None if _HOW.get(at) in _UNKNOWN else used * 100,
            how=_HOW.get(at, DayKind.READ),
            is_new_meter=at == 7,
        )
        for at, used in enumerate(_USED)
    ]


def _month() -> MonthSoFar:
    return MonthSoFar(
        quantity="1-0:1.8.0",
        title=Title(zh="用电", en="Electricity"),
        unit="Wh",
        opening=_FIRST,
        closing=_FIRST + timedelta(days=26),
        until_ms=_MIDNIGHT_MS,
        usage=87_400,
        amount_fen=4_702,
        is_estimated=True,
        steps=Steps(number=1, left=37_130, by_year=True, days_to_next=9),
        same=SameDays(days=26, usage=87_400, last_year=99_300, median=79_000, households=23),
        stood=MeterStand(origin="demo.example/made-up/e0", index=0, value=1_322_456),
    )


def routes(pages: Pages) -> APIRouter:
    """The router of this page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/design")
    async def design(request: Request) -> Response:
        values = {"tokens": TOKENS, "chart": day_chart(_days()), "month": _month()}
        return pages.render(await pages.visit(request), "design.html", values=values)

    return router
