"""How the maintenance firms keep their days, for manager, committee and regulator: on one page, to be printed too."""

from collections import Counter
from collections.abc import Sequence

from fastapi import APIRouter, Request
from starlette.responses import Response

from cloud.integrity.desk import FlagPage
from cloud.web.bills import refusal
from cloud.web.desk import Desk
from cloud.web.page import Pages


def routes(pages: Pages, desk: Desk | None = None) -> APIRouter:
    """The router of this page."""
    router = APIRouter(include_in_schema=False)

    @router.get("/oversight")
    async def oversight(request: Request) -> Response:
        visit = await pages.visit(request)
        found = await pages.questions.oversight(visit.viewer) if visit.viewer else None
        if found is None:
            return refusal(pages, visit)
        flags: Sequence[FlagPage] = await desk.flags.newest() if desk is not None else ()
        return pages.render(visit, "oversight.html", values={"found": found, "flags": flags, "asked": _asked(flags)})

    return router


def _asked(flags: Sequence[FlagPage]) -> Counter[str]:
    """How many of the questions are in which state."""
    return Counter(one.flag.state.value for one in flags)
