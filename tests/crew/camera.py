"""A phone's camera that sees what a test holds before it, and pages of the crew's app without the app.

The camera is a canvas that the page gets instead of a real one: `getUserMedia` answers its stream. It paints anew as
long as somebody looks, as a camera does, so that no frame is the last one.
"""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import segno
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright
from starlette.responses import HTMLResponse

from tests.cloud.web.site import build, served
from tests.cloud.web.world import World
from tests.processes import free_port

PHONE = ViewportSize(width=390, height=844)
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-fake-ui-for-media-stream",
]  # fmt: skip
LINK = "https://minglou.example/d/7h3k9q2m4x8r"
BLANK = "/crew/blank-page-of-a-test"

FAKE_CAMERA = """
{
  const sensor = document.createElement("canvas");
  sensor.width = 640;
  sensor.height = 480;
  const eye = sensor.getContext("2d");
  let scene = null;
  const paint = () => {
    eye.fillStyle = "#808080";
    eye.fillRect(0, 0, 640, 480);
    if (scene) eye.drawImage(scene, (640 - scene.width) / 2, (480 - scene.height) / 2);
  };
  window.__setQR = async (address) => {
    const image = address && new Image();
    if (image) {
      image.src = address;
      await image.decode();
    }
    scene = image || null;
  };
  window.__lamp = null;
  const devices = navigator.mediaDevices;
  if (devices) devices.getUserMedia = async () => {
    if (window.__cameraProblem) throw new DOMException("", window.__cameraProblem);
    const stream = sensor.captureStream(25);
    const [track] = stream.getVideoTracks();
    const painting = setInterval(() => (track.readyState === "live" ? paint() : clearInterval(painting)), 40);
    track.getCapabilities = () => ({ torch: window.__hasLamp !== false });
    track.applyConstraints = async ({ advanced }) => { window.__lamp = advanced[0].torch; };
    return stream;
  };
}
"""


def png_of(text: str, *, scale: int = 6, version: int | None = None) -> bytes:
    """The QR code of a text at level M, as a printer makes it."""
    picture = BytesIO()
    segno.make(text, error="m", boost_error=False, version=version, micro=False).save(
        picture, kind="png", scale=scale, border=4
    )
    return picture.getvalue()


def address_of(png: bytes) -> str:
    """A picture as an address within a page."""
    return "data:image/png;base64," + b64encode(png).decode()


def show(page: Page, text: str | None) -> None:
    """Hold a code before the camera of the page; None takes it away."""
    page.evaluate("address => window.__setQR(address)", text and address_of(png_of(text)))


@contextmanager
def crew_site() -> Iterator[str]:
    """The cloud's own pages, static files and policies, with one empty page under the crew's policy; its address."""
    port = free_port()
    app = build(World(), public_url=f"http://localhost:{port}")

    @app.get(BLANK)
    def blank() -> HTMLResponse:
        return HTMLResponse("<!doctype html><title>test</title><video id=camera></video><canvas id=code></canvas>")

    with served(app, port) as address:
        yield address


@contextmanager
def chromium_with(chromium: Path, *more: str) -> Iterator[Browser]:
    """A browser with these further arguments; within `one_browser` always that one."""
    if _SHARED:
        yield _SHARED[-1]
        return
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=str(chromium), headless=True, args=[*ARGUMENTS, *more])
        yield opened
        opened.close()


_SHARED: list[Browser] = []


@contextmanager
def one_browser(chromium: Path, *more: str) -> Iterator[None]:
    """Within the block all files of this process use one browser: it starts more slowly than most tests run."""
    with chromium_with(chromium, *more) as browser:
        _SHARED.append(browser)
        try:
            yield
        finally:
            _SHARED.pop()


@contextmanager
def phone(browser: Browser, *, fake_camera: bool = True) -> Iterator[BrowserContext]:
    """A phone: a context of its own, with the fake camera in each of its pages."""
    context = browser.new_context(locale="zh-CN", viewport=PHONE, permissions=["camera", "geolocation"])
    if fake_camera:
        context.add_init_script(FAKE_CAMERA)
    yield context
    context.close()


def blank_page(context: BrowserContext, address: str, problems: list[str] | None = None) -> Page:
    """An empty page under the crew's policy. What the policy stops, and each script error, goes to `problems`."""
    page = context.new_page()
    said = [] if problems is None else problems
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda line: said.append(line.text) if "Content Security Policy" in line.text else None)
    page.goto(address + BLANK)
    return page
