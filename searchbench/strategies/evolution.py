"""Evolution by tournament and mutation: aging (regularized) and non-aging."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np

from searchbench.errors import StudyError
from searchbench.spaces.space import Architecture
from searchbench.strategies.optional import Restricted, check_part
from searchbench.strategies.strategy import Scenario
from searchbench.strategies.under_way import UnderWay
from searchbench.trial import Proposal, Trial


class Member(NamedTuple):
    """One of the population."""

    value: float
    """Its validation value; infinite where its evaluation failed."""
    birth: int
    architecture: Architecture


@runtime_checkable
class Removal(Protocol):
    """Who dies when a child joins a full population."""

    def index(self, population: Sequence[Member], tournament: Sequence[Member]) -> int:
        """Position in `population` (by birth, oldest first); `tournament`: the sample the child's parent won, all of it
        alive."""


@dataclass(frozen=True, slots=True)
class Oldest:
    """The oldest dies, however good: aging, or regularized, evolution."""

    def index(self, population: Sequence[Member], tournament: Sequence[Member]) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class WorstOfTournament:
    """The worst of the parent's own tournament dies: the non-aging evolution of Real et al. 2019."""

    def index(self, population: Sequence[Member], tournament: Sequence[Member]) -> int:
        return population.index(max(tournament, key=itemgetter(0))) if tournament else 0


@dataclass(frozen=True, slots=True)
class Worst:
    """The worst of the whole population dies (the variant of naszilla)."""

    def index(self, population: Sequence[Member], tournament: Sequence[Member]) -> int:
        return max(range(len(population)), key=lambda i: population[i].value)


class Mutator(Protocol):
    """How children are made of parents, within one run."""

    def child(self, parent: Architecture, rng: np.random.Generator) -> tuple[Architecture, Any]:
        """A mutant, and what is to be known of it when it has been measured."""

    def learn(self, mark: Any, trial: Trial) -> None:
        """Take into account what came of a mutant."""


@runtime_checkable
class Mutation(Protocol):
    """How children are made of parents."""

    def start(self, scenario: Scenario) -> Mutator: ...


@dataclass(frozen=True, slots=True)
class OneDecision:
    """One decision, drawn uniformly, gets another value, drawn uniformly."""

    def start(self, scenario: Scenario) -> Mutator:
        return UniformMutator(scenario)


class UniformMutator:
    """`OneDecision` within one run."""

    def __init__(self, scenario: Scenario) -> None:
        self._space = scenario.space

    def child(self, parent: Architecture, rng: np.random.Generator) -> tuple[Architecture, Any]:
        return self._space.mutate(parent, rng), None

    def learn(self, mark: Any, trial: Trial) -> None:
        pass


@dataclass(frozen=True, slots=True)
class RegularizedEvolution:
    """A population of random designs; then, for ever: the best of a random sample is mutated in one decision, the
    child is evaluated and joins, and the oldest leaves.

    parent = argmin value over `sample` members drawn uniformly with replacement (ties: first drawn)
    child = parent with one decision changed (with probability `identity`: its plain copy)

    Args:
        population: members; the first as many evaluations are random designs of the common stream.
        sample: size of the tournament.
        removal: who leaves, `Oldest()`, `WorstOfTournament()` or `Worst()`.
        identity: probability that a child is a copy of its parent, evaluated anew.
        mutation: how a child is made.

    Raises:
        StudyError: a value is out of range.

    Source: Real et al. 2019, "Regularized Evolution for Image Classifier Architecture Search", Algorithm 1.
    Differs: mutation changes one decision of whatever space it is given, drawn uniformly (not a node first, as in
        NATS-Bench); a failed evaluation joins with an infinite value and ages like any other. With several evaluations
        under way, members of a tournament that have died before its child arrives are replaced by fresh draws from
        the living, so that who dies is always among them.
    """

    population: int = 100
    sample: int = 25
    removal: Removal = field(default_factory=Oldest)
    identity: float = 0.0
    mutation: Mutation = field(default=OneDecision(), metadata={"described": "unless default"})

    def __post_init__(self) -> None:
        for name in ("population", "sample"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise StudyError(f"`{name}` must be a positive integer, but got {value!r}.")
        if self.sample > self.population:
            raise StudyError(
                f"`population` must be at least `sample`, but got population={self.population}, "
                f"sample={self.sample}; the tournament is drawn from the population."
            )
        check_part("removal", self.removal, Removal)
        check_part("mutation", self.mutation, Mutation)
        if not 0 <= self.identity < 1:
            raise StudyError(f"`identity` is a probability below 1, but got {self.identity!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        return self.mutation.unsupported(scenario) if isinstance(self.mutation, Restricted) else None

    def start(self, scenario: Scenario) -> Evolution:
        return Evolution(self, scenario)


def non_aging_evolution(population: int = 100, sample: int = 25, identity: float = 0.0) -> RegularizedEvolution:
    """Evolution in which the worst of each tournament dies instead of the oldest of all.

    Everything else is regularized evolution, so the two show what aging does.

    Source: Real et al. 2019, "Regularized Evolution for Image Classifier Architecture Search", section 6.1.
    Differs: as regularized evolution does.
    """
    return RegularizedEvolution(population, sample, WorstOfTournament(), identity)


class Evolution:
    """The live search. Any number of proposals may be under way at a time."""

    def __init__(self, settings: RegularizedEvolution, scenario: Scenario) -> None:
        self._settings, self._space = settings, scenario.space
        self._designs, self._rng = scenario.seeds.rng("init"), scenario.seeds.rng("search")
        self._population: list[Member] = []
        self._born = 0
        self._mutator = settings.mutation.start(scenario)
        self._asked: UnderWay[tuple[list[Member], Any]] = UnderWay()
        self._alive: set[int] = set()
        """Births of the population."""
        self._replacements = scenario.seeds.rng("search", "removal")

    def ask(self) -> Proposal:
        if len(self._population) < self._settings.population:
            return Proposal(self._space.sample(self._designs))
        tournament = self._draw(self._settings.sample, self._rng)
        child, mark = self._child(tournament)
        return self._asked.add(Proposal(child), (tournament, mark))

    def _draw(self, members: int, rng: np.random.Generator) -> list[Member]:
        """Members of the population, drawn with replacement."""
        population, size = self._population, len(self._population)
        # scaled uniforms: bounded integers cost four times as much in draws this small
        return [population[int(u * size)] for u in rng.random(members).tolist()]

    def _child(self, tournament: list[Member]) -> tuple[Architecture, Any]:
        parent: Architecture = min(tournament, key=itemgetter(0)).architecture
        if self._settings.identity and self._rng.random() < self._settings.identity:
            return parent, None
        return self._mutator.child(parent, self._rng)

    def tell(self, trial: Trial) -> None:
        tournament, mark = self._asked.take(trial) or ([], None)
        if mark is not None:
            self._mutator.learn(mark, trial)
        newborn = Member(math.inf if trial.failed else trial.value, self._born, trial.architecture)
        self._born += 1
        full = len(self._population) == self._settings.population
        living = self._living(tournament) if full else []
        self._population.append(newborn)
        self._alive.add(newborn.birth)
        if full:
            dead = self._population.pop(self._settings.removal.index(self._population, living))
            self._alive.discard(dead.birth)

    def learn(self, trial: Trial) -> None:
        """It joins the population, as a child that nobody waited for."""
        self.tell(trial)

    def _living(self, tournament: list[Member]) -> list[Member]:
        """The tournament, or that of a design that came late, its dead and missing members drawn anew."""
        living = [member for member in tournament if member.birth in self._alive]
        missing = self._settings.sample - len(living)
        return living + self._draw(missing, self._replacements) if missing else living
