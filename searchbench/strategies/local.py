"""Local search: climb through one-decision neighbours, restart at a local optimum."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from searchbench.errors import StudyError
from searchbench.spaces.space import Architecture
from searchbench.strategies.optional import check_part
from searchbench.strategies.random import Unseen
from searchbench.strategies.strategy import Scenario
from searchbench.strategies.under_way import UnderWay
from searchbench.trial import Proposal, Trial


@runtime_checkable
class Move(Protocol):
    """When the search leaves the point it stands on."""

    def due(self, best: float, here: float, complete: bool) -> bool:
        """Whether to move to the best neighbour measured so far.

        Args:
            best: its value; `here`: that of the point it stands on; `complete`: whether no neighbour is left.
        """


@dataclass(frozen=True, slots=True)
class FirstImprovement:
    """To the first neighbour that is strictly better."""

    def due(self, best: float, here: float, complete: bool) -> bool:
        return best < here


@dataclass(frozen=True, slots=True)
class BestImprovement:
    """To the best of all neighbours, once all are measured, if it is strictly better."""

    def due(self, best: float, here: float, complete: bool) -> bool:
        return complete and best < here


@dataclass(frozen=True, slots=True)
class LocalSearch:
    """Start at the best of some random designs, measure the neighbours in random order and move to one that is strictly
    better; where none is, start again from fresh random designs.

    No function is measured twice: neighbours whose key was seen are left out, so an optimum is local among the unseen.

    Args:
        initial: random designs at every start; the search climbs from the best of them.
        move: `FirstImprovement()` or `BestImprovement()`.

    Raises:
        StudyError: `initial` is not a positive integer.

    Source: White et al. 2021, "Exploring the Loss Landscape in Neural Architecture Search" (naszilla).
    Differs: restarts go on drawing from the common stream of initial designs.
    """

    initial: int = 1
    move: Move = field(default_factory=FirstImprovement)

    def __post_init__(self) -> None:
        if not isinstance(self.initial, int) or isinstance(self.initial, bool) or self.initial < 1:
            raise StudyError(f"`initial` must be a positive integer, but got {self.initial!r}.")
        check_part("move", self.move, Move)

    def start(self, scenario: Scenario) -> Climb:
        return Climb(self, scenario)


class Climb:
    """The live search. Any number of proposals may be under way at a time: where the next step depends on results
    still awaited, another random design is proposed. It moves to neighbours of the point it stands on only; what
    arrives late, of a point it has left, and designs proposed while it climbs are measured and move nothing."""

    def __init__(self, settings: LocalSearch, scenario: Scenario) -> None:
        self._settings, self._space = settings, scenario.space
        self._unseen = Unseen(scenario.space, scenario.seeds.rng("init"))
        self._rng = scenario.seeds.rng("search")
        self._asked: UnderWay[int] = UnderWay()
        """Beside each proposal the step it belongs to."""
        self._step = 0
        self._best_point: Architecture | None = None
        self._restart()

    def _restart(self) -> None:
        self._here = math.inf
        self._begin_step(iter(()))
        self._designs_left = self._settings.initial

    def _stand(self, point: Architecture) -> None:
        self._here = self._best
        neighbours = self._space.neighbours(point)
        self._begin_step(iter([neighbours[i] for i in self._rng.permutation(len(neighbours))]))

    def _begin_step(self, ahead: Iterator[Architecture]) -> None:
        """A step: the designs of a start, or the neighbours of one point, of which the best is known at its end."""
        self._step += 1
        self._awaited = 0
        """Of this step."""
        self._best, self._best_point = self._here, None
        self._ahead = ahead

    @property
    def _climbing(self) -> bool:
        return not math.isinf(self._here)

    def ask(self) -> Proposal | None:
        while not self._designs_left:
            for neighbour in self._ahead:
                if self._unseen.add(neighbour):
                    return self._sent(neighbour, self._step)
            if self._awaited:
                return self._sent(self._unseen.draw(), -1)
            self._settle()
        self._designs_left -= 1
        return self._sent(self._unseen.draw(), self._step)

    def _sent(self, architecture: Architecture | None, step: int) -> Proposal | None:
        if architecture is None:
            return None
        self._awaited += step == self._step
        return self._asked.add(Proposal(architecture), step)

    def _settle(self) -> None:
        """Nothing is left to measure around here: move on, or start again."""
        found = self._best_point
        if found is not None and (not self._climbing or self._settings.move.due(self._best, self._here, True)):
            self._stand(found)
        else:
            self._restart()

    def tell(self, trial: Trial) -> None:
        if self._asked.take(trial) != self._step:
            return
        self._awaited -= 1
        if trial.failed or not trial.value < self._best:  # strictly: equal neighbours would go in circles
            return
        self._best, self._best_point = trial.value, trial.architecture
        if self._climbing and self._settings.move.due(self._best, self._here, False):
            self._stand(trial.architecture)
