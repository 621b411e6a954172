"""The crew app on a phone: how much it is, and how long it takes to open without a network on a slow one."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import httpx
from playwright.sync_api import Browser

from tests.bench.figure import Figure, median
from tests.crew.camera import chromium_with
from tests.crew.phone import IS_KEPT, READY, CrewPhone, phone_context
from tests.crew.site import CrewSite, crew_site
from tests.plain_http import NO_TLS
from tests.processes import program

SLOW_CPU = 4
RUNS = 9
_WATCH = """
document.addEventListener("DOMContentLoaded", () => {
  const look = () => {
    if (document.documentElement.dataset.ready) window.__readyMs ??= performance.now();
  };
  new MutationObserver(look).observe(document.documentElement, { attributes: true });
  look();
});
"""


def figures() -> dict[str, Figure]:
    """Of the app as the cloud serves it, decoder and all."""
    with (
        tempfile.TemporaryDirectory() as folder,
        crew_site(Path(folder)) as site,
        chromium_with(program("chromium")) as browser,
    ):
        return {"crew.shell_kb_gz": shell(site), "crew.cold_start_s_4x": cold_start(browser, site)}


def shell(site: CrewSite) -> Figure:
    """Every file that a phone keeps, each gzipped by itself."""
    with httpx.Client(base_url=site.url, trust_env=False, verify=NO_TLS, timeout=60) as client:
        paths = [file["path"] for file in client.get("/crew/shell.json").json()["files"]]
        sizes = {path: len(gzip.compress(client.get(path).content, 6)) / 1000 for path in paths}
    decoder = sum(size for path, size in sizes.items() if "zxing" in path)
    note = f"{len(sizes)} files, each gzip -6; the code reader is {decoder:.0f} kB of it"
    return Figure(value=sum(sizes.values()), unit="kB", note=note)


def cold_start(browser: Browser, site: CrewSite) -> Figure:
    """From the navigation to the scan screen that can be used: a new page each time, no network, the CPU slowed."""
    taken = []
    with phone_context(browser) as context:
        phone = CrewPhone(context.new_page(), site)
        phone.sign_in(0)
        phone.make_people(("mechanic", "mechanic"))
        phone.page.wait_for_function(IS_KEPT)
        context.set_offline(True)
        context.add_init_script(_WATCH)
        for _ in range(RUNS):
            page = context.new_page()
            page.goto("about:blank")
            context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": SLOW_CPU})
            page.goto(f"{site.url}/crew#/")
            page.wait_for_selector(READY, state="attached")
            page.wait_for_selector("#code")
            taken.append(page.evaluate("window.__readyMs") / 1000)
            page.close()
    note = f"median of {RUNS} new pages ({min(taken):.2f} to {max(taken):.2f} s), worker installed, no network"
    return Figure(value=round(median(taken), 2), unit="s", note=note)
