"""What lists ask for, in the reader's language: every pack's words have their English ones in the app."""

import json
import re

from cloud.web.page import STATIC_DIRECTORY
from contracts.pack import read_pack
from contracts.packs import NAMES

MODULE = STATIC_DIRECTORY / "crew" / "needs.js"
ENGLISH = dict(
    json.loads(f"[{source}, {english}]")
    for source, english in re.findall(r'^  ("[^"]+"): ("[^"]+"),$', MODULE.read_text(encoding="utf-8"), re.MULTILINE)
)


def test_every_need_of_every_pack_has_its_english_words_and_no_words_stand_without_one() -> None:
    needs = {item.need_zh for name in NAMES for item in read_pack(name).items}
    assert len(needs) > 80
    assert ENGLISH.keys() == needs
    assert not [words for words in ENGLISH.values() if re.search(r"[\u3000-\u9fff]", words)]


def test_a_number_that_is_asked_for_is_the_same_in_english() -> None:
    for source, english in ENGLISH.items():
        assert re.findall(r"\d+", source) == re.findall(r"\d+", english), source
