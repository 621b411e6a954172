"""What an owner's phone does: one evidence file checked in Chromium, and the owner's pages on a slow machine."""

from __future__ import annotations

import gzip
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from cloud.web.page import STATIC_DIRECTORY, VERIFIER_DIRECTORY
from contracts.evidence import format_evidence
from contracts.trust import format_trust
from tests.bench.figure import Figure, median
from tests.bench.verify import month_old_evidence
from tests.cloud.web.site import site
from tests.cloud.web.world import DOOR, OWNER, OWNER_SEED, PERIOD, World
from tests.processes import program
from tests.vectors.deployment import TRUST

RUNS = 7
WARM_RUNS = 31
LINE = f"/bills/{DOOR}/{PERIOD}/lines/0"
SLOW_CPU = 4
BITS_PER_S = 1_600_000
ROUND_TRIP_MS = 150
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]

_VERIFY = """async ([evidence, trust, runs]) => {
  const { verifyEvidence } = await import("/static/verifier/verifier.js");
  const taken = [];
  for (let run = 0; run < runs; run += 1) {
    const started = performance.now();
    const report = await verifyEvidence(evidence, { trust });
    taken.push(performance.now() - started);
    if (report.state !== "logged") throw new Error(JSON.stringify(report.checks));
  }
  return taken;
}"""
_LARGEST_PAINT = """() => new Promise((done) => {
  new PerformanceObserver((list) => done(list.getEntries().at(-1).startTime))
    .observe({ type: "largest-contentful-paint", buffered: true });
})"""

_CHECK = """() => new Promise((done) => {
  const verdict = document.getElementById("verdict");
  const started = performance.now();
  new MutationObserver(() => verdict.hidden || done(performance.now() - started))
    .observe(verdict, { attributes: true });
  document.getElementById("check").click();
})"""


def figures() -> dict[str, Figure]:
    """Each taken in fresh browser contexts, so that nothing is warm or cached but what the note says."""
    world = World(padded=False)
    with site(world) as address, _browser() as browser:
        return {
            "verify.chromium_ms": _verify(browser, address),
            "web.owner_page_kb_gz": _page_size(browser, world, address),
            **_slow_phone(browser, world, address),
        }


@contextmanager
def _browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(
            executable_path=str(program("chromium")), headless=True, args=ARGUMENTS
        )  # fmt: skip
        yield opened
        opened.close()


@contextmanager
def _owner(browser: Browser, world: World, address: str) -> Iterator[tuple[BrowserContext, Page]]:
    """An owner's fresh phone, signed in, with an empty cache."""
    context = browser.new_context(locale="zh-CN", viewport={"width": 390, "height": 844})
    page = context.new_page()
    seed = urlsafe_b64encode(OWNER_SEED).rstrip(b"=").decode()
    page.goto(f"{address}/signin#t={world.token_of(OWNER)}&k={seed}")
    page.wait_for_url("**/home")
    context.new_cdp_session(page).send("Network.clearBrowserCache")
    yield context, page
    context.close()


def _verify(browser: Browser, address: str) -> Figure:
    evidence, trust = format_evidence(month_old_evidence()).decode(), format_trust(TRUST).decode()
    first, warm = [], []
    for _ in range(RUNS):
        context = browser.new_context()
        page = context.new_page()
        page.goto(f"{address}/verify")
        page.wait_for_load_state("networkidle")
        taken: list[float] = page.evaluate(_VERIFY, [evidence, trust, WARM_RUNS])
        first.append(taken[0])
        warm.append(median(taken[1:]))
        context.close()
    note = (
        f"first file of a fresh page, median of {RUNS} pages, {len(evidence):,} bytes, three cosignatures, no chain "
        f"asked; {median(warm):.1f} ms once warm"
    )
    return Figure(value=median(first), unit="ms", note=note)


def _page_size(browser: Browser, world: World, address: str) -> Figure:
    """Page, style and every script that it loads, each gzipped as it is sent."""
    with _owner(browser, world, address) as (_context, page):
        loaded: list[str] = []
        page.on("request", lambda request: loaded.append(request.url))
        document = page.goto(address + LINE)
        assert document is not None
        page.wait_for_load_state("networkidle")
        sizes = {"page": len(gzip.compress(document.body()))}
    for url in loaded:
        path = url.removeprefix(address)
        if path.startswith("/static/"):
            sizes[path] = len(gzip.compress(_static(path).read_bytes()))
    note = f"the line page, the largest: {sizes['page'] / 1000:.1f} kB itself and {len(sizes) - 1} files; no fonts"
    return Figure(value=sum(sizes.values()) / 1000, unit="kB", note=note)


def _static(path: str) -> Path:
    name = path.removeprefix("/static/")
    if name.startswith("verifier/"):
        return Path(VERIFIER_DIRECTORY) / name.removeprefix("verifier/")
    return STATIC_DIRECTORY / name


def _slow_phone(browser: Browser, world: World, address: str) -> dict[str, Figure]:
    paints, checks = [], []
    for _ in range(RUNS):
        with _owner(browser, world, address) as (context, page):
            session = context.new_cdp_session(page)
            session.send("Emulation.setCPUThrottlingRate", {"rate": SLOW_CPU})
            session.send("Network.enable")
            session.send("Network.emulateNetworkConditions", _network())
            page.goto(address + LINE)
            paints.append(page.evaluate(_LARGEST_PAINT) / 1000)
            checks.append(page.evaluate(_CHECK) / 1000)
            assert page.locator("#verdict").get_attribute("data-state") == "final"
    note = f"median of {RUNS}, empty cache, CPU slowed {SLOW_CPU} times, 1.6 Mbit/s, {ROUND_TRIP_MS} ms round trip"
    return {
        "web.owner_lcp_s_4x": Figure(value=median(paints), unit="s", note=note),
        "web.owner_check_s_4x": Figure(
            value=median(checks), unit="s", note=f"{note}; 33 steps of two readings, bill and line, each shown"
        ),
    }


def _network() -> dict[str, Any]:
    throughput = BITS_PER_S / 8
    return {
        "offline": False,
        "latency": ROUND_TRIP_MS,
        "downloadThroughput": throughput,
        "uploadThroughput": throughput,
    }
