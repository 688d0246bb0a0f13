"""Paths that are preferred before anything is trained, by their gradients at the initial weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from searchbench.errors import StudyError
from searchbench.strategies.oneshot.revising import Revision
from searchbench.strategies.oneshot.samplers import Draw, Uniform

if TYPE_CHECKING:
    from searchbench.spaces.networks import Path, Supernet


@dataclass(frozen=True, slots=True)
class Preferred:
    """Before the training, score random paths by sum |dL/dw| on one minibatch and keep the best of each stratum of
    multiply-accumulates; train those alone, one drawn uniformly per update.

    Args:
        candidates: random paths, distinct; fewer where a fifth of the budget affords fewer looks, but one for each that
            is kept.
        strata: equally many candidates in each.
        each: kept of a stratum.

    Raises:
        StudyError: a value is out of range.

    Source: Wang et al. 2023, "PreNAS: preferred one-shot learning towards efficient neural architecture search",
        section 3, and the released code ("taylor9" scores).
    Differs: gradients are each path's own, as weights of options apart are not part of the largest path, of which the
        paper takes them; intervals of multiply-accumulates, not of parameters; candidates are drawn, not evolved.
    """

    candidates: int = 100
    strata: int = 5
    each: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.strata <= self.candidates or self.each < 1:
            raise StudyError(
                "1 <= `strata` <= `candidates` and `each` >= 1 must hold, "
                f"but got strata={self.strata}, candidates={self.candidates}, each={self.each}."
            )

    def over(self, supernet: Supernet) -> Draw:
        return Uniform().over(supernet)

    def reviser(self, supernet: Supernet) -> Preferring:
        return Preferring(self, supernet)


class Preferring:
    """The sampler at work."""

    scores = scores_an_epoch = 0

    def __init__(self, settings: Preferred, supernet: Supernet) -> None:
        self._settings, self._supernet = settings, supernet
        self._uniform = settings.over(supernet)
        self._kept: list[Path] = []

    def looks(self, affordable: int) -> int:
        settings = self._settings
        return max(min(settings.candidates, affordable), settings.strata * settings.each)

    def draw(self, rng: np.random.Generator, done: float) -> tuple[Path, ...]:
        if not self._kept:  # while the training is priced
            return self._uniform(rng, done)  # type: ignore[return-value]
        return (self._kept[int(rng.integers(len(self._kept)))],)

    def due(self, epoch: int, epochs: int) -> bool:
        return not self._kept

    def revise(self, revision: Revision) -> None:
        """Choose the preferred ones."""
        settings = self._settings
        drawn = dict.fromkeys(self._uniform(revision.rng, 0.0)[0] for _ in range(revision.looks))
        paths: list[Path] = sorted(drawn, key=self._supernet.macs)  # type: ignore[arg-type]
        by_score = dict(zip(paths, revision.salient(paths), strict=True))
        for part in np.array_split(np.arange(len(paths)), settings.strata):
            ranked = sorted((paths[at] for at in part.tolist()), key=lambda path: -by_score[path])
            self._kept += ranked[: settings.each]

    def kept(self) -> list[Path]:
        return self._kept

    def state_dict(self) -> dict[str, Any]:
        return {"kept": self._kept}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._kept = list(state["kept"])
