"""Others' access, for those who look after it: letters, roles, lost passkeys; programs' tokens; the audit log."""

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from cloud.errors import IdentityRefused
from cloud.identity.care import SHOWN_AT_ONCE
from cloud.identity.people import Grant
from cloud.identity.roles import HOUSEHOLD, INVITES, Role
from cloud.identity.tokens import SCOPES_OF, Scope
from cloud.web.account import days_of, from_text, to_text, who
from cloud.web.desk import Desk
from cloud.web.doors import read_form
from cloud.web.page import Pages

_SHOWN = 200


def routes(pages: Pages, desk: Desk) -> APIRouter:
    """The router of these pages."""
    router = APIRouter(include_in_schema=False)
    identity, clock = desk.identity, pages.clock

    @router.get("/people")
    async def people(request: Request) -> Response:
        visit = await pages.visit(request)
        _person, grant = who(visit)
        door, page = desk.door_named(request.query_params.get("door", "")), _page(request)
        unit = door.alias if door else None
        held, opened = await identity.in_care_of(grant, clock.now_ms(), unit=unit, page=page)
        more = max(len(held), len(opened)) > SHOWN_AT_ONCE
        held, opened = held[:SHOWN_AT_ONCE], opened[:SHOWN_AT_ONCE]
        values = {
            "held": [(one, desk.role_title(one.role), desk.door_of(one.unit)) for one in held],
            "opened": [(to_text(one.digest), one, desk.role_title(one.role), desk.door_of(one.unit)) for one in opened],
            "roles": [(role, desk.role_title(role)) for role in Role if role in INVITES[grant.role]],
            "doors": [door for door in desk.doors() if grant.unit in (None, door.alias)],
            "needs_door": bool(HOUSEHOLD & INVITES[grant.role]),
            "needs_firm": bool({Role.CREW, Role.FIRM} & INVITES[grant.role]),
            "may_recover": grant.role is not Role.OWNER,
            "asked_door": door.name if door else "",
            "page": page,
            "next_page": page + 1 if more else None,
        }
        return pages.render(visit, "people.html", values=values)

    @router.post("/people/invitations")
    async def invite(request: Request) -> Response:
        visit = await pages.visit(request)
        _person, grant = who(visit)
        form = await read_form(request)
        role, unit, firm = _invited(desk, form)
        made = await identity.invite(grant, role, unit=unit, firm=firm, now_ms=clock.now_ms())
        return pages.render(visit, "letter.html", values=_letter(pages, desk, made.code, role, unit, recovers=False))

    @router.post("/people/invitations/stop")
    async def stop(request: Request) -> Response:
        _person, grant = who(await pages.visit(request))
        await identity.stop_invitation(grant, from_text((await read_form(request)).get("code", "")), clock.now_ms())
        return RedirectResponse("/people", 303)

    @router.post("/people/recover")
    async def recover(request: Request) -> Response:
        visit = await pages.visit(request)
        _person, grant = who(visit)
        made = await identity.recover(grant, await _number(request), clock.now_ms())
        lost = made.invitation
        values = _letter(pages, desk, made.code, lost.role, lost.unit, recovers=True)
        return pages.render(visit, "letter.html", values=values)

    @router.post("/people/end")
    async def end(request: Request) -> Response:
        _person, grant = who(await pages.visit(request))
        await identity.end_grant(grant, await _number(request), clock.now_ms())
        return RedirectResponse("/people", 303)

    @router.get("/tokens")
    async def tokens(request: Request) -> Response:
        visit = await pages.visit(request)
        _person, grant = who(visit)
        return pages.render(visit, "tokens.html", values=await _tokens(desk, grant, clock.now_ms()))

    @router.post("/tokens")
    async def make_token(request: Request) -> Response:
        visit = await pages.visit(request)
        _person, grant = who(visit)
        form, now_ms = await read_form(request), clock.now_ms()
        scopes = [scope for scope in Scope if form.get(scope.value)]
        name, days = form.get("name", ""), days_of(form)
        secret, _token = await desk.tokens.make(grant, name, scopes, days=days, now_ms=now_ms)
        return pages.render(visit, "tokens.html", values={**await _tokens(desk, grant, now_ms), "secret": secret})

    @router.post("/tokens/revoke")
    async def revoke(request: Request) -> Response:
        _person, grant = who(await pages.visit(request))
        await desk.tokens.revoke(grant, from_text((await read_form(request)).get("token", "")), clock.now_ms())
        return RedirectResponse("/tokens", 303)

    @router.get("/audit")
    async def audit(request: Request) -> Response:
        visit = await pages.visit(request)
        note = await identity.audit.sign_head(now_ms=clock.now_ms())
        values = {"entries": await identity.audit.newest(_SHOWN), "note": note, "role_title": desk.role_title}
        return pages.render(visit, "audit.html", values=values)

    @router.get("/audit/checkpoint")
    async def audit_checkpoint() -> Response:
        note = await identity.audit.latest_note()
        return PlainTextResponse(note or "", status_code=200 if note else 404, headers={"cache-control": "no-cache"})

    return router


def _invited(desk: Desk, form: dict[str, str]) -> tuple[Role, bytes | None, str | None]:
    """Role, flat and firm of the form. Raises `IdentityRefused`."""
    named = {role.value: role for role in Role}.get(form.get("role", ""))
    if named is None:
        raise IdentityRefused(422, "not_done", "choose a role of the list")
    door = desk.door_named(form.get("door", "")) if named in HOUSEHOLD else None
    firm = form.get("firm", "").strip()[:80] if named in (Role.CREW, Role.FIRM) else ""
    return named, door.alias if door else None, firm or None


def _letter(
    pages: Pages, desk: Desk, code: str, role: Role, unit: bytes | None, *, recovers: bool
) -> dict[str, object]:
    address = f"{pages.settings.public_url.rstrip('/')}/join"
    door = desk.door_of(unit)
    return {"code": code, "role": desk.role_title(role), "door": door, "address": address, "recovers": recovers}


def _page(request: Request) -> int:
    asked = request.query_params.get("page", "")
    return int(asked) if asked.isdecimal() and len(asked) < 7 else 0


async def _number(request: Request) -> int:
    number = (await read_form(request)).get("number", "")
    return int(number) if number.isdecimal() and len(number) < 10 else 0


async def _tokens(desk: Desk, grant: Grant, now_ms: int) -> dict[str, object]:
    listed = await desk.tokens.listed(grant, now_ms)
    return {
        "tokens": [(to_text(one.digest), one) for one in listed],
        "scopes": [scope for scope in Scope if scope in SCOPES_OF[grant.role]],
        "secret": None,
    }
