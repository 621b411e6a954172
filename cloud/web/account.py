"""One's own access: passkeys, one-time codes, roles, who looked; and signing out everywhere."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from fastapi import APIRouter, Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from cloud.errors import IdentityRefused
from cloud.identity.audit import BY_PEOPLE, Act, AuditEntry
from cloud.identity.people import Grant
from cloud.identity.roles import HOUSEHOLD
from cloud.identity.tokens import Scope
from cloud.web.access import read_json
from cloud.web.answers import Person
from cloud.web.bills import refusal
from cloud.web.desk import Desk
from cloud.web.doors import read_form
from cloud.web.page import Pages, Visit
from cloud.web.session import address_of, open_session, session_digest
from contracts.tree import SIZE_END

_LOOKS, _PROGRAM_LOOKS = 50, 20


def routes(pages: Pages, desk: Desk) -> APIRouter:
    """The router of these pages."""
    router = APIRouter(include_in_schema=False)
    identity, clock = desk.identity, pages.clock

    async def rotate(request: Request, response: Response, person: Person, now_ms: int) -> None:
        await open_session(request, response, pages.questions, pages.settings, person, now_ms, goes_on=True)

    @router.get("/account")
    async def account(request: Request) -> Response:
        visit = await pages.visit(request)
        return pages.render(visit, "account.html", values=await _values(desk, visit))

    @router.get("/account/looks/{index}/evidence.json")
    async def look_evidence(request: Request, index: int) -> Response:
        visit = await pages.visit(request)
        person, _grant = who(visit)
        found = await pages.questions.look_file(person, index) if 0 <= index < SIZE_END else None
        if found is None:
            return refusal(pages, visit)
        headers = {"cache-control": "no-store", "content-disposition": f'attachment; filename="look-{index}.json"'}
        return Response(found, media_type="application/json", headers=headers)

    @router.post("/account/tokens")
    async def make_token(request: Request) -> Response:
        visit = await pages.visit(request)
        _person, grant = who(visit)
        form = await read_form(request)
        name, days = form.get("name", ""), days_of(form)
        secret, _token = await desk.tokens.make(grant, name, [Scope.OWN], days=days, now_ms=clock.now_ms())
        return pages.render(visit, "account.html", values={**await _values(desk, visit), "secret": secret})

    @router.post("/account/tokens/revoke")
    async def revoke_token(request: Request) -> Response:
        _person, grant = who(await pages.visit(request))
        await desk.tokens.revoke(grant, from_text((await read_form(request)).get("token", "")), clock.now_ms())
        return RedirectResponse("/account", 303)

    @router.post("/account/signout")
    async def sign_out_everywhere(request: Request) -> Response:
        _person, grant = who(await pages.visit(request))
        await identity.end_all(grant, clock.now_ms())
        return RedirectResponse("/signin", 303)

    @router.post("/account/role")
    async def change_role(request: Request) -> Response:
        person, grant = who(await pages.visit(request))
        number, now_ms = (await read_form(request)).get("number", ""), clock.now_ms()
        other = await identity.change_role(grant, int(number) if number.isdecimal() else 0, now_ms)
        changed = desk.person(other, person.strength)
        if changed is None:
            raise IdentityRefused(409, "not_done", "the flat is not in the directory any more")
        response = RedirectResponse("/home", 303)
        await rotate(request, response, changed, now_ms)
        return response

    @router.post("/account/roles")
    async def add_role(request: Request) -> Response:
        person, grant = who(await pages.visit(request))
        code, now_ms = (await read_form(request)).get("code", ""), clock.now_ms()
        await identity.add_role(grant, code, address=address_of(request), now_ms=now_ms)
        response = RedirectResponse("/account", 303)
        await rotate(request, response, person, now_ms)
        return response

    @router.post("/account/passkeys/begin")
    async def begin_passkey(request: Request) -> Response:
        _person, grant = who(await pages.visit(request))
        label = pages.settings.site_title.en
        return JSONResponse(await identity.begin_passkey(grant, label=label, now_ms=clock.now_ms()))

    @router.post("/account/passkeys")
    async def add_passkey(request: Request) -> Response:
        person, grant = who(await pages.visit(request))
        posted, now_ms = await read_json(request), clock.now_ms()
        answer = posted.get("credential")
        await identity.add_passkey(grant, answer if isinstance(answer, dict) else {}, now_ms)
        response = JSONResponse({"next": "/account"})
        await rotate(request, response, person, now_ms)
        return response

    @router.post("/account/passkeys/remove")
    async def remove_passkey(request: Request) -> Response:
        person, grant = who(await pages.visit(request))
        passkey, now_ms = from_text((await read_form(request)).get("passkey", "")), clock.now_ms()
        await identity.remove_passkey(grant, passkey, now_ms, here=session_digest(request, pages.settings))
        response = RedirectResponse("/account", 303)
        await rotate(request, response, person, now_ms)
        return response

    @router.post("/account/codes")
    async def codes(request: Request) -> Response:
        visit = await pages.visit(request)
        (person, grant), now_ms = who(visit), clock.now_ms()
        made = await identity.new_codes(grant, now_ms, here=session_digest(request, pages.settings))
        response = pages.render(visit, "codes.html", values={"codes": made, "is_new": False})
        await rotate(request, response, person, now_ms)
        return response

    @router.post("/account/invitations/stop")
    async def stop(request: Request) -> Response:
        _person, grant = who(await pages.visit(request))
        await identity.stop_invitation(grant, from_text((await read_form(request)).get("code", "")), clock.now_ms())
        return RedirectResponse("/account", 303)

    return router


async def _values(desk: Desk, visit: Visit) -> dict[str, object]:
    """What the page of one's own access shows."""
    (person, grant), identity = who(visit), desk.identity
    roles = await identity.grants(grant)
    tokens = await desk.tokens.listed(grant, visit.now_ms) if grant.role in HOUSEHOLD else ()
    return {
        "passkeys": [(to_text(one.credential), one) for one in await identity.passkeys(grant)],
        "roles": [(one, desk.role_title(one.role), desk.door_of(one.unit)) for one in roles],
        "current": grant.number,
        "recoveries": [(to_text(one.digest), one) for one in await identity.recoveries(grant, visit.now_ms)],
        "tokens": [(to_text(one.digest), one) for one in tokens],
        "secret": None,
        "program_looks": await _looks(desk, person, {Act.TOKEN_LOOKED}, count=_PROGRAM_LOOKS),
        "tenant_program_looks": await _looks(desk, person, {Act.TENANT_TOKEN_LOOKED}, count=_PROGRAM_LOOKS),
        "looks": await _looks(desk, person, BY_PEOPLE, count=_LOOKS),
        "role_title": desk.role_title,
    }


async def _looks(desk: Desk, person: Person, acts: Collection[Act], *, count: int) -> Sequence[AuditEntry]:
    """What happened around the flat's data while it was this person's to know."""
    if person.grant is None or person.grant.unit is None:
        return ()
    unit = person.grant.unit
    found = await desk.identity.audit.of_unit(unit, from_ms=person.since_ms, count=count, acts=acts)
    names = await desk.tokens.names_in_log(unit)
    return [_named(entry, names) for entry in found]


def _named(entry: AuditEntry, names: Mapping[str, str]) -> AuditEntry:
    """An entry with its token's name in the place of the number that the log holds."""
    number, colon, rest = entry.what.partition(":")
    return replace(entry, what=f"{names[number]}{colon}{rest}") if number in names else entry


def days_of(form: Mapping[str, str]) -> int:
    """For how many days a form wishes a token; 0 for what is no such number."""
    days = form.get("days", "")
    return int(days) if days.isdecimal() and len(days) < 5 else 0


def who(visit: Visit) -> tuple[Person, Grant]:
    """The signed-in person and the role they act in."""
    assert visit.viewer is not None and visit.viewer.grant is not None, "the guard asked"
    return visit.viewer, visit.viewer.grant


def to_text(raw: bytes) -> str:
    """Bytes as a form carries them."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def from_text(text: str) -> bytes:
    """The bytes of a form's field; none for what is none of ours."""
    try:
        return urlsafe_b64decode(text[:2048] + "=" * (-len(text) % 4))
    except ValueError:
        return b""
