"""Every screen of the crew's app and the public pages of a device by axe-core: nothing that WCAG 2 A and AA forbid."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.crew.orders import order_of, tell_orders
from tests.crew.phone import CLOSING_ITEM, OPENING_ITEM, PEOPLE, CrewPhone, phone_context, watched
from tests.crew.site import CODES, CrewSite
from tests.processes import REPOSITORY

AXE = REPOSITORY / ".tools" / "npm" / "node_modules" / "axe-core" / "axe.min.js"
RUN = """async () => {
  const rules = { runOnly: { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"] } };
  const { violations, passes } = await axe.run(document, rules);
  if (passes.length < 5) throw new Error("axe saw no page");
  const some = (nodes) => nodes.slice(0, 3).map((node) => node.html.slice(0, 90)).join(" | ");
  return violations.map(({ id, nodes }) => `${id}: ${some(nodes)}`);
}"""
OLD = "() => document.querySelector('h1').setAttribute('data-old', '')"
CHOOSE = """([language, view]) => import("/static/crew/store.js").then(({ put }) =>
  put("phone", { key: "choices", language, view }))"""


@pytest.fixture(scope="module")
def crew(browser: Browser, site: CrewSite) -> Iterator[CrewPhone]:
    with phone_context(browser) as context:
        phone = CrewPhone(watched(context, []), site)
        phone.sign_in(0)
        phone.make_people(("王师傅", "mechanic"), ("赵经理", "manager"))
        yield phone


@pytest.fixture(scope="module")
def screens(crew: CrewPhone, site: CrewSite) -> list[str]:
    """Where to look: each screen, with a visit that is being made and one whose record is made."""
    order = order_of(1)
    tell_orders(crew.page, order)
    made = crew.begin(site.display(), mechanics=1, manager=True)
    crew.fill(made)
    crew.end(made)
    swap = crew.begin(site.link("meter"))
    crew.read_registers(swap)
    crew.fill(swap)
    crew.end(swap)
    swapping = crew.begin(site.link("meter"))
    going_on = crew.begin(site.link("car"), drop=False)
    crew.open(f"#/visit/{going_on}/list")
    crew.page.click("#go-on")
    crew.page.wait_for_selector(".results")
    item = crew.page.url.partition("/crew")[2]
    app = ["#/", "#/work", "#/outbox", "#/people", f"#/visit/{going_on}/list", f"#/visit/{made}/sign",
           f"#/visit/{swapping}/list/{CLOSING_ITEM}", f"#/visit/{swapping}/list/{OPENING_ITEM}", f"#/visit/{swap}/sign",
           f"#/order/{order['name']}", f"#/d/{CODES['car']}", f"#/exchange/ask/{made}", "#/exchange/mine",
           "#/exchange/help", "#/enrol", f"#/enrol/{crew.page.evaluate(PEOPLE)[0]['alias']}"]  # fmt: skip
    return [*(f"/crew{hash_}" for hash_ in app), f"/crew{item}", f"/d/{CODES['car']}", "/lifts"]


def violations(page: Page) -> list[str]:
    """What axe finds on the page as it stands."""
    if not page.evaluate("() => 'axe' in window"):
        page.evaluate(AXE.read_text("utf-8"))
    found: Any = page.evaluate(RUN)
    return [str(one) for one in found]


@pytest.mark.parametrize(
    ("language", "view", "scheme"), [("zh", "normal", "light"), ("en", "elder", "dark")], ids=["zh", "en-elder-dark"]
)
def test_no_screen_breaks_a_rule_of_accessibility(
    crew: CrewPhone, site: CrewSite, screens: list[str], language: str, view: str, scheme: str
) -> None:
    crew.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    crew.open("#/people")
    crew.page.evaluate(CHOOSE, [language, view])
    found: dict[str, list[str]] = {}
    crew.page.reload()
    crew.page.wait_for_selector("html[data-ready=yes]", state="attached")
    for path in screens:
        crew.page.evaluate(OLD)
        crew.page.goto(site.url + path)
        crew.page.wait_for_selector("h1:not([data-old])")
        wrong = violations(crew.page)
        if wrong:
            found[path] = wrong
    assert found == {}
