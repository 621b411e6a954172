"""The figures as tables: on the terminal, and between two marks in both READMEs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.bench.bars import BARS
from tests.bench.results import Results, is_stale
from tests.processes import REPOSITORY

READMES = {"english": REPOSITORY / "README.md", "chinese": REPOSITORY / "README.zh-CN.md"}
BEGIN, END = "<!-- figures: begin -->", "<!-- figures: end -->"
HEADINGS = {
    "english": ("what", "measured", "bar", "key"),
    "chinese": ("内容", "实测", "标准", "键"),
}
FAILS = {"english": "**missed**", "chinese": "**未达到**"}


def shown(figure: dict[str, Any]) -> str:
    """Value and unit as a person reads them; counts and ratios need no unit."""
    value = figure["value"]
    number = f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
    return number if figure["unit"] in {"count", "ratio"} else f"{number} {figure['unit']}"


def terminal_table(results: Results) -> str:
    """One line a figure: key, value, bar, whether it holds, and whether it is stale."""
    lines = []
    for key in BARS:
        if key not in results.figures:
            continue
        figure = results.figures[key]
        verdict = "      " if figure["bar"] == "shown" else "holds " if figure["holds"] else "MISSED"
        stale = "  stale: its room changed since" if is_stale(key, figure) else ""
        lines.append(f"  {key:<30} {shown(figure):>22}  {figure['bar']:<9} {verdict}{stale}")
    return "\n".join(lines)


def readme_table(results: Results, language: str) -> str:
    """The table between the marks; it rests on results.json alone."""
    rows = ["| " + " | ".join(HEADINGS[language]) + " |", "|---|---|---|---|"]
    for key, bar in BARS.items():
        if key not in results.figures:
            continue
        figure = results.figures[key]
        missed = "" if figure["holds"] else " " + FAILS[language]
        limit = "" if bar.bar == "shown" else bar.bar
        rows.append(f"| {getattr(bar, language)} | {shown(figure)}{missed} | {limit} | `{key}` |")
    return "\n".join([BEGIN, *rows, END])


def with_table(text: str, table: str) -> str:
    """`text` with `table` in place of what stood between the marks."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + table + after


def write_readmes(results: Results, readmes: dict[str, Path] | None = None) -> None:
    """Bring the tables of both READMEs up to the results."""
    for language, path in (readmes or READMES).items():
        text = path.read_text(encoding="utf-8")
        path.write_text(with_table(text, readme_table(results, language)), encoding="utf-8")
