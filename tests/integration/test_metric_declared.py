"""What a study declares that it measures reaches every form, in its words, its unit and its direction."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path

import pytest

import searchbench as sb
from searchbench import Architecture, Metric, Outcome, Problem, Study, Use
from searchbench.errors import StudyError
from searchbench.harness.declared.study_file import study_from_mapping
from searchbench.reports.comparison import compare
from searchbench.reports.dossier import Dossier, read
from searchbench.reports.page import figures_of, to_html
from searchbench.reports.render import render
from searchbench.reports.render.pairs import to_text
from searchbench.reports.words import sentences
from searchbench.results.store import open_store


@dataclass(frozen=True)
class Losses:
    """A judge that gives every architecture a loss below one, or the negative of a score."""

    sign: float = 1.0

    def open(self, space: object, task: object, seeds: sb.Seeds) -> Losses:
        return self

    def verdict(self, architecture: Architecture) -> Outcome:
        size = sum(map(ord, str(architecture))) % 97
        return Outcome("ok", self.sign * (0.2 + size / 1000))


def read_study(study: Study, metric: Metric, sign: float, tmp_path: Path) -> Dossier:
    problem = study.problems[0]
    own = Study(
        name="measured",
        problems=Problem(problem.space, problem.task, problem.estimator, judge=Losses(sign), label="p"),
        strategies={"random": "random", "evolution": Use("regularized-evolution", population=5, sample=2)},
        seeds=8,
        budget=study.budget,
        comparison=sb.ComparisonPlan(baseline="random", rope=0.01),
        metric=metric,
    )
    sb.run(own, tmp_path / "r.db", workers=0)
    with open_store(tmp_path / "r.db") as store:
        return read(store)


def test_a_loss_below_one_is_no_percentage(study: Study, tmp_path: Path) -> None:
    dossier = read_study(study, Metric("validation MSE", unit="m²"), 1.0, tmp_path)
    texts = [render(dossier.board, kind) for kind in ("rich", "md", "tex")]
    texts += sentences(dossier.board.blocks[0])
    with open_store(tmp_path / "r.db") as store:
        texts.append(to_text(compare(store, "evolution", "random")[0]))
    page = to_html(dossier, figures_of(dossier), {})
    texts.append(re.sub(r"<(script|style).*?</\1>", "", page, flags=re.S))
    for text in texts:
        assert "test error" not in text.lower().replace("paired test error", "")
        found = re.search(r"\b2\d\.\d\d\b|percentage points|\(%\)", text)
        assert found is None, found
    assert any("validation MSE ↓ (m²)" in text for text in texts)
    assert "Validation MSE of every run" in page
    rows = list(csv.DictReader(io.StringIO(render(dossier.board, "csv"))))
    assert {(row["metric"], row["unit"], row["better"]) for row in rows} == {("validation MSE", "m²", "lower")}
    assert 0.2 < float(rows[0]["validation_mse_mean"]) < 0.3
    assert "validation_mse_std" in json.loads(render(dossier.board, "json"))["blocks"][0]["rows"][0]
    assert "validation_mse_mean" in dossier.board.to_frame()


def test_of_a_score_the_higher_stands_first(study: Study, tmp_path: Path) -> None:
    dossier = read_study(study, Metric("score", better="higher"), -1.0, tmp_path)
    rows = dossier.board.blocks[0].rows
    assert rows[0].test_error.mean > rows[1].test_error.mean > 0.2
    assert "score ↑" in render(dossier.board, "rich")
    assert [a.better for a in dossier.board.blocks[0].verdicts.arms] == ["higher", "higher"]
    worst_first = dossier.board.sorted("-score").blocks[0].rows
    assert [row.strategy for row in worst_first] == [row.strategy for row in reversed(rows)]


def test_a_study_file_declares_what_is_measured(study: Study) -> None:
    content = {
        "name": "s", "seeds": 1, "budget": {"evaluations": 5}, "strategies": [{"use": "random"}],
        "problems": [{"space": "nasbench201", "task": "digits", "estimator": "train"}],
    }  # fmt: skip
    assert study_from_mapping(content).metric is None
    assert study_from_mapping(content | {"metric": "MSE", "unit": "m²"}).metric == Metric("MSE", "m²")
    assert study_from_mapping(content | {"metric": {"name": "MSE", "share": True}}).metric == Metric("MSE", share=True)
    with pytest.raises(StudyError, match="`unit` says something of a `metric`, which is missing"):
        study_from_mapping(content | {"unit": "m²"})


def test_a_direction_that_the_judge_does_not_measure_is_refused(study: Study, tmp_path: Path) -> None:
    problem = Problem("nasbench201", "digits", "train")
    wrong = Study("s", problem, ["random"], 1, study.budget, metric=Metric("accuracy", better="higher"))
    with pytest.raises(StudyError, match="`better` is 'higher', but what the judge"):
        sb.run(wrong, tmp_path / "r.db", workers=0)
