"""REINFORCE over independent categorical decisions: a policy that is nothing but a table of logits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from searchbench.errors import StudyError
from searchbench.spaces.choices import Value
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.optional import check_part
from searchbench.strategies.strategy import Scenario
from searchbench.strategies.under_way import UnderWay
from searchbench.trial import Proposal, Trial

Logits = npt.NDArray[np.float64]
"""[decisions, options], -inf beyond a decision's own options."""


@runtime_checkable
class Update(Protocol):
    """How a gradient becomes a step: a description that makes its own live state."""

    def start(self, shape: tuple[int, int], learning_rate: float) -> LiveUpdate: ...


class LiveUpdate(Protocol):
    """An update rule with its moments."""

    def step(self, gradient: Logits) -> Logits:
        """What to add to the logits to ascend `gradient`, of the same shape."""


@dataclass(frozen=True, slots=True)
class Adam:
    """Adam (Kingma & Ba 2015), with bias correction."""

    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8

    def start(self, shape: tuple[int, int], learning_rate: float) -> AdamState:
        return AdamState(self, shape, learning_rate)


class AdamState:
    """The moments of `Adam`."""

    def __init__(self, settings: Adam, shape: tuple[int, int], learning_rate: float) -> None:
        self._settings, self._rate = settings, learning_rate
        self._first, self._second = np.zeros(shape), np.zeros(shape)
        self._steps = 0

    def step(self, gradient: Logits) -> Logits:
        s = self._settings
        self._steps += 1
        self._first += (1 - s.beta1) * (gradient - self._first)
        self._second += (1 - s.beta2) * (gradient * gradient - self._second)
        scale = np.sqrt(self._second)
        scale /= math.sqrt(1 - s.beta2**self._steps)
        scale += s.epsilon
        step: Logits = self._first / scale
        step *= self._rate / (1 - s.beta1**self._steps)
        return step


@dataclass(frozen=True, slots=True)
class Ascent:
    """Plain gradient ascent."""

    def start(self, shape: tuple[int, int], learning_rate: float) -> AscentState:
        return AscentState(learning_rate)


@dataclass(frozen=True, slots=True)
class AscentState:
    """`Ascent` keeps nothing but its rate."""

    learning_rate: float

    def step(self, gradient: Logits) -> Logits:
        return self.learning_rate * gradient


@dataclass(frozen=True, slots=True)
class Reinforce:
    """Sample every decision from its own softmax; after each batch of results ascend the policy gradient.

    R = -value;  b = decayed mean of the rewards of *earlier* batches
    gradient = 1/m sum_k (R_k - b) grad log P(a_k) + entropy * grad H
    b <- decay * b + (1 - decay) * mean(R)

    Args:
        learning_rate: of the update.
        batch: m, results per update.
        baseline_decay: weight of the past in the baseline.
        entropy: weight of the entropy bonus.
        initial_std: standard deviation of the initial logits (stream "policy").
        update: `Adam()` or `Ascent()`.

    Raises:
        StudyError: a value is out of range.

    Source: Williams 1992; Zoph & Le 2017; the tabular form of Dong & Yang 2020 (NAS-Bench-201) and Ying et al. 2019.
    Differs: the first batch only sets the baseline (its advantage is R minus its own mean), where released codes put
        the current reward into the baseline first and so shrink every step; a conditional decision is sampled, and
        learns, only while it is active; failed evaluations are left out of the batch; with several evaluations under
        way each score is taken under the probabilities its architecture was drawn with.
    """

    learning_rate: float = 0.01
    batch: int = 1
    baseline_decay: float = 0.9
    entropy: float = 0.0
    initial_std: float = 1e-3
    update: Update = field(default_factory=Adam)

    def __post_init__(self) -> None:
        check_part("update", self.update, Update)
        if not self.learning_rate > 0:
            raise StudyError(f"`learning_rate` must be positive, but got {self.learning_rate!r}.")
        if not isinstance(self.batch, int) or isinstance(self.batch, bool) or self.batch < 1:
            raise StudyError(f"`batch` must be a positive integer, but got {self.batch!r}.")
        if not 0 <= self.baseline_decay < 1:
            raise StudyError(f"`baseline_decay` must lie in [0, 1), but got {self.baseline_decay!r}.")
        for name in ("entropy", "initial_std"):
            if not getattr(self, name) >= 0:
                raise StudyError(f"`{name}` must not be negative, but got {getattr(self, name)!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        return too_many_values(scenario)

    def start(self, scenario: Scenario) -> PolicyGradient:
        return PolicyGradient(self, scenario)


def too_many_values(scenario: Scenario) -> str | None:
    """Why a softmax per decision is impossible in this scenario's space, or None."""
    for decision in scenario.space.decisions:
        if decision.arity is None:
            return f"a softmax needs finitely many values, but `{decision.name}` is a real number"
        if decision.arity > 1000:
            return f"a softmax holds at most 1,000 values, but `{decision.name}` has {decision.arity:,}"
    return None


class Policy:
    """Independent softmaxes, one per decision."""

    def __init__(self, space: Space, rng: np.random.Generator, std: float) -> None:
        self.space = space
        self._options: list[tuple[Value, ...]] = [tuple(d.values()) for d in space.decisions]
        self._index = [{value: i for i, value in enumerate(options)} for options in self._options]
        self.logits: Logits = np.full((len(self._options), max(map(len, self._options))), -np.inf)
        for row, options in zip(self.logits, self._options, strict=True):
            row[: len(options)] = std * rng.standard_normal(len(options))
        self._rows = np.arange(len(self._options))
        self._refresh()

    def _refresh(self) -> None:
        powers = np.exp(self.logits - np.maximum.reduce(self.logits, axis=1, keepdims=True))
        self.probabilities: Logits = powers / np.add.reduce(powers, axis=1, keepdims=True)
        self._cumulative = np.add.accumulate(self.probabilities, axis=1)

    def move(self, step: Logits) -> None:
        """Add `step` to the logits. It is 0 where there is no option: a score is, and so is every moment of it."""
        self.logits += step
        self._refresh()

    def sample(self, rng: np.random.Generator) -> Architecture:
        """Every active decision from its own softmax, in order."""
        drawn = rng.random((len(self._options), 1))
        picks = np.add.reduce(self._cumulative[:, :-1] <= drawn, axis=1).tolist()
        values = [options[min(pick, len(options) - 1)] for options, pick in zip(self._options, picks, strict=True)]
        return Architecture(self.space, self._only_active(values) if self.space.conditional else tuple(values))

    def _only_active(self, values: Sequence[Value]) -> tuple[Value, ...]:
        kept: list[Value] = []
        for decision, value in zip(self.space.decisions, values, strict=True):
            when = decision.when
            active = when is None or kept[self.space.position[when.name]] in when.values
            kept.append(value if active else None)
        return tuple(kept)

    def indices(self, architecture: Architecture) -> list[int]:
        """The option of each decision, -1 where it is inactive."""
        pairs = zip(self._index, architecture.values, strict=True)
        return [-1 if value is None else index[value] for index, value in pairs]

    def log_probability(self, architecture: Architecture) -> float:
        """log P of an architecture's active decisions."""
        rows = enumerate(self.indices(architecture))
        return float(sum(math.log(self.probabilities[row, at]) for row, at in rows if at >= 0))

    def score(self, architecture: Architecture, probabilities: Logits | None = None) -> Logits:
        """Gradient of `log_probability` in the logits, where those gave `probabilities` (None: as they are now); every
        row sums to 0."""
        at = np.array(self.indices(architecture))
        gradient: Logits = -(self.probabilities if probabilities is None else probabilities)
        gradient[self._rows, at] += 1.0
        if self.space.conditional:
            gradient[at < 0] = 0.0
        return gradient

    def entropy_gradient(self) -> Logits:
        """Gradient of the summed entropies in the logits: -p (log p + H)."""
        logs = np.log(np.maximum(self.probabilities, 1e-300))
        entropies = -(self.probabilities * logs).sum(axis=1, keepdims=True)
        return np.asarray(-self.probabilities * (logs + entropies))


class PolicyGradient:
    """The live search."""

    def __init__(self, settings: Reinforce, scenario: Scenario) -> None:
        self._settings, self._rng = settings, scenario.seeds.rng("search")
        self._policy = Policy(scenario.space, scenario.seeds.rng("policy"), settings.initial_std)
        self._update = settings.update.start(self._policy.logits.shape, settings.learning_rate)
        self._baseline: float | None = None
        self._asked: UnderWay[Logits] = UnderWay()
        """Beside each proposal the probabilities it was drawn with."""
        self._told: list[tuple[float, Logits]] = []
        """Rewards and scores."""

    def ask(self) -> Proposal:
        return self._asked.add(Proposal(self._policy.sample(self._rng)), self._policy.probabilities)

    def tell(self, trial: Trial) -> None:
        drawn_with = self._asked.take(trial)
        if not trial.failed:
            self._told.append((-trial.value, self._policy.score(trial.architecture, drawn_with)))
        if len(self._told) == self._settings.batch:
            self._learn(self._told)
            self._told = []

    def _learn(self, told: Sequence[tuple[float, Logits]]) -> None:
        mean = sum(reward for reward, _ in told) / len(told)
        baseline = mean if self._baseline is None else self._baseline
        gradient: Logits = sum((reward - baseline) / len(told) * score for reward, score in told)  # type: ignore[assignment]
        if self._settings.entropy:
            gradient = gradient + self._settings.entropy * self._policy.entropy_gradient()
        self._policy.move(self._update.step(gradient))
        decay = self._settings.baseline_decay
        self._baseline = decay * baseline + (1 - decay) * mean
