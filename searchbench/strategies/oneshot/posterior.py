"""Paths that grow decision by decision, judged by what paths that begin alike are worth."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from searchbench.errors import StudyError
from searchbench.strategies.oneshot.revising import Revision
from searchbench.strategies.oneshot.samplers import Draw, Uniform
from searchbench.strategies.supernet import check_share

if TYPE_CHECKING:
    from searchbench.spaces.networks import Path, Supernet


@dataclass(frozen=True, slots=True)
class PartialPaths:
    """Keep a pool of beginnings of paths, train only paths that begin so, and lengthen them as the training goes on.

    potential of a beginning = mean value of `samples` paths that begin so, the rest uniform
    the pool's beginnings are extended by every option of the next decision; the best `pool` stay

    The fewer paths share weights, the nearer the posterior over paths comes to that of weights of their own.

    Args:
        pool: beginnings that are kept.
        samples: paths by which each is judged.
        warmup: share of the epochs before the first decision; the others are spread over the rest.

    Raises:
        StudyError: a value is out of range.

    Source: Li et al. 2020, "Improving one-shot NAS by suppressing the posterior fading", section 3.2 and Algorithm 1.
    Differs: where there are more decisions than epochs, several are made at a time without training between them;
        `pool`, `samples` and `warmup` are our own, for short trainings: no code of the search was found.
    """

    pool: int = 5
    samples: int = 4
    warmup: float = 0.3

    def __post_init__(self) -> None:
        if self.pool < 1 or self.samples < 1:
            raise StudyError(
                f"`pool` and `samples` must be at least 1, but got pool={self.pool}, samples={self.samples}."
            )
        check_share("warmup", self.warmup)

    def over(self, supernet: Supernet) -> Draw:
        return Uniform().over(supernet)

    def reviser(self, supernet: Supernet) -> Lengthening:
        return Lengthening(self, supernet)


class Lengthening:
    """The sampler at work."""

    scores_an_epoch = 0

    def __init__(self, settings: PartialPaths, supernet: Supernet) -> None:
        self._settings, self._options = settings, supernet.options
        self._pool: list[Path] = [()]

    @property
    def scores(self) -> int:
        total, pool = 0, 1
        for at, options in enumerate(self._options):
            total += pool * options * self._samples(at + 1)
            pool = min(self._settings.pool, pool * options)
        return total

    def _samples(self, length: int) -> int:
        return self._settings.samples if length < len(self._options) else 1  # whole paths are all alike

    @property
    def length(self) -> int:
        """Decisions that are made."""
        return len(self._pool[0])

    def draw(self, rng: np.random.Generator, done: float) -> tuple[Path, ...]:
        return (self._completed(self._pool[int(rng.integers(len(self._pool)))], rng),)

    def _completed(self, beginning: Path, rng: np.random.Generator) -> Path:
        rest = self._options[len(beginning) :]
        return (*beginning, *(rng.integers(rest).tolist() if rest else ()))

    def _wanted(self, epoch: int, epochs: int) -> int:
        """Decisions that are to be made before an epoch."""
        begun = min(max(1, round(self._settings.warmup * epochs)), epochs)
        share = (epoch - begun + 1) / (epochs - begun + 1)
        return math.ceil(len(self._options) * share) if epoch >= begun else 0

    def looks(self, affordable: int) -> int:
        return 0

    def due(self, epoch: int, epochs: int) -> bool:
        return self._wanted(epoch, epochs) > self.length

    def revise(self, revision: Revision) -> None:
        """Lengthen the pool's beginnings."""
        for at in range(self.length, self._wanted(revision.epoch, revision.epochs)):
            longer: list[Path] = [
                (*beginning, option) for beginning in self._pool for option in range(self._options[at])
            ]
            samples = self._samples(at + 1)
            paths = [self._completed(beginning, revision.rng) for beginning in longer for _ in range(samples)]
            values = [math.inf if trial.failed else trial.value for trial in revision.scored(paths)]
            potential = np.array(values).reshape(len(longer), samples).mean(1)
            self._pool = [longer[int(best)] for best in np.argsort(potential, kind="stable")[: self._settings.pool]]

    def kept(self) -> list[Path]:
        return self._pool

    def state_dict(self) -> dict[str, Any]:
        return {"pool": self._pool}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._pool = list(state["pool"])
