"""A crew's phone: the app in Chromium, driven as people drive it, or by its own modules where many steps are needed."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Geolocation, Page, ViewportSize

from contracts.visit import VisitClass
from tests.crew.camera import FAKE_CAMERA, show
from tests.crew.site import CrewSite, sign_in_path
from tests.processes import wait_until

SMALL = ViewportSize(width=360, height=740)
PIN = "246813"
READY = "html[data-ready=yes]"
IS_SHOWN = "() => (({ ready, shown }) => ready === 'yes' && shown === location.hash)(document.documentElement.dataset)"
AT_THE_BUILDING: Geolocation = {"latitude": 30.2712, "longitude": 120.1489, "accuracy": 20}
PATIENCE_MS = 60_000

# What a whole list takes by hand, by the steps that the screens take but in one transaction, for thirty would wait for
# the disk thirty times. Photos are drawn, one unlike the other: where there must be one, and until there are enough.
FILL = """async ([id, faulty, photos, width]) => {
  const { openList, openItems } = await import("/static/crew/visitlist.js");
  const { atomically } = await import("/static/crew/store.js");
  const { addPhoto } = await import("/static/crew/visits.js");
  const { needsPhoto, step } = await import("/static/crew/visit.js");
  const { reduce } = await import("/static/crew/photo.js");
  const list = await openList(id);
  const open = openItems(list);
  await atomically(["visits"], async ({ visits }) => {
    let visit = await visits.get(id);
    for (const item of open) {
      const result = faulty.includes(item.code) ? "fault" : "ok";
      const value = item.limit ? item.limit.min ?? item.limit.max : null;
      const note = result === "fault" ? "found wrong" : "";
      visit = step(visit, { type: "answer", code: item.code, result, value, note });
    }
    await visits.put(visit);
  });
  const needed = open.filter((one) => needsPhoto(one, list.challenge));
  const more = open.filter((one) => !needed.includes(one)).slice(0, Math.max(0, photos - needed.length));
  const height = (width / 4) * 3;
  for (const item of [...needed, ...more]) {
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const image = canvas.getContext("2d");
    for (let at = 0; at < 60; at += 1) {
      image.fillStyle = `hsl(${Math.random() * 360} 60% ${Math.random() * 100}%)`;
      image.fillRect(Math.random() * width, Math.random() * height, width / 5, height / 6);
    }
    const blob = await new Promise((done) => canvas.toBlob(done, "image/png"));
    await addPhoto(id, item.code, await reduce(blob), Math.floor(Date.now() / 1000));
  }
}"""
CLOSING_ITEM, OPENING_ITEM = "MS-02", "MS-06"  # of the meter-swap pack
REGISTERS = """([id, closing, opening]) => import("/static/crew/visits.js").then(async ({ advance, visitOf }) => {
  const [{ device: fresh }] = (await visitOf(id)).device.swap.spares;
  await advance(id, { type: "register", code: closing, register: 1234560 });
  await advance(id, { type: "register", code: opening, register: 120, fresh });
})"""
PEOPLE = "() => import('/static/crew/keys.js').then((keys) => keys.people())"
MAKE = """(person) => import('/static/crew/keys.js').then((keys) => keys.make(person))"""
VISITS = "() => import('/static/crew/store.js').then((store) => store.all('visits'))"
DROP = """() => import("/static/crew/visits.js").then(async (visits) => {
  for (const visit of await visits.openVisits()) await visits.discard(visit.id);
})"""
IS_KEPT = "() => navigator.serviceWorker.controller !== null"


class CrewPhone:
    """One phone with the app open."""

    def __init__(self, page: Page, site: CrewSite) -> None:
        self.page, self.site = page, site

    def open(self, hash_: str = "#/") -> None:
        """Open the app at one of its screens."""
        self.page.goto(f"{self.site.url}/crew{hash_}")
        self.page.wait_for_function(IS_SHOWN)  # another screen of an open app comes without a load

    def sign_in(self, number: int) -> None:
        """Sign in once with a link, and let the phone keep its work."""
        self.page.goto(f"{self.site.url}{sign_in_path(number)}")
        self.page.wait_for_url(lambda address: "/signin" not in address)
        self.open("#/work")
        self.page.wait_for_selector(".devices .clocked")

    def make_people(self, *people: tuple[str, str], enrolled: bool = True) -> list[dict[str, str]]:
        """Keys with a number, for (name, duty) each; enrolled with the site."""
        made = [
            self.page.evaluate(MAKE, {"name": name, "kind": "software", "pin": PIN, "duty": duty})
            for name, duty in people
        ]
        for person in made if enrolled else ():
            self.site.enrol(person)
        return made

    def scan(self, text: str) -> None:
        """Hold a code before the camera until the app shows what it is."""
        show(self.page, text)
        self.page.wait_for_selector(".found")
        self.page.evaluate("__setQR(null)")

    def begin(
        self, text: str, *, mechanics: int = 1, manager: bool = False, visit_class: VisitClass | None = None,
        drop: bool = True,
    ) -> str:  # fmt: skip
        """Scan, choose who works, start; answers the visit's id. What was begun before is given up, or stays."""
        self.open("#/")
        if drop:
            self.page.evaluate(DROP)
        self.scan(text)
        self.page.click(".actions .button >> nth=0")
        self.page.wait_for_selector("#start")
        boxes = self.page.locator("fieldset input")
        for at in range(boxes.count()):
            boxes.nth(at).set_checked(at < mechanics)
        if visit_class is not None:
            self.page.select_option("#class", value=str(int(visit_class)))
        if manager:
            self.page.select_option("#manager", index=1)
        self.page.click("#start")
        self.page.wait_for_selector("#go-on")
        return self.page.url.split("/visit/")[1].split("/")[0]

    def fill(self, visit: str, faulty: tuple[str, ...] = (), *, photos: int = 0, width: int = 320) -> None:
        """Answer every open item; `photos` at least, of this width."""
        self.page.evaluate(FILL, [visit, list(faulty), photos, width])

    def read_registers(self, visit: str) -> None:
        """Take down both registers of a meter's swap, and the new meter."""
        self.page.evaluate(REGISTERS, [visit, CLOSING_ITEM, OPENING_ITEM])

    def close_list(self, visit: str) -> None:
        """Close the filled list."""
        self.page.reload()
        self.page.wait_for_selector(READY, state="attached")
        self.page.goto(f"{self.site.url}/crew#/visit/{visit}/list")
        self.page.click("#finish")
        self.page.wait_for_selector("#freeze")

    def freeze(self, visit: str) -> str:
        """Make the record; answers its digest."""
        self.page.click("#freeze")
        self.page.wait_for_selector("#digest")
        return str(self.visit(visit)["frozen"]["digest"])

    def end(self, visit: str) -> str:
        """Close the list and make the record; answers its digest."""
        self.close_list(visit)
        return self.freeze(visit)

    def sign(self, signers: int = 1) -> None:
        """Everybody signs with the number, one after the other; the last one sends."""
        for at in range(signers):
            self.sign_as(at)
        self.page.wait_for_selector("[data-digest]")

    def sign_as(self, at: int) -> None:
        """One of those who sign on this phone, by their place."""
        self.page.fill(f"#pin-{at}", PIN)
        self.page.click(f'form[data-signer="{at}"] button')
        self.page.wait_for_selector(f'form[data-signer="{at}"]', state="detached")

    def make(self, text: str, *, signers: int = 1) -> str:
        """A whole visit into the outbox; answers its digest."""
        visit = self.begin(text, mechanics=signers)
        self.fill(visit)
        digest = self.end(visit)
        self.sign(signers)
        return digest

    def visit(self, visit: str) -> dict[str, Any]:
        """What the phone keeps of a visit."""
        found: dict[str, Any] = next(one for one in self.page.evaluate(VISITS) if one["id"] == visit)
        return found

    def state_of(self, digest: str) -> str | None:
        """What the outbox says of a visit: waiting, refused, sent."""
        return self.page.locator(f'[data-digest="{digest}"]').get_attribute("data-state")

    def send(self) -> None:
        """Press "send now" and wait until it was tried."""
        self.page.evaluate("() => delete document.getElementById('main').dataset.outcome")
        self.page.click("#send")
        self.page.wait_for_selector("#main[data-outcome]")


def wait_for(page: Page, expression: str, arg: Any = None) -> None:
    """Ask a page until what it answers is true; Playwright's own waiting takes the promise for the answer."""
    wait_until(lambda: bool(page.evaluate(expression, arg)), seconds=20, what=expression)


@contextmanager
def phone_context(browser: Browser, *, locale: str = "zh-CN", size: ViewportSize = SMALL) -> Iterator[BrowserContext]:
    """A phone's own browser, with a camera that sees what the test shows."""
    context = browser.new_context(
        locale=locale, viewport=size, permissions=["camera", "geolocation"], has_touch=True, geolocation=AT_THE_BUILDING
    )
    context.set_default_timeout(PATIENCE_MS)
    context.add_init_script(FAKE_CAMERA)
    yield context
    context.close()


def watched(context: BrowserContext, problems: list[str]) -> Page:
    """A page on which no script may fail and no policy may have to stop anything unseen."""
    page = context.new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("console", lambda line: problems.append(line.text) if "Content Security Policy" in line.text else None)
    return page


def picture(seed: int, size: tuple[int, int] = (640, 480)) -> bytes:
    """A photo unlike every other seed's."""
    image = Image.effect_noise(size, 40 + seed).convert("RGB")
    out = BytesIO()
    image.save(out, "JPEG")
    return out.getvalue()
