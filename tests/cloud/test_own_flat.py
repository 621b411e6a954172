"""A household's own programs: a token opens its maker's flat, reads what that role may read, and ends with it."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from cloud.identity.audit import Act
from cloud.identity.policy import RULES, Gate
from cloud.identity.roles import Role, Strength
from cloud.identity.tokens import SCOPES_OF, Scope
from cloud.store import tables
from cloud.web.guard import declared_routes
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.house import House, alias_of, house, urn_of
from tests.cloud.test_access import address
from tests.cloud.test_identity import HOUR_MS
from tests.cloud.test_personal_file import OTHER, OWN, REGISTER, log_readings

Run = Callable[[Any], Any]
DAY_MS = 86_400_000


async def token_of(browser: httpx.AsyncClient, name: str = "Home Assistant", days: str = "90") -> str:
    """What a household makes on its own page, shown this once."""
    page = await browser.post("/account/tokens", data={"name": name, "days": days})
    assert page.status_code == 200, page.text
    found = re.search(r'id="token-secret">(mlt_[\w-]{43})<', page.text)
    assert found, page.text
    assert found[1] not in (await browser.get("/account")).text
    return found[1]


async def ask(site: House, token: str, path: str = "/v1/own") -> httpx.Response:
    """A program asks from elsewhere, with nothing but its token."""
    return await site.browser(peer="192.0.2.7").get(path, headers={"authorization": f"Bearer {token}"})


def shown(answer: httpx.Response) -> dict[str, int]:
    """What the meters of an answer show, by meter."""
    return {
        meter["name"]: int(register["value"]) for meter in answer.json()["meters"] for register in meter["registers"]
    }


def test_an_owners_token_tells_the_own_flats_newest_readings_and_nothing_of_another(
    run: Run, tmp_path: Path, store_url: str
) -> None:
    async def scenario() -> None:
        async with house(tmp_path, store_url=store_url) as site:
            gateway = SimulatedGateway()
            await log_readings(site, gateway)
            owner, neighbour = await site.member(Role.OWNER, OWN), await site.member(Role.OWNER, OTHER)
            mine, theirs = await token_of(owner), await token_of(neighbour)
            answer = await ask(site, mine)
            assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
            assert (answer.json()["flat"], shown(answer)) == (OWN, {OWN: 5_550_006})
            register = answer.json()["meters"][0]["registers"][0]
            assert (register["quantity"], register["unit"], register["state"]) == (REGISTER, "Wh", "logged")
            assert shown(await ask(site, theirs)) == {OTHER: 9_990_006}
            place = f"/v1/evidence/{register['origin']}/{register['index']}"
            assert (await ask(site, theirs, place)).status_code == 403
            for path in ("/v1/own?unit=" + OTHER, f"/v1/own?flat={OTHER}"):
                assert (await ask(site, mine, path)).json()["flat"] == OWN
            assert (await ask(site, mine, "/v1/own/bills/2026110120261201")).json()["error"] == "unknown_bill"

    run(scenario())


def test_a_tenants_token_begins_when_they_moved_in(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            gateway = SimulatedGateway()
            await log_readings(site, gateway)
            site.clock.at_ms += 2 * HOUR_MS + 1
            early = await token_of(await site.member(Role.TENANT, OWN))
            assert shown(await ask(site, early)) == {OWN: 5_550_006}
            answer = (await ask(site, early)).json()
            assert answer["balance_fen"] is None, "money is the owner's"
            before = next(at for at, (urn, value) in enumerate(logged(gateway)) if (urn, value) == (OWN, 5_550_002))
            assert (await ask(site, early, f"/v1/evidence/{gateway.origin}/{before}")).status_code == 403
            site.clock.at_ms += 9 * HOUR_MS
            late = await token_of(await site.member(Role.TENANT, OWN))
            assert shown(await ask(site, late)) == {}

    run(scenario())


def logged(gateway: SimulatedGateway) -> list[tuple[str, int]]:
    """Flat and value of each of the gateway's entries; entry 0 opens the log."""
    from contracts.entry import decode_entry, device_id

    flats = {device_id(urn_of(flat)): flat for flat in (OWN, OTHER)}
    found = [decode_entry(entry) for entry in gateway.entries]
    return [(flats.get(entry.device, ""), entry.value) for entry in found]


def test_a_token_ends_with_its_days_its_revocation_and_its_role(run: Run, tmp_path: Path, store_url: str) -> None:
    async def scenario() -> None:
        async with house(tmp_path, store_url=store_url) as site:
            owner = await site.member(Role.OWNER, OWN)
            other = await site.member(Role.OWNER, OTHER)
            brief, revoked, kept, elsewhere = [
                await token_of(*asked)
                for asked in ((owner, "brief", "1"), (owner, "old", "9"), (owner, "new", "9"), (other, "other", "9"))
            ]
            assert [(await ask(site, one)).status_code for one in (brief, revoked, kept, elsewhere)] == [200] * 4
            page = (await owner.get("/account")).text
            assert "last used" in page and page.count("own:read") == 3 + 3  # each in the list, and as it was made
            key = re.search(
                r'account/tokens/revoke"><input type="hidden" name="token" value="([\w-]+)"><[^>]*Revoke old', page
            )
            assert key
            assert (await other.post("/account/tokens/revoke", data={"token": key[1]})).status_code == 404
            assert (await owner.post("/account/tokens/revoke", data={"token": key[1]})).status_code == 303
            site.clock.at_ms += DAY_MS
            assert [(await ask(site, one)).status_code for one in (brief, revoked, kept)] == [401, 401, 200]
            held = await site.cloud.identity.holders([Role.OWNER], unit=alias_of(OWN))
            await site.cloud.identity.end_grant(None, held[0].number, site.clock.at_ms)
            assert [(await ask(site, one)).status_code for one in (kept, elsewhere)] == [401, 200]

    run(scenario())


def test_a_token_ends_with_its_role_by_whatever_way_that_ended(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            token = await token_of(await site.member(Role.OWNER, OWN))
            async with site.cloud.store.write() as connection:
                ended = tables.grants.update().where(tables.grants.c.unit == alias_of(OWN))
                await connection.execute(ended.values(ended_at_ms=site.clock.at_ms))
            assert (await ask(site, token)).status_code == 401

    run(scenario())


def test_a_programs_first_look_of_an_hour_stands_on_the_flats_page_and_hides_nobody_elses(
    run: Run, tmp_path: Path, store_url: str
) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            owner, tenant = await site.member(Role.OWNER, OWN), await site.member(Role.TENANT, OWN)
            neighbour, manager = await site.member(Role.OWNER, OTHER), await site.member(Role.MANAGER)
            token, own = await token_of(tenant, "Thermostat"), await token_of(owner, "Wallpanel")
            await manager.get("/site")
            site.clock.at_ms += HOUR_MS - site.clock.at_ms % HOUR_MS + HOUR_MS // 2
            for hour in range(2):
                for path in ("/v1/own", "/v1/own", "/v1/own/bills/1", "/v1/own/bills/2"):
                    assert [(await ask(site, one, path)).status_code for one in (token, own)] in ([200] * 2, [404] * 2)
                site.clock.at_ms += HOUR_MS if hour else HOUR_MS // 2
            audit = site.cloud.identity.audit
            looks = await audit.of_unit(alias_of(OWN), acts={Act.TENANT_TOKEN_LOOKED})
            assert [one.what.split(",")[0].partition(": ")[2] for one in looks] == ["/v1/own/bills", "/v1/own"] * 2
            assert {one.role for one in looks} == {"tenant"} and "within its hour" in looks[0].what
            everything = await audit.of_unit(alias_of(OWN), count=1_000)
            assert not [one for one in everything if "Thermostat" in one.what], "a name would stand there for ever"
            assert not [one for one in await audit.newest(1_000) if "/v1/own" in one.what]
            more = {"at_ms": site.clock.at_ms, "unit": alias_of(OWN), "what": looks[0].what}
            for act in [Act.TOKEN_LOOKED, Act.TENANT_TOKEN_LOOKED] * 51:
                await audit.write(act, **more)
            told = (await owner.get("/account")).text
            of_others = told.partition("What happened around")[2]
            assert (of_others.count("Thermostat: /v1/own"), told.count("Thermostat: /v1/own")) == (20, 40)
            assert of_others.count("A program of a tenant looked") == 20
            assert "<code>/site</code>" in told and "Property manager" in told, (
                "many looks of a program hide no officer's"
            )
            assert "Thermostat" not in (await neighbour.get("/account")).text

    run(scenario())


def test_only_a_passkey_makes_a_token_and_one_person_has_ten_at_most_for_a_flat(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            reader = site.browser()
            await reader.post("/join/codes", data={"code": await site.letter(Role.OWNER, OWN)})
            assert (await reader.post("/account/tokens", data={"name": "x", "days": "9"})).status_code == 403
            owner = await site.member(Role.OWNER, OWN)
            for number in range(10):
                await token_of(owner, f"program {number}")
            refused = await owner.post("/account/tokens", data={"name": "one more", "days": "9"})
            assert (refused.status_code, "ten tokens" in refused.text) == (409, True)
            await token_of(await site.member(Role.TENANT, OWN), "another person's")
            for name, days in (("", "9"), ("\x1b[2Jx", "9"), ("x", "367"), ("x", "x")):
                answer = await owner.post("/account/tokens", data={"name": name, "days": days})
                assert answer.status_code == 422, name

    run(scenario())


def test_a_households_token_opens_no_route_but_its_own_and_no_officers_token_opens_those(
    run: Run, tmp_path: Path
) -> None:
    """Every route, generated: a token is nobody's session, and each scope opens its routes alone."""

    async def scenario() -> None:
        async with house(tmp_path, more=NO_LIMITS) as site:
            owner = await token_of(await site.member(Role.OWNER, OWN))
            scopes = SCOPES_OF[Role.OPERATOR]
            operator, _ = await site.cloud.tokens.make(None, "all", scopes, days=9, now_ms=site.clock.at_ms)
            assert Scope.OWN not in scopes
            asked = {"owner": owner, "operator": operator}
            browser, wrong = site.browser(peer="192.0.2.7"), []
            for method, path in declared_routes(site.app):
                rule = RULES[method, path]
                for who, token in asked.items():
                    headers = {"authorization": f"Bearer {token}"}
                    answer = await browser.request(method, address(path), content=b"", headers=headers)
                    if not fits(rule.gate, rule.scope, who == "operator", answer.status_code):
                        wrong.append((method, path, who, answer.status_code))
            assert wrong == []

    run(scenario())


NO_LIMITS = (
    "[limits]\nreads_per_minute = 0\nwrites_per_minute = 0\nexports_per_minute = 0\n"
    "costly_per_minute = 0\nhashes_per_minute = 0\n"
)


def fits(gate: Gate, scope: Scope | None, is_officer: bool, status: int) -> bool:
    """Whether a program's token met what the table of routes says of it."""
    if gate is Gate.ROLES:
        return status == 401  # pages are for people
    if gate is Gate.TOKEN:
        return (status != 401) == (is_officer != (scope is Scope.OWN))
    return status < 500 or status == 503


def test_a_person_behind_a_token_can_do_nothing(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            secret = await token_of(await site.member(Role.OWNER, OWN))
            token = await site.cloud.tokens.open(f"Bearer {secret}", Scope.OWN, site.clock.at_ms)
            assert token is not None
            held = await site.cloud.tokens.holder(token)
            assert held is not None and (held.role, held.unit) == (Role.OWNER, alias_of(OWN))
            from cloud.questions import StoreQuestions

            person = await StoreQuestions(site.cloud).person_of_token(token)
            assert person is not None and (person.strength, person.can_act) == (Strength.TOKEN, False)

    run(scenario())
