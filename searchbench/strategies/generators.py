"""A generator of networks as a contestant: one draw, never selected."""

from __future__ import annotations

from dataclasses import dataclass

from searchbench.spaces.space import Architecture
from searchbench.strategies.strategy import Scenario
from searchbench.trial import Proposal, Trial


@dataclass(frozen=True, slots=True)
class Generator:
    """Hand over one random architecture, unmeasured; the search costs nothing.

    What is judged is the distribution: over the replicates of a study, mean and standard deviation are those over
    independent instances. The draw is the first of `random`'s on any space, so that the difference between the two,
    replicate by replicate, is what selecting by validation bought.

    Source: Xie et al. 2019 (RandWire), section 4: five instances per generator, none selected.
    Differs: as many instances as the study has seeds.
    """

    def start(self, scenario: Scenario) -> OneDraw:
        return OneDraw(scenario.space.sample(scenario.seeds.rng("init")))


class OneDraw:
    """A search that is over before it begins."""

    def __init__(self, architecture: Architecture) -> None:
        self._architecture = architecture

    def ask(self) -> Proposal | None:
        """Nothing to measure."""
        return None

    def tell(self, trial: Trial) -> None:
        """Nothing is asked, so nothing arrives."""

    def recommend(self) -> Architecture:
        return self._architecture
