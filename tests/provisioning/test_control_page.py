"""The launcher's page in a real browser: it fills by itself, and its buttons show who noticed."""

from __future__ import annotations

import asyncio
from pathlib import Path

from playwright.async_api import async_playwright

from provisioning.demo.cheats.report import Cheat, CheatReport, Notice
from provisioning.demo.control import Control, serve_control
from provisioning.demo.doors import Door
from provisioning.demo.progress import Progress
from provisioning.settings.cloud import SignIn
from provisioning.site import Title
from tests.processes import free_port

MANAGER = Title(zh="物业", en="Property manager")


def door(link: str) -> Door:
    return Door(
        role="manager",
        unit="",
        title=MANAGER,
        link=link,
        sign_in=SignIn(role="manager", unit=None, title=MANAGER, token_sha256="00" * 32),
    )


async def change() -> CheatReport:
    return CheatReport(
        before="100 Wh, final",
        after="5100 Wh, broken",
        noticed=(Notice(who="minglou verify", check="inclusion", says="the path leads to another root"),),
        repaired="100 Wh again",
    )


def test_the_page_fills_by_itself_and_shows_who_noticed(chromium: Path) -> None:
    async def run() -> None:
        port = free_port()
        progress = Progress()

        async def new_doors() -> tuple[Door, ...]:
            return (door("http://localhost:1/signin#t=second"),)

        control = Control(
            progress, port=port, sentence=lambda: "实时 · Real time", is_live=lambda: True, new_doors=new_doors
        )
        control.doors = (door("http://localhost:1/signin#t=first"),)
        control.offer((Cheat(name="change", title=Title(zh="改一个读数", en="Change a reading"), run=change),))
        async with serve_control(control, port), async_playwright() as playwright:
            browser = await playwright.chromium.launch(executable_path=str(chromium), args=["--no-sandbox"])
            page = await browser.new_page()
            problems: list[str] = []
            page.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
            page.on("pageerror", lambda error: problems.append(str(error)))
            await page.goto(f"http://localhost:{port}/")
            assert await page.get_attribute("#doors a", "href") == "http://localhost:1/signin#t=first"
            with progress.step("Keys, names and settings"):
                await page.wait_for_selector("#steps li[data-state=running]")
            await page.wait_for_selector("#steps li[data-state=done]")
            progress.figures = {"entries": 7}
            await page.wait_for_selector("#figures dd:text('7')")
            await page.click("#cheats button")
            await page.wait_for_selector("li[data-cheat=change][data-state=noticed]")
            told = await page.inner_text("#cheats")
            assert "minglou verify" in told
            assert "inclusion: the path leads to another root" in told
            await page.click("#new-doors")
            await page.wait_for_selector("#doors a[href$=second]")
            assert "Real time" in await page.inner_text("#sentence")
            assert problems == []
            await browser.close()

    asyncio.run(run())
