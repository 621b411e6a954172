"""An owner's home: the month so far beside others, bills, lifts, open repairs."""

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from cloud.identity.roles import HOUSEHOLD, Role
from cloud.web.page import Pages


def routes(pages: Pages) -> APIRouter:
    """The router of this page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/home")
    async def home(request: Request) -> Response:
        visit = await pages.visit(request)
        assert visit.viewer is not None, "the guard asked"
        if visit.viewer.role not in HOUSEHOLD:
            return RedirectResponse("/work" if visit.viewer.role in (Role.CREW, Role.FIRM) else "/site", 303)
        ask, viewer = pages.questions, visit.viewer
        units = [unit for door in viewer.units if (unit := await ask.unit(viewer, door)) is not None]
        bills = {unit.door: await ask.bills(viewer, unit.door) for unit in units}
        latest = {
            door: await ask.bill(viewer, door, summaries[0].period) if summaries else None
            for door, summaries in bills.items()
        }
        values = {
            "units": units,
            "bills": bills,
            "latest": latest,
            "lifts": await ask.lifts(viewer),
            "overdue": await ask.overdue_days(),
            "repairs": [one for one in await ask.repairs(viewer) if one.is_open],
        }
        return pages.render(visit, "home.html", values=values)

    return router
