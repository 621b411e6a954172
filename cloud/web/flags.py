"""What looks odd of visits, in public: why, what the firm says, what a person decided."""

from typing import TYPE_CHECKING

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from cloud.errors import IdentityRefused
from cloud.identity.audit import Act
from cloud.identity.people import Grant
from cloud.integrity.desk import FlagDesk
from cloud.integrity.facts import FlagKind
from cloud.integrity.flags import FlagRefused, FlagState, FlagView
from cloud.web.account import who
from cloud.web.bills import refusal_to_all
from cloud.web.desk import Desk
from cloud.web.doors import read_form
from cloud.web.page import Pages, Visit

if TYPE_CHECKING:
    from cloud.maintenance.overlaps import Overlap

_DECISIONS = {state.value: state for state in (FlagState.UPHELD, FlagState.DISMISSED)}


def routes(pages: Pages, desk: Desk) -> APIRouter:
    """The router of these pages."""
    router = APIRouter(include_in_schema=False)
    flags = desk.flags

    @router.get("/flags")
    async def newest(request: Request) -> Response:
        visit = await pages.visit(request)
        return pages.render(visit, "flags.html", values={"flags": await flags.newest(_grant_of(visit))})

    @router.get("/flags/{flag}")
    async def one(request: Request, flag: str) -> Response:
        visit = await pages.visit(request)
        grant = _grant_of(visit)
        found = await flags.find(flag, grant)
        if found is None:
            return refusal_to_all(pages, visit)
        may_say = await flags.may_say(grant, found.flag) if visit.viewer and visit.viewer.can_act else frozenset()
        overlap = await _overlap(desk, found.flag)
        is_open = overlap is not None and overlap.state in ("offered", "refused")
        values = {
            "page": found,
            "may_explain": FlagState.EXPLAINED in may_say,
            "may_decide": FlagState.UPHELD in may_say,
            "overlap": overlap,
            "may_bring": FlagState.UPHELD in may_say and is_open,
            "role_title": desk.role_title,
        }
        return pages.render(visit, "flag.html", values=values)

    @router.post("/flags/{flag}/explain")
    async def explain(request: Request, flag: str) -> Response:
        _person, grant = who(await pages.visit(request))
        form = await read_form(request)
        return await _said(flags, grant, flag, FlagState.EXPLAINED, form.get("says", ""))

    @router.post("/flags/{flag}/decide")
    async def decide(request: Request, flag: str) -> Response:
        _person, grant = who(await pages.visit(request))
        form = await read_form(request)
        decision = _DECISIONS.get(form.get("decision", ""))
        if decision is None:
            raise IdentityRefused(422, "not_done", "choose a decision")
        return await _said(flags, grant, flag, decision, form.get("says", ""))

    @router.post("/flags/{flag}/bring")
    async def bring(request: Request, flag: str) -> Response:
        _person, grant = who(await pages.visit(request))
        found = await flags.find(flag)
        if found is None or found.flag.other is None or await _overlap(desk, found.flag) is None:
            raise IdentityRefused(404, "not_found", "no contract would compare these visits")
        assert desk.overlaps is not None, "it found them"
        await desk.identity.audit.write(
            Act.FLAG_BROUGHT, at_ms=pages.clock.now_ms(), account=grant.account, role=grant.role.value,
            what=f"/flags/{flag}",
        )  # fmt: skip
        await desk.overlaps.bring(found.flag.visit, found.flag.other)
        return RedirectResponse(f"/flags/{flag}", 303)

    return router


async def _overlap(desk: Desk, flag: FlagView) -> "Overlap | None":
    """How far a flag's two visits are on the way to the contract that would compare them; None where none would."""
    if desk.overlaps is None or flag.other is None or flag.kind != FlagKind.TWICE:
        return None
    return await desk.overlaps.of(flag.visit, flag.other)


def _grant_of(visit: Visit) -> Grant | None:
    return visit.viewer.grant if visit.viewer else None


async def _said(flags: FlagDesk, grant: Grant, flag: str, state: FlagState, text: str) -> Response:
    try:
        await flags.say(grant, flag, state, text)
    except FlagRefused as refused:
        code = "not_found" if refused.status == 404 else "not_done"
        raise IdentityRefused(refused.status, code, refused.message) from refused
    return RedirectResponse(f"/flags/{flag}", 303)
