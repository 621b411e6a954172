"""The checker as one file: the same page, words and modules as /verify, inlined, with the site's roots.

It works from a disk, without a network: browsers load no module from there, and its own policy allows none. So the
modules become functions of one script, which the policy names by its hash. Our own modules are plain: one import a
statement, exports before declarations. Whatever else stands in one is refused when the file is made, not guessed at.
"""

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path

from cloud.web.page import STATIC_DIRECTORY, VERIFIER_DIRECTORY, Pages, Visit

__all__ = ["CheckerError", "bundled", "checker_page"]

_IMPORT = re.compile(r'^import \{([^{}]*)\} from "(\./[\w./]+)";$', re.MULTILINE)
_LATER = re.compile(r'\bimport\("(\./[\w./]+)"\)')
_EXPORT = re.compile(r"^export ((?:async )?function\*?|class|const) (\w+)", re.MULTILINE)
_UNKNOWN = re.compile(r"^\s*(?:import|export)\b|\bimport\s*[(.]|</script|<!--", re.MULTILINE)


class CheckerError(Exception):
    """A module is written in a way that cannot be inlined."""


def checker_page(pages: Pages, visit: Visit, trust: bytes) -> str:
    """The file in the reader's language, with these roots."""
    script, style = bundled("verify.js"), _style()
    policy = (
        f"default-src 'none'; script-src {_source_of(script)}; style-src {_source_of(style)}; "
        "base-uri 'none'; form-action 'none'"
    )
    values = {
        "policy": policy,
        "style": style,
        "script": script,
        "roots": trust.decode().replace("<", "\\u003c"),  # JSON as ever, and no tag can end it
        "address": pages.settings.public_url,
    }
    return pages.text(visit, "checker.html", values=values).lstrip()


@cache
def bundled(first: str) -> str:
    """One script of a module of the pages and of all that it imports, at once or later.

    Raises:
        CheckerError: modules import each other in a ring, or one has another form of import or export.
    """
    modules: dict[str, str] = {}
    _take(first, modules, ())
    kept = ",\n".join(f'"{name}": () => {{\n{source}}}' for name, source in modules.items())
    return (
        "const made = new Map();\n"
        "const load = (name) => made.get(name) ?? made.set(name, modules[name]()).get(name);\n"
        f'const modules = {{\n{kept},\n}};\nload("{first}");\n'
    )


def _take(name: str, modules: dict[str, str], above: tuple[str, ...]) -> None:
    if name in above:
        raise CheckerError(f"{' imports '.join((*above, name))}: a ring")
    if name in modules:
        return
    source = _path_of(name).read_text(encoding="utf-8")
    for _, wanted in _IMPORT.findall(source):
        _take(_name_of(name, wanted), modules, (*above, name))
    modules[name] = _as_function(name, source)
    for wanted in _LATER.findall(source):
        _take(_name_of(name, wanted), modules, ())


def _as_function(name: str, source: str) -> str:
    """The body of a function that answers with what the module exports."""
    exported = [found[1] for found in _EXPORT.findall(source)]
    body = _IMPORT.sub(lambda found: _loaded(name, found[1], found[2]), source)
    body = _LATER.sub(lambda found: f'Promise.resolve().then(() => load("{_name_of(name, found[1])}"))', body)
    body = _EXPORT.sub(r"\1 \2", body)
    unknown = _UNKNOWN.search(body)
    if unknown:
        line = body.count("\n", 0, unknown.end()) + 1
        raise CheckerError(f"{name}, near line {line}: {unknown[0].strip()!r} cannot be inlined")
    return f"{body}return {{ {', '.join(exported)} }};\n"


def _loaded(name: str, names: str, wanted: str) -> str:
    listed = ", ".join(re.sub(r"^(\w+) as (\w+)$", r"\1: \2", one.strip()) for one in names.split(",") if one.strip())
    return f'const {{ {listed} }} = load("{_name_of(name, wanted)}");'


def _name_of(importer: str, wanted: str) -> str:
    """`verifier/x.js` for a module of the verifier, `x.js` for one of the pages."""
    folder = importer.rpartition("/")[0]
    path = wanted.removeprefix("./")
    return f"{folder}/{path}" if folder else path


def _path_of(name: str) -> Path:
    folder, _, file = name.rpartition("/")
    return (VERIFIER_DIRECTORY if folder == "verifier" else STATIC_DIRECTORY) / file


@cache
def _style() -> str:
    sheets = ("minglou.css", "site.css", "forms.css")
    return "\n".join((STATIC_DIRECTORY / name).read_text(encoding="utf-8") for name in sheets)


def _source_of(inlined: str) -> str:
    """A piece of the page as its policy names it."""
    return f"'sha256-{b64encode(sha256(inlined.encode()).digest()).decode()}'"
