"""Joining, signing in, sessions, lost passkeys: real ceremonies over the pages' own routes, on both databases."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from cloud.identity.roles import Role
from cloud.store import tables
from tests.cloud.authenticator import Phone
from tests.cloud.house import ORIGIN, House, alias_of, house, join, sign_in

Run = Callable[[Any], Any]
DAY_MS = 86_400_000
HOUR_MS = 3_600_000


def test_a_letter_makes_an_account_once_and_its_passkey_signs_in(run: Run, tmp_path: Path, store_url: str) -> None:
    async def scenario() -> None:
        async with house(tmp_path, store_url=store_url) as site:
            code = await site.letter(Role.OWNER, "b07-0501")
            browser, phone = site.browser(), Phone(ORIGIN)
            assert (await join(browser, phone, code.lower().replace("-", " "))).json() == {"next": "/home"}
            assert "Flat 0501" in (await browser.get("/account")).text
            again = await join(site.browser(), Phone(ORIGIN), code)
            assert (again.status_code, again.json()["error"]) == (401, "code")
            other = site.browser()
            assert (await sign_in(other, phone)).status_code == 200
            assert (await other.get("/account")).status_code == 200
            assert (await sign_in(site.browser(), _stranger())).status_code == 401

    run(scenario())


def _stranger() -> Phone:
    phone = Phone(ORIGIN)
    phone.create({"publicKey": {"rp": {"id": "localhost"}, "user": {"id": "AAAA"}, "challenge": "AAAA"}})
    return phone


def test_a_ceremony_is_answered_once_in_time_by_this_site_and_an_unlocked_phone(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            browser, phone = site.browser(), Phone(ORIGIN)
            assert (await join(browser, phone, await site.letter(Role.MANAGER))).status_code == 200
            begun = (await browser.post("/signin/passkey/begin", json={})).json()
            answer = phone.get(begun)
            tampered = {**answer, "response": {**answer["response"], "signature": answer["rawId"]}}
            assert (await browser.post("/signin/passkey", json={"credential": tampered})).status_code == 401
            # The challenge went with the first answer, right or wrong.
            assert (await browser.post("/signin/passkey", json={"credential": answer})).status_code == 401
            for broken in (Phone("http://evil.example"), Phone(ORIGIN, verifies=False)):
                broken._keys = phone._keys
                assert (await sign_in(site.browser(), broken)).status_code == 401
            begun = (await browser.post("/signin/passkey/begin", json={})).json()
            wrong_site = phone.get(begun, rp="evil.example")
            assert (await browser.post("/signin/passkey", json={"credential": wrong_site})).status_code == 401
            begun = (await browser.post("/signin/passkey/begin", json={})).json()
            site.clock.at_ms += 6 * 60_000
            late = await browser.post("/signin/passkey", json={"credential": phone.get(begun)})
            assert late.status_code == 401

    run(scenario())


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"credential": 7}', b'{"credential": {"response": []}}'])
def test_a_malformed_answer_is_refused(run: Run, tmp_path: Path, body: bytes) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            headers = {"content-type": "application/json"}
            answer = await site.browser().post("/signin/passkey", content=body, headers=headers)
            assert answer.status_code in (400, 401)

    run(scenario())


def test_a_one_time_code_reads_once_and_changes_nothing(run: Run, tmp_path: Path, store_url: str) -> None:
    async def scenario() -> None:
        async with house(tmp_path, store_url=store_url) as site:
            owner = site.browser()
            made = await owner.post("/join/codes", data={"code": await site.letter(Role.OWNER, "b07-0501")})
            codes = re.findall(r"<li><code>([0-9A-Z-]{19})</code>", made.text)
            assert len(codes) == 8
            reader = site.browser()
            assert (await reader.post("/signin/code", data={"code": codes[0]})).status_code == 303
            assert (await reader.get("/home")).status_code == 200
            for path in ("/account/codes", "/account/passkeys/begin", "/people/invitations"):
                refused = await reader.post(path, data={})
                assert (refused.status_code, "This needs your passkey" in refused.text) == (403, True), path
            assert (await site.browser().post("/signin/code", data={"code": codes[0]})).status_code == 401
            assert (await site.browser().post("/signin/code", data={"code": codes[1]})).status_code == 303

    run(scenario())


def test_a_session_ends_unused_and_at_its_latest_and_an_officers_sooner(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            manager, owner = await site.member(Role.MANAGER), await site.member(Role.OWNER, "b07-0501")
            for _ in range(11):
                site.clock.at_ms += 59 * 60_000
                assert (await manager.get("/site")).status_code == 200
            site.clock.at_ms += 73 * 60_000  # past twelve hours since it was opened
            assert (await manager.get("/site")).status_code == 401
            idle = await site.member(Role.MANAGER)
            site.clock.at_ms += 61 * 60_000
            assert (await idle.get("/site")).status_code == 401
            assert (await owner.get("/home")).status_code == 200
            site.clock.at_ms += 15 * DAY_MS
            assert (await owner.get("/home")).status_code == 401

    run(scenario())


def test_a_browser_gets_another_session_whenever_its_rights_change(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            browser, phone = site.browser(), Phone(ORIGIN)
            await join(browser, phone, await site.letter(Role.OWNER, "b07-0501"))
            first = browser.cookies["minglou_session"]
            await sign_in(browser, phone)
            second = browser.cookies["minglou_session"]
            begun = (await browser.post("/account/passkeys/begin", json={})).json()
            added = await browser.post("/account/passkeys", json={"credential": phone.create(begun)})
            assert added.status_code == 200, added.text
            third = browser.cookies["minglou_session"]
            assert len({first, second, third}) == 3
            for old in (first, second):
                thief = site.browser()
                thief.cookies.set("minglou_session", old)
                assert (await thief.get("/home")).status_code == 401

    run(scenario())


def test_signing_out_everywhere_ends_every_session_of_the_account(run: Run, tmp_path: Path, store_url: str) -> None:
    async def scenario() -> None:
        async with house(tmp_path, store_url=store_url) as site:
            phone, here, there = Phone(ORIGIN), site.browser(), site.browser()
            await join(here, phone, await site.letter(Role.OWNER, "b07-0501"))
            await sign_in(there, phone)
            neighbour = await site.member(Role.OWNER, "b07-0502")
            await here.post("/account/signout")
            assert (await there.get("/home")).status_code == 401
            assert (await neighbour.get("/home")).status_code == 200

    run(scenario())


def test_an_https_site_binds_its_cookie_to_the_host(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        address = "https://cuiyuan.example"
        async with house(tmp_path, public_url=address) as site:
            browser, phone = site.browser(), Phone(address)
            browser.base_url, browser.headers["origin"] = address, address  # type: ignore[assignment]
            options = (
                await browser.post("/join/begin", json={"code": (code := await site.letter(Role.MANAGER))})
            ).json()
            answer = await browser.post("/join", json={"code": code, "credential": phone.create(options)})
            cookie = answer.headers["set-cookie"]
            assert cookie.startswith("__Host-minglou_session=")
            assert all(word in cookie for word in ("Secure", "HttpOnly", "SameSite=strict", "Path=/"))
            assert "Domain" not in cookie
            assert "max-age" in (await browser.get("/site")).headers["strict-transport-security"]

    run(scenario())


def test_another_sites_page_changes_nothing(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            owner = await site.member(Role.OWNER, "b07-0501")
            for headers in ({"origin": "https://evil.example"}, {"origin": "null"}):
                for path in ("/signout", "/account/signout", "/account/codes", "/preferences"):
                    assert (await owner.post(path, headers=headers)).status_code == 403, path
            del owner.headers["origin"]
            assert (await owner.post("/signout", headers={"sec-fetch-site": "cross-site"})).status_code == 403
            assert (await owner.get("/home")).status_code == 200

    run(scenario())


def test_guessing_codes_is_stopped_with_what_to_do(run: Run, tmp_path: Path, store_url: str) -> None:
    async def scenario() -> None:
        async with house(tmp_path, store_url=store_url) as site:
            code = await site.letter(Role.OWNER, "b07-0501")
            thief = site.browser(peer="192.0.2.7")
            answers = [await thief.post("/join/begin", json={"code": "0000-0000-0000-0000"}) for _ in range(31)]
            assert [answer.status_code for answer in answers] == [401] * 30 + [429]
            assert answers[-1].headers["retry-after"] == "600"
            assert "wait" in answers[-1].json()["message"]
            assert (await thief.post("/join/begin", json={"code": code})).status_code == 429
            assert (await site.browser().post("/join/begin", json={"code": code})).status_code == 200
            site.clock.at_ms += 10 * 60_000
            assert (await thief.post("/join/begin", json={"code": code})).status_code == 200

    run(scenario())


def test_a_lost_passkey_is_replaced_after_a_delay_in_which_its_holder_may_stop_it(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            manager = await site.member(Role.MANAGER)
            owner, old = site.browser(), Phone(ORIGIN)
            await join(owner, old, await site.letter(Role.OWNER, "b07-0501"))
            number = re.search(
                r'people/recover"><input type="hidden" name="number" value="(\d+)"', (await manager.get("/people")).text
            )
            assert number
            letters = []
            for _ in range(2):
                page = (await manager.post("/people/recover", data={"number": number[1]})).text
                found = re.search(r'id="letter-code">([0-9A-Z-]{19})<', page)
                assert found
                letters.append(found[1])
            early = await join(site.browser(), Phone(ORIGIN), letters[0])
            assert (early.status_code, early.json()["error"]) == (409, "early")
            warned = (await owner.get("/account")).text
            assert warned.count("Somebody asked for a new passkey") == 2
            stop = re.search(r'invitations/stop"><input type="hidden" name="code" value="([\w-]+)"', warned)
            assert stop
            await owner.post("/account/invitations/stop", data={"code": stop[1]})
            site.clock.at_ms += 3 * DAY_MS + 1
            codes = [(await join(site.browser(), Phone(ORIGIN), letter)).status_code for letter in letters]
            assert sorted(codes) == [200, 401]
            # The old passkey and its sessions ended with the recovery.
            assert (await sign_in(site.browser(), old)).status_code == 401
            assert (await owner.get("/home")).status_code == 401

    run(scenario())


def test_everybody_invites_whom_they_look_after_and_nobody_else(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            manager, owner = await site.member(Role.MANAGER), await site.member(Role.OWNER, "b07-0501")
            for role in ("manager", "committee", "regulator", "operator"):
                assert (await manager.post("/people/invitations", data={"role": role})).status_code == 403, role
            assert (await manager.post("/people/invitations", data={"role": "owner"})).status_code == 422
            written = await manager.post("/people/invitations", data={"role": "owner", "door": "b07-0502"})
            assert "Flat 0502" in written.text
            theirs = await owner.post("/people/invitations", data={"role": "tenant", "door": "b07-0502"})
            assert theirs.status_code == 403
            letter = await owner.post("/people/invitations", data={"role": "tenant", "door": "b07-0501"})
            code = re.search(r'id="letter-code">([0-9A-Z-]{19})<', letter.text)
            assert code
            tenant = site.browser()
            assert (await join(tenant, Phone(ORIGIN), code[1])).status_code == 200
            assert (await tenant.get("/bills/b07-0501")).status_code == 200
            assert (await tenant.get("/people")).status_code == 404
            ends = re.search(
                r'people/end"><input type="hidden" name="number" value="(\d+)"', (await owner.get("/people")).text
            )
            assert ends
            await owner.post("/people/end", data={"number": ends[1]})
            assert (await tenant.get("/bills/b07-0501")).status_code == 401

    run(scenario())


def test_the_last_passkey_stays(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            browser, phone = site.browser(), Phone(ORIGIN)
            await join(browser, phone, await site.letter(Role.OWNER, "b07-0501"))
            begun = (await browser.post("/account/passkeys/begin", json={})).json()
            await browser.post("/account/passkeys", json={"credential": phone.create(begun)})
            keys = re.findall(r'name="passkey" value="([\w-]+)"', (await browser.get("/account")).text)
            assert len(keys) == 2
            assert (await browser.post("/account/passkeys/remove", data={"passkey": keys[0]})).status_code == 303
            assert (await browser.post("/account/passkeys/remove", data={"passkey": keys[1]})).status_code == 409

    run(scenario())


def test_no_secret_and_no_name_is_in_the_store(run: Run, tmp_path: Path, store_url: str) -> None:
    async def scenario() -> None:
        link = b"L" * 32
        async with house(tmp_path, store_url=store_url, links=[("owner", "b07-0502", link)]) as site:
            code = await site.letter(Role.OWNER, "b07-0501")
            browser = site.browser()
            made = await browser.post("/join/codes", data={"code": code})
            codes = re.findall(r"<li><code>([0-9A-Z-]{19})</code>", made.text)
            manager = await site.member(Role.OPERATOR)
            shown = await manager.post("/tokens", data={"name": "prometheus", "days": "9", "metrics:read": "1"})
            secret = re.search(r'id="token-secret">(mlt_[\w-]{43})<', shown.text)
            assert secret
            kept = []
            async with site.cloud.store.read() as connection:
                for table in tables.metadata.sorted_tables:
                    query = select(table).execution_options(every_shard="a test looks at all")
                    kept += [repr(tuple(row)) for row in await connection.execute(query)]
            dump = "\n".join(kept)
            secrets = [code, *codes, secret[1], browser.cookies["minglou_session"], manager.cookies["minglou_session"]]
            for hidden in [*secrets, *(one.replace("-", "") for one in secrets), "Cuiyuan", "翠苑", "Flat 05"]:
                assert hidden not in dump, hidden
            assert alias_of("b07-0501") != b""

    run(scenario())


async def _two_browsers(site: House, unit: str = "b07-0501") -> tuple[httpx.AsyncClient, httpx.AsyncClient]:
    """One owner, signed in on a phone and on another with a second passkey."""
    here, phone, there = site.browser(), Phone(ORIGIN), site.browser()
    await join(here, phone, await site.letter(Role.OWNER, unit))
    begun = (await here.post("/account/passkeys/begin", json={})).json()
    second = Phone(ORIGIN)
    await here.post("/account/passkeys", json={"credential": second.create(begun)})
    await sign_in(there, second)
    return here, there


def test_removing_a_passkey_ends_the_sessions_that_it_may_have_opened(run: Run, tmp_path: Path, store_url: str) -> None:
    async def scenario() -> None:
        async with house(tmp_path, store_url=store_url) as site:
            here, there = await _two_browsers(site)
            before = here.cookies["minglou_session"]
            keys = re.findall(r'name="passkey" value="([\w-]+)"', (await here.get("/account")).text)
            assert (await here.post("/account/passkeys/remove", data={"passkey": keys[1]})).status_code == 303
            assert (await there.get("/home")).status_code == 401
            assert (await here.get("/home")).status_code == 200
            thief = site.browser()
            thief.cookies.set("minglou_session", before)
            assert (await thief.get("/home")).status_code == 401

    run(scenario())


def test_a_new_sheet_of_codes_ends_the_sessions_that_the_old_one_may_have_opened(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            here, there = await _two_browsers(site)
            sheet = (await here.post("/account/codes")).text
            code = re.search(r"<li><code>([0-9A-Z-]{19})</code>", sheet)
            assert code
            assert (await there.get("/home")).status_code == 401
            reader = site.browser()
            await reader.post("/signin/code", data={"code": code[1]})
            assert (await reader.get("/home")).status_code == 200
            assert (await here.post("/account/codes")).status_code == 200
            assert (await reader.get("/home")).status_code == 401

    run(scenario())
