"""Asynchronous successive halving: promote whenever possible, never wait."""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from typing import Protocol

from searchbench.errors import StudyError
from searchbench.strategies.halving import DesignSource, Finished, designs
from searchbench.strategies.rungs import check_halving, lowest, no_rungs, upwards
from searchbench.strategies.strategy import Scenario
from searchbench.trial import Fidelity, Proposal, Trial


@dataclass(frozen=True, slots=True)
class Asha:
    """Whenever a worker is free: continue the best training that is among the top 1/eta of its rung and has not been
    continued, looking from the highest rung down; where there is none, begin a new random architecture. No rung is
    ever closed, so nobody waits.

    rung k: b_min eta^k epochs, k = 0, 1, …, and the full training at the top
    candidates of rung k = its best floor(n_k / eta) trainings that have come back

    Args:
        eta: share continued is 1/eta, and training grows by eta.
        min_epochs: epochs of the lowest rung; None takes the shortest training the estimator can give.
        slack: promotions out of a rung that are allowed beyond floor(n_k / eta). None, the paper's rule, sets no limit:
            whenever better results push promoted trainings out of the top, others take their place in it and are
            promoted too, so that improving results can promote far more than a share of 1/eta. `slack` = 1 holds
            promoted <= floor(n_k / eta) + 1, whatever comes back in whatever order.

    Raises:
        StudyError: a value is out of range.

    Source: Li et al. 2020, "A System for Massively Parallel Hyperparameter Tuning", Algorithm 2.
    Differs: rungs are rounded down to epochs at which the estimator can stop, and the full training is the highest even
        where it is no b_min eta^k; a failed training counts as the worst of its rung and is never continued.
    """

    eta: int = 4
    min_epochs: float | None = None
    slack: int | None = None

    def __post_init__(self) -> None:
        check_halving(self.eta, self.min_epochs)
        if self.slack is not None and (not isinstance(self.slack, int) or self.slack < 0):
            raise StudyError(f"`slack` must be a non-negative integer or None, but got {self.slack!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        return no_rungs(self.min_epochs, scenario)

    def start(self, scenario: Scenario) -> Promotions:
        return self.over(designs(scenario), scenario)

    def over(self, source: DesignSource, scenario: Scenario) -> Promotions:
        epochs = upwards(lowest(self.min_epochs, scenario), scenario.stops, self.eta)
        return Promotions(epochs, [ByValue(self.eta, self.slack) for _ in epochs], source)


class Rung(Protocol):
    """What has come back at one length of training, and what of it is to be continued."""

    def add(self, trial: Trial) -> None: ...
    def promote(self) -> Finished | None:
        """The best that may be continued and has not been, or None."""


class ByValue:
    """The finished trainings of one rung; asking for a promotion costs O(log n)."""

    def __init__(self, eta: int, slack: int | None) -> None:
        self._eta, self._slack = eta, slack
        self.finished: list[Finished] = []
        self._waiting: list[Finished] = []
        self.promoted = 0

    def add(self, trial: Trial) -> None:
        finished = Finished(math.inf if trial.failed else trial.value, trial.number, trial.architecture)
        insort(self.finished, finished)
        if not math.isinf(finished.value):
            heappush(self._waiting, finished)

    def promote(self) -> Finished | None:
        """The best of the top floor(n / eta) that has not been promoted, or None."""
        top = len(self.finished) // self._eta
        full = self._slack is not None and self.promoted >= top + self._slack
        if full or not self._waiting or bisect_left(self.finished, self._waiting[0]) >= top:
            return None
        self.promoted += 1
        return heappop(self._waiting)


class Promotions:
    """The live search. Any number of trainings may be under way."""

    def __init__(self, epochs: tuple[float, ...], rungs: Sequence[Rung], source: DesignSource) -> None:
        self.epochs, self.rungs, self._source = epochs, rungs, source
        self._at = {length: k for k, length in enumerate(epochs)}

    def ask(self) -> Proposal | None:
        for k in range(len(self.rungs) - 2, -1, -1):
            promoted = self.rungs[k].promote()
            if promoted is not None:
                return Proposal(promoted.architecture, Fidelity(self.epochs[k + 1]), promoted.number)
        drawn = self._source.draw(self.epochs[0])
        return None if drawn is None else Proposal(drawn, Fidelity(self.epochs[0]))

    def tell(self, trial: Trial) -> None:
        self._source.learn(trial)
        self.rungs[self._at[trial.fidelity.epochs or math.nan]].add(trial)
