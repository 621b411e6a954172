"""The checker as one file: the site's own modules and words, a policy that names them, and nothing beside."""

import re
from base64 import b64encode
from hashlib import sha256
from html import unescape
from pathlib import Path

import pytest

import cloud.web.checker
from cloud.web.checker import CheckerError, bundled
from cloud.web.page import VERIFIER_DIRECTORY
from contracts.trust import parse_trust
from tests.cloud.web.reader import Reader
from tests.cloud.web.test_language import LATIN_ALLOWED, visible
from tests.cloud.web.world import World


def hash_of(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


def piece(page: str, pattern: str) -> str:
    (found,) = re.findall(pattern, page, re.DOTALL)
    return str(found)


def test_its_policy_names_its_one_script_and_one_style_and_allows_no_connection(stranger: Reader) -> None:
    answer = stranger.get("/checker.html")
    assert answer.headers["content-disposition"].startswith("attachment; ")
    page = answer.text
    policy = unescape(piece(page, r'<meta http-equiv="Content-Security-Policy" content="([^"]*)">'))
    script = piece(page, r'<script type="module">(.*?)</script>')
    style = piece(page, r"<style>(.*?)</style>")
    assert policy == (
        f"default-src 'none'; script-src {hash_of(script)}; style-src {hash_of(style)}; base-uri 'none'; "
        "form-action 'none'"
    )
    assert page.index("Content-Security-Policy") < page.index("<style>")
    markup = page.replace(script, "").replace(style, "")
    assert not re.search(r"""\s(?:src|on\w+|style)=|url\(|@import|https?://(?!testserver)""", markup)
    assert "href" not in markup


def test_it_holds_the_modules_of_the_page_word_for_word(stranger: Reader) -> None:
    page = stranger.get("/checker.html").text
    for name in ("bill", "billpapers", "bytes", "chain", "line", "p256", "pdf", "sha256", "timeofuse", "verifier"):
        source = (VERIFIER_DIRECTORY / f"{name}.js").read_text(encoding="utf-8")
        plain = [
            line for line in source.splitlines() if line and not re.match(r"import|export|} from|  \w+,.*,$", line)
        ]
        assert len(plain) > 10
        for line in plain:
            assert line in page or "import(" in line, f"{name}.js: {line}"


def test_it_brings_the_sites_trust_file_and_says_its_short_form_of_nothing_else(stranger: Reader) -> None:
    held = piece(stranger.get("/checker.html").text, r'<script type="application/json" id="saved-roots">(.*?)</script>')
    assert parse_trust(held.encode()) == parse_trust(stranger.get("/trust.json").content)


def test_a_trust_file_cannot_end_the_tag_that_holds_it(world: World, stranger: Reader) -> None:
    async def hostile() -> bytes:
        return (await World().trust_file()).replace(b"minglou.example", b"</script><script>alert(1)</script>", 1)

    world.trust_file = hostile  # type: ignore[method-assign]  # a file that somebody else has written
    page = stranger.get("/checker.html").text
    assert "<script>alert" not in page
    assert "\\u003c/script>" in page


def test_the_trust_page_tells_its_digest(stranger: Reader) -> None:
    for language in ("zh", "en"):
        headers = {"accept-language": language}
        page = stranger.get("/trust", headers=headers).text
        assert sha256(stranger.get("/checker.html", headers=headers).content).hexdigest() in page


def test_it_speaks_one_language(stranger: Reader) -> None:
    chinese = visible(stranger.get("/checker.html", headers={"accept-language": "zh"}).text)
    words = set(re.findall(r"(?<![\w./:-])[A-Za-z]{2,}(?![\w./@:-])", chinese)) - LATIN_ALLOWED
    assert words <= {"http", "testserver"}
    english = visible(stranger.get("/checker.html", headers={"accept-language": "en"}).text)
    assert re.findall(r"[\u3000-\u9fff\uff00-\uffef]+", english) == []


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ('import * as other from "./other.js";\n', "cannot be inlined"),
        ('import other from "./other.js";\n', "cannot be inlined"),
        ('import "./other.js";\n', "cannot be inlined"),
        ("export default 1;\n", "cannot be inlined"),
        ('export { a } from "./other.js";\n', "cannot be inlined"),
        ("const a = import(name);\n", "cannot be inlined"),
        ("const a = import.meta.url;\n", "cannot be inlined"),
        ('const a = "</script>";\n', "cannot be inlined"),
        ('import { a } from "./first.js";\nexport const b = a;\n', "a ring"),
    ],
)
def test_a_module_that_cannot_be_inlined_is_refused_when_the_file_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, says: str
) -> None:
    monkeypatch.setattr(cloud.web.checker, "STATIC_DIRECTORY", tmp_path)
    (tmp_path / "first.js").write_text('import { b } from "./second.js";\nexport const a = b;\n')
    (tmp_path / "second.js").write_text(source)
    with pytest.raises(CheckerError, match=says):
        bundled.__wrapped__("first.js")
