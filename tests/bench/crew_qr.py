"""How many of 180 camera frames of a printed label the crew's app reads, in nine conditions, in Chromium.

Our own worker reads them as it reads a photo and every fourth frame of the camera. Beside it stands what the same
program reads with its fast flags: that is how hard the frames are. It is a count, which a busy machine does not change.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from playwright.sync_api import Page

from tests.bench.crew_frames import CONDITIONS, LINK, SEEDS, frame
from tests.bench.figure import Figure
from tests.crew.camera import blank_page, chromium_with, crew_site, phone
from tests.processes import program

FAST_MAX = 127  # of 180: what the fast flags read of the frames by which the reader was chosen

_PREPARE = """async () => {
  window.worker = new Worker("/static/crew/decoder-worker.js");
  const overrides = { locateFile: () => "/static/vendor/zxing_reader.wasm" };
  await ZXingWASM.prepareZXingModule({ overrides, fireImmediately: true });
  const quick = { tryHarder: false, tryRotate: false, tryInvert: false, tryDownscale: false };
  window.fast = { formats: ["QRCode"], maxNumberOfSymbols: 1, ...quick };
}"""
_READ = """async (picture) => {
  const image = await createImageBitmap(new Blob([Uint8Array.from(atob(picture), (one) => one.charCodeAt(0))]));
  const canvas = document.getElementById("code");
  canvas.width = image.width;
  canvas.height = image.height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, image.width, image.height);
  const [fast] = await ZXingWASM.readBarcodes(pixels, window.fast);
  const buffer = pixels.data.buffer;
  const text = await new Promise((resolve) => {
    worker.onmessage = ({ data }) => resolve(data.text ?? data.refused ?? null);
    worker.postMessage({ id: 0, pixels: buffer, width: image.width, height: image.height, deep: true }, [buffer]);
  });
  return { text, fast: fast?.isValid ? fast.text : null };
}"""


class BenchError(Exception):
    """The frames are not what they are meant to be."""


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of the 20 frames of one condition."""

    ours: int
    fast: int
    wrong: int


def figures() -> dict[str, Figure]:
    """Read all frames once."""
    chromium = program("chromium")
    with crew_site() as address, chromium_with(chromium) as browser, phone(browser) as context:
        page = blank_page(context, address)
        page.add_script_tag(url="/static/vendor/zxing-reader.js")
        page.evaluate(_PREPARE)
        _read(page, "clean", 0)  # the first one compiles the program
        found = {condition: read_condition(page, condition) for condition in CONDITIONS}
    fast, wrong = (sum(getattr(one, name) for one in found.values()) for name in ("fast", "wrong"))
    if fast > FAST_MAX or wrong:
        raise BenchError(f"fast flags read {fast} of 180 frames (at most {FAST_MAX}), {wrong} texts are wrong")
    return {"crew.qr_read_of_180": _figure(found)}


def _figure(found: Mapping[str, Read]) -> Figure:
    rows = ", ".join(f"{condition} {read.ours} ({read.fast})" for condition, read in found.items())
    fast = sum(read.fast for read in found.values())
    return Figure(
        value=sum(read.ours for read in found.values()),
        unit="frames",
        note=f"of 20 each, in brackets with fast flags: {rows}; {fast} with fast flags, none wrong",
    )


def read_condition(page: Page, condition: str) -> Read:
    """All frames of one condition."""
    reads = [_read(page, condition, seed) for seed in range(SEEDS)]
    return Read(
        ours=sum(one["text"] == LINK for one in reads),
        fast=sum(one["fast"] == LINK for one in reads),
        wrong=sum(text not in (None, LINK) for one in reads for text in (one["text"], one["fast"])),
    )


def _read(page: Page, condition: str, seed: int) -> Any:
    picture = BytesIO()
    frame(condition, seed).save(picture, "PNG", compress_level=1)
    return page.evaluate(_READ, b64encode(picture.getvalue()).decode())
