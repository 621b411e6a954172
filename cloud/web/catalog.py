"""The catalogs' sentences: taken from templates and modules, and merged into the committed .po files.

Run `python -m cloud.web.catalog` after changing a sentence, then translate what it names.
"""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

from cloud.web.language import LOCALE_DIRECTORY, LOCALES

KEYWORDS: Mapping[str, tuple[int, ...] | None] = {
    "_": None,
    "_n": None,
    "say": None,
    "gettext": None,
    "ngettext": (1, 2),
}
_METHODS = [("templates/**.html", "jinja2"), ("**.py", "python")]
_OPTIONS = {"templates/**.html": {"trimmed": "true", "encoding": "utf-8", "silent": "false"}}
HEADER = """\
# Minglou's pages: %s.
# Sentences come from cloud/web by `python -m cloud.web.catalog`; their translations are written by hand.
#"""


def sentences() -> Catalog:
    """Everything that the pages say, as message ids."""
    catalog = Catalog(project="minglou", charset="utf-8")
    root = Path(__file__).parent
    found = extract_from_dir(root, method_map=_METHODS, options_map=_OPTIONS, keywords=KEYWORDS)
    for file, _line, message, comments, context in sorted(found, key=lambda row: (row[0], row[1])):
        catalog.add(message, locations=[(file, 0)], auto_comments=comments, context=context)
    return catalog


def read_catalog(key: str) -> Catalog:
    """The committed catalog of one language."""
    with catalog_path(key).open("rb") as file:
        return read_po(file, locale=LOCALES[key])


def catalog_path(key: str) -> Path:
    """Where one language's catalog is."""
    return LOCALE_DIRECTORY / LOCALES[key] / "LC_MESSAGES" / "messages.po"


def untranslated(catalog: Catalog) -> Iterator[Message]:
    """The messages that lack a translation, or have one that nobody confirmed."""
    for message in catalog:
        given = message.string or ""
        translations = [given] if isinstance(given, str) else list(given)
        if message.id and (message.fuzzy or not all(translations)):
            yield message


def update() -> int:
    """Merge new sentences into both catalogs; English speaks for itself. Answers how many lack a translation."""
    template = sentences()
    missing = 0
    for key, name in LOCALES.items():
        path = catalog_path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        catalog = read_catalog(key) if path.exists() else Catalog(locale=name, project="minglou", charset="utf-8")
        catalog.update(template, no_fuzzy_matching=True)
        catalog.obsolete.clear()
        catalog.header_comment = HEADER % name
        if key == "en":
            for message in catalog:
                message.string = message.id
        missing += sum(1 for _ in untranslated(catalog))
        with path.open("wb") as file:
            write_po(file, catalog, width=110, omit_header=False, sort_output=True)
    return missing


if __name__ == "__main__":
    lacking = update()
    sys.stdout.write(f"{lacking} sentences lack a translation\n")
    sys.exit(1 if lacking else 0)
