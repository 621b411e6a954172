"""What the crew's files share: one browser with a filmed camera, and the pages without the app."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page

from tests.crew.camera import LINK, chromium_with, crew_site, one_browser, png_of
from tests.crew.phone import IS_KEPT, CrewPhone, phone_context, watched
from tests.crew.site import CrewSite
from tests.crew.site import crew_site as real_site

FRAMES = 4


@pytest.fixture(scope="package", autouse=True)
def _one_browser(chromium: Path, film: Path) -> Iterator[None]:
    filmed = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={film}")
    with one_browser(chromium, *filmed):
        yield


@pytest.fixture(scope="package")
def address() -> Iterator[str]:
    """The cloud's own pages and policies, with one empty page under the crew's; for what needs no cloud behind it."""
    with crew_site() as served:
        yield served


@pytest.fixture(scope="module")
def browser(chromium: Path) -> Iterator[Browser]:
    with chromium_with(chromium) as opened:
        yield opened


@pytest.fixture(scope="package")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a real camera sees, as a file: the printed code, not quite straight, on a grey wall."""
    code = Image.open(BytesIO(png_of(LINK))).convert("RGB").rotate(7, expand=True, fillcolor=(128, 128, 128))
    frame = Image.new("RGB", (640, 480), (128, 128, 128))
    frame.paste(code, (190, 100))
    y, cb, cr = frame.convert("YCbCr").split()
    half = [plane.resize((320, 240)).tobytes() for plane in (cb, cr)]
    path = tmp_path_factory.mktemp("film") / "wall.y4m"
    path.write_bytes(
        b"YUV4MPEG2 W640 H480 F10:1 Ip A1:1 C420jpeg\n" + FRAMES * (b"FRAME\n" + y.tobytes() + b"".join(half))
    )
    return path


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CrewSite]:
    with real_site(tmp_path_factory.mktemp("site")) as served:
        yield served


@pytest.fixture(scope="module")
def context(browser: Browser) -> Iterator[BrowserContext]:
    with phone_context(browser) as opened:
        yield opened


@pytest.fixture(scope="module")
def crew(context: BrowserContext, site: CrewSite) -> CrewPhone:
    """A phone that knows its work, with two mechanics' keys and the manager's, whose worker has kept the app."""
    phone = CrewPhone(context.new_page(), site)
    phone.sign_in(0)
    phone.make_people(("王师傅", "mechanic"), ("李师傅", "mechanic"), ("赵经理", "manager"))
    phone.page.wait_for_function(IS_KEPT)
    return phone


@pytest.fixture
def page(crew: CrewPhone, context: BrowserContext) -> Iterator[Page]:
    """A fresh page of that phone; nothing may go wrong on it unseen, and it is online again afterwards."""
    problems: list[str] = []
    crew.page.close()
    crew.page = watched(context, problems)
    yield crew.page
    crew.page.unroute_all()
    context.set_offline(False)
    assert problems == []
