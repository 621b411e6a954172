"""The two languages: committed gettext catalogs, read from their .po files, and the choice of one per request.

English is the language of the message ids; zh_Hans_CN and en both have a catalog, so that a missing sentence is an
error of the tests and never a mixture on the page.
"""

import gettext
import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from cloud.web.answers import Title

LOCALE_DIRECTORY = Path(__file__).parent / "locale"
COOKIE = "minglou_language"
DEFAULT = "zh"
LOCALES: Mapping[str, str] = {"zh": "zh_Hans_CN", "en": "en"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """One language of the pages."""

    key: str  # zh, en
    locale: Locale
    translations: gettext.NullTranslations

    @property
    def tag(self) -> str:
        """The BCP 47 tag for the lang attribute."""
        return "zh-Hans-CN" if self.key == "zh" else "en"

    def title(self, title: Title) -> str:
        """A site's own name in this language."""
        return title.zh if self.key == "zh" else title.en

    @property
    def energy_unit(self) -> str:
        """What people call a kilowatt-hour."""
        return "度" if self.key == "zh" else "kWh"


def read_languages() -> dict[str, Language]:
    """Both languages by key, from the committed catalogs."""
    return {
        key: Language(key=key, locale=Locale.parse(name), translations=_translations(name))
        for key, name in LOCALES.items()
    }


def _translations(name: str) -> gettext.GNUTranslations:
    path = LOCALE_DIRECTORY / name / "LC_MESSAGES" / "messages.po"
    with path.open("rb") as file:
        catalog = read_po(file, locale=name)
    compiled = io.BytesIO()
    write_mo(compiled, catalog)
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)


def choose_language(cookie: str | None, accept_language: str | None) -> str:
    """The language key of a request: what the reader chose, else what the browser asks for first, else Chinese."""
    if cookie is not None and cookie in LOCALES:
        return cookie
    for part in (accept_language or "")[:200].lower().split(","):
        primary = part.split(";")[0].strip().split("-")[0]
        if primary in LOCALES:
            return primary
    return DEFAULT
