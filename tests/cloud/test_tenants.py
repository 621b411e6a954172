"""Two real sites in one process: nothing that opens something of one opens anything of the other."""

import asyncio
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from cloud.identity.policy import RULES, Gate
from cloud.identity.roles import Role
from contracts.entry import device_id
from tests.cloud.authenticator import Phone
from tests.cloud.chain_site import ChainSite
from tests.cloud.gateway import SimulatedGateway
from tests.cloud.house import UNITS, urn_of
from tests.cloud.tenants import Tenant, serving_sites
from tests.cloud.test_access import _ENDS_SESSIONS, address
from tests.conftest import Endpoint
from tests.postgres import PostgresServer
from tests.processes import free_port, wait_until

PEOPLE = (Role.OWNER, Role.MANAGER, Role.OPERATOR)
# What no two answers to the same question have alike, whoever asks.
CHANGING = {"/readyz", "/v1/status", "/metrics"}
Credential = Mapping[str, str]


def meter_readings(gateway: SimulatedGateway) -> None:
    gateway.log_readings(5, urn=urn_of(UNITS[0]))


async def deploy(url: str, port: int, folder: Path, store_url: str) -> list[Tenant]:
    """Two sites whose gateways bear one name, with keys and tokens of their own."""
    tenants = []
    for number, (name, relayer, store) in enumerate((("a", "relayer", ""), ("b", "second relayer", store_url)), 1):
        gateway = SimulatedGateway(seed=number)
        meter_readings(gateway)
        tenant = Tenant(f"{name}.localhost", folder / name, port, number, gateway, store)
        chain = await ChainSite.deploy(url, relayer=relayer, super_log=(f"{tenant.host}/log", tenant.super_key))
        await chain.enrol(gateway, device_id(urn_of(UNITS[0])))
        await chain.close()
        tenant.chain = chain
        tenant.write()
        tenants.append(tenant)
    return tenants


@pytest.mark.timeout(900)
def test_nothing_of_one_site_opens_anything_of_the_other(
    tmp_path: Path, anvil: Endpoint, postgres: PostgresServer
) -> None:
    database = postgres.new_database()
    one, other = asyncio.run(deploy(anvil.url, free_port(), tmp_path, postgres.url(database)))
    with serving_sites(tmp_path, one, other) as program:
        for tenant in (one, other):
            wait_until(lambda site=tenant: site.send(site.gateway).status_code == 200, seconds=60, what="the Registry")  # type: ignore[misc]
        for tenant in (one, other):
            for role, code in tenant.letters(*PEOPLE).items():
                assert tenant.join(role, code).status_code == 200
        for asked, stranger_from in ((one, other), (other, one)):
            no_route_is_opened(asked, credentials_of(asked), credentials_of(stranger_from))
        letters_and_passkeys_are_one_sites(one, other)
        gateways_are_one_sites(one, other)
        audit_logs_are_one_sites(one, other)
        both_are_anchored(anvil, one, other)
        assert program.stop() == 0, program.said()
    postgres.drop_database(database)


def credentials_of(site: Tenant) -> dict[str, Credential]:
    """Everything that opens something of a site."""
    people = {f"session of the {role}": {"cookie": site.sessions[role]} for role in PEOPLE}
    programs = {"program's token": site.program_token(), "uplink token": site.gateway.token.hex()}
    return {**people, **{name: {"bearer": token} for name, token in (*programs.items(), ("copy's", site.copy_token))}}


def form_of(credential: Credential) -> str:
    """How it is shown, and what it looks like: all that somebody to whom it says nothing can tell."""
    if "cookie" in credential:
        return "cookie"
    return "program's" if credential["bearer"].startswith("mlt_") else "hex"


def nobodys(form: str) -> Credential:
    """One of the same form that nobody ever had."""
    new = urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
    return {
        "cookie": {"cookie": new},
        "program's": {"bearer": "mlt_" + new},
        "hex": {"bearer": secrets.token_hex(32)},
    }[form]


def no_route_is_opened(asked: Tenant, own: dict[str, Credential], others: dict[str, Credential]) -> None:
    """Over all routes: the other site's credential is answered as one that nobody ever had; one's own is not."""
    routes = sorted(route for route in RULES if route[1] not in _ENDS_SESSIONS)
    assert len(routes) > 60
    opened: set[str] = set()
    wrong: list[tuple[str, str, str]] = []
    for method, path in routes:
        place = address(path)

        def answer(credential: Credential, method: str = method, place: str = place) -> tuple[int, bytes]:
            got = asked.ask(method, place, **credential)  # type: ignore[arg-type]
            return got.status_code, got.content if method == "GET" and place not in CHANGING else b""

        told_to_nobody = {form: answer(nobodys(form)) for form in sorted({form_of(one) for one in others.values()})}
        for name, credential in others.items():
            nobody, theirs = told_to_nobody[form_of(credential)], answer(credential)
            if theirs != nobody:  # a log may have grown in between
                nobody = answer(nobodys(form_of(credential)))
            if theirs != nobody and 429 not in (theirs[0], nobody[0]):
                wrong.append((method, path, name))
            if name not in opened and method == "GET" and RULES[method, path].gate is not Gate.EVERYBODY:
                mine = answer(own[name])
                opened |= {name} if mine[0] == 200 and mine != nobody else set()
    assert wrong == []
    assert opened == set(own), "each opens something where it belongs"


def letters_and_passkeys_are_one_sites(one: Tenant, other: Tenant) -> None:
    code = one.letters(Role.COMMITTEE)[Role.COMMITTEE]
    refused, unknown = other.post_json("/join/begin", {"code": code}), other.post_json("/join/begin", {"code": "x" * 9})
    assert refused.status_code == unknown.status_code and refused.status_code >= 400
    phone = one.phones[Role.MANAGER]
    for origin in (one.origin, other.origin):  # as its browser would answer, and as a dishonest one would
        thief = Phone(origin)
        thief._keys = phone._keys
        asked = other.post_json("/signin/passkey/begin", {}).json()
        assert asked["publicKey"]["rpId"] == other.host
        signed = other.post_json("/signin/passkey", {"credential": thief.get(asked)})
        assert signed.status_code in (401, 403) and "set-cookie" not in signed.headers
    asked = one.post_json("/signin/passkey/begin", {}).json()
    assert other.post_json("/signin/passkey", {"credential": phone.get(asked)}).status_code in (401, 403)
    assert one.post_json("/signin/passkey", {"credential": phone.get(asked)}).status_code == 200, "where it belongs"
    # A page of one cannot act on the other, even in a browser that is signed in there.
    forged = [("Origin", one.origin)]
    body, cookie = b"language=en", other.sessions[Role.MANAGER]
    sent = other.ask("POST", "/preferences", cookie=cookie, body=body, headers=forged, origin=False)
    assert sent.status_code == 403


def gateways_are_one_sites(one: Tenant, other: Tenant) -> None:
    assert one.gateway.origin == other.gateway.origin
    one.gateway.log_readings(3, urn=urn_of(UNITS[0]))
    held = other.ask("GET", f"/v1/logs/{other.gateway.origin}", bearer=other.gateway.token.hex()).json()
    assert other.send(one.gateway).json()["error"] == "bad_token"
    assert other.send(one.gateway, token=other.gateway.token).status_code in (409, 422)
    assert other.ask("GET", f"/v1/logs/{other.gateway.origin}", bearer=other.gateway.token.hex()).json() == held
    assert one.send(one.gateway).json() == {"size": one.gateway.size}


def audit_logs_are_one_sites(one: Tenant, other: Tenant) -> None:
    notes: list[str] = []
    for site in (one, other):
        text: Callable[[], str] = lambda site=site: site.ask("GET", "/audit/checkpoint").text  # type: ignore[misc]  # noqa: E731
        wait_until(
            lambda text=text, site=site: text().startswith(f"audit.{site.host}/log\n"), seconds=90, what="a head"
        )  # type: ignore[misc]
        notes.append(text())
    assert notes[0] != notes[1]


def both_are_anchored(anvil: Endpoint, *sites: Tenant) -> None:
    async def mine() -> None:
        assert sites[0].chain is not None
        await sites[0].chain.mine()

    def anchored() -> bool:
        asyncio.run(mine())
        status: list[dict[str, Any]] = [site.ask("GET", "/v1/status").json() for site in sites]
        return all(one["anchored_size"] == one["super_size"] > 0 for one in status)

    wait_until(anchored, seconds=60, what="both super-logs on one chain, each in its own AnchorLog")
