"""Scanning in Debian's Chromium: the camera, its lamp, its refusals, a photo of the code, and a real file of frames."""

import random
from base64 import b64encode
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page

from contracts.label import label_link
from provisioning.labels import label_sheet, labels_of
from provisioning.site import read_site
from tests.crew.camera import LINK, blank_page, phone, png_of, show
from tests.provisioning.conftest import DEMO
from tests.provisioning.test_people import lift_codes

OTHER = "https://minglou.example/d/zzzz9q2m4x8r#1h5tq00-7h3k9q2m4x8rt"
START = """async () => {
  const { start } = await import("/static/crew/scan.js");
  window.read = [];
  window.problems = [];
  const video = document.getElementById("camera");
  window.scan = await start(video, (text) => read.push(text), { onProblem: (word) => problems.push(word) });
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


def read(page: Page, wanted: list[str]) -> None:
    """Wait until the page was told exactly these texts."""
    page.wait_for_function("wanted => JSON.stringify(window.read) === JSON.stringify(wanted)", arg=wanted)


def test_the_camera_tells_each_code_once_and_opens_nothing(page: Page) -> None:
    page.evaluate(START)
    show(page, LINK)
    read(page, [LINK])
    show(page, OTHER)
    read(page, [LINK, OTHER])
    assert page.url.endswith("/crew/blank-page-of-a-test")
    page.evaluate("scan.stop()")
    assert page.evaluate("document.getElementById('camera').srcObject") is None
    assert page.evaluate("problems") == []


def test_the_lamp_is_offered_where_the_camera_has_one(page: Page) -> None:
    page.evaluate(START)
    page.evaluate("scan.torch(true)")
    assert page.evaluate("window.__lamp") is True
    page.evaluate("scan.torch(false)")
    assert page.evaluate("window.__lamp") is False
    page.evaluate("() => { scan.stop(); window.__hasLamp = false; }")
    page.evaluate(START)
    assert page.evaluate("scan.torch") is None


@pytest.mark.parametrize(
    ("error", "word"),
    [("NotAllowedError", "camera_denied"), ("NotFoundError", "camera_missing"), ("NotReadableError", "camera_busy")],
)
def test_a_camera_that_does_not_open_has_a_word(page: Page, error: str, word: str) -> None:
    page.evaluate("error => { window.__cameraProblem = error; }", error)
    page.evaluate(START)
    assert page.evaluate("problems") == [word]
    page.evaluate("scan.stop()")


def test_a_camera_that_another_app_takes_away_is_told(page: Page) -> None:
    page.evaluate(START)
    page.evaluate("document.getElementById('camera').srcObject.getVideoTracks()[0].onended()")
    assert page.evaluate("problems") == ["camera_ended"]


def test_a_photo_of_the_code_is_read_small_far_and_turned(page: Page) -> None:
    """A photo of twelve megapixels on which the code is small, as a telephone takes it from the lift's door."""
    wall = Image.frombytes("L", (500, 375), random.Random(5).randbytes(500 * 375)).resize((4000, 3000)).convert("RGB")
    code = Image.open(BytesIO(png_of(OTHER, scale=10))).convert("RGB").rotate(100, expand=True, fillcolor=(90, 90, 90))
    wall.paste(code, (2600, 1900))
    photo = BytesIO()
    wall.save(photo, "JPEG", quality=70)
    assert read_photo(page, photo.getvalue()) == OTHER
    assert read_photo(page, png_of(LINK, scale=3)) == LINK


def test_each_label_of_the_printed_sheet_is_read(page: Page, context: BrowserContext) -> None:
    """The sheet as a browser shows it before it prints it."""
    site = read_site(DEMO)
    labels = labels_of(site, lift_codes(site))
    sheet = context.new_page()
    sheet.set_content(label_sheet(site, labels, base="https://minglou.example"))
    pictures = [svg.screenshot() for svg in sheet.locator("svg").all()]
    sheet.close()
    read = [read_photo(page, picture) for picture in pictures]
    assert read == [label_link("https://minglou.example", label.code) for label in labels]


def read_photo(page: Page, picture: bytes) -> Any:
    return page.evaluate(
        """async (picture) => {
          const { readPicture } = await import("/static/crew/scan.js");
          return readPicture(new Blob([Uint8Array.from(atob(picture), (character) => character.charCodeAt(0))]));
        }""",
        b64encode(picture).decode(),
    )


def test_a_real_camera_device_is_read_too(browser: Browser, address: str) -> None:
    """Chromium's own capture device plays the file; nothing of the page is replaced."""
    with phone(browser, fake_camera=False) as context:
        page = blank_page(context, address)
        page.evaluate(START)
        read(page, [LINK])
        page.evaluate("scan.stop()")
