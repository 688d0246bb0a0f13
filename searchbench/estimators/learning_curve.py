"""Estimators that look at the beginning of a training only: extrapolated curves, and the sum of training losses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from searchbench.cost import BUDGET_AXES, Cost
from searchbench.errors import EvaluationFailed, InputError, StudyError
from searchbench.estimators.estimator import Charging, Checking, Estimator, EstimatorSpec, JudgeSpec, Stoppable
from searchbench.seeds import Seeds
from searchbench.spaces.space import Architecture, Space
from searchbench.tasks.task import Task
from searchbench.trial import FULL, Fidelity, Measurement

Curve = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Extrapolated:
    """Measure at every stop up to `epochs`, and predict the value after full training from that curve.

    y(t) = c + a t^-alpha, or y(t) = c + a exp(-alpha t), whichever fits better by least squares, with a >= 0 (curves
    fall), c >= 0 and alpha on a grid; of fewer than three points the last one is taken. The charge is that of `epochs`.

    Args:
        estimator: one that can stop early.
        epochs: how far the curve is looked at.

    Raises:
        StudyError: the estimator cannot stop early, or `epochs` is not positive.

    Source: Domhan et al. 2015 (pow3 and an exponential family of theirs).
    Differs: two families by least squares instead of eleven by Markov chains, so that it costs microseconds.
    """

    estimator: EstimatorSpec
    epochs: float

    def __post_init__(self) -> None:
        _check(self.estimator, self.epochs)

    @property
    def trains(self) -> bool:
        """False: no supernet can be trained on what it lends."""
        return False

    @property
    def reads_task(self) -> bool:
        """Whether the task's data is read."""
        return self.estimator.trains

    def checksum(self) -> str:
        return self.estimator.checksum()

    def charges(self) -> tuple[str, ...]:
        """The budget axes on which what it begins is charged."""
        return self.estimator.charges() if isinstance(self.estimator, Charging) else BUDGET_AXES

    def check(self, space: Space, task: Task) -> None:
        """Raise InputError where the estimator does not fit."""
        if isinstance(self.estimator, Checking):
            self.estimator.check(space, task)

    def open(self, space: Space, task: Task, seeds: Seeds) -> Beginnings:
        """Raises StudyError where there is no stop up to `epochs`."""
        stops = _stops(self.estimator, self.epochs, task)
        return Beginnings(self.estimator.open(space, task, seeds), stops, extrapolate=True)

    def judge(self) -> JudgeSpec:
        return self.estimator.judge()


@dataclass(frozen=True, slots=True)
class SumOfLosses:
    """Train for `epochs`; the value is the sum of the mean training losses of those epochs (SoTL).

    Args:
        estimator: "train", whose metrics hold `train_loss_sum`.
        epochs: how many.

    Raises:
        StudyError: the estimator cannot stop early, or `epochs` is not positive.

    Source: Ru et al. 2021, "Speedy Performance Estimation for Neural Architecture Search".
    Differs: nothing.
    """

    estimator: EstimatorSpec
    epochs: float

    def __post_init__(self) -> None:
        _check(self.estimator, self.epochs)

    @property
    def trains(self) -> bool:
        """False: no supernet can be trained on what it lends."""
        return False

    @property
    def reads_task(self) -> bool:
        """Whether the task's data is read."""
        return self.estimator.trains

    def checksum(self) -> str:
        return self.estimator.checksum()

    def charges(self) -> tuple[str, ...]:
        """The budget axes on which what it begins is charged."""
        return self.estimator.charges() if isinstance(self.estimator, Charging) else BUDGET_AXES

    def check(self, space: Space, task: Task) -> None:
        """Raise InputError where the estimator does not fit."""
        if isinstance(self.estimator, Checking):
            self.estimator.check(space, task)

    def open(self, space: Space, task: Task, seeds: Seeds) -> Beginnings:
        """Raises StudyError where there is no stop up to `epochs`."""
        last = _stops(self.estimator, self.epochs, task)[-1:]
        return Beginnings(self.estimator.open(space, task, seeds), last, extrapolate=False)

    def judge(self) -> JudgeSpec:
        return self.estimator.judge()


def _check(estimator: EstimatorSpec, epochs: float) -> None:
    if not isinstance(estimator, EstimatorSpec) or not isinstance(estimator, Stoppable):
        raise StudyError(f"`estimator` must be one that can stop early (train, table), but got {estimator!r}.")
    if not epochs > 0:
        raise StudyError(f"`epochs` must be positive, but got {epochs!r}.")


def _stops(estimator: EstimatorSpec, epochs: float, task: Task) -> tuple[float, ...]:
    known = estimator.stops(task) if isinstance(estimator, Stoppable) else ()
    stops = tuple(stop for stop in known if stop <= epochs)
    if not stops:
        raise StudyError(f"the estimator cannot stop within {epochs:g} epochs; it can at {known or 'the end only'}.")
    return stops


class Beginnings:
    """The live estimator: asks another for the beginning of each training."""

    def __init__(self, inner: Estimator, stops: tuple[float, ...], extrapolate: bool) -> None:
        self._inner, self._full = inner, inner.complete(FULL)
        self._stops = [inner.complete(Fidelity(stop)) for stop in stops]
        self._extrapolate = extrapolate

    def complete(self, fidelity: Fidelity) -> Fidelity:
        """The full fidelity, which the value stands for. Raises InputError for any other."""
        if self._inner.complete(fidelity) != self._full:
            raise InputError(f"this estimator predicts full training only, but {fidelity} was asked for.")
        return self._full

    def price(self, architecture: Architecture, fidelity: Fidelity, resume: Fidelity | None = None) -> Cost:
        """Price of the measurements, counted as one evaluation."""
        total, before = Cost(), None
        for stop in self._stops:
            total, before = total + self._inner.price(architecture, stop, before), stop
        return _as_one(total)

    def evaluate(
        self, architecture: Architecture, fidelity: Fidelity, seed: int, resume: Fidelity | None = None
    ) -> tuple[Measurement, Cost]:
        """One training with `seed`, measured at every stop.

        Raises:
            EvaluationFailed: the training failed, or its estimator reports no training losses.
        """
        total, before, values = Cost(), None, []
        for stop in self._stops:
            measured, cost = self._inner.evaluate(architecture, stop, seed, before)
            total, before = total + cost, stop
            values.append(measured.value)
        metrics = {**measured.metrics, "last_value": values[-1]}
        if self._extrapolate:
            epochs = [stop.epochs or 0.0 for stop in self._stops]
            value = extrapolated(np.array(epochs), np.array(values), self._full.epochs or epochs[-1])
        elif "train_loss_sum" in metrics:
            value = metrics["train_loss_sum"]
        else:
            raise EvaluationFailed("error", "the estimator reports no sum of training losses; use `train`.")
        return Measurement(value, metrics), _as_one(total)


def _as_one(total: Cost) -> Cost:
    parts = {name: getattr(total, name) for name in Cost.__dataclass_fields__}
    return Cost(**{**parts, "evaluations": 1})


RATES = np.geomspace(0.02, 3.0, 60)


def extrapolated(epochs: Curve, values: Curve, full: float) -> float:
    """The value predicted at `full` epochs from `values` at `epochs`, never above the last one."""
    if len(values) < 3 or full <= epochs[-1]:
        return float(values[-1])
    power = (epochs[None, :] ** -RATES[:, None], full**-RATES)
    exponential = (np.exp(-RATES[:, None] * epochs), np.exp(-RATES * full))
    fits = [_best_fit(shapes, ends, values) for shapes, ends in (power, exponential)]
    return float(min(min(fits)[1], values[-1]))


def _best_fit(shapes: Curve, ends: Curve, values: Curve) -> tuple[float, float]:
    """(squared error, prediction) of the best c + a shape over all rates, a >= 0, c >= 0. `shapes` [rates, n]."""
    spread = shapes - shapes.mean(axis=1, keepdims=True)
    a = np.maximum(spread @ (values - values.mean()) / np.maximum((spread**2).sum(axis=1), 1e-300), 0.0)
    c = values.mean() - a * shapes.mean(axis=1)
    # an asymptote below zero is no error rate: there the best scale through zero is taken
    scale = np.maximum(shapes @ values / (shapes**2).sum(axis=1), 0.0)
    a, c = np.where(c < 0, scale, a), np.maximum(c, 0.0)
    errors = ((c[:, None] + a[:, None] * shapes - values) ** 2).sum(axis=1)
    best = int(errors.argmin())
    return float(errors[best]), float(c[best] + a[best] * ends[best])
