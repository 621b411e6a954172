"""The launcher's page answers this machine only, and its buttons are pressed from the page only."""

from __future__ import annotations

import asyncio
import re

import httpx
import pytest

from provisioning.demo.cheats.report import Cheat, CheatReport, Notice
from provisioning.demo.control import Control
from provisioning.demo.doors import Door
from provisioning.demo.progress import Progress
from provisioning.site import Title

PORT = 8601


async def no_doors() -> tuple[Door, ...]:
    return ()


def control(*, is_live: bool = True) -> Control:
    made = Control(Progress(), port=PORT, sentence=lambda: "…", is_live=lambda: is_live, new_doors=no_doors)

    async def noticed() -> CheatReport:
        return CheatReport(
            before="1", after="2", noticed=(Notice(who="verifier", check="inclusion", says="no"),), repaired="1"
        )

    async def fails() -> CheatReport:
        raise OSError("disk full")

    title = Title(zh="改", en="change")
    made.offer((Cheat(name="change", title=title, run=noticed), Cheat(name="broken", title=title, run=fails)))
    return made


def ask(
    made: Control, method: str, path: str, *, host: str = f"localhost:{PORT}", token: str | None = None
) -> httpx.Response:
    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app=made.app())
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            headers = {"X-Minglou-Demo": token} if token is not None else {}
            answer = await client.request(method, path, headers=headers)
            await asyncio.gather(*made._tasks)
            return answer

    return asyncio.run(run())


def token_of(made: Control) -> str:
    match = re.search(r'name="demo-token" content="([^"]+)"', ask(made, "GET", "/").text)
    assert match is not None
    return match.group(1)


def test_a_name_that_merely_resolves_to_this_machine_is_refused() -> None:
    assert ask(control(), "GET", "/state.json", host=f"evil.example:{PORT}").status_code == 421


def test_a_button_without_the_pages_token_is_refused() -> None:
    made = control()
    assert ask(made, "POST", "/cheats/change").status_code == 403
    assert ask(made, "POST", "/cheats/change", token="x").status_code == 403
    assert made.cheats["change"].state == "idle"


def test_a_cheat_is_done_and_says_who_noticed() -> None:
    made = control()
    assert ask(made, "POST", "/cheats/change", token=token_of(made)).status_code == 200
    cheats = {cheat["name"]: cheat for cheat in ask(made, "GET", "/state.json").json()["cheats"]}
    assert cheats["change"]["state"] == "noticed"
    assert cheats["change"]["report"]["noticed"] == [{"who": "verifier", "check": "inclusion", "says": "no"}]


def test_a_cheat_that_fails_says_why_and_the_page_goes_on() -> None:
    made = control()
    ask(made, "POST", "/cheats/broken", token=token_of(made))
    cheats = {cheat["name"]: cheat for cheat in ask(made, "GET", "/state.json").json()["cheats"]}
    assert cheats["broken"]["error"] == "OSError: disk full"


def test_nobody_cheats_before_the_month_is_over() -> None:
    made = control(is_live=False)
    assert ask(made, "POST", "/cheats/change", token=token_of(made)).status_code == 409


@pytest.mark.parametrize("path", ["/static/page.css", "/static/page.js"])
def test_the_pages_files_are_served(path: str) -> None:
    answer = ask(control(), "GET", path)
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_nothing_else_is_served() -> None:
    assert ask(control(), "GET", "/static/../control.py").status_code == 404
    assert ask(control(), "POST", "/cheats/none", token=token_of(made := control())).status_code in (403, 404)
    assert ask(made, "POST", "/cheats/none", token=token_of(made)).status_code == 404
