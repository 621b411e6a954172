"""The largest visit there is, wholly without a network: 76 items, 40 photographs, two mechanics, and the site's manager
on a phone of his own. Under `make soak` the photographs are taken by a camera of twelve million pixels."""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import httpx
import pytest
from playwright.sync_api import Browser

from contracts.pack import read_pack
from contracts.signed_visit import verify_signed_visit
from contracts.visit import VisitClass
from tests.crew.meeting import joins, signs
from tests.crew.phone import IS_KEPT, READY, CrewPhone, phone_context, wait_for, watched
from tests.crew.site import PACK, CrewSite
from tests.plain_http import NO_TLS

ITEMS, PHOTOS = 76, 40
WIDTH = 4000 if "MINGLOU_SEEDS" in os.environ else 320


@pytest.fixture
def phones(browser: Browser, site: CrewSite) -> Iterator[list[CrewPhone]]:
    """The crew's phone and the manager's, which know the site's work; then the network is gone."""
    crews = ((("王师傅", "mechanic"), ("李师傅", "mechanic")), (("赵经理", "manager"),))
    with ExitStack() as stack:
        found, problems = [], list[str]()
        for number, people in enumerate(crews):
            context = stack.enter_context(phone_context(browser))
            phone = CrewPhone(watched(context, problems), site)
            phone.sign_in(number)
            phone.make_people(*people)
            phone.page.wait_for_function(IS_KEPT)
            found.append(phone)
        for phone in found:
            phone.open("#/work")
            phone.page.context.set_offline(True)
        yield found
        assert problems == []


@pytest.mark.timeout(900)  # in soak, with whole photographs
def test_a_yearly_visit_is_done_without_network_and_then_sent_whole(phones: list[CrewPhone], site: CrewSite) -> None:
    chief, manager = phones
    sent: Counter[str] = Counter()
    chief.page.on("request", lambda request: sent.update([request.method]) if "/v1/visits" in request.url else None)
    visit = chief.begin(site.display(), mechanics=2, visit_class=VisitClass.YEAR)
    chief.page.reload()
    chief.page.wait_for_selector(READY, state="attached")
    chief.fill(visit, photos=PHOTOS, width=WIDTH)
    chief.page.reload()
    chief.page.click("#finish")
    joins(manager, chief)
    chief.page.click("#freeze")
    digest = chief.page.locator("#digest").inner_text()
    for at in range(2):
        chief.sign_as(at)
    assert signs(manager, chief, 2) == digest
    frozen = chief.visit(visit)
    assert frozen["state"] == "outbox"
    assert site.visits() == []

    sent.clear()
    chief.page.context.set_offline(False)
    chief.open("#/outbox")
    chief.page.wait_for_selector(f'[data-digest="{frozen["frozen"]["digest"]}"][data-state=sent]')
    wait_for(
        chief.page,
        "() => import('/static/crew/outbox.js').then((one) => one.states())"
        ".then((all) => all.every((one) => !one.isOpen))",
    )
    (bundle,) = site.visits()
    assert (sent["POST"], sent["PUT"]) == (1, PHOTOS)
    verify_signed_visit(bundle.signed)
    assert bundle.checklist is not None
    bundle.checklist.check(read_pack(PACK))
    assert (len(bundle.checklist.items), len(bundle.checklist.photos)) == (ITEMS, PHOTOS)
    assert len(bundle.visit.mechanics) == 2 and bundle.visit.manager != bytes(32)
    with httpx.Client(base_url=site.url, trust_env=False, verify=NO_TLS, timeout=60) as client:
        assert client.get(f"/v1/visits/{bundle.visit.digest().hex()}").json()["files_missing"] == []
