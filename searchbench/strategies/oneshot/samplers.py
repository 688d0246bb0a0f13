"""Which paths of a supernet are trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

Path = tuple[int, ...]


class Sampler(Protocol):
    """Draws what one update of the weights trains."""

    def draw(self, options: tuple[int, ...], rng: np.random.Generator) -> tuple[Path, ...]:
        """Paths, each of which gets a minibatch of its own; their gradients add up to one update.

        Args:
            options: number of options of every decision.
            rng: the strategy's own stream.
        """


@dataclass(frozen=True, slots=True)
class Uniform:
    """One path per update, every decision uniform and independent.

    Source: Guo et al. 2020, section 3.3; Li & Talwalkar 2019.
    """

    def draw(self, options: tuple[int, ...], rng: np.random.Generator) -> tuple[Path, ...]:
        return (tuple(rng.integers(options).tolist()),)
