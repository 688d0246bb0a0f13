"""Beginnings of curves: extrapolation, summed losses, their price; and halving on recorded curves, end to end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kendalltau

from searchbench.cost import Budget
from searchbench.errors import InputError, StudyError
from searchbench.estimators.learning_curve import Extrapolated, SumOfLosses, extrapolated
from searchbench.estimators.zero_cost import ZeroCost
from searchbench.harness.declared.components import Use
from searchbench.harness.declared.plan import plan
from searchbench.harness.declared.problem import Problem
from searchbench.harness.declared.study import Study
from searchbench.harness.running.run import run_search
from searchbench.results.columns import read_trials
from searchbench.seeds import Seeds
from searchbench.spaces.nasbench201.space import nasbench201
from searchbench.tables.shipped import SHIPPED
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


def predicted(epochs: Any, values: Any, full: float, noise: float = 0.7, rate: float = 0.5) -> float:
    return extrapolated(noise, rate, list(epochs), list(values), full)


def test_the_prediction_is_the_filtered_level_that_falls_on() -> None:
    epochs, values = [1.0, 2.0, 4.0], [0.8, 0.6, 0.3]
    # a random walk of variance 1 per epoch, measured with variance .7: gains 1.7/2.4, then (.7 * 1.7/2.4 + 2)/(… + .7)
    first = 1.7 / 2.4
    second = (0.7 * first + 2) / (0.7 * first + 2.7)
    level = np.log(0.8) + first * (np.log(0.6) - np.log(0.8))
    level += second * (np.log(0.3) - level)
    assert predicted(epochs, values, 16.0) == pytest.approx(np.exp(level) / 2)
    assert predicted(epochs, values, 16.0, noise=0.0, rate=0.0) == pytest.approx(0.3)
    assert predicted(epochs, values, 4.0, noise=0.0) == 0.3
    assert predicted([1.0], [0.3], 4.0) == pytest.approx(0.15)


def test_the_prediction_rises_with_every_measured_value() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        values = rng.uniform(0.05, 0.9, size=5)
        plain = predicted([1, 2, 3, 4, 6], values, 12.0)
        for at in range(5):
            worse = values.copy()
            worse[at] *= 1.1
            assert predicted([1, 2, 3, 4, 6], worse, 12.0) > plain


def test_values_of_zero_are_predicted_and_negative_ones_are_left_as_they_are() -> None:
    assert 0 < predicted([1.0, 2.0], [0.1, 0.0], 8.0) < 0.1
    assert predicted([1.0, 2.0], [-3.0, -4.0], 8.0) == -4.0


@pytest.mark.parametrize(("epochs", "least"), [(3, 0.015), (4, 0.015), (6, 0.002), (8, 0.002), (10, -0.003)])
def test_noise_that_is_known_mends_ranks_on_the_shipped_table(epochs: int, least: float) -> None:
    """Kendall tau with the mean value after full training, of 1,500 cells, the mean over the three repeats."""
    stops = [e for e in (1, 2, 3, 4, 6, 8, 10) if e <= epochs]
    table = pd.read_parquet(SHIPPED["nasbench201-digits"]).sample(1500, random_state=0)
    truth = np.mean([1 - table[f"valid_{r}_12"] for r in range(3)], axis=0)
    gain = 0.0
    for repeat in range(3):
        values = 1 - table[[f"valid_{repeat}_{e}" for e in stops]].to_numpy()
        own = [predicted(stops, row, 12.0) for row in values]
        gain += (kendalltau(own, truth).statistic - kendalltau(values[:, -1], truth).statistic) / 3
    assert gain > least


CURVES: dict[str, Callable[[Any, Any, Any, Any], Any]] = {
    "power law": lambda a, b, c, t: a + b * t**-c,
    "exponential": lambda a, b, c, t: a + b * np.exp(-0.25 * c * t),
    "logarithmic": lambda a, b, c, t: a + b * np.log(t + np.e) ** (-2 * c),
    "nearly nothing": lambda a, b, c, t: 1e-6 * (a + b * t**-c),
    "likelihood": lambda a, b, c, t: -1 - a + b * t**-c,
}


@pytest.mark.parametrize("family", CURVES)
@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_predictions_rank_as_the_last_values_whatever_the_curves_are_like(family: str, noise: float) -> None:
    rng = np.random.default_rng(0)
    a, b, c = (rng.uniform(low, high, (100, 1)) for low, high in ((0.05, 0.3), (0.2, 0.8), (0.3, 1.5)))
    t = np.arange(1, 21, dtype=float)
    values = CURVES[family](a, b, c, t) * (1 + noise * rng.standard_normal((100, 20)))
    for length in (1, 3, 5, 10, 20):
        seen = values[:, :length]
        own = [extrapolated(0.0, 0.5, list(t[:length]), list(row), 40.0) for row in seen]
        assert np.array_equal(np.argsort(own, kind="stable"), np.argsort(seen[:, -1], kind="stable"))
    assert Extrapolated(Table(), epochs=6).noise == 0


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
