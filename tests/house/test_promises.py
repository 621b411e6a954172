"""The check of promises finds every way in which a promise could only seem to be kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.results import Results
from tests.house.promises import PROMISES, faults_of_form, faults_of_showing, outcomes, parse_promises

THIS = "tests/house/test_promises.py::test_the_promises_of_the_project_are_well_formed"


def test_the_promises_of_the_project_are_well_formed() -> None:
    promises = parse_promises(PROMISES.read_text(encoding="utf-8"))
    assert promises
    assert faults_of_form(promises) == []


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        (f"| a | `{THIS}` | probably |", "state 'probably'"),
        ("| a | | shown |", "names no test and no figure"),
        ("| a | `tests/house/test_promises.py::test_gone` | shown |", "there is no test"),
        ("| a | | not yet |", "state 'not yet'"),
    ],
)
def test_a_row_without_ground_is_a_fault(row: str, fault: str) -> None:
    assert fault in faults_of_form(parse_promises(row))[0]


@pytest.mark.parametrize(
    ("kinds", "fault"), [([], "not run"), (["passed", "failure"], "failure"), (["skipped"], "skip")]
)
def test_a_named_test_that_did_not_pass_is_a_fault(kinds: list[str], fault: str) -> None:
    promises = parse_promises(f"| promise | shown by | state |\n|---|---|---|\n| a | `{THIS}` | shown |")
    ran = {THIS: kinds} if kinds else {}
    assert fault in faults_of_showing(promises, ran, Results("", "", {}, {}))[0]


@pytest.mark.parametrize(
    ("figures", "fault"),
    [({}, "was not measured"), ({"gas.anchor": {"value": 70000, "bar": "<= 62000", "holds": False}}, "is 70000")],
)
def test_a_named_figure_that_is_absent_or_misses_its_bar_is_a_fault(
    figures: dict[str, dict[str, object]], fault: str
) -> None:
    promises = parse_promises("| a | `figure:gas.anchor` | shown |")
    assert fault in faults_of_showing(promises, {}, Results("", "", figures, {}))[0]


def test_a_report_gives_the_outcomes_of_all_parameters(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        '<testsuite><testcase classname="tests.edge.test_a" name="test_b[1]"/>'
        '<testcase classname="tests.edge.test_a" name="test_b[x::y]"><skipped/></testcase>'
        '<testcase classname="tests.edge.test_c" name="test_d">'
        '<skipped message="the published vectors are not beside the project"/></testcase></testsuite>'
    )
    both = ["passed", "skipped"]
    assert outcomes([report]) == {
        "tests/edge/test_a.py": both,
        "tests/edge/test_a.py::test_b": both,
        "tests/edge/test_c.py": ["left out"],
        "tests/edge/test_c.py::test_d": ["left out"],
    }
