"""An owner's bills, down to the line, and the dispute of one."""

import json
import logging
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import JSONResponse, Response

from cloud.identity.roles import HOUSEHOLD
from cloud.web.answers import Bill, BillLine, ChallengeRequest, Person, ReadingRef
from cloud.web.chart import day_chart
from cloud.web.doors import read_body
from cloud.web.page import Pages, Visit
from cloud.web.paper import Press, PressBusy, PressMissing, print_bill
from cloud.web.problems import problem_page

_log = logging.getLogger(__name__)
_REQUEST_MEMBERS = {"nonce", "deadline", "digest", "signature", "public"}
_STATUS_OF_CODE = {"late": 409, "already_disputed": 409, "bad_signature": 422, "busy": 503}


def routes(pages: Pages) -> APIRouter:
    """The router of these pages."""
    router, press = APIRouter(include_in_schema=False), Press()

    @router.get("/bills/{door}")
    async def bills(request: Request, door: str) -> Response:
        visit = await pages.visit(request)
        viewer = _owner_of(visit, door)
        flat = await pages.questions.flat(viewer, door) if viewer else None
        if viewer is None or flat is None:
            return refusal(pages, visit)
        listed, swaps = await pages.questions.bills_and_swaps(viewer, door)
        values = {"flat": flat, "door": door, "bills": listed, "swaps": swaps}
        return pages.render(visit, "bills.html", values=values)

    @router.get("/bills/{door}/{period}")
    async def bill(request: Request, door: str, period: str) -> Response:
        visit = await pages.visit(request)
        found = await _bill(pages, visit, door, period)
        if found is None:
            return refusal(pages, visit)
        return pages.render(visit, "bill.html", values={"bill": found, "door": door})

    @router.get("/bills/{door}/{period}/bill.json")
    async def bill_file(request: Request, door: str, period: str) -> Response:
        visit = await pages.visit(request)
        viewer = _owner_of(visit, door)
        found = await pages.questions.bill_file(viewer, door, period) if viewer else None
        if found is None:
            return refusal(pages, visit)
        return Response(found, media_type="application/json", headers={"cache-control": "no-store"})

    @router.get("/bills/{door}/{period}/bill.pdf")
    async def bill_pdf(request: Request, door: str, period: str) -> Response:
        visit = await pages.visit(request)
        viewer = _owner_of(visit, door)
        found = await pages.questions.bill_on_paper(viewer, door, period) if viewer else None
        if found is None:
            return refusal(pages, visit)
        try:
            printed = await print_bill(press, pages, visit, found)
        except PressBusy:
            return problem_page(pages, visit, "press_busy")
        except PressMissing as missing:
            _log.warning("bills cannot be printed: %s", missing)
            return problem_page(pages, visit, "press_missing")
        named = f"minglou-{door}-{period}.pdf"
        headers = {"cache-control": "no-store", "content-disposition": f'attachment; filename="{named}"'}
        return Response(printed, media_type="application/pdf", headers=headers)

    @router.get("/bills/{door}/{period}/lines/{number}")
    async def line(request: Request, door: str, period: str, number: int) -> Response:
        visit = await pages.visit(request)
        found = await _bill(pages, visit, door, period, number)
        chosen = _line(found, number)
        if found is None or chosen is None:
            return refusal(pages, visit)
        readings = chosen.evidence
        values = {
            "bill": found,
            "door": door,
            "line": chosen,
            "readings": _roles(chosen),
            "several_registers": len({reading.quantity.partition("*")[0] for reading in readings}) > 1,
            "chart": day_chart(chosen.days),
            "can_dispute": chosen.dispute is None and visit.now_ms < found.window_ends_at_ms,
        }
        return pages.render(visit, "line.html", values=values)

    @router.get("/bills/{door}/{period}/lines/{number}/readings.json")
    async def readings(
        request: Request, door: str, period: str, number: int, first: Annotated[int, Query(alias="from")] = 0
    ) -> Response:
        visit = await pages.visit(request)
        viewer = _owner_of(visit, door)
        found = await pages.questions.line_readings(viewer, door, period, number, first) if viewer else None
        if found is None:
            return refusal(pages, visit)
        # As text within the text: a file is checked in its one form, to the byte.
        body = {"files": [file.decode() for file in found.files], "following": found.following}
        return JSONResponse(body, headers={"cache-control": "no-store"})

    @router.get("/bills/{door}/{period}/lines/{number}/dispute")
    async def dispute_page(request: Request, door: str, period: str, number: int) -> Response:
        visit = await pages.visit(request)
        viewer = _owner_of(visit, door)
        found = await _bill(pages, visit, door, period, number)
        chosen = _line(found, number)
        terms = await pages.questions.challenge_terms(viewer, door, period, number) if viewer else None
        if chosen is None or terms is None or chosen.dispute is not None:
            return refusal(pages, visit)
        values = {"bill": found, "door": door, "line": chosen, "terms": terms}
        return pages.render(visit, "dispute.html", values=values)

    @router.post("/bills/{door}/{period}/lines/{number}/dispute")
    async def dispute(request: Request, door: str, period: str, number: int) -> Response:
        visit = await pages.visit(request)
        viewer = _owner_of(visit, door)
        if viewer is None:
            return _said(401 if visit.viewer is None else 404, "sign_in", "sign in as the flat's owner first")
        posted = _parse_request(await read_body(request), door, period, number)
        if posted is None:
            return _said(400, "malformed", "load the page again and sign once more")
        answer = await pages.questions.relay_challenge(viewer, posted)
        status = 202 if answer.accepted else _STATUS_OF_CODE.get(answer.code, 409)
        return _said(status, answer.code, answer.remedy)

    return router


def refusal(pages: Pages, visit: Visit) -> Response:
    """Sign in, for those who have not; for the others the thing does not exist, whosever it is."""
    return problem_page(pages, visit, "not_found" if visit.viewer else "sign_in")


def refusal_to_all(pages: Pages, visit: Visit) -> Response:
    """A public thing that does not exist: signing in would not help."""
    return problem_page(pages, visit, "not_found")


def _owner_of(visit: Visit, door: str) -> Person | None:
    viewer = visit.viewer
    owns = viewer is not None and viewer.role in HOUSEHOLD and door in viewer.units
    return viewer if owns else None


async def _bill(pages: Pages, visit: Visit, door: str, period: str, line: int | None = None) -> Bill | None:
    viewer = _owner_of(visit, door)
    return await pages.questions.bill(viewer, door, period, line=line) if viewer else None


def _line(bill: Bill | None, number: int) -> BillLine | None:
    return next((line for line in bill.lines if line.number == number), None) if bill else None


def _roles(line: BillLine) -> list[tuple[str, ReadingRef]]:
    """Each reading that the line rests on, with its role: the line's opening, its closing, or another."""
    ends = (line.share.opening, line.share.closing) if line.share else (line.opening, line.closing)
    roles = {(end.origin, end.index): name for name, end in zip(("opening", "closing"), ends, strict=True) if end}
    return [
        (roles.get((reading.origin, reading.index), f"reading{at}"), reading)
        for at, reading in enumerate(line.evidence)
    ]


def _parse_request(body: bytes | None, door: str, period: str, number: int) -> ChallengeRequest | None:
    """The signed challenge that a page posted, or None if it is not in the one form."""
    try:
        posted = json.loads(body or b"")
        if not isinstance(posted, dict) or set(posted) != _REQUEST_MEMBERS:
            return None
        return ChallengeRequest(
            unit=door,
            period=period,
            line=number,
            nonce=_number(posted["nonce"]),
            deadline_s=_number(posted["deadline"]),
            digest=_bytes(posted["digest"], 32),
            signature=_bytes(posted["signature"], 64),
            public=_bytes(posted["public"], 64),
        )
    except (ValueError, TypeError):
        return None


def _number(text: object) -> int:
    if not isinstance(text, str) or not text.isascii() or not text.isdigit() or len(text) > 20:
        raise ValueError(text)
    return int(text)


def _bytes(text: object, length: int) -> bytes:
    raw = bytes.fromhex(text) if isinstance(text, str) else b""
    if len(raw) != length or raw.hex() != text:
        raise ValueError(text)
    return raw


def _said(status: int, code: str, remedy: str) -> JSONResponse:
    return JSONResponse({"code": code, "remedy": remedy}, status_code=status, headers={"cache-control": "no-store"})
