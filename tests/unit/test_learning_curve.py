"""Beginnings of curves: extrapolation, summed losses, their price; and halving on recorded curves, end to end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from searchbench.cost import Budget
from searchbench.errors import InputError, StudyError
from searchbench.estimators.learning_curve import Extrapolated, SumOfLosses, extrapolated
from searchbench.estimators.zero_cost import ZeroCost
from searchbench.harness.components import Use
from searchbench.harness.plan import plan
from searchbench.harness.problem import Problem
from searchbench.harness.run import run_search
from searchbench.harness.study import Study
from searchbench.results.columns import read_trials
from searchbench.seeds import Seeds
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.tables.table import Table
from searchbench.trial import FULL, Fidelity

SPACE = nasbench201()
STOPS = (1, 2, 4, 12)
SEEDS = Seeds("s", 0)
TASK: Any = None


@pytest.fixture(scope="module")
def curves(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Falling curves whose order of architectures is kept at every epoch."""
    final = [0.05 + 0.02 * sum(v != "nor_conv_3x3" for v in a.values) for a in SPACE.enumerate()]
    columns: dict[str, Any] = {"architecture": [str(a) for a in SPACE.enumerate()], "s": [120.0] * len(final)}
    for epochs in STOPS:
        columns[f"e{epochs}"] = [f + 0.6 / epochs**1.2 for f in final]
    columns["test"] = final
    path = tmp_path_factory.mktemp("curves") / "curves.parquet"
    pd.DataFrame(columns).to_parquet(path)
    return str(path)


def recorded(path: str) -> dict[str, Any]:
    shorter = {str(e): [f"e{e}"] for e in STOPS[:-1]}
    scores = {"validation": ["e12"], "fidelity": shorter, "epochs": 12, "test": ["test"], "higher_is_better": False}
    return {"path": path, "seconds": "s", **scores}


@pytest.mark.parametrize("shape", [lambda t: t**-0.7, lambda t: np.exp(-0.3 * t)])
def test_curves_of_the_families_are_extrapolated_to_their_end(shape: Any) -> None:
    epochs = np.arange(1.0, 13.0)
    assert extrapolated(epochs, 0.1 + 0.5 * shape(epochs), 100.0) == pytest.approx(0.1 + 0.5 * shape(100.0), abs=0.01)


def test_prediction_never_rises_above_the_last_point_nor_below_zero() -> None:
    epochs = np.array([1.0, 2.0, 3.0])
    assert extrapolated(epochs, np.array([0.3, 0.4, 0.5]), 12.0) <= 0.5
    assert 0.0 <= extrapolated(epochs, np.array([0.9, 0.4, 0.01]), 12.0) <= 0.01
    assert extrapolated(epochs[:2], np.array([0.9, 0.4]), 12.0) == 0.4


def test_extrapolated_estimator_charges_the_beginning_as_one_evaluation(curves: str) -> None:
    estimator = Extrapolated(Table(**recorded(curves)), epochs=4).open(SPACE, TASK, SEEDS)
    architecture, full = SPACE.sample(np.random.default_rng(0)), estimator.complete(FULL)
    measured, cost = estimator.evaluate(architecture, full, 0)
    exact = Table(**recorded(curves)).open(SPACE, TASK, SEEDS).evaluate(architecture, full, 0)[0].value
    assert (cost.evaluations, cost.epochs, cost.simulated_s) == (1, 4.0, 40.0)
    assert cost == estimator.price(architecture, full)
    assert abs(measured.value - exact) < abs(measured.metrics["last_value"] - exact) / 2
    with pytest.raises(InputError, match="full training only"):
        estimator.complete(Fidelity(2.0))


def test_sum_of_losses_is_that_of_a_real_training(training_problem: Problem) -> None:
    use = Use("sum-of-losses", estimator=Use("train", epochs=3, subset=0.3), epochs=2)
    resolved = Problem(training_problem.space, "digits", use).resolve()
    estimator = resolved.estimator.open(resolved.space, resolved.task, SEEDS)
    architecture = resolved.space.parse("|nor_conv_3x3~0|+|skip_connect~0|none~1|+|none~0|none~1|skip_connect~2|")
    measured, cost = estimator.evaluate(architecture, estimator.complete(FULL), 5)
    assert measured.value == measured.metrics["train_loss_sum"] > measured.metrics["train_loss"] > 0
    assert (cost.evaluations, cost.epochs) == (1, pytest.approx(0.6))


def test_what_cannot_stop_early_is_refused(curves: str) -> None:
    with pytest.raises(StudyError, match="stop early"):
        Extrapolated(ZeroCost(), epochs=3)
    with pytest.raises(StudyError, match=r"cannot stop within 0\.5"):
        SumOfLosses(Table(**recorded(curves)), epochs=0.5).open(SPACE, TASK, SEEDS)
    with pytest.raises(StudyError, match="positive"):
        SumOfLosses(Table(**recorded(curves)), epochs=0)


@pytest.mark.parametrize("strategy", ["successive-halving", "hyperband", "asha", "bohb"])
@pytest.mark.parametrize("workers", [None, 5])
def test_multi_fidelity_search_on_recorded_curves_pays_for_increments_only(
    strategy: str, workers: int | None, curves: str
) -> None:
    problem = Problem("nasbench201", "digits", Use("table", **recorded(curves), workers=workers))
    strategies = ["random", Use(strategy, eta=3) if strategy == "asha" else strategy]
    study = Study("curves", problem, strategies, 1, Budget(epochs=480))
    random, search = (run_search(spec) for spec in plan(study).runs)
    trials = read_trials(search.trials).to_pandas()
    assert search.status == "ok"
    assert set(trials["fidelity_epochs"]) <= set(STOPS)
    charged = trials["spent_epochs"].diff().fillna(trials["spent_epochs"])
    done = trials.set_index("number")["fidelity_epochs"].reindex(trials["resumed"]).fillna(0.0).to_numpy()
    np.testing.assert_allclose(charged, trials["fidelity_epochs"] - done)
    assert trials["resumed"].notna().sum() > 20
    assert search.value <= random.value  # many short trainings find what forty full ones do not


def test_a_strategy_that_needs_lower_fidelities_is_skipped_where_there_are_none(table: Use) -> None:
    planned = plan(Study("s", Problem("nasbench201", "digits", table), ["hyperband"], 1, Budget(epochs=9)))
    assert "one length of training" in planned.skipped[0].reason
