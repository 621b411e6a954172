"""What the pages say: amounts with their derivation, contradictions, clocks, and honest gaps."""

import re
from dataclasses import replace

import pytest

from cloud.web import figures
from cloud.web.answers import RelayAnswer, TierPart
from cloud.web.language import read_languages
from tests.cloud.web.conftest import SignIn
from tests.cloud.web.reader import Reader
from tests.cloud.web.test_roles import BILL, HOUSEHOLD, PUBLIC, READING
from tests.cloud.web.world import DOOR, MANAGER, OWNER, World, fen

EN = {"accept-language": "en"}


def text_of(page: str) -> str:
    """The words of a page as one line."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))


def test_home_says_the_month_so_far_and_when_the_next_step_begins(sign_in: SignIn) -> None:
    page = text_of(sign_in(OWNER).get("/home", headers=EN).text)
    assert "Electricity since 15 Nov 2026 ¥24.14 44.87 kWh" in page
    assert "at this pace you enter step 2 in about 9 days." in page
    assert "The meter stood at 1,322.456 kWh · 27 Nov 2026, 00:00" in page
    assert "Lift 2 Stopped" in page


def test_home_holds_the_month_against_a_year_ago_and_the_building(sign_in: SignIn) -> None:
    page = text_of(sign_in(OWNER).get("/home", headers=EN).text)
    electricity, _, water = page.partition("Water since")
    assert "You 44.87 kWh A year ago 51.02 kWh Your building about 39 kWh" in electricity
    assert "12 % less than a year ago" in electricity
    assert "the middle one of 23 households" in electricity
    assert "¥11.80 3.420 m³" in water  # in its own unit
    assert "A year ago no readings Your building not told Fewer than five households" in water


def test_home_lists_the_repairs_that_are_still_open(world: World, sign_in: SignIn) -> None:
    client = sign_in(OWNER)
    page = client.get("/home", headers=EN).text
    assert [one.name for one in world.kept if f"/repairs/{one.name}" in page] == [
        one.name for one in world.kept if one.is_open
    ]
    world.kept = [one for one in world.kept if not one.is_open]
    assert "Your open repairs None." in text_of(client.get("/home", headers=EN).text)


def test_home_warns_of_a_bill_that_its_readings_contradict(world: World, sign_in: SignIn) -> None:
    warning = "Your last bill charges more than your meter said."
    assert warning in sign_in(OWNER).get("/home", headers=EN).text
    world.padded = False
    assert warning not in sign_in(OWNER).get("/home", headers=EN).text


def test_a_line_says_how_its_amount_comes_about(world: World, sign_in: SignIn) -> None:
    world.padded = False
    page = text_of(sign_in(OWNER).get(f"{BILL}/lines/0", headers=EN).text)
    assert "1,322.456 − 1,200.00 = 122.456 kWh" in page
    assert "122.456 × ¥0.538 = ¥65.88" in page
    assert "but the bill charges" not in page


def test_a_padded_line_says_both_figures(sign_in: SignIn) -> None:
    page = text_of(sign_in(OWNER).get(f"{BILL}/lines/0", headers=EN).text)
    assert "It charges 162.456 kWh. The gateway signed 122.456 kWh." in page
    assert "Dispute this line" in page


def test_a_shared_line_opens_to_pool_key_and_the_equality_of_sums(sign_in: SignIn) -> None:
    page = text_of(sign_in(OWNER).get(f"{BILL}/lines/1", headers=EN).text)
    assert "Corridors, lifts and pumps used 412.00 kWh , which cost ¥221.66" in page
    assert "yours is 89.30 m² of 2,422.80 m²" in page
    assert "Not a cent more." in page


def test_a_dispute_shows_its_clock_and_then_old_and_new(world: World, sign_in: SignIn) -> None:
    client = sign_in(OWNER)
    body = {"nonce": "1", "deadline": "2", "digest": "00" * 32, "signature": "00" * 64, "public": "00" * 64}
    assert client.post(f"{BILL}/lines/0/dispute", json=body).status_code == 202
    page = text_of(client.get(f"{BILL}/lines/0", headers=EN).text)
    assert "Waiting for the answer" in page
    assert "Answer due 4 Dec 2026, 10:00" in page
    assert "Dispute this line" not in page
    assert client.get(f"{BILL}/lines/0/dispute").status_code == 404
    world.settle()
    page = text_of(client.get(f"{BILL}/lines/0", headers=EN).text)
    refund = f"¥{(fen(162_456) - fen(122_456)) / 100:.2f}"
    assert "You were right" in page
    assert f"Before ¥87.40 → Now ¥65.88 Less on your bill {refund}" in page
    assert "returned" in page
    page = text_of(client.get(BILL, headers=EN).text)
    assert "¥87.40 ¥65.88" in page
    assert "Total ¥74.05" in page
    assert f"{refund} less after your dispute" in page


def test_a_refused_dispute_says_what_to_do(world: World, sign_in: SignIn) -> None:
    world.refusal = RelayAnswer(accepted=False, code="late", remedy="the window ended; ask the committee")
    body = {"nonce": "1", "deadline": "2", "digest": "00" * 32, "signature": "00" * 64, "public": "00" * 64}
    answer = sign_in(OWNER).post(f"{BILL}/lines/0/dispute", json=body)
    assert answer.status_code == 409
    assert answer.json() == {"code": "late", "remedy": "the window ended; ask the committee"}


def test_disputing_ends_with_the_window(world: World, sign_in: SignIn) -> None:
    client = sign_in(OWNER)
    assert f"{BILL}/lines/0/dispute" in client.get(f"{BILL}/lines/0").text
    bill = world._bill()
    world.now_ms = bill.window_ends_at_ms + 1
    world._bill = lambda: bill  # type: ignore[method-assign]  # the same bill, later
    assert f"{BILL}/lines/0/dispute" not in client.get(f"{BILL}/lines/0").text


def test_a_reading_says_what_was_heard_when_and_from_where(sign_in: SignIn) -> None:
    page = text_of(sign_in(OWNER).get(READING, headers=EN).text)
    assert "1,322.456 kWh" in page
    assert "as it stood when 27 Nov 2026 began" in page
    assert "the meter&#39;s own midnight record" in page or "the meter's own midnight record" in page
    assert "Mean 4.048 kWh a day" in page
    assert "no reading" in page


def test_a_lift_without_records_says_so(world: World, stranger: Reader) -> None:
    page = text_of(stranger.get("/lifts/b07-l1", headers=EN).text)
    assert "In service" in page
    assert "Last signed visit no record since 28 Oct 2026, 10:00" in page
    assert "7,315" in page
    world.has_records = False
    page = text_of(stranger.get("/lifts/b07-l1", headers=EN).text)
    assert "No word" in page
    assert "This lift has not reported yet." in page


@pytest.mark.parametrize(
    ("level", "findings", "english", "chinese"),
    [
        (3, ["confirmed"] * 4, "The lift agrees", "与电梯的记录吻合"),
        (2, ["confirmed", "not-seen", "confirmed", "contradicted"], "The lift agrees in part", "部分吻合"),
        (1, ["not-seen"] * 4, "Somebody came; the lift shows no work", "有人到场，但电梯没有检修迹象"),
        (0, ["not-seen"] * 3 + ["confirmed"], "The lift shows no trace of it", "电梯没有任何检修迹象"),
        (0, ["not-observable"] * 4, "The lift was silent and cannot tell", "当时电梯没有信号，无法判断"),
        (None, [], "Signed; the gateway is comparing", "已签名，网关正在核对"),
    ],
)
def test_a_visit_is_told_in_peoples_words(
    world: World, stranger: Reader, level: int | None, findings: list[str], english: str, chinese: str
) -> None:
    world.visits = (world.signed_visit(level, *findings),)
    page = text_of(stranger.get("/lifts/b07-l1", headers=EN).text)
    assert page.count(english) == 2, "beside the last visit, and in the list"
    assert "Half-month service · Anxing Service 1 mechanic signed, with a software key" in page
    assert ("This visit, with proof" in page) == bool(findings)
    spoken = text_of(stranger.get("/lifts/b07-l1", headers={"accept-language": "zh"}).text)
    assert spoken.count(chinese) == 2
    assert "软件密钥" in spoken
    assert 'id="visits"' not in stranger.get("/lifts/b07-l2", headers=EN).text


def test_the_trust_page_shows_the_roots_and_a_short_form(stranger: Reader) -> None:
    from contracts.trust import parse_trust

    page = stranger.get("/trust").text
    trust = parse_trust(stranger.get("/trust.json").content)
    assert trust.fingerprint() in page
    assert trust.registry.hex() in page


def test_blockchain_is_said_once(sign_in: SignIn) -> None:
    for path in ("/home", BILL, f"{BILL}/lines/0", READING, "/trust", "/lifts/b07-l1", "/verify"):
        for language, word in (("en", "blockchain"), ("zh", "区块链")):
            page = sign_in(OWNER).get(path, headers={"accept-language": language}).text
            assert page.lower().count(word) <= 1


@pytest.mark.parametrize("path", [*PUBLIC, *HOUSEHOLD, "/home", "/site"])
def test_pages_carry_a_strict_policy_and_nothing_inline(sign_in: SignIn, path: str) -> None:
    answer = sign_in(MANAGER if path == "/site" else OWNER).get(path)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
    assert "connect-src 'self' http://127.0.0.1:8545;" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    if "html" in answer.headers["content-type"]:
        assert not re.search(r"<script(?![^>]* src=)|<style|\sstyle=|\son\w+=|javascript:", answer.text)
        assert not re.search(r'(?:src|href)="(?:https?:)?//', answer.text)


def test_a_page_that_breaks_says_what_to_do_and_tells_nothing(world: World, stranger: Reader) -> None:
    async def broken() -> None:
        raise RuntimeError("secret of the store")

    world.lifts = broken  # type: ignore[method-assign, assignment]  # a store that fails
    client = Reader(stranger.app, raises=False)
    answer = client.get("/lifts", headers=EN)
    assert answer.status_code == 500
    assert "Nothing of yours is lost" in answer.text
    assert "secret" not in answer.text


def test_largest_owner_page_is_small(sign_in: SignIn) -> None:
    import gzip
    from pathlib import Path

    from cloud.web.page import STATIC_DIRECTORY, VERIFIER_DIRECTORY

    page = sign_in(OWNER).get(f"{BILL}/lines/0").content
    modules: set[Path] = set()
    waiting = [STATIC_DIRECTORY / "check.js"]
    while waiting:  # what the page loads: the check and everything that it imports, and what that imports
        module = waiting.pop()
        if module not in modules:
            modules.add(module)
            for name in re.findall(r'from "\./(?:verifier/)?([\w.]+)"', module.read_text(encoding="utf-8")):
                waiting.append(Path(VERIFIER_DIRECTORY) / name)
    assert len(modules) > 10
    preloaded = re.findall(rb'rel="modulepreload" href="/static/verifier/([\w.]+)"', page)
    assert {name.decode() for name in preloaded} == {path.name for path in modules} - {"check.js"}  # and no other
    linked = re.findall(rb'(?:src|rel="stylesheet" href)="/static/([\w./-]+)"', page)
    files = [*modules, *(STATIC_DIRECTORY / name.decode() for name in linked if name != b"check.js")]
    assert {path.name for path in files} > {"check.js", "minglou.css", "chart.js"}
    total = len(gzip.compress(page)) + sum(len(gzip.compress(path.read_bytes())) for path in files)
    assert total < 60_000, total
    assert not any("uplot" in path.name or path.name == "chart-view.js" for path in files), "fetched when asked for"


def test_bills_are_listed_with_their_state(sign_in: SignIn) -> None:
    page = text_of(sign_in(OWNER).get(f"/bills/{DOOR}", headers=EN).text)
    assert "23 Oct 2026 – 27 Nov 2026 Open to objections" in page


def test_each_thing_is_told_in_the_unit_that_its_meter_shows() -> None:
    english = read_languages()["en"]
    assert figures.quantity_value(3_420_500, "mL", english) == ("3.420", "m³")
    assert figures.quantity_value(12_345, "L", english) == ("12.345", "m³")
    assert figures.quantity_value(122_456, "Wh", english) == ("122.456", "kWh")
    assert figures.price(53_800_000, "Wh") == "¥0.538"
    assert figures.price(345_000, "mL") == "¥3.45"  # nanofen a millilitre
    assert figures.price(263_000_000, "L") == "¥2.63"
    assert figures.limit(220_000_000, "mL", english) == "220 m³"
    assert figures.limit(2_760_500, "Wh", english) == "2,760.50 kWh"


def test_a_line_of_water_is_told_in_cubic_metres(world: World, sign_in: SignIn) -> None:
    bill = world._bill()
    part = TierPart(
        number=1, from_wh=0, to_wh=220_000_000, used_wh=6_000_000, price_nanofen_per_wh=345_000, amount_fen=2_070
    )  # fmt: skip
    line = replace(
        bill.lines[0], quantity="8-0:1.0.0", usage_wh=6_000_000, signed_usage_wh=6_000_000, amount_fen=2_070,
        tiers=(part,),
    )  # fmt: skip
    world._bill = lambda: replace(bill, lines=(line,))  # type: ignore[method-assign]
    client = sign_in(OWNER)
    assert "6.000 m³ by your own meter" in text_of(client.get(BILL, headers=EN).text)
    page = client.get(f"{BILL}/lines/0", headers=EN).text
    assert "6.000 × ¥3.45 = ¥20.70" in text_of(page)
    assert "to 220 m³" in text_of(page)
    assert '<th scope="col">Day</th><th scope="col">m³</th>' in page
