"""The threat model rests on tests that exist: a row that names none, or one that is gone, is a claim without ground."""

from __future__ import annotations

import re

import pytest

from tests.processes import REPOSITORY

PAGE = REPOSITORY / "docs" / "threat-model.md"
SUBJECTS = ("relayer", "cloud", "property firm", "committee", "installer", "sport", "lost", "fork", "reorg", "passkey")


def rows(text: str) -> list[list[str]]:
    """The cells of every row of every table, heads left out."""
    lines = [line for line in text.splitlines() if line.startswith("|") and not set(line) <= set("|- ")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return [row for row in cells if row[0] != "threat"]


def faults(text: str) -> list[str]:
    """What is wrong with the tests that the rows name."""
    found = []
    for row in rows(text):
        named = re.findall(r"([\w/]+\.py)::(test_\w+)", row[2] if len(row) > 2 else "")
        if len(row) not in (3, 4) or not named:
            found.append(f"{row[0]}: names no test")
        for file, function in named:
            path = REPOSITORY / "tests" / file
            if not path.exists() or not re.search(
                rf"^def {function}\(", path.read_text(encoding="utf-8"), re.MULTILINE
            ):
                found.append(f"{row[0]}: there is no tests/{file}::{function}")
    return found


def test_every_threat_names_tests_that_exist() -> None:
    assert faults(PAGE.read_text(encoding="utf-8")) == []


def test_the_threats_that_were_asked_about_are_all_there() -> None:
    text = PAGE.read_text(encoding="utf-8").lower()
    assert len(rows(text)) >= 40
    for subject in SUBJECTS:
        assert subject in text, subject


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("| rain | a roof | house/test_threat_model.py::test_gone | puddles |", "there is no"),
        ("| rain | a roof | none yet | puddles |", "names no test"),
        ("| rain | a roof |", "names no test"),
    ],
)
def test_a_row_without_ground_is_seen(row: str, fault: str) -> None:
    assert fault in faults(row)[0]
