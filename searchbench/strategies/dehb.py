"""DEHB: Hyperband whose architectures come from differential evolution, a population for each length of training."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from searchbench.errors import StudyError
from searchbench.spaces.choices import Choice, Float, Integer
from searchbench.spaces.space import Architecture, Array, Space
from searchbench.strategies.densities import Coordinates
from searchbench.strategies.halving import rounds
from searchbench.strategies.rungs import Bracket, check_halving, no_rungs
from searchbench.strategies.strategy import Scenario
from searchbench.strategies.under_way import UnderWay
from searchbench.trial import Fidelity, Proposal, Trial

PARENTS = 3
"""Distinct vectors that a mutant is made of."""


@dataclass(frozen=True, slots=True)
class Dehb:
    """Hyperband's brackets, in which a rung is not filled by what is promoted into it but by children of the population
    of its length, mutated from the best of the population of the length below.

    mutant v = r1 + F (r2 - r3), r1, r2, r3 distinct among the best n of the length below (at a bracket's lowest rung:
    of the same length), n the size of the rung; what leaves [0, 1] is drawn anew
    child u_d = v_d with probability C, else the target's x_d; at least one coordinate is the mutant's
    the child takes the target's place where it is not worse; targets are taken in turn

    In the first round of brackets populations are not complete: members that were never measured are measured as they
    are, and higher rungs take the best of the length below as in Hyperband. A population has as many members as the
    largest rung of its length.

    Args:
        eta, min_epochs: as in `Hyperband`.
        factor: F.
        crossover: C.

    Raises:
        StudyError: a value is out of range.

    Source: Awad, Mallik & Hutter 2021, "DEHB: evolutionary Hyperband for scalable, robust and efficient hyperparameter
        optimization", section 4; defaults (rand/1/bin, F = C = 0.5, immediate replacement) of the released code.
    Differs: the released code lets mutants stand for members that were never measured in its very first rung, where
        the paper measures random ones, as here; integers have cells of equal width in [0, 1]; a promotion of the first
        round continues its training where the estimator can; a failed training counts as infinitely bad.
    """

    eta: int = 3
    min_epochs: float | None = None
    factor: float = 0.5
    crossover: float = 0.5

    def __post_init__(self) -> None:
        check_halving(self.eta, self.min_epochs)
        if not 0 < self.factor <= 2:
            raise StudyError(f"`factor` must lie in (0, 2], but got {self.factor!r}.")
        if not 0 <= self.crossover <= 1:
            raise StudyError(f"`crossover` is a probability, but got {self.crossover!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        for decision in scenario.space.decisions:
            if not isinstance(decision, Choice | Integer | Float):
                return f"it knows no coordinate for `{decision.name}`, a {type(decision).__name__}"
        return no_rungs(self.min_epochs, scenario)

    def start(self, scenario: Scenario) -> Evolving:
        return Evolving(self, scenario)


class Cube:
    """A space as [0, 1]^D: a categorical of c options has c cells of equal width."""

    def __init__(self, space: Space) -> None:
        self._coordinates = Coordinates(space)

    def vector(self, architecture: Architecture, rng: np.random.Generator) -> Array:
        """[D], in the middle of a categorical's cell; what is inactive is drawn."""
        arities, at = self._coordinates.arities, self._coordinates.of(architecture)
        unit = np.where(arities > 0, (at + 0.5) / np.maximum(arities, 1), at)
        return np.where(np.isnan(unit), rng.random(len(unit)), unit)

    def architecture(self, vector: Array, rng: np.random.Generator) -> Architecture:
        """The architecture whose cells hold a vector."""
        arities = self._coordinates.arities
        cells = np.minimum(np.floor(vector * arities), arities - 1)
        return self._coordinates.architecture(np.where(arities > 0, cells, vector), rng)


@dataclass(slots=True, eq=False)
class DehbMember:
    """A vector, and what it was measured to be; infinite before."""

    vector: Array
    value: float = math.inf
    trial: int | None = None


@dataclass(slots=True, eq=False)
class Population:
    """The members of one length of training."""

    members: list[DehbMember]
    turn: int = 0

    def next_slot(self) -> int:
        """Whose turn it is to be replaced."""
        slot = self.turn
        self.turn = (slot + 1) % len(self.members)
        return slot

    def best(self, count: int) -> list[DehbMember]:
        """The `count` best, the earlier of equals first."""
        return sorted(self.members, key=lambda member: member.value)[:count]


def mutant(parents: Array, factor: float, rng: np.random.Generator) -> Array:
    """r1 + factor (r2 - r3) of three distinct rows of `parents` [n, D]; what leaves [0, 1] is drawn anew."""
    first, second, third = parents[rng.choice(len(parents), PARENTS, replace=False)]
    vector: Array = first + factor * (second - third)
    outside = (vector < 0) | (vector > 1)
    vector[outside] = rng.random(int(outside.sum()))
    return vector


def crossed(target: Array, with_mutant: Array, probability: float, rng: np.random.Generator) -> Array:
    """Binomial crossover: each coordinate is the mutant's with `probability`, at least one is."""
    taken = rng.random(len(target)) < probability
    if not taken.any():
        taken[rng.integers(len(target))] = True
    return np.where(taken, with_mutant, target)


class Running:
    """One bracket under way. A rung begins when all of the one below has come back."""

    def __init__(self, bracket: Bracket, number: int) -> None:
        self.bracket, self.number = bracket, number
        self.rung = 0
        self._left, self._awaited = bracket.sizes[0], 0

    @property
    def ready(self) -> bool:
        """Whether something of it is to be asked for now."""
        if not self._left and not self._awaited and self.rung + 1 < len(self.bracket.sizes):
            self.rung += 1
            self._left = self.bracket.sizes[self.rung]
        return self._left > 0

    @property
    def over(self) -> bool:
        return not self.ready and not self._awaited

    def asked(self) -> None:
        self._left -= 1
        self._awaited += 1

    def told(self) -> None:
        self._awaited -= 1


@dataclass(frozen=True, slots=True, eq=False)
class DehbJob:
    """A vector under way, and whose place it is to take."""

    bracket: Running
    epochs: float
    slot: int
    vector: Array


class Evolving:
    """The live search. Where a rung is awaited, the next bracket begins."""

    def __init__(self, settings: Dehb, scenario: Scenario) -> None:
        self._settings, self._rng = settings, scenario.seeds.rng("search")
        self._cube = Cube(scenario.space)
        self._table = rounds(settings.eta, settings.min_epochs, scenario)
        self.populations = self._random(scenario)
        self._open: list[Running] = []
        self._begun = 0
        self._asked: UnderWay[DehbJob] = UnderWay()
        self._promoted: dict[float, list[Array]] = {epochs: [] for epochs in self.populations}
        """Into each length."""

    def _random(self, scenario: Scenario) -> dict[float, Population]:
        designs, sizes = scenario.seeds.rng("init"), dict[float, int]()
        for bracket in self._table:
            for size, epochs in zip(bracket.sizes, bracket.epochs, strict=True):
                sizes[epochs] = max(size, sizes.get(epochs, 0))
        return {
            epochs: Population(
                [DehbMember(self._cube.vector(scenario.space.sample(designs), self._rng)) for _ in range(sizes[epochs])]
            )
            for epochs in sorted(sizes)
        }

    def ask(self) -> Proposal:
        bracket = next((bracket for bracket in self._open if bracket.ready), None) or self._begin()
        bracket.asked()
        epochs = bracket.bracket.epochs[bracket.rung]
        slot = self.populations[epochs].next_slot()
        vector, resume = self._next(bracket, epochs, slot)
        proposal = Proposal(self._cube.architecture(vector, self._rng), Fidelity(epochs), resume)
        return self._asked.add(proposal, DehbJob(bracket, epochs, slot, vector))

    def _begin(self) -> Running:
        bracket = Running(self._table[self._begun % len(self._table)], self._begun)
        self._begun += 1
        self._open.append(bracket)
        return bracket

    def _next(self, bracket: Running, epochs: float, slot: int) -> tuple[Array, int | None]:
        """The vector to be measured, and the trial that it continues."""
        population, rung = self.populations[epochs], bracket.rung
        below = bracket.bracket.epochs[max(rung - 1, 0)]
        if bracket.number < len(self._table) and rung > 0:
            promoted = self._promote(below, epochs)
            if promoted is not None:
                return promoted.vector, promoted.trial
        target = population.members[slot]
        if math.isinf(target.value) and target.trial is None:
            return target.vector, None
        parents = [m.vector for m in self.populations[below].best(bracket.bracket.sizes[rung])]
        return crossed(target.vector, self._mutant(parents), self._settings.crossover, self._rng), None

    def _promote(self, below: float, epochs: float) -> DehbMember | None:
        """The best measured at the length below that is not at this length already; None: there is none."""
        there = [*self._promoted[epochs], *(member.vector for member in self.populations[epochs].members)]
        for member in self.populations[below].best(len(self.populations[below].members)):
            if math.isfinite(member.value) and not any(np.array_equal(member.vector, v) for v in there):
                self._promoted[epochs].append(member.vector)
                return member
        return None

    def _mutant(self, parents: Sequence[Array]) -> Array:
        """A mutant of the parents; where they are too few, mutants of everybody are added to them first."""
        everybody = np.array([m.vector for population in self.populations.values() for m in population.members])
        factor, pool = self._settings.factor, list(parents)
        if len(pool) < PARENTS:
            pool += [mutant(everybody, factor, self._rng) for _ in range(PARENTS - len(pool) + 1)]
        return mutant(np.array(pool), factor, self._rng)

    def tell(self, trial: Trial) -> None:
        job = self._asked.take(trial)
        assert job is not None, "it hears of what it asked for"
        job.bracket.told()
        if job.bracket.over:
            self._open.remove(job.bracket)
        value = math.inf if trial.failed else trial.value
        members = self.populations[job.epochs].members
        if value <= members[job.slot].value:
            members[job.slot] = DehbMember(job.vector, value, trial.number)
