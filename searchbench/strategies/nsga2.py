"""NSGA-II: evolution towards a front of several objectives."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from searchbench.errors import StudyError, did_you_mean
from searchbench.spaces.space import Architecture, Array
from searchbench.strategies.strategy import Scenario
from searchbench.trial import Proposal, Trial


@dataclass(frozen=True, slots=True)
class Nsga2:
    """Parents by binary tournament on (front, crowding), children by uniform crossover and mutation; each generation
    keeps the best fronts of parents and children together, the last one by crowding.

    a dominates b: a <= b in all objectives and a < b in one;  fronts are peeled off layer by layer
    crowding of a = sum over objectives of (next - previous) / (max - min) within its front; infinite at the ends

    Args:
        objectives: "value" (the validation value) and names of metrics, all minimised; "-name" maximises one.
        population: members; the first as many evaluations are random designs of the common stream.
        crossover: probability that a child has two parents.
        mutation: probability with which each decision is drawn anew; None: 1 / number of decisions.

    Raises:
        StudyError: a value is out of range.

    Source: Deb et al. 2002; as the search of FairNAS (Chu et al. 2021).
    Differs: with several workers children go on coming from the last complete generation. The harness judges one
        architecture per run, the best validated; the front is in the record.
    """

    objectives: tuple[str, ...] = ("value", "params")
    population: int = 50
    crossover: float = 0.9
    mutation: float | None = None

    def __post_init__(self) -> None:
        check_objectives(self.objectives)
        if not isinstance(self.population, int) or isinstance(self.population, bool) or self.population < 2:
            raise StudyError(f"`population` must be an integer of at least 2, but got {self.population!r}.")
        for name in ("crossover", "mutation"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise StudyError(f"`{name}` is a probability, but got {value!r}.")

    def start(self, scenario: Scenario) -> Fronts:
        return Fronts(self, scenario)


def check_objectives(names: tuple[str, ...]) -> None:
    """Raise StudyError where names of objectives are none, or not distinct."""
    if not names or len(set(names)) != len(names):
        raise StudyError(f"`objectives` must be distinct names, at least one, but got {names!r}.")


def objectives_of(trial: Trial, names: tuple[str, ...]) -> tuple[float, ...]:
    """The objectives of a trial, to be minimised; infinite where it failed.

    Raises:
        StudyError: the problem reports no such metric.
    """
    if trial.failed:
        return (math.inf,) * len(names)
    known = {"value": trial.value, **trial.metrics}
    found = []
    for name in names:
        plain = name.removeprefix("-")
        if plain not in known:
            raise StudyError(f"the problem reports no metric `{plain}`; {did_you_mean(plain, known)}")
        found.append(-known[plain] if name.startswith("-") else known[plain])
    return tuple(found)


def fronts(points: Array) -> list[list[int]]:
    """Positions of `points` [n, objectives] by non-dominated layer, the best first."""
    dominates = np.all(points[:, None] <= points, axis=2) & np.any(points[:, None] < points, axis=2)
    left = np.ones(len(points), dtype=bool)
    layers = []
    while left.any():
        layer = left & ~np.any(dominates[left], axis=0)
        layers.append(np.flatnonzero(layer).tolist())
        left &= ~layer
    return layers


def crowding(points: Array) -> Array:
    """Crowding distances [n] within one front [n, objectives]; an objective without spread adds nothing."""
    distance = np.zeros(len(points))
    for column in points.T:
        order = np.argsort(column, kind="stable")
        spread = float(column[order[-1]]) - float(column[order[0]])  # NaN between two failures, without a warning
        distance[order[[0, -1]]] = np.inf
        if len(points) > 2 and 0 < spread < math.inf:
            distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / spread
    return distance


class Ranked(NamedTuple):
    """A member as the tournament sees it: the lower the better."""

    front: int
    crowding: float
    """Negative crowding distance."""
    architecture: Architecture
    objectives: tuple[float, ...]


def select(members: list[tuple[Architecture, tuple[float, ...]]], count: int) -> list[Ranked]:
    """The `count` best members, by front and then by crowding; ties keep their order."""
    points = np.array([objectives for _, objectives in members])
    ranked = []
    for depth, layer in enumerate(fronts(points)):
        distances = crowding(points[layer])
        ranked += [Ranked(depth, -d, *members[at]) for d, at in zip(distances.tolist(), layer, strict=True)]
        if len(ranked) >= count:
            break
    return sorted(ranked, key=lambda r: (r.front, r.crowding))[:count]


class Fronts:
    """The live search. Any number of proposals may be under way at a time."""

    def __init__(self, settings: Nsga2, scenario: Scenario) -> None:
        self._settings, self._space = settings, scenario.space
        self._designs, self._rng = scenario.seeds.rng("init"), scenario.seeds.rng("search")
        given = settings.mutation
        self._mutation = 1 / len(scenario.space.decisions) if given is None else given
        self._designed = 0
        self.parents: list[Ranked] = []
        self._children: list[tuple[Architecture, tuple[float, ...]]] = []

    def ask(self) -> Proposal:
        if self._designed < self._settings.population or not self.parents:
            self._designed += 1
            return Proposal(self._space.sample(self._designs))
        child = self._tournament()
        if self._rng.random() < self._settings.crossover:
            child = self._space.crossover(child, self._tournament(), self._rng)
        return Proposal(self._space.redraw(child, self._mutation, self._rng))

    def _tournament(self) -> Architecture:
        one, other = (self.parents[int(u * len(self.parents))] for u in self._rng.random(2))
        return min(one, other, key=lambda r: (r.front, r.crowding)).architecture

    def tell(self, trial: Trial) -> None:
        self._children.append((trial.architecture, objectives_of(trial, self._settings.objectives)))
        if len(self._children) == self._settings.population:
            everyone = [(r.architecture, r.objectives) for r in self.parents] + self._children
            self.parents, self._children = select(everyone, self._settings.population), []

    def learn(self, trial: Trial) -> None:
        """It joins the generation under way."""
        self.tell(trial)
