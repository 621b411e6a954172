"""Pages of lifts and other devices, for everybody: what the code on a device opens, and the list of lifts."""

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from cloud.web.bills import refusal_to_all
from cloud.web.doors import read_form
from cloud.web.page import Pages
from cloud.web.problems import problem_page
from cloud.web.session import address_of
from contracts.label import LabelError, parse_code

_SAYS_MAX = 500
_FORM_BYTES_MAX = 16_384  # a Chinese letter takes nine bytes in a form


def routes(pages: Pages) -> APIRouter:
    """The router of these pages."""
    router = APIRouter(include_in_schema=False)
    ask = pages.questions

    @router.get("/lifts")
    async def lifts(request: Request) -> Response:
        values = {"lifts": await ask.lifts(), "overdue": await ask.overdue_days()}
        return pages.render(await pages.visit(request), "lifts.html", values=values)

    @router.get("/lifts/{name}")
    async def lift(request: Request, name: str) -> Response:
        visit = await pages.visit(request)
        found = await ask.lift(name)
        if found is None:
            return refusal_to_all(pages, visit)
        values = {"lift": found, "scanned": None, "code": "", "is_told": False}
        return pages.render(visit, "lift.html", values=values)

    @router.get("/devices/{name}")
    async def device(request: Request, name: str) -> Response:
        visit = await pages.visit(request)
        found = await ask.device(name)
        if found is None:
            return refusal_to_all(pages, visit)
        values = {"device": found, "scanned": None, "code": "", "is_told": False}
        return pages.render(visit, "device.html", values=values)

    @router.get("/d/{code}")
    async def scanned(request: Request, code: str) -> Response:
        visit, read = await pages.visit(request), _code(code)
        found = await ask.scanned(read) if read else None
        if found is None:
            return problem_page(pages, visit, "unknown_label")
        values = {"scanned": found, "code": read, "is_told": "told" in request.query_params}
        if found.lift is not None:
            return pages.render(visit, "lift.html", values={**values, "lift": found.lift})
        return pages.render(visit, "device.html", values={**values, "device": found.device})

    @router.post("/d/{code}/fault")
    async def fault(request: Request, code: str) -> Response:
        visit, read = await pages.visit(request), _code(code)
        says = plain_words((await read_form(request, _FORM_BYTES_MAX)).get("says", ""))
        if read is None:
            return problem_page(pages, visit, "unknown_label")
        if not says:
            return problem_page(pages, visit, "not_done")
        if not await ask.may_report(address_of(request).encode()):
            return problem_page(pages, visit, "too_many_reports")
        if not await ask.report_fault(read, says):
            return problem_page(pages, visit, "unknown_label")
        return RedirectResponse(f"/d/{read}?told", 303)

    return router


def _code(typed: str) -> str | None:
    """A label's code in its one spelling, or None for what can be none."""
    try:
        return parse_code(typed)
    except LabelError:
        return None


def plain_words(says: str) -> str:
    """What somebody wrote, on one line and without what no page can show; "" for nothing, or for too much."""
    plain = " ".join("".join(letter if letter.isprintable() else " " for letter in says).split())
    return plain if len(plain) <= _SAYS_MAX else ""
