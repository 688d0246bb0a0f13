"""The commonest objective in one call: a scikit-learn estimator and its cross-validation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from searchbench.errors import StudyError
from searchbench.estimators.objective.crossvalidated import (
    CrossValidated,
    HeldOut,
    PartlyFitted,
    check_parameters,
    metric_of,
)
from searchbench.harness.declared.objective import Objective, made_space


def sklearn_objective(
    model: Any,
    X: Any,
    y: Any,
    space: Any,
    cv: Any = 5,
    scoring: Any = None,
    *,
    test: tuple[Any, Any] | None = None,
    label: str | None = None,
    **fidelity: Any,
) -> Objective:
    """The mean cross-validated score of a model as an objective.

    During a search the folds are always the same, and open random states of the model get the evaluation's seed. The
    judge draws the folds anew, on a seed of its own; or, with `test`, fits on all of `X` and scores what was held out.

    Args:
        model: an estimator or pipeline; never fitted itself.
        X, y: the data of the search.
        space: names of the model's parameters (``clf__C`` within a pipeline) to `Float`, `Integer`, `Choice`; or
            `schedules` of them, by which the model is trained in passes of `partial_fit`, an interval each.
        cv: folds, or a splitter.
        scoring: a scorer's name or a callable; None takes the model's own score. Negated losses (``neg_log_loss``) are
            minimised and shown as losses; of everything else more is better.
        test: (X_test, y_test) that no search sees.
        label: how tables call it; None takes the estimator's name.
        fidelity: a parameter of the model as fidelity, ``n_estimators=100``: the full amount, or its amounts.

    Raises:
        StudyError: the model has no such parameter, or cannot be fitted in part, or `test` is no pair.

    Example:
        >>> from sklearn.datasets import load_wine
        >>> from sklearn.svm import SVC
        >>> import searchbench as sb
        >>> X, y = load_wine(return_X_y=True)
        >>> problem = sb.sklearn_objective(SVC(), X, y, {"C": sb.Float(1e-2, 1e3, log=True)}, cv=3)
        >>> problem.name, problem.metric.better
        ('SVC', 'higher')
    """
    if not hasattr(model, "get_params") or not hasattr(model, "fit"):
        raise StudyError(f"`model` must be a scikit-learn estimator, but got {model!r}.")
    if test is not None and (not isinstance(test, tuple | list) or len(test) != 2):
        raise StudyError(f"`test` must be a pair (X_test, y_test), but got {type(test).__name__}.")
    setting = made_space(space).setting
    named = [d.name for d in setting.decisions] if setting else space if isinstance(space, dict) else ()
    check_parameters(model, [*named, *([] if setting else fidelity)])
    metric, sign = metric_of(model, scoring)
    searched = CrossValidated(model, X, y, cv, scoring, next(iter(fidelity), None), sign=sign)
    if setting is not None:
        by_folds = PartlyFitted(searched)
        judged_so = PartlyFitted(replace(searched, reshuffled=True), None if test is None else tuple(test))
        return Objective(by_folds, space, metric, test=judged_so, label=label, **fidelity)
    judged = replace(searched, reshuffled=True) if test is None else HeldOut(searched, *test)
    return Objective(searched, space, metric, test=judged, label=label, **fidelity)
