"""Swaps of a flat's meters: the owner looks at both numbers and confirms them with the flat's key."""

import json

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, Response

from cloud.web.answers import Person
from cloud.web.bills import refusal
from cloud.web.doors import read_body
from cloud.web.page import Pages, Visit
from cloud.web.swap_answers import SwapRequest

_MEMBERS = {"nonce", "deadline", "signature", "public"}
_STATUS_OF_CODE = {"unknown_swap": 404, "not_agreed": 409, "refused": 422, "too_many": 429, "no_chain": 503}
_NO_STORE = {"cache-control": "no-store", "x-content-type-options": "nosniff"}


def routes(pages: Pages) -> APIRouter:
    """The router of these pages."""
    router = APIRouter(include_in_schema=False)

    @router.get("/bills/{door}/swaps/{digest}")
    async def swap_page(request: Request, door: str, digest: str) -> Response:
        visit = await pages.visit(request)
        viewer, named = _viewer(visit, door), _octets(digest, 32)
        found = await pages.questions.meter_swap(viewer, door, named) if viewer and named else None
        flat = await pages.questions.flat(viewer, door) if viewer and found else None
        if found is None or flat is None:
            return refusal(pages, visit)
        return pages.render(visit, "swap.html", values={"swap": found, "door": door, "flat": flat})

    @router.get("/bills/{door}/swaps/{digest}/swap.json")
    async def swap_file(request: Request, door: str, digest: str) -> Response:
        visit = await pages.visit(request)
        viewer, named = _viewer(visit, door), _octets(digest, 32)
        found = await pages.questions.meter_swap_file(viewer, door, named) if viewer and named else None
        if found is None:
            return refusal(pages, visit)
        return Response(found, media_type="application/json", headers=_NO_STORE)

    @router.get("/bills/{door}/swaps/{digest}/photos/{name}")
    async def photo(request: Request, door: str, digest: str, name: str) -> Response:
        visit = await pages.visit(request)
        viewer, named, file = _viewer(visit, door), _octets(digest, 32), _octets(name, 32)
        if viewer is None or named is None or file is None:
            return refusal(pages, visit)
        found = await pages.questions.meter_swap_photo(viewer, door, named, file)
        if found is None:
            return refusal(pages, visit)
        return Response(found[1], media_type=found[0], headers=_NO_STORE)

    @router.post("/bills/{door}/swaps/{digest}")
    async def confirm(request: Request, door: str, digest: str) -> Response:
        visit = await pages.visit(request)
        viewer, named = _viewer(visit, door), _octets(digest, 32)
        if viewer is None or named is None:
            return _said(401 if visit.viewer is None else 404, "sign_in", "sign in as the flat's owner first")
        posted = _parse(await read_body(request), door, named)
        if posted is None:
            return _said(400, "malformed", "load the page again and sign once more")
        answer = await pages.questions.relay_meter_swap(viewer, posted)
        return _said(202 if answer.accepted else _STATUS_OF_CODE.get(answer.code, 409), answer.code, answer.remedy)

    return router


def _viewer(visit: Visit, door: str) -> Person | None:
    viewer = visit.viewer
    return viewer if viewer is not None and door in viewer.units else None


def _parse(body: bytes | None, door: str, visit: bytes) -> SwapRequest | None:
    """The signature that a page posted, or None if it is not in the one form."""
    try:
        posted = json.loads(body or b"")
        if not isinstance(posted, dict) or set(posted) != _MEMBERS:
            return None
        numbers = [_number(posted[name]) for name in ("nonce", "deadline")]
    except (ValueError, TypeError):
        return None
    signature, public = _octets(posted["signature"], 64), _octets(posted["public"], 64)
    if signature is None or public is None:
        return None
    return SwapRequest(
        unit=door, visit=visit, nonce=numbers[0], deadline_s=numbers[1], signature=signature, public=public
    )


def _number(text: object) -> int:
    if not isinstance(text, str) or not text.isascii() or not text.isdigit() or len(text) > 20:
        raise ValueError(text)
    return int(text)


def _octets(text: object, length: int) -> bytes | None:
    """The bytes that lower-case hex spells, None for anything else."""
    try:
        raw = bytes.fromhex(text) if isinstance(text, str) else b""
    except ValueError:
        return None
    return raw if len(raw) == length and raw.hex() == text else None


def _said(status: int, code: str, remedy: str) -> JSONResponse:
    return JSONResponse({"code": code, "remedy": remedy}, status_code=status, headers={"cache-control": "no-store"})
