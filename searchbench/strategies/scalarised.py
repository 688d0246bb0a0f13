"""One number out of several: any ask/tell strategy on a reward that weighs accuracy against another metric."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from searchbench.errors import StudyError, did_you_mean
from searchbench.spaces.space import Architecture
from searchbench.strategies.optional import Restricted, Tracing
from searchbench.strategies.strategy import AskTellSearch, Logged, Scenario, Strategy
from searchbench.trial import Fidelity, Proposal, Trial


class Scalarisation(Protocol):
    """What is maximised instead of the validation value."""

    def reward(self, trial: Trial) -> float:
        """Reward of a trial that did not fail. Raises StudyError where a metric is missing."""


@dataclass(frozen=True, slots=True)
class MnasReward:
    """R = ACC x (LAT / target)^w, w = `below` where LAT <= target, else `above`; ACC = 1 - value.

    Soft: both -0.07, since twice the latency should be paid for by 5 % relative accuracy (1.05 x 2^-0.0704 = 1).
    Hard: `below` 0, `above` -1.

    Args:
        metric: which metric stands for LAT (a latency column, "macs", "params").
        target: T, in the metric's unit.

    Raises:
        StudyError: the target is not positive.

    Source: Tan et al. 2019 (MnasNet), section 3.
    Differs: nothing.
    """

    metric: str
    target: float
    below: float = -0.07
    above: float = -0.07

    def __post_init__(self) -> None:
        if not (self.target > 0 and math.isfinite(self.target)):
            raise StudyError(f"`target` must be positive and finite, but got {self.target!r}.")

    def of(self, accuracy: float, latency: float) -> float:
        """The reward of an accuracy and a latency."""
        weight = self.below if latency <= self.target else self.above
        return accuracy * float((latency / self.target) ** weight)

    def reward(self, trial: Trial) -> float:
        if self.metric not in trial.metrics:
            raise StudyError(
                f"the problem reports no metric `{self.metric}`; {did_you_mean(self.metric, trial.metrics)}"
            )
        return self.of(1.0 - trial.value, trial.metrics[self.metric])


@dataclass(frozen=True, slots=True)
class Scalarised:
    """An ask/tell strategy that is told minus the objective's reward as value, and hands over the best rewarded.

    Args:
        strategy: any ask/tell strategy.
        objective: for example `MnasReward("latency_ms", 75)`.
    """

    strategy: Strategy
    objective: Scalarisation

    def unsupported(self, scenario: Scenario) -> str | None:
        return self.strategy.unsupported(scenario) if isinstance(self.strategy, Restricted) else None

    def start(self, scenario: Scenario) -> Rewarded:
        """Raises StudyError where the strategy trains a supernet: its trials are not its own to be rewarded."""
        inner = self.strategy.start(scenario)
        if not isinstance(inner, AskTellSearch):
            raise StudyError(f"a reward can be given to an ask/tell strategy only, but got {self.strategy!r}.")
        return Rewarded(inner, self.objective)


def mnasnet(metric: str, target: float, hard: bool = False, strategy: str = "ppo", **parameters: Any) -> Scalarised:
    """The search of MnasNet: a strategy (by default the PPO controller) on `MnasReward`.

    Args:
        metric, target: the latency, or what stands for it, and its target.
        hard: the hard exponents (0, -1) instead of the soft ones (-0.07, -0.07).
        strategy: another registered ask/tell strategy.
        parameters: of that strategy.

    Source: Tan et al. 2019, "MnasNet: platform-aware neural architecture search for mobile", section 3.
    Differs: the ask/tell strategy that learns from the reward is a parameter, PPO in the paper.
    """
    from searchbench.strategies import STRATEGIES

    exponents = (0.0, -1.0) if hard else (-0.07, -0.07)
    return Scalarised(STRATEGIES.factory(strategy)(**parameters), MnasReward(metric, target, *exponents))


class Rewarded:
    """The live search."""

    def __init__(self, inner: AskTellSearch, objective: Scalarisation) -> None:
        self._inner, self._objective = inner, objective
        self._best: tuple[bool, float, float] = (False, -math.inf, -math.inf)
        self._choice: Architecture | None = None

    def ask(self) -> Proposal | None:
        return self._inner.ask()

    def tell(self, trial: Trial) -> None:
        if not trial.failed:
            reward = self._objective.reward(trial)
            # a network that cannot learn is small and fast, and may be well rewarded for it
            able = trial.architecture.space.carrying(trial.architecture)
            standing = (able, _epochs(trial.fidelity), reward)
            if standing > self._best:
                self._best, self._choice = standing, trial.architecture
            trial = replace(trial, value=-reward)
        self._inner.tell(trial)

    def trace(self) -> list[Mapping[str, Logged]]:
        """What the rewarded search notes about itself."""
        return self._inner.trace() if isinstance(self._inner, Tracing) else []

    def recommend(self) -> Architecture:
        """The best rewarded of the longest trainings, of what can learn as long as there is any.

        Raises:
            StudyError: every evaluation failed.
        """
        if self._choice is None:
            raise StudyError("there is nothing to hand over: every evaluation failed.")
        return self._choice


def _epochs(fidelity: Fidelity) -> float:
    return math.inf if fidelity.epochs is None else fidelity.epochs
