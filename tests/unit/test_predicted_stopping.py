"""Stopping by what is predicted of a training's end."""

from __future__ import annotations

import math
from statistics import fmean, stdev

import pytest
from scipy.stats import t

from searchbench.cost import Budget
from searchbench.errors import StudyError
from searchbench.harness.declared.components import Use
from searchbench.harness.declared.plan import plan
from searchbench.harness.declared.problem import Problem
from searchbench.harness.declared.study import Study
from searchbench.harness.running.run import run_search
from searchbench.results.columns import read_trials
from searchbench.strategies.median import CameAsFar, PredictedStopping

COMPLETE = [(0.5, 0.2), (0.6, 0.3), (0.4, 0.1), (0.5, 0.25), (0.7, 0.35)]


def test_the_probability_of_becoming_the_best_is_that_of_a_student_distribution():
    falls = [math.log(end / then) for then, end in COMPLETE]
    spread = stdev(falls) * math.sqrt(1 + 1 / 5)
    expected = t.cdf((math.log(0.1) - math.log(0.5) - fmean(falls)) / spread, 4)
    assert PredictedStopping().probability(0.5, COMPLETE) == pytest.approx(expected)
    assert PredictedStopping().probability(0.9, COMPLETE) < PredictedStopping().probability(0.3, COMPLETE)


def test_differences_take_the_place_of_logarithms_where_values_are_not_positive():
    assert 0 < PredictedStopping().probability(-1.0, [(-1.0, -2.0), (0.0, -1.5), (1.0, -0.5)]) < 1


def test_curves_that_all_fall_alike_leave_no_doubt():
    alike = [(0.8, 0.4), (0.6, 0.3), (0.4, 0.2)]
    assert PredictedStopping().probability(0.5, alike) < 1e-9
    assert PredictedStopping().probability(0.3, alike) > 1 - 1e-9


def test_nothing_ends_before_enough_trainings_are_complete():
    came = [CameAsFar(then, [then, end]) for then, end in COMPLETE]
    rule = PredictedStopping(others=5)
    assert rule.ends([5.0], 1.0, came, 2)
    assert not rule.ends([5.0], 1.0, came[:4], 2)
    assert not rule.ends([5.0], 1.0, [*came[:4], CameAsFar(0.7, [0.7])], 2)
    assert not rule.ends([0.3], 1.0, came, 2)


def test_a_short_budget_tries_more_than_whole_trainings_would():
    problem = Problem("nasbench201", "digits", "table")
    study = Study("s", problem, ["random", "predicted-stopping"], 1, Budget(epochs=600))
    whole, ended = (read_trials(run_search(run).trials).to_pandas() for run in plan(study).runs)
    assert ended["architecture"].nunique() > 1.5 * len(whole)
    assert (ended["fidelity_epochs"] == 12).sum() >= 5


def test_any_searcher_goes_under_it():
    problem = Problem("nasbench201", "digits", "table")
    pair = Use("scheduled", scheduler="predicted-stopping", searcher="regularized-evolution")
    (run,) = plan(Study("s", problem, [pair], 1, Budget(epochs=200))).runs
    assert run_search(run).status == "ok"


@pytest.mark.parametrize("wrong", [{"others": 1}, {"others": True}, {"chance": 0.0}, {"chance": 1.0}])
def test_values_out_of_range_are_refused(wrong):
    with pytest.raises(StudyError):
        PredictedStopping(**wrong)
