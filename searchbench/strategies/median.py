"""Rules that end trainings early, each by itself: the median of others, and what is predicted of the end."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev
from typing import NamedTuple, Protocol

from searchbench.errors import StudyError
from searchbench.spaces.space import Architecture
from searchbench.strategies.halving import DesignSource, designs
from searchbench.strategies.rungs import looks, no_rungs
from searchbench.strategies.strategy import Scenario
from searchbench.strategies.under_way import UnderWay
from searchbench.trial import Fidelity, Proposal, Trial


class CameAsFar(NamedTuple):
    """A training at a stop that it has reached."""

    average: float
    """Of its values up to there."""
    values: Sequence[float]
    """All of them by now."""


class StoppingRule(Protocol):
    """Whether a training that has reached a stop is to go on; what is a rule is a strategy."""

    def ends(self, values: Sequence[float], at: float, others: Sequence[CameAsFar], stops: int) -> bool:
        """Whether it ends here.

        Args:
            values: its own, at every stop so far.
            at: epochs of the last of them.
            others: every training that came as far.
            stops: of a whole training.
        """

    def unsupported(self, scenario: Scenario) -> str | None:
        return no_rungs(None, scenario)

    def start(self, scenario: Scenario) -> Trainings:
        return self.over(designs(scenario), scenario)

    def over(self, source: DesignSource, scenario: Scenario) -> Trainings:
        return Trainings(self, looks(scenario), source)


@dataclass(frozen=True, slots=True)
class MedianStopping(StoppingRule):
    """Train each architecture from stop to stop, and end it where the best it has reached is worse than the median of
    what others had, on average, up to there.

    goes on after stop s  unless  min_(r <= s) y_r > median over the others of mean_(r <= s) y'_r

    The others are all trainings that have come as far, ended since or not.

    Args:
        others: a training is ended only where at least so many others have come as far.
        grace_epochs: nothing is ended before.

    Raises:
        StudyError: a value is out of range.

    Source: Golovin et al. 2017 (Vizier), section 3.2.2; `others` and `grace_epochs` as in Ray Tune's rule.
    Differs: values are reported at epochs where the estimator can stop, and where it has to begin anew for each of
        them, at powers of three of the first; the paper takes the averages of trainings that are complete, of which
        there are none while all are ended early: here, as in Ray Tune, of all that came as far. A failed training is
        ended and counts nowhere.
    """

    others: int = 3
    grace_epochs: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.others, int) or isinstance(self.others, bool) or self.others < 1:
            raise StudyError(f"`others` must be a positive integer, but got {self.others!r}.")
        if not self.grace_epochs >= 0:
            raise StudyError(f"`grace_epochs` must not be negative, but got {self.grace_epochs!r}.")

    def ends(self, values: Sequence[float], at: float, others: Sequence[CameAsFar], stops: int) -> bool:
        if len(others) < self.others or at < self.grace_epochs:
            return False
        return min(values) > median(other.average for other in others)


@dataclass(frozen=True, slots=True)
class PredictedStopping(StoppingRule):
    """Train each architecture from stop to stop, and end it where it will hardly become the best: where the probability
    that its value after full training is below the least so far is under `chance`.

    log y(end) = log y(now) + d,  d ~ t of n - 1 degrees of freedom, with the mean and the deviation
    s sqrt(1 + 1/n) of log y(end) - log y(now) over the n trainings that are complete

    Differences take the place of logarithms where a value is not positive.

    Args:
        others: a training is ended only where at least so many are complete.
        chance: see above.

    Raises:
        StudyError: a value is out of range.

    Source: Domhan, Springenberg & Hutter 2015, "Speeding up automatic hyperparameter optimization of deep neural
        networks by extrapolation of learning curves", section 4: the termination criterion, with 0.05.
    Differs: what is left of a curve is predicted from the curves that this search has completed, instead of eleven
        families fitted to this one curve by Markov chains; values are reported where
        `median-stopping` does.
        What was ended early is no complete curve: those that are, are of the better ones. A failed training is ended
        and counts nowhere.
    """

    others: int = 5
    chance: float = 0.05

    def __post_init__(self) -> None:
        if not isinstance(self.others, int) or isinstance(self.others, bool) or self.others < 2:
            raise StudyError(f"`others` must be an integer of at least 2, but got {self.others!r}.")
        if not 0 < self.chance < 1:
            raise StudyError(f"`chance` must lie between 0 and 1, but got {self.chance!r}.")

    def ends(self, values: Sequence[float], at: float, others: Sequence[CameAsFar], stops: int) -> bool:
        complete = [other.values for other in others if len(other.values) == stops]
        if len(complete) < self.others:
            return False
        return self.probability(values[-1], [(other[len(values) - 1], other[-1]) for other in complete]) < self.chance

    def probability(self, now: float, complete: Sequence[tuple[float, float]]) -> float:
        """Probability of ending below all that is `complete`: its values when it was as far, and at the end."""
        from scipy.stats import t

        positive = now > 0 and all(min(pair) > 0 for pair in complete)
        scale = math.log if positive else float
        falls = [scale(end) - scale(then) for then, end in complete]
        gap = min(scale(end) for _, end in complete) - scale(now) - fmean(falls)
        spread = stdev(falls) * math.sqrt(1 + 1 / len(falls))
        return float(t.cdf(gap / spread, len(falls) - 1)) if spread else float(gap > 0)


class WatchedTraining:
    """One architecture, and its values at the stops so far."""

    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture
        self.values: list[float] = []
        self.trial: int | None = None
        """Number of the trial that reached the last of them."""


class Trainings:
    """The live search. What may go on does so before another begins."""

    def __init__(self, rule: StoppingRule, stops: tuple[float, ...], source: DesignSource) -> None:
        self._rule, self._stops, self._source = rule, stops, source
        self._came: list[list[CameAsFar]] = [[] for _ in stops]
        """Of each stop."""
        self._ready: deque[WatchedTraining] = deque()
        self._asked: UnderWay[WatchedTraining] = UnderWay()

    def ask(self) -> Proposal | None:
        training = self._ready.popleft() if self._ready else self._begin()
        if training is None:
            return None
        fidelity = Fidelity(self._stops[len(training.values)])
        return self._asked.add(Proposal(training.architecture, fidelity, training.trial), training)

    def _begin(self) -> WatchedTraining | None:
        drawn = self._source.draw(self._stops[0])
        return None if drawn is None else WatchedTraining(drawn)

    def tell(self, trial: Trial) -> None:
        self._source.learn(trial)
        training = self._asked.take(trial)
        assert training is not None, "it hears of what it asked for"
        if trial.failed:
            return
        training.values.append(trial.value)
        training.trial = trial.number
        values, stops = training.values, self._stops
        others = self._came[len(values) - 1]
        if len(values) < len(stops) and not self._rule.ends(values, stops[len(values) - 1], others, len(stops)):
            self._ready.append(training)
        others.append(CameAsFar(fmean(values), values))
