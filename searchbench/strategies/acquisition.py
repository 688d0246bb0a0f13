"""Acquisition functions: from a surrogate's mean and standard deviation to the candidates worth measuring.

All of them are for minimisation, and all scores are "lower is better".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from scipy.special import ndtr

from searchbench.errors import StudyError
from searchbench.spaces.space import Architecture, Array, Space

Predict = Callable[[Array], tuple[Array, Array]]
"""Encodings [m, D] -> mean [m] and standard deviation [m]."""


class Choosing(Protocol):
    """An acquisition within one run."""

    def pick(self, encodings: Array, predict: Predict, best: float, count: int, rng: np.random.Generator) -> list[int]:
        """Positions of the `count` candidates to measure, the best first.

        Args:
            encodings: candidates [m, D].
            predict: the surrogate, fitted to all that is known.
            best: lowest value measured.
            count: at most m.
            rng: the strategy's own stream.
        """


@runtime_checkable
class Acquisition(Protocol):
    """A frozen description of an acquisition."""

    def start(self) -> Choosing: ...


@runtime_checkable
class Considering(Protocol):
    """An acquisition within one run that looks at the candidates themselves."""

    def consider(self, space: Space, candidates: Sequence[Architecture], known: int) -> None:
        """Told before `pick`: the candidates in the order of their encodings, and how many values are known besides
        those of the initial designs."""


@runtime_checkable
class Score(Protocol):
    """An acquisition that is a function of each candidate's own mean and deviation."""

    def scores(self, mean: Array, std: Array, best: float, rng: np.random.Generator) -> Array:
        """[m], lower is better."""


@dataclass(frozen=True, slots=True)
class Greedy:
    """Picks by the scores alone; keeps nothing between steps."""

    score: Score

    def pick(self, encodings: Array, predict: Predict, best: float, count: int, rng: np.random.Generator) -> list[int]:
        scores = self.score.scores(*predict(encodings), best, rng)
        order: list[int] = np.argsort(scores, kind="stable")[:count].tolist()
        return order


@dataclass(frozen=True, slots=True)
class ExpectedImprovement:
    """EI = (y* - xi - mu) Phi(u) + sigma phi(u), u = (y* - xi - mu) / sigma; max(y* - xi - mu, 0) where sigma = 0."""

    xi: float = 0.01

    def start(self) -> Greedy:
        return Greedy(self)

    def scores(self, mean: Array, std: Array, best: float, rng: np.random.Generator) -> Array:
        gain = best - self.xi - mean
        u = _standardised(gain, std)
        improvement = gain * ndtr(u) + std * np.exp(-0.5 * u * u) / np.sqrt(2 * np.pi)
        return -np.where(std > 0, improvement, np.maximum(gain, 0.0))


@dataclass(frozen=True, slots=True)
class ProbabilityOfImprovement:
    """PI = Phi((y* - xi - mu) / sigma)."""

    xi: float = 0.01

    def start(self) -> Greedy:
        return Greedy(self)

    def scores(self, mean: Array, std: Array, best: float, rng: np.random.Generator) -> Array:
        gain = best - self.xi - mean
        return -np.where(std > 0, ndtr(_standardised(gain, std)), (gain > 0).astype(np.float64))


@dataclass(frozen=True, slots=True)
class LowerConfidenceBound:
    """LCB = mu - kappa sigma."""

    kappa: float = 1.96

    def start(self) -> Greedy:
        return Greedy(self)

    def scores(self, mean: Array, std: Array, best: float, rng: np.random.Generator) -> Array:
        return mean - self.kappa * std


@dataclass(frozen=True, slots=True)
class IndependentThompson:
    """One draw from N(mu, sigma) per candidate, independently (White et al. 2021)."""

    def start(self) -> Greedy:
        return Greedy(self)

    def scores(self, mean: Array, std: Array, best: float, rng: np.random.Generator) -> Array:
        return mean + std * rng.standard_normal(len(mean))


def _portfolio() -> tuple[Score, ...]:
    return ExpectedImprovement(), LowerConfidenceBound(), ProbabilityOfImprovement()


@dataclass(frozen=True, slots=True)
class Hedge:
    """A portfolio: each member names its candidate, one of them is measured, drawn by softmax(eta g) of their gains;
    after the next fit g_i -= mu(x_i).

    Source: Hoffman et al. 2011; scikit-optimize's `gp_hedge`.
    """

    portfolio: tuple[Score, ...] = field(default_factory=_portfolio)
    eta: float = 1.0

    def __post_init__(self) -> None:
        if not self.portfolio:
            raise StudyError("a hedged acquisition needs at least one member in `portfolio`.")

    def start(self) -> Hedging:
        return Hedging(self)


class Hedging:
    """`Hedge` within one run."""

    def __init__(self, settings: Hedge) -> None:
        self._settings = settings
        self.gains = np.zeros(len(settings.portfolio))
        self._named: Array | None = None

    def pick(self, encodings: Array, predict: Predict, best: float, count: int, rng: np.random.Generator) -> list[int]:
        if self._named is not None:
            self.gains -= predict(self._named)[0]
        mean, std = predict(encodings)
        orders = [np.argsort(s.scores(mean, std, best, rng), kind="stable") for s in self._settings.portfolio]
        self._named = encodings[[order[0] for order in orders]]
        powers = np.exp(self._settings.eta * (self.gains - self.gains.max()))
        chosen: list[int] = orders[int(rng.choice(len(orders), p=powers / powers.sum()))][:count].tolist()
        return chosen


def _standardised(gain: Array, std: Array) -> Array:
    return np.divide(gain, std, out=np.zeros_like(gain), where=std > 0)
