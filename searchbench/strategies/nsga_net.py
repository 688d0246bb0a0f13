"""NSGA-Net: fronts of crossed and mutated phases, then phases drawn by a Bayesian network of what survived."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from searchbench.errors import StudyError
from searchbench.spaces.choices import Value
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.nsga2 import Fronts, Nsga2, Ranked
from searchbench.strategies.strategy import Scenario
from searchbench.trial import Proposal, Trial

Phase = tuple[Value, ...]
"""The values of decisions that belong together."""


@dataclass(frozen=True, slots=True)
class NsgaNet:
    """NSGA-II for `explore` generations; from then on children are drawn phase by phase from a Bayesian network over
    what is kept, and selected as before.

    P(x) = P(x_1) prod_i P(x_i | x_{i-1}),  x_i the decisions of phase i
    P(x_i | x_{i-1}) = (n(x_{i-1}, x_i) + back_off P(x_i)) / (n(x_{i-1}) + back_off), counts over the members kept

    Phases are the decisions whose names begin alike (``phase 2 1-3``, up to the last space); where names have no
    space, every decision is a phase.

    Args:
        objectives, population, crossover, mutation: see `Nsga2`.
        explore: generations after the first that are crossed and mutated.
        back_off: weight of phases that did not follow each other yet.

    Raises:
        StudyError: a value is out of range.

    Source: Lu et al. 2019, "NSGA-Net: neural architecture search using multi-objective genetic algorithm", section 3.3
        (40 members, 20 generations of exploration, 10 of exploitation).
    Differs: initial designs are those of the common stream, uniform; as `Nsga2`. The back-off is our own: without it
        members that share no phase could only be drawn again.
    """

    objectives: tuple[str, ...] = ("value", "macs")
    population: int = 40
    explore: int = 20
    crossover: float = 0.9
    mutation: float | None = None
    back_off: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "objectives", tuple(self.objectives))
        _ = self.fronts
        if self.explore < 0 or not self.back_off > 0:
            raise StudyError(
                "`explore` must not be negative and `back_off` must be positive, "
                f"but got explore={self.explore}, back_off={self.back_off}."
            )

    @property
    def fronts(self) -> Nsga2:
        """The exploration."""
        return Nsga2(self.objectives, self.population, self.crossover, self.mutation)

    def unsupported(self, scenario: Scenario) -> str | None:
        if scenario.space.conditional:
            return f"it draws phase after phase, and decisions of `{scenario.space.name}` depend on others."
        return None

    def start(self, scenario: Scenario) -> ExploringThenExploiting:
        return ExploringThenExploiting(self, scenario)


class ExploringThenExploiting:
    """The live search. Any number of proposals may be under way at a time."""

    def __init__(self, settings: NsgaNet, scenario: Scenario) -> None:
        self._settings, self._space = settings, scenario.space
        self._fronts = Fronts(settings.fronts, scenario)
        self._rng = scenario.seeds.rng("search", "phases")
        self._spans = phase_spans(scenario.space)
        self._told = 0

    @property
    def parents(self) -> list[Ranked]:
        """The members kept."""
        return self._fronts.parents

    @property
    def exploiting(self) -> bool:
        """Whether children are drawn by the Bayesian network."""
        return self._told >= self._settings.population * (1 + self._settings.explore)

    def ask(self) -> Proposal:
        if not self.exploiting or not self.parents:
            return self._fronts.ask()
        return Proposal(self._drawn())

    def tell(self, trial: Trial) -> None:
        self._told += 1
        self._fronts.tell(trial)

    def learn(self, trial: Trial) -> None:
        """It joins the generation under way."""
        self.tell(trial)

    def _drawn(self) -> Architecture:
        members = [[r.architecture.values[left:right] for left, right in self._spans] for r in self.parents]
        drawn: list[Phase] = []
        for at in range(len(self._spans)):
            weights = following(members, at, drawn[-1] if drawn else None, self._settings.back_off)
            phases = list(weights)
            drawn.append(phases[int(self._rng.choice(len(phases), p=np.array(list(weights.values()))))])
        return self._space.architecture(tuple(value for phase in drawn for value in phase))


def phase_spans(space: Space) -> list[tuple[int, int]]:
    """(first decision, one after the last) of every phase."""
    keys = [decision.name.rpartition(" ")[0] or decision.name for decision in space.decisions]
    spans, begun = [], 0
    for _, group in groupby(keys):
        length = len(list(group))
        spans.append((begun, begun + length))
        begun += length
    return spans


def following(members: Sequence[Sequence[Phase]], at: int, before: Phase | None, back_off: float) -> dict[Phase, float]:
    """Probabilities of the phases at a place, given the one before."""
    alone = Counter(member[at] for member in members)
    marginal = {phase: number / len(members) for phase, number in alone.items()}
    if before is None:
        return marginal
    pairs = Counter(member[at] for member in members if member[at - 1] == before)
    total = sum(pairs.values()) + back_off
    return {phase: (pairs[phase] + back_off * share) / total for phase, share in marginal.items()}
