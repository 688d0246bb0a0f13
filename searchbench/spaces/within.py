"""A space seen through a limit, such as one on multiply-accumulates: every move in it ends legally."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from searchbench.spaces.space import Architecture, Space

Amount = Callable[[Architecture], float]
"""What is limited: multiply-accumulates, or anything else to be kept low."""

TRIES = 250
"""Draws of one kind before the search makes do with another."""
LISTED = 20_000
"""Spaces of up to as many points are listed to find the cheapest; larger ones are descended from random starts."""
STARTS = 20


def cheapest(space: Space, amount: Amount, rng: np.random.Generator) -> Architecture:
    """The architecture of the least amount: of all in a small space, else of descents from random starts
    (exact where decisions add up, as in chains of blocks)."""
    if space.size <= LISTED:
        return min(space.enumerate(), key=amount)
    return min((_descend(space.sample(rng), amount) for _ in range(STARTS)), key=amount)


def _descend(at: Architecture, amount: Amount) -> Architecture:
    while True:
        best = min(at.space.neighbours(at), key=amount, default=at)
        if amount(best) >= amount(at):
            return at
        at = best


@dataclass(frozen=True, eq=False)
class Within:
    """A space seen through a limit; a `Space` to searches. Draws are repeated until they are legal.

    After `TRIES` draws the last one walks: decision by decision it takes values of the cheapest architecture, in
    random order, until it is legal. So a search always gets what it asks for, and never what is too dear.

    Args:
        space: the whole.
        at_most: the limit.
        amount: of what is limited in an architecture.
        anchor: an architecture within the limit.
    """

    space: Space
    at_most: float
    amount: Amount
    anchor: Architecture

    def legal(self, architecture: Architecture) -> bool:
        """Whether an architecture keeps to the limit."""
        return self.amount(architecture) <= self.at_most

    def sample(self, rng: np.random.Generator) -> Architecture:
        """See `Space.sample`; uniform over what is legal."""
        return self._legal(lambda: self.space.sample(rng), rng)

    def draws(self, count: int, rng: np.random.Generator) -> list[Architecture]:
        """See `Space.draws`."""
        return [self.sample(rng) for _ in range(count)]

    def sample_carrying(self, rng: np.random.Generator) -> Architecture:
        """See `Space.sample_carrying`."""
        return Space.sample_carrying(self, rng)  # type: ignore[arg-type]

    def mutate(self, architecture: Architecture, rng: np.random.Generator) -> Architecture:
        """See `Space.mutate`."""
        return self._legal(lambda: self.space.mutate(architecture, rng), rng)

    def redraw(self, architecture: Architecture, probability: float, rng: np.random.Generator) -> Architecture:
        """See `Space.redraw`."""
        return self._legal(lambda: self.space.redraw(architecture, probability, rng), rng)

    def crossover(self, a: Architecture, b: Architecture, rng: np.random.Generator) -> Architecture:
        """See `Space.crossover`."""
        return self._legal(lambda: self.space.crossover(a, b, rng), rng)

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """The legal ones of `Space.neighbours`."""
        return [a for a in self.space.neighbours(architecture) if self.legal(a)]

    def enumerate(self) -> Iterator[Architecture]:
        """The legal ones of `Space.enumerate`."""
        return filter(self.legal, self.space.enumerate())

    def __contains__(self, architecture: object) -> bool:
        return architecture in self.space and self.legal(architecture)  # type: ignore[arg-type]

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name in ("space", "at_most", "amount", "anchor"):
            raise AttributeError(name)  # not there yet while it is unpickled
        return getattr(self.space, name)

    def _legal(self, draw: Callable[[], Architecture], rng: np.random.Generator) -> Architecture:
        for _ in range(TRIES):
            drawn = draw()
            if self.legal(drawn):
                return drawn
        return self._walked(drawn, rng)

    def _walked(self, start: Architecture, rng: np.random.Generator) -> Architecture:
        values = list(start.values)
        if self.space.conditional:  # values of the anchor need not go with those of another
            return self.anchor
        for at in rng.permutation(len(values)).tolist():
            values[at] = self.anchor.values[at]
            walked = self.space.architecture(tuple(values))
            if self.legal(walked):
                return walked
        return self.anchor
