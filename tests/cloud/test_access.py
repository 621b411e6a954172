"""Every route against every role, generated from the application's own routes: a new one without a rule fails here."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter

from cloud.identity.policy import RULES, Gate, rule_of
from cloud.identity.roles import HOUSEHOLD, Role
from cloud.web.guard import declared_routes, undeclared_routes
from tests.cloud.house import METER_ORIGIN, UNITS, House, house
from tests.cloud.web.world import PERIOD

Run = Callable[[Any], Any]
OWN, THEIRS = UNITS
SAMPLES = {
    "period": PERIOD, "number": "0", "index": "0", "name": "b07-l1", "size": "1", "unit_index": "0",
    "digest": "ab" * 32, "sha256": "cd" * 32, "flag": "ef" * 16, "code": "4k7mq2xd90bz",
    "service": "power", "what": "readings", "form": "csv", "origin:path": METER_ORIGIN, "path:path": "0/000.p/1",
}  # fmt: skip
REFUSED = {401, 403, 404}
# Whoever comes without their own credential, or with a form that says nothing, is told so; nothing is done.
NOT_DONE = REFUSED | {400, 405, 409, 411, 413, 415, 422, 429, 503}


def address(path: str, door: str = OWN) -> str:
    """A route's path with something in each of its places."""
    return re.sub(r"\{([\w:]+)\}", lambda found: door if found[1] == "door" else SAMPLES[found[1]], path)


async def everybody(site: House) -> dict[Role | None, httpx.AsyncClient]:
    """One browser for each role, and the public's."""
    found: dict[Role | None, httpx.AsyncClient] = {None: site.browser()}
    for role in Role:
        found[role] = await site.member(role, OWN if role in HOUSEHOLD else None)
    return found


@pytest.mark.parametrize("reads", [True, False], ids=["reads", "acts"])
def test_every_route_admits_the_roles_of_its_rule_and_nobody_else(run: Run, tmp_path: Path, reads: bool) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            routes = [route for route in declared_routes(site.app) if (route[0] == "GET") is reads]
            assert len(routes) > 30
            wrong = []
            people = await everybody(site)
            # Routes that end a session come last, each with a fresh one.
            for method, path in sorted(routes, key=lambda route: (route[1] in _ENDS_SESSIONS, route)):
                rule = rule_of(method, path)
                assert rule is not None, (method, path)
                for role, browser in people.items():
                    asking = browser
                    if path in _ENDS_SESSIONS and role is not None:
                        asking = await site.member(role, OWN if role in HOUSEHOLD else None)
                    answer = await asking.request(method, address(path), content=b"")
                    if not _fits(rule.gate, rule.admits(role), role, answer.status_code, method):
                        wrong.append((method, path, role, answer.status_code))
                    site.clock.at_ms += 50  # attempts are counted by the window, not by the request
            assert wrong == []

    run(scenario())


_ENDS_SESSIONS = ("/signout", "/account/signout", "/account/role")


def _fits(gate: Gate, admitted: bool, role: Role | None, status: int, method: str) -> bool:
    if gate is Gate.ROLES and not admitted:
        return status == (401 if role is None else 404)
    if gate is Gate.ROLES:
        return status not in (401, 500) and (status != 403 or method == "POST")
    if gate in (Gate.OWN, Gate.TOKEN):
        # No session stands in for a gateway's, a copy's or a program's own credential; figures are for this machine.
        return status in NOT_DONE or (method == "GET" and status == 200 and gate is Gate.OWN)
    return status < 500 or status == 503


def test_no_rule_is_left_of_a_route_that_is_gone(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            assert set(RULES) == set(declared_routes(site.app))

    run(scenario())


def test_a_route_without_a_rule_is_noticed_and_closed(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            router = APIRouter()

            @router.get("/new")
            async def new() -> str:
                return "open"

            site.app.include_router(router)
            assert undeclared_routes(site.app) == [("GET", "/new")]

    run(scenario())


def test_a_tenants_looks_are_told_to_the_owner_and_begin_when_they_moved_in(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            owner, tenant = await site.member(Role.OWNER, OWN), await site.member(Role.TENANT, OWN)
            neighbour, manager = await site.member(Role.OWNER, THEIRS), await site.member(Role.MANAGER)
            assert (await tenant.get("/home")).status_code == 200
            await manager.get("/site")
            told = (await owner.get("/account")).text
            assert f"/home {OWN}" in told and "Tenant" in told
            elsewhere = (await neighbour.get("/account")).text
            assert f"/home {OWN}" not in elsewhere
            for page in (told, elsewhere):
                assert "<code>/site</code>" in page and "Property manager" in page

    run(scenario())


def test_a_tenant_sees_nothing_of_who_came_and_looked_before_they_moved_in(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            await (await site.member(Role.TENANT, OWN)).get("/home")
            manager = await site.member(Role.MANAGER)
            await manager.get("/site")
            site.clock.at_ms += 86_400_000
            owner, tenant = await site.member(Role.OWNER, OWN), await site.member(Role.TENANT, OWN)
            told = (await owner.get("/account")).text
            assert f"/home {OWN}" in told and "<code>/site</code>" in told
            theirs = (await tenant.get("/account")).text
            assert f"/home {OWN}" not in theirs and "<code>/site</code>" not in theirs
            assert "Tenant" in theirs  # their own coming in

    run(scenario())
