"""The evolution of SPOS: elitist, over all generations, without repeats. An ask/tell search like any other."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from searchbench.errors import StudyError
from searchbench.spaces.space import Architecture
from searchbench.strategies.strategy import AskTellSearch, Scenario
from searchbench.trial import Proposal, Trial


@dataclass(frozen=True, slots=True)
class SposEvolution:
    """Keep the best `keep` of everything measured; breed each generation from them by mutation and crossover.

    top = best `keep` of (top and generation); generation = `mutations` copies of members of top, each decision drawn
    anew with probability `redraw`, and `crossovers` of two members of top, filled up to `population` at random. What
    has been measured before is drawn again, at most `tries` times per kind.

    Args:
        population: architectures per generation; the first is of random designs of the common stream.
        generations: after the first.

    Raises:
        StudyError: a value is out of range.

    Source: Guo et al. 2020, "Single Path One-Shot Neural Architecture Search with Uniform Sampling", Algorithm 1, and
        the released code.
    Differs: the last generation may be handed over too (the released code measures it in vain).
    """

    population: int = 50
    generations: int = 20
    keep: int = 10
    mutations: int = 25
    crossovers: int = 25
    redraw: float = 0.1
    tries: int = 250

    def __post_init__(self) -> None:
        for name in ("population", "keep", "tries"):
            _require_count(name, getattr(self, name), least=1)
        for name in ("generations", "mutations", "crossovers"):
            _require_count(name, getattr(self, name), least=0)
        if self.mutations + self.crossovers > self.population:
            raise StudyError(
                "`mutations` and `crossovers` together must not exceed `population`, "
                f"but got {self.mutations} + {self.crossovers} > {self.population}."
            )
        if not 0 < self.redraw <= 1:
            raise StudyError(f"`redraw` is a probability in (0, 1], but got {self.redraw!r}.")

    def start(self, scenario: Scenario) -> AskTellSearch:
        return Generations(self, scenario)


class Generations:
    """The live search: one generation after the other, each bred when all of the one before has come back."""

    def __init__(self, settings: SposEvolution, scenario: Scenario) -> None:
        self._settings, self._space = settings, scenario.space
        self._rng = scenario.seeds.rng("search", "evolution")
        self._visited: set[Architecture] = set()
        self._top: list[tuple[float, Architecture]] = []
        self._measured: list[tuple[float, Architecture]] = []
        designs = scenario.seeds.rng("init")
        self._queue = self._unvisited(lambda: self._space.sample(designs), settings.population, settings.population)
        self._bred = 0
        self._awaited = 0

    def ask(self) -> Proposal | None:
        if not self._queue and not self._awaited and self._bred < self._settings.generations:
            self._queue = self._breed()
        if not self._queue:
            return None
        self._awaited += 1
        return Proposal(self._queue.pop(0))

    def tell(self, trial: Trial) -> None:
        self._awaited -= 1
        self._measured.append((math.inf if trial.failed else trial.value, trial.architecture))

    def recommend(self) -> Architecture:
        """The best of everything measured; the earliest of equals."""
        return self._best()[0][1]

    def _best(self) -> list[tuple[float, Architecture]]:
        ranked = sorted(self._top + self._measured, key=lambda member: member[0])  # stable: the earlier of equals first
        return ranked[: self._settings.keep]

    def _breed(self) -> list[Architecture]:
        settings, space, rng = self._settings, self._space, self._rng
        self._top, self._measured = self._best(), []
        self._bred += 1
        top = [architecture for _, architecture in self._top]

        def parent() -> Architecture:
            return top[int(rng.integers(len(top)))]

        mutants = self._unvisited(lambda: space.redraw(parent(), settings.redraw, rng), settings.mutations)
        crossed = self._unvisited(lambda: space.crossover(parent(), parent(), rng), settings.crossovers)
        missing = settings.population - len(mutants) - len(crossed)
        return mutants + crossed + self._unvisited(lambda: space.sample(rng), missing, missing)

    def _unvisited(self, draw: Callable[[], Architecture], wanted: int, rounds: int = 1) -> list[Architecture]:
        """Up to `wanted` draws not seen before, in at most `rounds * tries` tries; marks them as seen."""
        found: list[Architecture] = []
        for _ in range(rounds * self._settings.tries):
            if len(found) == wanted:
                break
            architecture = draw()
            if architecture not in self._visited:
                self._visited.add(architecture)
                found.append(architecture)
        return found


def _require_count(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise StudyError(f"`{name}` must be an integer of at least {least}, but got {value!r}.")
