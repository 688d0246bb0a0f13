"""Random sampling in the report: the mean draw, improvements over it, and what the checklist makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import searchbench as sb
from searchbench import Budget, Problem, Study, Use, open_store
from searchbench.reports.checklist import Verdict
from searchbench.reports.dossier import Dossier, read
from searchbench.reports.render import render
from searchbench.reports.render.draws import lines
from searchbench.reports.sampling import build, kind_of
from searchbench.results.columns import read_trials

LABELS = {"draw": Use("generator"), "RS": Use("random"), "RE": Use("regularized-evolution", population=10, sample=3)}


def dossier_of(folder: Path, labels: dict[str, Use], seeds: int = 10, evaluations: int = 30) -> Dossier:
    problem = Problem("nasbench201", "digits", "table")
    study = Study("drawn", problem, labels, range(seeds), Budget(evaluations=evaluations))
    sb.run(study, folder / "r.db", workers=0)
    with open_store(folder / "r.db") as store:
        return read(store)


@pytest.fixture(scope="module")
def dossier(tmp_path_factory: pytest.TempPathFactory) -> Dossier:
    return dossier_of(tmp_path_factory.mktemp("drawn"), LABELS)


def errors(dossier: Dossier, strategy: str) -> np.ndarray:
    return np.array([run.test_error for run in dossier.runs if run.strategy == strategy])


def test_the_mean_draw_is_the_mean_over_instances_that_nobody_selected(dossier: Dossier) -> None:
    (found,) = dossier.board.blocks[0].sampled
    drawn = errors(dossier, "draw")
    assert (found.strategy, found.test_error.n) == ("draw", 10)
    assert found.test_error.mean == pytest.approx(drawn.mean())
    assert found.test_error.std == pytest.approx(drawn.std(ddof=1))


def test_improvements_are_those_of_mean_accuracies_over_the_mean_draw(dossier: Dossier) -> None:
    (found,) = dossier.board.blocks[0].sampled
    assert set(found.improvements) == {"RS", "RE"}
    drawn = 1 - errors(dossier, "draw").mean()
    for name, answer in found.improvements.items():
        assert answer.estimate == pytest.approx(100 * (1 - errors(dossier, name).mean() - drawn) / drawn)
        assert answer.status == "ok"


def test_random_search_is_shown_by_its_mean_draw_and_not_only_by_its_best(dossier: Dossier) -> None:
    (own,) = dossier.board.blocks[0].sampled[0].searched
    runs = [run for run in dossier.runs if run.strategy == "RS"]
    values = [np.array(read_trials(run.trials)["value"].to_pylist()) for run in runs]
    assert own.drawn.mean == pytest.approx(np.mean([v.mean() for v in values]))
    assert own.best.mean == pytest.approx(np.mean([v.min() for v in values]))
    assert own.best.mean < own.drawn.mean
    first = [v[0] for v in values]
    assert first == [run.value for run in dossier.runs if run.strategy == "draw"]  # the generator's draw is its first


@pytest.mark.parametrize("format", ["rich", "md", "tex"])
def test_the_leaderboard_says_it_in_every_format(dossier: Dossier, format: str) -> None:
    text = " ".join(render(dossier.board, format).split())
    assert "draw draws and never selects: test error" in text
    assert "relative improvement of accuracy over the mean draw of draw" in text
    assert "on validation the mean draw of draw is" in text


@pytest.mark.parametrize(
    ("item", "seen"),
    [
        ("C07", "random search: RS"),
        ("C08", "10 random architectures, RI printed"),
        ("C11", "30 to 30 evaluations"),
        ("C16", "incumbent monotone"),
    ],
)
def test_the_checklist_finds_the_arm_and_asks_no_budget_of_a_single_draw(
    dossier: Dossier, item: str, seen: str
) -> None:
    found = dossier.checklists[dossier.board.blocks[0].problem][item]
    assert found.verdict is Verdict.PASS, found.evidence
    assert seen in found.evidence


def test_too_few_draws_support_no_claim(tmp_path: Path) -> None:
    found = dossier_of(tmp_path, LABELS, seeds=3, evaluations=12)
    (block,) = found.board.blocks
    check = found.checklists[block.problem]["C08"]
    assert check.verdict is Verdict.FAIL
    assert "3 random architectures; 8 are needed" in check.evidence
    assert any("5 more per arm are needed for a claim" in line for line in lines(block.sampled))


def test_nothing_is_said_where_nothing_was_drawn(tmp_path: Path) -> None:
    found = dossier_of(tmp_path, {"RS": Use("random")}, seeds=2, evaluations=5)
    (block,) = found.board.blocks
    assert block.sampled == ()
    assert found.checklists[block.problem]["C08"].verdict is Verdict.FAIL


def test_values_that_are_no_shares_have_no_relative_improvement(dossier: Dossier) -> None:
    runs = [run.changed(test_error=100 * run.test_error, value=100 * run.value) for run in dossier.runs]
    (found,) = build(runs)
    assert found.improvements == {}
    said = lines((found,))
    assert said[0].endswith("over 10 draws")
    assert "no error rate" in said[1]


def test_strategies_are_told_apart_by_their_description() -> None:
    assert kind_of('{"class":"searchbench.strategies.generators:Generator"}') == "random_sampling"
    assert kind_of('{"class":"searchbench.strategies.random:Random","replacement":true}') == "random_search"
    assert kind_of('{"class":"mine:Random"}') == "search"
