"""Figures of what searches logged: small multiples over epochs, in both renderings."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from searchbench.cost import Cost
from searchbench.reports.figures import logged
from searchbench.reports.figures.figure import Dots, Line, Multiples
from searchbench.reports.figures.plotly import to_plotly
from searchbench.reports.figures.svg import to_svg
from searchbench.results.columns import TraceColumns
from searchbench.results.records import RunRecord

SVG = "{http://www.w3.org/2000/svg}"


def a_run(strategy: str, seed: int, lines: Sequence[Mapping[str, Any]]) -> RunRecord:
    traces = TraceColumns()
    for line in lines:
        traces.append(line, Cost(device_s=1.0))
    return RunRecord.flat(
        run_id=f"{strategy}{seed}", study="s", strategy=strategy, description="{}", problem="p", fingerprint="f",
        budget="{}", replicate=seed, status="ok", ended="finished", cost=Cost(), trials=b"", started="", finished="",
        traces=traces.to_bytes() if lines else None,
    )  # fmt: skip


def a_line(epoch: int, skips: int, accuracy: float, decision: str = "go on") -> dict[str, Any]:
    weights = {"skip_connect": [0.1 * epoch, 0.3], "nor_conv": [1 - 0.1 * epoch, 0.7]}
    found = {"epoch": epoch, "skips": skips, "valid_accuracy": accuracy, "decision": decision}
    return found | {"operation_weights": weights}


RUNS = [
    a_run("darts", 0, [a_line(e, e, 0.1 * e) for e in (1, 2, 3)]),
    a_run("darts", 1, [a_line(1, 1, 0.3), a_line(2, 2, 0.4, "stop")]),
    a_run("ada", 0, [a_line(1, 0, 0.2), a_line(2, 1, 0.4), a_line(3, 3, 0.5, "return to epoch 1"), a_line(2, 0, 0.6)]),
    a_run("random", 0, []),
]
COLOURS = {"darts": 0, "ada": 1, "random": 2}


def pictures() -> tuple[Multiples, Multiples]:
    watched, weights = logged.epochs("p", logged.logs_of(RUNS), COLOURS)
    return watched, weights


def lines_of(panel: Any, *, thin: bool) -> list[tuple[list[float], list[float]]]:
    return [(list(m.x), list(m.y)) for m in panel.marks if isinstance(m, Line) and m.thin is thin]


def test_a_panel_shows_every_seed_and_the_mean_of_those_still_running() -> None:
    watched, _ = pictures()
    assert [[panel.title for panel in row] for row in watched.panels] == [["darts", "ada"]] * 2
    skips, accuracy = (row[0] for row in watched.panels)
    assert lines_of(skips, thin=True) == [([1, 2, 3], [1, 2, 3]), ([1, 2], [1, 2])]
    ((x, mean),) = lines_of(accuracy, thin=False)
    assert (x, mean) == ([1, 2, 3], pytest.approx([0.2, 0.3, 0.3]))


def test_where_a_rule_stopped_a_search_or_sent_it_back_there_is_a_dot_that_says_so() -> None:
    watched, _ = pictures()
    (stopped,), (returned,) = ([m for m in panel.marks if isinstance(m, Dots)] for panel in watched.panels[0])
    assert (stopped.x, stopped.y, stopped.told) == ((2.0,), (2.0,), ("seed 1: stop",))
    assert (returned.x, returned.told) == ((3.0,), ("seed 0: return to epoch 1",))


def test_of_an_epoch_that_was_run_again_the_last_line_counts() -> None:
    watched, _ = pictures()
    ((x, skips),) = lines_of(watched.panels[0][1], thin=False)
    assert (x, skips) == ([1, 2, 3], [0, 0, 3])


def test_weights_are_means_over_the_edges_of_the_first_seed() -> None:
    _, weights = pictures()
    ((darts, _),) = weights.panels
    assert darts.title == "darts, seed 0"
    skip, conv = darts.marks
    assert list(skip.y) == pytest.approx([(0.1 * e + 0.3) / 2 for e in (1, 2, 3)], abs=1e-6)
    np.testing.assert_allclose(np.add(skip.y, conv.y), 1, atol=1e-6)
    assert weights.legend == {"skip_connect": 0, "nor_conv": 1}


def test_words_and_lists_are_no_curves_and_old_logs_are_still_drawn() -> None:
    assert {f.title for f in logged.traces("p", logged.logs_of(RUNS), COLOURS)} == {"skips", "valid accuracy"}
    old = a_run("spos", 0, [{"epoch": 1, "train_loss": 2.0}, {"best": 0.25, "scored": math.nan}])
    loss, best = logged.traces("p", logged.logs_of([old]), {"spos": 0})
    assert (list(loss.marks[0].x), list(best.marks[0].x)) == ([1], [1])
    assert logged.epochs("p", logged.logs_of([old]), {"spos": 0}) == []


@pytest.mark.parametrize(("skips", "ticks"), [([0, 0, 0], 1), ([0, 3, 8], 1), ([0, 5, 9], None)])
def test_few_skips_have_a_tick_each_and_none_below_zero(skips: list[int], ticks: int | None) -> None:
    run = a_run("darts", 0, [a_line(epoch, count, 0.5) for epoch, count in enumerate(skips, 1)])
    figure = logged.epochs("p", logged.logs_of([run]), {"darts": 0})[0]
    axis = to_plotly(figure)["layout"]["yaxis"]
    assert axis["title"]["text"] == "skip connections"
    assert (axis.get("dtick"), axis.get("rangemode")) == (ticks, ticks and "nonnegative")


def test_many_strategies_are_spread_evenly_over_figures() -> None:
    runs = [a_run(f"s{i}", 0, [a_line(1, 0, 0.1), a_line(2, 1, 0.2)]) for i in range(6)]
    found = logged.epochs("p", logged.logs_of(runs), {f"s{i}": i for i in range(6)})
    assert [(one.name, one.columns) for one in found] == [
        ("epochs-p", 3), ("epochs-p-1", 3), ("weights-p", 3), ("weights-p-1", 3),
    ]  # fmt: skip


@pytest.mark.parametrize("which", [0, 1])
def test_both_renderings_put_every_panel_on_shared_scales(which: int) -> None:
    picture = pictures()[which]
    drawn = to_plotly(picture)
    json.dumps(drawn, allow_nan=False)
    axes = [key for key in drawn["layout"] if key.startswith("xaxis")]
    assert len(axes) == sum(map(len, picture.panels)) == len({trace["xaxis"] for trace in drawn["data"]})
    assert [drawn["layout"][axis]["matches"] for axis in axes] == [None, *["x"] * (len(axes) - 1)]
    explained = [trace["name"] for trace in drawn["data"] if trace["showlegend"]]
    assert explained == list(picture.legend)
    root = ET.fromstring(to_svg(picture))
    marks = [mark for row in picture.panels for panel in row for mark in panel.marks]
    assert len(list(root.iter(f"{SVG}path"))) == sum(isinstance(mark, Line) for mark in marks)
    texts = [node.text for node in root.iter(f"{SVG}text")]
    assert all(texts.count(panel.title) == 1 for panel in picture.panels[0])
    assert texts.count("epoch") == picture.columns
