"""Evolution of motifs of motifs: an ever growing population, tournaments of a share of it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from searchbench.errors import StudyError
from searchbench.spaces.graphs.hierarchical import CELL, identity_chain, mutated
from searchbench.spaces.space import Architecture
from searchbench.strategies.strategy import Scenario
from searchbench.trial import Proposal, Trial


@dataclass(frozen=True, slots=True)
class HierarchicalEvolution:
    """A population of strongly mutated identity chains; then, for ever and without waiting: the best of a random share
    of all that has been evaluated is mutated once, and the child joins. Nobody leaves.

    parent = argmin value over ceil(share n) of the n members, drawn without replacement
    child = parent with one edge of one graph of one level drawn anew (perhaps to what it was)

    Args:
        population: initial members.
        mutations: by which each of them differs from the identity chain.
        share: of the population in a tournament.

    Raises:
        StudyError: a value is out of range.

    Source: Liu et al. 2018, "Hierarchical Representations for Efficient Architecture Search", section 3.
    Differs: constants could not be verified against the paper; failed evaluations do not join.
    """

    population: int = 200
    mutations: int = 1000
    share: float = 0.05

    def __post_init__(self) -> None:
        for name in ("population", "mutations"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise StudyError(f"`{name}` must be a positive integer, but got {value!r}.")
        if not 0 < self.share <= 1:
            raise StudyError(f"`share` must lie in (0, 1], but got {self.share!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        if f"{CELL} 0-1" not in scenario.space.position:
            return f"it mutates motifs of motifs, but `{scenario.space.name}` has none; see `hierarchical`"
        return None

    def start(self, scenario: Scenario) -> GrowingPopulation:
        return GrowingPopulation(self, scenario)


class GrowingPopulation:
    """The live search. Any number of proposals may be under way at a time."""

    def __init__(self, settings: HierarchicalEvolution, scenario: Scenario) -> None:
        self._settings, self._rng = settings, scenario.seeds.rng("search")
        self._chain = identity_chain(scenario.space)
        self._begun = 0
        self.members: list[tuple[float, int, Architecture]] = []
        """(value, number in order of arrival, architecture)."""

    def ask(self) -> Proposal:
        if self._begun < self._settings.population or not self.members:
            self._begun += 1
            return Proposal(mutated(self._chain, self._settings.mutations, self._rng))
        return Proposal(mutated(self._parent(), 1, self._rng))

    def _parent(self) -> Architecture:
        number = len(self.members)
        drawn = self._rng.choice(number, math.ceil(self._settings.share * number), replace=False)
        best: int = min(drawn.tolist(), key=lambda at: self.members[at][:2])
        return self.members[best][2]

    def tell(self, trial: Trial) -> None:
        if not trial.failed:
            self.members.append((trial.value, len(self.members), trial.architecture))
