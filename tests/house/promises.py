"""What the project promises, and whether each promise is shown: `docs/promises.md` against the last run and figures.

A row is `| promise | shown by | state |`. A promise is shown by tests (`tests/edge/test_log.py::test_name`, all its
parameters together, or a file with all its tests) or by figures (`figure:gas.anchor`), several joined by commas; its
state is then `shown`, or `shown (remark)`. A promise that is not shown says why: `not yet: ...` or
`cannot be shown here: ...`.

    python -m tests.house.promises     after a full run: every named test passed and every named figure clears its bar
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.bench.results import Results, read_results
from tests.processes import REPOSITORY

PROMISES = REPOSITORY / "docs" / "promises.md"
REPORTS = REPOSITORY / ".reports"
ROW = re.compile(r"^\|([^|]+)\|([^|]*)\|([^|]+)\|\s*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """One row of the document."""

    line: int
    text: str
    tests: tuple[str, ...]
    figures: tuple[str, ...]
    state: str

    @property
    def is_shown(self) -> bool:
        """Whether the row says that something shows it."""
        return re.fullmatch(r"shown( \(.+\))?", self.state) is not None


def parse_promises(text: str) -> list[Promise]:
    """The rows of the document's tables, their headings left out."""
    promises = []
    for number, line in enumerate(text.splitlines(), start=1):
        match = ROW.match(line)
        if match is None or set(match[1].strip()) <= {"-", ":"} or match[1].strip() == "promise":
            continue
        names = [name.strip().strip("`") for name in match[2].split(",") if name.strip()]
        promises.append(
            Promise(
                line=number,
                text=match[1].strip(),
                tests=tuple(name for name in names if not name.startswith("figure:")),
                figures=tuple(name.removeprefix("figure:") for name in names if name.startswith("figure:")),
                state=match[3].strip(),
            )
        )
    return promises


def faults_of_form(promises: Iterable[Promise]) -> list[str]:
    """What is wrong with the rows themselves: states, reasons, and tests that are not written."""
    faults = []
    for promise in promises:
        where = f"docs/promises.md:{promise.line}"
        if not promise.is_shown and not re.match(r"(not yet|cannot be shown here): \S", promise.state):
            faults.append(
                f"{where}: state {promise.state!r}; use `shown`, `not yet: why` or `cannot be shown here: why`"
            )
        if promise.is_shown and not (promise.tests or promise.figures):
            faults.append(f"{where}: says `shown` and names no test and no figure")
        for test in promise.tests:
            path, _, name = test.partition("::")
            file = REPOSITORY / path
            pattern = rf"^def {re.escape(name)}\(" if name else r"^def test_"
            if not file.is_file() or not re.search(pattern, file.read_text(), re.MULTILINE):
                faults.append(f"{where}: there is no test {test}")
    return faults


def outcomes(reports: Iterable[Path]) -> dict[str, list[str]]:
    """File, and test id without parameters, to the outcomes of all that belongs to it in the last run's reports."""
    table: dict[str, list[str]] = {}
    for report in reports:
        for case in ElementTree.parse(report).iter("testcase"):
            path = case.get("classname", "").replace(".", "/") + ".py"
            name = re.sub(r"\[.*", "", case.get("name", ""), flags=re.DOTALL)
            kinds = [kind_of(child) for child in case if child.tag in {"failure", "error", "skipped"}]
            for known_as in (path, f"{path}::{name}"):
                table.setdefault(known_as, []).append(kinds[0] if kinds else "passed")
    return table


def kind_of(outcome: ElementTree.Element) -> str:
    """`failure`, `error` or `skipped`; `left out` for published vectors, which stand beside the project."""
    is_vectors = re.search(r"vectors (beside|are not beside)", outcome.get("message", ""))
    return "left out" if outcome.tag == "skipped" and is_vectors else outcome.tag


def faults_of_showing(promises: Iterable[Promise], ran: dict[str, list[str]], results: Results) -> list[str]:
    """Promises that say `shown` and are not: a test that did not pass, a figure that is absent or below its bar."""
    faults = []
    for promise in promises:
        if not promise.is_shown:
            continue
        where = f"docs/promises.md:{promise.line}"
        for test in promise.tests:
            kinds = set(ran.get(test, ["not run"])) - {"passed", "left out"}
            if kinds:
                faults.append(f"{where}: {test}: {', '.join(sorted(kinds))}")
        for key in promise.figures:
            if key not in results.figures:
                faults.append(f"{where}: figure {key} was not measured")
            elif not results.figures[key]["holds"]:
                faults.append(
                    f"{where}: figure {key} is {results.figures[key]['value']}, bar {results.figures[key]['bar']}"
                )
    return faults


def main() -> int:
    """Exit code 0 when every promise that says `shown` is."""
    promises = parse_promises(PROMISES.read_text(encoding="utf-8"))
    ran = outcomes(sorted(REPORTS.glob("*.xml")))
    faults = [*faults_of_form(promises), *faults_of_showing(promises, ran, read_results())]
    for fault in faults:
        print(fault, file=sys.stderr)
    shown = sum(promise.is_shown for promise in promises)
    left_out = sorted(test for test, kinds in ran.items() if "left out" in kinds and "::" in test)
    for test in left_out:
        print(f"left out, for its published vectors are not beside the project: {test}")
    print(f"promises: {shown} of {len(promises)} shown, {len(faults)} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
