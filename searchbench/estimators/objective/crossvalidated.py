"""A scikit-learn estimator with its cross-validation as an objective."""

from __future__ import annotations

import copy
import inspect
from dataclasses import dataclass, field
from typing import Any

from searchbench.errors import StudyError, did_you_mean
from searchbench.metric import Metric

LOSSES = {
    "neg_log_loss": Metric("log loss"),
    "neg_brier_score": Metric("Brier score"),
    "neg_mean_squared_error": Metric("mean squared error"),
    "neg_root_mean_squared_error": Metric("root mean squared error"),
    "neg_mean_absolute_error": Metric("mean absolute error"),
}
"""Scores that are negated losses, and what is shown of them: the losses."""
SHARES = ("accuracy", "balanced_accuracy", "top_k_accuracy")


@dataclass(frozen=True, eq=False)
class CrossValidated:
    """Called with hyper-parameters and a seed, it answers the mean score over the folds.

    Random states of the model that are left open get the seed, so that an evaluation repeats.

    Args:
        model: the estimator, never fitted itself but cloned.
        X, y: the data.
        cv: folds, or a splitter of scikit-learn's.
        scoring: a scorer's name, a callable, or None for the model's own.
        amount: the model's parameter that is the fidelity ("n_estimators"), if there is one.
        reshuffled: whether the folds are drawn anew by the seed, as the judge has them; else they are always the same.
        sign: -1 turns the score of a loss into the loss.
    """

    model: Any
    X: Any = field(repr=False)
    y: Any = field(repr=False)
    cv: Any
    scoring: Any
    amount: str | None = None
    reshuffled: bool = False
    sign: float = 1.0

    @property
    def __name__(self) -> str:
        """The estimator's name, for titles; of a pipeline, that of its last step."""
        last = self.model.steps[-1][1] if hasattr(self.model, "steps") else self.model
        return type(last).__name__

    def __call__(self, config: dict[str, Any], *, seed: int, **fidelity: float) -> float:
        from sklearn.model_selection import cross_val_score

        model = configured(self.model, {**config, **fidelity}, seed)
        folds = reshuffled(self.cv, self.y, model, seed) if self.reshuffled else self.cv
        scores = cross_val_score(model, self.X, self.y, cv=folds, scoring=self.scoring, error_score="raise")
        return self.sign * float(scores.mean())


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Fitted on all of the searched data, scored once on data held out from the search.

    Args: as of `CrossValidated`; `X_test`, `y_test` are what is held out.
    """

    searched: CrossValidated
    X_test: Any = field(repr=False)
    y_test: Any = field(repr=False)

    @property
    def __name__(self) -> str:
        return self.searched.__name__

    def __call__(self, config: dict[str, Any], *, seed: int, **fidelity: float) -> float:
        from sklearn.metrics import check_scoring

        searched = self.searched
        model = configured(searched.model, {**config, **fidelity}, seed).fit(searched.X, searched.y)
        score = check_scoring(model, scoring=searched.scoring)(model, self.X_test, self.y_test)
        return searched.sign * float(score)


@dataclass(frozen=True, eq=False)
class PartlyFitted:
    """Trained under a schedule: one pass of `partial_fit` over each fold's training part is one interval, with the
    parameters of that interval.

    Args:
        searched: the model, its data and folds.
        held_out: (X_test, y_test) to score on, once fitted on all of the searched data; None scores by the folds.

    Raises:
        StudyError: the model cannot be fitted in part.
    """

    searched: CrossValidated
    held_out: tuple[Any, Any] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not hasattr(self.searched.model, "partial_fit"):
            raise StudyError(
                f"a schedule is trained by `partial_fit`, which {type(self.searched.model).__name__} does not have; "
                "SGDClassifier has, or take a function of your own."
            )

    @property
    def __name__(self) -> str:
        return self.searched.__name__

    def __call__(self, setting: dict[str, Any], *, state: Any, seed: int) -> tuple[float, list[Any]]:
        from sklearn.base import is_classifier
        from sklearn.metrics import check_scoring

        searched, parts = self.searched, self._parts(seed)
        models = [configured(searched.model, {}, seed) for _ in parts] if state is None else state
        known = {"classes": sorted(set(searched.y))} if is_classifier(searched.model) else {}
        scores = []
        for model, (X, y, X_test, y_test) in zip(models, parts, strict=True):
            model.set_params(**setting).partial_fit(X, y, **known)
            scores.append(float(check_scoring(model, scoring=searched.scoring)(model, X_test, y_test)))
        return searched.sign * sum(scores) / len(scores), models

    def _parts(self, seed: int) -> list[tuple[Any, Any, Any, Any]]:
        """What is fitted on, and what is scored on, of each fold."""
        from sklearn.base import is_classifier
        from sklearn.model_selection import check_cv
        from sklearn.utils import _safe_indexing as rows

        searched = self.searched
        if self.held_out is not None:
            return [(searched.X, searched.y, *self.held_out)]
        cv = reshuffled(searched.cv, searched.y, searched.model, seed) if searched.reshuffled else searched.cv
        splits = check_cv(cv, searched.y, classifier=is_classifier(searched.model)).split(searched.X, searched.y)
        data = (searched.X, searched.y)
        return [tuple(rows(part, at) for at in split for part in data) for split in splits]


def configured(model: Any, config: dict[str, Any], seed: int) -> Any:
    """A clone with these parameters, its open random states set to the seed."""
    from sklearn.base import clone

    found = clone(model)
    states = [n for n, v in found.get_params().items() if n.split("__")[-1] == "random_state" and v is None]
    return found.set_params(**dict.fromkeys(states, seed), **config)


def reshuffled(cv: Any, y: Any, model: Any, seed: int) -> Any:
    """The folds drawn anew: shuffled, by the seed.

    Raises:
        StudyError: the splitter has no random state to draw by.
    """
    from sklearn.base import is_classifier
    from sklearn.model_selection import check_cv

    splitter = check_cv(cv, y, classifier=is_classifier(model))
    takes = inspect.signature(type(splitter).__init__).parameters
    if "random_state" not in takes:
        raise StudyError(f"the folds of {splitter!r} cannot be drawn anew; give `test=(X_test, y_test)` to judge by.")
    found = copy.copy(splitter)
    found.random_state = seed
    if "shuffle" in takes:
        found.shuffle = True
    return found


def check_parameters(model: Any, names: list[str]) -> None:
    """Raise StudyError where the model has no such parameter."""
    known = list(model.get_params())
    for name in names:
        if name not in known:
            raise StudyError(f"{type(model).__name__} has no parameter `{name}`; {did_you_mean(name, known)}")


def metric_of(model: Any, scoring: Any) -> tuple[Metric, float]:
    """What a score is called, and its sign: losses are shown as losses, everything else is better higher."""
    from sklearn.base import is_classifier

    if scoring is None:
        scoring = "accuracy" if is_classifier(model) else "R²"
    if isinstance(scoring, str) and scoring in LOSSES:
        return LOSSES[scoring], -1.0
    name = scoring if isinstance(scoring, str) else getattr(scoring, "__name__", "score")
    shown = name.removeprefix("neg_").replace("_", " ")
    if name.startswith("neg_"):
        return Metric(shown), -1.0
    return Metric(shown, better="higher", share=name in SHARES), 1.0
