"""What a household reports to be repaired, and what it says once that is done."""

import json
from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from cloud.visits.redrawn import BYTES_MAX
from cloud.web.bills import refusal
from cloud.web.devices import plain_words
from cloud.web.doors import read_body, read_form
from cloud.web.multipart import PostedForm, parse_multipart
from cloud.web.page import Pages, Visit
from cloud.web.problems import problem_page
from cloud.web.repair_answers import RepairAnswer
from cloud.web.work import octets_of

_FORM_BYTES_MAX = 16_384
_SIGNED_BYTES_MAX = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class _Posted:
    """What a page's script posts: words as they were signed, and the act."""

    door: str
    detail: bytes | None
    act: bytes


def routes(pages: Pages) -> APIRouter:
    """The router of these pages."""
    router = APIRouter(include_in_schema=False)
    ask = pages.questions

    @router.get("/repairs")
    async def repairs(request: Request) -> Response:
        visit = await pages.visit(request)
        viewer = visit.viewer
        if viewer is None:
            return refusal(pages, visit)
        forms = [form for door in viewer.units if (form := await ask.repair_form(viewer, door)) is not None]
        chosen = request.query_params.get("device", "")
        values = {"forms": forms, "repairs": await ask.repairs(viewer), "chosen": chosen}
        return pages.render(visit, "repairs.html", values=values)

    @router.get("/repairs/{name}")
    async def repair(request: Request, name: str) -> Response:
        visit = await pages.visit(request)
        named = octets_of(name)
        found = await ask.repair(visit.viewer, named) if visit.viewer and named else None
        if found is None:
            return refusal(pages, visit)
        return pages.render(visit, "repair.html", values={"repair": found})

    @router.post("/repairs")
    async def report(request: Request) -> Response:
        visit = await pages.visit(request)
        assert visit.viewer is not None, "the guard asked"
        if _is_json(request):
            posted = await _posted(request)
            if posted is None or posted.detail is None:
                return _malformed()
            return _said(await ask.report_repair(visit.viewer, posted.door, posted.detail, posted.act))
        form = await _form(request)
        if form is None:
            return problem_page(pages, visit, "bad_photo")
        fields = form.fields
        place, says = plain_words(fields.get("place", "")), plain_words(fields.get("says", ""))
        answer = await ask.tell_repair(visit.viewer, fields.get("door", ""), fields.get("device", ""), place, says)
        if not answer.name:
            return _problem(pages, visit, answer)
        if form.file:
            kept = await ask.add_repair_photo(visit.viewer, bytes.fromhex(answer.name), form.file)
            if kept.status == 422:  # the words are kept, and say so on their page
                return problem_page(pages, visit, "bad_photo")
        return RedirectResponse(f"/repairs/{answer.name}", 303)

    @router.get("/repairs/{name}/photo")
    async def photo(request: Request, name: str) -> Response:
        visit = await pages.visit(request)
        named = octets_of(name)
        found = await ask.repair_photo(visit.viewer, named) if visit.viewer and named else None
        if found is None:
            return refusal(pages, visit)
        headers = {"cache-control": "no-store", "x-content-type-options": "nosniff", "content-disposition": "inline"}
        return Response(found, media_type="image/jpeg", headers=headers)

    @router.post("/repairs/{name}/photo")
    async def add_photo(request: Request, name: str) -> Response:
        visit = await pages.visit(request)
        named, octets = octets_of(name), await read_body(request, BYTES_MAX)
        assert visit.viewer is not None, "the guard asked"
        if named is None or not octets:
            return _said(RepairAnswer(status=422, code="bad_picture", remedy="take a smaller photo"))
        return _said(await ask.add_repair_photo(visit.viewer, named, octets))

    @router.post("/repairs/{name}")
    async def answer(request: Request, name: str) -> Response:
        visit = await pages.visit(request)
        named, posted = octets_of(name), await _posted(request)
        assert visit.viewer is not None, "the guard asked"
        if named is None or posted is None:
            return _malformed()
        return _said(await ask.answer_repair(visit.viewer, named, posted.detail, posted.act))

    return router


async def _form(request: Request) -> PostedForm | None:
    """The form's fields and its photo, if one was chosen; None where it is too large or not whole."""
    kind = request.headers.get("content-type", "")
    if not kind.startswith("multipart/"):
        return PostedForm(await read_form(request, _FORM_BYTES_MAX))
    body = await read_body(request, BYTES_MAX + _FORM_BYTES_MAX)
    return None if body is None else parse_multipart(kind, body)


def _is_json(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("application/json")


async def _posted(request: Request) -> _Posted | None:
    """What a script posted, or None if it is not in the one form."""
    try:
        posted = json.loads(await read_body(request, _SIGNED_BYTES_MAX) or b"")
    except ValueError:
        return None
    if not isinstance(posted, dict) or set(posted) != {"door", "detail", "act"}:
        return None
    door, detail, act = posted["door"], posted["detail"], posted["act"]
    if not isinstance(door, str) or not isinstance(act, str) or not isinstance(detail, str | None):
        return None
    try:
        return _Posted(door=door, detail=detail.encode() if detail is not None else None, act=act.encode())
    except UnicodeEncodeError:
        return None


def _problem(pages: Pages, visit: Visit, answer: RepairAnswer) -> Response:
    code = {404: "not_found", 429: "too_many_words"}.get(answer.status, "not_done")
    return problem_page(pages, visit, code)


def _malformed() -> JSONResponse:
    return _said(RepairAnswer(status=400, code="malformed", remedy="load the page again and sign once more"))


def _said(answer: RepairAnswer) -> JSONResponse:
    body = {"code": answer.code, "remedy": answer.remedy, "name": answer.name}
    return JSONResponse(body, status_code=answer.status, headers={"cache-control": "no-store"})
