"""Phones that meet: what one shows as codes, the other reads, with no network between them."""

from playwright.sync_api import Page

from tests.crew.phone import PIN, CrewPhone

# Look and picture in one step: the screen goes on to its next frame meanwhile.
NEXT = """seen => {
  const code = document.querySelector("canvas.frames");
  return seen.includes(code.dataset.frame) ? null : [code.dataset.frame, code.toDataURL()];
}"""
HAS_TAKEN = """have => {
  const progress = document.querySelector("[data-have]");
  return progress === null || Number(progress.dataset.have) >= have;
}"""


def carry(giver: Page, taker: Page) -> None:
    """Hold the giver's screen before the taker's camera, frame by frame; the taker finds nothing wrong with it."""
    hold(giver, taker)
    assert taker.locator("p.warn[role=alert]").all_inner_texts() == []


def hold(giver: Page, taker: Page) -> None:
    """The same, whatever the taker says to it."""
    count = int(giver.locator("canvas.frames").get_attribute("data-frames") or 0)
    seen: list[str] = []
    while len(seen) < count:
        frame, picture = giver.wait_for_function(NEXT, arg=seen).json_value()
        taker.evaluate("picture => window.__setQR(picture)", picture)
        seen.append(frame)
        taker.wait_for_function(HAS_TAKEN, arg=len(seen))
    taker.wait_for_selector("[data-have]", state="detached")
    taker.evaluate("window.__setQR(null)")


def joins(phone: CrewPhone, chief: CrewPhone) -> None:
    """The phone shows who joins, the chief's reads it."""
    phone.open("#/exchange/mine")
    chief.page.click("#join")
    chief.page.click("#read")
    carry(phone.page, chief.page)


def answers(phone: CrewPhone, chief: CrewPhone, index: int) -> str:
    """The phone reads what is asked, shows it, and signs; its code waits on its screen. The digest that was shown."""
    chief.page.click(f'[data-ask="{index}"]')
    phone.open("#/exchange/help")
    phone.page.click("#read")
    carry(chief.page, phone.page)
    shown = phone.page.locator("#digest").inner_text()
    phone.page.locator("input[type=password]").fill(PIN)
    phone.page.click("[data-give] button")
    phone.page.wait_for_selector("canvas.frames")
    chief.page.click("#read")
    return shown


def signs(phone: CrewPhone, chief: CrewPhone, index: int) -> str:
    """The phone answers, and the chief's reads the signature. The digest that was shown."""
    shown = answers(phone, chief, index)
    carry(phone.page, chief.page)
    return shown
