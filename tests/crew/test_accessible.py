"""Every screen of the crew's app, the public pages of a device, and the questions about visits as an officer sees them,
by axe-core: nothing that WCAG 2 A and AA forbid.
"""

import time
from collections.abc import Iterator
from http.cookiejar import Cookie
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page

from cloud.identity.roles import Role
from cloud.integrity.facts import Flag, FlagKind
from cloud.integrity.flags import FlagState, explain_or_decide, raise_flags
from contracts.entry import device_id
from tests.cloud.authenticator import Phone
from tests.cloud.house import join
from tests.cloud.test_integrity import GRANTS
from tests.crew.orders import order_of, tell_orders
from tests.crew.phone import CLOSING_ITEM, OPENING_ITEM, PEOPLE, CrewPhone, phone_context, watched
from tests.crew.site import CODES, LIFT, CrewSite
from tests.plain_http import NO_TLS
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
def screens(crew: CrewPhone, site: CrewSite, question: str) -> list[str]:
    """Where to look: each screen, with a visit that is being made and one whose record is made, beside the one that
    the question is about.
    """
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


@pytest.fixture(scope="module")
def question(crew: CrewPhone, site: CrewSite) -> str:
    """The page of a question about a visit, to which its firm has said something."""
    digest = crew.make(site.link("car"))
    crew.page.wait_for_selector(f'[data-digest="{digest}"][data-state=sent]')
    facts = {"seconds": 60, "least": 1200}
    flag = Flag(kind=FlagKind.DWELL, why="short-stay", visit=bytes.fromhex(digest), grave=True, facts=facts)
    now_ms = int(time.time() * 1000)

    async def ask() -> None:
        async with site.cloud.store.write() as connection:
            await raise_flags(connection, {flag.visit: device_id(LIFT)}, [flag], now_ms=now_ms)
        said = "the other lift stood still"
        await explain_or_decide(
            site.cloud.store, flag.name(), FlagState.EXPLAINED, said, by=GRANTS[Role.FIRM], now_ms=now_ms
        )

    site.run(ask)
    return f"/flags/{flag.name().hex()}"


@pytest.fixture(scope="module")
def officer(browser: Browser, site: CrewSite) -> Iterator[Page]:
    """The manager's page, who is asked to decide; in the same browser, with a session of his own."""

    async def session() -> Cookie:
        now_ms = int(time.time() * 1000)
        made = await site.cloud.identity.invite(None, Role.MANAGER, unit=None, firm=None, now_ms=now_ms)
        headers = {"origin": site.url}
        async with httpx.AsyncClient(base_url=site.url, headers=headers, trust_env=False, verify=NO_TLS) as client:
            answer = await join(client, Phone(site.url), made.code)
            assert answer.status_code == 200, answer.text
            (cookie,) = client.cookies.jar
        return cookie

    cookie: Cookie = site.run(session)
    with phone_context(browser) as context:
        context.add_cookies([{"name": cookie.name, "value": cookie.value or "", "url": site.url}])
        yield watched(context, [])


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
    crew: CrewPhone, site: CrewSite, question: str, screens: list[str], officer: Page, language: str, view: str,
    scheme: str,
) -> None:  # fmt: skip
    for page in (crew.page, officer):
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
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
    officer.set_extra_http_headers({"accept-language": language})
    for path in ("/flags", question):
        officer.goto(site.url + path)
        assert officer.locator("a[href='" + question + "'], #decide").count() == 1
        wrong = violations(officer)
        if wrong:
            found[path] = wrong
    assert found == {}
