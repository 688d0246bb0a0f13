"""Generators of networks as contestants: one draw, never selected; and a grid over generators, compared by means."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from searchbench.errors import StudyError
from searchbench.spaces.choices import Choice, Value
from searchbench.spaces.space import Architecture
from searchbench.strategies.strategy import Scenario
from searchbench.trial import Proposal, Trial


@dataclass(frozen=True, slots=True)
class Generator:
    """Draw one architecture, have it measured once for the record, and hand it over whatever came of it.

    What is judged is the distribution: over the replicates of a study, mean and standard deviation are those over
    independent instances. The draw is the first of `random`'s on any space, so that the difference between the two,
    replicate by replicate, is what selecting by validation bought.

    Source: Xie et al. 2019 (RandWire), section 4: five instances per generator, none selected.
    Differs: as many instances as the study has seeds.
    """

    def start(self, scenario: Scenario) -> OneDraw:
        return OneDraw(scenario.space.sample(scenario.seeds.rng("init")))


class OneDraw:
    """A search that asks once."""

    def __init__(self, architecture: Architecture) -> None:
        self._architecture = architecture
        self._asked = False

    def ask(self) -> Proposal | None:
        """The draw, then nothing."""
        asked, self._asked = self._asked, True
        return None if asked else Proposal(self._architecture)

    def tell(self, trial: Trial) -> None:
        """Nothing is learnt."""

    def recommend(self) -> Architecture:
        return self._architecture


@dataclass(frozen=True, slots=True)
class GeneratorGrid:
    """Measure `instances` draws of every generator, and hand over a fresh draw of the one whose mean is best: the
    parameters of a distribution are selected, its instances never.

    Args:
        instances: draws per generator, one of each in turn; a budget that ends earlier leaves fewer.
        decision: the decision whose options are generators; all others are drawn.

    Raises:
        StudyError: `instances` is not positive.

    Source: Xie et al. 2019, section 4 (figure 4: a grid over the parameters of ER, BA and WS, five instances each).
    Differs: the paper compares by test accuracy and hands nothing over.
    """

    instances: int = 5
    decision: str = "generator"

    def __post_init__(self) -> None:
        if not isinstance(self.instances, int) or isinstance(self.instances, bool) or self.instances < 1:
            raise StudyError(f"`instances` must be a positive integer, but got {self.instances!r}.")

    def unsupported(self, scenario: Scenario) -> str | None:
        space = scenario.space
        if space.conditional:
            return f"it draws every decision but one, and those of `{space.name}` depend on each other."
        if not isinstance(dict(zip(space.position, space.decisions, strict=True)).get(self.decision), Choice):
            return (
                f"`{space.name}` has no choice named `{self.decision}` whose options could be compared by their means."
            )
        return None

    def start(self, scenario: Scenario) -> GeneratorComparison:
        fresh = scenario.space.sample(scenario.seeds.rng("search", "handed over"))
        return GeneratorComparison(fresh, self.decision, self.instances, scenario.seeds.rng("search"))


class GeneratorComparison:
    """The live search."""

    def __init__(self, fresh: Architecture, decision: str, instances: int, rng: np.random.Generator) -> None:
        self._fresh, self._at, self._rng = fresh, fresh.space.position[decision], rng
        self._generators = tuple(fresh.space.decisions[self._at].values())
        self._left = [generator for _ in range(instances) for generator in self._generators]
        self._values: dict[Value, list[float]] = {generator: [] for generator in self._generators}

    def ask(self) -> Proposal | None:
        if not self._left:
            return None
        return Proposal(self._with(self._left.pop(0), self._fresh.space.sample(self._rng)))

    def tell(self, trial: Trial) -> None:
        self._values[trial.architecture.values[self._at]].append(math.inf if trial.failed else trial.value)

    def recommend(self) -> Architecture:
        return self._with(min(self._generators, key=self._mean), self._fresh)

    def _mean(self, generator: Value) -> float:
        """Infinite where a draw failed or none was measured."""
        values = self._values[generator]
        return math.fsum(values) / len(values) if values else math.inf

    def _with(self, generator: Value, drawn: Architecture) -> Architecture:
        values = (*drawn.values[: self._at], generator, *drawn.values[self._at + 1 :])
        return drawn.space.architecture(values)
