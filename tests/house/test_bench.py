"""Figures are judged, kept with their history, and shown as the files say."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.bench.bars import BARS, BarError, bar_of
from tests.bench.figure import Figure, FigureError, median, percentile
from tests.bench.results import ROOMS, is_stale, merge, read_results, write_results
from tests.bench.table import READMES, readme_table, with_table

NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)


def test_every_bar_can_be_read_and_names_a_room() -> None:
    for key, bar in BARS.items():
        assert bar.holds(0) in {True, False}
        assert key.partition(".")[0] in ROOMS


def test_a_figure_without_a_bar_is_refused() -> None:
    with pytest.raises(BarError, match=r"figure edge\.invented: no bar"):
        bar_of("edge.invented")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), True, "1"])
def test_what_is_no_number_is_no_figure(value: object) -> None:
    with pytest.raises(FigureError):
        Figure(value=value, unit="s")  # type: ignore[arg-type]  # the wrong type is what is tested


def test_fewer_than_five_runs_give_no_median() -> None:
    with pytest.raises(FigureError, match="4 runs are too few"):
        median([1.0, 2.0, 3.0, 4.0])
    assert median([5, 1, 4, 2, 3]) == 3


def test_a_percentile_is_the_nearest_rank() -> None:
    assert [percentile(range(1, 101), percent) for percent in (1, 50, 99, 100)] == [1, 50, 99, 100]


def test_a_new_figure_replaces_the_old_one_which_goes_into_history(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    first = merge(read_results(path), {"gas.anchor": Figure(value=61000, unit="gas")}, command="a", now=NOON)
    write_results(merge(first, {"gas.anchor": Figure(value=63000, unit="gas")}, command="b", now=NOON), path)
    kept = read_results(path)
    assert (kept.figures["gas.anchor"]["value"], kept.figures["gas.anchor"]["holds"]) == (63000, False)
    assert [row["value"] for row in kept.history["gas.anchor"]] == [61000]


def test_a_figure_of_an_unknown_commit_is_stale() -> None:
    assert is_stale("cli.help_s", {"commit": "0000000000"})


@pytest.mark.parametrize("language", sorted(READMES))
def test_the_readme_shows_the_kept_figures(language: str) -> None:
    text = READMES[language].read_text(encoding="utf-8")
    assert with_table(text, readme_table(read_results(), language)) == text, "run `python -m tests.bench --show`"
