"""Parts of a report: words, figures and their two renderings, drawings of cells, commands."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from recorded import BROKEN, CELL, EVIL, a_store

from searchbench.cli.entry import cli
from searchbench.cost import Cost
from searchbench.metric import Metric
from searchbench.reports import drawings
from searchbench.reports.dossier import Dossier, read
from searchbench.reports.figures import anytime, contest, logged
from searchbench.reports.figures.figure import Axis, Dots, Figure, Line, Spans, slug
from searchbench.reports.figures.plotly import to_plotly
from searchbench.reports.figures.svg import ticks, to_svg
from searchbench.reports.page import figures_of
from searchbench.reports.render.cells import columns
from searchbench.reports.render.meanings import meaning
from searchbench.reports.render.sheets import of_ablation
from searchbench.reports.words import sentences
from searchbench.results.columns import TraceColumns
from searchbench.results.records import StudyRecord
from searchbench.results.store import open_store


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_store(tmp_path_factory.mktemp("parts") / "r.db")


@pytest.fixture(scope="module")
def dossier(store: Path) -> Dossier:
    with open_store(store) as opened:
        return read(opened, axes=("seconds", "host_s"))


def colours(dossier: Dossier) -> dict[str, int]:
    return {row.strategy: i for i, row in enumerate(dossier.board.blocks[0].rows)}


def test_the_summary_says_what_is_real_what_is_not_and_what_it_would_take(dossier: Dossier) -> None:
    said = " ".join(sentences(dossier.board.blocks[0]))
    assert "Over all 15 pairs, “A and B” was shown to be better than every other strategy (11.98 %)." in said
    assert "Better than random (the baseline): “A and B” (-8.11 [" in said
    assert f"No evidence of a difference from random: {EVIL}." in said
    assert "To see a difference of 0.4 points (twice the declared rope) with 80 % power, that is to call it" in said
    assert "in this family of 6 and beyond the rope" in said
    assert f"Not ranked, because more than a fifth of its runs failed: {BROKEN}." in said
    assert "nan" not in said


def test_a_tied_top_group_is_said_to_be_tied(tmp_path: Path) -> None:
    with open_store(a_store(tmp_path / "r.db", seeds=4)) as opened:
        said = sentences(read(opened).board.blocks[0])
    assert any(sentence.startswith("Over all 15 pairs, no strategy was shown to be better") for sentence in said)
    assert any("4 paired seeds cannot" in sentence and "more per arm are needed" in sentence for sentence in said)


def test_curves_are_the_mean_of_all_runs_at_every_point(dossier: Dossier) -> None:
    curves = dossier.curves["cells"]["evaluations"]
    runs = dossier.current["cells"]
    figure = anytime.anytime("cells", runs, curves, colours(dossier), Metric(share=True))
    line = next(m for m in figure.marks if isinstance(m, Line) and m.name == "+B")
    own = [i for i, run in enumerate(runs) if run.strategy == "+B"]
    expected = 100 * curves.at(np.asarray(line.x))[own].mean(axis=0)
    np.testing.assert_allclose(line.y, expected)
    assert line.step
    assert list(line.y) == sorted(line.y, reverse=True)


def test_what_is_logged_once_and_without_an_epoch_is_still_drawn(dossier: Dossier) -> None:
    lines = TraceColumns()
    for epoch in range(3):
        lines.append({"epoch": epoch, "entropy": 1.0 - 0.1 * epoch}, Cost())
    lines.append({"best": 0.25}, Cost())
    run = dossier.current["cells"][0].changed(traces=lines.to_bytes())
    entropy, best = logged.traces("cells", logged.logs_of([run, run]), colours(dossier))
    (line,), (dot,) = entropy.marks, best.marks
    assert isinstance(line, Line)
    assert (list(line.x), list(line.y)) == ([0, 1, 2], pytest.approx([1.0, 0.9, 0.8]))
    assert isinstance(dot, Dots)
    assert (list(dot.x), list(dot.y)) == ([3], [0.25])


def test_both_renderings_draw_the_same_numbers(dossier: Dossier) -> None:
    figure = contest.differences(dossier.board.blocks[0], colours(dossier))
    assert figure is not None
    (spans,) = figure.marks
    assert isinstance(spans, Spans)
    answers = {row.strategy: row.standing.versus for row in dossier.board.blocks[0].rows if row.standing.versus}
    shown = {name: answers[name] for name in figure.y.categories}
    assert [a.estimate for a in shown.values() if a] == list(spans.middle)
    drawn = to_plotly(figure)["data"]
    assert [trace["x"] for trace in drawn[:-1]] == [
        [pytest.approx(low, rel=1e-5), pytest.approx(high, rel=1e-5)]
        for low, high in zip(spans.low, spans.high, strict=True)
    ]
    root = ET.fromstring(to_svg(figure))
    circles = [float(c.attrib["cx"]) for c in root.iter("{http://www.w3.org/2000/svg}circle")]
    order = np.argsort(spans.middle)
    assert list(np.argsort(circles)) == list(order)


def test_intervals_are_named_by_the_level_that_was_declared(tmp_path: Path) -> None:
    path = a_store(tmp_path / "r.db", trials=2)
    with open_store(path) as opened:
        declared = opened.study(None).declared
    declared["comparison"] |= {"alpha": 0.01}
    with open_store(tmp_path / "other.db", write=True) as other, open_store(path) as opened:
        own = opened.study(None)
        other.add_study(StudyRecord(own.name, json.dumps(declared), own.created, provenance=own.provenance))
        for run in opened.runs(own.name):
            other.add_run(run)
    with open_store(tmp_path / "other.db") as opened:
        found = read(opened)
    block = found.board.blocks[0]
    runs = found.current["cells"]
    assert "99 % t-interval" in contest.errors(block, runs, colours(found)).caption
    assert found.ablations[0].confidence == "99 %"
    (sheet,) = of_ablation(found.ablations)
    assert sheet.columns[2].title == "99 % CI"
    assert "99 %" in meaning(next(c for c in columns(block) if c.title == "rank"), block)
    assert all(meaning(column, block)[:1].isupper() for column in columns(block))


def test_every_figure_is_json_and_svg(dossier: Dossier) -> None:
    for sections in figures_of(dossier).values():
        for figure in (figure for own in sections.values() for figure in own):
            json.dumps(to_plotly(figure), allow_nan=False)
            assert "nan" not in to_svg(figure)
            assert figure.caption.endswith(".")


def test_figures_survive_the_smallest_studies(tmp_path: Path) -> None:
    with open_store(a_store(tmp_path / "r.db", seeds=1, trials=1)) as opened:
        found = read(opened)
    assert [f for sections in figures_of(found).values() for own in sections.values() for f in own]
    with open_store(a_store(tmp_path / "none.db", seeds=1, missing=7)) as opened:
        empty = read(opened)
    assert figures_of(empty)["cells"]["anytime"] == []


def test_gaps_break_a_line_and_single_points_have_room() -> None:
    figure = Figure("x", "t", "c.", Axis("x", log=True), Axis("y"), (
        Line("a", [1, 2, math.nan, 4], [1, 1, math.nan, 2]), Dots("b", [3.0], [1.5], told=("here",)),
    ))  # fmt: skip
    assert to_svg(figure).count("M") == 2
    assert to_plotly(figure)["data"][0]["x"] == [1.0, 2.0, None, 4.0]


@pytest.mark.parametrize(
    ("low", "high", "log", "expected"),
    [
        (0, 1, False, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-3, 47, False, [0, 10, 20, 30, 40]),
        (5, 2e5, True, [10, 100, 1000, 10_000, 100_000]),
        (0.9, 6, True, [1, 2, 5]),
    ],
)
def test_ticks_are_round(low: float, high: float, log: bool, expected: list[float]) -> None:
    assert ticks(low, high, log) == pytest.approx(expected)


def test_a_cell_is_drawn_from_its_notation() -> None:
    cell = drawings.parse(CELL)
    assert cell is not None
    assert cell.nodes == 4
    assert cell.edges[0] == (0, 1, "nor_conv_3x3")
    assert len(cell.edges) == 6
    root = ET.fromstring(drawings.to_svg(cell, "a & b"))
    words = [node.text for node in root.iter("{http://www.w3.org/2000/svg}text")]
    assert sorted(words) == sorted(
        ["in", "1", "2", "out", "conv 3×3", "skip", "conv 1×1", "pool 3×3", "conv 3×3"]
    )  # no label for an edge without an operation


@pytest.mark.parametrize("text", ["", "Genotype(...)", "|a~0|+", "|a~1|", "|a~0|+|b~0|c~5|", "{1, 2}"])
def test_any_other_notation_is_left_undrawn(text: str) -> None:
    assert drawings.parse(text) is None


def test_file_names_are_safe() -> None:
    assert slug("../RE P=30 — ä") == "re-p-30"
    assert slug("日本語") == "unnamed"


def test_commands_print_what_they_say(store: Path, tmp_path: Path) -> None:
    def run(*arguments: str) -> str:
        found = CliRunner().invoke(cli, [*arguments, "--store", str(store)])
        assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
        return found.output

    assert "Established (in percentage points): A (-" in run("ablation")
    assert "C17" in run("checklist")
    assert "In words" not in run("leaderboard")
    assert "Checklist" in run("leaderboard", "--published", "CIFAR-10")
    assert "is better than random" in " ".join(run("compare", "A and B", "random").split())
    assert f"{tmp_path / 'out' / 'index.html'} (" in run("report", "--out", str(tmp_path / "out"))
