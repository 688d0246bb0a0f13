"""Median stopping: train on as long as a training keeps up with those before it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import fmean, median

from searchbench.errors import StudyError
from searchbench.spaces.space import Architecture
from searchbench.strategies.halving import DesignSource, designs
from searchbench.strategies.rungs import no_rungs
from searchbench.strategies.strategy import Scenario
from searchbench.strategies.under_way import UnderWay
from searchbench.trial import Fidelity, Proposal, Trial


@dataclass(frozen=True, slots=True)
class MedianStopping:
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
    Differs: values are reported at epochs where the estimator can stop; the paper takes the averages of trainings that
        are complete, of which there are none while all are ended early: here, as in Ray Tune, of all that came as far.
        A failed training is ended and counts nowhere.
    """

    others: int = 3
    grace_epochs: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.others, int) or isinstance(self.others, bool) or self.others < 1:
            raise StudyError(f"`others` must be a positive integer, but got {self.others!r}.")
        if not self.grace_epochs >= 0:
            raise StudyError(f"`grace_epochs` must not be negative, but got {self.grace_epochs!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        return no_rungs(None, scenario)

    def start(self, scenario: Scenario) -> Trainings:
        return self.over(designs(scenario), scenario)

    def over(self, source: DesignSource, scenario: Scenario) -> Trainings:
        return Trainings(self, scenario.stops, source)


class WatchedTraining:
    """One architecture, and its values at the stops so far."""

    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture
        self.values: list[float] = []
        self.trial: int | None = None
        """Number of the trial that reached the last of them."""


class Trainings:
    """The live search. What may go on does so before another begins."""

    def __init__(self, settings: MedianStopping, stops: tuple[float, ...], source: DesignSource) -> None:
        self._settings, self._stops, self._source = settings, stops, source
        self._averages: list[list[float]] = [[] for _ in stops]
        """At each stop, of every training that came as far."""
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
        at = len(training.values) - 1
        others = self._averages[at]
        if at + 1 < len(self._stops) and not self._behind(training, at, others):
            self._ready.append(training)
        others.append(fmean(training.values))

    def _behind(self, training: WatchedTraining, at: int, others: list[float]) -> bool:
        enough = len(others) >= self._settings.others and self._stops[at] >= self._settings.grace_epochs
        return enough and min(training.values) > median(others)
