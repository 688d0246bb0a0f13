"""Successive halving and Hyperband: many short trainings, the best of which are continued."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.rungs import (
    Bracket,
    at_stops,
    brackets,
    check_halving,
    cycle,
    lowest,
    no_rungs,
)
from searchbench.strategies.strategy import AskTellSearch, Scenario
from searchbench.strategies.under_way import UnderWay
from searchbench.trial import Fidelity, Proposal, Trial


class DesignSource(Protocol):
    """Where the architectures of a lowest rung come from."""

    def draw(self, epochs: float) -> Architecture | None:
        """The next architecture to begin with, by a training of so many epochs; None: there is no other."""

    def learn(self, trial: Trial) -> None:
        """What came of a training, of whatever length."""


class Scheduler(Protocol):
    """A strategy that decides how long each architecture is trained, wherever the architectures come from."""

    def unsupported(self, scenario: Scenario) -> str | None: ...
    def over(self, source: DesignSource, scenario: Scenario) -> AskTellSearch:
        """The live search over what the source draws."""


class Designs:
    """Uniform draws from the stream of initial designs."""

    def __init__(self, space: Space, rng: np.random.Generator) -> None:
        self._space, self._rng = space, rng

    def draw(self, epochs: float) -> Architecture:
        return self._space.sample(self._rng)

    def learn(self, trial: Trial) -> None:
        """Nothing is learnt."""


def designs(scenario: Scenario) -> Designs:
    """The initial designs of a scenario, for ever."""
    return Designs(scenario.space, scenario.seeds.rng("init"))


@dataclass(frozen=True, slots=True)
class SuccessiveHalving:
    """Train many architectures briefly, continue the best 1/eta of them eta times as long, and so on up to full
    training; then begin again with fresh ones.

    b_j = b_max eta^(j - s_max);  n_0 = eta^s_max;  n_(j+1) = max(floor(n_j / eta), 1)

    Args:
        eta: share kept is 1/eta, and training grows by eta.
        min_epochs: epochs of the lowest rung; None takes the shortest training the estimator can give.

    Raises:
        StudyError: a value is out of range.

    Source: Jamieson & Talwalkar 2016; Karnin et al. 2013.
    Differs: rungs are rounded down to epochs at which the estimator can stop; where the estimator can continue a
        training, only the increment is charged; failed trainings are never continued.
    """

    eta: int = 3
    min_epochs: float | None = None

    def __post_init__(self) -> None:
        check_halving(self.eta, self.min_epochs)

    def unsupported(self, scenario: Scenario) -> str | None:
        return no_rungs(self.min_epochs, scenario)

    def start(self, scenario: Scenario) -> Halving:
        return self.over(designs(scenario), scenario)

    def over(self, source: DesignSource, scenario: Scenario) -> Halving:
        return Halving(rounds(self.eta, self.min_epochs, scenario)[:1], source)


@dataclass(frozen=True, slots=True)
class Hyperband:
    """Successive halving from several starting lengths in turn, so that no one trade of breadth against length is
    staked on: brackets s = s_max … 0, over and over.

    s_max = floor(log_eta(b_max / b_min))
    n_0(s) = floor((s_max + 1) / (s + 1)) eta^s;  n_i = max(floor(n_0 eta^-i), 1)

    Args:
        eta: share kept is 1/eta, and training grows by eta.
        min_epochs: b_min; None takes the shortest training the estimator can give.
        ceiling: begin brackets as the paper does, n_0(s) = ceil((s_max + 1) eta^s / (s + 1)).

    Raises:
        StudyError: a value is out of range.

    Source: Li et al. 2018, Algorithm 1; unless `ceiling`, bracket sizes as in HpBandSter (Falkner et al. 2018).
    Differs: as `SuccessiveHalving`. With several workers the next bracket begins while a rung is awaited.
    """

    eta: int = 3
    min_epochs: float | None = None
    ceiling: bool = False

    def __post_init__(self) -> None:
        check_halving(self.eta, self.min_epochs)

    def unsupported(self, scenario: Scenario) -> str | None:
        return no_rungs(self.min_epochs, scenario)

    def start(self, scenario: Scenario) -> Halving:
        return self.over(designs(scenario), scenario)

    def over(self, source: DesignSource, scenario: Scenario) -> Halving:
        return Halving(rounds(self.eta, self.min_epochs, scenario, self.ceiling), source)


def rounds(eta: int, min_epochs: float | None, scenario: Scenario, ceiling: bool = False) -> tuple[Bracket, ...]:
    """One round of brackets at epochs the estimator of this scenario can stop at."""
    low, high = lowest(min_epochs, scenario), scenario.stops[-1]
    return tuple(at_stops(bracket, scenario.stops) for bracket in brackets(low, high, eta, ceiling))


class Finished(NamedTuple):
    """A training that has reached the end of its rung; sorts by value, then by number."""

    value: float
    number: int
    architecture: Architecture


class Round:
    """One bracket under way. A rung is closed when all of it has come back."""

    def __init__(self, bracket: Bracket, source: DesignSource) -> None:
        self._bracket, self._source = bracket, source
        self._rung = 0
        self._fresh = bracket.sizes[0]
        self._ready: deque[Finished] = deque()
        self._awaited = 0
        self._back: list[Finished] = []

    @property
    def over(self) -> bool:
        """Whether nothing of it is ready, awaited or to come."""
        return not (self._fresh or self._ready or self._awaited)

    def next(self) -> Proposal | None:
        """The next training of this rung; None while the rung is awaited, or at the end."""
        drawn = self._draw() if self._fresh else None
        fidelity = Fidelity(self._bracket.epochs[self._rung])
        if drawn is not None:
            proposal = Proposal(drawn, fidelity)
        elif self._ready:
            continued = self._ready.popleft()
            proposal = Proposal(continued.architecture, fidelity, continued.number)
        else:
            return None
        self._awaited += 1
        return proposal

    def _draw(self) -> Architecture | None:
        """The next of the lowest rung, which ends early where there is no other."""
        drawn = self._source.draw(self._bracket.epochs[0])
        if drawn is None:
            self._fresh = 0
            self._close()
        else:
            self._fresh -= 1
        return drawn

    def tell(self, trial: Trial) -> None:
        self._awaited -= 1
        if not trial.failed:
            self._back.append(Finished(trial.value, trial.number, trial.architecture))
        self._close()

    def _close(self) -> None:
        """Where all of the rung has come back, make the best of it ready for the next one."""
        if self._back and self.over and self._rung + 1 < len(self._bracket.sizes):
            self._rung += 1
            self._ready.extend(sorted(self._back)[: self._bracket.sizes[self._rung]])
            self._back = []


class Halving:
    """The live search. Any number of trainings may be under way: where a rung is awaited, the next bracket begins."""

    def __init__(self, brackets: tuple[Bracket, ...], source: DesignSource) -> None:
        self._brackets: Iterator[Bracket] = cycle(brackets)
        self._source = source
        self._drained = False
        """Whether the source has no other architecture."""
        self._open: list[Round] = []
        self._asked: UnderWay[Round] = UnderWay()

    def ask(self) -> Proposal | None:
        for bracket in self._open:
            proposal = bracket.next()
            if proposal is not None:
                return self._asked.add(proposal, bracket)
        self._open = [bracket for bracket in self._open if not bracket.over]  # begun with nothing to draw
        if self._drained:
            return None
        bracket = Round(next(self._brackets), self._source)
        proposal = bracket.next()
        if proposal is None:
            self._drained = True
            return None
        self._open.append(bracket)
        return self._asked.add(proposal, bracket)

    def tell(self, trial: Trial) -> None:
        self._source.learn(trial)
        bracket = self._asked.take(trial)
        assert bracket is not None, "a bracket hears of what it asked for"
        bracket.tell(trial)
        if bracket.over:
            self._open.remove(bracket)
