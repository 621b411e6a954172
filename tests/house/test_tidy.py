"""What must not be in the tree, and how long its parts may be."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.house.tree import PACKAGES, ROOMS, text_of, tracked, tracked_with
from tests.processes import REPOSITORY

# Written with brackets, so that this file does not contain what it forbids.
REGISTRY_HOSTS = re.compile(r"p[y]pi\.org|pytho[n]hosted\.|registry\.[n]pmjs|deb\.[d]ebian|regist[r]y\.yarnpkg")
MACHINE_PATHS = re.compile(r"/[w]ork/|/[r]oot/|/[h]ome/(?!pi\b)[a-z]+/|/[U]sers/|/opt/[p]ypi")
OPEN_ENDS = re.compile(r"\b(TOD[O]|FIXM[E]|HAC[K]|NotImplementedErro[r])\b")
PRIVATE_KEYS = re.compile(r"BEGIN ([A-Z]+ )?PRIVATE KE[Y]-----\s*\n[A-Za-z0-9+/=]{20}")
KEY_FILES = (".pem", ".key", ".p12", ".keystore", ".sqlite", ".db")
IMAGES = (".png", ".svg", ".ico", ".woff2")

SOURCE_LINES_MAX = 500
# A contract is one storage layout and one address, so it is one file; the calls of one contract are one table.
SOURCE_LINES_MAX_OF = {"contracts/vyper/": 1200, "contracts/calls/": 700}
FUNCTION_LINES_MAX = 90  # a tall screen: most have under 20, the few long ones are tables
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
IMAGE_BYTES_MAX = 300_000
TEXT_BYTES_MAX = 600_000
# Published test vectors come as their authors publish them; lock files as their tools write them.
LONG_ALLOWED = re.compile(r"^(tests/vectors/|requirements/)")
# A migration is one list of tables.
MIGRATIONS = "cloud/store/migrations/versions"


def found(pattern: re.Pattern[str], *suffixes: str) -> list[str]:
    """`file:line` of every match in the tracked text files."""
    hits = []
    for path in tracked_with(*suffixes) if suffixes else tracked():
        text = text_of(path)
        for number, line in enumerate((text or "").splitlines(), start=1):
            if pattern.search(line):
                hits.append(f"{path}:{number}: {line.strip()[:100]}")
    return hits


def test_no_file_names_a_package_registry() -> None:
    assert found(REGISTRY_HOSTS) == []


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    assert found(MACHINE_PATHS) == []


def test_nothing_is_left_open_in_the_code() -> None:
    assert found(OPEN_ENDS, ".py", ".vy", ".vyi", ".js", ".css", ".html", ".toml", ".md", "Makefile") == []


def test_no_key_and_no_database_is_in_the_tree() -> None:
    assert [str(path) for path in tracked_with(*KEY_FILES)] == []
    assert [str(path) for path in tracked() if PRIVATE_KEYS.search(text_of(path) or "")] == []


def test_every_file_is_text_or_a_small_picture() -> None:
    for path in tracked():
        size = (REPOSITORY / path).stat().st_size
        if path.suffix in IMAGES:
            assert size <= IMAGE_BYTES_MAX, f"{path} has {size:,} bytes; at most {IMAGE_BYTES_MAX:,}"
        else:
            assert text_of(path) is not None, f"{path} is binary; make it when it is needed instead"
            limit = 4 * TEXT_BYTES_MAX if LONG_ALLOWED.match(str(path)) else TEXT_BYTES_MAX
            assert size <= limit, f"{path} has {size:,} bytes; at most {limit:,}"


def test_no_source_file_is_longer_than_one_idea() -> None:
    long = []
    for path in tracked_with(".py", ".vy", ".vyi", ".js"):
        limits = [limit for folder, limit in SOURCE_LINES_MAX_OF.items() if path.as_posix().startswith(folder)]
        lines = len((text_of(path) or "").splitlines())
        if lines > (limits or [SOURCE_LINES_MAX])[0] and not LONG_ALLOWED.match(str(path)):
            long.append(f"{path}: {lines} lines")
    assert long == []


def test_every_function_fits_a_screen() -> None:
    long = []
    for path in tracked_with(".py"):
        if path.is_relative_to(MIGRATIONS):
            continue
        for node in ast.walk(ast.parse(text_of(path) or "")):
            if isinstance(node, FUNCTIONS) and own_lines(node) > FUNCTION_LINES_MAX:
                long.append(f"{path}:{node.lineno} {node.name}: {own_lines(node)} lines")
    assert long == []


def own_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without those of the functions inside, which are measured by themselves."""
    inner = [node for node in ast.walk(function) if isinstance(node, FUNCTIONS) and node is not function]
    covered = {line for node in inner for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)}
    return len(set(range(function.lineno, (function.end_lineno or function.lineno) + 1)) - covered)


@pytest.mark.parametrize("package", PACKAGES)
def test_a_room_opens_by_saying_what_it_is_for(package: str) -> None:
    module = ast.parse((REPOSITORY / package / "__init__.py").read_text(encoding="utf-8"))
    docstring = ast.get_docstring(module) or ""
    assert len(docstring) >= 80, f"{package}/__init__.py: open with a paragraph: what the room is for"
    if package in ROOMS:
        assert "import" in docstring.lower(), f"{package}/__init__.py: say what the room may import"


def test_no_file_is_called_utils() -> None:
    assert [str(path) for path in tracked() if path.stem in {"utils", "util", "helpers", "common", "misc"}] == []


@pytest.mark.parametrize("readme", ["README.md", "README.zh-CN.md"])
def test_every_make_target_that_the_readme_names_exists(readme: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = (REPOSITORY / readme).read_text(encoding="utf-8")
    code = re.findall(r"`[^`]*`|^make .*$", text, re.MULTILINE)
    named = set(re.findall(r"\bmake ([a-z]+)\b", " ".join(code)))
    assert named - targets == set()
    assert {"demo", "test", "check", "bench", "clean"} <= named


LINK = re.compile(r"(?<!!)!?\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("document", [str(path) for path in tracked_with(".md")])
def test_links_in_a_document_lead_somewhere(document: str) -> None:
    text = re.sub(r"```.*?```", "", text_of(Path(document)) or "", flags=re.DOTALL)
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (REPOSITORY / document).parent / name if name else REPOSITORY / document
        assert file.exists(), f"{document}: {target} leads nowhere"
        if anchor and file.suffix == ".md":
            assert anchor in anchors(file), f"{document}: {target}: no such heading"


def anchors(document: Path) -> set[str]:
    """The anchors that a Markdown viewer makes of the document's headings."""
    headings = re.findall(r"^#+ (.*)$", document.read_text(encoding="utf-8"), flags=re.MULTILINE)
    words = (re.sub(r"[^\w\- ]", "", heading.strip().lower()) for heading in headings)
    return {heading.replace(" ", "-") for heading in words}
