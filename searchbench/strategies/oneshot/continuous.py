"""Evolution that goes on while the supernet is trained on its population."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from searchbench.errors import StudyError
from searchbench.spaces.space import Array
from searchbench.strategies.nsga2 import crowding, fronts
from searchbench.strategies.oneshot.revising import Revision
from searchbench.strategies.oneshot.samplers import Draw, Uniform
from searchbench.strategies.supernet import check_share

if TYPE_CHECKING:
    from searchbench.spaces.networks import Path, Supernet

CROSSED, MUTATED = 0.25, 0.25
"""Shares of the offspring; the rest is drawn uniformly."""
Protection = Literal["gain", "size"]
"""What is kept beside who is best for its size: who gains most for its size, or who is best of the large."""


@dataclass(frozen=True, slots=True)
class ContinuousEvolution:
    """Train paths of a population, one drawn uniformly per update; every few epochs the population is bred and thinned
    by inherited weights, which go on being trained.

    offspring: a quarter crossed, every decision of either parent with probability 1/2; a quarter mutated, every
        decision drawn anew with probability 1/2; half uniform;  parents and offspring are scored
    kept: by pNSGA-III, `protected`, of (value, parameters) and (-gain, parameters), the gain since the last time

    Small paths learn fast and would win early; who gains most for its size is kept beside who is best for its size.

    Args:
        population: paths.
        offspring: for each of the population.
        every: epochs between two evolutions.
        warmup: share of the epochs in which paths are uniform.
        protects: "gain" as in the paper; "size" as in the released code, whose second ranking is of (value,
            -parameters).

    Raises:
        StudyError: a value is out of range.

    Source: Yang et al. 2020, "CARS: continuous evolution for efficient neural architecture search", sections 3.2 to
        3.4, and the released code (in Vega): shares and probabilities of the offspring, one child for each parent, one
        path an update, uniform paths for 50 of 500 epochs; there are 128 paths, bred every 10 epochs.
    Differs: 16 paths, bred every epoch, which is the paper's share of the epochs for searches of up to 50; decisions
        are crossed and mutated one by one, where the paper's are the nodes of cells; the last front that fits in part
        is thinned by crowding, where the released code draws from it; a path that was not there the last time is
        compared with the mean of those that were.
    """

    population: int = 16
    offspring: int = 1
    every: int = 1
    warmup: float = 0.1
    protects: Protection = field(default="gain", metadata={"described": "unless default"})

    def __post_init__(self) -> None:
        if self.protects not in get_args(Protection):
            raise StudyError(f'`protects` must be "gain" or "size", but got {self.protects!r}.')
        if self.population < 2 or self.offspring < 1 or self.every < 1:
            raise StudyError(
                "`population` must be at least 2, `offspring` and `every` at least 1, "
                f"but got population={self.population}, offspring={self.offspring}, every={self.every}."
            )
        if self.warmup:
            check_share("warmup", self.warmup)

    def over(self, supernet: Supernet) -> Draw:
        return Uniform().over(supernet)

    def reviser(self, supernet: Supernet) -> BredPopulation:
        return BredPopulation(self, supernet)


class BredPopulation:
    """The sampler at work."""

    scores = 0

    def __init__(self, settings: ContinuousEvolution, supernet: Supernet) -> None:
        self._settings, self._supernet = settings, supernet
        self._uniform = settings.over(supernet)
        self._known: dict[Path, float] = {}
        """The population, with what each scored the last time."""

    @property
    def scores_an_epoch(self) -> int:
        return math.ceil(self._settings.population * (1 + self._settings.offspring) / self._settings.every)

    def draw(self, rng: np.random.Generator, done: float) -> tuple[Path, ...]:
        if not self._known:
            return self._uniform(rng, done)  # type: ignore[return-value]
        population = list(self._known)
        return (population[int(rng.integers(len(population)))],)

    def looks(self, affordable: int) -> int:
        return 0

    def due(self, epoch: int, epochs: int) -> bool:
        begun = max(1, round(self._settings.warmup * epochs))
        return epoch >= begun and ((epoch - begun) % self._settings.every == 0 or epoch == epochs)

    def revise(self, revision: Revision) -> None:
        """Breed, score, thin."""
        settings, rng = self._settings, revision.rng
        everyone = dict.fromkeys(self._known)
        wanted = settings.population * (settings.offspring + (not self._known))
        for number in range(wanted):
            everyone.setdefault(self._child(number / wanted, rng))
        paths = list(everyone)
        trials = revision.scored(paths)
        values = [math.inf if trial.failed else trial.value for trial in trials]
        before = float(np.mean(list(self._known.values()))) if self._known else math.nan
        gains = [self._known.get(path, before) - value for path, value in zip(paths, values, strict=True)]
        sizes = [trial.metrics.get("params", 0.0) for trial in trials]
        gained = [0.0 if math.isnan(gain) else gain for gain in gains]
        points = np.array([values, sizes]).T
        spared = points * [1, -1] if settings.protects == "size" else np.array([gained, sizes]).T * [-1, 1]
        chosen = protected(points, spared, settings.population)
        self._known = {paths[at]: values[at] for at in chosen}

    def _child(self, share: float, rng: np.random.Generator) -> Path:
        """The offspring at a share of all."""
        parents = list(self._known)
        if not parents or share >= CROSSED + MUTATED:
            return self._uniform(rng, 0.0)[0]  # type: ignore[return-value]
        one, other = (parents[int(at)] for at in rng.integers(len(parents), size=2))
        if share < CROSSED:
            coins = rng.integers(2, size=len(one)).tolist()
            return tuple(a if coin else b for coin, a, b in zip(coins, one, other, strict=True))
        anew: Path = self._uniform(rng, 0.0)[0]  # type: ignore[assignment]
        coins = rng.integers(2, size=len(one)).tolist()
        return tuple(drawn if coin else kept for coin, drawn, kept in zip(coins, anew, one, strict=True))

    def kept(self) -> list[Path]:
        return list(self._known)

    def state_dict(self) -> dict[str, Any]:
        return {"known": list(self._known.items())}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._known = dict(state["known"])


def protected(points: Array, spared: Array, count: int) -> list[int]:
    """Positions of the `count` that pNSGA-III keeps: both rankings are peeled into fronts, and a front of one and that
    of the same depth of the other are taken together; those that fit in part by their crowding in `points`.

    Args:
        points: [n, objectives], all minimised, such as error and size.
        spared: [n, objectives], such as minus the gain, and size.
    """
    chosen: list[int] = []
    rankings = fronts(points), fronts(spared)
    for depth in range(max(map(len, rankings))):
        layers = [ranked[depth] for ranked in rankings if depth < len(ranked)]
        both = sorted({at for layer in layers for at in layer} - set(chosen))
        if len(chosen) + len(both) > count:
            both = _least_crowded(both, points, count - len(chosen))
        chosen += both
        if len(chosen) == count:
            break
    return chosen


def _least_crowded(members: Sequence[int], points: Array, count: int) -> list[int]:
    distances = crowding(points[list(members)])
    order = np.argsort(-distances, kind="stable")[:count]
    return [members[int(at)] for at in order]
