"""Axis D: from the weights of operations to one architecture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from searchbench.spaces.space import Space


class Discretise(Protocol):
    """A pure function of the weights."""

    def path(self, weights: npt.NDArray[np.float64]) -> tuple[int, ...]:
        """The option of every decision, of weights [decisions, options]."""

    def unsupported(self, space: Space) -> str | None:
        """The rule that the space breaks, or None."""


@dataclass(frozen=True, slots=True)
class ArgmaxPerEdge:
    """Every decision takes its heaviest option, `none` included; ties go to the lower index.

    For spaces in which every edge is kept. Source: Dong & Yang 2020, the weight-sharing baselines.
    """

    def path(self, weights: npt.NDArray[np.float64]) -> tuple[int, ...]:
        return tuple(int(option) for option in weights.argmax(-1))

    def unsupported(self, space: Space) -> str | None:
        if space.conditional:
            return f"every decision of `{space.name}` would have to be taken, but some depend on others."
        return None
