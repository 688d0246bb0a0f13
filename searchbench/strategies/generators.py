"""A generator of networks as a contestant: one draw, never selected."""

from __future__ import annotations

from dataclasses import dataclass

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
