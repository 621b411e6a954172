"""The reader of codes: what is served, that script and program are one pair, and that another pair is refused."""

import json
from base64 import b64encode
from collections.abc import Iterator
from hashlib import sha256
from urllib.request import urlopen

import pytest
from playwright.sync_api import Browser, BrowserContext, Page

from cloud.web.page import STATIC_DIRECTORY
from tests.crew.camera import LINK, blank_page, phone, png_of
from tests.processes import REPOSITORY

VENDOR = STATIC_DIRECTORY / "vendor"
READ = """async (picture) => {
  const { readPicture } = await import("/static/crew/scan.js");
  const file = new Blob([Uint8Array.from(atob(picture), (character) => character.charCodeAt(0))]);
  return readPicture(file).then((text) => text, (error) => `refused: ${error.word ?? error}`);
}"""


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    with phone(browser) as opened:
        yield opened


@pytest.fixture
def page(context: BrowserContext, address: str) -> Iterator[Page]:
    problems: list[str] = []
    opened = blank_page(context, address, problems)
    yield opened
    opened.close()
    assert problems == []


def test_script_and_wasm_are_one_pair(page: Page, address: str) -> None:
    lock = json.loads((STATIC_DIRECTORY / "vendor.lock.json").read_text())
    npm = json.loads((REPOSITORY / "requirements" / "node" / "package-lock.json").read_text())["packages"]
    assert {path.name for path in VENDOR.iterdir()} == lock.keys()
    for name, locked in lock.items():
        with urlopen(f"{address}/static/vendor/{name}") as answer:
            assert sha256(answer.read()).hexdigest() == locked["sha256"], name
        assert npm[f"node_modules/{locked['package']}"]["version"] == locked["version"], name
    script = (VENDOR / "zxing-reader.js").read_text()
    assert lock["zxing_reader.wasm"]["sha256"] in script, "the script names another program"
    assert f"`{lock['zxing-reader.js']['version']}`" in script
    assert page.evaluate(READ, picture(LINK)) == LINK


def test_another_wasm_is_refused_with_words_before_it_runs(page: Page) -> None:
    program = (VENDOR / "zxing_reader.wasm").read_bytes()
    other = program[:-1] + bytes([program[-1] ^ 1])
    page.route("**/zxing_reader.wasm", lambda route: route.fulfill(body=other, content_type="application/wasm"))
    assert page.evaluate(READ, picture(LINK)) == "refused: reader_pair"


def test_a_missing_reader_is_told_and_nothing_is_asked_of_another_host(page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.route("**/zxing_reader.wasm", lambda route: route.fulfill(status=404, body=""))
    assert page.evaluate(READ, picture(LINK)) == "refused: reader_missing"
    assert all(url.startswith(("http://localhost:", "data:")) for url in asked)


def test_a_picture_without_a_code_gives_nothing(page: Page) -> None:
    assert page.evaluate(READ, picture(LINK)[:40]) == "refused: picture_unreadable"
    grey = """async () => {
      const { readPicture } = await import("/static/crew/scan.js");
      const canvas = document.getElementById("code");
      canvas.getContext("2d").fillRect(0, 0, 40, 40);
      return readPicture(await new Promise((done) => canvas.toBlob(done)));
    }"""
    assert page.evaluate(grey) is None


def test_the_crews_pages_alone_may_use_camera_and_webassembly(address: str) -> None:
    """And the worker's own answer says the same, for a worker's policy is that of its script."""

    def policy(path: str) -> tuple[str, str]:
        with urlopen(address + path) as answer:
            return answer.headers["content-security-policy"], answer.headers["permissions-policy"]

    for path in ("/crew/blank-page-of-a-test", "/static/crew/decoder-worker.js", "/static/crew/scan.js"):
        content, permissions = policy(path)
        assert "script-src 'self' 'wasm-unsafe-eval';" in content
        assert "worker-src 'self'" in content
        assert "img-src 'self' data: blob:" in content
        assert "connect-src 'self';" in content
        assert "camera=(self)" in permissions
        assert "geolocation=(self)" in permissions
        assert "microphone=()" in permissions
    for path in (
        "/lifts",
        "/trust",
        "/static/minglou.css",
        "/static/vendor/zxing-reader.js",
        "/static/verifier/p256.js",
    ):
        content, permissions = policy(path)
        assert "wasm" not in content
        assert "worker-src" not in content
        assert "blob:" not in content
        assert "camera=()" in permissions
        assert "geolocation=()" in permissions


def picture(text: str) -> str:
    """The printed code of a text, as a page's script takes bytes."""
    return b64encode(png_of(text)).decode()
