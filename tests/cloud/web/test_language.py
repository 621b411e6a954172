"""Two whole languages: every sentence is in both catalogs, and no page mixes them."""

import re

import pytest

from cloud.web.catalog import read_catalog, sentences, untranslated
from cloud.web.language import choose_language
from tests.cloud.web.conftest import SignIn
from tests.cloud.web.test_roles import BILL, READING
from tests.cloud.web.world import MANAGER, OWNER, World

PATHS = [
    "/", "/home", "/bills/b07-0501", BILL, f"{BILL}/lines/0", f"{BILL}/lines/1", f"{BILL}/lines/0/dispute", READING,
    "/lifts", "/lifts/b07-l1", "/verify", "/trust", "/signin", "/nope", "/site", "/design",
]  # fmt: skip
# What stays as it is in any language: names of formats, units, people's own data, the other language's own name.
LATIN_ALLOWED = {"JavaScript", "https", "json", "PDF", "English", "For"}


@pytest.mark.parametrize("key", ["zh", "en"])
def test_every_sentence_is_in_the_catalog_and_translated(key: str) -> None:
    catalog = read_catalog(key)
    wanted = {message.id for message in sentences() if message.id}
    held = {message.id for message in catalog if message.id}
    assert wanted - held == set(), "run python -m cloud.web.catalog"
    assert held - wanted == set(), "run python -m cloud.web.catalog"
    assert [message.id for message in untranslated(catalog)] == []


@pytest.mark.parametrize("key", ["zh", "en"])
def test_translations_keep_their_placeholders(key: str) -> None:
    for message in read_catalog(key):
        ids = [message.id] if isinstance(message.id, str) else list(message.id)
        strings = [message.string] if isinstance(message.string, str) else list(message.string or ())
        if message.id:
            wanted = {name for sentence in ids for name in re.findall(r"%\((\w+)\)s", sentence)}
            for sentence in strings:
                assert set(re.findall(r"%\((\w+)\)s", sentence)) == wanted, sentence
                assert "%" not in re.sub(r"%\(\w+\)s", "", sentence), sentence


def test_chinese_sentences_are_chinese_with_chinese_punctuation() -> None:
    for message in read_catalog("zh"):
        if message.id:
            for sentence in [message.string] if isinstance(message.string, str) else list(message.string or ()):
                assert re.search(r"[\u4e00-\u9fff]", sentence), sentence
                assert not re.search(r"[\u4e00-\u9fff][,:;?]|[,;?][\u4e00-\u9fff]", sentence), sentence


def visible(page: str) -> str:
    """The words that a reader meets, without code, what somebody wrote, other languages' parts and addresses."""
    page = re.sub(r"<(code|q|script|style|svg)\b.*?</\1>", " ", page, flags=re.DOTALL)
    page = re.sub(r"<(\w+)[^>]*\blang=\"en\"[^>]*>.*?</\1>", " ", page, flags=re.DOTALL)
    page = re.sub(r"<(\w+)[^>]*\bclass=\"[^\"]*\bcode\b[^\"]*\"[^>]*>.*?</\1>", " ", page, flags=re.DOTALL)
    labels = " ".join(re.findall(r'(?:aria-label|alt|title|placeholder)="([^"]*)"', page))
    return re.sub(r"&\w+;|&#\d+;", " ", re.sub(r"<[^>]+>", " ", page.partition("<body>")[2])) + " " + labels


@pytest.mark.parametrize("path", PATHS)
def test_no_sentence_is_left_in_the_other_language(world: World, sign_in: SignIn, path: str) -> None:
    client = sign_in(MANAGER if path == "/site" else OWNER)
    chinese = visible(client.get(path, headers={"accept-language": "zh-CN"}).text)
    words = set(re.findall(r"(?<![\w./-])[A-Za-z]{2,}(?![\w./@:-])", chinese)) - LATIN_ALLOWED
    assert words == set(), path
    english = visible(client.get(path, headers={"accept-language": "en-GB"}).text)
    assert re.sub(r"中文", "", "".join(re.findall(r"[\u3000-\u9fff\uff00-\uffef]+", english))) == "", path


@pytest.mark.parametrize(
    ("cookie", "accept", "key"),
    [
        (None, None, "zh"), (None, "en-US,en;q=0.9", "en"), (None, "fr, en;q=0.5", "en"), ("zh", "en", "zh"),
        ("en", "zh-CN", "en"), ("xx", "zh-CN,en;q=0.8", "zh"), (None, "fr", "zh"), (None, "x" * 10_000, "zh"),
    ],
)  # fmt: skip
def test_the_reader_chooses_then_the_browser_then_chinese(cookie: str | None, accept: str | None, key: str) -> None:
    assert choose_language(cookie, accept) == key
