"""A scikit-learn model as an objective: one call, folds that stay, a judge with folds or data of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, Ridge, SGDClassifier
from sklearn.model_selection import StratifiedKFold, TimeSeriesSplit, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeClassifier

import searchbench as sb
from searchbench.errors import StudyError
from searchbench.seeds import Seeds
from searchbench.trial import FULL

X, Y = load_wine(return_X_y=True)
TREE = {"max_depth": sb.Integer(1, 8), "criterion": sb.Choice(["gini", "entropy"])}


def value(problem: sb.Objective, seed: int = 3, **config: Any) -> float:
    resolved = problem.resolve()
    estimator = resolved.estimator.open(resolved.space, resolved.task, Seeds("s", 0))
    return estimator.evaluate(resolved.space.architecture(config), estimator.complete(FULL), seed)[0].value


def test_the_value_is_the_negated_score_of_scikit_learns_own_cross_validation() -> None:
    problem = sb.sklearn_objective(DecisionTreeClassifier(), X, Y, TREE, cv=3)
    tree = DecisionTreeClassifier(max_depth=3, criterion="gini", random_state=3)
    assert value(problem, max_depth=3, criterion="gini") == -cross_val_score(tree, X, Y, cv=3).mean()
    assert problem.metric == sb.Metric("accuracy", better="higher", share=True)
    assert problem.name == "DecisionTreeClassifier"


def test_a_schedule_trains_a_model_in_part_an_interval_at_a_time() -> None:
    space = sb.Use("schedules", intervals=3, setting={"alpha": sb.Float(1e-4, 1.0, log=True)})
    model = SGDClassifier(learning_rate="constant", eta0=1e-4)
    problem = sb.sklearn_objective(model, X, Y, space, cv=2)
    alphas = {"alpha@1": 0.1, "alpha@2": 0.01, "alpha@3": 1.0}
    scores = []
    for train, test in StratifiedKFold(2).split(X, Y):
        own = clone(model).set_params(random_state=3)
        for alpha in alphas.values():
            own.set_params(alpha=alpha).partial_fit(X[train], Y[train], classes=[0, 1, 2])
        scores.append(own.score(X[test], Y[test]))
    assert value(problem, **alphas) == -sum(scores) / 2
    assert problem.resolve().stops == (1.0, 2.0, 3.0)
    assert problem.name == "SGDClassifier"
    held = sb.sklearn_objective(model, X, Y, space, cv=2, test=(X[:9], Y[:9])).resolve()
    judged = held.judge.open(held.space, held.task, Seeds("s", 0)).verdict(held.space.architecture(alphas))
    assert judged.status == "ok"
    assert (judged.test_error * -9) % 1 == pytest.approx(0)
    with pytest.raises(StudyError, match="which RandomForestClassifier does not have"):
        sb.sklearn_objective(
            RandomForestClassifier(), X, Y, sb.Use("schedules", intervals=2, setting={"max_depth": [1, 2]})
        )
    with pytest.raises(StudyError, match="no parameter `alhpa`"):
        sb.sklearn_objective(model, X, Y, sb.Use("schedules", intervals=2, setting={"alhpa": [1, 2]}))


def test_negated_losses_are_losses_again() -> None:
    model = make_pipeline(StandardScaler(), LogisticRegression())
    space = {"logisticregression__C": sb.Float(1e-2, 1e2, log=True)}
    problem = sb.sklearn_objective(model, X, Y, space, cv=3, scoring="neg_log_loss")
    assert problem.metric == sb.Metric("log loss")
    assert 0 < value(problem, logisticregression__C=1.0) < 1
    assert problem.name == "LogisticRegression"


def test_a_study_judges_by_other_folds_than_it_searched_with(tmp_path: Path) -> None:
    problem = sb.sklearn_objective(DecisionTreeClassifier(), X, Y, TREE, cv=3)
    study = sb.Study("trees", problem, ["random", "optuna:tpe"], seeds=2, budget=sb.Budget(evaluations=4))
    runs = sb.run(study, tmp_path / "r.db", workers=0).runs()
    assert (runs.test_status == "ok").all()
    assert (runs.test_error != runs.value).any()
    assert runs.test_error.between(0, 1).all()


def test_held_out_data_is_what_the_judge_scores(tmp_path: Path) -> None:
    kept, out, labels, wanted = train_test_split(X, Y, random_state=0)
    problem = sb.sklearn_objective(DecisionTreeClassifier(), kept, labels, TREE, cv=3, test=(out, wanted))
    study = sb.Study("trees", problem, ["random"], seeds=1, budget=sb.Budget(evaluations=2))
    (error,) = sb.run(study, tmp_path / "r.db", workers=0).runs().test_error
    share = error * len(wanted)
    assert share == pytest.approx(round(share))  # so many of the held-out samples


def test_a_parameter_of_the_model_is_a_fidelity(tmp_path: Path) -> None:
    space = {"max_depth": sb.Integer(1, 8)}
    problem = sb.sklearn_objective(RandomForestClassifier(), X, Y, space, cv=2, n_estimators=[1, 3, 9])
    study = sb.Study("forests", problem, ["hyperband"], seeds=1, budget=sb.Budget(epochs=40))
    results = sb.run(study, tmp_path / "r.db", workers=0)
    trials = results.trials(results.runs().run_id[0])
    assert set(trials.fidelity_epochs) == {1.0, 3.0, 9.0}


def test_the_fingerprint_follows_the_model_and_the_data() -> None:
    def known(model: Any, data: Any) -> str:
        return sb.sklearn_objective(model, data, Y, {"max_depth": sb.Integer(1, 8)}).resolve().fingerprint

    before = known(DecisionTreeClassifier(), X)
    assert known(DecisionTreeClassifier(), X.copy()) == before
    assert known(DecisionTreeClassifier(min_samples_leaf=2), X) != before
    assert known(DecisionTreeClassifier(), np.where(X.max() == X, 0, X)) != before


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"space": {"depth": sb.Integer(1, 8)}}, "has no parameter `depth`; did you mean `max_depth`"),
        ({"model": 3}, "must be a scikit-learn estimator"),
        ({"test": X}, "must be a pair"),
        ({"cv": TimeSeriesSplit(3)}, "cannot be drawn anew"),
        ({"scoring": "no_such_scorer"}, "no_such_scorer"),
        ({"model": Ridge(), "y": Y[:5], "space": {"alpha": sb.Float(0, 1)}}, "inconsistent numbers of samples"),
    ],
)
def test_what_cannot_work_is_told_before_anything_runs(given: Any, said: str, tmp_path: Path) -> None:
    arguments = {"model": DecisionTreeClassifier(), "X": X, "y": Y, "space": TREE} | given

    def run() -> None:
        problem = sb.sklearn_objective(**arguments)
        sb.run(sb.Study("s", problem, ["random"], 1, sb.Budget(evaluations=2)), tmp_path / "r.db", workers=0)

    with pytest.raises(StudyError, match=said):
        run()
    assert list(tmp_path.iterdir()) == []
