"""Random search, with and without replacement: the baseline every comparison needs."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.strategy import AskTellSearch, Scenario
from searchbench.trial import Proposal, Trial


@dataclass(frozen=True, slots=True)
class Random:
    """Draw every decision independently and uniformly over its legal values; keep the best validated.

    All draws come from the stream of initial designs, so the first designs of every other strategy are a prefix of
    this one's. Without replacement, an architecture is refused if one that computes the same function was drawn
    before (by key, not by string), until the space is exhausted.

    Source: Bergstra & Bengio 2012; Li & Talwalkar 2019; Yu et al. 2020.
    Differs: nothing.
    """

    replacement: bool = True

    def start(self, scenario: Scenario) -> AskTellSearch:
        rng = scenario.seeds.rng("init")
        return Draws(scenario.space, rng) if self.replacement else DistinctDraws(Unseen(scenario.space, rng))


class Draws:
    """Independent draws, for ever."""

    def __init__(self, space: Space, rng: np.random.Generator) -> None:
        self._space, self._rng = space, rng

    def ask(self) -> Proposal:
        return Proposal(self._space.sample(self._rng))

    def tell(self, trial: Trial) -> None:
        """Nothing is learnt."""

    def learn(self, trial: Trial) -> None:
        """Nothing is learnt."""


class DistinctDraws:
    """Draws of distinct functions, until there are no more."""

    def __init__(self, unseen: Unseen) -> None:
        self._unseen = unseen

    def ask(self) -> Proposal | None:
        architecture = self._unseen.draw()
        return None if architecture is None else Proposal(architecture)

    def tell(self, trial: Trial) -> None:
        """Nothing is learnt."""

    def learn(self, trial: Trial) -> None:
        """It is not drawn any more."""
        self._unseen.add(trial.architecture)


class Unseen:
    """Random draws among the architectures whose key has not been seen.

    Draws that were seen are rejected; after `patience` rejections in a row the rest of a small space is listed and
    shuffled, which continues the same law (a uniform draw of strings, repeats left out) at no growing cost.
    """

    def __init__(self, space: Space, rng: np.random.Generator, patience: int = 100, listable: float = 1e6) -> None:
        self._space, self._rng, self._patience = space, rng, patience
        self._listable = math.prod(math.inf if d.arity is None else d.arity for d in space.decisions) <= listable
        self._rest: list[Architecture] | None = None
        self.seen: set[Hashable] = set()
        """Identities of the architectures."""

    def add(self, architecture: Architecture) -> bool:
        """Mark as seen; False if it was already."""
        before = len(self.seen)
        self.seen.add(architecture.identity)
        return len(self.seen) > before

    def draw(self) -> Architecture | None:
        """A draw not seen before, now marked as seen; None when there is none (or none can be found)."""
        if self._rest is None:
            tries = self._patience if self._listable else 100 * self._patience
            for _ in range(tries):
                architecture = self._space.sample(self._rng)
                if self.add(architecture):
                    return architecture
            self._rest = self._list() if self._listable else []
        while self._rest:
            if self.add(architecture := self._rest.pop()):
                return architecture
        return None

    def _list(self) -> list[Architecture]:
        rest = [architecture for architecture in self._space.enumerate() if architecture.identity not in self.seen]
        return [rest[i] for i in self._rng.permutation(len(rest))]
