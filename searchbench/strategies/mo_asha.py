"""ASHA towards a front of several objectives."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from searchbench.spaces.space import Array
from searchbench.strategies.asha import Promotions
from searchbench.strategies.halving import DesignSource, Finished, designs
from searchbench.strategies.nsga2 import check_objectives, fronts, objectives_of
from searchbench.strategies.rungs import check_halving, lowest, no_rungs, upwards
from searchbench.strategies.strategy import Scenario
from searchbench.trial import Trial


@dataclass(frozen=True, slots=True)
class MultiObjectiveAsha:
    """ASHA whose rungs are ranked by non-dominated layer and, within a layer, so that any first few of it are spread
    out over it.

    within a layer: first the best of the first objective; then, again and again, the one whose nearest neighbour among
    those already taken is farthest away (objectives scaled to [0, 1] over the layer)
    candidates of a rung of n: the first floor(n / eta); promoted is the first of them that has not been

    Args:
        objectives: "value" (the validation value) and names of metrics, all minimised; "-name" maximises one.
        eta, min_epochs: as in `Asha`.

    Raises:
        StudyError: a value is out of range.

    Source: Schmucker et al. 2021, "Multi-objective asynchronous successive halving", with the epsilon-net of its
        released form in Syne Tune (Salinas et al. 2022).
    Differs: distances are taken between scaled objectives, of which the largest would decide alone otherwise; a failed
        training stands last and is never continued. The harness judges one architecture per run, the best validated;
        the front is in the record.
    """

    objectives: tuple[str, ...] = ("value", "params")
    eta: int = 3
    min_epochs: float | None = None

    def __post_init__(self) -> None:
        check_objectives(self.objectives)
        check_halving(self.eta, self.min_epochs)

    def unsupported(self, scenario: Scenario) -> str | None:
        return no_rungs(self.min_epochs, scenario)

    def start(self, scenario: Scenario) -> Promotions:
        return self.over(designs(scenario), scenario)

    def over(self, source: DesignSource, scenario: Scenario) -> Promotions:
        epochs = upwards(lowest(self.min_epochs, scenario), scenario.stops, self.eta)
        return Promotions(epochs, [ByFront(self.eta, self.objectives) for _ in epochs], source)


class ByFront:
    """The finished trainings of one rung, ranked anew when a promotion is asked for after a result."""

    def __init__(self, eta: int, objectives: tuple[str, ...]) -> None:
        self._eta, self._objectives = eta, objectives
        self.finished: list[Finished] = []
        self._points: list[tuple[float, ...]] = []
        self._promoted: set[int] = set()
        self._candidates: list[int] | None = []

    def add(self, trial: Trial) -> None:
        self.finished.append(Finished(trial.value, trial.number, trial.architecture))
        self._points.append(objectives_of(trial, self._objectives))
        self._candidates = None

    def promote(self) -> Finished | None:
        """The first of the first floor(n / eta) that has not been promoted, or None."""
        if self._candidates is None:
            self._candidates = ranked(np.array(self._points))[: len(self._points) // self._eta]
        for at in self._candidates:
            finished = self.finished[at]
            if finished.number not in self._promoted and not math.isnan(finished.value):
                self._promoted.add(finished.number)
                return finished
        return None


def ranked(points: Array) -> list[int]:
    """Positions of `points` [n, objectives], by non-dominated layer and spread out within each."""
    return [layer[at] for layer in fronts(points) for at in spread_out(points[layer])]


def spread_out(points: Array) -> list[int]:
    """The order of `points` [n, objectives] in which each is as far as possible from those before it, beginning with
    the least first coordinate; the earlier of equals first."""
    low, high = points.min(axis=0), points.max(axis=0)
    with np.errstate(invalid="ignore"):
        wide = np.isfinite(high - low) & (high > low)
    unit = np.where(wide, points - low, 0.0) / np.where(wide, high - low, 1.0) if wide.any() else np.zeros(points.shape)
    order = [int(points[:, 0].argmin())]
    nearest = np.linalg.norm(unit - unit[order[0]], axis=1)
    nearest[order[0]] = -1.0
    while len(order) < len(points):
        order.append(int(nearest.argmax()))
        nearest = np.minimum(nearest, np.linalg.norm(unit - unit[order[-1]], axis=1))
        nearest[order] = -1.0
    return order
