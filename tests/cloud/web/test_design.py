"""The tokens of the stylesheet hold in every theme, the design page shows them all, and what draws charts is locked."""

import json
import re
from base64 import b64encode

import pytest

from cloud.web.design import TOKENS
from cloud.web.page import STATIC_DIRECTORY
from tests.cloud.web.reader import Reader
from tests.cloud.web.test_pages import EN, text_of

SHEET = (STATIC_DIRECTORY / "minglou.css").read_text(encoding="utf-8")
WORDS_AA, GRAPHICS_AA = 4.5, 3.0  # WCAG 2.2, 1.4.3 and 1.4.11
SURFACES = {  # what stands on what
    "ground": ("ink", "quiet", "accent", "good", "warn", "bad"),
    "paper": ("ink", "quiet", "accent", "good", "warn", "bad"),
    "accent": ("on-accent",),
    "accent-soft": ("ink", "quiet", "accent", "good"),
    "warn-soft": ("ink", "quiet", "accent", "warn"),
    "bad-soft": ("ink", "quiet", "accent", "bad"),
    "good": ("paper",),  # the mark of a step that passed
    "bad": ("paper",),
}
DRAWN = {"paper": ("accent", "quiet", "warn", "bad", "good"), "warn-soft": ("warn",), "accent-soft": ("accent",)}


def block(selector: str, sheet: str = SHEET) -> dict[str, str]:
    """The tokens that a rule sets."""
    rule = sheet.partition(selector)[2].partition("}")[0]
    return dict(re.findall(r"--([\w-]+):\s*(#[0-9a-f]{3,6})\b", rule))


PRINT = SHEET.partition("@media print {")[2]
LIGHT = block("\n:root {")
THEMES = {
    "light": LIGHT,
    "dark by the device": LIGHT | block(':root:not([data-theme="light"]) {'),
    "dark by choice": LIGHT | block(':root[data-theme="dark"] {'),
    "paper": LIGHT | block(":root:root:root {", PRINT),
}


def luminance(colour: str) -> float:
    """WCAG's relative luminance of #rgb or #rrggbb."""
    digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_reckoned_as_the_standard_does() -> None:
    assert contrast("#000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)  # the lightest grey that passes AA on white


@pytest.mark.parametrize("theme", THEMES)
def test_words_and_graphics_stand_out_in_every_theme(theme: str) -> None:
    tokens = THEMES[theme]
    wanted = [(one, on, WORDS_AA) for on, some in SURFACES.items() for one in some]
    wanted += [(one, on, GRAPHICS_AA) for on, some in DRAWN.items() for one in some]
    weak = {
        (one, on): round(contrast(tokens[one], tokens[on]), 2)
        for one, on, least in wanted
        if contrast(tokens[one], tokens[on]) < least
    }
    assert weak == {}


def test_every_theme_sets_every_colour_and_dark_is_one_dark() -> None:
    assert LIGHT.keys() == set(TOKENS)
    assert block(':root:not([data-theme="light"]) {') == block(':root[data-theme="dark"] {')
    assert block(':root[data-theme="dark"] {').keys() == set(TOKENS)
    assert block(":root:root:root {", PRINT).keys() == set(TOKENS), "a dark page prints black on white"


def test_no_sheet_names_a_colour_beside_the_tokens() -> None:
    for path in sorted(STATIC_DIRECTORY.glob("*.css")):
        rules = re.sub(r"--[\w-]+:[^;]*;", "", path.read_text(encoding="utf-8"))
        assert re.findall(r":[^;{}]*#[0-9a-fA-F]{3,8}\b[^;{}]*", rules.replace("#000 5.5px", "")) == [], path.name


def test_the_design_page_shows_every_token_and_component_to_everybody(stranger: Reader) -> None:
    answer = stranger.get("/design", headers=EN)
    assert answer.status_code == 200
    assert re.findall(r'fill="var\(--([\w-]+)\)"', answer.text) == list(TOKENS)
    for tone in ("good", "warn", "bad", "quiet"):
        assert f'class="status" data-tone="{tone}"' in answer.text
    for how in ("spread", "doubtful", "reset", "missing"):
        assert f'class="bar" data-how="{how}"' in answer.text
    assert "8 Nov: from here on a new meter counts" in text_of(answer.text)
    assert "Electricity since 1 Nov 2026 ¥47.02 87.40 kWh" in text_of(answer.text)
    assert 'name="robots" content="noindex"' in answer.text


def test_a_browser_runs_no_other_chart_program_than_the_locked_one() -> None:
    lock = json.loads((STATIC_DIRECTORY / "vendor.lock.json").read_text())
    script = (STATIC_DIRECTORY / "chart-view.js").read_text(encoding="utf-8")
    locked = {name: one["sha256"] for name, one in lock.items() if one["package"] == "uplot"}
    assert len(locked) == 2
    for name, digest in locked.items():
        assert f'"{name}": "sha256-{b64encode(bytes.fromhex(digest)).decode()}"' in script
