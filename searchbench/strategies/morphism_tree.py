"""Auto-Keras: a tree of network morphisms is searched for the least confidence bound, as in A* with annealing."""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Hashable
from dataclasses import dataclass

import numpy as np

from searchbench.errors import StudyError
from searchbench.spaces.space import Architecture, Space
from searchbench.strategies.acquisition import Acquisition, LowerConfidenceBound
from searchbench.strategies.edits import Descriptors, EditProcess
from searchbench.strategies.model_based import Measured, ModelBased, Scoring


@dataclass(frozen=True, slots=True)
class MorphismTree:
    """Candidates that the scores lead to, from what was measured: again and again the best of a queue, which is first
    all that was measured, is expanded; a child a joins it with probability

        min(1, exp((c - score(a)) / T)),    T <- cooling T,

    c the least value or score met so far, in units of the standard deviation of what was measured. It ends where T
    falls below `coldest` or nothing is left, and hands over the children of the least score.

    Args:
        moves: neighbours drawn at each expansion.
        cooling: of the temperature, which begins at 1.
        coldest: temperature at which it ends.

    Raises:
        StudyError: a value is out of range.

    Source: Jin, Song & Hu 2019, "Auto-Keras: an efficient neural architecture search system", Algorithm 1; moves,
        cooling and coldest of the released code, version 0.2.
    Differs: moves are the space's neighbours, one step of one decision: there is no parent whose weights they keep, so
        that what a morphism added may also be taken away again. The units. The released code passes by what it has
        popped with the probability by which the paper passes by children.
    """

    moves: int = 8
    cooling: float = 0.9
    coldest: float = 1e-4

    def __post_init__(self) -> None:
        if not isinstance(self.moves, int) or isinstance(self.moves, bool) or self.moves < 1:
            raise StudyError(f"`moves` must be a positive integer, but got {self.moves!r}.")
        for name in ("cooling", "coldest"):
            if not 0 < getattr(self, name) < 1:
                raise StudyError(f"`{name}` must lie between 0 and 1, but got {getattr(self, name)!r}.")

    def led(
        self,
        space: Space,
        measured: list[Measured],
        seen: set[Hashable],
        score: Scoring,
        count: int,
        rng: np.random.Generator,
    ) -> list[Architecture]:
        unit = float(np.std([value for value, _ in measured])) or 1.0
        order = itertools.count()
        queue = [(value, next(order), architecture) for value, architecture in measured]
        heapq.heapify(queue)
        least, temperature = queue[0][0], 1.0
        met, found = set(seen), []  # type: set[Hashable], list[tuple[float, int, Architecture]]
        while queue and temperature > self.coldest:
            temperature *= self.cooling
            children = self._children(space, heapq.heappop(queue)[-1], met, rng)
            scores = score(children).tolist() if children else []
            for child, value in zip(children, scores, strict=True):
                entry = value, next(order), child
                found.append(entry)
                if rng.random() < math.exp(min((least - value) / unit / temperature, 0.0)):
                    heapq.heappush(queue, entry)
                least = min(least, value)
        return [child for *_, child in heapq.nsmallest(count, found)]

    def _children(
        self, space: Space, parent: Architecture, met: set[Hashable], rng: np.random.Generator
    ) -> list[Architecture]:
        """Some neighbours that were not met before; now they are."""
        around = space.neighbours(parent)
        children = []
        for at in rng.permutation(len(around)).tolist():
            if around[at].identity not in met:
                met.add(around[at].identity)
                children.append(around[at])
            if len(children) == self.moves:
                break
        return children


def auto_keras(
    initial: int = 10,
    batch: int = 5,
    structure: float = 0.1,
    beta: float = 2.576,
    moves: int = 8,
    cooling: float = 0.9,
    coldest: float = 1e-4,
    acquisition: Acquisition | None = None,
) -> ModelBased:
    """Bayesian optimisation over networks that are compared by edits: a Gaussian process over their embedding, and a
    tree of morphisms (a layer more, a wider one, a skip more) searched for the least bound mu - beta sigma.

    Args:
        initial: random designs.
        batch: measured per fit.
        structure: see `EditProcess`.
        beta: of the confidence bound.
        moves, cooling, coldest: see `MorphismTree`.
        acquisition: another one, to ablate; it must be a score of each candidate.

    Raises:
        StudyError: a value is out of range.

    Source: Jin, Song & Hu 2019, "Auto-Keras: an efficient neural architecture search system"; the released code,
        version 0.2.
    Differs: no weights are handed from parent to child: an evaluation here is of the architecture alone, or it would
        not be the same for every strategy, and so what the paper saves by morphisms is not saved. It begins with the
        random designs of all strategies instead of one network of three layers, takes the `batch` best of a search
        (the paper: one), and works on every space with a graph, of cells too; the paper's own, within bounds, is
        `auto-keras`. Else as `EditProcess` and `MorphismTree`.
    """
    if not beta >= 0:
        raise StudyError(f"`beta` weighs the deviation and must not be negative, but got {beta!r}.")
    return ModelBased(
        EditProcess(structure),
        acquisition or LowerConfidenceBound(beta),
        MorphismTree(moves, cooling, coldest),
        Descriptors(),
        initial,
        batch,
    )
