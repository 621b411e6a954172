"""Messages from phone to phone by codes on the screen: two phones and a manager, with no network between them."""

import json
import zlib
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from contracts.exchange import Gathering, MessageKind, encode_base45, frames_of
from tests.crew.camera import blank_page, phone, show

ASKED = {
    "chain_id": "31337",
    "contract": "0x" + "c1" * 20,
    "record": "5a" * 352,
    "checklist": json.dumps(
        {"items": [{"code": f"A-1-{number:02d}", "result": "ok"} for number in range(1, 32)], "note": "滴油已清理"},
        ensure_ascii=False,
    ),
    "presence": json.dumps({"scans": [{"token": sha256(bytes([number])).hexdigest()} for number in range(24)]}),
}  # fmt: skip

SHOW = """async ([kind, object]) => {
  const { frames } = await import("/static/crew/exchange.js");
  const { draw } = await import("/static/crew/qr.js");
  window.frames_ = await frames(kind, object);
  window.draw_ = (index) => {
    const canvas = document.getElementById("code");
    draw(canvas, frames_[index]);
    return canvas.toDataURL();
  };
  return frames_;
}"""
GATHER = """async () => {
  const { start } = await import("/static/crew/scan.js");
  const { Gathering } = await import("/static/crew/exchange.js");
  window.gathering = new Gathering();
  window.told = null;
  window.came = [];
  window.message = null;
  window.last = null;
  window.scan = await start(document.getElementById("camera"), async (text) => {
    window.last = text;
    window.told = gathering.take(text);
    if (told) came.push(text);
    window.message = (await gathering.done()) ?? window.message;
  });
}"""
TAKE = """async (texts) => {
  const { Gathering } = await import("/static/crew/exchange.js");
  const gathering = new Gathering();
  const told = texts.map((text) => gathering.take(text));
  return gathering.done().then((message) => ({ told, message }), (error) => ({ told, refused: error.word }));
}"""


@pytest.fixture(scope="module")
def page(browser: Browser, address: str) -> Iterator[Page]:
    with phone(browser) as context:
        problems: list[str] = []
        yield blank_page(context, address, problems)
        assert problems == []


def message_of(frames: list[str]) -> Any:
    """What Python reads."""
    gathering = Gathering()
    for number, frame in enumerate(frames, start=1):
        assert gathering.take(frame) == (number, len(frames))
    return gathering.done()


def test_a_message_travels_by_the_screen_to_another_camera_and_back_without_network(
    browser: Browser, page: Page, address: str
) -> None:
    """The asking phone shows its frames in turn, the other one reads its screen and answers with a code of its own."""
    with phone(browser) as context:
        second = blank_page(context, address)
        for one in (page, second):  # what the app's own cache holds in a pit: modules and reader
            one.evaluate(SHOW, ["join", {}])
            one.evaluate(GATHER)
            show(one, "warm")
            one.wait_for_function("() => last === 'warm'")
        for one in (page.context, context):
            one.set_offline(True)
        carried = carry(page, second, "ask", ASKED)
        assert carried == {"kind": "ask", "object": ASKED}
        answer = {"alias": "ab" * 32, "signature": "cd" * 64}
        assert carry(second, page, "sign", answer) == {"kind": "sign", "object": answer}
        page.context.set_offline(False)
        page.evaluate("scan.stop()")


def carry(from_page: Page, to_page: Page, kind: str, message: dict[str, Any]) -> Any:
    """Hold each frame of one phone's screen before the other's camera until it says that it has it."""
    frames = from_page.evaluate(SHOW, [kind, message])
    assert kind != "ask" or len(frames) > 1
    for index in range(len(frames)):
        picture = from_page.evaluate("index => draw_(index)", index)
        to_page.evaluate("address => window.__setQR(address)", picture)
        to_page.wait_for_function("text => came.includes(text)", arg=frames[index])
    to_page.wait_for_function("kind => message?.kind === kind", arg=kind)
    return to_page.evaluate("message")


def test_frames_count_in_any_order_and_as_often_as_they_come(page: Page) -> None:
    frames = page.evaluate(SHOW, ["ask", ASKED])
    assert message_of(frames) == (MessageKind.ASK, ASKED)
    last, *others = reversed(frames)
    found = page.evaluate(TAKE, [last, last, *others, "https://minglou.example/d/7h3k9q2m4x8r"])
    assert found["told"][0] == {"kind": "ask", "have": 1, "of": len(frames)}
    assert found["told"][1] == {"kind": "ask", "have": 1, "of": len(frames)}
    assert found["told"][-1] is None
    assert found["message"] == {"kind": "ask", "object": ASKED}
    assert page.evaluate(TAKE, frames[:-1])["message"] is None
    written = frames_of(MessageKind.ASK, ASKED)
    assert page.evaluate(TAKE, list(written))["message"] == {"kind": "ask", "object": ASKED}


def test_frames_of_another_message_begin_anew(page: Page) -> None:
    old = page.evaluate(SHOW, ["ask", {**ASKED, "record": "00" * 352}])
    new = page.evaluate(SHOW, ["ask", ASKED])
    found = page.evaluate(TAKE, [*old[:-1], *new])
    assert found["message"] == {"kind": "ask", "object": ASKED}


def test_what_was_put_together_counts_only_under_its_own_name(page: Page) -> None:
    frames = page.evaluate(SHOW, ["ask", ASKED])
    swapped = frames[0][:15] + frames[0][18:21] + frames[0][15:18] + frames[0][21:]
    assert swapped != frames[0]
    assert page.evaluate(TAKE, [swapped, *frames[1:]])["refused"] == "exchange_damaged"


def test_a_few_bytes_that_want_to_become_millions_are_cut_off(page: Page) -> None:
    compressor = zlib.compressobj(9, wbits=-15)
    bomb = compressor.compress(b'{"a":"' + b"x" * 3_000_000 + b'"}') + compressor.flush()
    assert page.evaluate(TAKE, strange_frames(bomb))["refused"] == "exchange_damaged"
    plain = zlib.compressobj(0, wbits=-15)
    spaced = plain.compress(b'{"a": 1}') + plain.flush()  # a second spelling of {"a":1}
    assert page.evaluate(TAKE, strange_frames(spaced))["refused"] == "exchange_damaged"


def strange_frames(packed: bytes) -> list[str]:
    """Frames as a stranger may make them."""
    parts = [packed[at : at + 380] for at in range(0, len(packed), 380)]
    head = "M1A" + sha256(packed).hexdigest()[:8].upper()
    return [f"{head}{index:02X}{len(parts):02X}{encode_base45(part)}" for index, part in enumerate(parts)]


def test_a_browser_that_cannot_compress_still_sends_what_others_read(page: Page) -> None:
    told = page.evaluate(
        """async (object) => {
          const { frames } = await import("/static/crew/exchange.js");
          const kept = window.CompressionStream;
          window.CompressionStream = undefined;
          const made = await frames("sign", object);
          window.CompressionStream = kept;
          return made;
        }""",
        {"alias": "ab" * 32},
    )
    assert message_of(told) == (MessageKind.SIGN, {"alias": "ab" * 32})
