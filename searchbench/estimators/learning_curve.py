"""Estimators that look at the beginning of a training only: extrapolated curves, and the sum of training losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from searchbench.cost import BUDGET_AXES, Cost
from searchbench.errors import EvaluationFailed, InputError, StudyError
from searchbench.estimators.estimator import Charging, Checking, Estimator, EstimatorSpec, JudgeSpec, Stoppable
from searchbench.seeds import Seeds
from searchbench.spaces.space import Architecture, Space
from searchbench.tasks.task import Task
from searchbench.trial import FULL, Fidelity, Measurement

Extrapolation = Callable[[Sequence[float], Sequence[float], float], float]
"""Epochs, values at them, full epochs -> the value predicted there."""


@dataclass(frozen=True, slots=True)
class Begun:
    """What estimators that train for `epochs` only have in common: all but what they make of it.

    Raises:
        StudyError: the estimator cannot stop early, or `epochs` is not positive.
    """

    estimator: EstimatorSpec
    epochs: float

    def __post_init__(self) -> None:
        if not isinstance(self.estimator, EstimatorSpec) or not isinstance(self.estimator, Stoppable):
            raise StudyError(f"`estimator` must be one that can stop early (train, table), but got {self.estimator!r}.")
        if not self.epochs > 0:
            raise StudyError(f"`epochs` must be positive, but got {self.epochs!r}.")

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

    def judge(self) -> JudgeSpec:
        return self.estimator.judge()


@dataclass(frozen=True, slots=True)
class Extrapolated(Begun):
    """Measure at every stop up to `epochs`, and predict the value after full training from that curve.

    y(full) = level x (full / epochs)^-rate,  level: the last value or, where `noise` says that it is a noisy one, what
    a Kalman filter (Harvey 1989) makes of log y: a random walk of variance 1 per epoch, measured with variance `noise`

    Both numbers are one prior over all curves. Without noise predictions rank as the last values do, whatever the
    curves are like; a fit to each curve by itself ranks worse, as a few points say little about a slope. With it the
    values before count too: that mends ranks where noise spoils them, and spoils them where curves are smooth and
    cross, as curves of power laws do. It has to be known of the problem, from repeats of a training.

    Args:
        estimator: one that can stop early.
        epochs: how far the curve is looked at. The charge is that of them.
        noise: variance of a measured value, in variances of what the truth changes by in an epoch.
        rate: how fast values fall from there on.

    Raises:
        StudyError: the estimator cannot stop early, or a value is out of range.

    Source: the idea, Domhan et al. 2015, and of one prior over curves, Swersky et al. 2014 ("Freeze-thaw Bayesian
        optimization").
    Differs: neither's families of curves nor their Markov chains. On the shipped table, whose values are shares of 599
        images, Kendall's tau with the value after full training is .485 / .583 / .739 / .808 / .855 from the first 3,
        4, 6, 8 and 10 epochs, and with `noise` = .7 it is .507 / .606 / .743 / .811 / .854.
    """

    noise: float = 0.0
    rate: float = 0.5

    def __post_init__(self) -> None:
        Begun.__post_init__(self)  # `super()` does not see the class that slots have made anew
        if not (self.noise >= 0 and self.rate >= 0):
            raise StudyError(f"`noise` and `rate` must not be negative, but got {self.noise!r} and {self.rate!r}.")

    def open(self, space: Space, task: Task, seeds: Seeds) -> Beginnings:
        """Raises StudyError where there is no stop up to `epochs`."""
        stops = _stops(self.estimator, self.epochs, task)
        return Beginnings(self.estimator.open(space, task, seeds), stops, partial(extrapolated, self.noise, self.rate))


@dataclass(frozen=True, slots=True)
class SumOfLosses(Begun):
    """Train for `epochs`; the value is the sum of the mean training losses of those epochs (SoTL).

    Args:
        estimator: "train", whose metrics hold `train_loss_sum`.
        epochs: how many.

    Raises:
        StudyError: the estimator cannot stop early, or `epochs` is not positive.

    Source: Ru et al. 2021, "Speedy Performance Estimation for Neural Architecture Search".
    Differs: nothing.
    """

    def open(self, space: Space, task: Task, seeds: Seeds) -> Beginnings:
        """Raises StudyError where there is no stop up to `epochs`."""
        last = _stops(self.estimator, self.epochs, task)[-1:]
        return Beginnings(self.estimator.open(space, task, seeds), last)


def _stops(estimator: EstimatorSpec, epochs: float, task: Task) -> tuple[float, ...]:
    known = estimator.stops(task) if isinstance(estimator, Stoppable) else ()
    stops = tuple(stop for stop in known if stop <= epochs)
    if not stops:
        raise StudyError(f"the estimator cannot stop within {epochs:g} epochs; it can at {known or 'the end only'}.")
    return stops


class Beginnings:
    """The live estimator: asks another for the beginning of each training."""

    def __init__(self, inner: Estimator, stops: tuple[float, ...], extrapolate: Extrapolation | None = None) -> None:
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
        if self._extrapolate is not None:
            epochs = [stop.epochs or 0.0 for stop in self._stops]
            value = self._extrapolate(epochs, values, self._full.epochs or epochs[-1])
        elif "train_loss_sum" in metrics:
            value = metrics["train_loss_sum"]
        else:
            raise EvaluationFailed("error", "the estimator reports no sum of training losses; use `train`.")
        return Measurement(value, metrics), _as_one(total)


def _as_one(total: Cost) -> Cost:
    parts = {name: getattr(total, name) for name in Cost.__dataclass_fields__}
    return Cost(**{**parts, "evaluations": 1})


SMALLEST = 1e-4
"""Of values whose logarithm is taken; an error of none of a thousand images is no perfect network."""


def extrapolated(noise: float, rate: float, epochs: Sequence[float], values: Sequence[float], full: float) -> float:
    """The value predicted at `full` epochs from `values`, lower is better, at `epochs`; see `Extrapolated`. A negative
    last value, for which there is no such fall, is left as it is."""
    level = filtered(noise, epochs, values) if noise > 0 and min(values) >= 0 else float(values[-1])
    return level if full <= epochs[-1] or level < 0 else level * (full / epochs[-1]) ** -rate


def filtered(noise: float, epochs: Sequence[float], values: Sequence[float]) -> float:
    """What the values were at the last of the epochs, by the Kalman filter of `Extrapolated`."""
    logs = [math.log(max(value, SMALLEST)) for value in values]
    level, variance = logs[0], noise
    for before, now, log in zip(epochs, epochs[1:], logs[1:], strict=False):
        variance += now - before
        gain = variance / (variance + noise)
        level, variance = level + gain * (log - level), (1 - gain) * variance
    return math.exp(level)
