"""Access that others give and end: letters, lost passkeys, second roles, lists, the machine's own commands."""

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import insert, select, update

from cloud.identity.audit import Act
from cloud.identity.roles import Role
from cloud.identity.tokens import Scope
from cloud.store import tables
from minglou import main
from tests.cloud.authenticator import Phone
from tests.cloud.house import ORIGIN, House, alias_of, house, join
from tests.cloud.test_own_flat import ask, token_of

Run = Callable[[Any], Any]
DAY_MS = 86_400_000
HOUR_MS = 3_600_000


async def _recovery(site: House, manager: httpx.AsyncClient) -> str:
    """The code of a letter for the one lost passkey that the manager looks after."""
    number = re.search(
        r'people/recover"><input type="hidden" name="number" value="(\d+)"', (await manager.get("/people")).text
    )
    assert number
    page = (await manager.post("/people/recover", data={"number": number[1]})).text
    code = re.search(r'id="letter-code">([0-9A-Z-]{19})<', page)
    assert code
    return code[1]


def test_ending_a_role_stops_the_letters_that_would_bring_it_back(run: Run, tmp_path: Path, store_url: str) -> None:
    async def scenario() -> None:
        async with house(tmp_path, store_url=store_url) as site:
            manager, owner = await site.member(Role.MANAGER), await site.member(Role.OWNER, "b07-0501")
            code = await _recovery(site, manager)
            ends = re.search(
                r'people/end"><input type="hidden" name="number" value="(\d+)"', (await manager.get("/people")).text
            )
            assert ends
            await manager.post("/people/end", data={"number": ends[1]})
            assert (await owner.get("/home")).status_code == 401
            assert "for a lost passkey" not in (await manager.get("/people")).text
            site.clock.at_ms += 3 * DAY_MS + 1
            assert (await join(site.browser(), Phone(ORIGIN), code)).status_code == 401

    run(scenario())


def test_a_recovery_revokes_the_tokens_of_every_role_of_the_account_and_signing_out_revokes_none(
    run: Run, tmp_path: Path
) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            manager, thief = await site.member(Role.MANAGER), await site.member(Role.OWNER, "b07-0501")
            code, stolen = await _recovery(site, manager), [await token_of(thief)]
            second = await site.letter(Role.OWNER, "b07-0502")
            assert (await thief.post("/account/roles", data={"code": second})).status_code == 303
            page = (await thief.get("/account")).text
            other = re.search(r'account/role"><input type="hidden" name="number" value="(\d+)"', page)
            assert other
            assert (await thief.post("/account/role", data={"number": other[1]})).status_code == 303
            stolen.append(await token_of(thief))
            assert "tokens stay in force" in page
            await thief.post("/account/signout")
            assert [(await ask(site, token)).status_code for token in stolen] == [200, 200]
            site.clock.at_ms += 3 * DAY_MS + 1
            assert (await join(site.browser(), Phone(ORIGIN), code)).status_code == 200
            assert [(await ask(site, token)).status_code for token in stolen] == [401, 401]
            for flat in ("b07-0501", "b07-0502"):
                acts = [one.act for one in await site.cloud.identity.audit.of_unit(alias_of(flat))]
                assert acts.count(Act.TOKEN_REVOKED) == 1, flat

    run(scenario())


def test_a_letter_for_a_lost_passkey_brings_back_no_role_that_has_ended(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            manager, owner = await site.member(Role.MANAGER), await site.member(Role.OWNER, "b07-0501")
            code = await _recovery(site, manager)
            async with site.cloud.store.write() as connection:  # by whatever way, the letter itself still open
                ended = update(tables.grants).where(tables.grants.c.unit == alias_of("b07-0501"))
                await connection.execute(ended.values(ended_at_ms=site.clock.at_ms))
            site.clock.at_ms += 3 * DAY_MS + 1
            refused = await join(site.browser(), Phone(ORIGIN), code)
            assert (refused.status_code, refused.json()["error"]) == (401, "code")
            assert (await owner.get("/home")).status_code == 401

    run(scenario())


def test_whoever_loses_a_role_leaves_no_letter_and_no_token_behind(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            committee, manager = await site.member(Role.COMMITTEE), await site.member(Role.MANAGER)
            letter = await manager.post("/people/invitations", data={"role": "owner", "door": "b07-0502"})
            code = re.search(r'id="letter-code">([0-9A-Z-]{19})<', letter.text)
            made = await manager.post("/tokens", data={"name": "prometheus", "days": "9", "metrics:read": "1"})
            secret = re.search(r'id="token-secret">(mlt_[\w-]{43})<', made.text)
            assert code and secret
            now_ms = site.clock.at_ms
            ended = await site.cloud.identity.holders([Role.MANAGER])
            await site.cloud.identity.end_grant(None, ended[0].number, now_ms)
            assert (await manager.get("/site")).status_code == 401
            assert (await committee.get("/site")).status_code == 200
            assert (await join(site.browser(), Phone(ORIGIN), code[1])).status_code == 401
            assert await site.cloud.tokens.open(f"Bearer {secret[1]}", Scope.METRICS, now_ms) is None

    run(scenario())


def test_a_second_letter_adds_a_role_to_ones_account_and_changing_roles_extends_nothing(
    run: Run, tmp_path: Path, store_url: str
) -> None:
    async def scenario() -> None:
        async with house(tmp_path, store_url=store_url) as site:
            browser, phone = site.browser(), Phone(ORIGIN)
            await join(browser, phone, await site.letter(Role.MANAGER))
            code = await site.letter(Role.OWNER, "b07-0501")
            assert (await browser.post("/account/roles", data={"code": code})).status_code == 303
            assert (await browser.post("/account/roles", data={"code": code})).status_code == 422
            for _ in range(11):
                site.clock.at_ms += 59 * 60_000
                page = (await browser.get("/account")).text
                other = re.search(r'account/role"><input type="hidden" name="number" value="(\d+)"', page)
                assert other
                assert (await browser.post("/account/role", data={"number": other[1]})).status_code == 303
            assert (await browser.get("/bills/b07-0501")).status_code == 200  # the owner again
            site.clock.at_ms += 73 * 60_000  # past twelve hours since the passkey was shown
            page = (await browser.get("/account")).text
            other = re.search(r'account/role"><input type="hidden" name="number" value="(\d+)"', page)
            assert other
            await browser.post("/account/role", data={"number": other[1]})
            assert (await browser.get("/site")).status_code == 401

    run(scenario())


def test_somebody_elses_way_in_is_no_second_role(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            manager = await site.member(Role.MANAGER)
            await site.member(Role.OWNER, "b07-0501")
            neighbour = await site.member(Role.OWNER, "b07-0502")
            codes = [await _recovery(site, manager)]
            site.clock.at_ms += 3 * DAY_MS + 1
            assert (await neighbour.post("/account/roles", data={"code": codes[0]})).status_code == 409
            assert (await neighbour.get("/bills/b07-0501")).status_code == 404

    run(scenario())


def test_asking_for_challenges_without_end_is_stopped_and_what_ended_is_swept_aside(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            robot = site.browser(peer="192.0.2.9")
            statuses = {(await robot.post("/signin/passkey/begin", json={})).status_code for _ in range(61)}
            assert statuses == {200, 429}
            assert (await site.browser().post("/signin/passkey/begin", json={})).status_code == 200
            site.clock.at_ms += HOUR_MS
            async with site.cloud.store.read() as connection:
                assert len((await connection.execute(select(tables.ceremonies))).all()) == 61
            assert await site.cloud.identity.sweep(site.clock.at_ms) is False
            async with site.cloud.store.read() as connection:
                for table in (tables.ceremonies, tables.throttles):
                    assert (await connection.execute(select(table))).all() == []

    run(scenario())


def test_an_open_letter_is_found_among_many_others(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            clock = site.clock
            owner = await site.member(Role.OWNER, "b07-0501")
            await owner.post("/people/invitations", data={"role": "tenant", "door": "b07-0501"})
            clock.at_ms += 1
            values = [
                {"code_digest": at.to_bytes(32), "role": "crew", "created_at_ms": clock.at_ms,
                 "valid_from_ms": clock.at_ms, "expires_at_ms": clock.at_ms + DAY_MS}
                for at in range(600)
            ]  # fmt: skip
            async with site.cloud.store.write() as connection:
                await connection.execute(insert(tables.invitations), values)
            assert "Tenant" in (await owner.get("/people")).text
            manager = await site.member(Role.MANAGER)
            assert "Tenant" in (await manager.get("/people?door=b07-0501")).text
            pages = [(await manager.get(f"/people?page={at}")).text for at in range(8)]
            stops = [len(re.findall(r'invitations/stop"', page)) for page in pages]
            assert sum(stops) == 601 and max(stops) == 100
            assert (await manager.get("/people?page=x&door=nobody")).status_code == 200

    run(scenario())


def test_a_refusal_says_what_to_do_where_it_was_refused(run: Run, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            manager = await site.member(Role.MANAGER)
            await site.member(Role.OWNER, "b07-0501")
            code = await _recovery(site, manager)
            site.clock.at_ms += 3 * DAY_MS + 1
            refused = await site.browser().post("/join/codes", data={"code": code})
            assert refused.status_code == 409 and "A lost passkey is replaced by a new passkey only" in refused.text
            sheet = await site.browser().post("/join/codes", data={"code": await site.letter(Role.OWNER, "b07-0502")})
            one = re.search(r"<li><code>([0-9A-Z-]{19})</code>", sheet.text)
            assert one
            await site.browser().post("/signin/code", data={"code": one[1]})
            used = await site.browser().post("/signin/code", data={"code": one[1]})
            assert used.status_code == 401 and "next code of your sheet" in used.text

    run(scenario())


def test_access_is_listed_and_ended_on_the_machine(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as site:
            owner, other = await site.member(Role.OWNER, "b07-0501"), await site.member(Role.OWNER, "b07-0502")

            async def command(*words: str) -> tuple[int, str]:
                code = await asyncio.to_thread(main, ["identity", *words, "--config", str(tmp_path / "cloud.toml")])
                said = capsys.readouterr()
                return code, said.out + said.err

            code, said = await command("list")
            numbers = re.findall(r"^ +(\d+)  owner b07-050\d, since ", said, re.MULTILINE)
            assert (code, len(numbers)) == (0, 2)
            assert (await command("revoke"))[0] == 2
            code, said = await command("revoke", "--unit", "b07-0501")
            assert code == 0 and "ended:" in said and "b07-0501" in said
            assert (await owner.get("/home")).status_code == 401
            assert (await other.get("/home")).status_code == 200
            code, said = await command("revoke", "--number", numbers[1])
            assert code == 0 and (await other.get("/home")).status_code == 401
            assert await command("list") == (0, "nobody\n")
            code, said = await command("revoke", "--number", numbers[1])
            assert code == 2 and "there is no such role" in said

    run(scenario())
